"""Nets that compute in another order are braindecode's, to rounding, whatever is done to them."""

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS, braindecode
from neurodecode.nn.count import count

CLASSES = {
    "eegnet": "EEGNet",
    "shallow": "ShallowFBCSPNet",
    "deep4": "Deep4Net",
    "eegconformer": "EEGConformer",
    "atcnet": "ATCNet",
    "ctnet": "CTNet",
    "msvtnet": "MSVTNet",
    "fbcnet": "FBCNet",
}
SPEC = TaskSpec(ch_names=("C3", "Cz", "C4", "Pz"), n_times=448, sfreq=128.0, n_outputs=3)
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("eegnet", {"F1": 3, "D": 1, "kernel_length": 25, "depthwise_kernel_length": 7}),
    ("eegnet", {"pool_mode": "max", "activation": "ReLU", "final_layer_with_constraint": True}),
    ("eegnet", {"F2": 5, "D": 3, "batch_norm_momentum": 0.5, "pool1_kernel_size": 3}),
    ("shallow", {"batch_norm": False}),
    ("shallow", {"pool_mode": "max", "conv_nonlin": "Tanh"}),
    ("shallow", {"pool_time_length": 50, "pool_time_stride": 20, "n_filters_time": 3}),
    ("shallow", {"pool_time_length": 31, "pool_time_stride": 7}),
    ("deep4", {"batch_norm": False, "first_pool_mode": "mean"}),
    ("atcnet", {"conv_max_norm_const": 0.6}),
    ("ctnet", {"num_layers": 1, "kernel_size": 31, "depth_multiplier": 4}),
    ("eegconformer", {"num_layers": 1, "activation": "ReLU"}),
]
SMALL = {"eegconformer": {"num_layers": 1}, "ctnet": {"num_layers": 1}}


def without_dropout(net: nn.Module) -> nn.Module:
    for part in net.modules():
        if isinstance(part, nn.Dropout | nn.Dropout2d):
            part.p = 0.0
        elif hasattr(part, "att_drop"):
            part.att_drop = 0.0
        elif isinstance(part, nn.MultiheadAttention):
            part.dropout = 0.0
    return net


def pair(name: str, **options: Any) -> tuple[nn.Module, nn.Module]:
    """Ours and braindecode's own, with the same weights, in double precision."""
    draw = torch.Generator().manual_seed(0)
    ours = without_dropout(MODELS.get(name)(SPEC, **options)).double()
    builder = braindecode._class(CLASSES[name])
    taken = {n: getattr(SPEC, n) for n in ("n_chans", "n_times", "n_outputs", "sfreq")}
    known = {p.name: p for p in braindecode._choices(builder)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = builder(
            **taken, **{n: braindecode._torch_class(known[n], v) for n, v in options.items()}
        )
    theirs = without_dropout(theirs).double()
    for parameter in ours.parameters():
        noise = torch.randn(parameter.shape, generator=draw, dtype=torch.float64)
        parameter.data += 0.1 * noise
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def windows(n: int = 6, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return 2 + 3 * torch.randn(n, 4, 448, generator=draw, dtype=torch.float64)


Y = torch.arange(6) % 3


def assert_alike(ours: nn.Module, theirs: nn.Module) -> None:
    """Gradients and buffers; a gradient that cancels to nothing is compared with the largest."""
    largest = max(float(p.grad.abs().max()) for p in theirs.parameters() if p.grad is not None)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-8, atol=1e-11 * largest)
    for a, b in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


# It says that windows are copied to pad them for an even number of taps.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(("name", "options"), [*((n, SMALL.get(n, {})) for n in CLASSES), *OPTIONS])
def test_training_is_that_of_braindecode(name: str, options: dict[str, Any]) -> None:
    ours, theirs = pair(name, **options)
    optimizers = [torch.optim.SGD(net.train().parameters(), lr=1e-2) for net in (ours, theirs)]
    for seed in range(2):
        x = windows(seed=seed)
        for net, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            logits = net(x)
            cross_entropy(logits, Y).backward()
        torch.testing.assert_close(ours(x), logits)
        theirs(x)  # it keeps statistics, too
        assert_alike(ours, theirs)
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("name", ["eegnet", "shallow", "ctnet"])
def test_single_precision_is_enough(name: str) -> None:
    ours, theirs = (net.float().train() for net in pair(name, **SMALL.get(name, {})))
    x = windows(32).float()
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-3, atol=1e-4)
    for a, b in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["eegnet", "shallow", "msvtnet"])
