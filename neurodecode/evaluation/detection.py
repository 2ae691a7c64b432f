"""Events in continuous recordings: from decisions of windows to alarms, and what alarms are worth.

Windows slide, and each decides about its last `stride` seconds: a recording becomes a row of spans.
Their probabilities are smoothed over the past, those above a threshold are positive, and positive
neighbours are one alarm. True events are runs of spans labelled so. Their limits are therefore
known to a stride, and a delay is no finer. Windows that were dropped leave a gap, which ends an
event.

Alarms are scored by two rules. By the any-overlap rule, a true event is found if an alarm overlaps
it, and an alarm that overlaps none is false. By the event rule of SzCORE ("SzCORE: Seizure
Community Open-Source Research Evaluation framework for the validation of electroencephalography-
based automated seizure detection algorithms", Epilepsia 2024, doi:10.1111/epi.18113), events closer
than 90 s are one, those longer than 5 min are several, and an alarm may come 30 s early or 60 s
late; it also counts samples at 1 Hz. `timescoring`, the library of its authors, is a peer in the
tests: it keeps masks at 10 Hz, where a threshold is chosen among hundreds, and its rules are the
same four steps (join, cut, reach, meet) with other lengths.

Under both rules an alarm longer than 5 min is several: one without end would find everything.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError

GAP = 10.0  # s; alarms closer than this are one, by the any-overlap rule
LONGEST = 300.0  # s; SzCORE, as the next two lines
SZCORE_GAP = 90.0
BEFORE, AFTER = 30.0, 60.0
APART = 3600.0  # s between recordings on the common axis: no rule reaches across
TINY = 1e-6  # s; far below a sample, far above rounding

FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]
Events = NDArray[np.float64]
"""Intervals ``[start, stop)``, (n_events, 2), s; starts ascend, and so do stops."""


class Rule(NamedTuple):
    """When an alarm is raised.

    Attributes
    ----------
    threshold
        Least smoothed probability of a positive span.
    smoothing
        Seconds over whose spans a probability is averaged.
    n_events
        Held-out events that both were chosen on; 0 if none was held out.
    """

    threshold: float
    smoothing: float
    n_events: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Decisions about spans of time, one recording after the other on a common axis.

    Attributes
    ----------
    start
        First moment of each span, (n_spans,), s, ascending.
    stride
        Length of a span, s.
    first
        Whether a span begins a stretch without a gap, (n_spans,).
    proba
        Probability of the event, (n_spans,).
    truth
        Whether the span is labelled as event, (n_spans,).
    """

    start: NDArray[np.float64]
    stride: float
    first: BoolArray
    proba: FloatArray
    truth: BoolArray

    @property
    def hours(self) -> float:
        """What was decided about, h."""
        return len(self.start) * self.stride / 3600


def lay_out(
    table: pd.DataFrame, truth: BoolArray, proba: FloatArray, *, duration: float, stride: float
) -> Spans:
    """The spans that windows decide about, in the order of time.

    Parameters
    ----------
    table
        Of the windows, with columns dataset, subject, session, run and onset (s).
    truth
        Whether a window is labelled as event, (n_epochs,).
    proba
        Probability of the event, (n_epochs,).
    duration, stride
        Of a window, and from one to the next, s.

    Raises
    ------
    SignalError
        If windows of a recording follow each other faster than `stride`.
    """
    onset, recording = table["onset"].to_numpy(dtype=float), recordings_of(table)
    order = np.lexsort((onset, recording))
    start, recording = onset[order] + duration - stride, recording[order]
    step = np.diff(start, prepend=-np.inf)
    new = np.diff(recording, prepend=-1) > 0
    if (step[~new] < 0.5 * stride).any():
        raise SignalError(
            f"Windows of a recording follow each other after {step[~new].min():g} s, and not after "
            f"{stride:g} s as epochs.stride says. Events are scored where windows slide: give "
            f"--set epochs.slide=true."
        )
    # An even number of seconds, so that halves are rounded alike in each recording.
    room = 2 * math.ceil((float(np.ptp(start)) + APART) / 2)
    return Spans(
        start=np.round(start + room * recording, 6),
        stride=stride,
        first=new | (step > 1.5 * stride),
        proba=np.asarray(proba, dtype=float)[order],
        truth=np.asarray(truth, dtype=bool)[order],
    )


def recordings_of(table: pd.DataFrame) -> NDArray[np.intp]:
    """Number of the recording of each window, (n_epochs,), in the order of the table."""
    names = ["dataset", "subject", "session", "run"]
    return np.asarray(table.groupby(names, sort=False).ngroup(), dtype=np.intp)


def smooth(spans: Spans, smoothing: float) -> NDArray[np.float64]:
    """Mean probability of the last `smoothing` seconds, (n_spans,); it never crosses a gap.

    Where a stretch begins, it is the mean of what there is.
    """
    n = max(1, round(smoothing / spans.stride))
    if n == 1:
        return np.asarray(spans.proba, dtype=np.float64)
    index = np.arange(len(spans.proba))
    begins = np.maximum.accumulate(np.where(spans.first, index, 0))
    oldest = np.maximum(begins, index + 1 - n)
    sums = np.concatenate([[0.0], np.cumsum(spans.proba)])
    return np.asarray((sums[index + 1] - sums[oldest]) / (index + 1 - oldest))


