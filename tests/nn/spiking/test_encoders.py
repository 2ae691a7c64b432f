"""Encoders: known answers."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.nn.spiking import kernel
from neurodecode.nn.spiking.encoders import ENCODERS, Encoder, signed
from neurodecode.nn.spiking.encoders.carry import carry
from neurodecode.nn.spiking.encoders.measure import measure
from neurodecode.nn.spiking.encoders.thresholds import (
    Thresholded,
    rate_for,
    robust_deviation,
    theta_for,
)

SFREQ = 250.0


def build(name: str, n_features: int = 1, **options: Any) -> Encoder:
    return ENCODERS.get(name)(n_features, dt=1 / SFREQ, **options)


def column(*values: float) -> Tensor:
    """Samples of one feature, (n_times, 1, 1)."""
    return torch.tensor(values).view(-1, 1, 1)


def coded(encoder: Encoder, x: Tensor) -> list[float]:
    """Signed events of the first feature and trial."""
    return signed(encoder(x)[0])[:, 0, 0].tolist()


def rhythms(n_chans: int = 22, duration: float = 10.0) -> Tensor:
    """1/f in amplitude from 0.5 Hz, with bursts of 10 Hz; standardised."""
    rng = np.random.default_rng(0)
    n = round(duration * SFREQ)
    f = np.fft.rfftfreq(n, 1 / SFREQ)
    shape = np.where(f >= 0.5, 1 / np.maximum(f, 0.5), 0)
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal((n, n_chans)), axis=0) * shape[:, None], n, 0)
    x /= x.std(axis=0)
    t = np.arange(n)[:, None] / SFREQ
    for centre in np.arange(1, duration, 2.0):
        burst = np.exp(-0.5 * ((t - centre - rng.uniform(-0.5, 0.5, n_chans)) / 0.3) ** 2)
        x += 1.5 * burst * np.sin(2 * np.pi * 10 * t + rng.uniform(0, 2 * np.pi, n_chans))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return torch.from_numpy(x.astype(np.float32)).unsqueeze(1)


def correlation(a: Tensor, b: Tensor) -> float:
    return float(np.corrcoef(a.flatten(), b.flatten())[0, 1])


def test_send_on_delta_of_a_staircase() -> None:
    x = column(0.0, 0.4, 1.0, 1.9, 2.0, 4.5, 4.5, 3.6, 3.0, -0.5)
    encoder = build("send_on_delta", theta=1.0)
    #                                r: 0  0  1  1  2  4  4  4  3  0, by hand
    assert coded(encoder, x) == [0, 0, 1, 0, 1, 2, 0, 0, -1, -3]
    rebuilt, _ = encoder.decode(encoder(x)[0])
    assert rebuilt.flatten().tolist() == [0, 0, 1, 1, 2, 4, 4, 4, 3, 0]


def test_send_on_delta_with_one_event_at_most_catches_up() -> None:
    x = column(3.5, 3.5, 3.5, 3.5, 3.5)
    assert coded(build("send_on_delta", theta=1.0, limit=1), x) == [1, 1, 1, 0, 0]


def test_send_on_delta_is_within_a_threshold_at_all_times() -> None:
    x, encoder = rhythms(), build("send_on_delta", 22, theta=0.3)
    rebuilt, _ = encoder.decode(encoder(x)[0])
    assert (x - rebuilt).abs().max() < 0.3 + 1e-4


def test_send_on_delta_keeps_eeg_at_one_event_in_twenty_samples() -> None:
    x = rhythms()
    encoder = build("send_on_delta", 22)
    assert isinstance(encoder, Thresholded)
    encoder.fit(x, 0.05)
    found = measure(encoder, x)
    assert found.events_per_sample == pytest.approx(0.05, rel=0.05)
    assert found.correlation >= 0.85
    assert found.bits_per_sample < 0.4


def test_a_slow_sine_survives_send_on_delta_and_not_a_delta_that_forgets() -> None:
    """1 Hz with a little noise, at the same number of events for both."""
    t = torch.arange(0, 10, 1 / SFREQ)
    noise = torch.randn(len(t), generator=torch.Generator().manual_seed(0))
    x = (math.sqrt(2) * torch.sin(2 * math.pi * t) + 0.1 * noise).view(-1, 1, 1)
    theta = theta_for(x, 0.05) * robust_deviation(x)
    encoder = build("send_on_delta", theta=float(theta))
    events, _ = encoder(x)
    change = torch.diff(x, dim=0, prepend=x[:1])
    bound = change.abs().flatten().sort(descending=True).values[int(events.sum())]
    forgetful = (change.sign() * (change.abs() > bound)).cumsum(0)
    assert correlation(x, encoder.decode(events)[0]) > 0.85
    assert correlation(x, forgetful) < 0.5


def test_sigma_delta_keeps_the_running_sum_within_theta() -> None:
    x, theta = rhythms(), 0.7
    encoder = build("sigma_delta", 22, theta=theta)
    kept = x.double().cumsum(0) - theta * signed(encoder(x)[0]).double().cumsum(0)
    assert kept.abs().max() < theta + 1e-3


def test_sigma_delta_by_hand() -> None:
    x = column(0.6, 0.6, 0.6, -2.0, -0.3, 0.0)
    #        a: 0.6 1.2 0.8 -1.2 -0.5 -0.5
    assert coded(build("sigma_delta", theta=1.0), x) == [0, 1, 0, -1, 0, 0]


@pytest.mark.parametrize("limit", [math.inf, 1.0])
def test_carry_is_its_definition(limit: float) -> None:
    x, theta = torch.randn(100, 3, 7), torch.rand(7) + 0.2
    expected, rest = torch.empty_like(x), torch.randn(3, 7)
    left = rest.clone()
    for t in range(100):
        left = left + x[t]
        expected[t] = (left / theta).trunc().clamp(-limit, limit)
        left = left - expected[t] * theta
    for path in ("compiled", "torch"):
        with kernel.using(path):  # type: ignore[arg-type]
            counts, last = carry(x, rest, theta, limit=limit)
        assert torch.equal(counts, expected)
        assert torch.equal(last, left)


def test_the_phase_code_of_known_values() -> None:
    encoder = build("phase", n_steps=4, full=1.0)
    assert coded(encoder, column(0.625)) == [1, 0, 1, 0]  #   1/2 + 1/8
    assert coded(encoder, column(-0.3125)) == [0, -1, 0, -1]  #  1/4 + 1/16
    assert coded(encoder, column(5.0)) == [1, 1, 1, 1]
    assert coded(encoder, column(0.02)) == [0, 0, 0, 0]
    rebuilt, _ = encoder.decode(encoder(column(0.625, -0.3125))[0])
    assert rebuilt.flatten().tolist() == [0.625, -0.3125]


def test_larger_values_come_earlier_in_latency() -> None:
    encoder = build("latency", n_steps=4, full=1.0)
    x = column(1.0, 0.75, 0.5, 0.25, 0.1, -0.5, 9.0)
    frames = signed(encoder(x)[0]).view(7, 4).tolist()
    assert frames == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [0, 0, -1, 0],
        [1, 0, 0, 0],
    ]
    rebuilt, _ = encoder.decode(encoder(x)[0])
    assert rebuilt.flatten().tolist() == [1.0, 0.75, 0.5, 0.25, 0.0, -0.5, 1.0]


@pytest.mark.parametrize(("random", "within"), [(False, 1.01 / 4000), (True, 0.03)])
def test_the_rate_converges_to_the_value(random: bool, within: float) -> None:
    x = torch.full((1000, 1, 2), 0.3 * 3.0)
    x[..., 1] *= -2
    encoder = build("rate", 2, n_steps=4, full=3.0, random=random)
    share = signed(encoder(x)[0]).mean(dim=0).flatten()
    assert (share - torch.tensor([0.3, -0.6])).abs().max() <= within


def test_an_even_rate_spreads_events() -> None:
    steps = coded(build("rate", n_steps=8, full=1.0), column(0.25, 0.25))
    assert steps == [0, 0, 0, 1] * 4


def test_random_rates_come_from_the_seed() -> None:
    x = rhythms(2, 1.0)
    first, again, other = (
        build("rate", 2, random=True, seed=seed)(x)[0] for seed in (1, 1, 2)
    )  # fmt: skip
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_adaptive_count_does_not_know_the_scale() -> None:
    x, encoder = rhythms(), build("adaptive_count", 22)
    events, _ = encoder(x)
    assert torch.equal(encoder(8 * x)[0], events)  # a power of two: every rounding is the same
    assert (encoder(50e-6 * x)[0] != events).float().mean() < 1e-4


def test_adaptive_count_follows_a_drift_of_the_gain() -> None:
    noise = torch.randn(5000, 1, 4, generator=torch.Generator().manual_seed(0))
    gain = torch.ones(5000, 1, 1)
    gain[1000:] = 5.0
    encoder = build("adaptive_count", 4, tau=1000.0)
    events, _ = encoder(noise * gain)
    usual, _ = encoder(noise)
    assert events[1000:1050].sum() > 2 * usual[1000:1050].sum()
    assert float(events[4000:].sum() / usual[4000:].sum()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("code", ["send_on_delta", "sigma_delta"])
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.8])
def test_theta_for_hits_the_rate_in_any_unit(code: str, rate: float) -> None:
    x = rhythms(6) * torch.tensor([1.0, 10.0, 1e-5, 3.0, 50.0, 0.2])
    theta = theta_for(x, rate, code=code)
    assert theta.shape == (6,)
    torch.testing.assert_close(
        rate_for(x, theta, code=code), torch.full((6,), rate), rtol=0.05, atol=2e-3
    )
    # The same signal in another unit has the same threshold, in robust deviations.
    torch.testing.assert_close(theta_for(1000 * x, rate, code=code), theta, rtol=0.02, atol=0)


def test_an_artifact_does_not_set_the_threshold() -> None:
    x = rhythms(3)
    y = x.clone()
    y[500:550] = 100.0
    torch.testing.assert_close(robust_deviation(y), robust_deviation(x), rtol=0.05, atol=0)
    torch.testing.assert_close(
        robust_deviation(torch.randn(20000, 2, generator=torch.Generator().manual_seed(0))),
        torch.ones(2), rtol=0.03, atol=0,
    )  # fmt: skip


def test_fitted_thresholds_travel_in_the_state_dict() -> None:
    x, fitted, other = rhythms(4), build("send_on_delta", 4), build("send_on_delta", 4)
    assert isinstance(fitted, Thresholded)
    fitted.fit(x, 0.1)
    other.load_state_dict(fitted.state_dict())
    assert torch.equal(other(x)[0], fitted(x)[0])


def test_the_entropy_of_a_fair_coin_is_a_bit() -> None:
    x = column(*([0.0, 1.0] * 200))
    found = measure(build("phase", n_steps=3, full=2.0), x)
    assert found.bits_per_sample == pytest.approx(1)
    assert found.events_per_sample == 0.5
    assert found.correlation == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "learned"),
    [
        ("direct", {"weight", "bias", "neurons.raw_threshold"}),
        ("learnable", {"weight", "neurons.raw_threshold", "neurons.log_tau"}),
    ],
)
def test_what_learns_learns_for_each_neuron(name: str, learned: set[str]) -> None:
    parameters = dict(build(name, 3).named_parameters())
    assert set(parameters) == learned
    assert {len(p) for p in parameters.values()} == {6}


def test_direct_learns_to_fire_on_command() -> None:
    torch.manual_seed(0)
    encoder, x = build("direct", 3), rhythms(3, 2.0)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.08)
    wanted = torch.tensor([0.3, 0.05, 0.1, 0.1, 0.3, 0.05])
    for _ in range(40):
        optimizer.zero_grad()
        loss = (encoder(x)[0].mean(dim=(0, 1)) - wanted).square().sum()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(encoder(x)[0].mean(dim=(0, 1)), wanted, rtol=0, atol=0.03)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("send_on_delta", {"theta": 0.0}, "theta must be one positive number"),
        ("send_on_delta", {"theta": (1.0, 2.0, 3.0)}, "one for each of 2 features"),
        ("sigma_delta", {"limit": 0}, "limit=0 leaves no events"),
        ("sigma_delta", {"tau": -1.0}, "must not be negative"),
        ("latency", {"n_steps": 0}, "n_steps=0"),
        ("phase", {"n_steps": 30}, "give 1 to 20"),
        ("rate", {"full": 0.0}, "must be positive"),
        ("adaptive_count", {"ratio": 0.0}, "must be positive and finite"),
        ("direct", {"surrogate": "trsg"}, "as high as thresholds"),
        ("learnable", {"kernel": 0.0}, "length of filters"),
    ],
)
def test_a_choice_that_cannot_be_says_so(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build(name, 2, **options)


def test_thresholds_that_cannot_be_found_say_so() -> None:
    x = rhythms(2)
    with pytest.raises(ConfigError, match="'rate' has no theta"):
        theta_for(x, 0.1, code="rate")
    with pytest.raises(ConfigError, match="must lie in"):
        theta_for(x, 0.0)
    x[..., 1] = 0
    with pytest.raises(SignalError, match="1 of 2 features are flat"):
        theta_for(x, 0.1)


def test_half_a_frame_is_not_decoded() -> None:
    encoder = build("phase", n_steps=4)
    with pytest.raises(SignalError, match="no whole number of frames"):
        encoder.decode(torch.zeros(6, 1, 2))


def test_delta_scans_take_time_in_proportion_to_length() -> None:
    """Work is counted, not timed: a gradient of four times the samples saves four times as much."""
    sizes = []
    for n_times in (250, 1000):
        saved: list[int] = []

        def note(t: Tensor, saved: list[int] = saved) -> Tensor:
            saved.append(t.numel())
            return t

        x = torch.randn(n_times, 2, 3, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            events, _ = build("send_on_delta", 3)(x)
        events.sum().backward()
        sizes.append((len(saved), sum(saved)))
    assert sizes[0][0] == sizes[1][0]
    assert sizes[1][1] <= 4 * sizes[0][1]
