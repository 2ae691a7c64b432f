"""Simulated recordings: the answer is known, the difficulty is set, nothing depends on luck."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moabb.evaluations.splitters import CrossSubjectSplitter
from moabb.paradigms import P300, SSVEP, LeftRightImagery, MotorImagery
from pyriemann.estimation import Covariances
from pyriemann.tangentspace import TangentSpace
from scipy.signal import butter, sosfiltfilt
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline

from neurodecode.core.errors import ConfigError, NeurodecodeError, SignalError
from neurodecode.recordings.brain import PARADIGMS
from neurodecode.recordings.people import meet
from neurodecode.recordings.synthetic import Synthetic, Truth
from neurodecode.recordings.waveforms import Timeline

SMALL: dict[str, Any] = {"n_subjects": 2, "n_sessions": 1, "n_trials": 6, "sfreq": 100}
STRIP = ["FC3", "FC4", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "CP3", "CP4", "Pz"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is simulated away from the user's own cache."""
    monkeypatch.setenv("NEURODECODE_CACHE", str(tmp_path))
    return tmp_path


def first(dataset: Synthetic, subject: int = 1, session: str = "0") -> Truth:
    return dataset.truth(subject)[session]["0"]


def power(truth: Truth, ch_name: str, low: float, high: float) -> np.ndarray:
    """Power of the clean signal in each trial, from 1 s to 4 s."""
    sos = butter(4, (low, high), "bandpass", fs=truth.sfreq, output="sos")
    x = sosfiltfilt(sos, truth.clean[truth.ch_names.index(ch_name)].astype(float))
    starts = np.rint((truth.onsets + 1) * truth.sfreq).astype(int)
    return np.array([np.mean(x[s : s + round(3 * truth.sfreq)] ** 2) for s in starts])


def balanced_accuracy(dataset: Synthetic) -> tuple[float, float]:
    """Of tangent space and LDA on people left out one by one; the second with labels shuffled."""
    x, y, table = LeftRightImagery(fmin=8, fmax=32).get_data(dataset)
    pipe = make_pipeline(TangentSpace(), LinearDiscriminantAnalysis("lsqr", shrinkage="auto"))
    x = Covariances("oas").transform(x)
    scores = []
    for labels in (y, np.random.default_rng(0).permutation(y)):
        guess = cross_val_predict(
            pipe, x, labels, groups=table["subject"], cv=LeaveOneGroupOut(), n_jobs=1
        )
        scores.append(float(balanced_accuracy_score(labels, guess)))
    return scores[0], scores[1]


@pytest.mark.parametrize("paradigm", sorted(PARADIGMS))
def test_the_same_seed_gives_the_same_bits_in_any_order(paradigm: str) -> None:
    options = {"n_subjects": 2, "n_sessions": 2, "n_trials": 4, "sfreq": 100, "cache": False}
    forward, backward = (Synthetic(paradigm=paradigm, **options) for _ in range(2))
    one = [first(forward, s, "1") for s in (1, 2)]
    two = [first(backward, s, "1") for s in (2, 1)][::-1]
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.clean, b.clean)
        np.testing.assert_array_equal(a.artifact, b.artifact)
        np.testing.assert_array_equal(a.onsets, b.onsets)
        assert a.labels == b.labels


def test_a_subject_does_not_depend_on_how_many_there_are() -> None:
    alone = Synthetic(**{**SMALL, "n_subjects": 1}, cache=False)
    np.testing.assert_array_equal(first(alone).clean, first(Synthetic(**SMALL, cache=False)).clean)


def test_seeds_subjects_and_sessions_differ() -> None:
    options = {**SMALL, "n_sessions": 2, "cache": False}
    dataset, other = Synthetic(**options), Synthetic(**options, seed=1)
    parts = [first(dataset), first(dataset, 1, "1"), first(dataset, 2), first(other)]
    assert len({tuple(part.sources[0].pattern) for part in parts}) == 4
    assert len({part.clean[0, :99].tobytes() for part in parts}) == 4


def test_a_person_is_more_like_themselves_than_like_another() -> None:
    dataset = Synthetic(n_subjects=4, n_sessions=2, n_trials=2, sfreq=64, cache=False)
    maps = np.array(
        [
            [np.concatenate([s.pattern for s in truth["0"].sources]) for truth in visits.values()]
            for visits in map(dataset.truth, dataset.subject_list)
        ]
    )  # (n_subjects, n_sessions, n_sources * n_chans)
    apart = np.linalg.norm(maps[:, None, 0] - maps[None, :, 1], axis=2)
    own = np.diag(apart).mean()
    assert 0 < own < 0.7 * apart[~np.eye(4, dtype=bool)].mean()


