"""Is only the part exchanged, and always with another window?"""

import numpy as np
import pytest

from neurodecode.explain.swapped import derangement, swap_band, swap_channels, swap_times

SFREQ = 50.0


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((6, 3, 101)).astype(np.float32)


@pytest.fixture
def order() -> np.ndarray:
    return derangement(6, np.random.default_rng(0))


@pytest.mark.parametrize("n", [2, 3, 7, 60])
def test_every_window_gets_from_another_and_gives_once(n: int) -> None:
    for seed in range(20):
        order = derangement(n, np.random.default_rng(seed))
        assert sorted(order) == list(range(n))
        assert (order != np.arange(n)).all()


def test_a_single_window_has_only_itself() -> None:
    assert derangement(1, np.random.default_rng(0)).tolist() == [0]


def test_channels_come_from_the_other_and_the_rest_stays(x: np.ndarray, order: np.ndarray) -> None:
    before = x.copy()
    out = swap_channels(x, [0, 2], order)
    np.testing.assert_array_equal(out[:, [0, 2]], x[order][:, [0, 2]])
    np.testing.assert_array_equal(out[:, 1], x[:, 1])
    np.testing.assert_array_equal(x, before)


def test_samples_come_from_the_other_and_the_rest_stays(x: np.ndarray, order: np.ndarray) -> None:
    before = x.copy()
    out = swap_times(x, slice(10, 30), order)
    np.testing.assert_array_equal(out[..., 10:30], x[order][..., 10:30])
    np.testing.assert_array_equal(np.delete(out, range(10, 30), axis=2),
                                  np.delete(x, range(10, 30), axis=2))  # fmt: skip
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("n_times", [100, 101])
def test_a_band_comes_from_the_other_and_the_rest_stays(n_times: int, x: np.ndarray) -> None:
    x = np.ascontiguousarray(x[..., :n_times])
    before, order = x.copy(), derangement(6, np.random.default_rng(0))
    out = swap_band(x, (8.0, 12.0), order, sfreq=SFREQ)
    freqs = np.fft.rfftfreq(n_times, 1 / SFREQ)
    inside = (freqs >= 8) & (freqs < 12)
    own, given, made = (np.fft.rfft(w, axis=-1) for w in (x, x[order], out))
    np.testing.assert_allclose(made[..., inside], given[..., inside], atol=1e-4)
    np.testing.assert_allclose(made[..., ~inside], own[..., ~inside], atol=1e-4)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(x, before)


def test_bands_side_by_side_give_the_other_window(x: np.ndarray, order: np.ndarray) -> None:
    left = x
    for low in range(0, 28, 4):
        change = swap_band(x, (low, low + 4), order, sfreq=SFREQ) - x
        left = left + change
    np.testing.assert_allclose(left, x[order], atol=1e-5)


def test_a_band_that_windows_do_not_hold_changes_nothing(x: np.ndarray, order: np.ndarray) -> None:
    np.testing.assert_allclose(swap_band(x, (30, 40), order, sfreq=SFREQ), x, atol=1e-6)


def test_absent_channels_stay_absent_and_give_nothing(x: np.ndarray, order: np.ndarray) -> None:
    x[1, 2] = np.nan
    getting = int(np.flatnonzero(order == 1)[0])
    for out in (
        swap_band(x, (8, 12), order, sfreq=SFREQ),
        swap_times(x, slice(10, 30), order),
        swap_channels(x, [0, 2], order),
    ):
        assert np.isnan(out[1, 2]).all()
        np.testing.assert_array_equal(out[getting, 2], x[getting, 2])
        assert np.isnan(out).sum() == x.shape[2]
