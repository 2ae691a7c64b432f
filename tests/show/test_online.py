"""What people see of the live loop, and what becomes of a loop that dies."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from neurodecode.show import online
from neurodecode.show.online import Screen, show_online

STATUS = {
    "kind": "status",
    "time": 100.0,
    "state": "ok",
    "decisions": 50,
    "commands": 3,
    "latency_ms": {"p50": 3.42, "p99": 12.1},
    "engine_ms": {"p50": 2.5, "p99": 3.0},
    "n_samples": 1000,
    "n_lost": 24,
    "classes": ["left_hand", "right_hand"],
    "status": "ok",
    "proba": [0.25, 0.75],
    "evidence": [0.1, 0.9],
    "age": 0.01,
    "command": "right_hand",
    "commanded": 98.5,
    "stream": "amp",
    "playing": {"dataset": "synthetic", "subject": "1", "speed": "2"},
    "quality": {"C3": "ok", "Cz": "flat", "C4": "ok"},
    "frozen": False,
    "recording": "today.xdf",
}
WORKER = """
import json, os, signal, sys
def say(**line): print(json.dumps(line), flush=True)
"""


def drawn(screen: Screen) -> str:
    out = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    with out.file:
        out.print(screen.draw())
    return out.export_text()


def worker(body: str) -> list[str]:
    """A command line that does as the loop does."""
    return [sys.executable, "-c", WORKER + body]


def shown(command: list[str], **how: Any) -> tuple[int, str]:
    """Exit status, and what is shown where there is no terminal."""
    out = Console(width=200, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    with out.file:
        status = show_online(command, title="toy", out=out, **how)
    return status, out.export_text()


def test_the_screen_has_what_one_must_know() -> None:
    screen = Screen("my-run")
    assert "starting" in drawn(screen)
    screen.take(STATUS)
    text = drawn(screen)
    for words in (
        "my-run  ok",
        "amp, replay of synthetic, subject 1, speed 2",
        "right_hand",
        "0.75  evidence 0.90",
        "right_hand 1.5 s ago, 3 by now",
        "2 ok, Cz flat",
        "3.4 ms (99 %: 12.1), of which the decoder 2.5 ms (99 %: 3.0)",
        "24 of 1024 samples",
        "today.xdf",
        "f freeze, q quit",
    ):
        assert words in text
    bars = [line.count("█") for line in text.splitlines() if "░" in line]
    assert bars == [8, 22]


def test_what_is_not_valid_has_no_bar() -> None:
    screen = Screen("my-run", keys=False)
    nothing = {"p50": None, "p99": None}
    screen.take({**STATUS, "state": "stalled", "proba": None, "evidence": None, "frozen": True})
    screen.take({"kind": "status", "command": None, "latency_ms": nothing, "quality": {}})
    text = drawn(screen)
    assert "█" not in text
    assert "quit" not in text
    screen.take({"kind": "event", "what": "lost", "text": "gone"})
    assert "my-run  lost" in drawn(screen)


def test_a_loop_that_says_nothing_is_not_shown_as_if_all_were_well() -> None:
    screen = Screen("my-run")
    screen.take(STATUS)
    screen.heard -= 5
    text = drawn(screen)
    assert "the loop has said nothing for 5 s" in text
    assert "my-run  ok" not in text


def test_a_decision_moves_the_bars_between_two_reports() -> None:
    screen = Screen("my-run")
    screen.take({"kind": "decision", "status": "ok", "proba": [0.9, 0.1], "evidence": [0.9, 0.1]})
    assert "starting" in drawn(screen)
    screen.take(STATUS)
    screen.take({"kind": "decision", "status": "ok", "proba": [1.0, 0.0], "evidence": [1.0, 0.0]})
    assert "1.00  evidence 1.00" in drawn(screen)


def test_without_a_terminal_events_are_lines_and_the_state_is_one_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(online, "PLAIN", 0.1)
    body = f"""
say(kind="event", what="connected", text="Connected to 'amp'.")
say(**{STATUS!r})
sys.stdin.readline()
import time; time.sleep(1)
say(kind="event", what="stopped", text="Stopped: all is well.")
"""
    status, text = shown(worker(body))
    assert status == 0
    assert "Connected to 'amp'." in text
    assert "ok; stream amp" in text
    assert text.rstrip().endswith("Stopped: all is well.")


def test_a_loop_that_is_killed_is_started_again_three_times(tmp_path: Path) -> None:
    body = """
say(kind="event", what="recording", text=sys.argv[-1])
if sys.argv[-1].endswith("-2.xdf"): import faulthandler; faulthandler.enable()
os.kill(os.getpid(), signal.SIGSEGV)
"""
    status, text = shown(worker(body), record=tmp_path / "a.xdf")
    assert status == 1
    names = [f"{tmp_path}/a{tail}.xdf" for tail in ("", "-2", "-3", "-4")]
    assert [line.split()[1] for line in text.splitlines() if line.endswith(".xdf")] == names
    assert text.count("The loop was ended by SIGSEGV") == 4
    assert text.count("(Segmentation fault). Starting it again.") == 1
    assert text.rstrip().endswith("It is not started again.")


@pytest.mark.parametrize(
    ("body", "status", "last"),
    [
        ('say(error="RecordingError", message="No stream."); exit(2)', 2, "No stream."),
        ('sys.stderr.write("a\\nConfigError: No such run.\\n"); exit(2)', 2, "No such run."),
        ('say(kind="event", what="failed", text="Gave up."); exit(1)', 1, "Gave up."),
    ],
)
def test_a_mistake_is_shown_once_and_not_tried_again(body: str, status: int, last: str) -> None:
    got, text = shown(worker(body))
    assert got == status
    assert len(text.splitlines()) == 1
    assert text.rstrip().endswith(last)


def test_keys_reach_the_loop_and_the_terminal_is_left_as_it_was() -> None:
    body = f"""
say(**{STATUS!r})
for line in sys.stdin:
    word = line.strip()
    if word == "freeze": say(kind="event", what="frozen", text="It is frozen.")
    if word == "stop": break
say(kind="event", what="stopped", text="It has stopped.")
"""
    code = f"""
import termios
from neurodecode.show.online import show_online
before = termios.tcgetattr(0)
status = show_online({worker(body)!r}, title="toy")
print("as it was", termios.tcgetattr(0) == before, status)
"""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    text, sent = "", 0
    end = time.monotonic() + 20
    try:
        while not re.search(r"as it was \w+ \d", text) and time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                text += os.read(ours, 65536).decode(errors="replace")
            if sent == 0 and "right_hand" in text:
                sent += os.write(ours, b"f")
            if sent == 1 and "unfreeze" in text:
                sent += os.write(ours, b"q")
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "It is frozen." in text
    assert "It has stopped." in text
    assert "as it was True 0" in text


def test_a_view_that_is_killed_takes_the_loop_along(tmp_path: Path) -> None:
    """The loop hears the end of its input, having been told that somebody attends."""
    heard = tmp_path / "heard"
    up = tmp_path / "up"
    body = f"""
open({str(up)!r}, "w").close()
text = sys.stdin.read()
open({str(heard)!r}, "w").write(text)
"""
    code = f"""
from neurodecode.show.online import show_online
show_online({worker(body)!r}, title="toy")
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL)
    try:
        until(up.exists)
        time.sleep(0.2)  # it is told that somebody attends
    finally:
        process.kill()
        process.wait()
    until(lambda: heard.exists() and bool(heard.read_text()))
    assert json.dumps(heard.read_text()) == '"attend\\n"'


def until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)
