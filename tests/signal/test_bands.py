"""Bands: known powers, sums, and what is left out."""

import numpy as np
import pytest
from scipy.signal import hilbert

from neurodecode.core.errors import SignalError
from neurodecode.signal.bands import BANDS, analytic, baseband, detrend, relative_power

SFREQ = 200.0
T = np.arange(round(8 * SFREQ)) / SFREQ


def test_relative_power_of_sines_is_the_square_of_their_amplitudes() -> None:
    x = 3 * np.sin(2 * np.pi * 10 * T) + np.sin(2 * np.pi * 20 * T + 1) + 100 + 5 * T
    shares = relative_power(x, SFREQ)
    np.testing.assert_allclose(shares[2:4], [0.9, 0.1], atol=2e-3)
    assert shares.sum() == pytest.approx(1)


def test_white_noise_has_power_in_proportion_to_width() -> None:
    x = np.random.default_rng(0).standard_normal((200, len(T)))
    shares = relative_power(x, SFREQ).mean(axis=0)
    widths = np.array([high - low for low, high in BANDS.values()])
    np.testing.assert_allclose(shares, widths / widths.sum(), rtol=0.05)


@pytest.mark.parametrize(("sfreq", "highest"), [(200.0, 40.0), (200.0, 79.0), (128.0, None)])
def test_gamma_is_left_out_below_80_hz(sfreq: float, highest: float | None) -> None:
    x = np.random.default_rng(0).standard_normal((3, 512))
    shares = relative_power(x, sfreq, highest=highest)
    assert np.isnan(shares[:, 4]).all()
    np.testing.assert_allclose(np.nansum(shares, axis=1), 1)


def test_gamma_is_there_at_80_hz() -> None:
    x = np.random.default_rng(0).standard_normal((3, 512))
    assert np.isfinite(relative_power(x, 160.0, highest=80.0)).all()


def test_a_flat_signal_has_no_share() -> None:
    assert np.isnan(relative_power(np.full(512, 7.0), 200.0)).all()


def test_unit_does_not_matter() -> None:
    x = np.random.default_rng(0).standard_normal((2, 512)).astype(np.float32)
    np.testing.assert_allclose(relative_power(1e-6 * x, SFREQ), relative_power(x, SFREQ), rtol=1e-4)


def test_detrend_takes_out_a_line() -> None:
    np.testing.assert_allclose(detrend(5 - 3 * T), 0, atol=1e-9)


def test_analytic_of_everything_is_that_of_scipy() -> None:
    x = detrend(np.random.default_rng(0).standard_normal((2, 400)))
    ours = analytic(x, (0.5, SFREQ / 2), sfreq=SFREQ)
    theirs = hilbert(x)  # it halves the bin of half the rate, and keeps the mean, which is 0
    theirs -= np.fft.fft(x)[:, 200:201] / 400 * (-1) ** np.arange(400)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_baseband_is_the_same_signal_with_fewer_samples() -> None:
    """Power, and phase between channels, are those of the analytic signal."""
    x = np.random.default_rng(0).standard_normal((2, len(T)))
    full, (few,) = analytic(x, (8, 12), sfreq=SFREQ), baseband(x, [(8, 12)], sfreq=SFREQ)
    assert few.shape[1] < full.shape[1] / 10
    # A spectrum divided by the samples: the sampled signal is scaled by their ratio.
    few = few * few.shape[1] / full.shape[1]
    for a, b in ((0, 0), (0, 1)):
        np.testing.assert_allclose(
            (few[a] * few[b].conj()).mean(), (full[a] * full[b].conj()).mean(), rtol=1e-9
        )


@pytest.mark.parametrize("band", [(30.0, 120.0), (1.0, 1.05)])
def test_a_band_that_is_not_there_is_refused(band: tuple[float, float]) -> None:
    with pytest.raises(SignalError, match="Leave the band out"):
        baseband(np.zeros((2, 256)), [band], sfreq=SFREQ)
