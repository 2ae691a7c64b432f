"""Simulated subjects kept on disk, so that they are simulated once."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import mne
import numpy as np
import platformdirs
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

logger = logging.getLogger(__name__)

Tensors = dict[str, NDArray[Any]]


def kept_path(folder: str, choices: str, code: Sequence[str], subject: int) -> Path:
    """Where a simulated subject is kept, under NEURODECODE_CACHE or the user's cache folder.

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
    root = os.environ.get("NEURODECODE_CACHE") or platformdirs.user_cache_dir("neurodecode")
    words = [choices, np.__version__, mne.__version__, _sha256(tuple(code))]
    key = hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
    return Path(root) / folder / key / f"subject-{subject}.safetensors"


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
