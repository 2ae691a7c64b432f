"""Simulated implants: the answer is known, the difficulty is set, nothing depends on luck."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.signal import welch
from sklearn.metrics import roc_auc_score

from neurodecode.core.errors import ConfigError, NeurodecodeError, SignalError
from neurodecode.epochs.cut import cut_epochs
from neurodecode.epochs.epochset import EpochSet, join
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.data import load_epochs
from neurodecode.recordings.cards import find_card, open_dataset
from neurodecode.recordings.ictal import MIMICS, plan
from neurodecode.recordings.implant import ROWS, SPACING, admit
from neurodecode.recordings.intracranial import IntracranialTruth, SyntheticIEEG
from neurodecode.recordings.load import load_recordings
from neurodecode.recordings.montage import channel_positions

SMALL: dict[str, Any] = {"n_subjects": 2, "n_sessions": 1, "duration": 150, "n_chans": (16, 24)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is simulated away from the user's own cache."""
    monkeypatch.setenv("NEURODECODE_CACHE", str(tmp_path))
    return tmp_path


def first(dataset: SyntheticIEEG, subject: int = 1, session: str = "0") -> IntracranialTruth:
    return dataset.truth(subject)[session]["0"]


@pytest.fixture(scope="module")
def eight() -> list[IntracranialTruth]:
    """One recording of each of eight patients, as large as the card's."""
    data = SyntheticIEEG(n_sessions=1, n_chans=(16, 64), cache=False)
    return [first(data, subject) for subject in data.subject_list]


def test_the_same_seed_gives_the_same_bits_in_any_order() -> None:
    one, two = (SyntheticIEEG(**SMALL, cache=False) for _ in range(2))
    forward = [first(one, s) for s in (1, 2)]
    backward = [first(two, s) for s in (2, 1)][::-1]
    for a, b in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(a.signal, b.signal)
        assert [s.onset for s in a.seizures] == [s.onset for s in b.seizures]


def test_a_subject_does_not_depend_on_how_many_there_are() -> None:
    alone = SyntheticIEEG(**{**SMALL, "n_subjects": 1}, cache=False)
    np.testing.assert_array_equal(
        first(alone).signal, first(SyntheticIEEG(**SMALL, cache=False)).signal
    )


def test_seeds_subjects_and_sessions_differ_and_the_patient_stays() -> None:
    options = {**SMALL, "n_sessions": 2, "cache": False}
    dataset, other = SyntheticIEEG(**options), SyntheticIEEG(**options, seed=1)
    parts = [first(dataset), first(dataset, 1, "1"), first(dataset, 2), first(other)]
    assert len({part.signal[0, :99].tobytes() for part in parts}) == 4
    np.testing.assert_array_equal(parts[0].patient.positions, parts[1].patient.positions)
    assert parts[0].zone == parts[1].zone
    assert len({part.patient.positions.tobytes() for part in parts}) == 3


def test_a_kept_subject_equals_a_fresh_one(folder: Path) -> None:
    fresh = first(SyntheticIEEG(**SMALL))
    (file,) = folder.rglob("*.safetensors")
    before = file.stat().st_mtime_ns
    kept = first(SyntheticIEEG(**SMALL))
    assert file.stat().st_mtime_ns == before
    assert [str(file)] == SyntheticIEEG(**SMALL).data_path(1)
    np.testing.assert_array_equal(kept.signal, fresh.signal)
    np.testing.assert_array_equal(kept.spike_times, fresh.spike_times)
    assert kept.mimics == fresh.mimics
    for a, b in zip(kept.seizures, fresh.seizures, strict=True):
        assert (a.onset, a.duration) == (b.onset, b.duration)
        np.testing.assert_array_equal(a.joins, b.joins)


def test_a_recording_is_annotated_and_located() -> None:
    dataset = SyntheticIEEG(**SMALL)
    truth, raw = first(dataset), dataset._get_single_subject_data(1)["0"]["0"]
    np.testing.assert_array_equal(raw.get_data(), truth.signal.astype(float))
    assert set(raw.get_channel_types()) == {"seeg"}
    assert set(raw.annotations.description) == {"seizure"}
    np.testing.assert_allclose(raw.annotations.onset, [s.onset for s in truth.seizures])
    np.testing.assert_allclose(channel_positions(raw), truth.patient.positions)
    assert raw.info["description"] == "simulated by neurodecode"
    assert dataset.event_id == {"background": 1, "seizure": 2}


