"""The live loop: hears a stream, decides, is heard; and stays alive when the stream does not.

A decision on old samples is never left standing: while nothing comes, decisions that say so are
sent twice a second. What may take long (looking for streams, writing to disk, drawing) happens in
other threads and processes.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import NeurodecodeError
from neurodecode.online import lsl
from neurodecode.online.decision import Decision
from neurodecode.online.engine import Engine
from neurodecode.online.outputs import Outputs
from neurodecode.online.pacing import MARGIN, tolerance
from neurodecode.online.search import (
    Markers,
    SameSignal,
    Search,
    changes,
    connect,
    in_words,
    rows_of,
)
from neurodecode.online.tally import Say, Summary, Tally
from neurodecode.online.watchdog import Watchdog
from neurodecode.recordings.xdf import NOTE

logger = logging.getLogger(__name__)

WAKE = 0.1  # s that the loop waits for samples before it looks around
PIECE = 0.25  # s of signal that go through the engine at once, where much has piled up
MOST_CRASHES = 3  # times that the loop begins anew within a minute
MINUTE = 60.0  # s
MOST_HOPS = 3  # that may pass without a decision
SETTLE = 0.5  # s of the stream that are passed over when it is connected
AGAIN = 0.05  # s between two looks at what is not urgent
CORRECT = 0.5  # s between two steps of stamps towards this machine's clock
Array = NDArray[np.float64]
NOTHING: tuple[Array, Array] = (np.empty((0, 0)), np.empty(0))
Make = Callable[[lsl.StreamFacts], Engine]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """What a person chooses about a loop.

    Attributes
    ----------
    stream
        Name or source id of the signal; None for the one EEG stream there is.
    markers
        Name of the marker stream; by default that of the signal with "-markers".
    wait
        How long to wait for the signal at the beginning, s.
    stall
        Silence that is a stall, s; longer where chunks are long, see `Watchdog`.
    lost_after
        Silence after which the stream is looked for anew, s.
    stale_hop
        Time between decisions that say that nothing comes, s.
    record
        XDF file for signal, decisions and markers; None for none.
    every_decision
        Whether each decision is said, not only sent.
    duration
        Stop after so many seconds; None to go on.
    cued
        Whether decisions are about windows that markers begin.
    cues
        Labels of markers that do; all where none is given.
    publish
        Whether decisions and commands are sent by LSL.
    model
        What decides, in words.
    max_gap
        How far stamps may be off, s; by default what is measured when the stream is connected.
    """

    stream: str | None = None
    markers: str | None = None
    wait: float = 5.0
    stall: float = 0.5
    lost_after: float = 3.0
    stale_hop: float = 0.5
    record: Path | None = None
    every_decision: bool = False
    duration: float | None = None
    cued: bool = False
    cues: tuple[str, ...] = ()
    publish: bool = True
    model: str = ""
    max_gap: float | None = None


def run_loop(
    make_engine: Make,
    options: LoopOptions,
    say: Say,
    commands: Callable[[], list[str]] = list,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Decide until told to stop.

    Parameters
    ----------
    make_engine
        Makes an engine for a stream, on the clock of `neurodecode.online.lsl.clock`.
    options
        What a person chose.
    say
        Takes what happens, as dicts that JSON can hold: ``{"kind": "event", "what", "text"}``,
        ``{"kind": "status"}`` once a second, and ``{"kind": "decision"}`` where
        `options.every_decision`. It must not wait.
    commands
        Words that have come since it was last asked: "freeze", "unfreeze" or "stop".
    stop
        Whether to stop now; asked at least ten times a second.

    Returns
    -------
    Summary
        Its `failed` says why the loop gave up, where it did.

    Raises
    ------
    RecordingError
        If there is no such stream at the beginning; see `neurodecode.online.lsl.choose_signal`.
    NeurodecodeError
        If `make_engine` or the recording cannot use it.
    """
    loop = Loop(make_engine, options, say, commands, stop)
    try:
        loop.run()
    finally:
        loop.close()
    summary = loop.summary()
    if loop.failed:
        loop.tally.event("failed", f"Gave up after {loop.failed}: {summary}.")
    else:
        loop.tally.event("stopped", f"Stopped: {summary}.")
    return summary


