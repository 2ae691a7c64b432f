"""A folder and a card are a MOABB data set: who, when and which class come from names."""

from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
from moabb.datasets.base import check_run_names, check_session_names
from moabb.paradigms import P300

from neurodecode.core.errors import ConfigError, RecordingError, UnknownName
from neurodecode.recordings.files import FilesDataset
from neurodecode.recordings.load import load_recordings
from neurodecode.recordings.patterns import find_files, natural, order_names

SFREQ = 100.0


def write(
    path: Path, *, marks: dict[float, str] | None = None, stim: dict[int, int] | None = None
) -> None:
    """A FIF file of 10 s: two EEG channels and an EOG, markers by time or codes by sample."""
    rng = np.random.default_rng(0)
    x, names, types = 1e-5 * rng.standard_normal((3, 1000)), ["C3", "C4", "HEOG"], ["eeg"] * 3
    if stim:
        code = np.zeros((1, 1000))
        for sample, value in stim.items():
            code[0, sample] = value
        x, names, types = np.vstack([x, code]), [*names, "STI 014"], [*types, "stim"]
    raw = mne.io.RawArray(x, mne.create_info(names, SFREQ, types))
    if marks:
        raw.set_annotations(mne.Annotations(list(marks), 0.0, list(marks.values())))
    path.parent.mkdir(parents=True, exist_ok=True)
    raw.save(path)


def dataset(root: Path, **options: Any) -> FilesDataset:
    given = {"name": "my_set", "paradigm": "state", "interval": (0.0, 1.0), "classes": ["a", "b"]}
    return FilesDataset(root, **(given | options))


def events(raw: mne.io.BaseRaw) -> list[tuple[int, str]]:
    """(sample, class) of each annotation."""
    return [(round(SFREQ * a["onset"]), str(a["description"])) for a in raw.annotations]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    for subject in ("2", "10", "01"):
        for part in ("x", "y", "z"):
            write(tmp_path / f"Subject{subject}_{part}_raw.fif")
    (tmp_path / "README.md").touch()
    return tmp_path


LABEL = {"field": "part", "values": {"x": "a", "y": "b"}}
LABELLED = {"pattern": "Subject{subject}_{part}_raw.fif", "label": LABEL}


def test_a_labelled_file_is_one_event_as_long_as_the_recording(labelled: Path) -> None:
    data = dataset(labelled, **LABELLED)
    assert data.code == "my-set"
    assert data.event_id == {"a": 1, "b": 2}
    assert data.subject_list == [1, 2, 10]
    recordings = list(load_recordings(data, 10))
    assert [(r.session, r.run, r.label) for r in recordings] == [
        ("0", "0", ["a"]),
        ("0", "1", ["b"]),
    ]
    assert [r.duration.tolist() for r in recordings] == [[10.0], [10.0]]


def test_the_card_restricts_subjects_however_it_spells_them(labelled: Path) -> None:
    assert dataset(labelled, **LABELLED, subjects=["01", 10, 99]).subject_list == [1, 10]
    with pytest.raises(RecordingError, match="None of the subjects 99 is under .* holds 1, 2, 10"):
        dataset(labelled, **LABELLED, subjects=[99])


def test_channels_are_dropped_and_typed(labelled: Path) -> None:
    data = dataset(labelled, **LABELLED, drop=["C4", "Pz"], ch_types={"C3": "ecg"})
    (raw, *_) = data.get_data([1])[1]["0"].values()
    assert raw.ch_names == ["C3", "HEOG"]
    assert raw.get_channel_types() == ["ecg", "eog"]


def test_markers_become_class_names_and_bad_spans_stay(tmp_path: Path) -> None:
    marks = {1.0: "S  1", 2.0: "S  2", 3.0: "S  3", 4.0: "S  9", 5.0: "BAD boundary"}
    write(tmp_path / "p1" / "day1_raw.fif", marks=marks)
    data = dataset(
        tmp_path,
        pattern="p{subject}/day{session}_raw.fif",
        events={"a": "S  1", "b": ["S  2", "S  3"]},
    )
    (recording,) = load_recordings(data, 1)
    assert recording.session == "1"
    assert recording.label == ["a", "b", "b"]
    assert events(recording.raw) == [(100, "a"), (200, "b"), (300, "b"), (500, "BAD boundary")]


def test_codes_of_a_stimulus_channel_are_markers(tmp_path: Path) -> None:
    write(tmp_path / "p1_raw.fif", stim={100: 1, 200: 2, 300: 7})
    data = dataset(tmp_path, pattern="p{subject}_raw.fif", events={"a": 1, "b": 2})
    (recording,) = load_recordings(data, 1)
    assert events(recording.raw) == [(100, "a"), (200, "b")]
    assert "stim" not in recording.raw.get_channel_types()


