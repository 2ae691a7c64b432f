"""What the live loop says of itself: events as they happen, its state once a second."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.online.decision import Decision, Status
from neurodecode.online.latency import Recent

BEGINNINGS = ("starting", "waiting")  # states in which a first window has to fill, as one knows
MOST_TURNS = 20  # changes of state that are said at once; a stream that flickers would fill the log
TURN = 2.0  # s after which one more is

Say = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a loop did, in numbers.

    Attributes
    ----------
    seconds
        From its beginning to its end, s.
    n_samples, n_lost
        That came, and that are missing by their stamps.
    n_gaps
        How often the stamps did not follow on each other.
    late_cues
        Cues that came when the signal they ask for had gone.
    n_decisions, n_commands
        Of all, and of those that command something.
    by_status
        Decisions of each status, by its words.
    n_reconnects
        How often the stream was found again.
    latency_ms, engine_ms
        Median and 99th percentile over the last minute: from the newest sample to the decision,
        and what the engine took for one; None where nothing was decided.
    recording
        Where the signal was recorded, or "".
    failed
        Why it gave up, or "".
    """

    seconds: float
    n_samples: int
    n_lost: int
    n_decisions: int
    n_commands: int
    by_status: Mapping[str, int]
    n_reconnects: int
    latency_ms: Mapping[str, float | None]
    engine_ms: Mapping[str, float | None]
    n_gaps: int = 0
    late_cues: int = 0
    recording: str = ""
    failed: str = ""

    def __str__(self) -> str:
        shares = ", ".join(f"{n} {word}" for word, n in self.by_status.items())
        parts = [f"{self.n_decisions} decisions in {self.seconds:.0f} s ({shares or 'none'})"]
        if self.latency_ms["p50"] is not None:
            parts.append(
                f"latency {self.latency_ms['p50']:.1f} ms (99 %: {self.latency_ms['p99']:.1f})"
            )
        gaps = f" in {self.n_gaps} gaps" if self.n_gaps else ""
        parts.append(f"{self.n_lost} of {self.n_samples + self.n_lost} samples lost{gaps}")
        if self.late_cues:
            parts.append(f"{self.late_cues} cues came too late")
        if self.n_reconnects:
            parts.append(f"found again {self.n_reconnects} times")
        if self.recording:
            parts.append(f"recorded to {self.recording}")
        return "; ".join(parts)


MANY_GAPS = 5  # from which on they may be the stamps' and not the signal's


