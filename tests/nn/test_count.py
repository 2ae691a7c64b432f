"""Counts of small nets agree with counts by hand; those of large ones with torch's own."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from neurodecode.core.counts import Counts, LayerCount
from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.nn.count import count
from neurodecode.nn.spiking.mixers.ssa import SpikingSelfAttention
from neurodecode.nn.spiking.neurons import Population, set_form
from neurodecode.nn.spiking.neurons.lif import LIF, integrate_and_fire

SPEC = TaskSpec(ch_names=("C3", "Cz", "C4"), n_times=128, sfreq=64.0, n_outputs=2)


class Given(nn.Module):
    """A net that does what a function says with its parts."""

    def __init__(self, run: Callable[..., Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def layer(counts: Counts, name: str, kind: str | None = None) -> LayerCount:
    (found,) = [c for c in counts.layers if c.layer == name and kind in (None, c.kind)]
    return found


def events(*shape: int, rate: float = 0.3) -> Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(0)) < rate).float()


def always(n_features: int, *, every: int = 1) -> LIF:
    """Neurons that, given ones, spike at every `every`-th step, and never for zeros."""
    return integrate_and_fire(n_features, dt=0.001, threshold=every - 0.5, reset="hard")


def test_a_layer_of_numbers_multiplies_every_pair() -> None:
    x = torch.randn(5, 4, 7)
    found = layer(count(Given(lambda net, x: net.lin(x), lin=nn.Linear(7, 3)), x), "lin")
    assert (found.macs, found.acs, found.rate) == (4 * 7 * 3, 0, None)
    assert (found.inputs, found.outputs, found.weights) == (4 * 7, 4 * 3, 7 * 3)


def test_a_layer_of_spikes_adds_its_fan_out_for_every_spike() -> None:
    x = events(5, 4, 7)
    found = layer(count(Given(lambda net, x: net.lin(x), lin=nn.Linear(7, 3)), x), "lin")
    assert found.macs == 0
    assert found.acs == pytest.approx(3 * float(x.sum()) / 5)
    assert found.spared == 4 * 7 * 3
    assert found.rate == pytest.approx(float(x.mean()))
    assert (found.inputs, found.spike_inputs) == (0, 4 * 7)


def test_a_count_of_k_is_k_spikes() -> None:
    x = 0.25 * torch.tensor([[[0.0, 1, 3]], [[2, 0, 0]]])
    found = layer(count(Given(lambda net, x: net.lin(x), lin=nn.Linear(3, 10)), x), "lin")
    assert found.acs == 10 * 6 / 2


def test_a_layer_that_is_used_twice_has_its_weights_once() -> None:
    net = Given(lambda net, x: net.lin(net.lin(x)), lin=nn.Linear(4, 4))
    found = layer(count(net, torch.randn(3, 4)), "lin")
    assert (found.macs, found.weights, found.inputs) == (2 * 16, 16, 2 * 4)


@pytest.mark.parametrize(
    ("groups", "stride", "padding", "dilation"),
    [(1, 1, 0, 1), (2, 1, 2, 1), (4, 2, 3, 1), (1, 3, 1, 2)],
)
def test_a_convolution_counts_what_a_loop_over_spikes_counts(
    groups: int, stride: int, padding: int, dilation: int
) -> None:
    conv = nn.Conv1d(
        4, 8, 5, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=False
    )
    x = events(3, 4, 20)
    acs = 0
    for *_, t in x.nonzero().tolist():  # each spike reaches an output through each tap in range
        for tap in range(5):
            at = t + padding - tap * dilation
            acs += 8 // groups * (at % stride == 0 and 0 <= at // stride < conv(x).shape[2])
    found = layer(count(Given(lambda net, x: net.conv(x), conv=conv), x), "conv")
    assert found.acs == pytest.approx(acs / 3)
    assert found.spared == conv(x)[0].numel() * 4 // groups * 5
    assert found.weights == 8 * 4 // groups * 5


def test_a_transposed_convolution_counts_what_each_spike_reaches() -> None:
    conv = nn.ConvTranspose2d(2, 6, (1, 3), stride=(1, 2), bias=False)
    x = events(2, 2, 9)

    def run(net: nn.Module, x: Tensor) -> Tensor:
        return net.conv(x.unsqueeze(2))

    spiking = layer(count(Given(run, conv=conv), x), "conv")
    assert spiking.acs == pytest.approx(float(x.sum()) / 2 * 6 * 3)
    assert layer(count(Given(run, conv=conv), torch.randn(2, 2, 9)), "conv").macs == 2 * 9 * 6 * 3


def test_spikes_that_meet_spikes_are_counted_together() -> None:
    x = events(6, 4, 5)
    found = count(Given(lambda net, x: x @ x.mT), x).layers[0]
    assert found.kind == "product"
    assert found.acs == found.acs_both == pytest.approx(float((x @ x.mT).sum()) / 6)
    assert (found.spared, found.spared_both) == (0, 4 * 4 * 5)


def test_spikes_that_meet_numbers_add_them() -> None:
    x = events(6, 4, 5)
    found = count(Given(lambda net, x: x @ (x.mT + torch.pi)), x).layers[0]
    assert found.acs == pytest.approx(4 * float(x.sum()) / 6)
    assert (found.acs_both, found.spared, found.inputs) == (0, 4 * 4 * 5, 20)


def test_attention_is_two_products() -> None:
    def run(net: nn.Module, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x)

    found = count(Given(run), torch.randn(3, 2, 9, 4))
    assert found.macs == 2 * (2 * 9 * 9 * 4)


def test_a_mean_by_a_matrix_counts_where_it_is_not_zero() -> None:
    pool = torch.block_diag(torch.full((1, 4), 0.25), torch.full((1, 4), 0.25))
    numbers = count(Given(lambda net, x: pool @ x), torch.randn(3, 8, 5))
    assert numbers.macs == 8 * 5
    made = count(Given(lambda net, x: torch.eye(8).narrow(0, 0, 4) @ x), events(3, 8, 5))
    assert made.acs == pytest.approx(float(events(3, 8, 5)[:, :4].sum()) / 3)


def test_neurons_update_at_every_step_and_spike_as_measured() -> None:
    net = Given(
        lambda net, x: net.lin(net.lif(x.transpose(0, 1))[0]).mean(0),
        lif=always(4, every=2),
        lin=nn.Linear(4, 3),
    )
    found = count(net, torch.ones(5, 10, 4))  # 10 steps
    assert (found.n_steps, found.repeats, found.rate) == (10, True, 0.5)
    neurons, lin = layer(found, "lif"), layer(found, "lin")
    assert (neurons.membranes, neurons.macs, neurons.acs) == (40, 0, 40)  # nothing is forgotten
    assert (neurons.steps, lin.steps) == (10, 10)
    assert (lin.acs, lin.rate, lin.spared) == (20 * 3, 0.5, 40 * 3)
    net.lif = LIF(4, dt=0.001)
    assert layer(count(net, torch.ones(5, 10, 4)), "lif").macs == 40


def test_what_runs_once_is_told_from_what_runs_at_every_step() -> None:
    def run(net: nn.Module, x: Tensor) -> Tensor:
        x = net.stem(x).expand(6, *x.shape[:2], 4)
        x, _ = net.lif(x)
        x = net.flat(x.flatten(0, 1)).unflatten(0, (6, -1))
        return net.head((x + torch.pi).mean(dim=(0, 2)))

    parts = {
        "stem": nn.Linear(7, 4),
        "lif": always(4),
        "flat": nn.Linear(4, 4),
        "head": nn.Linear(4, 2),
    }
    found = count(Given(run, **parts), torch.rand(5, 3, 7))
    assert {c.layer: c.steps for c in found.layers} == {"stem": 1, "lif": 6, "flat": 6, "head": 1}


def test_a_twin_has_no_neurons_and_no_spikes() -> None:
    net = Given(
        lambda net, x: net.lin(net.lif(x.transpose(0, 1))[0]).mean(0),
        lif=LIF(4, dt=0.001),
        lin=nn.Linear(4, 3),
    )
    x = events(5, 10, 4)
    for form in ("relu", "qcfs"):
        set_form(net, form)
        found = count(net, x)
        assert [c.layer for c in found.layers] == ["lin"]
        assert (found.macs, found.acs, found.rate) == (10 * 4 * 3, 0, None)


def test_spiking_self_attention_by_hand() -> None:
    """All neurons spike at each of 2 steps, for 3 tokens of 4 features in 2 heads."""
    torch.manual_seed(0)
    population = Population("lif", {"threshold": 1e-4})
    mixer = SpikingSelfAttention(4, n_heads=2, dt=0.001, population=population)
    with torch.no_grad():
        mixer.project.weight.fill_(1)
        mixer.output.weight.fill_(1)
    x = torch.rand(5, 3, 4) + 1
    found = count(Given(lambda net, x: net.ssa(x.expand(2, *x.shape))[0].mean(0), ssa=mixer), x)
    assert found.rate == 1
    assert found.macs == 2 * 3 * (4 + 12 + 4)  # membranes alone
    assert layer(found, "ssa.project").acs == 2 * 3 * 4 * 12
    assert layer(found, "ssa.output").acs == 2 * 3 * 4 * 4
    # k^T v, 3 x 3 spikes a pair of features; then q spikes that meet the 3 that it counted
    both = 2 * 2 * (2 * 2 * 3) + 2 * 2 * (3 * 2 * 2) * 3
    assert layer(found, "ssa").acs == layer(found, "ssa").acs_both == both


@pytest.mark.parametrize("name", ["dbconformer", "eegnet", "spiking_dbconformer"])
def test_counts_do_not_depend_on_the_batch(name: str) -> None:
    torch.manual_seed(0)
    net, x = MODELS.get(name)(SPEC), torch.randn(6, 3, 128)
    together, alone = count(net, x), [count(net, window[None]) for window in x]
    assert together.macs == pytest.approx(sum(c.macs for c in alone) / 6)
    assert together.acs == pytest.approx(sum(c.acs for c in alone) / 6)
    for i, found in enumerate(together.layers):
        same = [c.layers[i] for c in alone]
        assert {(c.layer, c.kind, c.steps) for c in same} == {
            (found.layer, found.kind, found.steps)
        }
        for number in ("weights", "inputs", "outputs", "spikes", "membranes"):
            mean = sum(getattr(c, number) for c in same) / 6
            assert getattr(found, number) == pytest.approx(mean), (found.layer, number)


def test_counting_more_windows_than_a_batch_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, x = MODELS.get("eegnet")(SPEC), torch.randn(5, 3, 128)
    whole = count(net, x)
    monkeypatch.setattr("neurodecode.nn.count.BATCH", 2)
    assert count(net, x) == whole


def flops(net: nn.Module, x: Tensor) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(x)
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("name", ["eegnet", "shallow", "deep4"])
def test_nets_of_convolutions_agree_with_torch(name: str) -> None:
    spec = TaskSpec(ch_names=SPEC.ch_names, n_times=512, sfreq=128.0, n_outputs=2)
    net, x = MODELS.get(name)(spec), torch.randn(2, 3, 512)
    # the difference, because some multiply weights by weights, once for any number of windows
    assert count(net, x).macs == flops(net, x) - flops(net, x[:1])


def test_dbconformer_agrees_with_its_formula() -> None:
    """Two branches, four transformer layers in all, a head; 3 electrodes, 128 samples at 64 Hz."""
    net, x = MODELS.get("dbconformer")(SPEC), torch.randn(4, 3, 128)
    n_times, width, n_patches, n_chans, n_taps = 128, 40, 4, 3, 17
    assert net.filters.weight.shape == (width, n_taps)

    def transformer(n: int) -> int:
        """Queries, keys, values and output; feed-forward; two products of tokens."""
        return n * width * width * 4 + 2 * n * width * 4 * width + 2 * n * n * width

    in_time = n_times * width * (n_chans + n_taps + 1) + 2 * transformer(n_patches)
    taps, hops = net.electrode_filters.in_features, 128 // net.electrode_stride
    over_chans = n_chans * (hops * taps * 16 + 16 * width) + 2 * transformer(n_chans)
    scores = n_chans * (width * width + width + width)  # two layers, then the weighted mean
    head = 2 * width * 64 + 64 * 32 + 32 * 2
    assert count(net, x).macs == in_time + over_chans + scores + head


@pytest.mark.parametrize("part", [nn.LSTM, nn.GRU])
def test_recurrent_layers_are_counted(part: type[nn.RNNBase]) -> None:
    net = Given(lambda net, x: net.rnn(x)[0], rnn=part(5, 7, batch_first=True))
    gates = 4 if part is nn.LSTM else 3
    first = gates * 7 * 7  # with a state that is 0 for all windows
    assert count(net, torch.randn(3, 11, 5)).macs == 11 * gates * 7 * (5 + 7) - first


def test_torchs_own_transformer_is_counted() -> None:
    part = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    net = Given(lambda net, x: net.part(x), part=part)
    assert count(net, torch.randn(3, 5, 8)).macs == 5 * (4 * 8 * 8 + 2 * 8 * 16) + 2 * 5 * 5 * 8


def test_what_hides_products_is_named() -> None:
    found = count(Given(lambda net, x: torch.fft.rfft(x).abs()), torch.randn(2, 3, 8))
    assert found.unseen == ("_fft_r2c",)


def test_the_net_is_left_as_it_was() -> None:
    net = MODELS.get("dbconformer")(SPEC).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    count(net, torch.randn(2, 3, 128))
    assert net.training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
