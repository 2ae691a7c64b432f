"""Whether a method's maps of a decoder are to be believed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurodecode.results.summaries import interval

SAME = 0.5
"""Correlation from which two maps are called alike."""
ENOUGH = 6
"""Subjects below which an interval that holds 0 fails no map: of 3, it is 2.5 standard deviations
wide to either side."""
AGREE = 0.5
"""Correlation that maps of two folds have at least, on average."""

Document = dict[str, Any]


def judge(
    *,
    score: float,
    chance: float,
    limit: float,
    agreement: float,
    folds: Sequence[Mapping[str, Any]],
) -> Document:
    """Verdict on one method and decoder.

    Parameters
    ----------
    score, chance, limit
        Of the decoder: mean score, chance level, and the score that guessing passes once in 20.
        Not a number where unknown.
    agreement
        Mean similarity between maps of different folds; not a number for a single one.
    folds
        What was measured, mean of each subject: ``random`` (similarity to maps of nets with random
        weights), ``own_start`` (to the net before training), ``shuffled`` (to decoders fitted to
        shuffled labels), ``faithful`` (gain of area over random orders). Any may be missing.

    Returns
    -------
    dict
        ``verdict``: "fails" if a check failed, "holds" if all passed and the map was compared with
        one that nothing was learned for, else "unchecked"; ``reasons`` of a failure; ``checks``,
        each with ``passed``: None where there are too few subjects to tell.
    """
    checks: Document = {}
    _add(checks, "decoder", _decoder(score, chance, limit))
    _add(checks, "random_weights", _random(folds))
    _add(checks, "shuffled_labels", _shuffled(folds))
    _add(checks, "faithful", _faithful(folds))
    _add(checks, "agreement", _agreement(agreement))
    failed = [check["says"] for check in checks.values() if check["passed"] is False]
    compared = any(
        checks.get(name, {}).get("passed") for name in ("random_weights", "shuffled_labels")
    )
    known = all(check["passed"] is not None for check in checks.values())
    verdict = "fails" if failed else "holds" if compared and known else "unchecked"
    return {"verdict": verdict, "reasons": failed, "checks": checks}


def _add(checks: Document, name: str, check: Document | None) -> None:
    if check is not None:
        checks[name] = check


def _decoder(score: float, chance: float, limit: float) -> Document | None:
    bar = limit if np.isfinite(limit) else chance
    if not (np.isfinite(score) and np.isfinite(bar)):
        return None
    passed = bool(score > bar)
    words = "better than guessing" if passed else "no better than guessing"
    says = f"The decoder is {words} ({score:.3f}, guessing reaches {bar:.3f})."
    return {"passed": passed, "value": score, "limit": bar, "says": says}


def _random(folds: Sequence[Mapping[str, Any]]) -> Document | None:
    drawn, start = _values(folds, "random"), _values(folds, "own_start")
    if not drawn:
        return None
    value, own = float(np.mean(drawn)), float(np.mean(start)) if start else float("nan")
    passed = bool(value < SAME and not own >= SAME)
    if passed:
        says = f"With random weights the map is another ({value:.2f})."
    elif own >= SAME:
        says = f"The map was the same before the net learned anything ({own:.2f})."
    else:
        says = f"Nets with random weights have the same map ({value:.2f})."
    return {"passed": passed, "value": value, "own_start": own, "limit": SAME, "says": says}


def _shuffled(folds: Sequence[Mapping[str, Any]]) -> Document | None:
    values = _values(folds, "shuffled")
    if not values:
        return None
    value = float(np.mean(values))
    passed = bool(value < SAME)
    words = "another" if passed else "the same"
    says = f"Fitted to shuffled labels, the decoder has {words} map ({value:.2f})."
    return {"passed": passed, "value": value, "limit": SAME, "says": says}


def _faithful(folds: Sequence[Mapping[str, Any]]) -> Document | None:
    values = _values(folds, "faithful")
    if len(values) < 2:
        return None
    value = float(np.mean(values))
    low, high = interval(np.asarray(values))
    few = len(values) < ENOUGH and low <= 0 < value
    passed = None if few else bool(low > 0)
    words = "matter more than" if passed else "are not shown to matter more than"
    too_few = f": {len(values)} are too few to tell" if few else ""
    says = (
        f"Electrodes that the map calls large {words} others "
        f"({value:+.3f} in probability, {low:+.3f} to {high:+.3f}{too_few})."
    )
    return {"passed": passed, "value": value, "low": low, "high": high, "says": says}


def _agreement(value: float) -> Document | None:
    if not np.isfinite(value):
        return None
    passed = bool(value >= AGREE)
    words = "agree" if passed else "disagree"
    says = f"Maps of different folds {words} ({value:.2f})."
    return {"passed": passed, "value": value, "limit": AGREE, "says": says}


def _values(folds: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [float(v) for fold in folds if (v := fold.get(name)) is not None and np.isfinite(v)]
