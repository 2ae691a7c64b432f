"""A BIDS folder is a MOABB data set, whatever its sessions and tasks are called."""

from pathlib import Path

import mne
import mne_bids
import numpy as np
import pytest

from neurodecode.core.errors import RecordingError, UnknownName
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
