"""What decisions are worth that were made while a recording was played as if it were live.

An event is a stretch of time in which a person did what a class stands for. Events of the class of
rest, and time outside all events, are background: nothing is wanted there. Decisions are scored
twice, as windows and as commands.

A window is about an event when at least its last half lies in it, and about the background when
that half meets no event; what lies between is not scored. Background windows count where there is
a class of rest, which they are labelled with.

A command in an event is about that event, and any other is a false positive. What counts is the
first command in an event: something has been done then, right or wrong. A command belongs to the
moment of the newest sample that it rests on, so that neither the time a computer took nor the delay
of an amplifier is in these scores.

Information is counted by the formula of Wolpaw et al. ("Brain-computer interfaces for communication
and control", Clin. Neurophysiol. 2002, doi:10.1016/S1388-2457(02)00057-3), which takes all classes
to be equally probable and all mistakes alike. Playing recordings with a class for doing nothing,
window by window, follows Carrara and Papadopoulo ("Pseudo-online framework for BCI evaluation: a
MOABB perspective", J. Neural Eng. 2024, doi:10.1088/1741-2552/ad171a). Differences: their windows
are the decisions, and are scored by a Matthews correlation; here windows lead to commands, which
have a time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurodecode.online.decision import Status

TINY = 1e-6  # s; far below a sample, far above rounding
NO_LABEL = -1

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer]

COMMAND_METRICS = {
    "evidence_accuracy": "balanced accuracy of the evidence, window by window",
    "command_accuracy": "part of the events with a command whose first command is right",
    "tpr": "true positive rate: part of all events whose first command is right",
    "fp_per_min": "false positives: commands outside events, per minute of background",
    "time_to_decision": "median time from the onset of an event to its first command if right, s",
    "itr": "information in first commands, bits/min; events without one cost all their time",
    "itr_window": "information if each window were one selection, bits/min",
    "abstained": "part of the valid decisions whose evidence is below the threshold",
    "valid": "part of the decisions that rest on a whole window of good samples",
}
"""Scores of commands in words; `score_decisions` adds the balanced accuracy of windows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """What a person did in a recording.

    Attributes
    ----------
    onset, duration
        Of each event, (n_events,), s, on the time of the recording.
    label
        Index of its class, (n_events,).
    """

    onset: FloatArray
    duration: FloatArray
    label: IntArray

    def wanted(self, rest: int | None) -> FloatArray:
        """Events that are no rest, by onset, (n, 3): first and last moment, s, and class."""
        lines = np.stack([self.onset, self.onset + self.duration, self.label], axis=1)
        lines = lines[np.argsort(self.onset, kind="stable")]
        return np.asarray(lines if rest is None else lines[lines[:, 2] != rest], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Played:
    """What a decoder said while a recording was played to it.

    Attributes
    ----------
    time
        Of the newest sample of each decision, (n_decisions,), s, ascending.
    proba, evidence
        Of each class, (n_decisions, n_outputs); not numbers where the status is not valid.
    command
        Class that was commanded, (n_decisions,), -1 for none.
    status
        Values of `neurodecode.online.decision.Status`, (n_decisions,).
    events
        What the person did, on the same time.
    span
        First and last moment of the time in which there could be a command, s: from where the
        first window was full to the end. Events that do not reach into it are left out.
    """

    time: FloatArray
    proba: FloatArray
    evidence: FloatArray
    command: IntArray
    status: IntArray
    events: Timeline
    span: tuple[float, float]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which decisions rest on a whole window of good samples, (n_decisions,)."""
        return np.isin(self.status, (Status.OK, Status.ABSTAIN))


class Commands(NamedTuple):
    """First commands in events, and those outside.

    Attributes
    ----------
    label
        True class of each event, (n_events,).
    first
        Class of its first command, (n_events,), -1 for none.
    wait
        Time from its onset to that command, or all its time without one, (n_events,), s.
    n_outside
        Commands outside events.
    background
        Time outside events, s.
    """

    label: IntArray
    first: IntArray
    wait: FloatArray
    n_outside: int
    background: float


def score_decisions(
    played: Sequence[Played], *, n_classes: int, window: float, rest: int | None = None
) -> dict[str, float]:
    """Every score of decisions, over all recordings of a test side together.

    Parameters
    ----------
    played
        Its recordings, each on a time of its own.
    n_classes
        Classes of the decoder.
    window
        Length of a window, s.
    rest
        Index of the class of rest; None where there is none.

    Returns
    -------
    dict
        balanced_accuracy (windows by their own probabilities, mean over the classes that occur),
        those of `COMMAND_METRICS`, and what they rest on: n_events, n_commands, background_min. A
        score that cannot be, such as a true positive rate without an event, is not a number.
    """
    truth = np.concatenate([label_windows(p.time, window, p.events, rest) for p in played])
    valid = np.concatenate([p.valid for p in played])
    about = valid & (truth != NO_LABEL)
    proba = np.concatenate([p.proba for p in played])[about]
    evidence = np.concatenate([p.evidence for p in played])[about]
    status = np.concatenate([p.status for p in played])
    by_window = _balanced_accuracy(truth[about], proba)
    return {
        "balanced_accuracy": by_window,
        "evidence_accuracy": _balanced_accuracy(truth[about], evidence),
        **_score_commands([find_commands(p, rest) for p in played], n_classes - (rest is not None)),
        "itr_window": wolpaw_rate(n_classes, by_window, window),
        "abstained": _mean(status[valid] == Status.ABSTAIN),
        "valid": _mean(valid),
        "n_commands": float(sum((p.command >= 0).sum() for p in played)),
    }


def _score_commands(found: Sequence[Commands], n_choices: int) -> dict[str, float]:
    label = np.concatenate([one.label for one in found])
    first = np.concatenate([one.first for one in found])
    wait = np.concatenate([one.wait for one in found])
    minutes = sum(one.background for one in found) / 60
    decided, right = first >= 0, first == label
    accuracy = _mean(right[decided])
    itr = 0.0 if len(label) else math.nan
    if decided.any():  # an event without a command carries no bits and takes its time
        itr = wolpaw_rate(n_choices, accuracy, float(wait.sum() / decided.sum()))
    return {
        "command_accuracy": accuracy,
        "tpr": _mean(right),
        "fp_per_min": sum(one.n_outside for one in found) / minutes if minutes > 0 else math.nan,
        "time_to_decision": float(np.median(wait[right])) if right.any() else math.nan,
        "itr": itr,
        "n_events": float(len(label)),
        "background_min": minutes,
    }


def label_windows(time: FloatArray, window: float, events: Timeline, rest: int | None) -> IntArray:
    """True classes of windows, (n_windows,), -1 where it is not defined.

    Parameters
    ----------
    time
        Last moments of the windows, (n_windows,), s.
    window
        Their length, s.
    events
        What the person did.
    rest
        Class of the background, if there is one.

    Of windows that meet two events, those count that lie in the one that begins last.
    """
    label = np.full(len(time), NO_LABEL if rest is None else rest)
    for start, stop, of in events.wanted(rest):
        meets = (time > start + TINY) & (time - window / 2 < stop - TINY)
        inside = (time - window / 2 >= start - TINY) & (time <= stop + TINY)
        label[meets] = NO_LABEL
        label[inside] = int(of)
    return label


def find_commands(played: Played, rest: int | None) -> Commands:
    """Which commands were given in which event of a recording, and when."""
    begin, end = played.span
    wanted = played.events.wanted(rest)
    wanted = wanted[(wanted[:, 1] > begin) & (wanted[:, 0] < end)]
    wanted[:, 1] = np.minimum(wanted[:, 1], end)  # of an event that the recording cuts off
    given = played.command >= 0
    time, command = played.time[given], played.command[given]
    outside, first, wait = np.ones(len(time), dtype=bool), [], []
    for start, stop in wanted[:, :2]:
        # A window that ends where an event begins saw nothing of it.
        inside = np.flatnonzero((time > start + TINY) & (time <= stop + TINY))
        outside[inside] = False
        first.append(int(command[inside[0]]) if inside.size else -1)
        wait.append(float((time[inside[0]] if inside.size else stop) - start))
    starts = np.maximum(wanted[:, 0], begin)
    taken = np.maximum.accumulate(np.r_[begin, wanted[:, 1]])  # events may overlap
    busy = np.maximum(0, wanted[:, 1] - np.maximum(starts, taken[:-1])).sum()
    return Commands(
        label=wanted[:, 2].astype(np.int64),
        first=np.array(first, dtype=np.int64),
        wait=np.array(wait, dtype=np.float64),
        n_outside=int(outside.sum()),
        background=float(end - begin - busy),
    )


def wolpaw_bits(n_choices: int, accuracy: float) -> float:
    """Bits in one selection: log2 n + p log2 p + (1 - p) log2((1 - p) / (n - 1)).

    At chance and below it is 0; the formula would give bits again to one who is always wrong.

    Parameters
    ----------
    n_choices
        How many there are to select from, n; with fewer than two nothing can be said.
    accuracy
        Part of the selections that are right, p.
    """
    if n_choices < 2 or math.isnan(accuracy):
        return math.nan
    if accuracy <= 1 / n_choices:
        return 0.0
    bits = math.log2(n_choices) + accuracy * math.log2(accuracy)
    wrong = 1 - accuracy
    return bits + (wrong * math.log2(wrong / (n_choices - 1)) if wrong > 0 else 0.0)


def wolpaw_rate(n_choices: int, accuracy: float, seconds: float) -> float:
    """Bits per minute of selections that take so many seconds each."""
    return 60 * wolpaw_bits(n_choices, accuracy) / seconds


def _balanced_accuracy(truth: IntArray, proba: FloatArray) -> float:
    if not len(truth):
        return math.nan
    right = proba.argmax(axis=1) == truth
    return float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))


def _mean(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if values.size else math.nan