def find_events(
    spans: Spans, positive: BoolArray, *, gap: float = 0.0, longest: float | None = None
) -> Events:
    """Runs of positive spans.

    Parameters
    ----------
    spans
        Their time.
    positive
        Which of them, (n_spans,).
    gap
        Runs closer than this are one event, s.
    longest
        An event longer than this becomes several, s: as many whole ones as fit, and the rest.
    """
    before = np.concatenate([[False], positive[:-1]])
    begins = positive & (spans.first | ~before)
    ends = positive & np.concatenate([spans.first[1:] | ~positive[1:], [True]])
    starts, stops = spans.start[begins], spans.start[ends] + spans.stride
    apart = starts[1:] - stops[:-1] > gap - TINY
    if gap > 0 and len(starts):
        starts, stops = starts[np.r_[True, apart]], stops[np.r_[apart, True]]
    events = np.stack([starts, stops], axis=1)
    return events if longest is None else split_events(events, longest)


def split_events(events: Events, longest: float) -> Events:
    """Events of at most `longest` seconds: longer ones become whole ones and a rest."""
    n_parts = np.ceil((events[:, 1] - events[:, 0] - TINY) / longest).astype(np.int64)
    which = np.repeat(np.arange(len(events)), n_parts)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    starts = events[which, 0] + nth * longest
    return np.stack([starts, np.minimum(starts + longest, events[which, 1])], axis=1)


def meeting(a: Events, b: Events) -> NDArray[np.intp]:
    """For each event of `a`, the first of `b` that overlaps it, (n_a,); -1 if none does.

    Events that only touch do not overlap.
    """
    if not len(b):
        return np.full(len(a), -1)
    i = np.searchsorted(b[:, 1], a[:, 0] + TINY, side="right")
    there = np.minimum(i, len(b) - 1)
    return np.where((i < len(b)) & (b[there, 0] < a[:, 1] - TINY), there, -1)


@dataclass(frozen=True, slots=True)
class Counts:
    """What alarms came to, in events or in seconds.

    Attributes
    ----------
    n_true
        True events.
    n_found
        Those that were found.
    n_false
        False alarms.
    """

    n_true: int
    n_found: int
    n_false: int

    @property
    def sensitivity(self) -> float:
        """Part of the true events that was found; not a number where there is none."""
        return self.n_found / self.n_true if self.n_true else math.nan

    @property
    def precision(self) -> float:
        """Found events over found events and false alarms; not a number without either."""
        n = self.n_found + self.n_false
        return self.n_found / n if n else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of both; not a number without any event or alarm."""
        n = self.n_found + self.n_false + self.n_true
        return 2 * self.n_found / n if n else math.nan


def count_events(
    truth: Events, alarms: Events, *, before: float = 0.0, after: float = 0.0
) -> Counts:
    """Events found and false alarms, where an alarm may come so much early or late, seconds."""
    reach = truth + np.array([-before, after])
    n_found, n_false = (meeting(reach, alarms) >= 0).sum(), (meeting(alarms, reach) < 0).sum()
    return Counts(len(truth), int(n_found), int(n_false))


def count_seconds(truth: Events, alarms: Events) -> Counts:
    """Seconds of events, those of them in alarms, and other seconds of alarms.

    As SzCORE's samples at 1 Hz, limits are rounded to seconds.
    """
    t, a = _seconds(truth), _seconds(alarms)
    n_both = len(np.intersect1d(t, a, assume_unique=True))
    return Counts(len(t), n_both, len(a) - n_both)


def _seconds(events: Events) -> NDArray[np.int64]:
    limits = np.rint(events).astype(np.int64)
    return np.concatenate([np.arange(0), *(np.arange(start, stop) for start, stop in limits)])


def delays(truth: Events, alarms: Events, stride: float) -> NDArray[np.float64]:
    """Seconds from the onset of each event that was found to the decision that raised the alarm.

    A decision falls at the end of its span: the delay of an alarm that begins with the event is
    `stride`. An alarm that stands at the onset has none.
    """
    first = meeting(truth, alarms)
    found = first >= 0
    return np.asarray(np.maximum(0, alarms[first[found], 0] + stride - truth[found, 0]))


def kappa(truth: BoolArray, positive: BoolArray) -> float:
    """Cohen's kappa of spans; not a number where both say the same of all."""
    t, p = truth.mean(), positive.mean()
    by_chance = t * p + (1 - t) * (1 - p)
    if by_chance == 1:
        return math.nan
    return float(((truth == positive).mean() - by_chance) / (1 - by_chance))


def score_spans(spans: Spans, rule: Rule) -> dict[str, float]:
    """Every one of `neurodecode.evaluation.metrics.EVENT_METRICS`, and what they rest on.

    A score that cannot be, such as sensitivity where there is no event, is not a number.
    """
    positive = smooth(spans, rule.smoothing) >= rule.threshold
    truth = find_events(spans, spans.truth)
    alarms = find_events(spans, positive, gap=GAP, longest=LONGEST)
    either = count_events(truth, alarms)
    szcore = count_events(
        find_events(spans, spans.truth, gap=SZCORE_GAP, longest=LONGEST),
        find_events(spans, positive, gap=SZCORE_GAP, longest=LONGEST),
        before=BEFORE,
        after=AFTER,
    )
    sample = count_seconds(truth, find_events(spans, positive))
    delay = delays(truth, alarms, spans.stride)
    scores = {
        f"{name}_{score}": float(getattr(counts, score))
        for name, counts in {"event": either, "szcore": szcore, "sample": sample}.items()
        for score in ("sensitivity", "precision", "f1")
    }
    return scores | {
        "false_alarms_per_hour": either.n_false / spans.hours,
        "szcore_false_alarms_per_hour": szcore.n_false / spans.hours,
        "detection_delay": float(np.median(delay)) if delay.size else math.nan,
        "span_kappa": kappa(spans.truth, positive),
        "threshold": rule.threshold,
        "smoothing": rule.smoothing,
        "threshold_events": float(rule.n_events),
        "n_events": float(either.n_true),
        "hours": spans.hours,
    }
