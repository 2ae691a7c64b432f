"""Windows on disk come back as they were, whole or not at all, whoever else writes there."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neurodecode.epochs.cache import WindowCache
from neurodecode.epochs.epochset import EpochSet, join

KEY = "0123456789abcdef"


def windows(n_epochs: int = 6, n_chans: int = 3, *, run: str = "0", seed: int = 0) -> EpochSet:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_epochs, n_chans, 20)).astype(np.float32)
    x[0, 0, 0] = np.nan
    return EpochSet(
        x=x,
        y=np.arange(n_epochs) % 2,
        classes=("left_hand", "right_hand"),
        table=pd.DataFrame(
            {
                "dataset": "toy",
                "subject": "1",
                "session": "0",
                "run": run,
                "onset": rng.uniform(0, 100, n_epochs),
                "block": np.arange(n_epochs),
            }
        ),
        ch_names=("C3", "Cz", "C4", "Pz")[:n_chans],
        sfreq=128.0 / 3,
        positions=np.array([[0.1, 1 / 3, np.nan]] * n_chans),
    )


def assert_alike(found: EpochSet, made: EpochSet) -> None:
    assert found.x.tobytes() == made.x.tobytes()
    assert found.x.dtype == made.x.dtype
    np.testing.assert_array_equal(found.positions, made.positions)
    pd.testing.assert_frame_equal(found.table, made.table)
    assert found.digest() == made.digest()
    assert (found.classes, found.ch_names, found.sfreq) == (made.classes, made.ch_names, made.sfreq)


def test_recordings_come_back_bit_for_bit(tmp_path: Path) -> None:
    made = [windows(6), windows(4, n_chans=4, run="1", seed=1)]
    kept = WindowCache(tmp_path).keep(KEY, made, {"said": ["a", "b"]})
    found = WindowCache(tmp_path).find(KEY)
    assert found is not None
    for sets, notes in (kept, found):
        for one, other in zip(sets, made, strict=True):
            assert_alike(one, other)
            assert isinstance(one.x, np.memmap)
            assert not one.x.flags.writeable
        assert notes == {"said": ["a", "b"]}
    assert WindowCache(tmp_path).notes(KEY) == {"said": ["a", "b"]}


def test_another_key_is_another_entry(tmp_path: Path) -> None:
    cache = WindowCache(tmp_path)
    cache.keep(KEY, [windows()])
    assert cache.find(KEY[::-1]) is None
    cache.drop(KEY)
    assert cache.find(KEY) is None


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def turn_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["windows.f32", "table.parquet", "facts.json"])
@pytest.mark.parametrize("damage", [cut_short, turn_a_bit, Path.unlink])
def test_a_damaged_entry_is_none_and_is_replaced(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    cache, made = WindowCache(tmp_path), windows()
    cache.keep(KEY, [made])
    damage(tmp_path / KEY[:2] / KEY / name)
    assert cache.find(KEY) is None
    cache.keep(KEY, [made])
    found = cache.find(KEY)
    assert found is not None
    assert_alike(found.sets[0], made)
    assert [path.name for path in (tmp_path / KEY[:2]).iterdir()] == [KEY]


def test_what_was_never_finished_is_not_there(tmp_path: Path) -> None:
    cache = WindowCache(tmp_path)

    def dies(room: object) -> EpochSet:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.keep_large(KEY, dies, 0)
    assert cache.find(KEY) is None
    assert list((tmp_path / KEY[:2]).iterdir()) == []


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_cache import KEY, assert_alike, windows
from neurodecode.epochs.cache import WindowCache

cache, made = WindowCache(Path(sys.argv[2])), windows(500)
for i in range(40):
    kept = cache.keep(KEY, [made])
    assert cache.writable
    assert_alike(kept.sets[0], made)
    if i % 4 == 0:
        cache.drop(KEY)
"""


def test_two_processes_write_the_same_entry(tmp_path: Path) -> None:
    call = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(tmp_path)]
    writers = [subprocess.Popen(call, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [writer.communicate()[1] for writer in writers] == ["", ""]
    found = WindowCache(tmp_path).find(KEY)
    assert found is not None
    assert_alike(found.sets[0], windows(500))
    assert [path.name for path in (tmp_path / KEY[:2]).iterdir()] == [KEY]


@pytest.mark.parametrize("reason", ["a full disk", "a folder that cannot be made"])
def test_where_nothing_can_be_kept_one_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    if reason == "a full disk":
        cache = WindowCache(tmp_path, reserve=2**60)
    else:
        (tmp_path / "file").touch()
        cache = WindowCache(tmp_path / "file" / "below")
    made = windows()
    with caplog.at_level(logging.WARNING):
        assert_alike(cache.keep(KEY, [made]).sets[0], made)
        assert_alike(cache.keep(KEY[::-1], [made]).sets[0], made)
        cache.keep_document(KEY, {})
        assert cache.keep_large(KEY, lambda room: join([made, made], empty=room), 1) is None
    assert [record.getMessage()[:24] for record in caplog.records] == ["Windows cannot be kept i"]
    assert cache.find(KEY) is None


@pytest.mark.parametrize("channels", ["same", "common", "any"])
def test_joined_in_a_file_as_in_memory(tmp_path: Path, channels: str) -> None:
    other = windows(4, run="1", seed=1).take_channels(["C4", "C3", "Cz"])
    sets = [windows(6), other]
    if channels != "same":
        sets.append(windows(5, n_chans=4, run="2", seed=2))
    expected = join(sets, channels=channels)
    kept = WindowCache(tmp_path).keep_large(
        KEY, lambda room: join(sets, channels=channels, empty=room), expected.x.nbytes
    )
    assert kept is not None
    assert isinstance(kept.x, np.memmap)
    assert_alike_or_unplaced(kept, expected)


def assert_alike_or_unplaced(found: EpochSet, made: EpochSet) -> None:
    """As `assert_alike`, also where several montages leave no positions."""
    assert (found.positions is None) == (made.positions is None)
    np.testing.assert_array_equal(found.x, made.x)
    assert found.digest() == made.digest()


def test_what_nobody_used_for_long_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WindowCache(tmp_path).keep("old", [windows()])
    monkeypatch.setattr("neurodecode.epochs.cache.FORGOTTEN", -1.0)
    cache = WindowCache(tmp_path)
    cache.keep("new", [windows()])
    assert cache.find("old") is None
    assert cache.find("new") is not None
    assert cache.size() > windows().x.nbytes
