"""Slopes that stand in: how high, how wide, how much in all."""

import math

import pytest
import torch
from torch import Tensor

from neurodecode.core.errors import UnknownName
from neurodecode.nn.spiking import SURROGATES
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.surrogates import spike, spikes, surrogate

PEAKS = {  # at the threshold, for a sharpness of a
    "atan": lambda a: a / 2,
    "rectangle": lambda a: a,
    "triangle": lambda a: a,
    "fast_sigmoid": lambda a: 1.0,
    "sigmoid": lambda a: a / 4,
    "trsg": lambda a: a,
}
HALF_WIDTHS = {  # where it has fallen to a half of that, or at once to 0
    "atan": lambda a: 2 / (math.pi * a),
    "rectangle": lambda a: 0.5 / a,
    "triangle": lambda a: 0.5 / a,
    "fast_sigmoid": lambda a: (math.sqrt(2) - 1) / a,
    "sigmoid": lambda a: math.log(3 + 2 * math.sqrt(2)) / a,
    "trsg": lambda a: 0.5 / a,
}
SHARPNESS = [0.5, 1.0, 4.0]


def at(name: str, sharpness: float, *values: float) -> Tensor:
    u = torch.tensor(values, dtype=torch.float64).view(1, -1, 1)
    return surrogate(name, sharpness).slope(u).flatten()


def test_every_surrogate_has_a_known_peak_or_learns_its_width() -> None:
    assert set(SURROGATES.names()) == {*PEAKS, "pdsg"}


@pytest.mark.parametrize("a", SHARPNESS)
@pytest.mark.parametrize("name", PEAKS)
def test_peak_and_width_are_those_of_the_formula(name: str, a: float) -> None:
    peak, width = PEAKS[name](a), HALF_WIDTHS[name](a)
    assert float(at(name, a, 0.0)) == pytest.approx(peak)
    inside, outside = at(name, a, 0.999 * width, 1.001 * width).tolist()
    assert inside >= peak / 2 * 0.99
    assert outside <= peak / 2 * 1.01
    left, right = at(name, a, -0.3 * width, 0.3 * width).tolist()
    assert left == pytest.approx(right)


@pytest.mark.parametrize("a", SHARPNESS)
@pytest.mark.parametrize("name", [name for name in PEAKS if name != "fast_sigmoid"])
def test_a_slope_sums_up_to_one_spike(name: str, a: float) -> None:
    u = torch.linspace(-400, 400, 800_000, dtype=torch.float64)
    total = torch.trapezoid(surrogate(name, a).slope(u.view(1, -1, 1)).flatten(), u)
    assert float(total) == pytest.approx(1, abs=3e-3)  # arc tangents have tails


def test_pdsg_is_a_bell_as_wide_as_the_membranes_have_been() -> None:
    torch.manual_seed(0)
    u = torch.randn(6, 4, 3, 2, dtype=torch.float64) * torch.tensor([0.5, 3.0])
    slopes = surrogate("pdsg").slope(u)
    for t in range(6):
        for f in range(2):
            sigma = u[: t + 1, ..., f].std(correction=0)
            bell = torch.distributions.Normal(sigma / 2, sigma)
            torch.testing.assert_close(slopes[t, ..., f], bell.log_prob(u[t, ..., f]).exp())


def test_pdsg_does_not_look_ahead() -> None:
    torch.manual_seed(0)
    u = torch.randn(6, 4, 2)
    later = u.clone()
    later[4:] *= 5
    slopes = surrogate("pdsg").slope
    torch.testing.assert_close(slopes(later)[:4], slopes(u)[:4], rtol=0, atol=0)


@pytest.mark.parametrize("name", SURROGATES.names())
def test_a_spike_is_a_step_forward_and_a_slope_backward(name: str) -> None:
    torch.manual_seed(0)
    u, weights = torch.randn(5, 3, 2, requires_grad=True), torch.randn(5, 3, 2)
    s = spikes(u, surrogate(name))
    assert torch.equal(s, (u >= 0).float())
    (s * weights).sum().backward()
    torch.testing.assert_close(u.grad, weights * surrogate(name).slope(u.detach()))


@pytest.mark.parametrize("name", SURROGATES.names())
def test_one_step_is_a_run_of_one(name: str) -> None:
    torch.manual_seed(0)
    u = torch.randn(3, 2)
    one, many = u.clone().requires_grad_(), u[None].clone().requires_grad_()
    spike(one, surrogate(name)).sum().backward()
    spikes(many, surrogate(name)).sum().backward()
    assert one.grad is not None
    assert many.grad is not None
    torch.testing.assert_close(one.grad, many.grad[0])


def test_slopes_leave_membranes_as_they_were() -> None:
    u = torch.randn(4, 3, 2)
    before = u.clone()
    for name in SURROGATES.names():
        surrogate(name).slope(u)
    assert torch.equal(u, before)


def test_a_surrogate_that_there_is_not_is_one_clear_line() -> None:
    with pytest.raises(UnknownName, match="No surrogate is called 'atann'. Did you mean 'atan'"):
        Population("lif", {"surrogate": "atann"}).make(4, dt=0.001)
