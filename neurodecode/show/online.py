"""`neurodecode online` for people: the loop runs in a process of its own, and this draws its lines.

Nothing that happens here, a terminal that is slow or closed included, can delay a decision.
"""

import json
import math
import os
import queue
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from neurodecode.show import console

TICK = 0.25  # s between two drawings
PLAIN = 10.0  # s between two status lines where there is no terminal
MOST_STARTS = 4  # within a minute: the first, and three more
PATIENCE = 6.0  # s that the loop has to end in good order; closing a recording may take five
BAR = 30  # characters
SILENT = 3.0  # s without a line after which one is told; there is one every second
ENDED = ("stopped", "failed")
STATES = ("ok", "gap", "stale", "bad-channels", "slow", "stalled", "lost", *ENDED)
COLOURS = {"ok": "green", "stalled": "red", "lost": "red", "failed": "red"}


@dataclass(slots=True)
class Screen:
    """What the loop has said last, and how it looks.

    Attributes
    ----------
    title
        Name of the run.
    keys
        Whether keys can be pressed.
    explained
        Whether the loop has said why it ends.
    """

    title: str
    keys: bool = True
    state: str = "starting"
    status: dict[str, Any] = field(default_factory=dict)
    frozen: bool = False
    explained: bool = False
    begun: float = field(default_factory=time.monotonic)
    heard: float = math.inf

    def take(self, line: Mapping[str, Any]) -> str:
        """Hear a line of the loop; what is worth a line of its own, or ""."""
        kind, self.heard = line.get("kind"), time.monotonic()
        if kind == "status":
            self.status = {**self.status, **line}
            self.state, self.frozen = line.get("state", ""), bool(line.get("frozen"))
        elif kind == "decision" and self.status:
            shown = ("status", "proba", "evidence")
            self.status.update({key: line.get(key) for key in shown})
        elif kind == "event":
            what = str(line.get("what", ""))
            self.explained = self.explained or what == "failed"
            if what in STATES:
                self.state = what
            if what in ("frozen", "unfrozen"):
                self.frozen = what == "frozen"
            return str(line.get("text", what))
        elif "error" in line:
            self.explained = True
            return f"{line['error']}: {line.get('message', '')}"
        return ""

    def draw(self) -> RenderableType:
        """The whole screen."""
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="dim", no_wrap=True)
        rows.add_column(overflow="fold")
        for name, value in self._rows():
            rows.add_row(name, value)
        return Group(self._headline(), rows)

    def line(self) -> str:
        """The same in one line."""
        words = [self.state, *(f"{name} {value}" for name, value in self._rows())]
        return "; ".join(str(word) for word in words)

    def _headline(self) -> Text:
        now, state = time.monotonic(), self.state
        minutes, seconds = divmod(int(now - self.begun), 60)
        if now - self.heard > SILENT and state not in ENDED:
            state = f"the loop has said nothing for {now - self.heard:.0f} s"
        text = Text.assemble((self.title, "bold"), "  ")
        text.append(state, f"bold {COLOURS.get(state, 'yellow')}")
        text.append(f"  {minutes}:{seconds:02d}")
        if self.frozen:
            text.append("  frozen", "cyan")
        if self.keys:
            text.append(f"  f {'unfreeze' if self.frozen else 'freeze'}, q quit", "dim")
        return text

    def _rows(self) -> Iterator[tuple[str, Text]]:
        status = self.status
        if not status:
            return
        yield "stream", Text(f"{status['stream']}{_playing(status.get('playing') or {})}")
        proba, evidence = status.get("proba"), status.get("evidence")
        for i, name in enumerate(status.get("classes") or ()):
            yield name, _bar(proba and proba[i], evidence and evidence[i])
        if status.get("command") is not None:
            ago = status["time"] - status["commanded"]
            yield (
                "command",
                Text(f"{status['command']} {ago:.1f} s ago, {status['commands']} by now"),
            )
        yield "channels", _channels(status.get("quality") or {})
        took = f"{_times(status['latency_ms'])}, of which the decoder {_times(status['engine_ms'])}"
        yield "latency", Text(took)
        n, n_lost = status["n_samples"], status["n_lost"]
        yield "lost", Text(f"{n_lost} of {n + n_lost} samples")
        if status.get("recording"):
            yield "recording", Text(status["recording"])
        if status.get("lines_dropped"):
            yield "not shown", Text(f"{status['lines_dropped']} lines, this terminal is slow")


