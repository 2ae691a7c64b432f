"""Coupling: planted, absent, and what does not change it."""

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from neurodecode.signal.coupling import Coupling, phase_amplitude_coupling

SFREQ = 250.0
T = np.arange(round(10 * SFREQ)) / SFREQ
THETA, GAMMA = (4.0, 8.0), (30.0, 50.0)


def planted(depth: float, angle: float = 0.0) -> NDArray[np.float64]:
    """A 6 Hz wave, and 40 Hz whose amplitude follows it: 1 + depth cos(phase - angle)."""
    phase = 2 * np.pi * 6 * T
    return np.asarray(
        np.cos(phase) + 0.3 * (1 + depth * np.cos(phase - angle)) * np.cos(2 * np.pi * 40 * T)
    )


def coupling(x: NDArray[np.float64], measure: Coupling) -> float:
    return float(phase_amplitude_coupling(x, THETA, GAMMA, sfreq=SFREQ, measure=measure))


@pytest.mark.parametrize("depth", [0.0, 0.5, 1.0])
def test_vector_is_half_of_the_depth(depth: float) -> None:
    """Mean of (1 + d cos phi) e^(i phi) over a period is d / 2, and its mean size is 1."""
    assert coupling(planted(depth), "vector") == pytest.approx(depth / 2, abs=0.01)
    assert coupling(planted(depth), "cosine") == pytest.approx(depth / 2, abs=0.01)


def test_cosine_tells_peak_from_dip() -> None:
    assert coupling(planted(0.8, np.pi), "cosine") == pytest.approx(-0.4, abs=0.01)
    assert coupling(planted(0.8, np.pi / 2), "cosine") == pytest.approx(0, abs=0.02)
    assert coupling(planted(0.8, np.pi / 2), "vector") == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("depth", [0.5, 0.8])
def test_modulation_index_is_the_divergence_of_the_planted_shares(depth: float) -> None:
    edges = -np.pi + 2 * np.pi * np.arange(19) / 18
    inside = 1 + depth * np.diff(np.sin(edges)) / np.diff(edges)  # mean of 1 + d cos over a bin
    share = inside / inside.sum()
    expected = 1 + (share * np.log(share)).sum() / np.log(18)
    assert coupling(planted(depth), "modulation_index") == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("measure", get_args(Coupling))
def test_louder_is_not_more_coupled(measure: Coupling) -> None:
    x = planted(0.5)
    assert coupling(50 * x, measure) == pytest.approx(coupling(x, measure), abs=1e-6)


@pytest.mark.parametrize("measure", get_args(Coupling))
def test_signals_are_measured_one_by_one(measure: Coupling) -> None:
    x = np.stack([planted(0.2), planted(0.9), np.zeros_like(T)]).reshape(3, 1, -1)
    values = phase_amplitude_coupling(x, THETA, GAMMA, sfreq=SFREQ, measure=measure)
    assert values.shape == (3, 1)
    assert values[1, 0] > values[0, 0] > 0
    assert values[2, 0] == 0
