"""Large arrays that processes share: written once, mapped by whoever needs them, never sent."""

import mmap
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import StoreError
from neurodecode.results.store import writing

LARGE = 1_000_000
"""Bytes from which an array is shared through a file; a smaller one is sent."""


class Mapped(np.memmap):
    """An array in a file, of which another process is sent the place and not the content.

    It cannot be written to. Parts of it are sent as they are. Compute with `numpy.asarray` of it.
    """

    def __reduce__(self) -> Any:
        if not isinstance(self.base, mmap.mmap):  # a part: it may be anywhere in the file
            return np.asarray(self).__reduce__()
        place = (os.path.abspath(self.filename), self.dtype.str, self.shape, self.offset)
        return _opened, place


def _opened(path: str, dtype: str, shape: tuple[int, ...], offset: int) -> Mapped:
    try:
        return Mapped(path, dtype, "r", offset, shape)
    except OSError as error:
        raise StoreError(
            f"A worker on {platform.node()} cannot read {path} ({error.strerror}). Machines that "
            f"share the work need one file system: choose folders on it with --runs and "
            f"NEURODECODE_CACHE."
        ) from error


def in_file(x: NDArray[Any], path: Path) -> NDArray[Any]:
    """The same array, mapped.

    Parameters
    ----------
    x
        Of any shape. If it is small, or mapped already, nothing is written.
    path
        Where it is written otherwise.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    if x.nbytes < LARGE:
        return x
    if isinstance(x, np.memmap) and isinstance(x.base, mmap.mmap) and x.flags.c_contiguous:
        return Mapped(x.filename, x.dtype, "r", x.offset, x.shape)
    with writing(path) as temporary, temporary.open("wb") as file:
        file.write(np.ascontiguousarray(x).data.cast("B"))
    return Mapped(path, x.dtype, "r", 0, x.shape)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder in `folder` for as long as the block runs; what killed processes left there goes."""
    here = f".scratch-{platform.node()}-"
    for old in folder.glob(f"{here}*"):
        if not _alive(old.name.removeprefix(here)):
            shutil.rmtree(old, ignore_errors=True)
    path = folder.absolute() / f"{here}{os.getpid()}"
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True