@dataclass(slots=True)
class Chore:
    """Something to do now and then."""

    due: float
    period: float
    job: Callable[[], None]


class Loop:
    """One run of the loop, connected when it is made; see `run_loop`."""

    def __init__(
        self,
        make_engine: Make,
        options: LoopOptions,
        say: Say,
        commands: Callable[[], list[str]],
        stop: Callable[[], bool],
    ) -> None:
        self.make_engine, self.options = make_engine, options
        self.say, self.commands, self.stop = say, commands, stop
        self.frozen = self.silent = self.stopped = self.broken = False
        self.failed, self.next_stale = "", 0.0
        self.before = (0, 0, 0)  # what engines before this one have counted
        self.search: Search[lsl.SignalInlet] | None = None
        self.inlet: lsl.SignalInlet | None = connect(options.stream, options.wait)
        try:
            self._begin(self.inlet)
        except BaseException:
            search = self.search
            self._stop_search()
            self._hang_up()
            if search is not None:
                search.join()
            raise

    def _begin(self, inlet: lsl.SignalInlet) -> None:
        """Get everything ready for the stream."""
        options = self.options
        self.facts = inlet.facts
        self.same = SameSignal(self.facts, by_name=options.stream in (None, self.facts.name))
        self.engine = self.make_engine(self.facts)
        self.rows = rows_of(self.engine.ch_names, self.facts)
        self.tally = Tally(say=self.say, clock=lsl.clock, classes=self.engine.classes)
        self.tally.timed = self._timed()
        self.tally.event("connected", f"Connected to {in_words(self.facts)}.")
        self.begun = self.quiet = self.decided = time.perf_counter()
        self.dog = Watchdog(options.stall, self.begun)
        try:
            self._settle(inlet)
        except lsl.StreamLost:
            self._lose()
        self.outputs = Outputs(
            self.engine,
            self.facts,
            model=options.model,
            publish=options.publish,
            record=options.record,
            event=self.tally.event,
        )
        self.markers = Markers(options.markers or f"{self.facts.name}-markers", self.tally.event)
        self.begun = self.decided = time.perf_counter()
        self.dog.restart(self.begun)
        self.chores = [
            Chore(self.begun, AGAIN, self._obey),
            Chore(self.begun, AGAIN, self._look),
            Chore(self.begun + 1.0, 1.0, self._report),
            Chore(self.begun + CORRECT, CORRECT, self._correct),
        ]

    def _settle(self, inlet: lsl.SignalInlet) -> None:
        """Pass over what has come by now, which is old, and see how far stamps wander."""
        if self.options.max_gap is not None:
            self.engine.max_gap = self.options.max_gap
        stamps, until = [np.empty(0)], time.perf_counter() + SETTLE
        while (left := until - time.perf_counter()) > 0 and not self.stop():
            stamps.append(inlet.pull(min(left, WAKE))[1])
        while (come := inlet.pull(0.0)[1]).size:
            stamps.append(come)
        found = tolerance(np.concatenate(stamps), self.facts.sfreq)
        if self.options.max_gap is None and found > self.engine.max_gap:
            self.engine.max_gap = found
            self.tally.event(
                "jitter",
                f"Stamps are off by up to {found / MARGIN * 1e3:.0f} ms: only gaps of more than "
                f"{found * 1e3:.0f} ms can be told. --gap SECONDS says it otherwise.",
            )

    def run(self) -> None:
        """Decide until told to stop, whatever happens on the way."""
        crashes: deque[float] = deque(maxlen=MOST_CRASHES + 1)
        while True:
            try:
                while not self._over():
                    self._wake()
                return
            except Exception as error:  # a bug of ours or of a library: say it, and go on
                logger.debug("the loop was interrupted", exc_info=True)
                words = f"{type(error).__name__}: {error}"
                crashes.append(time.perf_counter())
                if len(crashes) > MOST_CRASHES and crashes[-1] - crashes[0] < MINUTE:
                    self.failed = f"{len(crashes)} errors within a minute, the last {words}"
                    return
                self.tally.event("error", f"{words}. Connecting again.")
                self.broken = True
                self._lose()

    def close(self) -> None:
        """Leave everything in order; the last thing that is sent is that nothing comes."""
        search = self.search
        steps = (self._stop_search, self._hang_up, self._retract)
        for step in (*steps, self.markers.close, self.outputs.close):
            with suppress(Exception):  # it may be what has failed
                step()
        if search is not None:
            search.join()

    def summary(self) -> Summary:
        """What was done by now."""
        self._count()
        seconds = time.perf_counter() - self.begun
        recording = self.outputs.recording
        return self.tally.summary(seconds, recording=recording, failed=self.failed)

    def _over(self) -> bool:
        duration = self.options.duration
        late = duration is not None and time.perf_counter() - self.begun >= duration
        return late or self.stopped or self.stop()

    def _wake(self) -> None:
        chunk, stamps = self._pull()
        now = time.perf_counter()
        if stamps.size:
            self._hear(chunk, stamps, now)
        elif self.silent or self.dog.stalled(now):
            self._wait(now)
        self._guard(now)
        chore = min(self.chores, key=lambda chore: chore.due)
        if chore.due <= now:  # one at most, so that samples never wait for more than one
            chore.due = now + chore.period
            chore.job()

    def _pull(self) -> tuple[Array, Array]:
        if self.inlet is None:
            time.sleep(WAKE)
            return NOTHING
        try:
            return self.inlet.pull(WAKE)
        except lsl.StreamLost:
            self._lose()
            return NOTHING

    def _hear(self, chunk: Array, stamps: Array, now: float) -> None:
        """Samples have come."""
        if self.silent:
            self._resume(now)
        self.tally.n_samples += len(stamps)
        if self.options.cued:
            self._mark()
        x = chunk if self.rows is None else chunk[self.rows]
        step = max(1, round(PIECE * self.engine.sfreq))
        for i in range(0, len(stamps), step):
            start = time.perf_counter()
            decisions = self.engine.push(x[:, i : i + step], stamps[i : i + step])
            took = (time.perf_counter() - start) / max(1, len(decisions))
            for decision in decisions:
                self._decide(decision, took)
        self.outputs.signal(chunk, stamps)  # what nobody waits for comes behind the decisions
        self.dog.heard(now)
        if not self.options.cued:
            self._mark()

    def _mark(self) -> None:
        """Markers that have come."""
        for label, stamp in self.markers.pull():
            self.outputs.marker(label, stamp)
            if self.options.cued and label in (self.options.cues or (label,)):
                self.engine.cue(stamp)

    def _decide(self, decision: Decision, took: float | None) -> None:
        self.outputs.decision(decision)  # before anything else: somebody waits for it
        self.tally.decided(decision, took)
        if took is not None:
            self.decided = time.perf_counter()
            self._count()
            self.tally.judge(decision, self.engine.quality)
        if self.options.every_decision:
            self.tally.say(self.tally.line(decision, took))

    def _count(self) -> None:
        """What all engines by now have counted."""
        before, engine, tally = self.before, self.engine, self.tally
        tally.n_lost = before[0] + engine.n_lost
        tally.n_gaps = before[1] + engine.n_gaps
        tally.late_cues = before[2] + engine.late_cues

    def _wait(self, now: float) -> None:
        """Nothing has come for too long."""
        if not self.silent:
            self.silent, self.quiet, self.next_stale = True, self.dog.since, 0.0
        if self.inlet is None:
            return
        self.tally.turn("stalled", f"Nothing has come for {now - self.quiet:.1f} s.")
        if self.dog.silence(now) > self.options.lost_after and self.search is None:
            self.same.held = self.facts.uid
            self._seek()

    def _guard(self, now: float) -> None:
        """Leave no old decision standing: say twice a second that there is none."""
        patience = max(self.dog.limit, MOST_HOPS * self.engine.hop)
        overdue = not self.options.cued and now - self.decided > patience
        if overdue and not self.silent:
            self.tally.turn("slow", "Samples come too slowly for decisions.")
        if (self.silent or overdue) and now >= self.next_stale:
            self.next_stale = now + self.options.stale_hop
            self._retract()

    def _retract(self) -> None:
        """Send that nothing comes; the last decision shall not be left standing."""
        self._decide(self.engine.stalled(lsl.clock()), None)

    def _resume(self, now: float) -> None:
        self.silent, self.decided = False, now
        self._stop_search()
        self._count()
        self.tally.wait()
        self.tally.event("resumed", f"The signal comes again after {now - self.quiet:.1f} s.")

    def _lose(self) -> None:
        """The stream has gone, or cannot be used as it is; begin anew."""
        self._hang_up()
        self.same.held = ""
        if not self.silent:
            self.silent, self.quiet, self.next_stale = True, self.dog.since, 0.0
        self.tally.turn("lost", f"The stream has gone: looking for {in_words(self.facts)}.")
        if self.search is None:
            self._seek()

    def _seek(self) -> None:
        self.search = Search(self.same.look)

    def _stop_search(self) -> None:
        if self.search is not None:
            self.search.stop()
        self.search = None

    def _hang_up(self) -> None:
        inlet, self.inlet = self.inlet, None
        if inlet is not None:
            with suppress(Exception):  # it may have gone
                inlet.close()

    def _look(self) -> None:
        """See what the search for the stream has found."""
        if self.search is None:
            return
        while self.search.complaints:
            self.tally.event("unsuitable", self.search.complaints.popleft())
        inlet = self.search.take()
        if inlet is not None:
            self.search = None
            self._adopt(inlet)

    def _adopt(self, inlet: lsl.SignalInlet) -> None:
        """Go on with another outlet, where the decoder can."""
        facts, engine = inlet.facts, self.engine
        try:
            if self.broken or facts.sfreq != self.facts.sfreq:
                engine = self.make_engine(facts)
            rows = rows_of(engine.ch_names, facts)
        except Exception as error:
            inlet.close()
            if not isinstance(error, NeurodecodeError):
                raise
            self.same.refused.add(facts.uid)
            self._seek()
            self.tally.event("unsuitable", f"{in_words(facts)} will not do: {error}")
            return
        if engine is self.engine:
            engine.reset()
        else:
            self._count()
            self.before = (self.tally.n_lost, self.tally.n_gaps, self.tally.late_cues)
            engine.freeze(self.frozen)
            engine.max_gap = self.engine.max_gap
        self._hang_up()
        text = f"Found again: {in_words(facts)}{changes(self.facts, facts)}."
        self.inlet, self.engine, self.rows, self.broken = inlet, engine, rows, False
        self.facts = self.same.facts = facts
        self.same.held = ""
        self.outputs.change(facts)
        self.dog.restart(time.perf_counter())
        self.tally.n_reconnects += 1
        self.tally.timed = self._timed()
        self.tally.event("reconnected", text)

    def _timed(self) -> bool:
        return self.facts.playing.get("speed", "1") == "1"

    def _obey(self) -> None:
        for word in self.commands():
            if word == "stop":
                self.stopped = True
            elif word in ("freeze", "unfreeze"):
                self.frozen = word == "freeze"
                self.engine.freeze(self.frozen)
                self.outputs.marker(f"{NOTE}{word}", lsl.clock())
                how = "stops adapting" if self.frozen else "adapts again"
                self.tally.event("frozen" if self.frozen else "unfrozen", f"The decoder {how}.")
            else:
                text = f"'{word}' is no command; there are freeze, unfreeze and stop."
                self.tally.event("unknown-command", text)

    def _report(self) -> None:
        self._count()
        self.tally.say(
            self.tally.status(
                stream=self.facts.name,
                playing=dict(self.facts.playing),
                quality=self.engine.quality(),
                frozen=self.frozen,
                recording=self.outputs.recording,
            )
        )

    def _correct(self) -> None:
        if self.inlet is not None:
            try:
                self.inlet.correct()
            except lsl.StreamLost:
                self._lose()
