"""Does the margin change with a rhythm as the map says?"""

import numpy as np
import pytest
import torch
from toy_decoders import N_TIMES, SCALE, Power, axes, holding, noise, rhythm

from neurodecode.explain.amplitude_gradient import amplitude_gradient, by_amplitude, in_bins
from neurodecode.explain.attribution import by_frequency, one_sided
from neurodecode.explain.margin import margins


@pytest.mark.parametrize("n_times", [20, 21])
def test_it_is_the_gradient_through_a_fourier_transform_with_phases_held(n_times: int) -> None:
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 3, n_times))
    spectrum = torch.fft.rfft(torch.from_numpy(x))
    weights = torch.from_numpy(one_sided(n_times)) / n_times
    amplitude = (weights * spectrum.abs()).requires_grad_()
    sines = amplitude / weights * torch.exp(1j * spectrum.angle())
    (torch.fft.irfft(sines, n=n_times) * torch.from_numpy(g)).sum().backward()
    assert amplitude.grad is not None
    np.testing.assert_allclose(by_amplitude(x, g), amplitude.grad.numpy(), atol=1e-12)


def test_amplitude_times_gradient_is_the_attribution() -> None:
    x, g = np.random.default_rng(0).standard_normal((2, 3, N_TIMES))
    amplitude = np.abs(np.fft.rfft(x)) * one_sided(N_TIMES) / N_TIMES
    np.testing.assert_allclose(amplitude * by_amplitude(x, g), by_frequency(x, g), atol=1e-12)


def test_a_microvolt_more_of_a_rhythm_changes_the_margin_by_the_map() -> None:
    windows, decoder = rhythm(), holding(Power(chan=2, hz=10.0))
    maps = amplitude_gradient(decoder, windows)
    assert maps is not None
    assert maps.signed
    at = int(np.argmin(np.abs(axes().freqs - 10)))
    spectrum = np.fft.rfft(windows.x[:, 2], axis=-1)
    k = round(10 * N_TIMES / axes().sfreq)
    wave = 2 / N_TIMES * np.exp(2j * np.pi * k * np.arange(N_TIMES) / N_TIMES)
    more = windows.x.copy()
    more[:, 2] += 0.01 * (N_TIMES / 2 * (spectrum[:, [k]] / np.abs(spectrum[:, [k]])) * wave).real
    change = margins(decoder, more, windows.y) - margins(decoder, windows.x, windows.y)
    n_bins = in_bins(np.eye(N_TIMES // 2 + 1)[k], axes())[at]  # a share of a bin of 1 Hz
    wanted = windows.by_class(change / 0.01) * n_bins
    np.testing.assert_allclose(maps.kinds["chan_freq"][:, 2, at], wanted, rtol=0.01)


def test_more_power_speaks_for_its_class_and_against_the_other() -> None:
    maps = amplitude_gradient(holding(Power()), rhythm())
    assert maps is not None
    at = int(np.argmin(np.abs(axes().freqs - 10)))
    assert maps.kinds["freq"].argmax(axis=1)[1] == at
    assert maps.kinds["freq"].argmin(axis=1)[0] == at
    assert maps.kinds["freq"][0, at] < 0 < maps.kinds["freq"][1, at]
    assert (maps.kinds["chan"].argmax(axis=1) == 2).all()


def test_a_net_that_divides_by_more_changes_less_per_microvolt() -> None:
    windows, decoder = rhythm(), holding(Power())
    before = amplitude_gradient(decoder, windows)
    decoder.scale_ = decoder.scale_ * 2  # what it sees halves, and so does the slope by it
    after = amplitude_gradient(decoder, windows)
    assert before is not None
    assert after is not None
    assert decoder.scale_[0, 0] == 2 * SCALE
    np.testing.assert_allclose(4 * after.kinds["freq"], before.kinds["freq"], rtol=1e-4, atol=1e-7)


def test_a_silent_channel_has_no_phase_and_no_gradient() -> None:
    windows = noise()
    windows.x[:, 1] = 0
    maps = amplitude_gradient(holding(Power(chan=1)), windows)
    assert maps is not None
    assert not maps.kinds["chan_freq"].any()