def test_without_variability_people_have_one_head() -> None:
    dataset = Synthetic(**SMALL, variability=0, cache=False)
    for a, b in zip(first(dataset, 1).sources, first(dataset, 2).sources, strict=True):
        np.testing.assert_allclose(a.pattern, b.pattern)
        assert a.band == b.band
    assert [s.electrode for s in first(dataset).sources] == ["C3", "C4", "C3", "C4"]


@pytest.mark.parametrize("paradigm", sorted(PARADIGMS))
def test_a_recording_is_clean_plus_artifact(paradigm: str) -> None:
    dataset = Synthetic(paradigm=paradigm, **SMALL)
    truth, raw = first(dataset), dataset._get_single_subject_data(1)["0"]["0"]
    np.testing.assert_array_equal(
        raw.get_data(), truth.clean.astype(float) + truth.artifact.astype(float)
    )
    assert truth.artifact.any()
    assert raw.info["description"] == "simulated by neurodecode"
    assert tuple(raw.ch_names) == PARADIGMS[paradigm].ch_names
    assert tuple(raw.annotations.description) == truth.labels
    np.testing.assert_allclose(raw.annotations.onset, truth.onsets)
    np.testing.assert_allclose(raw.annotations.duration, truth.durations)
    assert len(raw.get_montage().ch_names) == len(raw.ch_names)
    assert truth.durations.min() >= dataset.interval[1] or paradigm == "p300"


def test_artifacts_can_be_left_out_and_change_nothing_else() -> None:
    with_, without = Synthetic(**SMALL), Synthetic(**SMALL, artifacts=False)
    assert not first(without).artifact.any()
    np.testing.assert_array_equal(first(with_).clean, first(without).clean)


@pytest.mark.parametrize("band", [(8, 13), (17, 26)])
def test_power_falls_over_the_hemisphere_opposite_the_hand(band: tuple[float, float]) -> None:
    dataset = Synthetic(n_subjects=4, n_sessions=1, n_trials=40, sfreq=100, cache=False)
    for subject in dataset.subject_list:
        truth = first(dataset, subject)
        left = np.array(truth.labels) == "left_hand"
        side = np.log(power(truth, "C4", *band) / power(truth, "C3", *band))
        assert side[left].mean() < side[~left].mean()


def test_the_fall_waits_for_the_cue() -> None:
    """Before 0.2 s the rhythm is at rest; after 0.8 s it has fallen to where it stays."""
    design = PARADIGMS["imagery"]
    person = meet(0, 1, variability=0, contrast=1)
    trials = Timeline(
        onsets=np.array([200]),
        durations=np.array([400]),
        labels=np.array(["left_hand"]),
        n_samples=1000,
        sfreq=100,
    )
    course = design.play(trials, person, np.random.default_rng(0))["mu_right"]
    np.testing.assert_allclose(course[:220], 1, atol=1e-6)
    assert course[285:600].max() - course[285:600].min() < 1e-6
    assert course[300] < 0.8


def test_class_sources_are_loudest_at_the_motor_electrodes() -> None:
    dataset = Synthetic(n_subjects=6, n_sessions=1, n_trials=2, sfreq=64)
    near = {
        "mu_left": {"C3", "C1", "C5", "CP3", "FC3"},
        "mu_right": {"C4", "C2", "C6", "CP4", "FC4"},
    }
    for subject in dataset.subject_list:
        truth = first(dataset, subject)
        for source in truth.sources[:2]:
            assert source.electrode in near[source.name]
            assert truth.ch_names[np.argmax(np.abs(source.pattern))] in near[source.name]
            assert 7 < source.band[0] < source.band[1] < 15


def test_amplitudes_are_those_of_eeg() -> None:
    names = ["Fp1", "Fp2", "F7", "F8", "Fz", "C3", "C4", "T7", "T8", "Pz", "O1", "O2"]
    dataset = Synthetic(n_subjects=3, n_sessions=1, n_trials=20, sfreq=128, ch_names=names)
    for subject in dataset.subject_list:
        truth = first(dataset, subject)
        rms = 1e6 * truth.clean.std(axis=1)
        assert rms.min() > 4
        assert rms.max() < 25
        peak = dict(zip(names, 1e6 * np.abs(truth.artifact).max(axis=1), strict=True))
        assert 80 < peak["Fp1"] < 400
        assert peak["Fp1"] > 3 * max(peak["Pz"], peak["O1"])


