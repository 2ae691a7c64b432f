"""Collecting windows of a person whose classes are known, at cues.

Cues come from the console or from any stream of markers. Windows are cut by the engine of the live
loop, so they are what the decoder was fitted to, but for the alignment, which they are to teach. A
window that cannot be trusted is said and not taken; on the console its cue comes again at the end.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, RecordingError, StoreError
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
from neurodecode.online.search import Markers
from neurodecode.online.serve import signals_caught

CUES = "neurodecode-cues"  # stream of those that the console gives
FAR = 10.0  # s between a cue and the newest sample that no delay explains: clocks differ
FLOWING = 1.5  # s without a sample after which no cue is given; some send a chunk a second
NEAR = 0.1  # s by which the end of a window may be off where stamps jitter
MANY = 3  # channels that are named
LOST = "samples are missing, or the cue came too late"
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
    prepared
        How they were preprocessed, see `prepared`.
    playing
        What the replay that they come from says of itself; empty for an amplifier.
    """

    x: Window
    label: NDArray[np.int64]
    stamp: NDArray[np.float64]
    ch_names: tuple[str, ...]
    classes: tuple[str, ...]
    sfreq: float
    prepared: str = ""
    playing: Mapping[str, str] = field(default_factory=dict)

    def counts(self) -> list[int]:
        """How many there are of each class."""
        return [int(n) for n in np.bincount(self.label, minlength=len(self.classes))]


def prepared(pipeline: LivePipeline) -> str:
    """What becomes of samples before they are windows, in words that are equal where that is."""
    names = ("offset", "notch", "band", "reference", "bad_channels", "reject", "cleaner", "drift")
    return ", ".join(f"{name}={getattr(pipeline, name)!r}" for name in names)


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

    def cue(self, cue: Cue) -> Outcome | None:
        """A class was asked for: its window is wanted. An outcome if it will never come."""
        engine = self.engine
        assert engine is not None
        away = cue.stamp - engine.last_stamp
        if abs(away) > FAR + self.to_end:
            words = f"its time is {abs(away):.3g} s {'ahead of' if away > 0 else 'behind'}"
            why = f"{words} the newest sample's: stamp markers by LSL's local_clock"
            return Outcome(cue, None, why)
        self.open.append(cue)
        engine.cue(cue.stamp)
        return None

    def decided(
        self, newest: float, status: Status, bad: Sequence[str] = (), late: float = 0.0
    ) -> Outcome | None:
        """The engine has come to the end of a window, or given one up.

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
        if status is Status.GAP:  # what is lost is older than what may yet be whole
            cue = min(self.open, key=lambda cue: cue.stamp)
        else:
            cue = min(self.open, key=lambda cue: abs(cue.stamp + self.to_end - newest))
            if abs(cue.stamp + self.to_end - newest) > max(NEAR, 1 / self.pipeline.sfreq):
                return None
        self.open.remove(cue)
        return Outcome(cue, x, "" if status.valid else self._why(status, bad, late))

    def give_up(self) -> list[Outcome]:
        """Outcomes of all cues that are open: their engine will be asked no more."""
        lost, self.open = self.open, []
        return [Outcome(cue, None, LOST) for cue in lost]

    def _why(self, status: Status, bad: Sequence[str], late: float) -> str:
        if status is Status.GAP:
            return LOST
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
    max_gap
        How far stamps may be off, s; None for what is measured when the stream is connected.
    max_age
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
    kept: Trials | None = None,
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
    kept
        Trials of the same person that are there; only what they lack is collected.

    Raises
    ------
    RecordingError
        If there is no such signal, or the loop gave up before the first trial.
    ConfigError
        If the stream plays somebody else than the trials that are there are of.
    NeurodecodeError
        If the decoder cannot take it, or markers cannot stand for classes as it is said.
    """
    parse_labels(options.labels, pipeline.classes)  # before anything is waited for
    session = _Session(pipeline, options, view, keep, kept)
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
        with signals_caught() as asked:
            summary = run_loop(
                session.make_engine,
                loop,
                session.hear,
                session.tick,
                lambda: session.done or asked() or stop(),
            )
    finally:
        session.close()
    if summary.failed and not session.n_taken:
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
        kept: Trials | None,
    ) -> None:
        self.options, self.view, self.keep = options, view, keep
        self.collector = Collector(pipeline)
        self.classes = pipeline.classes
        self.trials = kept or Trials(
            x=np.empty((0, len(pipeline.ch_names), pipeline.n_times), dtype=np.float32),
            label=np.empty(0, dtype=np.int64),
            stamp=np.empty(0),
            ch_names=pipeline.ch_names,
            classes=pipeline.classes,
            sfreq=pipeline.sfreq,
            prepared=prepared(pipeline),
        )
        self.n_taken, self.n_refused, self.unkept = 0, 0, False
        self.facts: lsl.StreamFacts | None = None
        self.cues: MarkerCues | ConsoleCues | None = None
        self.close: Callable[[], None] = lambda: None
        self.n_heard, self.heard = -1, -math.inf  # samples, and when the last of them came

    @property
    def done(self) -> bool:
        return self.cues is not None and self.cues.done

    def make_engine(self, facts: lsl.StreamFacts) -> Engine:
        if self.cues is None:
            self._check_person(facts)
        max_age = self.options.max_age
        engine = self.collector.make_engine(facts.sfreq, clock=lsl.clock, max_age=max_age)
        for outcome in self.collector.give_up():
            self._over(outcome)
        if self.cues is None:
            playing = dict(facts.playing) or self.trials.playing
            self.trials = replace(self.trials, playing=playing)
            self.facts, self.cues = facts, self._cues(facts)
        return engine

    def _check_person(self, facts: lsl.StreamFacts) -> None:
        """Trials of two people are no calibration, where it can be known."""
        before, now = (
            [playing.get(name, "") for name in ("dataset", "subject")]
            for playing in (self.trials.playing, facts.playing)
        )
        if any(before) and any(now) and before != now:
            raise ConfigError(
                f"The trials that are kept are of subject {before[1]} of {before[0]}, and the "
                f"stream '{facts.name}' plays subject {now[1]} of {now[0]}. Give trials of one "
                f"person."
            )

    def _cues(self, facts: lsl.StreamFacts) -> MarkerCues | ConsoleCues:
        options = self.options
        wanted = [max(0, options.n - n) for n in self.trials.counts()]
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
        if math.isnan(engine.last_stamp):  # a cue's time is compared with it
            return []
        now = lsl.clock()
        if engine.n_samples != self.n_heard:
            self.n_heard, self.heard = engine.n_samples, now
        settled = engine.n_in >= engine.stream.settling * engine.stream.sfreq
        for cue in cues.step(settled and now - self.heard < FLOWING):
            outcome = self.collector.cue(cue)
            if outcome is not None:
                self._over(outcome)
        return []

    def _over(self, outcome: Outcome) -> None:
        assert self.cues is not None
        self.cues.over(outcome)
        name = self.classes[outcome.cue.label]
        if outcome.x is None:
            self.n_refused += 1
            self.view.say(f"{name}: not taken, {outcome.why}.")
            return
        self.n_taken += 1
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
