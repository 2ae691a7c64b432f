"""Connectivity: locked, lagged, mixed and unrelated signals."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurodecode.signal.bands import baseband
from neurodecode.signal.connectivity import (
    imaginary_coherence,
    phase_locking,
    phase_locking_floor,
    weighted_phase_lag,
)

SFREQ = 128.0


def noise(*shape: int) -> NDArray[np.float64]:
    return np.asarray(np.random.default_rng(0).standard_normal(shape))


def narrow(x: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.asarray(baseband(x, [(8.0, 12.0)], sfreq=SFREQ)[0])


def lagged(angle: float) -> NDArray[np.complex128]:
    """Two channels of one noise, the second behind by `angle`."""
    z = narrow(noise(1024))
    return np.stack([z, z * np.exp(-1j * angle)])


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 2, np.pi])
def test_a_constant_lag_is_locked(angle: float) -> None:
    assert phase_locking(lagged(angle))[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("angle", [0.3, -0.3, np.pi / 2])
def test_imaginary_coherence_is_the_sine_of_the_lag(angle: float) -> None:
    assert imaginary_coherence(lagged(angle))[0, 1] == pytest.approx(abs(np.sin(angle)))
    assert weighted_phase_lag(lagged(angle))[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_one_source_at_two_electrodes_has_no_lag(dtype: type) -> None:
    """Volume conduction: what arrives at once is locked, and only phase locking counts it."""
    z = narrow(noise(1024))
    both: NDArray[Any] = np.stack([z, 0.4 * z]).astype(dtype)
    assert phase_locking(both)[0, 1] == pytest.approx(1)
    assert imaginary_coherence(both)[0, 1] < 1e-5
    assert weighted_phase_lag(both)[0, 1] == 0


def test_mixing_unrelated_sources_moves_phase_locking_alone() -> None:
    z = narrow(noise(200, 2, 1024))
    mixed = np.array([[1, 0.5], [0.5, 1]]) @ z

    def mean(measure: object) -> tuple[float, float]:
        assert callable(measure)
        return measure(z)[:, 0, 1].mean(), measure(mixed)[:, 0, 1].mean()

    alone, together = mean(phase_locking)
    assert together > alone + 0.3
    alone, together = mean(imaginary_coherence)
    assert together < alone + 0.02


@pytest.mark.parametrize(
    ("width", "duration", "slack"), [(3, 8, 0.01), (4, 8, 0.01), (18, 8, 0.004), (3, 30, 0.004)]
)
def test_floor_of_phase_locking(width: int, duration: int, slack: float) -> None:
    x = noise(12, 24, round(duration * SFREQ))
    value = phase_locking(baseband(x, [(4.0, 4.0 + width)], sfreq=SFREQ)[0])
    pairs = ~np.eye(24, dtype=bool)
    assert value[:, pairs].mean() == pytest.approx(phase_locking_floor(width, duration), abs=slack)


def test_floor_is_never_above_one() -> None:
    assert phase_locking_floor(0.1, 1.0) == 1


def test_phase_locking_is_that_of_the_definition() -> None:
    z = narrow(noise(5, 1024))
    phase = np.angle(z)
    plain = np.array([[abs(np.exp(1j * (a - b)).mean()) for b in phase] for a in phase])
    np.testing.assert_allclose(phase_locking(z), plain, atol=1e-12)


def test_phase_lag_is_that_of_the_definition() -> None:
    z = narrow(noise(2, 4, 512))
    s = (z[:, :, None] * z[:, None].conj()).imag
    size = np.abs(s).mean(axis=-1)
    plain = np.abs(s.mean(axis=-1)) / np.where(size > 0, size, 1)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(weighted_phase_lag(z)[:, off], plain[:, off], atol=1e-12)


@pytest.mark.parametrize("measure", [phase_locking, imaginary_coherence, weighted_phase_lag])
def test_a_flat_channel_goes_with_none(measure: object) -> None:
    assert callable(measure)
    z = narrow(noise(2, 1024))
    z[1] = 0
    assert measure(z)[0, 1] == 0