def test_background_falls_with_frequency() -> None:
    x = first(Synthetic(**{**SMALL, "n_trials": 20})).clean
    power = np.abs(np.fft.rfft(x.astype(float), axis=1)).mean(axis=0) ** 2
    freqs = np.fft.rfftfreq(x.shape[1], 0.01)
    low, high = (power[(freqs > a) & (freqs < b)].mean() for a, b in ((1, 4), (30, 45)))
    assert low > 5 * high


def test_a_kept_subject_equals_a_fresh_one(folder: Path) -> None:
    fresh = first(Synthetic(**SMALL))
    (file,) = folder.rglob("*.safetensors")
    before = file.stat().st_mtime_ns
    kept, never = first(Synthetic(**SMALL)), first(Synthetic(**SMALL, cache=False))
    assert file.stat().st_mtime_ns == before
    assert [str(file)] == Synthetic(**SMALL).data_path(1)
    for other in (kept, never):
        for name in ("clean", "artifact", "onsets", "durations"):
            np.testing.assert_array_equal(getattr(fresh, name), getattr(other, name))
        for a, b in zip(fresh.sources, other.sources, strict=True):
            np.testing.assert_array_equal(a.pattern, b.pattern)
            assert (a.name, a.electrode, a.band) == (b.name, b.electrode, b.band)


def test_another_choice_is_another_file(folder: Path) -> None:
    first(Synthetic(**SMALL))
    first(Synthetic(**SMALL, contrast=0.5))
    assert len(list(folder.rglob("*.safetensors"))) == 2


@pytest.mark.parametrize("keep", [0, 5, 5000])
def test_a_damaged_file_is_simulated_again(folder: Path, keep: int) -> None:
    fresh = first(Synthetic(**SMALL)).clean
    (file,) = folder.rglob("*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[:keep])
    np.testing.assert_array_equal(first(Synthetic(**SMALL)).clean, fresh)
    assert file.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_no_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "file").write_text("not a folder")
    monkeypatch.setenv("NEURODECODE_CACHE", str(folder / "file"))
    with caplog.at_level(logging.DEBUG, "neurodecode.recordings.kept"):
        assert first(Synthetic(**SMALL)).clean.any()
    assert "cannot be written" in caplog.text


def test_an_interrupted_write_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    first(Synthetic(**SMALL))
    assert not [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("options", "paradigm", "n_outputs"),
    [
        ({}, LeftRightImagery(), 2),
        ({"classes": ["left_hand", "right_hand", "feet"]}, MotorImagery(n_classes=3), 3),
        ({"paradigm": "p300"}, P300(), 2),
        ({"paradigm": "ssvep"}, SSVEP(n_classes=3), 3),
    ],
    ids=["left_right", "three_classes", "p300", "ssvep"],
)
def test_moabb_takes_it_unmodified(options: dict[str, Any], paradigm: Any, n_outputs: int) -> None:
    dataset = Synthetic(**{**SMALL, "n_sessions": 2, "n_trials": 12}, **options)
    assert paradigm.is_valid(dataset)
    x, y, table = paradigm.get_data(dataset)
    assert x.shape[:2] == (2 * 2 * 12, len(dataset.ch_names))
    assert len(set(y)) == n_outputs
    assert set(table["subject"]) == {1, 2}
    assert set(table["session"]) == {"0", "1"}
    folds = list(CrossSubjectSplitter().split(y, table))
    assert len(folds) == 2
    assert 1 < x.std() < 30  # MOABB gives microvolts


def test_people_left_out_are_decoded_but_not_perfectly() -> None:
    score, shuffled = balanced_accuracy(
        Synthetic(n_subjects=6, n_sessions=1, n_trials=40, sfreq=100, ch_names=STRIP)
    )
    assert 0.65 < score < 0.95
    assert 0.38 < shuffled < 0.62


def test_without_contrast_the_labels_mean_nothing() -> None:
    score, _ = balanced_accuracy(
        Synthetic(n_subjects=6, n_sessions=1, n_trials=40, sfreq=100, ch_names=STRIP, contrast=0)
    )
    assert 0.38 < score < 0.62


