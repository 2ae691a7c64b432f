"""How alike two maps are.

Pearson's correlation, where "Sanity checks for saliency maps" (NeurIPS 2018, arXiv 1810.03292)
ranks first: maps of the scalp have a few large places and many small ones whose order is noise.
Maps of simulated people that all peak at C3 and C4 were alike by 0.92 over folds, and their ranks
by 0.23 (occlusion of an aligned DBConformer, while this was built). What is asked is whether two
maps would be read alike, and it is the large places that are read.
"""

import numpy as np
from numpy.typing import NDArray

from neurodecode.explain.windows import Maps

ENOUGH = 8
"""Electrodes that a correlation over electrodes takes."""


def similarity(a: Maps, b: Maps) -> float:
    """Correlation of two maps of one kind, mean over classes; NaN if unknown.

    It is taken over electrodes; where there are fewer than 8, over electrodes and frequencies or
    times. A map without any difference is like none.
    """
    kind = _kind(a, b)
    if kind is None:
        return float("nan")
    rows = [
        correlation(one.ravel(), other.ravel())
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


def correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Pearson's; 0 where one of the two is flat, NaN where one is not finite."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    x, y = (np.asarray(v, dtype=np.float64) - np.mean(v, dtype=np.float64) for v in (a, b))
    size = np.sqrt((x @ x) * (y @ y))
    # Means of rounded numbers leave rests of 1e-8 where there is no difference.
    flat = min(np.abs(x).max() / (np.abs(a).max() or 1), np.abs(y).max() / (np.abs(b).max() or 1))
    return float(x @ y / size) if size > 0 and flat > 1e-6 else 0.0
