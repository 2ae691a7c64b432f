"""Watching a loop from outside: hears the decisions that it sends, and nothing goes back.

The stream is heard by a process of its own, for liblsl is configured once per process and may take
whoever uses it down with it. It ends by itself when nobody has asked for a while, or who started
it has gone. Run as a program, this file is that process: JSON lines out, a line in for each time
that somebody asks.
"""

import argparse
import json
import select
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from neurodecode.core.errors import ConfigError
from neurodecode.online import lsl
from neurodecode.online.decision import Status
from neurodecode.online.lsl.decisions import DecisionInlet
from neurodecode.online.lsl.library import SESSION

TICK = 0.1  # s between two looks at the stream
FORGOTTEN = 20.0  # s without anybody asking, after which the process ends
LOOK = 0.6  # s that a look for streams takes
AGAIN = 5.0  # s after which a process that has ended is started again
KEPT = 4096
"""Decisions that are kept at most: 4 minutes at 16 a second."""

Line = dict[str, Any]


class Viewer:
    """The newest decisions of a loop that runs somewhere else.

    Nothing here waits: a thread reads the lines of the process that hears the stream. When a loop
    ends, the next is looked for; when the process ends, the next question starts another.

    Parameters
    ----------
    session
        LSL session of the loop.
    network
        Look beyond this machine.
    """

    def __init__(self, *, session: str = SESSION, network: bool = False) -> None:
        self.session, self.network = session, network
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._started = float("-inf")
        self._clear()

    def _clear(self) -> None:
        self._stream: Line = {}
        self._rows: deque[Sequence[float]] = deque(maxlen=KEPT)
        self._heard = float("-inf")
        self._problem = ""
        self._n_streams = 0

    def ask(self) -> "View":
        """What is known now; starts the process that hears the stream if it does not run."""
        with self._lock:
            ended = self._process is None or self._process.poll() is not None
            if ended and time.monotonic() - self._started > AGAIN:
                self._start()
            if self._process is not None and self._process.stdin is not None:
                with suppress(OSError, ValueError):  # it has just ended
                    self._process.stdin.write("\n")
                    self._process.stdin.flush()
            silence = time.monotonic() - self._heard
            return View(
                stream=dict(self._stream), rows=list(self._rows), silence=silence,
                problem=self._problem, n_streams=self._n_streams,
            )  # fmt: skip

    def close(self) -> None:
        """End the process; a later question starts another."""
        with self._lock:
            process, self._process = self._process, None
            self._started = float("-inf")
        if process is not None:
            process.kill()
            _release(process)
            if self._reader is not None:
                self._reader.join(timeout=5.0)

    def _start(self) -> None:
        if self._process is not None:
            _release(self._process)
        self._started = time.monotonic()
        problem = self._problem
        self._clear()
        self._problem = problem  # of the process before, which may have ended by it
        command = [
            sys.executable,
            "-P",
            "-m",
            "neurodecode.online.viewer",
            "--session",
            self.session,
        ]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [*command, *["--network"] * self.network],
            stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for text in lines:
                with suppress(ValueError), self._lock:
                    if process is self._process:
                        self._take(json.loads(text))

    def _take(self, line: Line) -> None:
        kind = line.get("kind")
        if kind == "stream":
            if line["uid"] != self._stream.get("uid"):
                self._rows.clear()
            self._stream = line
            self._problem = ""
        elif kind == "rows":
            self._rows.extend(line["rows"])
            self._heard = time.monotonic()
        elif kind == "lost":
            self._stream = {**self._stream, "lost": True}
        elif kind == "looked":
            self._n_streams = int(line["n"])
            self._problem = ""
        elif kind == "problem":
            self._problem = str(line["words"])


def _release(process: subprocess.Popen[str]) -> None:
    """Take leave of a process that has ended."""
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


