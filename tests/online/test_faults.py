"""Whatever a stream does, no decision on old or broken samples is called valid, and it goes on.

Sources, loop and listeners are programs of their own, because a fault in liblsl would take the
tests along, and because some faults are the end of a program.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pyxdf

pytest.importorskip("pylsl")

from neurodecode.recordings.read import read_raw

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HERE = Path(__file__).parent
SFREQ = 500.0  # Hz, as in toy_outlet.py
WINDOW = 0.2  # s, as in toy_loop.py
MAX_AGE = 0.3  # s
DEAD = 0.05  # s that three channels may stand still before they count as dead
SLACK = 0.05  # s that the machine may be busy elsewhere, between asking the time and answering
Line = dict[str, Any]


class Program:
    """A program that writes JSON lines."""

    def __init__(self, name: str, *words: str) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / name), *words], stdin=pipe, stdout=pipe, stderr=pipe
        )
        self.lines: list[Line] = []
        self.said = ""
        self.threads = [threading.Thread(target=job) for job in (self._hear, self._listen)]
        for thread in self.threads:
            thread.start()

    def _hear(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def _listen(self) -> None:
        assert self.process.stderr
        self.said = self.process.stderr.read().decode()

    def until(self, there: Callable[[Line], bool], *, after: int = 0, timeout: float = 25) -> int:
        """Number of lines when there is one like this, counted from `after`."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for i, line in enumerate(self.lines[after:], after):
                if there(line):
                    return i + 1
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"it did not come; said {self.events()} and {self.said[-2000:]}")

    def event(self, what: str, *, after: int = 0) -> int:
        return self.until(lambda line: line.get("what") == what, after=after)

    def events(self, after: int = 0) -> list[str]:
        return [line["text"] for line in self.lines[after:] if line.get("kind") == "event"]

    def decisions(self) -> list[Line]:
        return [line for line in self.lines if line.get("kind") == "decision"]

    def tell(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; the exit status."""
        if self.process.poll() is None:
            self.tell(number)
        status = self.process.wait(10)
        for thread in self.threads:
            thread.join(5)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe
            pipe.close()
        return status


Start = Callable[..., Program]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts toy programs that see each other and nothing else."""
    session, programs = uuid.uuid4().hex, list[Program]()

    def begin(name: str, *words: str, bare: bool = False) -> Program:
        session_words = [session] if bare else ["--session", session]
        programs.append(Program(name, *session_words, *words))
        return programs[-1]

    yield begin
    for program in programs:
        if program.process.stdin and not program.process.stdin.closed:
            program.end()


def is_valid(line: Line) -> bool:
    return line.get("kind") == "decision" and line["status"] == "ok"


def assert_trustworthy(loop: Program, faults: Sequence[tuple[float, float]] = ()) -> None:
    """Every valid decision is about new samples, none of which is at fault."""
    valid = [line for line in loop.decisions() if is_valid(line)]
    assert valid
    assert max(line["made"] - line["newest"] for line in valid) < MAX_AGE + SLACK
    half = 0.5 / SFREQ  # clocks are not known better
    for begin, end in faults:  # of samples, half-open
        last = end + WINDOW - 2 / SFREQ  # newest sample of a window that begins with the last of it
        newest = [line["newest"] for line in valid]
        assert [t for t in newest if begin - half < t < last + half] == [], (begin, end)


def test_what_a_source_does_wrong_is_said_and_never_called_valid(start: Start) -> None:
    steps = (
        "run:1.5 zeros:0.1 run:0.5 nan:0.1 run:0.5 drop:0.1 run:0.5 late:0.6 run:0.5 slow:0.6 "
        "run:1 jump:0.3 run:0.5 jump:-0.3 run:0.5"
    )
    loop = start("toy_loop.py")
    toy = start("toy_outlet.py", "--marker-after", "4", *steps.split())
    loop.event("marker-stream-missing")
    at = {what: loop.event(what) for what in ("bad-channels", "gap", "stalled", "stale")}
    toy.until(lambda line: line.get("step") == "over")
    loop.event("marker-stream")
    loop.until(is_valid, after=len(loop.lines))
    assert loop.end(signal.SIGTERM) == 0
    assert loop.lines[-1]["what"] == "stopped"
    said = " ".join(loop.events())
    assert "C3 flat, Cz flat" in said
    assert "C3 not finite" in said
    assert "50 samples are lost" in said
    assert at["bad-channels"] < at["gap"] < at["stalled"] < at["stale"]
    faults = [line for line in toy.lines if line.get("step") not in (None, "run", "over")]
    names = ["zeros", "nan", "drop", "late", "slow", "jump", "jump"]
    assert [line["step"] for line in faults] == names
    spans = {
        "zeros": lambda b, e: (b + DEAD, e),
        "nan": lambda b, e: (b, e),
        "drop": lambda b, e: (b, e),
        "jump": lambda b, e: (b, e),
    }
    known = [
        spans[line["step"]](line["begin"], line["end"])
        for line in faults
        if line["step"] in spans and line["begin"] < line["end"]
    ]
    assert len(known) == 4
    assert_trustworthy(loop, known)
    # Back in time: stamps that were used before are used again, by samples that follow on others
    back = next(line["end"] for line in faults if line["begin"] > line["end"])
    decisions = [line for line in loop.decisions() if line["newest"] is not None]
    turn = next(
        i
        for i in range(1, len(decisions))
        if decisions[i]["newest"] < decisions[i - 1]["newest"] - 0.1
    )
    first = back + WINDOW - 1.5 / SFREQ
    assert all(line["newest"] > first for line in decisions[turn:] if is_valid(line))
    # After each fault come valid decisions, until the next
    ends = [line["end"] for line in faults]
    for end, until in zip(ends, [*ends[1:], ends[-1] + 10], strict=True):
        assert any(end <= d["newest"] < max(until, end + 1) for d in decisions if is_valid(d)), end


def test_an_outlet_that_is_killed_is_found_again_whoever_it_is_then(start: Start) -> None:
    loop = start("toy_loop.py")
    toy = start("toy_outlet.py")
    seen = loop.until(is_valid)
    toy.end()
    # Without the channels that the decoder needs, it is waited for another
    toy = start("toy_outlet.py", "--channels", "Pz,Cz")
    seen = loop.event("lost", after=seen)
    begin, seen = seen, loop.event("unsuitable", after=seen)
    assert "has no C3. It has Pz, Cz" in loop.lines[seen - 1]["text"]
    for words, text in [
        ([], "source id 'toy-1'"),
        (["--source-id", "toy-2"], "its source id was 'toy-1'"),
        (["--source-id", "toy-2", "--channels", "Pz,Cz,Fz,C3"], "its channels were C3, Cz, C4"),
    ]:
        toy.end()
        toy = start("toy_outlet.py", *words)
        seen = loop.event("reconnected", after=seen)
        assert text in loop.lines[seen - 1]["text"]
        assert not [line for line in loop.lines[begin:seen] if is_valid(line)]
        begin = seen = loop.until(is_valid, after=seen)
        begin = max(begin, len(loop.lines))
    assert loop.end(signal.SIGTERM) == 0
    assert sum(line.get("what") == "unsuitable" for line in loop.lines) == 1
    assert_trustworthy(loop)


def test_an_outlet_that_hangs_leaves_no_old_decision_standing(start: Start) -> None:
    loop = start("toy_loop.py")
    toy = start("toy_outlet.py")
    listener = start("toy_listener.py", bare=True)
    listener.until(lambda line: line["status"] == 0)
    toy.tell(signal.SIGSTOP)
    seen = loop.event("stalled")
    listener.until(lambda line: line["status"] == 2, after=(heard := len(listener.lines)))
    while len(listener.lines) < heard + 4:
        listener.until(lambda line: line["status"] == 2, after=len(listener.lines))
    stale = listener.lines[heard:]
    assert {line["status"] for line in stale} == {2}
    made = [line["made"] for line in stale]
    assert all(0.45 < b - a < 3.0 for a, b in itertools.pairwise(made))  # twice a second
    toy.tell(signal.SIGCONT)
    seen = loop.until(is_valid, after=loop.event("resumed", after=seen))
    # Another program takes its place while it hangs, under the same source id; then it wakes up
    toy.tell(signal.SIGSTOP)
    seen = loop.event("stalled", after=seen)
    start("toy_outlet.py")
    seen = loop.event("reconnected", after=seen)
    loop.until(is_valid, after=seen)
    toy.tell(signal.SIGCONT)
    toy.end()
    # Who listens goes, and nothing happens
    listener.end()
    seen = len(loop.lines)
    loop.until(is_valid, after=loop.until(is_valid, after=seen))
    assert loop.end(signal.SIGTERM) == 0
    assert "lost" not in {line.get("what") for line in loop.lines[seen:]}
    assert_trustworthy(loop)


def test_a_full_disk_ends_the_recording_and_a_kill_leaves_it_readable(
    start: Start, tmp_path: Path
) -> None:
    full, killed = tmp_path / "full.xdf", tmp_path / "killed.xdf"
    start("toy_outlet.py")
    loops = [
        start("toy_loop.py", "--record", str(full), "--file-limit", "30000"),
        start("toy_loop.py", "--record", str(killed)),
    ]
    seen = loops[0].event("recording-stopped")
    assert "cannot be written (File too large)" in loops[0].lines[seen - 1]["text"]
    loops[0].until(is_valid, after=loops[0].until(is_valid, after=seen))
    before = loops[1].decisions()
    time.sleep(0.6)  # what may be lost is half a second
    loops[1].end(signal.SIGKILL)
    assert loops[0].end(signal.SIGTERM) == 0
    assert_trustworthy(loops[0])
    for path in (full, killed):
        raw = read_raw(path)
        assert raw.ch_names == ["C3", "Cz", "C4"]
        assert raw.n_times > 500
    streams, _ = pyxdf.load_xdf(killed)
    decisions = next(s for s in streams if s["info"]["type"] == ["Decision"])
    assert len(before) > 10
    assert {line["made"] for line in before} <= set(decisions["time_series"][:, 3])


def test_an_error_of_ours_is_said_and_the_loop_begins_anew_up_to_a_limit(start: Start) -> None:
    start("toy_outlet.py")
    loops = [start("toy_loop.py", "--crash", n) for n in ("1", "9")]
    seen = loops[0].event("error")
    assert "ZeroDivisionError" in loops[0].lines[seen - 1]["text"]
    loops[0].until(is_valid, after=loops[0].event("reconnected"))
    seen = loops[1].event("failed")
    assert "4 errors within a minute" in loops[1].lines[seen - 1]["text"]
    assert loops[1].process.wait(5) == 1
    assert not [line for line in loops[1].decisions() if is_valid(line)]
    assert loops[0].end(signal.SIGTERM) == 0