@dataclass(slots=True, kw_only=True, eq=False)
class Tally:
    """Counts decisions and says what changes.

    Parameters
    ----------
    say
        Takes a dict that JSON can hold.
    clock
        The clock of stamps, s.
    classes
        Names.

    Attributes
    ----------
    timed
        Whether stamps are times of this clock; those of a replay in fast motion are not.
    state
        What has been said last: "ok", "gap", "stalled", "lost", ...
    """

    say: Say
    clock: Callable[[], float]
    classes: tuple[str, ...] = ()
    timed: bool = True
    state: str = "starting"
    latency: Recent = field(default_factory=Recent)
    engine: Recent = field(default_factory=Recent)
    by_status: Counter[Status] = field(default_factory=Counter)
    n_samples: int = 0
    n_lost: int = 0
    n_gaps: int = 0
    late_cues: int = 0
    n_commands: int = 0
    n_reconnects: int = 0
    last: Decision | None = None
    last_command: Decision | None = None
    _turns: float = 0.0  # changes that were said, less one for every `TURN`
    _turned: float = 0.0
    _gaps: int = 0  # that were there when a first window began to fill

    def event(self, what: str, text: str, **more: Any) -> None:
        """Say in one line what has happened."""
        line = {"kind": "event", "what": what, "text": " ".join(text.split()), **more}
        self.say({**line, "time": self.clock()})

    def turn(self, state: str, text: str, **more: Any) -> None:
        """Say that the loop is in another state, once; of very many changes, not all are said."""
        if state == self.state:
            return
        now = self.clock()
        self._turns = max(0.0, self._turns - (now - self._turned) / TURN)
        self._turned = now
        if self._turns > MOST_TURNS - 1:
            return  # it is tried again with the next decision
        self._turns += 1
        self.state = state
        self.event(state, text, **more)

    def wait(self) -> None:
        """The signal comes again: a first window has to fill, which is no gap."""
        self.state, self._gaps = "waiting", self.n_gaps

    def judge(self, decision: Decision, quality: Callable[[], Mapping[str, str]]) -> None:
        """Say when decisions begin to be valid, or cease to be."""
        status = decision.status
        if status.valid:
            self.turn("ok", "Decisions are valid.")
        elif status is Status.GAP:
            if self.state not in BEGINNINGS or self.n_gaps > self._gaps:
                text = f"Waiting for a window without a gap; {self.n_lost} samples are lost by now."
                if self.n_gaps >= MANY_GAPS:
                    text += " Where stamps only jitter, say by how much: --gap SECONDS."
                self.turn("gap", text, n_lost=self.n_lost)
        elif status is Status.STALE:
            late = decision.latency
            ahead = f"Stamps are {-late:.1f} s ahead of this machine's clock: stamp by LSL's own."
            self.turn("stale", ahead if late < 0 else f"The signal comes {late:.1f} s late.")
        elif status.words != self.state:
            why = {name: word for name, word in quality().items() if word != "ok"}
            words = ", ".join(f"{name} {why.get(name, 'too large')}" for name in decision.bad)
            self.turn(status.words, f"Channels cannot be trusted: {words}.")

    def decided(self, decision: Decision, engine: float | None = None) -> None:
        """Count a decision; `engine` is what it took, s, None for one that nothing came for.

        Times are kept of valid decisions: the others take none, or say themselves that they are
        late.
        """
        self.last = decision
        self.by_status[decision.status] += 1
        if decision.command >= 0:
            self.n_commands += 1
            self.last_command = decision
        if engine is not None and decision.status.valid:
            if self.timed:
                self.latency.add(decision.made, 1e3 * decision.latency)
            self.engine.add(decision.made, 1e3 * engine)

    def summary(self, seconds: float, *, recording: str = "", failed: str = "") -> Summary:
        """What was done by now."""
        return Summary(
            seconds=seconds,
            n_samples=self.n_samples,
            n_lost=self.n_lost,
            n_gaps=self.n_gaps,
            late_cues=self.late_cues,
            n_decisions=self.by_status.total(),
            n_commands=self.n_commands,
            by_status={status.words: self.by_status[status] for status in sorted(self.by_status)},
            n_reconnects=self.n_reconnects,
            latency_ms=self._percentiles(self.latency),
            engine_ms=self._percentiles(self.engine),
            recording=recording,
            failed=failed,
        )

    def status(self, **more: Any) -> dict[str, Any]:
        """The state of things, for one line of JSON."""
        last, command = self.last, self.last_command
        return {
            "kind": "status",
            "time": self.clock(),
            "state": self.state,
            "decisions": self.by_status.total(),
            "commands": self.n_commands,
            "latency_ms": self._percentiles(self.latency),
            "engine_ms": self._percentiles(self.engine),
            "n_samples": self.n_samples,
            "n_lost": self.n_lost,
            "n_gaps": self.n_gaps,
            "late_cues": self.late_cues,
            "n_reconnects": self.n_reconnects,
            "classes": list(self.classes),
            "status": last.status.words if last else None,
            "proba": numbers(last.proba) if last else None,
            "evidence": numbers(last.evidence) if last else None,
            "age": number(self.clock() - last.newest) if last else None,
            "command": self.classes[command.command] if command else None,
            "commanded": command.made if command else None,
            **more,
        }

    def line(self, decision: Decision, engine: float | None) -> dict[str, Any]:
        """A decision, for one line of JSON."""
        return {
            "kind": "decision",
            "newest": number(decision.newest),
            "made": decision.made,
            "sample": decision.sample,
            "status": decision.status.words,
            "proba": numbers(decision.proba),
            "evidence": numbers(decision.evidence),
            "command": self.classes[decision.command] if decision.command >= 0 else None,
            "bad": list(decision.bad),
            "engine_ms": None if engine is None else 1e3 * engine,
        }

    def _percentiles(self, recent: Recent) -> dict[str, float | None]:
        p50, p99 = recent.percentiles(self.clock())
        return {"p50": number(p50), "p99": number(p99)}


def number(value: float) -> float | None:
    """A number that JSON has, or None."""
    return float(value) if math.isfinite(value) else None


def numbers(values: NDArray[np.float64]) -> list[float] | None:
    """Numbers that JSON has, or None where one is not finite."""
    return [float(v) for v in values] if np.isfinite(values).all() else None