class View:
    """What a viewer knows at one moment.

    Parameters
    ----------
    stream
        What the stream says of itself: uid, name, model, classes, hop (s), host; empty before one
        was found. ``lost`` is true when it has gone.
    rows
        Decisions as they are sent: probabilities, newest, made, status, command.
    silence
        Seconds since the last one came; infinite if none has.
    problem
        Why no stream can be heard, in words; "" if nothing is wrong.
    n_streams
        Loops that were found when one was looked for.
    """

    def __init__(
        self,
        *,
        stream: Mapping[str, Any],
        rows: Sequence[Sequence[float]],
        silence: float,
        problem: str = "",
        n_streams: int = 0,
    ) -> None:
        self.stream, self.rows, self.silence = stream, rows, silence
        self.problem, self.n_streams = problem, n_streams

    @property
    def classes(self) -> list[str]:
        """Names, in order of the probabilities."""
        return list(self.stream.get("classes", []))

    @property
    def running(self) -> bool:
        """Whether a loop is there; one that says nothing still counts."""
        return bool(self.stream) and not self.stream.get("lost", False)

    def table(self, seconds: float = 30.0) -> pd.DataFrame:
        """Decisions of the last seconds, oldest first.

        Columns: time (s before the newest decision, at most 0), p_CLASS for each class (not a
        number unless the decision is valid), decision (the likeliest class, "" for none), command
        (the class that is commanded, "" for none), status (in words) and latency_ms (from the
        newest sample to the decision; not a number where there is none).
        """
        classes = self.classes
        names = [f"p_{name}" for name in classes]
        columns = ["time", *names, "decision", "command", "status", "latency_ms"]
        rows = np.asarray(self.rows, dtype=float).reshape(-1, len(classes) + 4)
        if not len(rows) or not classes:
            return pd.DataFrame(columns=columns)
        newest, made, status, command = rows[:, -4:].T
        made = np.maximum.accumulate(made)  # a clock that was set back must not order them anew
        recent = made >= made[-1] - seconds
        rows, newest, made = rows[recent], newest[recent], made[recent]
        status, command = status[recent], command[recent]
        proba = rows[:, : len(classes)]
        valid = np.isfinite(proba).all(axis=1)
        largest = np.argmax(np.where(np.isfinite(proba), proba, -1.0), axis=1)
        table = pd.DataFrame({"time": made - made[-1]})
        table[names] = proba
        table["decision"] = [classes[i] if ok else "" for i, ok in zip(largest, valid, strict=True)]
        table["command"] = [classes[int(i)] if 0 <= i < len(classes) else "" for i in command]
        table["status"] = [_words(value) for value in status]
        late = (made - newest) * 1e3
        table["latency_ms"] = np.where(valid, late, np.nan)
        return table

    def counts(self) -> dict[str, int]:
        """How many of the decisions that are kept have each status, and how many never came.

        ``lost`` are those that the loop made and that were not heard: two valid decisions beside
        each other are further apart than they are made.
        """
        n = len(self.classes)
        rows = np.asarray(self.rows, dtype=float).reshape(-1, n + 4)
        status = Counter(_words(value) for value in rows[:, n + 2])
        found = {one.words: status.get(one.words, 0) for one in Status}
        hop = float(self.stream.get("hop", 0) or 0)
        lost = 0
        if hop > 0:
            valid = np.isin(rows[:, n + 2], [one.value for one in Status if one.valid])
            steps = np.round(np.diff(rows[:, n]) / hop)[valid[1:] & valid[:-1]]
            lost = int(np.maximum(steps - 1, 0).sum())
        return {**found, "lost": lost}


def _words(status: float) -> str:
    try:
        return Status(int(status)).words
    except ValueError:
        return "unknown"


def main(words: Sequence[str] | None = None) -> int:
    """Hear the newest loop of a session, and say so in JSON lines, until nobody asks any more."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--session", required=True)
    parser.add_argument("--network", action="store_true")
    options = parser.parse_args(words)
    try:
        lsl.configure(network=options.network, session=options.session)
        lsl.clock()
    except ConfigError as error:
        _say(kind="problem", words=str(error))
        return 2
    asked = time.monotonic()
    inlet: DecisionInlet | None = None
    while time.monotonic() - asked < FORGOTTEN:
        if select.select([sys.stdin], [], [], TICK)[0]:
            if not sys.stdin.readline():  # who started this has gone
                break
            asked = time.monotonic()
        inlet = _open() if inlet is None else _heard(inlet)
    return 0


def _open() -> DecisionInlet | None:
    """The loop that was started last, if there is one."""
    found = lsl.find_streams(kind="Decision", timeout=LOOK)
    _say(kind="looked", n=len(found))
    for stream in sorted(found, key=lambda one: one.info.created_at(), reverse=True):
        with suppress(lsl.StreamLost):  # it has gone, and is still announced
            inlet = DecisionInlet(stream)
            _say(kind="stream", **inlet.facts)
            return inlet
    return None


def _heard(inlet: DecisionInlet) -> DecisionInlet | None:
    """Says what has come; nothing if the stream has gone."""
    try:
        rows = inlet.pull()
    except lsl.StreamLost:
        inlet.close()
        _say(kind="lost")
        return None
    if rows:
        _say(kind="rows", rows=rows)
    return inlet


def _say(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
