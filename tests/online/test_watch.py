"""Samples that cannot be trusted are found as they come, and never by what follows them."""

import numpy as np
import pytest

from neurodecode.online.watch import Fault, Watch

SFREQ = 100.0


def signal(n: int = 300) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((4, n))


def faults(x: np.ndarray, chunk: int) -> np.ndarray:
    watch = Watch(4, SFREQ, 10_000)
    for i in range(0, x.shape[1], chunk):
        watch.step(x[:, i : i + chunk])
    return np.stack([watch.between(i, i + 1) for i in range(x.shape[1])], axis=1)


@pytest.mark.parametrize("chunk", [1, 7, 300])
def test_what_is_not_a_number_is_found_and_held(chunk: int) -> None:
    x = signal()
    x[1, 50:60] = np.nan
    found = faults(x, chunk)
    assert (found[1, 50:60] == Fault.NOT_FINITE).all()
    assert not found[:, :50].any()
    assert not found[[0, 2]].any()
    watch = Watch(4, SFREQ, 1000)
    mended = np.concatenate([watch.step(x[:, i : i + chunk]) for i in range(0, 300, chunk)], axis=1)
    assert (mended[1, 50:60] == x[1, 49]).all()
    assert np.isfinite(mended).all()


@pytest.mark.parametrize("chunk", [1, 7, 300])
def test_a_channel_is_flat_after_a_fifth_of_a_second(chunk: int) -> None:
    x = signal()
    x[2, 100:140] = 5.0
    found = faults(x, chunk)
    first = 100 + round(0.2 * SFREQ) - 1
    assert (found[2, first:140] == Fault.FLAT).all()
    assert not found[2, :first].any()
    assert not found[2, 140:].any()
    assert not found[:2].any()


@pytest.mark.parametrize("chunk", [1, 2, 300])
def test_all_channels_standing_still_is_a_dead_amplifier(chunk: int) -> None:
    x = signal()
    x[:, 100:110] = 0.0
    found = faults(x, chunk)
    assert (found[:, 102:110] == Fault.FLAT).all()
    assert not found[:, :102].any()


def test_a_value_that_comes_twice_is_no_fault() -> None:
    x = np.round(signal(2000) * 2)  # coarse steps, as of an old converter
    assert not faults(x, 10).any()


def test_what_is_long_ago_is_forgotten() -> None:
    watch, x = Watch(4, SFREQ, 50), signal()
    x[0, 10] = np.nan
    for i in range(0, 300, 10):
        watch.step(x[:, i : i + 10])
    assert watch.faults == []


def test_a_single_coarse_channel_that_repeats_a_value_is_alive() -> None:
    watch = Watch(1, SFREQ, 10_000)
    watch.step(np.repeat(np.arange(100.0), 4)[None])
    assert not watch.between(0, 400).any()