def test_a_target_is_followed_by_a_p300() -> None:
    truth = first(Synthetic(paradigm="p300", n_sessions=1, n_trials=240, cache=False))
    starts = np.rint((truth.onsets + 0.25) * truth.sfreq).astype(int)
    pz = truth.clean[truth.ch_names.index("Pz")]
    late = np.array([pz[s : s + round(0.2 * truth.sfreq)].mean() for s in starts])
    target = np.array(truth.labels) == "Target"
    assert target.mean() == pytest.approx(1 / 6)
    assert late[target].mean() - late[~target].mean() > 3e-6


def test_the_visual_cortex_follows_the_flicker() -> None:
    truth = first(Synthetic(paradigm="ssvep", n_sessions=1, n_trials=30, cache=False))
    table = np.array([power(truth, "Oz", f - 0.5, f + 0.5) for f in (13, 17, 21)])
    table /= table.mean(axis=1, keepdims=True)
    assert (
        np.mean([("13", "17", "21")[i] for i in table.argmax(axis=0)] == np.array(truth.labels))
        > 0.6
    )


def test_task_lowers_alpha_and_raises_theta() -> None:
    truth = first(Synthetic(paradigm="state", n_sessions=1, cache=False, ch_names=["Fz", "O1"]))
    task = np.array(truth.labels) == "task"
    assert len(task) == 2 * task.sum()
    theta, alpha = power(truth, "Fz", 5, 7), power(truth, "O1", 8, 12)
    assert theta[task].mean() > theta[~task].mean()
    assert alpha[task].mean() < alpha[~task].mean()


def test_seizures_start_at_the_focus_and_spread() -> None:
    truth = first(Synthetic(paradigm="seizure", n_sessions=1, cache=False, variability=0))
    assert truth.labels[:4] == ("background", "seizure", "background", "seizure")
    sos = butter(4, (2, 12), "bandpass", fs=truth.sfreq, output="sos")
    x = dict(zip(truth.ch_names, sosfiltfilt(sos, truth.clean.astype(float)), strict=True))
    early, late = np.zeros(2), np.zeros(2)
    for onset, duration, label in zip(truth.onsets, truth.durations, truth.labels, strict=True):
        if label == "seizure":
            cut = [
                round((onset + share * duration) * truth.sfreq) for share in (0.0, 0.3, 0.7, 0.95)
            ]
            for i, name in enumerate(("T7", "T8")):
                early[i] += x[name][cut[0] : cut[1]].std()
                late[i] += x[name][cut[2] : cut[3]].std()
    assert early[0] > 1.3 * early[1]
    assert late[1] > 1.5 * early[1]
    assert late[0] > late[1]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"paradigm": "imagry"}, ConfigError, "Did you mean 'imagery'"),
        ({"n_subjects": 0}, ConfigError, "n_subjects = 0, but a data set needs at least one"),
        ({"n_sessions": 0}, ConfigError, "n_sessions = 0"),
        ({"n_trials": 1}, ConfigError, "n_trials = 1 cannot show 2 classes"),
        ({"contrast": -1.0}, ConfigError, r"contrast = -1 is not in \[0, 3\]"),
        ({"variability": float("nan")}, ConfigError, "variability = nan"),
        ({"duration": 0.0}, ConfigError, "duration = 0 s is not a trial"),
        ({"classes": ["left_hand"]}, ConfigError, "two or more different classes"),
        ({"classes": ["left_hand", "left_foot"]}, ConfigError, "Did you mean 'left_hand'"),
        ({"paradigm": "ssvep", "classes": ["red", "13"]}, ConfigError, "are frequencies in Hz"),
        ({"paradigm": "ssvep", "classes": ["13", "60"]}, SignalError, "Ask for 150 Hz or more"),
        ({"sfreq": 50}, SignalError, "sfreq = 50 Hz cannot hold the rhythms"),
        ({"ch_names": ["C3", "c4"]}, SignalError, "'c4' is not on the 10-10 cap.*such as 'C4'"),
        ({"ch_names": ["C3", "C3"]}, SignalError, "each once; got C3, C3"),
    ],
)
def test_a_wrong_choice_is_one_line(
    options: dict[str, Any], error: type[NeurodecodeError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        Synthetic(**options)
    assert "\n" not in str(caught.value)


def test_a_subject_that_does_not_exist_is_one_line() -> None:
    with pytest.raises(ConfigError, match="Subject 3 is not simulated: there are 1 to 2"):
        Synthetic(**SMALL).truth(3)
