"""Neurons whose answers are known: from a closed form, by hand, or from another neuron."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.neurons import NEURONS
from neurodecode.nn.spiking.neurons.arlif import AdaptiveResetLIF
from neurodecode.nn.spiking.neurons.culif import CurrentLIF
from neurodecode.nn.spiking.neurons.elm import ExpressiveLeakyMemory
from neurodecode.nn.spiking.neurons.hoyer import Hoyer, hoyer_extremum, hoyer_penalty
from neurodecode.nn.spiking.neurons.integer import IntegerLIF, unfold
from neurodecode.nn.spiking.neurons.lif import LIF
from neurodecode.nn.spiking.neurons.mpr import RectifiedLIF, rectify
from neurodecode.nn.spiking.neurons.parallel import ParallelLIF
from neurodecode.nn.spiking.neurons.ultra import UltraDiffusionLIF, UltraLIF, binarity
from neurodecode.nn.spiking.surrogates import spikes as fired
from neurodecode.nn.spiking.surrogates import surrogate
from neurodecode.nn.spiking.watch import watch

HALVES = 1 / math.log(2)  # ms, with steps of 1 ms


def signal(*shape: int, seed: int = 0) -> Tensor:
    return 1.5 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 0.5


def membranes(neuron: nn.Module, x: Tensor) -> Tensor:
    with watch(neuron, membranes=True) as watched:
        neuron(x)
    return torch.cat(watched.membranes[""])


# LIF and its kin


@pytest.mark.parametrize("current", [1.1, 2.0, 10.0])
@pytest.mark.parametrize("tau", [10.0, 50.0])
@pytest.mark.parametrize("dt", [0.001, 0.0005])
def test_first_spike_comes_when_the_equation_says(current: float, tau: float, dt: float) -> None:
    """Under a constant current i, v(t) = i (1 - exp(-t / tau)) reaches 1 at tau ln(i / (i - 1))."""
    spikes, _ = LIF(1, dt=dt, tau=tau, weigh=True)(torch.full((600, 1, 1), current))
    expected = tau * 1e-3 * math.log(current / (current - 1))
    assert int(spikes.flatten().nonzero()[0]) == math.ceil(expected / dt) - 1


@pytest.mark.parametrize("current", [0.3, 0.125, 1.0])
def test_integrate_and_fire_spikes_as_often_as_currents_reach_the_threshold(current: float) -> None:
    x = torch.full((100, 1, 1), current, dtype=torch.float64)
    spikes, _ = NEURONS.get("if")(1, dt=0.001).double()(x)
    assert int(spikes.flatten().nonzero()[0]) == math.ceil(1 / current) - 1
    assert abs(float(spikes.sum()) - 100 * current) <= 1


@pytest.mark.parametrize(("reset", "expected"), [("soft", 0.7), ("hard", 0.0), ("none", 1.7)])
def test_a_spike_takes_away_what_its_reset_says(reset: Any, expected: float) -> None:
    spikes, v = LIF(1, dt=0.001, reset=reset)(torch.full((1, 1, 1), 1.7))
    assert float(spikes) == 1
    assert float(v) == pytest.approx(expected)


def test_time_constants_of_plif_are_milliseconds_spread_over_features() -> None:
    neuron = NEURONS.get("plif")(4, dt=0.004)
    expected = torch.tensor([5.0, 5 * 100 ** (1 / 3), 5 * 100 ** (2 / 3), 500.0])
    torch.testing.assert_close(neuron.tau.detach(), expected)
    torch.testing.assert_close(neuron.decay().detach(), torch.exp(-4 / expected))
    assert isinstance(neuron.log_tau, nn.Parameter)


def test_by_default_a_membrane_forgets_in_twenty_milliseconds() -> None:
    assert float(LIF(3, dt=0.02).decay()) == pytest.approx(math.exp(-1))


def test_slow_steps_learn_slow_time_constants() -> None:
    tau = NEURONS.get("plif")(3, dt=1.0).tau.detach()
    torch.testing.assert_close(tau, torch.tensor([500.0, 500 * 10**0.5, 5000.0]))


def test_a_fixed_time_constant_is_kept_with_the_weights() -> None:
    slow, fast = LIF(3, dt=0.001, tau=50.0), LIF(3, dt=0.001)
    fast.load_state_dict(slow.state_dict())
    assert float(fast.tau) == pytest.approx(50.0)


@pytest.mark.parametrize("options", [{"threshold": 0.0}, {"tau": -1.0}, {"tau": (5.0, 2.0)}])
def test_what_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="positive"):
        LIF(3, dt=0.001, **options)


def test_an_infinite_time_constant_cannot_be_learned() -> None:
    with pytest.raises(ConfigError, match="infinite time constant cannot be learned"):
        NEURONS.get("if")(3, dt=0.001, learn_tau=True)


# MP-Init and TrSG


def test_membranes_begin_where_those_of_active_neurons_have_ended() -> None:
    neuron = LIF(2, dt=0.001, tau=math.inf, start="mean")
    x = torch.tensor(
        [[[0.7, 0.1]], [[0.7, 0.1]]]
    )  # the first ends at 0.4 and spikes; not the other
    neuron(x)
    torch.testing.assert_close(neuron.started, torch.tensor([0.1 * 0.4]))
    neuron.eval()
    v = membranes(neuron, torch.zeros(1, 3, 2))
    torch.testing.assert_close(v, torch.full((1, 3, 2), 0.04))
    torch.testing.assert_close(neuron.started, torch.tensor([0.04]))


def test_a_half_start_begins_at_half_the_threshold() -> None:
    v = membranes(LIF(2, dt=0.001, tau=HALVES, threshold=0.6, start="half"), torch.zeros(1, 1, 2))
    torch.testing.assert_close(v, torch.full((1, 1, 2), 0.15))


@pytest.mark.parametrize("threshold", [0.2, 1.0, 5.0])
def test_trsg_has_a_gain_of_one_at_any_threshold(threshold: float) -> None:
    """From a half to three halves of the threshold the slope is 1, and spikes are as high as it."""
    neuron = LIF(6, dt=0.001, threshold=threshold, learn_threshold=True, surrogate="trsg")
    heights = torch.tensor([0.4, 0.51, 0.99, 1.01, 1.49, 1.6])
    x = (threshold * heights).view(1, 1, 6).requires_grad_()
    spikes, _ = neuron(x)
    torch.testing.assert_close(
        spikes.flatten(), threshold * torch.tensor([0.0, 0, 0, 1, 1, 1]), rtol=1e-5, atol=1e-6
    )
    spikes.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad.flatten(), torch.tensor([0.0, 1, 1, 1, 1, 0]))


# Current-based LIF


@pytest.mark.parametrize("dt", [0.001, 0.004])
def test_an_impulse_passes_two_time_constants(dt: float) -> None:
    """Through decays a and b, the membrane is (b^(n+1) - a^(n+1)) / (b - a) after n steps."""
    neuron = CurrentLIF(1, dt=dt, tau=20.0, tau_current=5.0, threshold=100.0)
    x = torch.zeros(50, 1, 1)
    x[0] = 1
    a, b = math.exp(-dt / 0.005), math.exp(-dt / 0.020)
    n = torch.arange(1, 51)
    expected = (b**n - a**n) / (b - a)
    torch.testing.assert_close(membranes(neuron, x).flatten(), expected, rtol=1e-5, atol=1e-6)


def test_a_weighed_membrane_settles_at_the_mean_current() -> None:
    neuron = CurrentLIF(1, dt=0.001, tau=10.0, tau_current=5.0, weigh=True)
    assert float(membranes(neuron, torch.full((200, 1, 1), 0.8))[-1]) == pytest.approx(0.8)


def test_current_based_gradients_are_those_of_a_loop() -> None:
    neuron = CurrentLIF(3, dt=0.001, tau=(3.0, 9.0), tau_current=(1.0, 4.0), learn_tau=True)
    x, weights = signal(25, 4, 3).requires_grad_(), signal(25, 4, 3, seed=1)
    spikes, _ = neuron(x)
    parameters = [x, neuron.log_tau, neuron.log_tau_current]
    ours = torch.autograd.grad((spikes * weights).sum(), parameters)
    a, b = neuron.decay_current(), neuron.decay()
    i = v = torch.zeros(4, 3)
    total = torch.zeros(())
    for now, weight in zip(x, weights, strict=True):
        i = a * i + now
        h = b * v + i
        s = fired((h - 1)[None], neuron.surrogate)[0]
        v = h - s.detach()
        total = total + (s * weight).sum()
    for got, expected in zip(ours, torch.autograd.grad(total, parameters), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


# Adaptive reset


def test_adaptive_reset_follows_its_equations() -> None:
    neuron = AdaptiveResetLIF(1, dt=0.001, tau=HALVES)
    with torch.no_grad():
        neuron.a.fill_(0.5)
        neuron.c.fill_(2.0)
    v = m = 0.0
    expected = []

    def sigmoid(u: float) -> float:
        return 1 / (1 + math.exp(-u))

    currents = [1.2, 0.9, -0.5, 2.0, 1.6, 1.6, -1.0, 1.4]
    for x in currents:
        h = 0.5 * v + x
        threshold = 1 + math.tanh(0.5) * math.tanh(x)
        s = float(h >= threshold)
        keep = sigmoid(2 * x)
        m = m * (keep if m > 0 else 1 - keep) + (2 * s - 1) * sigmoid(x)
        v = h - s * (threshold + sigmoid(m))
        expected.append(s)
    spikes, state = neuron(torch.tensor(currents).view(-1, 1, 1))
    assert spikes.flatten().tolist() == expected
    assert 0 < sum(expected) < len(expected)
    torch.testing.assert_close(
        [float(tensor.detach()) for tensor in state], [v, m], rtol=0, atol=1e-5
    )


# Membrane potential rectifier


def test_the_rectifier_pulls_towards_nothing_and_a_spike() -> None:
    u = torch.linspace(-3, 4, 701, dtype=torch.float64)
    phi = rectify(u)
    assert bool((phi.diff() > 0).all())
    torch.testing.assert_close(rectify(1 - u), 1 - phi)
    fixed = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(rectify(fixed), fixed)
    torch.testing.assert_close(rectify(torch.tensor([8.0, -7.0])), torch.tensor([2.0, -1.0]))
    inside = (u > 0.01) & (u < 0.99) & ((u - 0.5).abs() > 0.01)
    near = torch.minimum(u.abs(), (1 - u).abs())
    assert bool((torch.minimum(phi.abs(), (1 - phi).abs()) < near)[inside].all())


def test_rectified_neurons_spike_to_the_nearest_count_and_learn_through_the_rectifier() -> None:
    neuron = RectifiedLIF(3, dt=0.001, tau=4.0, learn_tau=True).double()
    x, weights = signal(25, 4, 3).double().requires_grad_(), signal(25, 4, 3, seed=1).double()
    spikes, _ = neuron(x)
    ours = torch.autograd.grad((spikes * weights).sum(), [x, neuron.log_tau])
    v, decay = torch.zeros(4, 3, dtype=torch.float64), neuron.decay()
    total = torch.zeros((), dtype=torch.float64)
    box = surrogate("rectangle")
    for now, weight, seen in zip(x, weights, spikes, strict=True):
        h = decay * v + now
        s = fired((rectify(h) - 0.5)[None], box)[0]
        v = h - s
        assert torch.equal(s, seen)
        total = total + (s * weight).sum()
    expected = torch.autograd.grad(total, [x, neuron.log_tau])
    for got, wanted in zip(ours, expected, strict=True):
        torch.testing.assert_close(got, wanted)


# Integer


def test_counts_are_rounded_clipped_and_taken_away() -> None:
    neuron = IntegerLIF(1, dt=0.001, tau=HALVES, levels=4)
    currents = torch.tensor([0.5, 1.9, -3.0, 7.0, 0.0]).view(-1, 1, 1)
    counts, v = neuron(currents)  # membranes 0.5, 1.65, -3.175, 5.4125, 0.70625
    assert counts.flatten().tolist() == [1, 2, 0, 4, 1]
    assert float(v) == pytest.approx(0.70625 - 1)


def test_a_count_learns_where_it_is_not_clipped() -> None:
    x = torch.tensor([-0.1, 0.1, 2.0, 3.9, 4.1]).view(1, 5, 1).requires_grad_()
    IntegerLIF(1, dt=0.001)(x)[0].sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0, 1, 1, 1, 0]


def test_a_count_unfolds_into_as_many_spikes() -> None:
    binary = unfold(torch.tensor([[0.0, 1, 3], [4, 2, 0]]), 4)
    assert binary[:, 1, 0].tolist() == [1, 1, 1, 1]
    assert binary[:, 0, 2].tolist() == [1, 1, 1, 0]
    assert set(binary.unique().tolist()) == {0, 1}
    torch.testing.assert_close(binary.sum(0), torch.tensor([[0.0, 1, 3], [4, 2, 0]]))


@pytest.mark.parametrize("levels", [1, 3, 4])
def test_weights_cannot_tell_counts_from_binary_spikes(levels: int) -> None:
    torch.manual_seed(0)
    neuron, layer = IntegerLIF(6, dt=0.004, tau=10.0, threshold=0.7, levels=levels), nn.Linear(6, 3)
    x = 2 * signal(20, 5, 6)
    counts, end = neuron(x)
    assert float(counts.max()) == levels
    binary, binary_end = neuron.run_binary(x)
    assert set(binary.unique().tolist()) == {0, 1}
    virtual = binary.unflatten(0, (20, levels))
    torch.testing.assert_close(virtual, unfold(counts, levels).transpose(0, 1), rtol=0, atol=0)
    torch.testing.assert_close(binary_end, end)
    bias = layer.bias
    torch.testing.assert_close((layer(virtual) - bias).sum(1) + bias, layer(counts))


def test_binary_steps_go_on_where_they_stopped() -> None:
    neuron, x = IntegerLIF(3, dt=0.004), signal(12, 2, 3)
    left, state = neuron.run_binary(x[:5])
    right, _ = neuron.run_binary(x[5:], state)
    torch.testing.assert_close(torch.cat([left, right]), neuron.run_binary(x)[0], rtol=0, atol=0)


def test_a_count_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="levels=0 leaves nothing to count"):
        IntegerLIF(3, dt=0.004, levels=0)


# Parallel


@pytest.mark.parametrize("n_steps", [1, 31, 32, 33, 100])
@pytest.mark.parametrize("options", [{}, {"tau": (2.0, 40.0), "learn_tau": True, "weigh": True}])
@pytest.mark.parametrize("name", ["atan", "trsg", "pdsg"])
def test_products_give_what_a_loop_gives(n_steps: int, options: dict[str, Any], name: str) -> None:
    options = {**options, "learn_threshold": True, "surrogate": name}
    parallel = ParallelLIF(3, dt=0.004, **options).double()
    plain = LIF(3, dt=0.004, reset="none", **options).double()
    x, v = signal(n_steps, 4, 2, 3).double(), signal(4, 2, 3, seed=1).double()
    weights = signal(n_steps, 4, 2, 3, seed=2).double()
    results = []
    for neuron in (parallel, plain):
        inputs = [x.clone().requires_grad_(), v.clone().requires_grad_(), *neuron.parameters()]
        spikes, last = neuron(*inputs[:2])
        loss = (spikes * weights).sum() + last.square().sum()
        results.append([spikes, last, *torch.autograd.grad(loss, inputs)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_both_ways_of_the_parallel_neuron_agree_in_single_precision() -> None:
    neuron, x = ParallelLIF(5, dt=0.004, tau=(2.0, 200.0)), signal(200, 4, 5)
    spikes, last = neuron(x)
    by_products, end = neuron.run_chunks(x, None)
    torch.testing.assert_close(by_products, spikes)
    torch.testing.assert_close(end, last)


# UltraLIF


def with_epsilon(neuron: UltraLIF, epsilon: float) -> UltraLIF:
    with torch.no_grad():
        neuron.log_epsilon.fill_(math.log(epsilon))
    return neuron


def test_cold_ultra_is_the_max_plus_neuron() -> None:
    neuron, x = with_epsilon(UltraLIF(4, dt=0.001, tau=2.0, hard=False), 1e-4), signal(30, 3, 4)
    spikes, _ = neuron(x)
    v = torch.zeros(3, 4)
    for now, s in zip(x, spikes, strict=True):
        h = torch.maximum(v - 0.5, now)
        torch.testing.assert_close(s, (h >= 1).float(), rtol=0, atol=1e-3)
        v = h * (h < 1)


def test_cold_ultra_fires_its_first_spikes_where_a_lif_does() -> None:
    x = signal(1, 50, 4)
    cold, _ = with_epsilon(UltraLIF(4, dt=0.001, hard=False), 1e-4)(x)
    torch.testing.assert_close(cold, LIF(4, dt=0.001)(x)[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize("neighbours", ["none", "line"])
def test_cold_diffusion_without_neighbours_is_a_lif_with_a_hard_reset(neighbours: Any) -> None:
    diffusion = UltraDiffusionLIF(4, dt=0.001, tau=5.0, hard=False, neighbours=neighbours)
    lif, x = LIF(4, dt=0.001, tau=5.0, reset="hard"), signal(60, 3, 4)  # tokens there are none of
    cold, _ = with_epsilon(diffusion, 1e-4)(x)
    torch.testing.assert_close(cold, lif(x)[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", [UltraLIF, UltraDiffusionLIF])
def test_ultra_learns_by_the_slope_of_what_it_computes(kind: type[UltraLIF]) -> None:
    torch.manual_seed(0)
    neuron = kind(2, dt=0.001, tau=3.0, learn_tau=True, learn_threshold=True, epsilon=0.5).double()
    x = signal(4, 2, 3, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: neuron(x)[0], (x, *neuron.parameters()))


def test_a_level_that_is_everywhere_spreads_nowhere() -> None:
    """Weights of neighbours sum to 1: without input, membranes do not grow."""
    neuron = UltraDiffusionLIF(1, dt=0.001, tau=math.inf, threshold=1e3)
    x = torch.zeros(20, 1, 6, 1)
    x[0] = 0.7
    torch.testing.assert_close(membranes(neuron, x)[-1], torch.full((1, 6, 1), 0.7))


def test_a_membrane_spreads_to_one_more_neighbour_at_every_step() -> None:
    neuron = UltraDiffusionLIF(1, dt=0.001, tau=math.inf, threshold=1e3)
    x = torch.zeros(4, 1, 7, 1)
    x[0, 0, 3] = 2.0
    reached = (membranes(neuron, x).abs() > 1e-6).flatten(1).int().tolist()
    assert reached[1] == [0, 0, 1, 1, 1, 0, 0]
    assert reached[2] == [0, 1, 1, 1, 1, 1, 0]
    assert reached[3] == [1, 1, 1, 1, 1, 1, 1]


def test_a_warm_membrane_spreads_by_a_third_as_heat_does() -> None:
    """Far above the differences, the soft maximum is the mean of the discrete heat equation."""
    neuron = UltraDiffusionLIF(1, dt=0.001, tau=math.inf, threshold=1e6, epsilon=1e3).double()
    x = torch.zeros(2, 1, 5, 1, dtype=torch.float64)
    x[0, 0, 2] = 0.9
    v = membranes(neuron.train(False), x)[-1].flatten()
    torch.testing.assert_close(v, torch.tensor([0, 0.3, 0.3, 0.3, 0]).double(), rtol=0, atol=1e-3)


def test_neighbours_are_those_of_the_graph() -> None:
    weights = torch.zeros(4, 4)
    weights[0, 3] = weights[3, 0] = 1.0
    laplacian = weights.sum(1).diag() - weights
    neuron = UltraDiffusionLIF(1, dt=0.001, tau=math.inf, threshold=1e3, laplacian=laplacian)
    x = torch.zeros(3, 1, 4, 1)
    x[0, 0, 0] = 2.0
    assert (membranes(neuron, x)[-1] > 1e-6).flatten().tolist() == [True, False, False, True]
    with pytest.raises(ConfigError, match="one of 4 tokens, and there are 5"):
        neuron(torch.zeros(3, 1, 5, 1))


@pytest.mark.parametrize("matrix", [torch.ones(3, 3), torch.ones(2, 3), -torch.eye(3)])
def test_what_is_not_a_laplacian_is_refused(matrix: Tensor) -> None:
    with pytest.raises(ConfigError, match="rows sum to 0"):
        UltraDiffusionLIF(1, dt=0.001, laplacian=matrix)


def test_binarity_tells_smooth_spikes_from_exact_ones() -> None:
    assert float(binarity(torch.tensor([0.0, 1.0, 1.0]))) == 1
    assert float(binarity(torch.tensor([0.5, 0.5]))) == 0
    neuron, x = UltraLIF(4, dt=0.001), signal(20, 3, 4)
    with torch.no_grad():
        assert float(binarity(neuron(x)[0])) < 0.9
        assert float(binarity(neuron.eval()(x)[0])) == 1
        assert float(binarity(with_epsilon(neuron.train(), 1e-3)(x)[0])) > 0.98


# Hoyer


def test_the_hoyer_extremum_is_that_of_the_formula() -> None:
    z = torch.tensor([[0.2, 0.4], [2.0, -1.0]]).view(1, 2, 2)  # clipped: 0.2, 0.4, 1, 0
    assert float(hoyer_extremum(z)) == pytest.approx(1.2 / 1.6)
    by_feature = torch.tensor([1.04 / 1.2, 0.4])
    torch.testing.assert_close(hoyer_extremum(z, by_feature=True), by_feature)
    assert float(hoyer_extremum(-z.abs())) == 1


def test_hoyer_fires_above_the_extremum_and_keeps_its_running_mean() -> None:
    neuron = Hoyer(2, dt=0.001, threshold=2.0)
    x = 2 * torch.tensor([[0.2, 0.76], [2.0, -1.0]]).view(1, 2, 2)
    e = (0.04 + 0.76**2 + 1) / 1.96  # 0.8251
    spikes, _ = neuron(x)
    assert spikes.flatten().tolist() == [0, 0, 1, 0]
    assert float(neuron.extremum) == pytest.approx(0.9 + 0.1 * e)
    neuron.extremum.fill_(0.7)
    assert neuron.eval()(x)[0].flatten().tolist() == [0, 1, 1, 0]
    assert float(neuron.extremum) == pytest.approx(0.7)


def test_hoyer_learns_between_nothing_and_twice_the_threshold() -> None:
    x = torch.tensor([-0.1, 0.1, 3.9, 4.1]).view(1, 4, 1).requires_grad_()
    Hoyer(1, dt=0.001, threshold=2.0)(x)[0].sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad.flatten(), torch.tensor([0.0, 0.25, 0.25, 0.0]))


def test_the_hoyer_penalty_counts_what_is_large() -> None:
    assert float(hoyer_penalty(torch.tensor([3.0, -4.0]))) == pytest.approx(49 / 25)
    assert float(hoyer_penalty(torch.tensor([0.0, 5.0, 0.0]))) == pytest.approx(1)
    assert float(hoyer_penalty(torch.ones(3, 4))) == pytest.approx(12)
    z = torch.zeros(3, requires_grad=True)
    silent = hoyer_penalty(z)
    silent.backward()
    assert float(silent.detach()) == 0
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())


# Expressive leaky memory


def test_traces_of_branches_decay_with_their_time_constant() -> None:
    neuron = ExpressiveLeakyMemory(6, dt=0.002, n_branches=3, tau_branch=5.0)
    x = torch.zeros(30, 1, 6)
    x[0, 0] = torch.tensor([1.0, 2, 3, 4, 5, 6])
    traces, last = neuron.traces(x, None)
    expected = 0.5 * torch.tensor([3.0, 7, 11]) * torch.exp(-torch.arange(30) / 2.5)[:, None]
    torch.testing.assert_close(traces[:, 0].detach(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last, traces[-1])


def test_memories_forget_over_a_millisecond_to_a_second() -> None:
    neuron = ExpressiveLeakyMemory(2, dt=0.01, n_memories=4)
    torch.testing.assert_close(neuron.log_tau.exp(), torch.tensor([1.0, 10, 100, 1000]))
    nn.init.zeros_(neuron.to_memories.weight)
    nn.init.zeros_(neuron.to_memories.bias)
    state = (torch.zeros(1, 2), torch.ones(1, 4))
    _, (_, m) = neuron(torch.randn(5, 1, 2), state)
    expected = torch.exp(-50 / torch.tensor([[1.0, 10, 100, 1000]]))
    torch.testing.assert_close(m, expected)


def test_expressive_leaky_memory_follows_its_equations() -> None:
    torch.manual_seed(0)
    neuron, x = ExpressiveLeakyMemory(4, dt=0.004, n_memories=3), torch.randn(6, 2, 4)
    tau = torch.tensor([1.0, 10**1.5, 1000])
    kept, taken = torch.exp(-4 / tau), 1 - torch.exp(-5 * 4 / tau)
    b, m = torch.zeros(2, 4), torch.zeros(2, 3)
    net = torch.cat([neuron.from_branches.weight, neuron.from_memories.weight], dim=1)
    expected = []
    for now in x:
        b = math.exp(-4 / 5) * b + 0.5 * now
        hidden = torch.relu(torch.cat([b, kept * m], dim=1) @ net.T + neuron.from_branches.bias)
        m = kept * m + taken * 1.7159 * torch.tanh(2 / 3 * neuron.to_memories(hidden))
        expected.append(neuron.readout(m))
    torch.testing.assert_close(neuron(x)[0], torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_branches_share_the_features_evenly() -> None:
    with pytest.raises(ConfigError, match="n_branches=4 do not share 6 features evenly"):
        ExpressiveLeakyMemory(6, dt=0.004, n_branches=4)
