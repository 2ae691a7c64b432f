"""What is written as NIR and read back spikes as the net does; the rest is refused."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from neurodecode.core.errors import ConfigError
from neurodecode.core.spec import TaskSpec
from neurodecode.epochs.windows import cut_windows
from neurodecode.export import reference
from neurodecode.export.nir import count_weights, node_name, read, to_graph, write
from neurodecode.export.parity import compare, precise, random_windows
from neurodecode.models import MODELS
from neurodecode.models.spiking_eegnet import SpikingEEGNet
from neurodecode.nn.spiking.neurons import NEURONS, set_form
from neurodecode.nn.spiking.stateful import Chain, FeatureNorm
from neurodecode.nn.spiking.watch import watch
from neurodecode.recordings.read import read_raw

SPEC = TaskSpec(ch_names=("C3", "Cz", "C4", "Pz"), n_times=96, sfreq=64.0, n_outputs=3)
DT = 0.004
HARD = {"reset": "hard"}
Array = NDArray[Any]


def neuron(name: str, n_features: int, **options: Any) -> nn.Module:
    return NEURONS.get(name)(n_features, dt=DT, **{**HARD, **options})


def eegnet(spec: TaskSpec = SPEC, **options: Any) -> SpikingEEGNet:
    """A net with weights and batch norms that make it spike."""
    torch.manual_seed(0)
    how: dict[str, Any] = {"stride": 1, "time": "stream", **options}
    how["neuron_options"] = {**HARD, **how.get("neuron_options", {})}
    net = SpikingEEGNet(spec, **how)
    for norm in (part for part in net.modules() if isinstance(part, FeatureNorm)):
        nn.init.uniform_(norm.weight, 1, 3)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    net(torch.randn(8, spec.n_chans, spec.n_times))  # for the running statistics
    return net.eval()


def written(graph: Any, folder: Path) -> Any:
    write(graph, folder / "net.nir")
    return read(folder / "net.nir")


NETS: list[dict[str, Any]] = [
    *({"neuron": name} for name in ("lif", "if", "plif", "culif")),
    {"neuron": "lif", "neuron_options": {"tau": 30.0, "weigh": True, "threshold": 0.1}},
    {"neuron": "plif", "neuron_options": {"learn_threshold": True}},
    {
        "neuron": "plif",
        "neuron_options": {"learn_threshold": True, "threshold": 0.7, "surrogate": "trsg"},
    },
    {
        "neuron": "culif",
        "neuron_options": {
            "tau": 20.0, "tau_current": 10.0, "learn_tau": True, "weigh": True, "threshold": 0.1,
        },
    },
    {"neuron": "lif", "time": "window", "n_steps": 4},
]  # fmt: skip


@pytest.mark.parametrize("options", NETS, ids=str)
def test_a_decoder_comes_back_spike_for_spike(options: dict[str, Any], tmp_path: Path) -> None:
    net = eegnet(**options)
    rng = np.random.default_rng(0)
    mean, scale = rng.normal(0, 100, (4, 1)), rng.uniform(2, 20, (4, 1))
    graph = written(to_graph(net, mean=mean, scale=scale), tmp_path)
    found = compare(net, graph, random_windows(3, SPEC.n_times, mean, scale), mean, scale)
    assert found.n_steps == 3 * 96 * 32
    assert found.n_spikes > 300
    assert found.differing == 0
    assert found.differing_single <= 1e-3 * found.n_steps
    assert found.max_logit_difference < 1e-5


def test_real_windows_come_back_spike_for_spike(real: Path, tmp_path: Path) -> None:
    raw = read_raw(real / "eegmmidb/MNE-eegbci-data/files/eegmmidb/1.0.0/S001/S001R04.edf")
    x = cut_windows(raw.get_data(), 320 * np.arange(10), n_times=320, sfreq=160.0)
    mean, scale = x.mean(axis=(0, 2))[:, None], x.std(axis=(0, 2))[:, None]
    spec = TaskSpec(ch_names=tuple(raw.ch_names), n_times=320, sfreq=160.0, n_outputs=2)
    net = eegnet(spec, neuron="plif")
    graph = written(to_graph(net, mean=mean, scale=scale), tmp_path)
    found = compare(net, graph, x, mean, scale)
    assert (found.n_steps, found.differing) == (10 * 320 * 32, 0)
    assert found.n_spikes > 5000
    assert found.max_logit_difference < 1e-4


@pytest.mark.parametrize("name", ["lif", "if", "plif", "culif"])
def test_single_precision_is_exact_where_sums_are(name: str, tmp_path: Path) -> None:
    """Weights and inputs of few bits add up exactly in any order, and so membranes are alike."""
    torch.manual_seed(0)
    net = Chain(nn.Linear(6, 12), neuron(name, 12), nn.Dropout(), nn.Linear(12, 5), neuron(name, 5))
    for p in (p for part in net.parts if isinstance(part, nn.Linear) for p in part.parameters()):
        nn.init.normal_(p, std=1.0)
        p.data = (4 * p.data).round() / 4
    x = torch.randint(-4, 5, (200, 16, 6)) / 4
    graph = written(to_graph(net), tmp_path)
    with torch.no_grad(), watch(net.eval(), membranes=True) as watched:
        net(x)
    made = reference.run(graph, x.numpy(), dt=float(graph.metadata["dt"]))
    for module, (spikes,) in watched.spikes.items():
        assert spikes.mean() > 0.01
        np.testing.assert_array_equal(made[node_name(module)], spikes.numpy())
    if name == "if":  # membranes end on the threshold itself, where it is spiked and NIR does not
        assert sum(int((h[0] == 1).sum()) for h in watched.membranes.values()) > 100


def test_batch_norms_are_folded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Chain(FeatureNorm(4), nn.Linear(4, 8), FeatureNorm(8), neuron("lif", 8), FeatureNorm(8))
    for norm in (part for part in net.parts if isinstance(part, FeatureNorm)):
        nn.init.uniform_(norm.weight, 1, 3)
        nn.init.uniform_(norm.bias, -1, 1)
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    net.eval()
    graph = written(to_graph(net), tmp_path)
    kinds = [type(graph.nodes[f"parts_{i}"]).__name__ for i in (0, 1, 3, 4)]
    assert kinds == ["Affine", "Affine", "LIF", "Affine"]
    assert len(graph.nodes) == 6
    x = 2 * torch.randn(100, 3, 4, dtype=torch.float64)
    with torch.no_grad():
        expected = precise(net)(x)[0]
        single = net(x.float())[0]
    found = reference.run(graph, x.numpy(), dt=DT)["output"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.isclose(found, single, atol=1e-4).mean() > 0.999


def test_constants_are_those_of_the_equations() -> None:
    lif = to_graph(Chain(neuron("lif", 2, tau=20.0))).nodes["parts_0"]
    np.testing.assert_allclose(lif.tau, 0.020, rtol=1e-6)
    np.testing.assert_allclose(lif.r * (1 - np.exp(-DT / 0.020)), 1, rtol=1e-6)
    weighed = to_graph(Chain(neuron("lif", 2, tau=20.0, weigh=True))).nodes["parts_0"]
    np.testing.assert_allclose(weighed.r, 1, rtol=1e-6)
    assert lif.v_threshold.tolist() == [np.nextafter(np.float32(1), np.float32(0))] * 2
    assert (lif.v_leak.tolist(), lif.v_reset.tolist()) == ([0, 0], [0, 0])
    culif = to_graph(Chain(neuron("culif", 2, tau=20.0, tau_current=5.0))).nodes["parts_0"]
    np.testing.assert_allclose((culif.tau_mem[0], culif.tau_syn[0]), (0.020, 0.005), rtol=1e-6)
    np.testing.assert_allclose(culif.w_in * (1 - np.exp(-DT / 0.005)), 1, rtol=1e-6)
    assert to_graph(Chain(neuron("if", 2))).nodes["parts_0"].r.tolist() == [1 / DT] * 2
    assert type(to_graph(Chain(neuron("lif", 2, tau=np.inf))).nodes["parts_0"]).__name__ == "IF"


def test_facts_come_back_and_the_net_stays_as_it_was(tmp_path: Path) -> None:
    net = eegnet()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    graph = written(to_graph(net, facts={"classes": "a,b", "sfreq": 64.0}), tmp_path)
    assert graph.metadata == {"classes": "a,b", "sfreq": 64.0, "dt": 1 / 64}
    assert len(graph.edges) == len(graph.nodes) - 1 == 13
    assert (graph.nodes["temporal_delays"].delay.max() * 64).tolist() == 31
    taps = 16 * 32
    dense = net.spatial.mix.weight.numel() + 16 * 16 + 3 * 16
    assert count_weights(graph) == 4 * taps + dense + 16 + 16 + 3
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def twin() -> nn.Module:
    return MODELS.get("spiking_eegnet:twin")(SPEC, stride=1)


def in_form() -> nn.Module:
    net = eegnet()
    set_form(net, "qcfs")
    return net


def relaxed(**options: Any) -> Any:
    return lambda: eegnet(neuron_options=options)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (relaxed(reset="soft"), "temporal_spikes has reset='soft', and in NIR a spike sets the me"),
        (relaxed(reset="none"), "reset='none'.* Fit it with reset='hard' in neuron_options"),
        (relaxed(start="half"), "start='half', and in NIR membranes begin at rest. Fit it with st"),
        (relaxed(start="mean"), "start='mean'"),
        (lambda: eegnet(time="repeat"), "time='repeat' gives a whole window at every step, and"),
        (lambda: eegnet(stride=4), "stride=4 makes .* every 4 samples, and NIR has one clock. Fit"),
        (lambda: eegnet(time="window", n_steps=5), "5 steps cut 96 samples into unequal parts"),
        (lambda: eegnet(encoder="send_on_delta"), "The encoder SendOnDelta makes events before"),
        (twin, "NIR has no neuron like 'relu' .temporal_spikes.. Fit it with neuron='lif', 'if'"),
        (in_form, "temporal_spikes is in the form 'qcfs' and does not spike"),
        (lambda: Chain(NEURONS.get("arlif")(3, dt=DT)), "no neuron like 'arlif' .parts.0."),
        (lambda: Chain(NEURONS.get("parallel")(3, dt=DT)), "no neuron like 'parallel'"),
        (lambda: Chain(neuron("culif", 2, tau=np.inf)), "keep 1 to 1 of themselves over a step"),
        (lambda: MODELS.get("sdt_eeg")(SPEC), "mixes tokens .*no product of two activations"),
        (lambda: MODELS.get("dbconformer")(SPEC), "DBConformer is a net of which nobody has said"),
        (object, "object is not a net, and NIR describes nets. Export spiking_eegnet"),
        (lambda: Chain(nn.ReLU(), neuron("lif", 2)), "parts_0 is a ReLU, which NIR export does no"),
        (lambda: Chain(nn.Linear(2, 2)), "one clock, and the net's populations have steps of: no"),
        (
            lambda: Chain(neuron("lif", 2), NEURONS.get("lif")(2, dt=0.001, reset="hard")),
            "one clock, and the net's populations have steps of: 1 ms, 4 ms",
        ),
    ],
)  # fmt: skip
def test_what_nir_cannot_express_is_refused(make: Any, words: str) -> None:
    net = make()
    with pytest.raises(ConfigError, match=words) as refused:
        to_graph(net)
    assert "\n" not in str(refused.value)


def test_without_nir_the_way_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ConfigError, match=r"pip install -c constraints.txt \"\.\[export\]\""):
        to_graph(eegnet())
