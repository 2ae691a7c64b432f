"""How alike two maps are."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from neurodecode.explain.windows import Maps

ENOUGH = 8
"""Electrodes that a correlation over electrodes takes."""


def similarity(a: Maps, b: Maps) -> float:
    """Spearman's rank correlation of two maps of one kind, mean over classes; NaN if unknown.

    It is taken over electrodes; where there are fewer than 8, over electrodes and frequencies or
    times. Maps without a sign are compared as they are, so large and small places count; a map
    without any difference is like none.
    """
    kind = _kind(a, b)
    if kind is None:
        return float("nan")
    rows = [
        rank_correlation(one.ravel(), other.ravel())
        for one, other in zip(a.kinds[kind], b.kinds[kind], strict=True)
    ]
    known = [row for row in rows if np.isfinite(row)]
    return float(np.mean(known)) if known else float("nan")


def _kind(a: Maps, b: Maps) -> str | None:
    both = [kind for kind in a.kinds if kind in b.kinds and kind != "patterns"]
    if "chan" in both and a.kinds["chan"].shape[1] >= ENOUGH:
        return "chan"
    order = ("chan_freq", "chan_time", "freq", "time", "chan_chan", "chan")
    return next((kind for kind in order if kind in both), None)


def rank_correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Spearman's; 0 where one of the two is flat, NaN where one is not finite."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    x, y = rankdata(a), rankdata(b)
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size > 0 else 0.0
