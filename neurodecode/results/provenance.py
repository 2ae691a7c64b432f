"""What produced a result: source, libraries, machine."""

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import neurodecode
from neurodecode.core.places import shared_folder
from neurodecode.models import DENOISERS
from neurodecode.nn.compiled import MEMBRANE

PACKAGE = Path(neurodecode.__file__).parent

LIBRARIES = (
    "numpy", "scipy", "mne", "moabb", "pyriemann", "scikit-learn", "torch", "lightning",
    "braindecode",
)  # fmt: skip
"""Libraries whose version could change a score."""

PARTS = {"models", "artifacts"}
"""Rooms of interchangeable parts: a fold's key covers those that the fold runs through."""

MAKES_WINDOWS = {"core", "signal", "recordings", "preprocess", "epochs"}
"""Rooms that a window passes through, beside the few files of `windows_digest`."""

SHOWS_ONLY = {"cli.py", "results", "explain", "export", "show", "online"}
"""Rooms that cannot change a score of windows: editing them keeps finished folds."""


@cache
def library_versions() -> dict[str, str]:
    """Installed version of each of `LIBRARIES`."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache
def source_digest(model_module: str) -> str:
    """Digest of the package's source, with those files of ``models/`` that a decoder is made of.

    So an edit to anything a decoder runs through is another key, and an edit to another decoder
    is not.

    Parameters
    ----------
    model_module
        Dotted name of the module that defines the decoder.
    """
    files = {
        path
        for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.[ch]")]
        if path.relative_to(PACKAGE).parts[0] not in SHOWS_ONLY | PARTS
    }
    files |= _with_imports("models", model_module.rpartition(".")[2], set())
    return _digest(files)


@cache
def windows_digest() -> str:
    """Digest of everything that windows are made by, where recordings are not cleaned.

    So an edit to a filter makes windows anew.
    """
    files = {path for room in MAKES_WINDOWS for path in (PACKAGE / room).rglob("*.py")}
    files |= {PACKAGE / "experiment" / f"{name}.py" for name in ("data", "subjects", "windows")}
    return _digest(_with_imports("artifacts", "contaminate", files))


@cache
def shipped_digest() -> str:
    """Digest of the whole package, with the cards and pipelines that come with it."""
    sha = hashlib.sha256()
    folders = (PACKAGE, shared_folder("datasets"), shared_folder("pipelines"))
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.suffix in (".py", ".c", ".h", ".toml", ".safetensors", ".json"):
            sha.update(str(path).encode() + path.read_bytes())
    return sha.hexdigest()


@cache
def cleaners_digest() -> str:
    """Digest of everything a cleaner is made of: source, networks and shipped weights.

    So an edit to a cleaner is another key for what was cleaned, and for nothing else.
    """
    files = {path for path in (PACKAGE / "artifacts").rglob("*") if path.is_file()}
    for name in DENOISERS.names():
        files |= _with_imports("models", DENOISERS.find(name).module.rpartition(".")[2], set())
    return _digest(path for path in files if path.suffix != ".pyc")


@cache
def live_digest() -> str:
    """Digest of everything that decisions on a stream are made by.

    So an edit to it is another key for what was played as if live, and for nothing else.
    """
    accumulators = set((PACKAGE / "online" / "evidence").glob("*.py"))
    return _digest(_with_imports("online", "pipeline", accumulators))


@cache
def explain_digest() -> str:
    """Digest of everything that maps are made by, so that an edit to it makes them anew."""
    by_fold = PACKAGE / "experiment" / "fold_maps.py"
    return _digest([*(PACKAGE / "explain").rglob("*.py"), by_fold])


@cache
def package_digest() -> str:
    """Digest of all source of the package: equal on machines that share work."""
    return _digest([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.[ch]")])


def _digest(files: Iterable[Path]) -> str:
    sha = hashlib.sha256()
    for path in sorted(files):
        sha.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    return sha.hexdigest()


def _with_imports(room: str, name: str, found: set[Path]) -> set[Path]:
    """A file of a room and those of the same room that it imports, beside those found before."""
    path = PACKAGE / room / f"{name}.py"
    if path.is_file() and path not in found:
        found.add(path)
        text = path.read_text(encoding="utf-8")
        for other in re.findall(rf"neurodecode\.{room}\.(\w+)", text):
            _with_imports(room, other, found)
    return found


def environment() -> dict[str, Any]:
    """What ran: package, commit, Python, libraries, BLAS, processor, accelerator."""
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "neurodecode": neurodecode.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "n_cores": os.cpu_count(),
        "spiking_kernel": "torch" if MEMBRANE.why_not() else "compiled",
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "libraries": library_versions(),
    }


def _commit() -> str:
    """Commit of the source tree, with a mark if it has been edited; empty outside a checkout."""
    call = ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(call, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
