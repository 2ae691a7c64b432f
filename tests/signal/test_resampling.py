"""A window at another rate: what both rates hold comes through, and nothing is shifted."""

import numpy as np
import pytest

from neurodecode.signal.resampling import resampling_matrix

RATES = [(128.0, 256.0), (160.0, 256.0), (250.0, 256.0), (173.61, 256.0), (500.0, 256.0)]


@pytest.mark.parametrize(("old", "new"), RATES)
def test_a_slow_wave_is_the_same_at_the_same_times(old: float, new: float) -> None:
    n_in = int(2 * old) + 1
    n_out = int((n_in - 1) * new / old) + 1

    def wave(sfreq: float, n: int) -> np.ndarray:
        return np.sin(2 * np.pi * 11.3 * np.arange(n) / sfreq + 0.4)

    got = resampling_matrix(n_in, old, n_out, new) @ wave(old, n_in)
    inner = slice(n_out // 5, -n_out // 5)
    np.testing.assert_allclose(got[inner], wave(new, n_out)[inner], atol=2e-3)


@pytest.mark.parametrize(("old", "new"), RATES)
def test_a_constant_stays_and_the_same_rate_changes_nothing(old: float, new: float) -> None:
    np.testing.assert_allclose(resampling_matrix(300, old, 310, new).sum(axis=1), 1)
    np.testing.assert_array_equal(resampling_matrix(50, old, 50, old), np.eye(50))


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    fast = np.sin(2 * np.pi * 200 * np.arange(1000) / 500)
    slow = resampling_matrix(1000, 500.0, 512, 256.0) @ fast
    assert np.abs(slow[100:-100]).max() < 0.01
