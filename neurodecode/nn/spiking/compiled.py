"""The compiled path of the kernel: one C file, built by the machine's own compiler when needed.

The library is kept in the user's cache folder under a hash of source, compiler and processor, so
it is built once. Without a compiler, or where building fails, or with ``NEURODECODE_COMPILED=0``,
the torch path is taken, which gives the same spikes, and gradients that are the same but for
rounding; `why_not` says why.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

logger = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("membrane.c")
# No contraction: a fused product and sum rounds once where torch rounds twice, and a membrane at
# its threshold would then spike in one and not in the other.
FLAGS = ("-O3", "-march=native", "-ffp-contract=off", "-fPIC", "-shared", "-pthread", "-lm")

_reason = ""


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernel, built if need be; None where it cannot be."""
    global _reason
    if os.environ.get("NEURODECODE_COMPILED") == "0":
        _reason = "NEURODECODE_COMPILED=0"
        return None
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or os.name != "posix":
        _reason = "there is no C compiler"
        return None
    try:
        return ctypes.CDLL(str(_built(compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        _reason = " ".join(said.split())[:200]
        logger.debug("the compiled kernel cannot be used: %s", _reason)
        return None


def why_not() -> str:
    """Why there is no compiled kernel; empty if there is one."""
    return "" if library() is not None else _reason


def _built(compiler: str) -> Path:
    source = SOURCE.read_bytes()
    words = (compiler, *FLAGS, platform.machine(), _processor(), str(os.path.getmtime(compiler)))
    name = hashlib.sha256(source + "\n".join(words).encode()).hexdigest()[:20]
    folder = user_cache_path("neurodecode", ensure_exists=True) / "kernels"
    path = folder / f"membrane-{name}.so"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        new = Path(scratch) / "membrane.so"
        subprocess.run(
            [compiler, *FLAGS, str(SOURCE), "-o", str(new)],
            check=True,
            capture_output=True,
            timeout=120,
        )
        os.replace(new, path)  # whole or not at all: other processes may be building it too
    return path


def _processor() -> str:
    """What ``-march=native`` compiles for, so that a shared home folder serves unlike machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
