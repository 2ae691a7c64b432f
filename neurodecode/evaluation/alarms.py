"""The rule that raises alarms is chosen on the training side, and scored on the test side.

Decoders are trained on classes that weigh alike, and in a recording seizures are rare: a threshold
of one half floods it with alarms. The threshold, and how long probabilities are smoothed, are
chosen on windows of the training side that the decoder was not fitted to, never on those of a test
person. Such windows of a net are its validation people, who chose its epoch too. A classical
decoder has none, nor has a probe, whose head is fitted to those people too in the end; both are
fitted again to two thirds of the training people at a time. Where there are fewer than three
people, parts of their recordings stand for them, each with an event of its own; where there are
fewer than three events, or nobody held out has one, the rule is chosen on the whole training side,
and the row says so: ``threshold_events`` is 0.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from torch import nn

from neurodecode.epochs.cut import EVENT
from neurodecode.epochs.epochset import EpochSet
from neurodecode.epochs.view import View
from neurodecode.evaluation.detection import (
    GAP,
    LONGEST,
    BoolArray,
    FloatArray,
    Rule,
    Spans,
    count_events,
    find_events,
    kappa,
    lay_out,
    recordings_of,
    score_spans,
    smooth,
)
from neurodecode.evaluation.splits import Fold
from neurodecode.models import FROZEN, split_mode
from neurodecode.training.estimator import Decoder, choose_validation
from neurodecode.training.transfer import fit_head

SMOOTHINGS = (0.0, 10.0, 20.0, 30.0)  # s; tried where none is given
N_THRESHOLDS = 50  # tried where none is given, and
GRID = np.arange(1, 20) / 20
N_PARTS = 3  # of the training people, for classical decoders and probes; fewer are not held out


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How windows that slide become events.

    Attributes
    ----------
    stride
        Seconds from one window to the next, about which each decides.
    threshold
        Least probability of an alarm, in [0, 1]; None: chosen on the training side.
    smoothing
        Seconds over which probabilities are averaged; None: chosen on the training side.
    """

    stride: float
    threshold: float | None = None
    smoothing: float | None = None


def score_alarms(
    how: Detection,
    decoder: Decoder,
    epochs: EpochSet,
    fold: Fold,
    *,
    fitted: tuple[NDArray[np.float32] | View, NDArray[np.int64], NDArray[np.str_]],
    proba: FloatArray,
) -> dict[str, float]:
    """Scores of a fold's alarms, see `score_spans`; their rule is chosen on its training side.

    Parameters
    ----------
    how
        From windows to events.
    decoder
        Fitted to the training side.
    epochs, fold
        When and whose the windows are, and what is true of those of the test side.
    fitted
        Windows, labels and groups of the training side, as they were given to `Decoder.fit`.
    proba
        Of the test windows, (n_test, n_classes).
    """

    def spans(index: NDArray[np.integer], y: NDArray[np.int64], proba: FloatArray) -> Spans:
        length = epochs.x.shape[2] / epochs.sfreq
        table = epochs.table.iloc[index]
        return lay_out(table, y == EVENT, proba, duration=length, stride=how.stride)

    if how.threshold is not None and how.smoothing is not None:
        rule = Rule(how.threshold, how.smoothing)
    else:
        x, y, groups = fitted
        held_out, p = held_out_proba(decoder, x, y, groups)
        fresh = bool((y[held_out] == EVENT).any())
        if not fresh:
            held_out, p = np.ones(len(y), dtype=bool), decoder.predict_proba(x)[:, EVENT]
        of = groups[held_out]
        train = [
            spans(fold.train[held_out][of == one], y[held_out][of == one], p[of == one])
            for one in np.unique(of)
        ]
        rule = choose_rule(train, threshold=how.threshold, smoothing=how.smoothing)
        rule = rule if fresh else rule._replace(n_events=0)
    return score_spans(spans(fold.test, epochs.y[fold.test], proba[:, EVENT]), rule)


def choose_rule(
    people: Sequence[Spans], *, threshold: float | None = None, smoothing: float | None = None
) -> Rule:
    """The threshold and smoothing that are best for these people in the mean.

    Best is the largest product of two means over people, event F1 (any overlap) and the kappa of
    spans. The F1 alone would be perfect for an alarm without end where every five minutes hold an
    event, whose kappa is 0; and all spans in one heap would speak for those with the most alarms,
    while a run is about the mean over people. Of several that are as good, the one with the
    shortest smoothing is taken, and its lowest threshold.

    Parameters
    ----------
    people
        The spans of each, one of them with an event.
    threshold, smoothing
        Where given, they are not chosen.
    """
    truths = [find_events(spans, spans.truth) for spans in people]
    best, rule = (-1.0, 0.0), Rule(0.5, 0.0)
    for seconds in _smoothings(people[0].stride) if smoothing is None else (smoothing,):
        probas = [smooth(spans, seconds) for spans in people]
        for bound in _thresholds(np.concatenate(probas)) if threshold is None else (threshold,):
            scores = []
            for spans, truth, proba in zip(people, truths, probas, strict=True):
                alarms = find_events(spans, proba >= bound, gap=GAP, longest=LONGEST)
                f1 = count_events(truth, alarms).f1
                scores.append((f1, kappa(spans.truth, proba >= bound)))
            f1, agreement = (_mean_known(values) for values in zip(*scores, strict=True))
            score = (round(f1 * max(0.0, agreement), 9), round(f1 + agreement, 9))
            if score > best:
                n_events = sum(map(len, truths))
                best, rule = score, Rule(float(bound), float(seconds), n_events)
    return rule