def test_implants_differ_in_size_as_they_do_in_hospitals() -> None:
    counts = [len(admit(0, s, n_chans=(16, 128)).ch_names) for s in range(1, 201)]
    assert min(counts) < 20
    assert max(counts) > 110
    assert 40 < np.median(counts) < 52  # log-uniform: the geometric mean, 45
    assert {len(admit(0, s, n_chans=(32, 32)).ch_names) for s in (1, 2)} == {32}


def test_contacts_stand_in_rows_inside_the_head() -> None:
    for subject in range(1, 9):
        patient = admit(0, subject, n_chans=(16, 128))
        letters = [name.rstrip("0123456789") for name in patient.ch_names]
        for letter in set(letters):
            row = patient.positions[[i for i, other in enumerate(letters) if other == letter]]
            steps = np.diff(row, axis=0)
            gaps = np.linalg.norm(steps, axis=1)
            assert len(row) <= max(ROWS)
            if len(gaps):
                assert SPACING[0] - 1e-9 <= gaps.min() <= gaps.max() <= SPACING[1] + 1e-9
                np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-9)
        assert (patient.depth >= 0).all()
        assert np.ptp(patient.positions, axis=0).max() < 0.18


def test_neighbours_record_alike_and_far_contacts_do_not() -> None:
    data = SyntheticIEEG(n_subjects=1, n_sessions=1, duration=150, n_chans=(60, 60), contrast=0)
    truth = first(data)
    r = np.asarray(np.corrcoef(truth.signal))
    place = truth.patient.positions
    apart = np.linalg.norm(place[:, None] - place[None], axis=2)
    good = np.ones(60, bool)
    good[[*truth.patient.dead, *truth.patient.noisy]] = False
    pairs = good[:, None] & good[None] & (apart > 0)
    near, far = r[pairs & (apart < 0.006)].mean(), r[pairs & (apart > 0.05)].mean()
    assert near > 0.4
    assert near > far + 0.3


def test_background_falls_with_frequency(eight: list[IntracranialTruth]) -> None:
    for truth in eight:
        freqs, power = welch(truth.signal, truth.sfreq, nperseg=512)
        low, high = (power[:, (freqs > a) & (freqs < b)].mean() for a, b in ((1, 4), (30, 45)))
        assert low > 20 * high


def test_seizures_are_as_long_and_as_many_as_promised(eight: list[IntracranialTruth]) -> None:
    for truth in eight:
        assert 1 <= len(truth.seizures) <= 3
        ends = [s.onset + s.duration for s in truth.seizures]
        assert all(15 <= s.duration <= 60 for s in truth.seizures)
        assert truth.seizures[0].onset >= 25
        assert ends[-1] <= 360 - 25
        later = [s.onset for s in truth.seizures[1:]]
        assert all(b - a >= 60 for a, b in zip(ends[:-1], later, strict=True))


def test_mimics_know_nothing_of_seizures() -> None:
    """They cover as much of the time in seizures as of any other."""
    inside, outside = np.zeros(2), np.zeros(2)  # seconds with a mimic, seconds
    kinds = set()
    for i in range(200):
        course = plan(360.0, 10.0, (1, 3), np.random.default_rng(i))
        ictal, mimic = np.zeros((2, 3600), bool)
        for onset, duration in zip(course.onsets, course.durations, strict=True):
            ictal[course.slice(onset, duration)] = True
        for onset, duration in zip(course.mimic_onsets, course.mimic_durations, strict=True):
            mimic[course.slice(onset, duration)] = True
        inside += (mimic & ictal).sum(), ictal.sum()
        outside += (mimic & ~ictal).sum(), (~ictal).sum()
        kinds |= set(course.mimic_kinds.tolist())
    assert kinds == set(range(len(MIMICS)))
    assert inside[0] / inside[1] == pytest.approx(outside[0] / outside[1], rel=0.15)


def test_a_short_recording_has_as_many_seizures_as_fit() -> None:
    course = plan(120.0, 128.0, (3, 3), np.random.default_rng(0))
    assert 1 <= len(course.onsets) < 3
    assert (course.onsets + course.durations <= 120).all()


