"""A recording as it was made keeps its offsets and drift, and loses what a cleaner finds above."""

import mne
import numpy as np
import pytest

from neurodecode.artifacts.apply import HIGHPASS, clean, fit_cleaner, without_drift


class Silence:
    """Takes everything for an artifact, and marks a stretch."""

    def fit(self, raws: list[mne.io.BaseRaw]) -> "Silence":
        self.seen = [raw.get_data() for raw in raws]
        return self

    def transform(self, raw: mne.io.BaseRaw) -> mne.io.BaseRaw:
        out = raw.copy()
        out._data[:] = 0.0
        return out.set_annotations(out.annotations + mne.Annotations([1.0], [0.5], ["BAD_x"]))


def recording(highpass: float = 0.0) -> mne.io.RawArray:
    t = np.arange(0, 20, 1 / 128)
    info = mne.create_info(["C3", "C4", "VEOG"], 128.0, ["eeg", "eeg", "eog"])
    with info._unlock():
        info["highpass"] = highpass
    alpha = 1e-5 * np.sin(2 * np.pi * 10 * t)
    drift = 1e-4 * np.sin(2 * np.pi * 0.02 * t)
    return mne.io.RawArray(np.stack([3e-3 + drift + alpha, alpha, alpha]), info, verbose="ERROR")


@pytest.mark.parametrize("filter", ["zero-phase", "causal"])
def test_offset_and_drift_stay_and_the_rest_goes(filter: str) -> None:
    raw = recording()
    before = raw.get_data()
    cleaner = fit_cleaner(Silence(), [raw], filter=filter)  # type: ignore[arg-type]
    out = clean(cleaner, raw, filter=filter)  # type: ignore[arg-type]
    np.testing.assert_array_equal(raw.get_data(), before)
    np.testing.assert_array_equal(out.get_data([2]), before[2:])  # not of the brain
    assert abs(out.get_data([0]).mean() - before[0].mean()) < 1e-6
    fast = mne.filter.filter_data(out.get_data([0, 1]), 128.0, 5, None, verbose="ERROR")
    assert np.abs(fast[:, 500:-500]).max() < 2e-6
    assert list(out.annotations.description) == ["BAD_x"]


def test_what_is_high_passed_already_is_not_filtered_again() -> None:
    raw = recording(highpass=HIGHPASS)
    np.testing.assert_array_equal(without_drift(raw).get_data(), raw.get_data())


def test_a_channel_that_is_not_finite_does_not_keep_the_others_from_being_filtered() -> None:
    raw = recording()
    raw._data[1, 100] = np.nan
    raw.info["bads"] = ["C4"]
    smooth = without_drift(raw)
    np.testing.assert_array_equal(smooth.get_data([1]), raw.get_data([1]))
    assert abs(smooth.get_data([0]).mean()) < 1e-5


@pytest.mark.parametrize("date", [None, 1_700_000_000])
def test_annotations_stay_in_place_in_a_part_of_a_recording(date: int | None) -> None:
    raw = recording().set_meas_date(date).crop(5.0)
    raw.set_annotations(mne.Annotations([2.0], [0.5], ["a"], orig_time=None))
    before = raw.annotations.onset.copy()
    out = clean(Nothing(), raw)
    np.testing.assert_allclose(out.annotations.onset, before)
    assert out.annotations.orig_time == raw.annotations.orig_time


class Nothing:
    """Takes nothing for an artifact."""

    def fit(self, raws: list[mne.io.BaseRaw]) -> "Nothing":
        self.seen = raws
        return self

    def transform(self, raw: mne.io.BaseRaw) -> mne.io.BaseRaw:
        return raw.copy()


@pytest.mark.parametrize("highpass", [0.0, HIGHPASS])
def test_nothing_is_learned_from_dropouts(highpass: float) -> None:
    raw = recording(highpass).crop(2.0)
    raw._data[:2, 640:1280] = 0.0  # the EOG channel goes on
    raw._data[0, 1500:1700] = 0.0  # one channel alone is no dropout
    raw.set_annotations(mne.Annotations([1.0], [0.5], ["a"]))
    cleaner = Nothing()
    fit_cleaner(cleaner, [raw])
    (seen,) = cleaner.seen
    assert list(seen.annotations.description) == ["a", "BAD_dropout"]
    assert seen.annotations.onset[1] - seen.first_time == pytest.approx(640 / 128)
    assert seen.annotations.duration[1] == pytest.approx(5.0)
    assert list(raw.annotations.description) == ["a"]


def test_a_recording_that_is_flat_is_no_dropout() -> None:
    raw = recording()
    raw._data[:] = 0.0
    cleaner = Nothing()
    fit_cleaner(cleaner, [raw])
    assert not len(cleaner.seen[0].annotations)
