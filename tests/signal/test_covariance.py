import numpy as np
import pytest

from neurodecode.core.errors import SignalError
from neurodecode.signal.covariance import band_covariances, covariances

SFREQ = 128.0


def test_a_sine_has_its_power_in_its_band_and_nowhere_else() -> None:
    t = np.arange(512) / SFREQ
    x = np.stack([3 * np.sin(2 * np.pi * 10 * t), 2 * np.sin(2 * np.pi * 20 * t)])[None]
    covs = band_covariances(x, [(8, 12), (18, 22), (30, 34)], sfreq=SFREQ)
    power = np.diagonal(covs[0], axis1=1, axis2=2)
    taper = 1 - 5 / 8 * 0.25  # mean square of a Tukey window
    assert power[0, 0] == pytest.approx(4.5 * taper, rel=0.3)
    assert power[1, 1] == pytest.approx(2.0 * taper, rel=0.3)
    assert power[2].max() < 1e-3


def test_bands_that_tile_the_spectrum_add_up_to_the_whole() -> None:
    """Parseval: band by band or at once, the trace is the same."""
    x = np.random.default_rng(0).standard_normal((4, 3, 512))
    bands = [(0.1, 20.0), (20.0, 40.0), (40.0, 64.0)]
    parts = band_covariances(x, bands, sfreq=SFREQ)
    whole = band_covariances(x, [(0.1, 64.0)], sfreq=SFREQ)[:, 0]
    np.testing.assert_allclose(
        np.trace(parts, axis1=2, axis2=3).sum(axis=1), np.trace(whole, axis1=1, axis2=2), rtol=1e-6
    )


def test_matrices_of_few_observations_are_positive_definite() -> None:
    x = np.random.default_rng(0).standard_normal((5, 22, 128))
    covs = band_covariances(x, [(8, 10), (10, 12)], sfreq=SFREQ)
    assert np.linalg.eigvalsh(covs).min() > 0


def test_the_unit_scales_out() -> None:
    x = np.random.default_rng(0).standard_normal((2, 4, 128))
    np.testing.assert_allclose(
        band_covariances(1e-6 * x, [(8, 30)], sfreq=SFREQ),
        1e-12 * band_covariances(x, [(8, 30)], sfreq=SFREQ),
    )
    np.testing.assert_allclose(covariances(1e-6 * x), 1e-12 * covariances(x))


def test_a_band_between_two_frequencies_is_refused() -> None:
    with pytest.raises(
        SignalError, match=r"tells frequencies 1 Hz apart, and none lies in 8.2-8.8"
    ):
        band_covariances(np.ones((1, 2, 128)), [(8.2, 8.8)], sfreq=SFREQ)