def test_seizures_begin_in_the_zone_and_spread_outward(eight: list[IntracranialTruth]) -> None:
    for truth in eight:
        patient = truth.patient
        away = np.linalg.norm(patient.positions - patient.foci[0], axis=1)
        for s in truth.seizures:
            joined = np.isfinite(s.joins)
            assert joined[patient.zone].all()
            assert s.joins[joined].min() == pytest.approx(s.onset)
            assert s.joins[patient.zone].max() < s.onset + 1
            assert s.joins[joined].max() < s.onset + s.duration
            assert away[joined].mean() < away[~joined].mean() if (~joined).any() else True
            outside = joined.copy()
            outside[patient.zone] = False
            if outside.sum() > 4:
                assert np.corrcoef(away[outside], s.joins[outside])[0, 1] > 0.5


def spectrum(truth: IntracranialTruth, rows: Any, start: float, stop: float) -> Any:
    """Frequencies and mean power of some contacts between two times, s."""
    x = truth.signal[rows, round(start * truth.sfreq) : round(stop * truth.sfreq)]
    freqs, power = welch(x, truth.sfreq, nperseg=min(256, x.shape[1]))
    return freqs, power.mean(axis=0)


def test_a_seizure_is_fast_at_first_then_slow_and_loud(eight: list[IntracranialTruth]) -> None:
    fast, loud = [], []
    for truth in eight:
        for s in truth.seizures:
            zone = truth.patient.zone
            freqs, before = spectrum(truth, zone, s.onset - 20, s.onset)
            _, start = spectrum(truth, zone, s.onset, s.onset + 0.15 * s.duration)
            _, end = spectrum(truth, zone, s.onset + 0.6 * s.duration, s.onset + s.duration)
            freqs_start, _ = spectrum(truth, zone, s.onset, s.onset + 0.15 * s.duration)
            fast.append(
                start[(freqs_start > 15) & (freqs_start < 45)].mean()
                / before[(freqs > 15) & (freqs < 45)].mean()
            )
            loud.append(
                end[(freqs > 2) & (freqs < 9)].mean() / before[(freqs > 2) & (freqs < 9)].mean()
            )
    assert np.median(fast) > 2
    assert np.median(loud) > 5


def test_the_zone_falls_quiet_afterwards(eight: list[IntracranialTruth]) -> None:
    quiet = []
    for truth in eight:
        for s in truth.seizures:
            end = s.onset + s.duration
            _, before = spectrum(truth, truth.patient.zone, s.onset - 15, s.onset)
            _, after = spectrum(truth, truth.patient.zone, end + 1, end + 5)
            quiet.append(after[2:].sum() / before[2:].sum())
    assert np.median(quiet) < 0.7


def test_spikes_come_from_the_zone_and_from_elsewhere(eight: list[IntracranialTruth]) -> None:
    for truth in eight:
        assert set(truth.spike_foci) == {0, 1, 2}
        assert len(truth.spike_times) > 10
        at = np.rint(truth.spike_times[truth.spike_foci == 0] * truth.sfreq).astype(int)
        near = truth.patient.distance(truth.patient.foci[0]).argmin()
        if near not in (*truth.patient.dead, *truth.patient.noisy) and len(at) > 8:
            assert np.median(truth.signal[near, at + round(0.1 * truth.sfreq)]) < -30e-6


def test_bad_contacts_are_outside_the_zone_and_look_it() -> None:
    found = 0
    for subject in range(1, 30):
        patient = admit(0, subject, n_chans=(64, 128))
        bad = {*patient.dead, *patient.noisy}
        assert not bad & set(patient.zone)
        found += len(bad)
    assert 40 < found < 300
    data = SyntheticIEEG(**{**SMALL, "n_subjects": 40, "n_chans": (64, 64)}, cache=False)
    spoiled = next(s for s in range(1, 40) if len(admit(0, s, n_chans=(64, 64)).dead))
    truth = first(data, spoiled)
    rms = truth.signal.std(axis=1)
    assert np.median(rms[truth.patient.dead]) < 0.2 * np.median(rms)


def test_without_contrast_a_seizure_changes_nothing() -> None:
    with_, without = (SyntheticIEEG(**SMALL, contrast=c, cache=False) for c in (1.0, 0.0))
    truth, plain = first(with_), first(without)
    (s, *_) = truth.seizures
    quiet = slice(0, round((s.onset - 1) * truth.sfreq))
    np.testing.assert_array_equal(truth.signal[:, quiet], plain.signal[:, quiet])
    never = np.isnan(np.stack([s.joins for s in truth.seizures])).all(axis=0)
    np.testing.assert_array_equal(truth.signal[never], plain.signal[never])
    during = slice(round(s.onset * truth.sfreq), round((s.onset + s.duration) * truth.sfreq))
    zone = truth.patient.zone
    assert truth.signal[zone, during].std() > 1.3 * plain.signal[zone, during].std()


