"""Simulated data sets, whose subjects are kept on disk, so that they are simulated once."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import mne
import numpy as np
from moabb.datasets.base import BaseDataset
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from neurodecode.core.errors import ConfigError
from neurodecode.core.places import cache_folder

logger = logging.getLogger(__name__)

Tensors = dict[str, NDArray[Any]]


class Recorded(Protocol):
    """Truth of a run, which can be recorded."""

    def raw(self) -> Any:
        """The recording, a new MNE Raw."""


Truth = TypeVar("Truth", bound=Recorded)


class Simulated(BaseDataset, Generic[Truth]):  # type: ignore[misc]  # moabb is not typed
    """A MOABB data set of subjects who are simulated when they are first asked for.

    A simulator says where a subject is kept (`_path`), how all of its sessions are simulated
    (`_simulate`, tensors under the names of session and run), and what they mean (`_part`).

    Attributes
    ----------
    cache
        Whether subjects are kept on disk.
    """

    cache: bool

    def truth(self, subject: int) -> dict[str, dict[str, Truth]]:
        """What `subject` was made of: session, then run, then its truth.

        Raises
        ------
        ConfigError
            If there is no such subject.
        """
        if subject not in self._all_subjects:
            raise ConfigError(
                f"Subject {subject} is not simulated: there are 1 to {len(self._all_subjects)}. "
                f"Ask for one of those, or raise n_subjects."
            )
        path = self._path(subject)
        tensors = read_kept(path) if self.cache else None
        if tensors is None:
            tensors = self._simulate(subject)
            if self.cache:
                write_kept(path, tensors)
        return {
            str(session): {"0": self._part(subject, tensors, f"{session}/0/")}
            for session in range(self.n_sessions)
        }

    def data_path(
        self,
        subject: int,
        path: str | None = None,
        force_update: bool = False,
        update_path: bool | None = None,
        verbose: bool | None = None,
    ) -> list[str]:
        """Where the simulated subject is kept, once it has been simulated."""
        return [str(self._path(subject))]

    def _get_single_subject_data(self, subject: int) -> dict[str, dict[str, Any]]:
        return {
            session: {run: part.raw() for run, part in runs.items()}
            for session, runs in self.truth(subject).items()
        }

    def _path(self, subject: int) -> Path:
        raise NotImplementedError

    def _simulate(self, subject: int) -> Tensors:
        raise NotImplementedError

    def _part(self, subject: int, tensors: Tensors, key: str) -> Truth:
        raise NotImplementedError


def kept_path(folder: str, choices: str, code: Sequence[str], subject: int) -> Path:
    """Where a simulated subject is kept, under the folder of what can be made again.

    Parameters
    ----------
    folder
        Of the simulator.
    choices
        All that the recordings depend on besides `subject`.
    code
        Files of the simulator: an edited one never returns old recordings.
    subject
        Number of the subject.
    """
    words = [choices, np.__version__, mne.__version__, _sha256(tuple(code))]
    key = hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
    return cache_folder() / folder / key / f"subject-{subject}.safetensors"


@cache
def _sha256(files: tuple[str, ...]) -> str:
    return hashlib.sha256(b"".join(Path(name).read_bytes() for name in files)).hexdigest()


def read_kept(path: Path) -> Tensors | None:
    """A subject from the disk, or nothing if it is not there or not whole."""
    try:
        tensors: Tensors = load_file(path)
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError) as error:
        logger.debug("Simulating again, because %s cannot be read: %s", path, error)
        return None
    return tensors


def write_kept(path: Path, tensors: Tensors) -> None:
    """Keep a subject, whole or not at all; a folder that cannot be written is left alone."""
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(save(tensors))
        os.replace(part, path)
    except OSError as error:
        logger.debug("Not kept: %s cannot be written: %s", path, error)
        if part:
            Path(part).unlink(missing_ok=True)
