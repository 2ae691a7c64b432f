"""The compiled stem gives what its parts give one after the other: values, gradients, norms."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.spec import TaskSpec
from neurodecode.models.dbconformer import DBConformer
from neurodecode.nn.compiled import ELU_MEAN, STEM
from neurodecode.nn.eager import plain
from neurodecode.nn.stem import is_fused

SHAPES = [(22, 1000, 250.0, 40), (3, 333, 100.0, 6), (1, 45, 128.0, 2), (64, 640, 512.0, 18)]


def net_of(
    n_chans: int = 3, n_times: int = 333, sfreq: float = 100.0, width: int = 6
) -> DBConformer:
    torch.manual_seed(0)
    names = tuple(f"E{i}" for i in range(n_chans))
    spec = TaskSpec(ch_names=names, n_times=n_times, sfreq=sfreq, n_outputs=2)
    net = DBConformer(spec, depth=1, width=width, dropout=0.0, head_dropout=(0.0, 0.0))
    for norm in (net.mix_norm, net.filters_norm):  # as after some training
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.5)
    return net


def windows(net: DBConformer, batch: int = 5) -> Tensor:
    """Channels that share much, with an offset."""
    n_chans, n_times = net.mix.in_features, net.pool.shape[1]
    return torch.randn(batch, n_chans, n_times) + 2 * torch.randn(batch, 1, n_times) + 3


def need() -> None:
    if STEM.why_not() or ELU_MEAN.why_not():
        pytest.skip(f"not compiled: {STEM.why_not() or ELU_MEAN.why_not()}")


def taken(net: DBConformer, x: Tensor) -> bool:
    return is_fused(x, net.mix, net.mix_norm, net.filters, net.filters_norm)


def learn(net: DBConformer, x: Tensor) -> dict[str, Tensor]:
    """Logits, gradients and statistics of a step."""
    net.zero_grad()
    logits = net(x)
    target = torch.arange(len(x)) % 2
    functional.cross_entropy(logits, target).backward()
    grads = {f"gradient of {n}": p.grad for n, p in net.named_parameters() if p.grad is not None}
    return {"logits": logits.detach(), **grads, **{n: b.clone() for n, b in net.named_buffers()}}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_is_that_of_the_plain_parts(
    shape: tuple[int, int, float, int], training: bool
) -> None:
    """As near to plain double precision as plain single precision is, or nearer than 1e-4."""
    need()
    net = net_of(*shape).train(training)
    x = windows(net)
    exact, usual = copy.deepcopy(net).double(), copy.deepcopy(net)
    assert taken(net, x)
    found = learn(net, x)
    with plain():
        right, plainly = learn(exact, x.double()), learn(usual, x)
    assert found.keys() == right.keys()
    for name, value in found.items():
        size = right[name].double().abs().max().clamp(min=1e-3)
        off, usually_off = (
            float((v[name].double() - right[name]).abs().max() / size) for v in (found, plainly)
        )
        assert off < max(1e-4, 10 * usually_off), name
        assert value.shape == right[name].shape


def test_running_statistics_and_weights_stay_together_over_steps() -> None:
    need()
    net = net_of(22, 1000, 250.0, 40)
    twin = copy.deepcopy(net)
    losses: dict[bool, list[float]] = {True: [], False: []}
    target = torch.arange(8) % 2
    for plainly, each in ((False, net), (True, twin)):
        torch.manual_seed(1)
        optimizer = torch.optim.SGD(each.parameters(), lr=0.05)
        for _ in range(6):
            x = windows(each, 8)
            optimizer.zero_grad()
            if plainly:
                with plain():
                    loss = functional.cross_entropy(each(x), target)
            else:
                loss = functional.cross_entropy(each(x), target)
            loss.backward()
            optimizer.step()
            losses[plainly].append(loss.item())
    torch.testing.assert_close(losses[False], losses[True], atol=1e-4, rtol=1e-4)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, twin.state_dict()[name], atol=1e-3, rtol=1e-3, msg=name)


@pytest.mark.parametrize("momentum", [None, 0.3])
def test_any_momentum_is_kept(momentum: float | None) -> None:
    need()
    net = net_of()
    net.mix_norm.momentum = net.filters_norm.momentum = momentum
    twin = copy.deepcopy(net)
    for _ in range(3):
        x = windows(net)
        net(x)
        with plain():
            twin(x)
    torch.testing.assert_close(dict(net.named_buffers()), dict(twin.named_buffers()))


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    need()
    net = net_of()
    x, before = windows(net, 7), torch.get_num_threads()
    alone = learn(copy.deepcopy(net), x)
    try:
        torch.set_num_threads(3)
        several = learn(copy.deepcopy(net), x)
    finally:
        torch.set_num_threads(before)
    stem = [n for n in alone if "mix" in n or "filters" in n or n == "logits"]
    assert all(torch.equal(alone[n], several[n]) for n in stem)


def on_windows_that_learn(net: DBConformer, x: Tensor) -> Tensor:
    return net(x.requires_grad_())


def traced(net: DBConformer, x: Tensor) -> Tensor:
    return torch.jit.trace(net, x)(x)


def exported(net: DBConformer, x: Tensor) -> Tensor:
    return torch.export.export(net, (x,)).module()(x)


def hooked(net: DBConformer, x: Tensor) -> Tensor:
    seen: list[Tensor] = []
    handle = net.filters_norm.register_forward_hook(lambda _, args, out: seen.append(out))
    y = net(x)
    handle.remove()
    assert len(seen) == 1
    return y


def counted(net: DBConformer, x: Tensor) -> Tensor:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        y = net(x)
    assert counter.get_total_flops() > 0
    return y


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("way", [on_windows_that_learn, traced, exported, hooked, counted])
def test_plain_parts_run_where_each_has_to_be_seen(
    way: Callable[[DBConformer, Tensor], Tensor],
) -> None:
    net = net_of(4, 300, 100.0, 8).eval()
    x = windows(net)
    with torch.no_grad():
        expected = net(x)
    torch.testing.assert_close(way(net, x), expected, atol=1e-4, rtol=1e-4)


def test_many_nets_run_at_once_and_their_gradients_are_those_of_each() -> None:
    """`torch.func.vmap` over stacked weights and statistics, in training."""
    nets = [net_of(4, 300, 100.0, 8) for _ in range(3)]
    for i, net in enumerate(nets):
        with torch.no_grad():
            net.mix.weight.mul_(1 + i)
    parameters, buffers = torch.func.stack_module_state(nets)  # type: ignore[arg-type]
    x = torch.stack([windows(net) for net in nets])

    def loss(p: dict[str, Tensor], b: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(nets[0], (p, b), (x,)).square().sum()

    losses = torch.func.vmap(loss, randomness="different")(parameters, buffers, x)
    losses.sum().backward()
    inner = torch.func.vmap(torch.func.grad(loss), randomness="different")(parameters, buffers, x)
    for i, net in enumerate(nets):
        alone = net(x[i]).square().sum()
        alone.backward()
        torch.testing.assert_close(losses[i], alone, atol=1e-3, rtol=1e-3)
        for name, p in net.named_parameters():
            assert p.grad is not None
            scale = 1e-3 * float(p.grad.abs().max()) + 1e-4
            for given in (parameters[name].grad[i], inner[name][i]):
                torch.testing.assert_close(given, p.grad, atol=scale, rtol=1e-3)


def test_without_a_compiler_the_net_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    net = net_of()
    x = windows(net)
    expected = learn(copy.deepcopy(net), x)
    monkeypatch.setitem(STEM.__dict__, "library", None)
    monkeypatch.setitem(ELU_MEAN.__dict__, "library", None)
    assert not taken(net, x)
    torch.testing.assert_close(learn(net, x), expected, atol=1e-3, rtol=1e-3)
