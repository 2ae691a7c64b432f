"""What every neuron owes: a memory in the caller's hands, gradients, and times in milliseconds."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.core.options import keywords
from neurodecode.nn.spiking.neurons import NEURONS, Neuron, Population, in_form
from neurodecode.nn.spiking.watch import watch

DT = 0.004
NAMES = NEURONS.names()
SPIKING = tuple(n for n in NAMES if n not in ("elm", "relu"))
TAU = tuple(n for n in NAMES if "tau" in keywords(NEURONS.get(n)))
LEARNED = ("learn_tau", "learn_threshold")
# An impulse is smoothed before it arrives: by nothing, here.
TIMED: dict[str, dict[str, Any]] = {
    "culif": {"tau_current": 0.01},
}


def build(name: str, n_features: int = 5, *, dt: float = DT, **options: Any) -> Neuron:
    torch.manual_seed(0)
    return NEURONS.get(name)(n_features, dt=dt, **options)


def currents(*shape: int, seed: int = 1) -> Tensor:
    """Some strong enough for several spikes, some negative."""
    return 1.5 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 0.5


def flat(state: Any) -> list[Tensor]:
    """Tensors of a state."""
    if isinstance(state, Tensor):
        return [state]
    return [] if state is None else [tensor for part in state for tensor in flat(part)]


def test_there_are_neurons() -> None:
    assert {"lif", "if", "plif", "relu", "culif", "arlif", "mpr", "integer"} <= set(NAMES)
    assert {"parallel", "ultra", "ultra_diffusion", "hoyer", "elm"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "shape", [(7, 3, 5), (7, 3, 4, 5), (1, 1, 1), (3, 2, 2, 3, 128), (0, 2, 5)]
)
def test_gives_what_it_takes_in_shape_and_type(name: str, shape: tuple[int, ...]) -> None:
    y, _ = build(name, shape[-1])(currents(*shape))
    assert y.shape == shape
    assert y.dtype == torch.float32
    assert y.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_works_in_double_precision(name: str) -> None:
    y, _ = build(name).double()(currents(6, 2, 5).double())
    assert y.dtype == torch.float64


@pytest.mark.parametrize("name", SPIKING)
def test_spikes_are_nothing_or_one_or_a_small_count(name: str) -> None:
    neuron = build(name).eval()
    assert neuron.is_spiking
    y, _ = neuron(currents(40, 8, 5))
    allowed = range(5) if name == "integer" else range(2)
    assert set(y.unique().tolist()) == set(allowed)


@pytest.mark.parametrize("name", ["elm", "relu"])
def test_what_does_not_spike_says_so(name: str) -> None:
    assert not build(name).is_spiking


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_currents_and_every_parameter(name: str) -> None:
    known = keywords(NEURONS.get(name))
    options: dict[str, Any] = {option: True for option in LEARNED if option in known}
    if name in ("if", "mpr"):  # by default they never forget, and that cannot be learned
        options["tau"] = 10.0
    neuron, x = build(name, **options), currents(20, 6, 4, 5).requires_grad_()
    y, _ = neuron(x)
    (y * torch.randn_like(y)).sum().backward()
    assert x.grad is not None
    assert x.grad.any(dim=(0, 1, 2)).all()
    assert x.grad.isfinite().all()
    idle = [n for n, p in neuron.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("relu", "hoyer")])
def test_gradients_reach_currents_of_earlier_steps(name: str) -> None:
    x = currents(5, 16, 5).requires_grad_()
    y, _ = build(name)(x)
    y[-1].sum().backward()
    assert x.grad is not None
    assert x.grad[0].any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cut", [0, 1, 16, 32, 40, 70, 71])
def test_two_parts_equal_the_whole(name: str, cut: int) -> None:
    neuron, x = build(name).eval(), currents(71, 3, 4, 5)
    whole, end = neuron(x)
    left, state = neuron(x[:cut])
    right, state = neuron(x[cut:], state)
    torch.testing.assert_close(torch.cat([left, right]), whole)
    for ours, theirs in zip(flat(state), flat(end), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_steps_one_by_one_equal_the_whole(name: str) -> None:
    neuron, x = build(name).eval(), currents(9, 2, 5)
    state, spikes = None, []
    for current in x:
        s, state = neuron.step(current, state)
        spikes.append(s)
    torch.testing.assert_close(torch.stack(spikes), neuron(x)[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_trial_is_the_same_alone_and_in_a_batch(name: str) -> None:
    neuron, x = build(name).eval(), currents(30, 4, 5)
    torch.testing.assert_close(neuron(x[:, 1:2])[0], neuron(x)[0][:, 1:2])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_stays_between_calls_nor_between_nets(name: str) -> None:
    one, other, x = build(name).eval(), build(name).eval(), currents(30, 4, 5)
    first, state = one(x)
    kept = [tensor.clone() for tensor in flat(state)]
    other(currents(30, 4, 5, seed=2))
    torch.testing.assert_close(one(x)[0], first, rtol=0, atol=0)
    one(currents(30, 4, 5, seed=3), state)
    for now, before in zip(flat(state), kept, strict=True):
        torch.testing.assert_close(now, before, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_currents_are_left_as_they_were(name: str) -> None:
    x = currents(10, 3, 5)
    before = x.clone()
    build(name)(x)
    torch.testing.assert_close(x, before, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_weights_can_be_kept_and_loaded(name: str) -> None:
    trained, fresh, x = build(name), build(name), currents(30, 4, 5)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(0.3)
    trained(x)  # whatever is a running mean runs
    fresh.load_state_dict(copy.deepcopy(trained.state_dict()))
    torch.testing.assert_close(fresh.eval()(x)[0], trained.eval()(x)[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", SPIKING)
def test_membranes_are_handed_over_where_they_are_asked_for(name: str) -> None:
    neuron, x = build(name).eval(), currents(12, 3, 5)
    plain, _ = neuron(x)
    with watch(neuron, membranes=True) as watched:
        seen, _ = neuron(x)
    torch.testing.assert_close(seen, plain, rtol=0, atol=0)
    assert torch.cat(watched.membranes[""]).shape == x.shape


@pytest.mark.parametrize("name", NAMES)
def test_forms_of_training_have_no_memory(name: str) -> None:
    neuron, x = build(name), currents(6, 3, 5)
    with in_form(neuron, "relu"):
        torch.testing.assert_close(neuron(x)[0], x.relu())
    with in_form(neuron, "qcfs", levels=4):
        stairs, state = neuron(x)
    assert state is None
    assert len((stairs / neuron.height()).unique()) == 5
    assert neuron.form == ("relu" if name == "relu" else "spiking")


@pytest.mark.parametrize("name", [name for name in TAU if name in SPIKING])
def test_membranes_forget_by_the_millisecond_and_not_by_the_step(name: str) -> None:
    """An impulse too small for a spike is, after 40 ms, what e^(-t / tau) leaves of it."""
    left = []
    for dt in (0.004, 0.002):
        n_steps = round(0.040 / dt) + 1
        neuron = build(name, 2, dt=dt, tau=20.0, **TIMED.get(name, {})).eval()
        x = torch.zeros(n_steps, 1, 2)
        x[0] = 0.4
        if name == "ultra":  # its currents are what the membrane is compared with
            x[1:] = -100.0
            with torch.no_grad():
                neuron.log_epsilon.fill_(-8.0)
        with watch(neuron, membranes=True) as watched:
            spikes, _ = neuron(x)
        assert not spikes.any()
        left.append(torch.cat(watched.membranes[""])[-1])
    torch.testing.assert_close(left[0], left[1], rtol=1e-4, atol=1e-6)
    expected = 0.4 - 2 if name == "ultra" else 0.4 * 0.1353353
    torch.testing.assert_close(left[0], torch.full((1, 2), expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", TAU)
def test_a_longer_step_after_building_forgets_more(name: str) -> None:
    """Decoders change `dt` of fitted neurons; time constants stay."""
    x = currents(20, 3, 5)
    options = {"tau": 20.0} | ({"tau_current": 9.0} if name == "culif" else {})
    changed, fresh = build(name, **options).eval(), build(name, dt=0.01, **options).eval()
    fresh.load_state_dict(changed.state_dict())
    changed.dt = 0.01
    torch.testing.assert_close(changed(x)[0], fresh(x)[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_an_option_that_there_is_not_is_one_clear_line(name: str) -> None:
    with pytest.raises(
        UnknownName, match=rf"No option of neuron_options of {name} is called 'ta_u'"
    ):
        Population(name, {"ta_u": 20.0}).make(5, dt=DT)


@pytest.mark.parametrize("name", TAU)
def test_a_time_constant_that_is_not_positive_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="must be positive|two positive numbers"):
        Population(name, {"tau": -1.0}).make(5, dt=DT)
    with pytest.raises(ConfigError, match="neuron_options of .* tau = 'fast' is not a number"):
        Population(name, {"tau": "fast"}).make(5, dt=DT)


@pytest.mark.parametrize("name", NAMES)
def test_wishes_of_a_net_reach_the_neurons_that_know_them(name: str) -> None:
    neuron = Population(name).make(5, dt=DT, threshold=0.7, nothing=1)
    if "threshold" in keywords(NEURONS.get(name)):
        at = neuron.threshold if isinstance(neuron.threshold, Tensor) else neuron.threshold()
        torch.testing.assert_close(at, torch.full_like(at, 0.7))
