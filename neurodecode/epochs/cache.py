"""Windows kept on disk, so that recordings are preprocessed once for all runs.

An entry is a folder named by a key, which must change with anything that could change the windows:
``windows.f32`` (float32, one recording behind the other), ``table.parquet`` (a row per window, with
its class), and ``facts.json`` (what each recording's windows are, and how the other two files must
look). It is written under another name and renamed when it is whole, so many processes may write at
once; what is damaged counts as not there, and is replaced. Windows are mapped into memory, not
read: only what is used is loaded, and processes share it.
"""

import json
import logging
import math
import os
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurodecode.epochs.epochset import Empty, EpochSet, chunks

logger = logging.getLogger(__name__)

RESERVE = 2**30
"""Bytes that are left free on the disk, for what cannot be made again."""

FORGOTTEN = 30 * 24 * 3600.0
"""Seconds after which an entry that no run has used is removed."""

WINDOWS, TABLE, FACTS = "windows.f32", "table.parquet", "facts.json"


class Entry(NamedTuple):
    """An entry: windows of each recording, and what else was kept with them."""

    sets: list[EpochSet]
    notes: Mapping[str, Any]


class WindowCache:
    """Entries under one folder.

    A folder that cannot be written, or a disk that is full, is said once; everything then goes on
    in memory.

    Parameters
    ----------
    folder
        Need not exist.
    reserve
        Bytes to leave free on its disk.
    """

    def __init__(self, folder: Path, *, reserve: int = RESERVE) -> None:
        self.folder, self.reserve = folder, reserve
        self.writable, self.swept = True, False

    def find(self, key: str) -> Entry | None:
        """The entry `key`, its windows read-only and mapped; None if it is not there or damaged."""
        folder = self._entry(key)
        try:
            entry = _read(folder)
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever a damaged file makes its reader raise
            logger.debug("Made again, because %s cannot be read: %s", folder, error)
            return None
        with suppress(OSError):  # it may be somebody else's, to be read and not marked
            os.utime(folder)  # it is used, and not to be forgotten
        return entry

    def keep(
        self, key: str, sets: Sequence[EpochSet], notes: Mapping[str, Any] | None = None
    ) -> Entry:
        """Keep windows of recordings; they come back mapped, or as they are where that fails.

        Parameters
        ----------
        key
            Changes with anything that could change them.
        sets
            At least one.
        notes
            Goes with them, as JSON.
        """
        notes = dict(notes or {})
        n_bytes = sum(one.x.nbytes for one in sets)
        made = self._write(key, lambda folder: list(sets), notes, n_bytes)
        return made or Entry(list(sets), notes)

    def keep_large(
        self, key: str, fill: Callable[[Empty], EpochSet], n_bytes: int
    ) -> EpochSet | None:
        """Keep one set of windows that memory need not hold; None where it cannot be written.

        Parameters
        ----------
        key
            As of `keep`.
        fill
            Called with what makes room for windows in a file; returns the set whose windows it has
            written there.
        n_bytes
            How large the windows will be, about.
        """

        def into(folder: Path) -> list[EpochSet]:
            return [fill(partial(_room, folder / WINDOWS))]

        made = self._write(key, into, {}, n_bytes)
        return made.sets[0] if made else None

    def notes(self, key: str) -> Mapping[str, Any] | None:
        """What was kept with an entry, whose windows are not looked at; None if it is not there."""
        try:
            document = json.loads((self._entry(key) / FACTS).read_text("utf-8"))
            return cast(Mapping[str, Any], json.loads(document["facts"])["notes"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def drop(self, key: str) -> None:
        """Remove an entry that is not wanted any more."""
        shutil.rmtree(self._entry(key), ignore_errors=True)

    def find_document(self, key: str) -> Any:
        """What `keep_document` kept; None if that is not there or damaged."""
        path = self._entry(key).with_suffix(".json")
        try:
            document = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        with suppress(OSError):
            os.utime(path)
        return document

    def keep_document(self, key: str, document: Any) -> None:
        """Keep a small JSON document."""
        path = self._entry(key).with_suffix(".json")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(document, file)
            os.replace(part, path)
        except OSError as error:
            self._give_up(error)

    def size(self) -> int:
        """Bytes of everything that is kept."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def _entry(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def _write(
        self,
        key: str,
        fill: Callable[[Path], list[EpochSet]],
        notes: Mapping[str, Any],
        n_bytes: int,
    ) -> Entry | None:
        if not self.writable:
            return None
        target, part = self._entry(key), None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(target.parent).free < n_bytes + self.reserve:
                raise OSError(f"less than {(n_bytes + self.reserve) / 2**30:.1f} GiB are free")
            self._forget()
            part = Path(tempfile.mkdtemp(dir=target.parent, suffix=".part"))
            _write(part, fill(part), notes)
            self._put(part, target)
        except OSError as error:
            self._give_up(error)
            return None
        finally:
            if part is not None:
                shutil.rmtree(part, ignore_errors=True)
        return self.find(key)

    def _put(self, part: Path, target: Path) -> None:
        """Rename a whole entry into its place, unless another process was quicker."""
        try:
            os.rename(part, target)
        except OSError:
            if not target.is_dir():
                raise
            if self.find(target.name) is None:  # damaged
                aside = Path(tempfile.mkdtemp(dir=target.parent, suffix=".part"))
                with suppress(FileNotFoundError):  # another process has just done this
                    os.rename(target, aside / target.name)
                shutil.rmtree(aside, ignore_errors=True)
                with suppress(OSError):  # or that: its entry is as good
                    os.rename(part, target)

    def _give_up(self, error: OSError) -> None:
        if self.writable:
            self.writable = False
            logger.warning(
                "Windows cannot be kept in %s (%s): they will be made again next time. Free space, "
                "or name another folder with NEURODECODE_CACHE.",
                self.folder,
                error.strerror or error,
            )

    def _forget(self) -> None:
        """Remove entries, and parts that were never finished, which nobody has used for long."""
        if self.swept:
            return
        self.swept, oldest = True, time.time() - FORGOTTEN
        for path in self.folder.glob("??/*"):
            try:
                if path.stat().st_mtime < oldest:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError as error:  # another process was quicker
                logger.debug("%s cannot be removed: %s", path, error)


def _room(path: Path, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """A new file of zeros as an array, whose place on the disk is taken now.

    Writing to a mapped file whose place cannot be had would kill the process.
    """
    with path.open("wb") as file:
        if sys.platform == "linux":
            os.posix_fallocate(file.fileno(), 0, 4 * math.prod(shape))
        else:
            file.truncate(4 * math.prod(shape))
    return np.memmap(path, np.float32, "r+", shape=shape)


def _write(folder: Path, sets: Sequence[EpochSet], notes: Mapping[str, Any]) -> None:
    """Write an entry; where there is a file of windows, they are those of the only set."""
    path = folder / WINDOWS
    if path.exists():
        cast(np.memmap[Any, Any], sets[0].x).flush()
    with path.open("ab") as file:
        if not file.tell():
            for part in (part for one in sets for part in chunks(one.x)):
                file.write(np.ascontiguousarray(part, np.float32).data)
        file.flush()
        os.fsync(file.fileno())  # the name of the entry must not reach the disk before them
    table = pd.concat([one.table.assign(y=one.y) for one in sets], ignore_index=True)
    table.to_parquet(folder / TABLE)
    facts = json.dumps(
        {
            "sets": [
                {
                    "shape": one.x.shape,
                    "classes": one.classes,
                    "ch_names": one.ch_names,
                    "sfreq": one.sfreq,
                    "positions": None if one.positions is None else one.positions.tolist(),
                }
                for one in sets
            ],
            "notes": notes,
        }
    )
    document = {"checksum": _checksum(folder, facts), "facts": facts}
    (folder / FACTS).write_text(json.dumps(document), encoding="utf-8")


def _read(folder: Path) -> Entry:
    """What `_write` wrote.

    Raises
    ------
    ValueError
        If a file has changed since.
    """
    document = json.loads((folder / FACTS).read_text("utf-8"))
    if _checksum(folder, document["facts"]) != document["checksum"]:
        raise ValueError("its files are not as they were written")
    facts = json.loads(document["facts"])
    table = pd.read_parquet(folder / TABLE)
    y = table.pop("y").to_numpy(np.int64)
    sets, first, offset = [], 0, 0
    for fact in facts["sets"]:
        positions = fact["positions"]
        x = np.memmap(folder / WINDOWS, np.float32, "r", offset, tuple(fact["shape"]))
        rows = slice(first, first + len(x))
        sets.append(
            EpochSet(
                x=x,
                y=y[rows],
                classes=tuple(fact["classes"]),
                table=table.iloc[rows].reset_index(drop=True),
                ch_names=tuple(fact["ch_names"]),
                sfreq=fact["sfreq"],
                positions=None if positions is None else np.array(positions),
            )
        )
        first, offset = first + len(x), offset + x.nbytes
    return Entry(sets, facts["notes"])


def _checksum(folder: Path, facts: str) -> int:
    found = zlib.crc32(facts.encode())
    for name in (WINDOWS, TABLE):
        with (folder / name).open("rb") as file:
            while part := file.read(2**22):
                found = zlib.crc32(part, found)
    return found