def _mean_known(values: Sequence[float]) -> float:
    """Mean of those that are numbers, as tables show it; 0 where none is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else 0.0


def _smoothings(stride: float) -> list[float]:
    """Those of `SMOOTHINGS` that differ for spans of this length; ascending."""
    n_spans = dict.fromkeys(max(1, round(seconds / stride)) for seconds in SMOOTHINGS)
    return [n * stride for n in n_spans]


def _thresholds(proba: FloatArray) -> FloatArray:
    """Half-way between values of probabilities, denser the fewer are above, and a grid; ascending.

    The values are dense where a rare event needs them to be. The grid is there for people whose
    probabilities lie elsewhere than those of most.
    """
    above = np.geomspace(1 / max(2, len(proba)), 0.5, N_THRESHOLDS)
    values = np.unique(np.r_[np.quantile(proba, 1 - above, method="lower"), proba.max()])
    return np.unique(np.r_[(values[1:] + values[:-1]) / 2, GRID])


def held_out_proba(
    decoder: Decoder,
    x: NDArray[np.float32] | View,
    y: NDArray[np.int64],
    groups: NDArray[np.str_],
) -> tuple[BoolArray, FloatArray]:
    """Training windows that such a decoder was not fitted to, and what it says of them.

    Returns
    -------
    held_out, proba
        Which of the windows, (n_epochs,), none with fewer than three groups; and their probability
        of the event, (n_held_out,).
    """
    held_out, proba = np.zeros(len(y), dtype=bool), np.zeros(len(y))
    if len(np.unique(groups)) < N_PARTS:
        return held_out, proba[held_out]
    frozen = split_mode(decoder.model)[1] in FROZEN
    if isinstance(decoder.model_, nn.Module) and not frozen:
        held_out = choose_validation(y.astype(np.intp), groups, decoder.seed)
        return held_out, decoder.predict_proba(x[held_out])[:, EVENT]
    seen: Any = decoder.features(x) if frozen else x  # a frozen backbone says the same each time
    refit: Callable[..., FloatArray] = _refit_head if frozen else _refit
    for fitted, left_out in GroupKFold(N_PARTS).split(x, y, groups):
        if len(np.unique(y[fitted])) == len(decoder.classes_):
            proba[left_out] = refit(decoder, seen, y, groups, fitted, left_out)[:, EVENT]
            held_out[left_out] = True
    return held_out, proba[held_out]


def _refit(
    decoder: Decoder,
    x: NDArray[np.float32] | View,
    y: NDArray[np.int64],
    groups: NDArray[np.str_],
    fitted: NDArray[np.intp],
    asked: NDArray[np.intp],
) -> FloatArray:
    """What such a decoder, fitted to some windows, says of others."""
    other = clone(decoder).fit(x[fitted], y[fitted], groups[fitted])
    return np.asarray(other.predict_proba(x[asked]))


def _refit_head(
    decoder: Decoder,
    features: NDArray[np.float32],
    y: NDArray[np.int64],
    groups: NDArray[np.str_],
    fitted: NDArray[np.intp],
    asked: NDArray[np.intp],
) -> FloatArray:
    """The same of a probe, by the features of its backbone."""
    chosen = choose_validation(y[fitted].astype(np.intp), groups[fitted], decoder.seed)
    train, choosing = fitted[~chosen], fitted[chosen]
    head = copy.deepcopy(decoder.model_.head).cpu()
    fit_head(head, features[train], y[train], features[choosing], y[choosing], final=True)
    with torch.inference_mode():
        logits = head(torch.from_numpy(features[asked])).double()
    return np.asarray(logits.softmax(dim=1))


def groups_to_hold_out(
    table: pd.DataFrame, event: BoolArray, people: NDArray[np.str_]
) -> NDArray[np.str_]:
    """Who is held out together: people, or where they are fewer than three, parts with an event.

    Parameters
    ----------
    table
        Of the windows, with `block`: an event and what is around it. A block without an event goes
        with the one before it.
    event
        Whether a window is labelled as event, (n_epochs,).
    people
        Who each window comes from, (n_epochs,).
    """
    if len(np.unique(people)) >= N_PARTS:
        return people
    block = table.assign(recording=recordings_of(table)).groupby(["recording", "block"], sort=False)
    codes = block.ngroup().to_numpy()
    part = np.cumsum(np.bincount(codes, weights=event) > 0) - 1
    return np.asarray(np.maximum(part, 0)[codes].astype(str))
