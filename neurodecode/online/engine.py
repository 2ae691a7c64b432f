"""The live decoder: samples in, decisions out; no stream, no clock of its own, no file.

The very code runs live, when a recording is played again, and in the pseudo-online protocol, and
what it computes does not depend on how the samples are cut into chunks.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.alignment import Aligner
from neurodecode.alignment.align import AlignState, align_update, whiten
from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.online.adapt import BiasState, bias_step
from neurodecode.online.decision import Decision, Status
from neurodecode.online.moments import Moments
from neurodecode.online.policy import NO_COMMAND, Policy
from neurodecode.online.ring import Ring
from neurodecode.online.schedule import Cued, Due, Sliding
from neurodecode.online.score import InParts, Scorer, Stream
from neurodecode.online.watch import Fault, Watch
from neurodecode.preprocess.stream import CausalStream
from neurodecode.signal.covariance import covariances

Array = NDArray[np.float64]
Repair = Callable[[tuple[int, ...]], Array]

LATE = 2.0
"""A cue may be told this long after its window began, s."""
HELD = 5.0
"""No cleaner holds samples back for longer, s."""
CLOCK_CHANGE = 3600.0
"""Stamps that jump by more tell of another clock, not of samples that were lost, s."""
FAR = 60.0
"""A cue that is told so long before its time is told by another clock, s."""
MOST_REPAIRED = 0.25
"""Share of the channels that may be filled in from the others."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """How windows are aligned.

    Attributes
    ----------
    aligner
        The kind of mean.
    start
        What is known of the person: a calibration, or nothing.
    memory
        Windows' worth of signal that the mean forgets over.
    frozen
        Whether the mean stays what it is.
    """

    aligner: Aligner
    start: AlignState
    memory: float = math.inf
    frozen: bool = False


class Engine:
    """A decoder that is fed samples; see `neurodecode.online.pipeline.LivePipeline.engine`.

    Parameters
    ----------
    stream
        Preprocessing; its ``ch_names`` and ``sfreq`` are those of the samples that are pushed.
    scorer
        The decoder.
    policy
        From probabilities to commands.
    classes
        Names, in the order of the probabilities.
    sfreq, n_times
        Of windows: Hz, samples.
    hop
        Time between decisions, s. It is rounded to samples that the decoder can take.
    alignment
        None for none.
    gain
        What aligned windows are multiplied by.
    reject
        Largest peak-to-peak amplitude in a window, microvolts; None for any.
    repair
        Makes the matrix by which bad channels are filled in from all; None to withhold decisions
        while a channel is bad.
    cue_offset
        None for a decision every hop. Otherwise decisions are made for windows that begin so many
        seconds after cues, see `cue`.
    adapt
        Time over which a bias of the classes is learned and taken off, s; None for none.
    clock
        Time now, s, on the clock of the stamps.
    max_age
        A decision on samples older than that is stale, s.
    max_ahead
        Stamps that are more than that ahead of the clock are another clock's, and tell nothing of
        an age, s; by default they may be, as those of what is played faster than real time are.
    max_gap
        Samples are missing where stamps are more than that away from where they should be, s; by
        default half a sample.
    """

    def __init__(
        self,
        stream: CausalStream,
        scorer: Scorer,
        policy: Policy,
        *,
        classes: Sequence[str],
        sfreq: float,
        n_times: int,
        hop: float = 0.1,
        alignment: Alignment | None = None,
        gain: float = 1.0,
        reject: float | None = None,
        repair: Repair | None = None,
        cue_offset: float | None = None,
        adapt: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        max_age: float = 1.0,
        max_ahead: float = math.inf,
        max_gap: float | None = None,
    ) -> None:
        times = {"hop": hop, "max_age": max_age, "adapt": adapt, "max_gap": max_gap}
        for name, value in times.items():
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(
                    f"{name} = {value:g} is no time. Give a positive number of seconds."
                )
        self.stream, self.scorer, self.policy = stream, scorer, policy
        self.classes, self.ch_names, self.sfreq = tuple(classes), stream.ch_names, stream.sfreq
        self.n_times, self.n_hop = n_times, max(1, round(hop * sfreq / scorer.hop)) * scorer.hop
        self.hop = self.n_hop / sfreq
        self.alignment, self.gain, self.reject, self.repair = alignment, gain, reject, repair
        self.clock, self.max_age, self.max_ahead = clock, max_age, max_ahead
        self.max_gap = 0.5 / stream.sfreq if max_gap is None else max_gap
        self.factor, self.adapt = stream.factor, adapt
        self.cue_offset, self.late_cues = cue_offset, 0
        self.n_settle = math.ceil(stream.settling * sfreq)
        self.schedule: Sliding | Cued = Sliding(n_times, self.n_hop, self.n_settle)
        if cue_offset is not None:
            parts = scorer.edges if isinstance(scorer, InParts) else (n_times,)
            self.schedule = Cued(parts, self.n_settle)
        held = n_times + math.ceil(LATE * sfreq)
        # What a cleaner holds back is asked about later.
        n_watched = (held + self.n_settle + self.n_hop) * self.factor + round(HELD * stream.sfreq)
        self.watch = Watch(len(stream.ch_names), stream.sfreq, n_watched)
        self.ring = Ring(len(stream.keep), held)
        self.learns = alignment is not None and not alignment.frozen
        self.moments = Moments(len(stream.keep), n_times, self.n_hop)
        self.align_state = AlignState(None, 0.0) if alignment is None else alignment.start
        self.bias, self.said = BiasState(None), policy.start()
        self.frozen, self.n_lost, self.n_gaps, self.n_samples = False, 0, 0, 0
        self.last_stamp, self.newest = math.nan, math.nan
        self.cues: list[float] = []  # stamps of cues whose first sample has not come
        self.owed = 0  # decisions on cues whose windows are lost
        self.stepped = math.nan  # when the policy was last told something
        self._restart()

    def push(
        self, chunk: NDArray[np.floating], stamps: NDArray[np.floating], now: float | None = None
    ) -> list[Decision]:
        """What follows from the next samples.

        Parameters
        ----------
        chunk
            (n_chans, n_samples), V, channels as in `ch_names`; any number of samples.
        stamps
            When each sample was measured, (n_samples,), s.
        now
            The time, on the same clock; by default that of `clock`, asked when it is needed.

        Raises
        ------
        SignalError
            If the shapes are others.
        """
        x, t = np.asarray(chunk, dtype=np.float64), np.asarray(stamps, dtype=np.float64)
        if x.shape != (len(self.ch_names), len(t)):
            raise SignalError(
                f"A chunk is {len(self.ch_names)} channels x {len(t)} samples, one for each stamp; "
                f"got {' x '.join(map(str, x.shape))}."
            )
        if not len(t):
            return []
        off = np.empty_like(t)  # how far each stamp is from where the one before puts it
        off[0] = t[0] - self.last_stamp
        np.subtract(t[1:], t[:-1], out=off[1:])
        off -= 1 / self.sfreq
        cuts: list[int] = []
        if not max(-off.min(), off.max()) <= self.max_gap:  # not a number is a gap too
            cuts = np.flatnonzero(~(np.abs(off) <= self.max_gap)).tolist()
        said: list[Decision] = []
        most = self.n_hop * self.factor
        for start, stop in pairwise([*(() if cuts[:1] == [0] else (0,)), *cuts, len(t)]):
            if cuts and start == cuts[0]:
                self._gap(float(off[cuts.pop(0)]))
            for i in range(start, stop, most):
                part = slice(i, min(stop, i + most))
                said += self._continue(x[:, part], t[part], now)
        self.last_stamp = float(t[-1])
        return said

    def stalled(self, now: float) -> Decision:
        """What to say while nothing comes; evidence is forgotten."""
        return self._invalid(Status.STALE, self.newest, now, (), self.n_samples - 1, waited=True)

    def reset(self) -> None:
        """Forget filters, windows and evidence, as after a reconnection; not what was adapted."""
        self.last_stamp = math.nan
        self._restart()

    def freeze(self, frozen: bool = True) -> None:
        """Stop adapting, or go on."""
        self.frozen = frozen

    def cue(self, stamp: float) -> None:
        """A cue was given: a window begins `cue_offset` after it, at the nearest sample.

        Raises
        ------
        ConfigError
            If decisions are made every hop.
        """
        if self.cue_offset is None:
            raise ConfigError("This engine decides every hop. Make it with cue_offset for cues.")
        if stamp > self.last_stamp + FAR:
            self.owed, self.late_cues = self.owed + 1, self.late_cues + 1
        else:
            self.cues.append(stamp + self.cue_offset)

    def quality(self) -> dict[str, str]:
        """Of each channel: "ok", or why it cannot be trusted now."""
        faults = self._faults(self.ring.n - self.n_times, self.watch.n)
        return {name: Fault(f).words for name, f in zip(self.ch_names, faults, strict=True)}

    def _gap(self, missing: float) -> None:
        """The next sample does not follow; seconds are missing before it."""
        if self.n_in:
            self.n_gaps += 1
            if 0 < missing < CLOCK_CHANGE:
                self.n_lost += round(missing * self.sfreq)
        self._restart()

    def _restart(self) -> None:
        self.first = self.n_samples  # that the ring counts from
        self.state, self.waiting = self.stream.start(), np.zeros(0)
        self.watch.clear()
        self.ring.clear()
        self.moments.clear()
        self.owed += self.schedule.clear()
        self.n_in = 0
        self.heard: Any = None  # by a decoder that never begins anew
        self.parts: dict[int, Any] = {}  # heard of windows in parts, by the start of each
        self.fresh = True

    def _continue(self, x: Array, t: Array, now: float | None) -> list[Decision]:
        """The same for samples that follow on those before."""
        y, self.state = self.stream.step(self.watch.step(x), self.state)
        times = t[-self.n_in % self.factor :: self.factor]
        self.n_in += len(t)
        self.n_samples += len(t)
        if len(self.waiting) or len(times) != y.shape[1]:  # a cleaner holds samples back
            self.waiting = np.concatenate([self.waiting, times])
            times, self.waiting = self.waiting[: y.shape[1]], self.waiting[y.shape[1] :]
        said = []
        while True:
            self._begin_windows(times)
            said += self._pay(t, now)
            due = self.schedule.next()
            n = len(times) if due is None else min(len(times), due.stop - self.ring.n)
            if n > 0:
                self.ring.append(y[:, :n], times[:n])
                y, times = y[:, n:], times[n:]
            if due is not None and self.ring.n >= due.stop:
                if self.learns and self.cue_offset is None and self.moments.n_hops:
                    self.moments.add(self.ring.window(due.stop, self.n_hop))
                decision = self._decide(due, now)
                self.schedule.done(answered=decision is not None)
                if decision is not None:
                    self.parts.pop(due.start, None)
                    said.append(decision)
            elif not len(times):
                return said

    def _begin_windows(self, times: Array) -> None:
        """Begin the windows of cues that have been reached; `times` are of samples to come."""
        if not self.cues or not isinstance(self.schedule, Cued):
            return
        held = self.ring.times()
        known = np.concatenate([held, times])
        for cue in [cue for cue in self.cues if len(known) and cue <= known[-1]]:
            self.cues.remove(cue)
            start = self.ring.n - len(held) + int(np.abs(known - cue).argmin())
            if start + self.n_times >= self.ring.n and cue >= known[0] - 0.5 / self.sfreq:
                self.schedule.add(start)
            else:
                self.late_cues += 1  # what it asks for is gone
                self.owed += 1

    def _pay(self, t: Array, now: float | None) -> list[Decision]:
        """One decision for each cue whose window is lost, so that every cue has one."""
        if not self.owed:
            return []
        n, self.owed = self.owed, 0
        time_now = self.clock() if now is None else now
        return [
            self._invalid(Status.GAP, float(t[0]), time_now, (), self.n_samples - len(t))
            for _ in range(n)
        ]

    def _decide(self, due: Due, now: float | None) -> Decision | None:
        """A decision; None where a part of a window is not enough for one, or it has been made."""
        self.newest = newest = self.ring.time(due.stop - 1)
        sample = self.first + (due.stop - 1) * self.factor
        time_now = self.clock() if now is None else now
        status, x, bad = self._look(due, time_now - newest)
        if due.answered:
            if due.last and x is not None:
                self._aligned(x, 1.0, mended=True)  # a whole window teaches, answered early or not
            return None
        if x is None:
            return self._invalid(status, newest, time_now, bad, sample)
        proba = self._score(x, due, mended=bool(bad))
        if proba is None:
            return None
        cued = isinstance(self.schedule, Cued)
        dt = self.n_times / self.sfreq if cued else self.hop
        if self.adapt is not None:
            proba, self.bias = bias_step(proba, dt, self.bias, tau=self.adapt, frozen=self.frozen)
        if cued:  # each answer is about its own cue
            self.said = self.policy.start()
        verdict, self.said = self.policy.step(proba, dt, self.said)
        self.stepped = time_now
        return Decision(
            proba=proba,
            evidence=verdict.evidence,
            newest=newest,
            made=self.clock() if now is None else now,
            status=Status.ABSTAIN if verdict.abstain else Status.OK,
            command=verdict.command,
            bad=bad,
            sample=sample,
        )

    def _look(
        self, due: Due, age: float
    ) -> tuple[Status, NDArray[np.float32] | None, tuple[str, ...]]:
        """Whether samples can be trusted; they themselves if so, mended; and bad channels."""
        if not due.full:
            return Status.GAP, None, ()
        if not -self.max_ahead <= age <= self.max_age:
            return Status.STALE, None, ()
        x = self.ring.window(due.stop, due.stop - due.start)
        bad = self._faults(due.start, due.stop) > Fault.NONE
        if self.reject is not None:
            bad[self.stream.keep] |= np.ptp(x, axis=1) > self.reject
        if not bad.any():
            return Status.OK, x, ()
        names = tuple(name for name, b in zip(self.ch_names, bad, strict=True) if b)
        rows = tuple(i for i, row in enumerate(self.stream.keep) if bad[row])
        if self.repair is None or not 0 < len(rows) <= len(x) * MOST_REPAIRED:
            return Status.BAD_CHANNELS, None, names
        mended = self.stream.referenced(self.repair(rows) @ x)
        return Status.OK, mended.astype(np.float32), names

    def _faults(self, start: int, stop: int) -> NDArray[np.uint8]:
        """The worst `Fault` of each channel that windowed samples still know of, (n_chans,)."""
        first = (start - self.n_settle) * self.factor  # filters remember what came before
        return self.watch.between(first, (stop - 1) * self.factor + 1)

    def _score(self, x: NDArray[np.float32], due: Due, *, mended: bool) -> Array | None:
        """Probabilities, (n_outputs,); None where a part of a window is not enough for them."""
        if isinstance(self.scorer, InParts) and isinstance(self.schedule, Cued):
            return self._score_part(self.scorer, x, due)
        x = self._aligned(x, 1.0 if self.fresh else self.n_hop / self.n_times, mended=mended)
        if isinstance(self.scorer, Stream) and not self.fresh:
            proba, self.heard = self.scorer.advance(x, self.n_hop, self.heard)
        else:
            proba, self.heard = self.scorer.window(x)
        self.fresh = isinstance(self.schedule, Cued)
        return proba

    def _score_part(self, scorer: InParts, x: NDArray[np.float32], due: Due) -> Array | None:
        """The same where windows come in parts.

        Parts are whitened by what the windows before taught. Nothing can be said of the parts of
        the first window: it has to be whole.
        """
        begun = due.begin == due.start or due.start in self.parts
        if not begun or (self.alignment is not None and self.align_state.mean is None):
            return scorer.window(self._aligned(x, 1.0, mended=True))[0] if due.last else None
        part = self._whitened(x[:, due.begin - due.start :])
        proba, stops, self.parts[due.start] = scorer.part(part, self.parts.get(due.start))
        if due.last:
            self._aligned(x, 1.0, mended=True)
        return proba if stops else None

    def _aligned(self, x: NDArray[np.float32], new: float, *, mended: bool) -> NDArray[np.float32]:
        """A window, whitened; it enters the mean by as much as is new in it."""
        how = self.alignment
        if how is None:
            return x
        if self.align_state.mean is None or not (self.frozen or how.frozen):
            cov = covariances(x[None])[0] if mended else self.moments.covariance(x)
            self.align_state = align_update(
                cov, self.align_state, how.aligner, new=min(1.0, new), memory=how.memory
            )
        return self._whitened(x)

    def _whitened(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.alignment is None:
            return x
        white = whiten(x, self.align_state)
        return white if self.gain == 1 else white * np.float32(self.gain)

    def _invalid(
        self,
        status: Status,
        newest: float,
        now: float,
        bad: tuple[str, ...],
        sample: int,
        *,
        waited: bool = False,
    ) -> Decision:
        """A decision that is none; the next window is heard anew.

        With `waited`, as much time has passed since the last one as the clock says, not a hop.
        """
        self.fresh = True
        known = waited and math.isfinite(self.stepped)
        dt = max(0.0, now - self.stepped) if known else self.hop
        _, self.said = self.policy.step(None, dt, self.said)
        self.stepped = now
        nothing = np.full(len(self.classes), np.nan)
        return Decision(
            proba=nothing,
            evidence=nothing,
            newest=newest,
            made=now,
            status=status,
            command=NO_COMMAND,
            bad=bad,
            sample=sample,
        )
