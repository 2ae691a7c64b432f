"""The live loop as a process: JSON lines out, words in, signals end it; nothing makes it wait.

In: "freeze", "unfreeze" and "stop", each on a line. "attend" makes the end of the input stop the
loop: who started it has gone. Out: the dicts of `neurodecode.online.loop.run_loop`.
"""

import faulthandler
import gc
import json
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from neurodecode.online.engine import Engine
from neurodecode.online.loop import LoopOptions, Make, run_loop
from neurodecode.online.lsl import StreamFacts

logger = logging.getLogger(__name__)

ROOM = 2000  # lines that may wait for a slow reader
KEPT_FREE = 200  # of them for events, which are few and say why
PATIENCE = 1.0  # s that the end waits for the reader
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def write_line(descriptor: int, line: dict[str, Any]) -> None:
    """Write one JSON line; not through sys.stdout, whose lock the end of the process would want."""
    text = memoryview(json.dumps(line).encode() + b"\n")
    while text:
        text = text[os.write(descriptor, text) :]


class Lines:
    """JSON lines, written by a thread; what a reader is too slow for is dropped and counted.

    Parameters
    ----------
    descriptor
        Open for writing.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.n_dropped = 0
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(ROOM)
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def say(self, line: dict[str, Any]) -> None:
        """Write a line when there is time for it; never waits."""
        if line["kind"] == "status":
            line["lines_dropped"] = self.n_dropped
        if line["kind"] != "event" and self._queue.qsize() > ROOM - KEPT_FREE:
            self.n_dropped += 1
            return
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self.n_dropped += 1

    def close(self) -> None:
        """Write what waits, as far as the reader takes it within a second."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=PATIENCE)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                write_line(self.descriptor, line)
            except OSError:  # nobody reads any more
                break
        while line is not None:  # so that the queue is never full
            line = self._queue.get()
            self.n_dropped += 1


class Words:
    """Lines of the input, read by a thread.

    Parameters
    ----------
    descriptor
        Open for reading.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.gone = False  # whether who attends has left
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="words", daemon=True).start()

    def take(self) -> list[str]:
        """What has come since it was last asked."""
        return [self._queue.get() for _ in range(self._queue.qsize())]

    def _run(self) -> None:
        attended, rest = False, b""
        with suppress(OSError):  # a terminal that belongs to another process gives an error
            while piece := os.read(self.descriptor, 4096):
                *lines, rest = (rest + piece)[-4096:].split(b"\n")
                for line in lines:
                    word = line.decode(errors="replace").strip()
                    attended = attended or word == "attend"
                    if word and word != "attend":
                        self._queue.put(word)
        self.gone = attended


def serve(make_engine: Make, options: LoopOptions, *, read: int = 0, write: int = 1) -> int:
    """Run the loop until it is stopped: by a word, SIGINT, SIGTERM or SIGHUP, or by its time.

    Parameters
    ----------
    make_engine, options
        See `run_loop`.
    read, write
        Descriptors of the input and the output.

    Returns
    -------
    int
        Exit status: 0, or 1 where the loop gave up.

    Raises
    ------
    NeurodecodeError
        As `run_loop`.
    """
    with suppress(Exception):  # where stderr is no file, a crash of liblsl says nothing
        faulthandler.enable()
    words, lines = Words(read), Lines(write)

    def make(facts: StreamFacts) -> Engine:
        engine = make_engine(facts)
        # What is here now stays: looking through it for garbage took 0.1 s of a decision's time
        gc.collect()
        gc.freeze()
        return engine

    try:
        with signals_caught() as asked:
            summary = run_loop(
                make,
                options,
                lines.say,
                words.take,
                lambda: asked() or words.gone,
            )
    finally:
        lines.close()
    return 1 if summary.failed else 0


@contextmanager
def signals_caught() -> Iterator[Callable[[], bool]]:
    """Whether a signal has asked for the end; another one, a second later, ends at once."""
    times: list[float] = []

    def note(number: int, frame: Any) -> None:
        times.append(time.monotonic())
        if times[-1] - times[0] > PATIENCE:
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (*ENDS, signal.SIGTTIN)}
    for number in ENDS:
        if before[number] is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, note)
    # A process in the background that reads from the terminal is stopped, unless it ignores this
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    try:
        yield lambda: bool(times)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