def windows(data: SyntheticIEEG) -> EpochSet:
    options: dict[str, Any] = {"window": (0, 6), "stride": 3.0, "slide": True}
    sets = [
        cut_epochs(recording, ["background", "seizure"], **options)
        for subject in data.subject_list
        for recording in load_recordings(data, subject)
    ]
    return join(sets, channels="any")


def loudest(epochs: EpochSet) -> dict[str, Any]:
    """What a threshold can be put to, against the median of each recording.

    Log line length and log power from 3 to 8 Hz, of a contact louder than nine in ten.
    """
    line = np.abs(np.diff(epochs.x, axis=2)).mean(axis=2)
    power = (np.abs(np.fft.rfft(epochs.x, axis=2))[..., 18:48] ** 2).sum(axis=2)
    who = epochs.table.groupby(["subject", "session"]).ngroup()
    values = {}
    for name, x in {"line length": line, "3-8 Hz": power}.items():
        value = pd.Series(np.log(np.nanquantile(x, 0.9, axis=1)))
        values[name] = value - value.groupby(who).transform("median")
    return values


def test_a_threshold_is_better_than_luck_and_far_from_enough() -> None:
    epochs = windows(SyntheticIEEG(n_sessions=1, n_chans=(16, 48), cache=False))
    assert 0.1 < epochs.y.mean() < 0.4
    for name, value in loudest(epochs).items():
        auc = roc_auc_score(epochs.y, value)
        assert 0.65 < auc < 0.95, name


def test_without_contrast_a_threshold_is_luck() -> None:
    epochs = windows(SyntheticIEEG(n_sessions=1, n_chans=(16, 32), contrast=0, cache=False))
    for name, value in loudest(epochs).items():
        assert 0.35 < roc_auc_score(epochs.y, value) < 0.65, name


def test_ten_minutes_take_seconds() -> None:
    data = SyntheticIEEG(
        n_subjects=1, n_sessions=1, duration=600, n_chans=(64, 64), sfreq=256, cache=False
    )
    begin = time.process_time()
    assert first(data).signal.shape == (64, 153600)
    assert time.process_time() - begin < 15


def test_the_card_leads_to_padded_windows() -> None:
    choices = resolve("seizure", flags={"data.dataset": ["synthetic_ieeg"]})
    assert choices["epochs"]["slide"]
    data = open_dataset(find_card("synthetic_ieeg", paradigm="seizure"))
    counts = [len(admit(0, s, n_chans=data.n_chans).ch_names) for s in data.subject_list]
    epochs = load_epochs(choices, n_subjects=2)
    assert epochs.classes == ("background", "seizure")
    assert epochs.x.shape[1] == max(counts[:2])
    present = np.isfinite(epochs.x).all(axis=2).sum(axis=1)
    for subject, count in zip("12", counts, strict=False):
        assert set(present[epochs.table["subject"] == subject]) == {count}
    assert epochs.table.groupby(["subject", "session"]).size().tolist() == [119] * 4
    n_bytes = 8 * 2 * 119 * max(counts) * epochs.x.shape[2] * 4
    assert n_bytes < 600e6


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"n_subjects": 0}, ConfigError, "needs at least one"),
        ({"n_chans": (64, 16)}, ConfigError, "not a range of contacts"),
        ({"n_chans": (2, 16)}, ConfigError, "not a range of contacts"),
        ({"seizures": (2, 1)}, ConfigError, "is not a range"),
        ({"duration": 30}, ConfigError, "room for a seizure"),
        ({"contrast": -1}, ConfigError, "is not in"),
        ({"sfreq": 64}, SignalError, "fast activity"),
    ],
)
def test_what_cannot_be_simulated_is_one_line(
    options: Any, kind: type[NeurodecodeError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        SyntheticIEEG(**options)


def test_an_unknown_subject_is_refused() -> None:
    with pytest.raises(ConfigError, match="there are 1 to 2"):
        SyntheticIEEG(**SMALL).truth(3)