@pytest.mark.parametrize("training", [False, True])
def test_windows_get_their_gradient(name: str, training: bool) -> None:
    nets, gradients = pair(name), []
    for net in nets:
        x = windows().requires_grad_()
        net.train(training)(x)[:, 0].sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", ["eegnet", "shallow", "atcnet"])
def test_a_norm_at_rest_uses_what_it_knows_while_the_net_trains(name: str) -> None:
    nets = pair(name)
    for net in nets:
        net.train()(windows())
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()
        cross_entropy(net(windows(seed=1)), Y).backward()
    assert_alike(*nets)


@pytest.mark.parametrize("name", list(CLASSES))
def test_layers_that_are_watched_run_one_after_the_other(name: str) -> None:
    net, theirs = pair(name, **SMALL.get(name, {}))
    seen: dict[str, list[tuple[int, ...]]] = {"ours": [], "theirs": []}
    for who, watched in (("ours", net.eval()), ("theirs", theirs.eval())):
        for part in watched.modules():
            if isinstance(part, nn.Conv2d | nn.BatchNorm2d):
                part.register_forward_hook(
                    lambda _, args, out, who=who: seen[who].append(tuple(out.shape))
                )
    torch.testing.assert_close(net(windows()), theirs(windows()))
    assert seen["ours"] == seen["theirs"] != []


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"msvtnet"}))  # torch's own attention
def test_stacked_nets_train_as_they_do_apart(name: str) -> None:
    torch.manual_seed(0)
    options = SMALL.get(name, {})
    nets = [without_dropout(MODELS.get(name)(SPEC, **options)).double().train() for _ in range(3)]
    base = copy.deepcopy(nets[0])
    parameters, buffers = stack_module_state(nets)
    x = torch.stack([windows(seed=i) for i in range(3)])

    def run(parameters: Any, buffers: Any, x: Tensor) -> Tensor:
        return functional_call(base, (parameters, buffers), (x,))

    logits = vmap(run, randomness="different")(parameters, buffers, x)
    sum(cross_entropy(each, Y) for each in logits).backward()
    for i, net in enumerate(nets):
        alone = net(x[i])
        torch.testing.assert_close(logits[i], alone)
        cross_entropy(alone, Y).backward()
        for key, parameter in net.named_parameters():
            if parameter.requires_grad:
                together = parameters[key].grad[i]
                torch.testing.assert_close(together, parameter.grad, rtol=1e-7, atol=1e-10)
        for key, buffer in net.named_buffers():
            if key in buffers:
                torch.testing.assert_close(buffers[key][i], buffer)


@pytest.mark.parametrize("name", ["eegnet", "shallow", "eegconformer", "ctnet"])
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit.trace.*:DeprecationWarning")
def test_it_can_be_traced_and_exported(name: str) -> None:
    net = pair(name, **SMALL.get(name, {}))[0].eval()
    logits = net(windows())
    traced = torch.jit.trace(net, windows(2), check_trace=False)
    torch.testing.assert_close(traced(windows()), logits)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(net, (windows(2),), dynamic_shapes=({0: batch},))
    torch.testing.assert_close(exported.module()(windows()), logits)


def test_a_copy_computes_the_same() -> None:
    net = pair("eegnet")[0].eval()
    torch.testing.assert_close(copy.deepcopy(net)(windows()), net(windows()))


def test_fewer_products_are_made_and_counted() -> None:
    """EEGNet: 4 electrodes into 16 maps, 64 taps for each map; 448 samples, padded by 32."""
    net, x = MODELS.get("eegnet")(SPEC), torch.randn(2, 4, 448)
    found = {c.layer: c.macs for c in count(net, x).layers if c.macs}
    assert found["conv_temporal"] == 449 * 16 * 64
    assert found["conv_spatial.parametrizations.weight"] == (448 + 64) * 16 * 4


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_the_limit_of_norms_is_that_of_renorm(scale: float) -> None:
    net = MODELS.get("eegnet")(SPEC)
    limit = net.conv_spatial.parametrizations.weight[0]
    weight = scale * torch.randn(16, 1, 4, 1, generator=torch.Generator().manual_seed(0))
    weight[0] = 0
    expected = weight.renorm(p=2, dim=0, maxnorm=limit.max_norm)
    torch.testing.assert_close(limit(weight), expected)