def test_a_moabb_paradigm_takes_it_unchanged(tmp_path: Path) -> None:
    marks = {0.5 + i: "12"[i % 2] for i in range(9)}
    write(tmp_path / "p1_raw.fif", marks=marks)
    data = dataset(
        tmp_path,
        paradigm="p300",
        classes=["NonTarget", "Target"],
        pattern="p{subject}_raw.fif",
        events={"NonTarget": "1", "Target": "2"},
    )
    x, y, table = P300().get_data(data, [1])
    assert x.shape == (9, 2, 101)
    assert y.tolist() == [["NonTarget", "Target"][i % 2] for i in range(9)]
    assert set(table["session"]) == {"0"}


def test_the_source_may_know_more_classes_than_the_card_decodes(tmp_path: Path) -> None:
    write(tmp_path / "p1_raw.fif", marks={1.0: "1", 2.0: "2"})
    data = dataset(
        tmp_path, pattern="p{subject}_raw.fif", classes=["b"], events={"a": "1", "b": "2"}
    )
    assert data.event_id == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["2", "10", "1"], ["1", "2", "10"]),
        (["01", "02"], ["1", "2"]),
        (["B", "A"], ["0A", "1B"]),
        (["data-2017-02", "data-2016-11"], ["0data201611", "1data201702"]),
        (["2012.07.06", "2012.07.05"], ["0", "1"]),
        (["1", "01"], ["0", "1"]),
    ],
)
def test_sessions_and_runs_get_names_that_moabb_takes(values: list[str], names: list[str]) -> None:
    found = order_names(values)
    assert list(found.values()) == names
    assert list(found) == sorted(values, key=natural)
    check_session_names({1: {name: {} for name in names}})
    check_run_names({1: {"0": dict.fromkeys(names)}})


def test_names_sort_as_people_count() -> None:
    names = ["a2", "a10", "b1", "b1x", "c"]
    assert sorted(reversed(names), key=natural) == names


@pytest.mark.parametrize(
    ("pattern", "path", "fields"),
    [
        ("S{subject}_{run}.edf", "S01_2.EDF", {"subject": "01", "run": "2"}),
        ("{set}/{subject}.txt", "N/N001.TXT", {"set": "N", "subject": "N001"}),
        ("s{subject}/s{subject}_{_}.csv", "s1/s1_x.csv", {"subject": "1"}),
        ("s{subject}/s{subject}.csv", "s1/s2.csv", None),
        ("{subject}.csv", "a/b.csv", None),
        ("a+{subject}.csv", "aa1.csv", None),
    ],
)
def test_a_pattern_reads_names(
    tmp_path: Path, pattern: str, path: str, fields: dict | None
) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).touch()
    if fields is None:
        with pytest.raises(RecordingError, match="No file under"):
            find_files(tmp_path, pattern)
    else:
        assert [f.fields for f in find_files(tmp_path, pattern)] == [fields]


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="There is no folder .*nowhere"):
        dataset(tmp_path / "nowhere", **LABELLED)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"matches 'Subject.*'; it holds nothing"):
        dataset(tmp_path, **LABELLED)


def test_a_folder_of_other_files_says_what_it_holds(labelled: Path) -> None:
    with pytest.raises(RecordingError, match=r"'P{subject}.edf'; it holds README.md, Subject01_x"):
        dataset(labelled, pattern="P{subject}.edf")
    with pytest.raises(RecordingError, match=r"2 levels down it holds nothing"):
        dataset(labelled, pattern="{subject}/{_}.edf")


def test_no_event_of_any_class(tmp_path: Path) -> None:
    write(tmp_path / "p1_raw.fif", marks={1.0: "S1"})
    data = dataset(tmp_path, pattern="p{subject}_raw.fif")
    with pytest.raises(
        RecordingError, match="Subject 1 of my-set has no event of a, b; .* hold S1"
    ):
        data.get_data([1])


def test_a_damaged_file_is_named(labelled: Path) -> None:
    (labelled / "Subject01_x_raw.fif").write_bytes(b"")
    with pytest.raises(RecordingError, match="Subject01_x_raw.fif is empty"):
        list(load_recordings(dataset(labelled, **LABELLED), 1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pattern": ""}, ConfigError, "of 'my_set' has no pattern"),
        ({"pattern": "{part}.edf"}, ConfigError, r"has no \{subject\}, so it cannot say whose"),
        ({"interval": None}, ConfigError, "of 'my_set' has no interval"),
        ({"paradigm": "p3"}, UnknownName, "No paradigm is called 'p3'. Did you mean 'p300'"),
        ({"label": {"field": "prt"}}, UnknownName, "No field of the pattern is called 'prt'"),
        ({"label": {"field": "part"}}, ConfigError, "lacks values, the class that each value"),
        ({"classes": ["c"]}, UnknownName, "No class in .source. of 'my_set' is called 'c'"),
        ({"events": {"a": "1"}}, ConfigError, "Keep one of the two"),
        ({"label": None, "classes": []}, ConfigError, "The card names no class"),
        ({"label": {"field": "part", "values": {"q": "a", "r": "b"}}}, RecordingError,
         "has a part of q, r. Correct"),
    ],
)  # fmt: skip
def test_a_card_that_cannot_be_says_why(
    labelled: Path, options: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        dataset(labelled, **(LABELLED | options))
