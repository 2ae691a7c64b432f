"""Are changes of power against before the cue what was put in, in decibels?"""

from dataclasses import replace

import numpy as np
import pytest
from mixed_sources import N_TIMES, NAMES, SFREQ, axes, tone

from neurodecode.core.errors import SignalError
from neurodecode.explain.erds import desynchronisation
from neurodecode.explain.power import bin_power, segment_power
from neurodecode.explain.windows import Axes

HALF = 10 * np.log10(1 / 4)


def noise(n: int, n_times: int = N_TIMES, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (4 * rng.standard_normal((n, len(NAMES), n_times))).astype(np.float32)


@pytest.fixture(scope="module")
def before() -> np.ndarray:
    return segment_power(noise(300, 100, seed=9), SFREQ).mean(axis=0)


def test_half_the_amplitude_is_six_decibels_less(before: np.ndarray) -> None:
    x, y = noise(120), np.arange(120) % 2
    x[y == 1, 2] /= 2
    maps = desynchronisation(x, y, before, axes())
    chan = maps.kinds["chan"]
    assert chan[1, 2] == pytest.approx(HALF, abs=0.3)
    assert np.abs(np.delete(chan[1], 2)).max() < 0.4
    assert np.abs(chan[0]).max() < 0.4
    np.testing.assert_allclose(maps.kinds["chan_freq"][1, 2], HALF, atol=1.5)
    np.testing.assert_allclose(maps.kinds["chan_time"][1, 2], HALF, atol=1)
    assert maps.facts["before_cue"] == 1
    assert maps.unit == "dB"
    assert maps.signed


def test_a_gain_of_the_whole_recording_changes_nothing(before: np.ndarray) -> None:
    x, y = noise(20), np.arange(20) % 2
    once = desynchronisation(x, y, before, axes())
    louder = desynchronisation(3 * x, y, 9 * before, axes())
    for kind, values in once.kinds.items():
        np.testing.assert_allclose(louder.kinds[kind], values, atol=1e-3)


def test_a_rhythm_falls_silent_in_its_bins_and_at_its_time() -> None:
    rng = np.random.default_rng(0)
    n = 80
    x, y = noise(n), np.zeros(n, dtype=int)
    rest = noise(n, 100, seed=5)
    rest[:, 3] += 12 * tone(11, n, rng)[:, :100].astype(np.float32)
    x[:, 3] += 12 * tone(11, n, rng).astype(np.float32) * (np.arange(N_TIMES) < 100)
    before = segment_power(rest, SFREQ).mean(axis=0)
    maps = desynchronisation(x, y, before, axes())
    assert maps.kinds["chan"][0].argmin() == 3
    assert 10 <= axes().freqs[maps.kinds["chan_freq"][0, 3].argmin()] <= 12
    course = maps.kinds["chan_time"][0, 3]
    assert course[9:-1].mean() < course[1:7].mean() - 6
    assert course[1:7].mean() == pytest.approx(0, abs=1)


@pytest.mark.parametrize("n_times", [60, 100, 400])
def test_a_steady_rhythm_is_no_change_however_long_the_windows(n_times: int) -> None:
    """A periodogram of four seconds leaks less than one of a second, and would show a peak."""
    rng = np.random.default_rng(0)
    of = Axes(classes=("a",), ch_names=NAMES, sfreq=SFREQ, n_times=n_times)

    def steady(n: int, n_times: int) -> np.ndarray:
        t = np.arange(n_times) / SFREQ
        phases = rng.uniform(0, 2 * np.pi, (n, len(NAMES), 1))
        wave = 20 * np.sin(2 * np.pi * 10.3 * t + phases)
        return (wave + noise(n, n_times, seed=n_times)).astype(np.float32)

    before = segment_power(steady(300, 100), SFREQ, n_times=n_times).mean(axis=0)
    maps = desynchronisation(steady(300, n_times), np.zeros(300, int), before, of)
    near = (of.freqs > 8) & (of.freqs < 13)
    assert np.abs(maps.kinds["chan_freq"][0][:, near]).max() < 0.7


def test_with_nothing_before_the_cue_classes_are_seen_against_each_other() -> None:
    x, y = noise(120), np.arange(120) % 2
    x[y == 1, 2] *= 2
    maps = desynchronisation(x, y, None, axes())
    assert maps.facts["before_cue"] == 0
    assert maps.kinds["chan"][1, 2] == pytest.approx(10 * np.log10(4 / 2.5), abs=0.3)
    assert maps.kinds["chan"][0, 2] == pytest.approx(10 * np.log10(1 / 2.5), abs=0.3)


def test_a_class_without_a_window_is_not_a_number(before: np.ndarray) -> None:
    x, y = noise(10), np.zeros(10, dtype=int)
    for reference in (before, None):
        maps = desynchronisation(x, y, reference, axes())
        for values in maps.kinds.values():
            assert np.isnan(values[1]).all()
            assert np.isfinite(values[0]).all()


def test_windows_without_the_band_still_have_a_spectrum(before: np.ndarray) -> None:
    slow = replace(axes(), sfreq=40.0)
    rest = segment_power(noise(20, 40), 40.0).mean(axis=0)
    maps = desynchronisation(noise(20), np.arange(20) % 2, rest, slow)
    assert list(maps.kinds) == ["freq", "chan_freq"]


def test_power_of_other_channels_is_refused(before: np.ndarray) -> None:
    with pytest.raises(
        SignalError, match="3 x 50 channels and frequencies, and that of the windows of 6 x 50"
    ):
        desynchronisation(noise(4), np.arange(4) % 2, before[:3], axes())


def test_a_sine_has_its_power_in_its_bin() -> None:
    """Amplitude 2 is power 2; a Hann window leaves two thirds in the bin and the rest beside it."""
    wave = 2 * np.sin(2 * np.pi * 10 * np.arange(N_TIMES) / SFREQ)[None, None]
    power = bin_power(wave, axes())[0, 0]
    assert power.sum() == pytest.approx(2, rel=1e-2)
    assert axes().freqs[power.argmax()] == 10


def test_white_noise_has_its_density_in_segments() -> None:
    density = segment_power(noise(400), SFREQ).mean(axis=(0, 1))
    np.testing.assert_allclose(density[2:-1], 16 / (SFREQ / 2), rtol=0.1)
