"""Losses, penalties and schemes of spiking decoders."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.neurons import neurons_of
from neurodecode.nn.spiking.watch import Watched, watch
from neurodecode.training.net import fit_net
from neurodecode.training.objective import Objective, Teacher
from neurodecode.training.penalties import PENALTIES, choose_penalties
from neurodecode.training.schemes import SCHEMES, choose_scheme

SPEC = TaskSpec(ch_names=("C3", "C4"), n_times=64, sfreq=64.0, n_outputs=2)


def windows(n: int = 48, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).standard_normal((n, 2, 64)).astype(np.float32)
    y = np.arange(n) % 2
    x[y == 1, 0] *= 4
    return x, y


def build(**options: Any) -> SpikingDecoder:
    torch.manual_seed(0)
    net = MODELS.get("spiking_eegnet")(SPEC, **{"n_filters": 4, "dropout": 0.0, **options})
    assert isinstance(net, SpikingDecoder)
    return net


def fit(net: SpikingDecoder, **train: Any) -> dict[str, list[float]]:
    train = {"epochs": 12, "lr": 0.02, "batch_size": 16, **train}
    return fit_net(net, *windows(), *windows(24, seed=1), **train)


def accuracy(net: SpikingDecoder) -> float:
    x, y = windows(40, seed=2)
    with torch.inference_mode():
        return float((net(torch.from_numpy(x)).argmax(1).numpy() == y).mean())


@pytest.mark.parametrize("scheme", sorted(SCHEMES.names()))
def test_every_scheme_ends_with_a_net_that_spikes_and_decodes(scheme: str) -> None:
    options: dict[str, Any] = {"n_steps": 2}
    if scheme == "convert":
        options = {"time": "repeat", "n_steps": 4, "neuron": "if"}
        options["neuron_options"] = {"start": "half", "surrogate": "trsg"}
    net = build(**options)
    steps = net.time
    history = fit(net, scheme=scheme, epochs=16)
    assert net.time == steps
    assert {neuron.form for _, neuron in neurons_of(net)} == {"spiking"}
    assert 1 <= history["best_epoch"][0] <= len(history["train_loss"]) <= 18
    assert len(history["train_loss"]) == len(history["val_loss"])
    assert not net.training
    with watch(net) as watched:
        assert accuracy(net) > 0.8
    for spikes in watched.spikes.values():
        assert torch.isin(spikes[0], torch.tensor([0.0, 1.0])).all()  # thresholds are 1


def test_a_scheme_is_repeatable() -> None:
    nets = [build(n_steps=2), build(n_steps=2)]
    for net in nets:
        torch.rand(3)
        fit(net, scheme="ann", epochs=4)
    pairs = zip(nets[0].parameters(), nets[1].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_twin_is_trained_first_and_hands_its_weights_on() -> None:
    seen: list[tuple[str, set[str], set[str]]] = []
    weights: list[Tensor] = []

    def train(net: Any, share: float, stage: str, teacher: Teacher | None = None) -> Any:
        taught = {n.form for _, n in neurons_of(teacher.net)} if teacher else set()
        seen.append((stage, {n.form for _, n in neurons_of(net)}, taught))
        weights.append(net.spatial.mix.weight.detach().clone())
        with torch.no_grad():
            net.spatial.mix.weight += 1
        return {"train_loss": [1.0, 0.5], "val_loss": [], "best_epoch": [2.0]}

    history = choose_scheme("distil")(build(), train)
    assert seen == [("twin", {"relu"}, set()), ("spiking", {"spiking"}, {"relu"})]
    torch.testing.assert_close(weights[1], weights[0] + 1)
    assert history["best_epoch"] == [4.0]


def test_steps_are_taken_away_one_by_one() -> None:
    seen = []

    def train(net: Any, share: float, stage: str, teacher: Teacher | None = None) -> Any:
        seen.append((net.time.n_steps, round(share, 3)))
        return {"train_loss": [1.0], "val_loss": [], "best_epoch": [1.0]}

    choose_scheme({"reduce": {"start": 4, "share": 0.4}})(build(n_steps=1), train)
    assert seen == [(4, 0.4), (3, 0.2), (2, 0.2), (1, 0.2)]


def test_conversion_of_one_layer_is_exact() -> None:
    """With a constant input, spikes of height h over T steps add up to the staircase times T."""
    from neurodecode.nn.spiking.neurons import NEURONS, in_form

    neuron = NEURONS.get("if")(3, dt=1.0, start="half", threshold=0.7, surrogate="trsg")
    x = torch.linspace(-0.5, 1.4, 60).view(1, 20, 3)
    with in_form(neuron, "qcfs", levels=4):
        stairs, _ = neuron(x)
    spikes, _ = neuron(x.expand(4, 20, 3))
    torch.testing.assert_close(spikes.mean(dim=0), stairs[0])


@pytest.mark.parametrize(
    ("scheme", "options", "words"),
    [
        ("convert", {}, "Conversion needs a constant input"),
        ("convert", {"time": "repeat"}, "Conversion needs a constant input"),
        (
            "convert",
            {"time": "repeat", "neuron_options": {"start": "half", "surrogate": "trsg"}},
            "neurons that never forget",
        ),
        ("reduce", {"n_steps": 4}, "starts with 4 steps, and the net has 4"),
        ("reduce", {"time": "stream"}, "starts with 4 steps"),
    ],
)
def test_a_net_that_a_scheme_cannot_fit_is_one_line(
    scheme: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        fit(build(**options), scheme=scheme, epochs=1)


@pytest.mark.parametrize("options", [{"share": 0.0}, {"share": 3.0}, {"weight": 2.0}])
def test_a_share_out_of_range_is_one_line(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be above 0 and at most 1"):
        fit(build(), scheme={"distil": options}, epochs=1)


@pytest.mark.parametrize("name", sorted(PENALTIES.names()))
def test_a_twin_has_no_penalties_and_no_scheme(name: str) -> None:
    plain, held = build(variant="twin"), build(variant="twin")
    fit(plain, epochs=2)
    fit(held, epochs=2, penalties=[name], scheme="ann")
    assert torch.equal(plain.readout.weight, held.readout.weight)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("directs", "Did you mean 'direct'"),
        ({"ann": {"shares": 0.5}}, "Did you mean 'share'"),
        ({"ann": 0.5}, r"write scheme.ann.OPTION"),
        ({"ann": {}, "distil": {}}, "Name one scheme"),
    ],
)
def test_a_wrong_scheme_is_one_line(choice: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        choose_scheme(choice)


@pytest.mark.parametrize("name", sorted(PENALTIES.names()))
def test_every_penalty_trains_and_is_not_negative(name: str) -> None:
    net = build(n_steps=3)
    (penalty,) = choose_penalties([name])
    with watch(net, membranes=True) as watched:
        steps = net.steps(torch.from_numpy(windows(8)[0]))
    value = penalty(watched, steps)
    assert value.shape == ()
    assert value >= 0
    if value > 0:
        value.backward()
        assert any(p.grad is not None and p.grad.any() for p in net.parameters())


def watched(spikes: Tensor | None = None, membranes: Tensor | None = None) -> Watched:
    found = Watched()
    if spikes is not None:
        found.spikes["a"] = [spikes]
    if membranes is not None:
        found.membranes["a"] = [membranes]
    return found


def test_rates_below_the_budget_cost_nothing() -> None:
    (rate,) = choose_penalties({"rate": {"target": 0.2, "weight": 3.0}})
    steps = torch.zeros(2, 1, 2)
    assert rate(watched(torch.tensor([[1.0], [0.0], [0.0], [0.0], [0.0]])), steps) == 0
    half = torch.tensor([[1.0], [0.0]])
    torch.testing.assert_close(rate(watched(half), steps), torch.tensor(3 * 0.3**2))


def test_membranes_at_rest_and_at_the_threshold_cost_nothing() -> None:
    (membrane,) = choose_penalties({"membrane": {"weight": 1.0}})
    steps = torch.zeros(2, 1, 2)
    assert membrane(watched(membranes=torch.tensor([0.0, 1.0])), steps) == 0
    between = watched(membranes=torch.tensor([0.5, 1.25]))
    torch.testing.assert_close(membrane(between, steps), torch.tensor((0.25 + 0.0625) / 2))


def test_hoyer_is_that_of_the_clipped_membranes() -> None:
    (hoyer,) = choose_penalties({"hoyer": {"weight": 1.0}})
    found = hoyer(watched(membranes=torch.tensor([0.5, -3.0, 4.0])), torch.zeros(1, 1, 2))
    torch.testing.assert_close(found, torch.tensor(1.5**2 / 1.25))


def test_decisions_that_never_change_cost_nothing() -> None:
    (aoi,) = choose_penalties({"aoi": {"weight": 1.0}})
    same = torch.tensor([[[1.0, 0.0]], [[3.0, 1.0]]])
    torch.testing.assert_close(aoi(Watched(), same), torch.tensor(0.0))
    turned = torch.tensor([[[1.0, 0.0]], [[0.0, 3.0]]])
    torch.testing.assert_close(aoi(Watched(), turned), torch.tensor(2.0))


def test_a_spike_budget_lowers_the_rates() -> None:
    free, held = build(), build()
    fit(free)
    fit(held, penalties={"rate": {"target": 0.02, "weight": 20.0}})
    rates = []
    for net in (free, held):
        with watch(net) as seen, torch.no_grad():
            net(torch.from_numpy(windows()[0]))
        rates.append(float(torch.stack([s[0].mean() for s in seen.spikes.values()]).mean()))
    assert rates[1] < 0.8 * rates[0]


def test_tet_is_the_mean_of_the_steps_cross_entropies() -> None:
    net = build(n_steps=3)
    x, y = windows(6)
    x, y = torch.from_numpy(x), torch.nn.functional.one_hot(torch.from_numpy(y), 2).float()
    mean, tet = (Objective(class_weights=torch.ones(2), loss=loss) for loss in ("mean", "tet"))
    each = [torch.nn.functional.cross_entropy(step, y) for step in net.steps(x)]
    torch.testing.assert_close(tet(net, x, y), torch.stack(each).mean())
    expected = torch.nn.functional.cross_entropy(net(x), y)
    torch.testing.assert_close(mean(net, x, y), expected)
    assert not torch.allclose(mean(net, x, y), tet(net, x, y))


def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn_from_it() -> None:
    net = build().eval()
    x, _ = windows(6)
    teacher = Teacher(net=net)
    torch.testing.assert_close(
        teacher.loss(torch.from_numpy(x), net(torch.from_numpy(x))), torch.tensor(0.0)
    )
    assert teacher.loss(torch.from_numpy(x), torch.randn(6, 2)) > 0


def test_watching_changes_nothing_and_ends() -> None:
    net = build().eval()
    x = torch.from_numpy(windows(6)[0])
    expected = net(x)
    with watch(net, membranes=True) as seen:
        assert torch.equal(net(x), expected)
    net(x)
    for name, neuron in neurons_of(net):
        assert len(seen.spikes[name]) == len(seen.membranes[name]) == 1
        assert torch.equal((seen.membranes[name][0] >= 1).float(), seen.spikes[name][0])
        assert neuron.notes is None


def test_conventional_nets_ignore_what_is_for_spikes() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(128, 2))
    choices: dict[str, Any] = {"loss": "tet", "scheme": "ann", "penalties": ["rate"]}
    again = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(128, 2))
    again.load_state_dict(net.state_dict())
    fit_net(net, *windows(), epochs=2)
    fit_net(again, *windows(), epochs=2, **choices)
    assert torch.equal(net[1].weight, again[1].weight)


def test_an_unknown_penalty_is_one_line() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'membrane'"):
        choose_penalties(["membranes"])
    with pytest.raises(ConfigError, match="write penalties.rate.OPTION"):
        choose_penalties({"rate": 0.1})
