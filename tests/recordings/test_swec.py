"""SWEC's layout, written small: parts, copies, an index file that lies, and what is missing."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from neurodecode.core.errors import ConfigError, RecordingError
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.data import load_epochs
from neurodecode.recordings.cards import find_card, open_dataset
from neurodecode.recordings.load import load_recordings
from neurodecode.recordings.swec import COPIES, SWEC, read_stretch, stretches

SFREQ = 64.0
Table = list[tuple[float, float]]


def write(
    root: Path,
    name: str,
    *,
    lengths: tuple[int, ...] = (6400, 3200, 6400),
    n_chans: int = 3,
    seizures: Table | None = None,
    seed: int = 0,
    sfreq: float | None = SFREQ,
    **how: Any,
) -> np.ndarray:
    """One patient's folder as published, its total file an index into another's parts.

    Returns the signal, (n_chans, n_samples) microvolts.
    """
    folder = root / name
    folder.mkdir(parents=True)
    x = 50 * np.random.default_rng(seed).standard_normal((n_chans, sum(lengths)))
    x = x.astype(np.float32)
    ends = np.cumsum(lengths)
    layout = h5py.VirtualLayout(shape=x.shape, dtype="f4")
    for i, (end, length) in enumerate(zip(ends, lengths, strict=True), start=1):
        with h5py.File(folder / f"{name}_part_{i}.h5", "w") as file:
            file.create_dataset("data/ieeg", data=x[:, end - length : end], chunks=True, **how)
        # The published index names the parts of another patient; what is absent reads as zero.
        other = h5py.VirtualSource(f"ID99_part_{i}.h5", "data/ieeg", shape=(n_chans, length))
        layout[:, end - length : end] = other
    with h5py.File(folder / f"{name}_total.h5", "w") as file:
        file.create_virtual_dataset("data/ieeg", layout, fillvalue=0)
        dtype = np.dtype([("onsets", "f8"), ("offsets", "f8")])
        table = np.array([(20.0, 30.0), (180.0, 190.0)] if seizures is None else seizures, dtype)
        file["data/seizures"] = table[:, None]
        if sfreq is not None:
            file.attrs["sampling_rate"] = sfreq
    return x


def test_parts_are_joined_and_the_index_is_not_believed(tmp_path: Path) -> None:
    x = write(tmp_path, "ID20")
    with h5py.File(tmp_path / "ID20" / "ID20_total.h5") as file:
        assert not file["data/ieeg"][:].any()  # as the published index reads
    held = SWEC(tmp_path).holding(20)
    assert (held.lengths, held.n_chans, held.sfreq, held.duration) == (
        (6400, 3200, 6400), 3, SFREQ, 250.0,
    )  # fmt: skip
    raw = read_stretch(held, 0, 16000)
    np.testing.assert_allclose(raw.get_data(), x * 1e-6, rtol=1e-6)
    assert set(raw.get_channel_types()) == {"seeg"}
    assert np.isnan([ch["loc"][:3] for ch in raw.info["chs"]]).all()


@pytest.mark.parametrize(("first", "last"), [(0, 100), (6300, 9700), (9600, 9601), (6400, 9600)])
def test_a_stretch_is_read_across_parts(tmp_path: Path, first: int, last: int) -> None:
    x = write(tmp_path, "ID20")
    raw = read_stretch(SWEC(tmp_path).holding(20), first, last)
    assert raw.n_times == last - first
    np.testing.assert_allclose(raw.get_data(), x[:, first:last] * 1e-6, rtol=1e-6)
    picked = raw.get_data(picks=[2, 0], start=0, stop=1)
    np.testing.assert_allclose(picked, x[[2, 0], first : first + 1] * 1e-6, rtol=1e-6)


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "ID20")
    raw = read_stretch(SWEC(tmp_path).holding(20), 100, 12000)
    assert not raw.preload
    np.testing.assert_array_equal(raw.copy().load_data().get_data(), raw.get_data())


def test_second_copies_are_left_out(tmp_path: Path) -> None:
    for name in ("ID01", "ID20", "ID19"):
        write(tmp_path, name, seed=0 if name != "ID19" else 1)
    assert SWEC(tmp_path).subject_list == [19, 20]
    with pytest.raises(RecordingError, match="no patient ID01 among ID19, ID20"):
        SWEC(tmp_path).holding(1)


def test_a_copy_stands_for_the_folder_that_is_not_there(tmp_path: Path) -> None:
    x = write(tmp_path, "ID01")
    held = SWEC(tmp_path).holding(20)
    assert held.name == "ID20"
    np.testing.assert_allclose(read_stretch(held, 0, 50).get_data(), x[:, :50] * 1e-6, rtol=1e-6)


def test_there_are_eighteen_copies_and_fifty_people() -> None:
    names = {f"ID{i:02d}" for i in range(1, 69)}
    assert len(COPIES) == 18
    assert len(set(COPIES.values())) == 18
    assert len(names - set(COPIES)) == 50
    assert set(COPIES.values()) <= names - set(COPIES)
    assert (COPIES["ID06"], COPIES["ID12"], COPIES["ID18"]) == ("ID27", "ID34", "ID40")


def test_stretches_surround_seizures_and_some_lie_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, "ID20")
    held = SWEC(tmp_path).holding(20)
    near = stretches(held, around=15, elsewhere=0)
    assert [(a / SFREQ, b / SFREQ) for a, b in near] == [(5, 45), (165, 205)]
    all_ = stretches(held, around=15, elsewhere=2)
    rest = [(a / SFREQ, b / SFREQ) for a, b in all_ if (a, b) not in near]
    assert len(rest) == 2
    assert all(b - a == 30 for a, b in rest)
    assert all(a >= 45 for a, _ in rest)
    assert all(b <= 165 or a >= 205 for a, b in rest)
    assert all_ == sorted(all_)
    assert len(stretches(held, around=15, elsewhere=50)) <= 2 + 5  # no more than there is room for


def test_stretches_that_meet_are_one(tmp_path: Path) -> None:
    write(tmp_path, "ID20", seizures=[(20, 30), (50, 60)])
    held = SWEC(tmp_path).holding(20)
    assert stretches(held, around=10, elsewhere=0) == [(640, 4480)]
    write(tmp_path, "ID21", seizures=[])
    none = SWEC(tmp_path).holding(21)
    assert len(stretches(none, around=10, elsewhere=3)) == 3


def test_seizures_are_annotated_where_they_are(tmp_path: Path) -> None:
    write(tmp_path, "ID20")
    data = SWEC(tmp_path, around=15, elsewhere=1)
    found = list(load_recordings(data, 20, events=["seizure"]))
    assert [r.session for r in found] == ["0", "1", "2"]
    assert sorted(r.label for r in found) == [[], ["seizure"], ["seizure"]]
    ill = [r for r in found if r.label]
    assert [r.onset.tolist() for r in ill] == [[15.0], [15.0]]
    assert [r.duration.tolist() for r in ill] == [[10.0], [10.0]]


def test_a_seizure_across_the_end_of_a_part_is_cut_there(tmp_path: Path) -> None:
    write(tmp_path, "ID20", seizures=[(95, 105)])
    runs = SWEC(tmp_path, around=None)._get_single_subject_data(20)
    marks = [(a["onset"], a["duration"]) for r in runs.values() for a in r["0"].annotations]
    assert [r["0"].n_times for r in runs.values()] == [6400, 3200, 6400]
    np.testing.assert_allclose(marks, [(95, 5), (0, 5)])


def test_the_published_compression_is_read(tmp_path: Path) -> None:
    plugin = pytest.importorskip("hdf5plugin")
    x = write(tmp_path, "ID20", **plugin.Blosc(cname="lz4hc", clevel=9))
    raw = read_stretch(SWEC(tmp_path).holding(20), 6000, 7000)
    np.testing.assert_allclose(raw.get_data(), x[:, 6000:7000] * 1e-6, rtol=1e-6)


def test_parts_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write(tmp_path, "ID20", lengths=tuple(range(64, 64 * 12, 64)), seizures=[])
    assert SWEC(tmp_path).holding(20).lengths == tuple(range(64, 64 * 12, 64))


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path, "ID20")
    (tmp_path / "ID20" / "ID20_part_2.h5").unlink()
    with pytest.raises(RecordingError, match="lacks ID20_part_2.h5: seizures are timed"):
        SWEC(tmp_path).holding(20)


def test_seizures_beyond_the_parts_that_are_here_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "ID20")
    (tmp_path / "ID20" / "ID20_part_3.h5").unlink()
    held = SWEC(tmp_path).holding(20)
    assert "1 of 2 seizures lie beyond the 2 parts" in caplog.text
    assert stretches(held, around=15, elsewhere=0) == [(320, 2880)]


def test_without_a_folder_one_line_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="huggingface.*CDLA-Permissive-2.0"):
        SWEC(tmp_path / "nowhere")
    with pytest.raises(RecordingError, match="--data-dir FOLDER"):
        open_dataset(find_card("swec", paradigm="seizure"))
    with pytest.raises(RecordingError, match="holds no folder ID01 to ID68"):
        SWEC(tmp_path)


def rewrite(path: Path, name: str, value: Any = None) -> None:
    """Take something out of a file, or put another thing in its place."""
    with h5py.File(path, "a") as file:
        del file[name]
        if value is not None:
            file[name] = value


@pytest.mark.parametrize(
    ("file", "name", "value", "words"),
    [
        ("part_1", "data/ieeg", None, "has no data/ieeg of .channels, samples."),
        ("part_2", "data/ieeg", np.zeros((5, 9)), "do not belong together: channels .3, 5."),
        ("total", "data/seizures", None, "no table data/seizures with onsets and offsets"),
        ("total", "data/seizures", np.zeros((2, 2)), "no table data/seizures"),
        (
            "total",
            "data/seizures",
            np.array([(9.0, 3.0)], [("onsets", "f8"), ("offsets", "f8")]),
            "1 of 1 seizures end before they begin",
        ),
    ],
)
def test_another_layout_is_one_line(
    tmp_path: Path, file: str, name: str, value: Any, words: str
) -> None:
    write(tmp_path, "ID20")
    rewrite(tmp_path / "ID20" / f"ID20_{file}.h5", name, value)
    with pytest.raises(RecordingError, match=words):
        SWEC(tmp_path).holding(20)


def test_a_rate_that_nobody_states_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "ID20", sfreq=None)
    with pytest.raises(RecordingError, match="sampling_rate nowhere"):
        SWEC(tmp_path).holding(20)


def test_a_file_that_is_no_hdf5_is_named(tmp_path: Path) -> None:
    write(tmp_path, "ID20")
    (tmp_path / "ID20" / "ID20_part_1.h5").write_bytes(b"version https://git-lfs")
    with pytest.raises(RecordingError, match="ID20_part_1.h5 cannot be read as HDF5"):
        SWEC(tmp_path).holding(20)
    (tmp_path / "ID20" / "ID20_total.h5").unlink()


@pytest.mark.parametrize("options", [{"around": 0}, {"elsewhere": -1}])
def test_stretches_have_a_length_and_a_number(tmp_path: Path, options: Any) -> None:
    with pytest.raises(ConfigError, match="are no stretches to read"):
        SWEC(tmp_path, **options)


def test_the_card_leads_to_windows(tmp_path: Path) -> None:
    write(tmp_path, "ID20", seizures=[(100, 110)], sfreq=256.0)
    write(tmp_path, "ID23", n_chans=5, seizures=[], sfreq=128.0, lengths=(128 * 70,))
    text = Path(__file__).parents[2].joinpath("datasets", "swec.toml").read_text(encoding="utf-8")
    card = tmp_path / "swec.toml"
    card.write_text(text.replace("around = 300.0", "around = 9.0"))
    write(tmp_path, "ID24", seizures=[(25, 35)], sfreq=256.0)
    choices = resolve(
        "seizure", flags={"data.dataset": [str(card)], "data.data_dir": str(tmp_path)}
    )
    epochs = load_epochs(choices)
    assert epochs.sfreq == 128
    assert epochs.x.shape[1:] == (5, 768)
    assert set(epochs.table["subject"]) == {"20", "23", "24"}
    assert epochs.y[epochs.table["subject"] == "24"].sum() in (3, 4)
    assert not epochs.y[epochs.table["subject"] == "23"].any()
