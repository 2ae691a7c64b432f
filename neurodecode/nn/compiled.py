"""Compiled kernels: C files built by the machine's own compiler when they are needed.

A library is kept in the user's cache folder under a hash of source, compiler and processor, so it
is built once. Without a compiler, or where building fails, or with ``NEURODECODE_COMPILED=0``, the
torch path is taken, which gives the same results to rounding; `Kernel.why_not` says why.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

FLAGS = ("-O3", "-march=native", "-fPIC", "-shared", "-pthread", "-lm")


class Kernel:
    """Functions of one C file, each of which gives back 0 if it went well.

    Parameters
    ----------
    source
        The file, beside this one or below it; it may include headers that lie beside it.
    flags
        For the compiler, beside the usual.
    """

    def __init__(self, source: str, *flags: str) -> None:
        self.source = Path(__file__).parent / source
        self.flags = (*flags, *FLAGS)
        self._reason = ""

    @cached_property
    def library(self) -> ctypes.CDLL | None:
        """The compiled functions, built if need be; None where they cannot be."""
        if os.environ.get("NEURODECODE_COMPILED") == "0":
            self._reason = "NEURODECODE_COMPILED=0"
            return None
        compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
        if compiler is None or os.name != "posix":
            self._reason = "there is no C compiler"
            return None
        try:
            return ctypes.CDLL(str(self._built(compiler)))
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            said = said.decode(errors="replace") if isinstance(said, bytes) else said
            self._reason = " ".join(said.split())[:200]
            logger.debug("%s cannot be used: %s", self.source.name, self._reason)
            return None

    def why_not(self) -> str:
        """Why it is not compiled; empty if it is."""
        return "" if self.library is not None else self._reason

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function.

        Raises
        ------
        MemoryError
            If it found no memory to work in.
        """
        assert self.library is not None
        if getattr(self.library, function)(*arguments):
            raise MemoryError(f"{function} found no memory for a block of numbers.")

    def _built(self, compiler: str) -> Path:
        headers = sorted(self.source.parent.glob("*.h"))
        source = b"".join(path.read_bytes() for path in (self.source, *headers))
        words = (compiler, *self.flags, platform.machine(), _processor())
        words = (*words, str(os.path.getmtime(compiler)))
        name = hashlib.sha256(source + "\n".join(words).encode()).hexdigest()[:20]
        folder = user_cache_path("neurodecode", ensure_exists=True) / "kernels"
        path = folder / f"{self.source.stem}-{name}.so"
        if path.exists():
            return path
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            new = Path(scratch) / "kernel.so"
            subprocess.run(
                [compiler, *self.flags, str(self.source), "-o", str(new)],
                check=True,
                capture_output=True,
                timeout=120,
            )
            os.replace(new, path)  # whole or not at all: other processes may be building it too
        return path


# No contraction: a fused product and sum rounds once where torch rounds twice, and a membrane at
# its threshold would then spike in one and not in the other.
MEMBRANE = Kernel("spiking/membrane.c", "-ffp-contract=off")
STEM = Kernel("stem.c", "-ffp-contract=fast")
ELU_MEAN = Kernel("elu_mean.c", "-ffp-contract=fast")


def address(tensor: "Tensor | None") -> ctypes.c_void_p:
    """Where a contiguous tensor lies; NULL for None."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def _processor() -> str:
    """What ``-march=native`` compiles for, so that a shared home folder serves unlike machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