def _playing(facts: Mapping[str, str]) -> str:
    """What a replay plays, in words."""
    if not facts:
        return ""
    words = [f"{key} {value}" for key, value in facts.items() if value and key != "dataset"]
    return f", replay of {', '.join([facts.get('dataset') or 'a recording', *words])}"


def _bar(proba: float | None, evidence: float | None) -> Text:
    if proba is None:
        return Text("-" * BAR, "dim")
    n = round(BAR * proba)
    text = Text.assemble(("█" * n, "blue"), ("░" * (BAR - n), "dim"), f" {proba:.2f}")
    return text.append(f"  evidence {evidence:.2f}") if evidence is not None else text


def _channels(quality: Mapping[str, str]) -> Text:
    """Those that are bad by name, the others by number."""
    bad = [f"{name} {word}" for name, word in quality.items() if word != "ok"]
    text = Text(f"{len(quality) - len(bad)} ok")
    return text.append(f", {', '.join(bad)}", "red") if bad else text


def _times(percentiles: Mapping[str, float | None]) -> str:
    if percentiles["p50"] is None:
        return "-"
    return f"{percentiles['p50']:.1f} ms (99 %: {percentiles['p99']:.1f})"


class Child:
    """The loop in a process of its own.

    Parameters
    ----------
    command
        Its command line.
    """

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue(1000)
        self.said: deque[str] = deque(maxlen=50)  # on stderr
        self.threads = [
            threading.Thread(target=job, daemon=True) for job in (self._hear, self._listen)
        ]
        for thread in self.threads:
            thread.start()
        self.send("attend")

    def send(self, word: str) -> None:
        """Tell it something; it may have gone."""
        assert self.process.stdin is not None
        with suppress(OSError, ValueError):
            self.process.stdin.write(f"{word}\n".encode())
            self.process.stdin.flush()

    def take(self) -> list[dict[str, Any]]:
        """Lines that have come."""
        return [self.lines.get() for _ in range(self.lines.qsize())]

    def ended(self) -> int | None:
        """Its exit status when it has ended and all its lines are here, else None."""
        status = self.process.poll()
        if status is not None:
            self.close()
        return status

    def end(self) -> int:
        """Its exit status, after it had time to end by itself."""
        self.send("stop")
        for ask in (self.process.terminate, self.process.kill):
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                ask()
        status = self.process.wait()
        self.close()
        return status

    def close(self) -> None:
        """Hear its last lines and close the pipes; a grandchild may hold them open."""
        for thread in self.threads:
            thread.join(1.0)
        if not any(thread.is_alive() for thread in self.threads):
            for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
                assert pipe is not None
                with suppress(OSError):  # a word that it did not take
                    pipe.close()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with suppress(ValueError):  # a line that is no JSON is none of the loop's
                heard = json.loads(line)
                if isinstance(heard, dict):
                    self.lines.put(heard)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.decode(errors="replace").rstrip())


def child_command(argv: Sequence[str]) -> list[str]:
    """The command that a person gave, without its recording, as one that writes JSON lines."""
    kept, words = [], iter(argv)
    for word in words:
        if word == "--record":
            next(words, None)
        elif not word.startswith("--record="):
            kept.append(word)
    call = "from neurodecode.cli import main; main()"
    return [sys.executable, "-c", call, *kept, "--json"]


