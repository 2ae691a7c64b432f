"""What tests let worker processes do; a module of its own, which takes no time to import."""

import mmap
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np


def kill(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_once(marker: Path, shared: dict[str, int]) -> int:
    with suppress(FileExistsError):
        marker.touch(exist_ok=False)
        kill()
    return shared["is"]


def killed_half_way(task: Any, unit: Sequence[Any], run: Any, n_threads: int | None) -> Any:
    """As `runner._rest_of_unit`, but the first process to have done half of a unit is killed."""
    from neurodecode.evaluation.runner import _rest_of_unit

    with suppress(FileExistsError):
        (run.path.parent / "killed").touch(exist_ok=False)
        _rest_of_unit(task, unit[:1], run, n_threads)
        kill()
    with (run.path.parent / "begun").open("a") as file:
        file.write("".join(f"{job.key}\n" for job in unit if run.read_row(job.key) is None))
    return _rest_of_unit(task, unit, run, n_threads)


def look_at(x: np.ndarray, *_: object) -> tuple[float, bool, bool, int]:
    """The greatest of the last; whether it can be written to, and is mapped; by whom."""
    time.sleep(0.2)
    return float(x[-1].max()), x.flags.writeable, isinstance(x.base, mmap.mmap), os.getpid()


def refuse(name: str) -> None:
    from neurodecode.core.errors import UnknownName

    raise UnknownName("net", name, ["eegnet"])


def pid(_: int) -> int:
    time.sleep(0.2)
    return os.getpid()
