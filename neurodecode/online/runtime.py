"""Whether torch asks a net about a window, or onnxruntime its graph: one window, one thread.

onnxruntime leaves Python out and joins operations, and most nets answer in half the time or less.
It adds up in another order, so what it says is compared with the net first: live must be offline.
"""

import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from neurodecode.core.errors import ConfigError, NeurodecodeError
from neurodecode.core.stopping import softmax
from neurodecode.export.agreement import Agreement, Said, agreement
from neurodecode.export.onnx import facts_of, open_onnx, write_onnx
from neurodecode.export.parity import random_windows
from neurodecode.export.program import INPUT, OUTPUTS, program_of
from neurodecode.nn.spiking.neurons import is_spiking
from neurodecode.nn.threads import torch_threads

Runtime = Literal["auto", "torch", "onnx"]
Ask = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""A window in microvolts, (n_chans, n_times), to logits, (n_outputs,)."""

SAME = 5e-7
"""Of probabilities: half of what live and offline may differ by."""

GAINS = (0.3, 1.0, 3.0)  # how strong windows are, in deviations: quiet ones, and artifacts
N_WINDOWS = 8  # for each
CLEARLY = 1.1  # times as fast, so that two starts do not choose differently
N_CALLS, LONGEST = 40, 1.0  # of each in a rehearsal, and s that it may take; 3 calls are the least


class Chosen(NamedTuple):
    """What asks a net.

    Attributes
    ----------
    runtime
        "torch" or "onnx".
    words
        The same in words, and why.
    ask
        Logits of a window.
    """

    runtime: Literal["torch", "onnx"]
    words: str
    ask: Ask


def choose_runtime(
    net: nn.Module,
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    by_torch: Ask,
    *,
    n_times: int,
    runtime: Runtime = "auto",
    kept: Path | None = None,
) -> Chosen:
    """What is to ask a net about single windows.

    "auto" is onnxruntime where a graph can be made, its probabilities of windows like EEG are the
    net's to `SAME`, and it is faster; torch otherwise. Spiking nets stay with torch: a membrane
    within rounding of its threshold spikes in one and not in the other.

    Parameters
    ----------
    net, mean, scale
        Fitted; see `neurodecode.export.program.Microvolts`.
    by_torch
        How torch asks it.
    n_times
        Samples of a window.
    runtime
        "torch" and "onnx" are taken without a rehearsal.
    kept
        Where the graph is kept, so that it is made once; by default nowhere.

    Raises
    ------
    ConfigError
        If "onnx" is asked for, and there is no graph that says what the net says.
    """
    if runtime == "torch":
        return Chosen("torch", "The net runs in torch.", by_torch)
    if runtime == "auto" and is_spiking(net):
        return Chosen("torch", "The net runs in torch, because it spikes.", by_torch)
    windows = np.concatenate(
        [
            random_windows(N_WINDOWS, n_times, mean, gain * scale, seed=i)
            for i, gain in enumerate(GAINS)
        ]
    ).astype(np.float32)
    with torch_threads(1):  # as in the loop
        try:
            by_onnx, found = _graph(net, mean, scale, by_torch, windows, kept)
        except NeurodecodeError as error:
            if runtime == "onnx":
                raise
            return Chosen("torch", f"The net runs in torch: {error}", by_torch)
        off = found.max_probability_difference
        if runtime == "onnx":
            if not found.agrees:
                raise ConfigError(
                    f"online.runtime = 'onnx': the net and its graph differ by {off:.1g} in a "
                    f"probability. Take 'auto' or 'torch'."
                )
            words = f"The net runs in onnxruntime; probabilities are torch's to {off:.0e}."
            return Chosen("onnx", words, by_onnx)
        if not off <= SAME:
            words = f"its probabilities in onnxruntime differ by {off:.1g}, and {SAME:g} may be"
            return Chosen("torch", f"The net runs in torch: {words}.", by_torch)
        ours, theirs = _rehearse(by_onnx, by_torch, windows)
    times = f"{1e3 * ours:.2g} ms a window in onnxruntime, {1e3 * theirs:.2g} ms in torch"
    if ours * CLEARLY > theirs:
        return Chosen("torch", f"The net runs in torch: {times}.", by_torch)
    return Chosen(
        "onnx",
        f"The net runs in onnxruntime: {times}; probabilities are torch's to {off:.0e}.",
        by_onnx,
    )


def _graph(
    net: nn.Module,
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    by_torch: Ask,
    windows: NDArray[np.float32],
    kept: Path | None,
) -> tuple[Ask, Agreement]:
    """How onnxruntime asks a net, and how far that is from the net; made anew unless kept."""
    logits = np.stack([by_torch(window) for window in windows])
    said = logits, np.stack([softmax(row) for row in logits])

    def compared(session: Any) -> tuple[Ask, Agreement]:
        by_onnx = _asked(session)

        def ask(x: NDArray[np.float32]) -> Said:
            logits = by_onnx(x[0])
            return logits[None], softmax(logits)[None]

        return by_onnx, agreement(ask, said, windows, (1,), spikes=is_spiking(net))

    facts = {"made_by": "neurodecode", "version": version("neurodecode-eeg")}
    facts["torch"] = torch.__version__
    if kept is not None and kept.is_file():
        try:
            session = open_onnx(kept)
            found = compared(session)
        except Exception:  # whatever is wrong with a file that can be made again
            session = None
        if session is not None and facts_of(session) == facts and found[1].agrees:
            return found
    program = program_of(net, mean, scale, n_times=windows.shape[2])
    with TemporaryDirectory(prefix="neurodecode-") as folder:
        path = Path(folder) / "net.onnx"
        write_onnx(program, path, facts)
        session = open_onnx(path)
        if kept is not None:
            _keep(path, kept)
    return compared(session)


def _keep(made: Path, kept: Path) -> None:
    """Leave a file for the next start; a run that cannot be written to does without."""
    half = kept.with_name(f".{kept.name}.{os.getpid()}.tmp")
    try:
        half.write_bytes(made.read_bytes())
        os.replace(half, kept)
    except OSError:
        half.unlink(missing_ok=True)


def _asked(session: Any) -> Ask:
    wanted = [OUTPUTS[0]]

    def ask(x: NDArray[np.float32]) -> NDArray[np.float64]:
        window = np.ascontiguousarray(x, dtype=np.float32)[None]
        return np.asarray(session.run(wanted, {INPUT: window})[0][0], dtype=np.float64)

    return ask


def _rehearse(ours: Ask, theirs: Ask, windows: NDArray[np.float32]) -> tuple[float, float]:
    """Medians of the time of a call, s; the two take turns."""
    times: dict[Ask, list[float]] = {ours: [], theirs: []}
    end = time.perf_counter() + LONGEST
    for i in range(N_CALLS):
        for ask, taken in times.items():
            start = time.perf_counter()
            ask(windows[i % len(windows)])
            taken.append(time.perf_counter() - start)
        if i >= 2 and time.perf_counter() > end:
            break
    return float(np.median(times[ours])), float(np.median(times[theirs]))
