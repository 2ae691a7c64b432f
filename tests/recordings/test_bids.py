"""A BIDS folder is a MOABB data set, whatever its sessions and tasks are called."""

from pathlib import Path

import mne
import mne_bids
import numpy as np
import pytest

from neurodecode.core.errors import RecordingError, UnknownName
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.data import load_epochs
from neurodecode.recordings.bids import bids_dataset
from neurodecode.recordings.load import load_recordings


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, a session called by a word, two tasks and no run numbers."""
    folder = tmp_path_factory.mktemp("bids") / "my_study"
    rng = np.random.default_rng(0)
    info = mne.create_info(["C3", "C4", "HEOG"], 100.0, ["eeg", "eeg", "eog"])
    info["line_freq"] = 50.0
    for subject in ("01", "02"):
        for task in ("hands", "words"):
            raw = mne.io.RawArray(2e-5 * rng.standard_normal((3, 1000)), info)
            raw.set_annotations(mne.Annotations([2.0, 6.0], 2.0, [f"{task}/a", f"{task}/b"]))
            path = mne_bids.BIDSPath(
                subject=subject, session="evening", task=task, root=folder, datatype="eeg"
            )
            mne_bids.write_raw_bids(
                raw, path, format="BrainVision", allow_preload=True, verbose="ERROR"
            )
    return folder


def test_the_folder_says_subjects_classes_and_interval(root: Path) -> None:
    data = bids_dataset(root, paradigm="mi")
    assert data.code == "my-study"
    assert data.subject_list == ["01", "02"]
    assert list(data.event_id) == ["hands/a", "hands/b", "words/a", "words/b"]
    assert data.interval == [0.0, 2.0]
    assert data.paradigm == "imagery"


def test_recordings_keep_volts_and_events(root: Path) -> None:
    data = bids_dataset(root, paradigm="mi", events=["hands/a", "hands/b"])
    hands, words = load_recordings(data, "02")
    assert (hands.session, hands.run, words.run) == ("0evening", "0hands", "1words")
    assert hands.label == ["hands/a", "hands/b"]
    assert (hands.onset.tolist(), hands.duration.tolist()) == ([2.0, 6.0], [2.0, 2.0])
    assert words.label == []
    assert hands.raw.get_channel_types() == ["eeg", "eeg", "eog"]
    assert hands.raw.get_data().std() == pytest.approx(2e-5, rel=0.1)
    assert "C3" in hands.raw.get_montage().ch_names


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people of an epilepsy ward, events as in SzCORE; the last two had no seizure."""
    folder = tmp_path_factory.mktemp("bids") / "ward"
    info = mne.create_info(["C3", "C4"], 100.0, "eeg")
    info["line_freq"] = 50.0
    events = {
        "01": [(0, 40, "bckg"), (8, 6, "sz_foc_ia"), (20, 6, "sz")],
        "02": [(0, 40, "bckg")],
        "03": [],
    }
    for subject, rows in events.items():
        raw = mne.io.RawArray(2e-5 * np.random.default_rng(0).standard_normal((2, 4000)), info)
        path = mne_bids.BIDSPath(subject=subject, task="ltm", root=folder, datatype="eeg")
        mne_bids.write_raw_bids(
            raw, path, format="BrainVision", allow_preload=True, verbose="ERROR"
        )
        table = [f"{onset}\t{length}\t{name}\tn/a" for onset, length, name in rows]
        file = path.directory / f"sub-{subject}_task-ltm_events.tsv"
        if table:
            file.write_text("\n".join(["onset\tduration\teventType\tchannels", *table]) + "\n")
    return folder


def test_seizures_are_found_whatever_kind_they_are(monitoring: Path) -> None:
    data = bids_dataset(monitoring, paradigm="seizure", events=["background", "seizure"])
    assert list(data.event_id) == ["background", "seizure"]
    (ill,), (other,) = (load_recordings(data, s, events=["seizure"]) for s in ("01", "02"))
    assert ill.label == ["seizure", "seizure"]
    assert (ill.onset.tolist(), ill.duration.tolist()) == ([8.0, 20.0], [6.0, 6.0])
    assert other.label == []


def test_a_card_says_what_marks_a_class(monitoring: Path) -> None:
    markers = {"seizure": "sz_foc_*"}
    data = bids_dataset(monitoring, paradigm="seizure", events=["seizure"], markers=markers)
    (recording,) = load_recordings(data, "01")
    assert recording.onset.tolist() == [8.0]
    every = bids_dataset(monitoring, paradigm="seizure", markers=markers)
    assert list(every.event_id) == ["bckg", "seizure", "sz"]


def test_a_person_without_a_seizure_is_background_throughout(monitoring: Path) -> None:
    sets = ["epochs.slide=true", "epochs.window=[0,4]", "epochs.stride=2"]
    choices = resolve(
        "seizure",
        sets=[*sets, "data.events=[background,seizure]"],
        flags={"data.dataset": [f"bids:{monitoring}"]},
    )
    epochs = load_epochs(choices)
    assert epochs.table.groupby("subject").size().to_dict() == {"01": 19, "02": 19, "03": 19}
    assert epochs.y[epochs.table["subject"] == "01"].sum() == 6
    assert epochs.y[epochs.table["subject"] != "01"].sum() == 0


def test_subjects_may_be_numbers(root: Path) -> None:
    assert bids_dataset(root, paradigm="mi", subjects=[2]).subject_list == ["02"]
    with pytest.raises(RecordingError, match="has no subject 7. It has 01, 02"):
        bids_dataset(root, paradigm="mi", subjects=[7])


def test_an_unknown_event_is_named(root: Path) -> None:
    with pytest.raises(UnknownName, match="is called 'hands/c'. Did you mean 'hands/"):
        bids_dataset(root, paradigm="mi", events=["hands/c"])


def test_folders_that_are_not_bids(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="There is no folder"):
        bids_dataset(tmp_path / "nowhere", paradigm="mi")
    with pytest.raises(RecordingError, match="has no dataset_description.json"):
        bids_dataset(tmp_path, paradigm="mi")
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    with pytest.raises(RecordingError, match="holds no EEG recording"):
        bids_dataset(tmp_path, paradigm="mi")


def test_a_folder_without_events(root: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(root, tmp_path / "copy")
    tables = list(copy.rglob("*_events.tsv"))
    assert tables
    for table in tables:
        table.unlink()
    with pytest.raises(RecordingError, match="has no events: no .*_events.tsv"):
        bids_dataset(copy, paradigm="mi")


def test_events_without_duration_need_an_interval(root: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(root, tmp_path / "copy")
    tables = list(copy.rglob("*_events.tsv"))
    assert tables
    for table in tables:
        table.write_text(table.read_text().replace("\t2.0\t", "\t0\t"))
    with pytest.raises(RecordingError, match="have no duration, .* Give interval"):
        bids_dataset(copy, paradigm="mi")
    assert bids_dataset(copy, paradigm="mi", interval=(0.5, 3.0)).interval == [0.5, 3.0]
    assert bids_dataset(copy, paradigm="p300").interval == [0.0, 1.0]


def test_intracranial_recordings_are_read(real: Path) -> None:
    data = bids_dataset(real / "ieeg-hfo-fedele-sub01", paradigm="state", interval=(0.0, 0.1))
    (recording,) = load_recordings(data, "01")
    assert (recording.session, recording.run) == ("0interictalsleep", "1")
    assert recording.raw.info["sfreq"] == 2000
    assert 50e-6 < recording.raw.get_data().std() < 500e-6
    assert len(recording.label) > 50
