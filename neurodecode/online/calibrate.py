"""Collecting windows of a person whose classes are known, at cues.

Cues come from the console or from any stream of markers. Windows are cut by the engine of the live
loop, so they are what the decoder was fitted to, but for the alignment, which they are to teach. A
window that cannot be trusted is said and not taken; on the console its cue comes again at the end.
"""

import math
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import RecordingError, StoreError
from neurodecode.online import lsl
from neurodecode.online.cues import (
    ConsoleCues,
    Cue,
    MarkerCues,
    Outcome,
    Pace,
    Scene,
    Window,
    parse_labels,
)
from neurodecode.online.decision import Status
from neurodecode.online.engine import Engine
from neurodecode.online.evidence import ACCUMULATORS
from neurodecode.online.loop import LoopOptions, run_loop
from neurodecode.online.pipeline import LivePipeline
from neurodecode.online.policy import Policy
from neurodecode.online.schedule import Cued
from neurodecode.online.search import Markers

CUES = "neurodecode-cues"  # stream of those that the console gives
FAR = 10.0  # s between a cue and the newest sample that no delay explains: clocks differ
FLOWING = 1.5  # s without a sample after which no cue is given; some send a chunk a second
NEAR = 0.1  # s by which the end of a window may be off where stamps jitter
MANY = 3  # channels that are named
TOLD = (
    "connected", "stalled", "lost", "resumed", "reconnected", "unsuitable", "error", "failed",
    "recording", "recording-stopped",
)  # fmt: skip
"""What the loop says that a person who is calibrating should know."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """Windows with their classes.

    Attributes
    ----------
    x
        (n_trials, n_chans, n_times), microvolts, not aligned, in order of time.
    label
        Index into `classes`, (n_trials,).
    stamp
        Time of the cue, s, (n_trials,).
    ch_names, classes, sfreq
        Of the windows.
    """

    x: Window
    label: NDArray[np.int64]
    stamp: NDArray[np.float64]
    ch_names: tuple[str, ...]
    classes: tuple[str, ...]
    sfreq: float

    def counts(self) -> list[int]:
        """How many there are of each class."""
        return [int(n) for n in np.bincount(self.label, minlength=len(self.classes))]


class Keeper:
    """In place of a decoder: keeps the windows that it is shown."""

    hop = 1

    def __init__(self, n_outputs: int) -> None:
        self.nothing = np.full(n_outputs, 1 / n_outputs)
        self.windows: deque[Window] = deque()

    def window(self, x: Window) -> tuple[NDArray[np.float64], Any]:
        """Keep a window (n_chans, n_times), and say nothing about it."""
        self.windows.append(x.copy())
        return self.nothing, None

    def advance(self, x: Window, n_new: int, state: Any) -> tuple[NDArray[np.float64], Any]:
        """The same."""
        return self.window(x)


class Collector:
    """Follows cues to their windows.

    Parameters
    ----------
    pipeline
        Of the decoder that is calibrated.
    """

    def __init__(self, pipeline: LivePipeline) -> None:
        self.keeper = Keeper(len(pipeline.classes))
        # Windows as they are before alignment, whatever would decide on them
        self.pipeline = replace(pipeline, align="none", gain=1.0, scorer=self.keeper)
        self.to_end = pipeline.offset + (pipeline.n_times - 1) / pipeline.sfreq
        self.open: list[Cue] = []
        self.engine: Engine | None = None

    def make_engine(self, sfreq: float, **how: Any) -> Engine:
        """The engine to feed from now on; see `LivePipeline.engine`."""
        never = Policy(accumulator=ACCUMULATORS.get("none")(), threshold=1.0)  # no command
        self.engine = self.pipeline.engine(sfreq, cued=True, policy=never, **how)
        return self.engine

    def cue(self, cue: Cue) -> None:
        """A class was asked for: its window is wanted."""
        assert self.engine is not None
        self.open.append(cue)
        self.engine.cue(cue.stamp)

    def decided(
        self, newest: float, status: Status, bad: Sequence[str] = (), late: float = 0.0
    ) -> Outcome | None:
        """The engine has come to the end of a window.

        Parameters
        ----------
        newest, status, bad
            Of its decision.
        late
            How much later than that the decision was made, s.
        """
        x = self.keeper.windows.popleft() if status.valid else None
        if not self.open:
            return None
        cue = min(self.open, key=lambda cue: abs(cue.stamp + self.to_end - newest))
        if abs(cue.stamp + self.to_end - newest) > max(NEAR, 1 / self.pipeline.sfreq):
            return None  # it was given up before
        self.open.remove(cue)
        return Outcome(cue, x, "" if status.valid else self._why(status, bad, late))

    def given_up(self) -> list[Outcome]:
        """Cues whose windows will never be whole; ask after all decisions have been told."""
        engine = self.engine
        assert engine is not None
        lost = []
        for cue in list(self.open):
            away = cue.stamp - engine.last_stamp
            if abs(away) > FAR + self.to_end:
                self.open.remove(cue)
                with suppress(ValueError):
                    engine.cues.remove(cue.stamp + self.pipeline.offset)
                words = f"its time is {abs(away):.3g} s {'ahead of' if away > 0 else 'behind'}"
                why = f"{words} the signal's: stamp markers by LSL's local_clock"
                lost.append(Outcome(cue, None, why))
        assert isinstance(engine.schedule, Cued)
        n_lost = len(self.open) - len(engine.cues) - len(engine.schedule.waiting)
        for cue in sorted(self.open, key=lambda cue: cue.stamp)[: max(0, n_lost)]:
            self.open.remove(cue)
            lost.append(Outcome(cue, None, "samples are missing, or the cue came too late"))
        return lost

    def _why(self, status: Status, bad: Sequence[str], late: float) -> str:
        if status is Status.GAP:
            return "samples are missing"
        if status is Status.STALE:
            return f"samples came {late:.1f} s late"
        assert self.engine is not None
        words = self.engine.quality()
        named = [f"{name} is {words[name].replace('ok', 'too large')}" for name in bad]
        more = [f"and {len(bad) - MANY} more"] if len(bad) > MANY else []
        return ", ".join([*named[:MANY], *more])


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationOptions:
    """What a person chooses about a calibration.

    Attributes
    ----------
    n
        Windows of each class.
    stream
        Name or source id of the signal; None for the one EEG stream there is.
    markers
        Name of the stream of markers that are cues; None for cues on the console.
    labels
        Which marker stands for which class; see `parse_labels`.
    seed
        Of the order on the console.
    pace
        Times on the console.
    wait
        How long to wait for the signal at the beginning, s.
    max_gap, max_age
        See `LivePipeline.engine`.
    record
        XDF file for signal and cues; None for none.
    """

    n: int
    stream: str | None = None
    markers: str | None = None
    labels: str | None = None
    seed: int = 0
    pace: Pace = field(default_factory=Pace)
    wait: float = 5.0
    max_gap: float | None = None
    max_age: float = 1.0
    record: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Collected:
    """What a calibration has brought.

    Attributes
    ----------
    trials
        Those that were taken.
    interrupted
        Whether it ended before there were enough.
    n_refused
        Cues whose window was not taken.
    ignored
        Markers that were no cues, by label.
    facts
        Of the signal.
    """

    trials: Trials
    interrupted: bool
    n_refused: int
    ignored: dict[str, int]
    facts: lsl.StreamFacts


class View(Protocol):
    """What a person sees."""

    def show(self, scene: Scene, text: str) -> None:
        """Show a scene; it is on the screen when this returns."""
        ...

    def say(self, text: str) -> None:
        """Say something in one line."""
        ...


def collect(
    pipeline: LivePipeline,
    options: CalibrationOptions,
    view: View,
    keep: Callable[[Trials], None],
    stop: Callable[[], bool] = lambda: False,
) -> Collected:
    """Collect windows at cues, until there are enough or Ctrl+C is pressed.

    Parameters
    ----------
    pipeline
        Of the decoder that is calibrated.
    options
        What a person chose.
    view
        What that person sees.
    keep
        Is given all trials whenever one more was taken.
    stop
        Whether to stop now; asked at least ten times a second.

    Raises
    ------
    RecordingError
        If there is no such signal, or the loop gave up.
    NeurodecodeError
        If the decoder cannot take it, or markers cannot stand for classes as it is said.
    """
    parse_labels(options.labels, pipeline.classes)  # before anything is waited for
    session = _Session(pipeline, options, view, keep)
    loop = LoopOptions(
        stream=options.stream,
        max_gap=options.max_gap,
        markers=options.markers or CUES,
        wait=options.wait,
        record=options.record,
        every_decision=True,
        publish=False,
        model="calibration",
    )
    try:
        with _interrupts() as asked:
            summary = run_loop(
                session.make_engine,
                loop,
                session.hear,
                session.tick,
                lambda: session.done or asked() or stop(),
            )
    finally:
        session.close()
    if summary.failed and not session.trials.label.size:
        raise RecordingError(f"Calibration gave up: {summary.failed}.")
    return session.collected()


class _Session:
    """One calibration, as the loop tells it; see `collect`."""

    def __init__(
        self,
        pipeline: LivePipeline,
        options: CalibrationOptions,
        view: View,
        keep: Callable[[Trials], None],
    ) -> None:
        self.options, self.view, self.keep = options, view, keep
        self.collector = Collector(pipeline)
        self.classes = pipeline.classes
        self.trials = Trials(
            x=np.empty((0, len(pipeline.ch_names), pipeline.n_times), dtype=np.float32),
            label=np.empty(0, dtype=np.int64),
            stamp=np.empty(0),
            ch_names=pipeline.ch_names,
            classes=pipeline.classes,
            sfreq=pipeline.sfreq,
        )
        self.n_refused, self.unkept = 0, False
        self.facts: lsl.StreamFacts | None = None
        self.cues: MarkerCues | ConsoleCues | None = None
        self.close: Callable[[], None] = lambda: None
        self.n_heard, self.heard = -1, -math.inf  # samples, and when the last of them came

    @property
    def done(self) -> bool:
        return self.cues is not None and self.cues.done

    def make_engine(self, facts: lsl.StreamFacts) -> Engine:
        options = self.options
        engine = self.collector.make_engine(facts.sfreq, clock=lsl.clock, max_age=options.max_age)
        if self.cues is None:
            self.facts, self.cues = facts, self._cues(facts)
        return engine

    def _cues(self, facts: lsl.StreamFacts) -> MarkerCues | ConsoleCues:
        options, wanted = self.options, [self.options.n] * len(self.classes)
        if options.markers is not None:
            markers = Markers(options.markers, lambda what, text: self.view.say(text))
            self.close = markers.close
            labels = parse_labels(options.labels, self.classes)
            return MarkerCues(markers.pull, labels, wanted)
        outlet = lsl.MarkerOutlet(name=CUES, source_id=f"{CUES}:{facts.source_id}")
        self.close = outlet.close
        return ConsoleCues(
            self.classes,
            wanted,
            hold=self.collector.to_end,
            show=self.view.show,
            publish=outlet.push,
            seed=options.seed,
            pace=options.pace,
        )

    def hear(self, line: dict[str, Any]) -> None:
        """What the loop says."""
        if line["kind"] == "event" and line["what"] in TOLD:
            self.view.say(line["text"])
        # A decision that nothing came for says that the signal stalls, and is about no cue.
        if line["kind"] == "decision" and line["engine_ms"] is not None:
            status = Status[line["status"].upper().replace("-", "_")]
            late = line["made"] - line["newest"]
            outcome = self.collector.decided(line["newest"], status, line["bad"], late)
            if outcome is not None:
                self._over(outcome)

    def tick(self) -> list[str]:
        """What is to be done now and then; no word for the loop."""
        engine, cues = self.collector.engine, self.cues
        assert engine is not None
        assert cues is not None
        for outcome in self.collector.given_up():
            self._over(outcome)
        now = lsl.clock()
        if engine.n_samples != self.n_heard:
            self.n_heard, self.heard = engine.n_samples, now
        settled = engine.n_in >= engine.n_settle * engine.factor
        for cue in cues.step(settled and now - self.heard < FLOWING):
            self.collector.cue(cue)
        return []

    def _over(self, outcome: Outcome) -> None:
        assert self.cues is not None
        self.cues.over(outcome)
        name = self.classes[outcome.cue.label]
        if outcome.x is None:
            self.n_refused += 1
            self.view.say(f"{name}: not taken, {outcome.why}.")
            return
        old = self.trials
        self.trials = replace(
            old,
            x=np.concatenate([old.x, outcome.x[None]]),
            label=np.append(old.label, outcome.cue.label),
            stamp=np.append(old.stamp, outcome.cue.stamp),
        )
        n = self.trials.counts()[outcome.cue.label]
        self.view.say(f"{name}: {n} of {self.options.n}.")
        try:
            self.keep(self.trials)
        except StoreError as error:  # they are in memory, and a person is waiting
            if not self.unkept:
                self.view.say(f"Trials cannot be kept: {error}")
            self.unkept = True

    def collected(self) -> Collected:
        assert self.facts is not None
        assert self.cues is not None
        return Collected(
            trials=self.trials,
            interrupted=not self.done,
            n_refused=self.n_refused,
            ignored=dict(self.cues.ignored) if isinstance(self.cues, MarkerCues) else {},
            facts=self.facts,
        )


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl+C was pressed; pressed again, it interrupts as usual."""
    pressed: list[int] = []

    def note(number: int, frame: Any) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