def show_online(
    command: Sequence[str], *, title: str, record: Path | None = None, out: Console | None = None
) -> int:
    """Run the loop in a process of its own and show what it says, until it ends or is told to.

    A loop that is killed by a signal, as by a fault in liblsl, is started again, at most three
    times a minute; a recording then goes on in a new file.

    Parameters
    ----------
    command
        Command line that writes JSON lines, as `neurodecode online RUN --json`.
    title
        Name of the run.
    record
        File for ``--record``.
    out
        Where to draw; by default stdout.

    Returns
    -------
    int
        Exit status: that of the loop, or 1 if it was killed too often.
    """
    out = out or console()
    starts: deque[float] = deque(maxlen=MOST_STARTS)
    n = 0
    with _terminal() as pressed:
        while True:
            starts.append(time.monotonic())
            named = [] if record is None else ["--record", str(_numbered(record, n))]
            child, n = Child([*command, *named]), n + 1
            status = _watch(child, Screen(title, keys=pressed is not time.sleep), pressed, out)
            if status >= 0:
                return status
            often = len(starts) == MOST_STARTS and time.monotonic() - starts[0] < 60
            words = f"The loop was ended by {_signal(-status)}{_reason(child.said)}"
            words += f". {'It is not started again' if often else 'Starting it again'}."
            out.print(words, markup=False, soft_wrap=True)
            if often:
                return 1


def _watch(
    child: Child, screen: Screen, pressed: Callable[[float], str | None], out: Console
) -> int:
    """Show what a loop says until it ends; its exit status."""
    with _show(screen, out) as update:
        try:
            status = None
            while status is None:
                _obey(pressed(TICK), child, screen)
                status = child.ended()
                _tell(child, screen, out)
                update()
        except KeyboardInterrupt:  # the loop has been told by the terminal, too
            status = child.end()
        except BaseException:
            child.end()
            raise
        finally:
            _tell(child, screen, out)
    if status > 0 and not screen.explained:
        out.print("\n".join(list(child.said)[-1:]), markup=False)
    return status


def _tell(child: Child, screen: Screen, out: Console) -> None:
    for line in child.take():
        if text := screen.take(line):
            out.print(f"{time.strftime('%H:%M:%S')} {text}", markup=False, soft_wrap=True)


def _obey(key: str | None, child: Child, screen: Screen) -> None:
    if key == "f":
        child.send("unfreeze" if screen.frozen else "freeze")
    elif key == "q":
        child.send("stop")


@contextmanager
def _show(screen: Screen, out: Console) -> Iterator[Callable[[], None]]:
    """What draws the screen anew: at every call, or in one line now and then."""
    if out.is_terminal:
        with Live(screen.draw(), console=out, auto_refresh=False) as live:
            yield lambda: live.update(screen.draw(), refresh=True)
        return
    due = time.monotonic() + PLAIN

    def update() -> None:
        nonlocal due
        if time.monotonic() >= due and screen.state not in ENDED:
            due = time.monotonic() + PLAIN
            out.print(screen.line(), markup=False, soft_wrap=True)

    yield update


@contextmanager
def _terminal() -> Iterator[Callable[[float], str | None]]:
    """What waits for a key, at most so many seconds; the terminal is left as it was found."""
    before = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        if not sys.stdin.isatty():
            yield time.sleep
            return
        descriptor = sys.stdin.fileno()
        as_found = termios.tcgetattr(descriptor)
        try:
            tty.setcbreak(descriptor)
            yield lambda timeout: _key(descriptor, timeout)
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, as_found)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


def _key(descriptor: int, timeout: float) -> str | None:
    if not select.select([descriptor], [], [], timeout)[0]:
        return None
    return os.read(descriptor, 1).decode(errors="replace")


def _numbered(path: Path, n: int) -> Path:
    """Another name for the recording of each start."""
    return path if n == 0 else path.with_stem(f"{path.stem}-{n + 1}")


def _signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _reason(said: Sequence[str]) -> str:
    """What Python's fault handler has said, in parentheses."""
    fatal = [line for line in said if line.startswith("Fatal Python error: ")]
    return f" ({fatal[0].partition(': ')[2]})" if fatal else ""
