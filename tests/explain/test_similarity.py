"""How alike are two maps?"""

import numpy as np
import pytest

from neurodecode.explain.similarity import correlation, similarity
from neurodecode.explain.windows import Maps


def over_electrodes(values: np.ndarray, **more: np.ndarray) -> Maps:
    return Maps(kinds={"chan": values.astype(np.float32), **more}, unit="share")


def test_a_map_is_like_itself_at_any_scale() -> None:
    chan = np.random.default_rng(0).random((2, 22))
    assert similarity(over_electrodes(chan), over_electrodes(7 * chan)) == pytest.approx(1)


def test_independent_maps_are_not_alike() -> None:
    rng = np.random.default_rng(0)
    found = [
        similarity(over_electrodes(rng.random((2, 64))), over_electrodes(rng.random((2, 64))))
        for _ in range(50)
    ]
    assert abs(np.mean(found)) < 0.05


def test_a_flat_map_is_like_none() -> None:
    flat = over_electrodes(np.full((2, 22), 1 / 22))
    assert similarity(flat, over_electrodes(np.random.default_rng(0).random((2, 22)))) == 0


def test_a_class_without_a_window_does_not_count() -> None:
    chan = np.random.default_rng(0).random((2, 22))
    other = chan.copy()
    other[1] = np.nan
    assert similarity(over_electrodes(chan), over_electrodes(other)) == pytest.approx(1)


def test_with_three_electrodes_frequencies_are_looked_at_too() -> None:
    rng = np.random.default_rng(0)
    chan, spectra = rng.random((2, 3)), rng.random((2, 3, 30)).astype(np.float32)
    same = over_electrodes(chan, chan_freq=spectra)
    other = over_electrodes(chan, chan_freq=rng.random((2, 3, 30)).astype(np.float32))
    assert similarity(same, same) == pytest.approx(1)
    assert similarity(same, other) < 0.5


def test_correlation_is_pearsons() -> None:
    a, b = np.random.default_rng(1).random((2, 40)).astype(np.float32)
    assert correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])


def test_maps_with_the_same_peak_are_alike_whatever_lies_around_it() -> None:
    rng = np.random.default_rng(0)
    one, other = 0.05 * rng.random((2, 2, 22))
    one[:, 7], other[:, 7] = 1, 1
    assert similarity(over_electrodes(one), over_electrodes(other)) > 0.95
