"""Windows are made once for all runs, and made again whenever anything could have changed them."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neurodecode.core.errors import RecordingError
from neurodecode.epochs.epochset import EpochSet
from neurodecode.experiment import folds, windows
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.data import find_people, load_data, load_epochs
from neurodecode.experiment.folds import folds_of

SUBJECTS = ("1", "2", "3")


@pytest.fixture
def texts(texts_folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Choices for three people's text files; nothing of theirs has been kept yet."""
    monkeypatch.setenv("NEURODECODE_CACHE", str(texts_folder.parent / "cache"))
    card = texts_folder.parent / "texts.toml"
    flags = {
        "data.dataset": [str(card)],
        "data.data_dir": str(texts_folder),
        "models": ["csp_lda"],
        "preprocess.band": [4, 20],
    }
    return resolve("state", flags=flags)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Subjects that were read, in order."""
    done: list[str] = []
    own = windows.load_subject

    def counted(dataset: Any, subject: Any, *args: Any) -> Any:
        done.append(str(subject))
        return own(dataset, subject, *args)

    monkeypatch.setattr(windows, "load_subject", counted)
    return done


def same(one: EpochSet, other: EpochSet) -> bool:
    pd.testing.assert_frame_equal(one.table, other.table)
    assert one.x.flags.writeable
    return one.x.tobytes() == other.x.tobytes() and one.digest() == other.digest()


def test_kept_windows_are_those_that_were_made(
    texts: dict[str, Any], read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without = copy.deepcopy(texts)
    without["data"]["cache"] = False
    made = load_epochs(without)
    assert not windows.windows_folder().exists()
    assert same(load_epochs(texts), made)
    read.clear()
    monkeypatch.setattr(windows, "open_dataset", lambda *_, **__: pytest.fail("opened again"))
    assert same(load_epochs(texts), made)
    assert find_people(texts) == [("texts", name) for name in SUBJECTS]
    texts["evaluation"]["seeds"] = 3  # nothing to do with windows
    assert same(load_epochs(texts, n_subjects=2), load_epochs(texts, n_subjects=2))
    assert read == []


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("preprocess", "band", [4.0, 21.0]),
        ("preprocess", "filter", "causal"),
        ("epochs", "window", [0.0, 2.0]),
        ("epochs", "reject", 1000.0),
        ("data", "events", ["task", "rest"]),
        ("data", "data_dir", None),
    ],
)
def test_other_choices_are_other_windows(
    texts: dict[str, Any], read: list[str], section: str, name: str, value: Any
) -> None:
    load_epochs(texts)
    read.clear()
    texts[section][name] = value
    if value is None:
        with pytest.raises(RecordingError, match="--data-dir"):
            load_epochs(texts)
    else:
        load_epochs(texts)
        assert read == list(SUBJECTS)


def test_a_folder_that_moved_holds_the_same_recordings(
    texts: dict[str, Any], read: list[str], texts_folder: Path
) -> None:
    made = load_epochs(texts)
    read.clear()
    texts["data"]["data_dir"] = str(texts_folder.rename(texts_folder.parent / "elsewhere"))
    assert same(load_epochs(texts), made)
    assert read == []


@pytest.mark.parametrize("what", ["content", "date"])
def test_only_the_subject_whose_file_changed_is_read_again(
    texts: dict[str, Any],
    read: list[str],
    texts_folder: Path,
    write_text: Callable[[Path, int], None],
    what: str,
) -> None:
    before = load_epochs(texts)
    read.clear()
    file = texts_folder / "s2_1.txt"
    if what == "content":
        write_text(file, 99)
    os.utime(file, ns=(1, 1))
    after = load_epochs(texts)
    assert read == ["2"]
    changed = (before.x != after.x).any(axis=(1, 2))
    assert set(before.table["subject"][changed]) == ({"2"} if what == "content" else set())


def test_a_new_file_is_seen_whosever_it_is(
    texts: dict[str, Any],
    read: list[str],
    texts_folder: Path,
    write_text: Callable[[Path, int], None],
) -> None:
    load_epochs(texts)
    read.clear()
    for part in (1, 2):
        write_text(texts_folder / f"s4_{part}.txt", 40 + part)
    assert set(load_epochs(texts).table["subject"]) == {*SUBJECTS, "4"}
    assert read == ["4"]
    (texts_folder / "channels.tsv").write_text("beside them, and nobody's")
    load_epochs(texts)
    assert read == ["4", *SUBJECTS, "4"]


@pytest.mark.parametrize("maker", ["windows_digest", "library_versions"])
def test_an_edited_source_or_another_library_makes_windows_anew(
    texts: dict[str, Any], read: list[str], monkeypatch: pytest.MonkeyPatch, maker: str
) -> None:
    load_epochs(texts)
    read.clear()
    versions = {**windows.library_versions(), "scipy": "0.1"}
    value = {"windows_digest": "edited", "library_versions": versions}[maker]
    monkeypatch.setattr(windows, maker, lambda: value)
    load_epochs(texts)
    assert read == list(SUBJECTS)


def test_every_room_that_makes_windows_is_in_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    from neurodecode.results import provenance

    files: list[str] = []
    monkeypatch.setattr(
        provenance, "_digest", lambda paths: files.extend(map(str, paths)) or "digest"
    )
    provenance.windows_digest.__wrapped__()
    names = {str(Path(file).relative_to(provenance.PACKAGE)) for file in files}
    assert names >= {
        "signal/filters.py", "recordings/read.py", "preprocess/filter.py", "epochs/cut.py",
        "core/options.py", "experiment/subjects.py", "artifacts/contaminate.py",
        "artifacts/mixing.py",
    }  # fmt: skip
    assert "models/dbconformer.py" not in names


@pytest.mark.parametrize("n_folds", [None, 2])
def test_kept_folds_are_those_that_were_made(
    texts: dict[str, Any], monkeypatch: pytest.MonkeyPatch, n_folds: int | None
) -> None:
    texts["evaluation"]["n_folds"] = n_folds
    epochs = load_epochs(texts)
    made = folds_of(texts, epochs, "data")
    with monkeypatch.context() as patch:
        patch.setattr(folds, "make_folds", lambda *_, **__: pytest.fail("made again"))
        for one, other in zip(folds_of(texts, epochs, "data"), made, strict=True):
            assert (one.name, one.subject, one.session) == (
                other.name,
                other.subject,
                other.session,
            )
            for side in ("train", "test"):
                assert getattr(one, side).dtype == getattr(other, side).dtype
                np.testing.assert_array_equal(getattr(one, side), getattr(other, side))
    monkeypatch.setattr(folds, "make_folds", lambda *_, **__: ["new"])
    texts["data"]["cache"] = False
    assert folds_of(texts, epochs, "data") == ["new"]
    texts["data"]["cache"] = True
    texts["evaluation"]["n_folds"] = 3
    with pytest.raises(AttributeError):  # made, and of another kind
        folds_of(texts, epochs, "data")
    texts["evaluation"]["n_folds"] = n_folds
    with pytest.raises(AttributeError):
        folds_of(texts, epochs, "other windows")


def test_a_damaged_subject_is_read_again(texts: dict[str, Any], read: list[str]) -> None:
    made = load_epochs(texts)
    read.clear()
    files = sorted(windows.windows_folder().glob("*/*/windows.f32"))
    assert len(files) == 3
    files[0].write_bytes(files[0].read_bytes()[::-1])
    assert same(load_epochs(texts), made)
    assert len(read) == 1


def test_what_was_said_of_windows_is_said_again(
    texts: dict[str, Any], read: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    largest = np.ptp(load_epochs(texts).x, axis=2).max()
    texts["epochs"]["reject"] = float(largest) - 0.01
    load_epochs(texts)
    said = [record.getMessage() for record in caplog.records if "dropped" in record.getMessage()]
    assert said
    caplog.clear()
    read.clear()
    load_epochs(texts)
    assert [r.getMessage() for r in caplog.records if "dropped" in r.getMessage()] == said
    assert read == []


def test_recordings_that_are_cleaned_are_read(texts: dict[str, Any], read: list[str]) -> None:
    windowed = load_epochs(texts)
    texts["evaluation"]["clean"] = ["none", "asr"]
    epochs, continuous = load_data(texts)
    assert continuous is not None
    np.testing.assert_array_equal(epochs.x, windowed.x)


def test_windows_larger_than_what_is_allowed_are_a_file(texts: dict[str, Any]) -> None:
    made = load_epochs(texts)
    for _ in range(2):  # made, and found
        large = load_epochs(texts, in_memory=1000)
        assert isinstance(large.x, np.memmap)
        assert large.digest() == made.digest()
        pd.testing.assert_frame_equal(large.table, made.table)
        np.testing.assert_array_equal(large.x[[0, 5]], made.x[[0, 5]])
    texts["data"]["cache"] = False
    assert not isinstance(load_epochs(texts, in_memory=1000).x, np.memmap)


LARGE = """
import resource, sys
from pathlib import Path
import numpy as np, pandas as pd
from neurodecode.epochs.cache import WindowCache
from neurodecode.epochs.epochset import EpochSet
from neurodecode.experiment.windows import join_sets

def subject(i):
    x = np.full((25, 32, 1024), i, np.float32)  # 3 MiB
    table = pd.DataFrame({name: ["a"] * 25 for name in ("dataset", "subject", "session", "run")})
    return EpochSet(x=x, y=np.arange(25) % 2, classes=("a", "b"), sfreq=128.0,
                    table=table.assign(onset=0.0, block=0),
                    ch_names=tuple(map(str, range(32))))

cache = WindowCache(Path(sys.argv[1]))
cache.keep("warm", [subject(0)])  # libraries have what they need of memory
used = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 30 * 2**20,) * 2)
sets = [cache.keep(f"subject-{i}", [subject(i)]).sets[0] for i in range(30)]
whole = join_sets([sets], "same", "same", cache, 0)
assert whole.x.nbytes > 3 * 30 * 2**20
assert whole.digest() and cache.writable
assert whole.x[::25, 0, 0].tolist() == list(range(30))
try:
    np.array(whole.x)
except MemoryError:
    print("bounded")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts private memory as Linux does")
def test_a_data_set_larger_than_memory_is_joined_in_little(tmp_path: Path) -> None:
    call = [sys.executable, "-c", LARGE, str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("bounded\n", "")
