"""What every spiking decoder owes: the same logits whole and in parts, on any window."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neurodecode.core.errors import ConfigError, NeurodecodeError, SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.encoders import ENCODERS
from neurodecode.nn.spiking.mixers import MIXERS
from neurodecode.nn.spiking.neurons import NEURONS, in_form, neurons_of
from neurodecode.nn.spiking.stateful import State
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

NAMES = ("maxformer_eeg", "sdt_eeg", "spikformer_eeg", "spiking_dbconformer", "spiking_eegnet",
         "spiking_lmu")  # fmt: skip
N_TIMES = 129  # odd, and no whole number of seconds


def spec(n_chans: int = 4, n_times: int = N_TIMES, sfreq: float = 64.0) -> TaskSpec:
    names = tuple(f"E{i}" for i in range(n_chans))
    return TaskSpec(ch_names=names, n_times=n_times, sfreq=sfreq, n_outputs=3)


def build(name: str, facts: TaskSpec | None = None, **options: Any) -> SpikingDecoder:
    torch.manual_seed(0)
    net = MODELS.get(name)(facts or spec(), **{"n_steps": 4, **options})
    assert isinstance(net, SpikingDecoder)
    return net


def lively(net: SpikingDecoder) -> SpikingDecoder:
    """With norms that know the data, so that neurons spike in evaluation too."""
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            part.momentum = 1.0
    with torch.no_grad():
        net(torch.randn(8, net.spec.n_chans, net.spec.n_times))
    return net.eval()


def in_parts(net: SpikingDecoder, x: torch.Tensor) -> torch.Tensor:
    state: State = None
    logits = []
    for part in net.time.parts:
        out, state = net.step(x[:, :, part], state)
        logits.append(out)
    return torch.stack(logits)


def test_these_are_all() -> None:
    built = {n for n in MODELS.names() if "nn.spiking" in Path(_file(n)).read_text("utf-8")}
    assert built == set(NAMES)


def _file(name: str) -> str:
    import neurodecode

    module = MODELS.find(name).module.split(".")[1:]
    return str(Path(neurodecode.__file__).parent.joinpath(*module).with_suffix(".py"))


@pytest.mark.parametrize("time", ["window", "stream"])
@pytest.mark.parametrize("name", NAMES)
def test_parts_give_the_logits_of_the_whole(name: str, time: str) -> None:
    net = lively(build(name, time=time))
    x = torch.randn(3, 4, N_TIMES)
    whole = net.steps(x)
    assert whole.shape == (net.time.n_steps, 3, 3)
    torch.testing.assert_close(in_parts(net, x), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(net(x), whole.mean(dim=0))


@pytest.mark.parametrize("name", NAMES)
def test_a_step_has_seen_nothing_that_comes_after_it(name: str) -> None:
    net = lively(build(name, n_steps=3, time="window"))
    x = torch.randn(2, 4, N_TIMES)
    changed = x.clone()
    changed[:, :, net.time.edges[1] :] = 5 * torch.randn(2, 4, N_TIMES - net.time.edges[1])
    before, after = net.steps(x), net.steps(changed)
    torch.testing.assert_close(before[0], after[0])
    assert not torch.allclose(before[1:], after[1:])


@pytest.mark.parametrize("time", ["repeat", "window", "stream"])
@pytest.mark.parametrize("name", NAMES)
def test_every_time_base_trains(name: str, time: str) -> None:
    net = build(name, time=time, n_steps=2)
    x, y = torch.randn(6, 4, N_TIMES), torch.arange(6) % 3
    for part in net.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    torch.nn.functional.cross_entropy(net(x), y).backward()
    idle = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@pytest.mark.parametrize(("n_chans", "n_times"), [(1, N_TIMES), (128, 128), (3, 67)])
@pytest.mark.parametrize("name", NAMES)
def test_any_channels_and_length(name: str, n_chans: int, n_times: int) -> None:
    net = build(name, spec(n_chans, n_times))
    assert net(torch.randn(2, n_chans, n_times)).shape == (2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_two_nets_share_no_state(name: str) -> None:
    one, two = lively(build(name)), lively(build(name))
    x = torch.randn(2, 4, N_TIMES)
    expected = two.steps(x)
    _, state = two.step(x[:, :, two.time.parts[0]])
    one.steps(torch.randn(2, 4, N_TIMES))
    one.step(x[:, :, one.time.parts[0]])
    assert torch.equal(two.steps(x), expected)
    out, _ = two.step(x[:, :, two.time.parts[1]], state)
    torch.testing.assert_close(out, expected[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_its_twin_has_its_shapes_and_no_spikes(name: str) -> None:
    net, twin = build(name), build(f"{name}:twin")
    assert {n: p.shape for n, p in net.named_parameters()} == {
        n: p.shape for n, p in twin.named_parameters()
    }
    assert {type(neuron).__name__ for _, neuron in neurons_of(twin)} == {"Relu"}
    twin.load_state_dict(net.state_dict(), strict=False)  # it has no time constants
    x = torch.randn(2, 4, N_TIMES)
    with in_form(net, "relu"):
        torch.testing.assert_close(net.eval()(x), twin.eval()(x))


@pytest.mark.parametrize("name", NAMES)
def test_another_number_of_steps_keeps_weights_and_times(name: str) -> None:
    net = build(name, time="repeat", n_steps=4)
    taus = {n: neuron.tau.clone() for n, neuron in neurons_of(net)}
    net.set_steps(1)
    assert net.steps(torch.randn(2, 4, N_TIMES)).shape == (1, 2, 3)
    windowed = build(name, time="window", n_steps=4)
    windowed.set_steps(2)
    fresh = build(name, time="window", n_steps=2)
    windowed.load_state_dict(fresh.state_dict())
    assert [n.dt for _, n in neurons_of(windowed)] == [n.dt for _, n in neurons_of(fresh)]
    assert all(torch.equal(n.tau, taus[name]) for name, n in neurons_of(net))


@pytest.mark.parametrize("mixer", ["lmu", "rwkv", "ssa"])
def test_a_net_with_its_steps_changed_is_the_net_built_with_them(mixer: str) -> None:
    options: dict[str, Any] = {"mixer": mixer, "encoder": "direct", "width": 16}
    if mixer == "lmu":
        options["mixer_options"] = {"theta": 3000.0}  # by default so many steps as it is built for
    changed, built = (build("spikformer_eeg", n_steps=n, **options) for n in (4, 2))
    lively(built)
    changed.load_state_dict(built.state_dict())
    changed.eval().set_steps(2)
    x = torch.randn(2, 4, N_TIMES)
    torch.testing.assert_close(changed(x), built(x))


def test_a_repeated_window_has_no_parts() -> None:
    net = build("spiking_eegnet", time="repeat")
    with pytest.raises(ConfigError, match="cannot take it in parts"):
        net.step(torch.randn(1, 4, 10))


@pytest.mark.parametrize("neuron", sorted(NEURONS.names()))
def test_any_neuron(neuron: str) -> None:
    net = build("spikformer_eeg", neuron=neuron, depth=1, width=16)
    logits = net(torch.randn(4, 4, N_TIMES))
    logits.square().sum().backward()
    assert logits.isfinite().all()


@pytest.mark.parametrize("mixer", sorted(MIXERS.names()))
@pytest.mark.parametrize("name", ["spikformer_eeg", "spiking_dbconformer"])
def test_any_mixer(name: str, mixer: str) -> None:
    net = lively(build(name, mixer=mixer, depth=1, width=16))
    x = torch.randn(2, 4, N_TIMES)
    torch.testing.assert_close(in_parts(net, x), net.steps(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("encoder", sorted(ENCODERS.names()))
def test_any_encoder_that_keeps_time(encoder: str) -> None:
    if ENCODERS.get(encoder)(1, dt=0.01).steps_per_sample > 1:
        with pytest.raises(ConfigError, match="steps for each sample"):
            build("spiking_eegnet", encoder=encoder)
        return
    for name in ("spiking_eegnet", "spiking_lmu"):
        net = lively(build(name, encoder=encoder))
        x = torch.randn(2, 4, N_TIMES)
        torch.testing.assert_close(in_parts(net, x), net.steps(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"neuron": "lift"}, "Did you mean 'lif'"),
        ({"neuron_options": {"tao": 1.0}}, "Did you mean 'tau'"),
        ({"mixer": "sas"}, "No mixer is called 'sas'"),
        ({"mixer_options": {"memory": "long"}}, "one of 'step', 'far'"),
        ({"n_steps": 0}, "leaves nothing to compute"),
        ({"n_steps": 1000}, "do not fit"),
        ({"time": "windows"}, "is not one of repeat, window, stream"),
        ({"encoder": "send_on_data"}, "Did you mean 'send_on_delta'"),
        ({"width": 41}, "cannot be shared"),
        ({"variant": "twins"}, "Did you mean 'twin'"),
    ],
)
def test_a_wrong_choice_is_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(NeurodecodeError, match=words) as said:
        build("spiking_dbconformer", **options)
    assert "\n" not in str(said.value)


def test_a_filter_longer_than_the_window_is_one_line() -> None:
    with pytest.raises(SignalError, match="kernel=0.252 s is longer"):
        build("spikformer_eeg", spec(n_times=12), n_steps=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_gives_the_same_probabilities(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((24, 4, 128)).astype(np.float32), np.arange(24) % 2
    options = {"neuron": "plif", "neuron_options": {"start": "mean", "learn_threshold": True}}
    decoder = Decoder(name, sfreq=64.0, options=options, train={"epochs": 1}).fit(x, y)
    checkpoint.save(decoder, tmp_path / "it.safetensors")
    again = checkpoint.load(tmp_path / "it.safetensors")
    assert np.array_equal(again.predict_proba(x), decoder.predict_proba(x))


def test_spiking_dbconformer_has_the_size_of_its_twin() -> None:
    """22 channels, 1000 samples at 250 Hz, 2 classes: 93,747 parameters in the twin."""
    facts = spec(22, 1000, 250.0)
    facts = TaskSpec(ch_names=facts.ch_names, n_times=1000, sfreq=250.0, n_outputs=2)
    size = [
        sum(p.numel() for p in MODELS.get(name)(facts).parameters())
        for name in ("spiking_dbconformer", "dbconformer")
    ]
    assert size[1] == 93_747
    assert abs(size[0] - size[1]) < 2_000


def test_channel_weights_add_up_to_one() -> None:
    net: Any = lively(build("spiking_dbconformer"))
    weights = net.channel_weights(torch.randn(3, 4, N_TIMES))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
