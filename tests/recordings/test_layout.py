"""The cards find the recordings in the layouts that the originals have."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from neurodecode.recordings.cards import open_dataset, read_card
from neurodecode.recordings.load import Recording, load_recordings

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def few(real: Path, tmp_path: Path) -> Path:
    """Some of the conversions, linked: a subject or two of each set."""
    patterns = (
        "eegmat/Subject0[01].npz",
        "bonn-eeg/bonn_eeg.npz",
        "muse/visual_P300_subject2_session1*.npz",
        "ssvep-exo/subject01*.npz",
    )
    for pattern in patterns:
        paths = list(real.glob(pattern))
        assert paths
        for path in paths:
            link = tmp_path / "from" / path.relative_to(real)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return tmp_path / "from"


def recordings(few: Path, card: str, folder: str, subject: object) -> list[Recording]:
    script = runpy.run_path(str(REPOSITORY / "benchmarks" / "lay_out_real.py"))
    script["main"]([str(few), str(few.parent / "to"), "--only", folder])
    data = open_dataset(
        read_card(REPOSITORY / "datasets" / f"{card}.toml"),
        data_dir=str(few.parent / "to" / folder),
    )
    return list(load_recordings(data, subject))


def test_eegmat(few: Path) -> None:
    rest, task = recordings(few, "eegmat", "eegmat", 1)
    assert (rest.label, task.label) == (["rest"], ["arithmetic"])
    assert rest.duration.tolist() == [60.0]
    assert rest.raw.get_channel_types().count("eeg") == 19
    assert rest.raw.get_channel_types(["ECG"]) == ["ecg"]
    archive = np.load(few / "eegmat" / "Subject01.npz")
    volts = 1e-6 * archive["task"][0] * archive["task_scale_uV"][0]
    np.testing.assert_allclose(task.raw.get_data("Fp1")[0], volts, atol=5e-9)


def test_bonn(few: Path) -> None:
    archive = np.load(few / "bonn-eeg" / "bonn_eeg.npz")
    for subject, label in (("S017", "seizure"), ("N100", "background")):
        (recording,) = recordings(few, "bonn", "bonn", subject)
        assert recording.label == [label]
        assert recording.raw.info["sfreq"] == 173.61
        row = [name.upper() for name in archive["file_name"]].index(f"{subject}.TXT")
        np.testing.assert_allclose(recording.raw.get_data()[0], 1e-6 * archive["data"][row])


def test_muse_p300(few: Path) -> None:
    found = recordings(few, "muse_p300", "muse", 2)
    archives = [np.load(path) for path in sorted((few / "muse").glob("*.npz"))]
    assert len(found) == len(archives)
    for recording, archive in zip(found, archives, strict=True):
        assert recording.raw.ch_names == ["TP9", "AF7", "AF8", "TP10"]
        np.testing.assert_array_equal(np.round(256 * recording.onset), archive["event_sample"])
        codes = [["NonTarget", "Target"][code - 1] for code in archive["event_code"]]
        assert recording.label == codes
        volts = 1e-6 * archive["lsb_uV"] * archive["data"][:4]
        np.testing.assert_allclose(recording.raw.get_data(), volts, atol=1e-9)


def test_ssvep_exo(few: Path) -> None:
    found = recordings(few, "ssvep_exo", "ssvep_exo", 1)
    archives = [np.load(path) for path in sorted((few / "ssvep-exo").glob("*.npz"))]
    assert [r.session for r in found] == ["0", "1"]
    for recording, archive in zip(found, archives, strict=True):
        names = {1: "rest", 2: "13", 3: "21", 4: "17"}
        assert recording.label == [names[code] for code in archive["label"]]
        np.testing.assert_allclose(recording.onset - 2, 1 + 7 * np.arange(len(archive["label"])))
        boundaries = np.sum(recording.raw.annotations.description == "EDGE boundary")
        assert boundaries == len(archive["label"]) - 1
        assert 1e-6 < recording.raw.get_data().std() < 50e-6
