r"""Sample entropy: how badly a signal's past tells its next sample.

Source: Richman, Moorman, "Physiological time-series analysis using approximate entropy and sample
entropy", American Journal of Physiology 278, 2000. Other libraries (antropy, neurokit2) take one
signal at a time, through a tree or a compiled loop.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError

Array = NDArray[Any]

TOGETHER = 64  # signals that are compared at once: their samples fit a processor's cache


def sample_entropy(x: Array, *, m: int = 2, r: float = 0.2) -> Array:
    r"""Sample entropy of each signal, (...), nats.

    Of the N - m pieces of m samples that are followed by another sample, B pairs are alike: no
    sample of one is further than r standard deviations from the other's. In A of these pairs the
    following samples are alike too. The entropy is :math:`-\ln (A / B)`.

    Parameters
    ----------
    x
        Signals (..., n_times), any unit.
    m
        Samples of a piece.
    r
        Tolerance, in standard deviations of the signal.

    Returns
    -------
    entropy
        0 for a constant. White Gaussian noise has :math:`-\ln \mathrm{erf}(r / 2)`, 2.19 at
        r = 0.2. Where no pairs are alike it is the most that could have been seen,
        :math:`\ln ((N - m)(N - m - 1) / 2)`, as its authors propose.

    Raises
    ------
    SignalError
        If signals have fewer than m + 2 samples.

    Notes
    -----
    Time grows with the square of `n_times`. Tolerances are in float32: two samples of an integer
    signal that are exactly r apart may count as alike or not.
    """
    n_times = x.shape[-1]
    if n_times < m + 2:
        raise SignalError(
            f"Sample entropy of pieces of {m} samples needs {m + 2}; these windows have "
            f"{n_times}. Cut longer windows."
        )
    flat = np.asarray(x, dtype=np.float64).reshape(-1, n_times)
    flat = flat - flat.mean(axis=1, keepdims=True)
    deviation = flat.std(axis=1, keepdims=True)
    scaled = flat / np.where(deviation > 0, r * deviation, 1)
    most = math.log((n_times - m) * (n_times - m - 1) / 2)
    entropy = np.empty(len(flat))
    for start in range(0, len(flat), TOGETHER):
        part = slice(start, start + TOGETHER)
        longer, alike = _count_alike(scaled[part].T.astype(np.float32, order="C"), m)
        some = longer > 0  # then there are shorter ones too
        ratio = np.where(some, longer, 1) / np.where(some, alike, 1)
        entropy[part] = np.where(some, -np.log(ratio), most)
    return np.asarray(entropy.reshape(x.shape[:-1]) + 0.0)  # no minus before a zero


def _count_alike(z: Array, m: int) -> tuple[Array, Array]:
    """Pairs of pieces of m + 1 and of m samples that are alike, (n_signals,) each.

    `z` is (n_times, n_signals) in units of the tolerance. One lag at a time is compared for all
    signals; a byte for each sample counts, and is emptied before it overflows.
    """
    n_times, n_signals = z.shape
    alike, longer = np.zeros((2, n_signals), dtype=np.int64)
    count_alike, count_longer = np.zeros((2, n_times - m, n_signals), dtype=np.uint8)
    apart, close = np.empty_like(z), np.empty(z.shape, dtype=bool)
    for lag in range(1, n_times - m):
        n = n_times - lag
        np.subtract(z[lag:], z[:-lag], out=apart[:n])
        np.abs(apart[:n], out=apart[:n])
        c = np.less_equal(apart[:n], 1, out=close[:n])
        same = c[: n - m].copy()
        for shift in range(1, m):
            same &= c[shift : n - m + shift]
        count_alike[: n - m] += same.view(np.uint8)
        same &= c[m:]
        count_longer[: n - m] += same.view(np.uint8)
        if lag % 255 == 0 or lag == n_times - m - 1:
            alike += count_alike.sum(axis=0, dtype=np.int64)
            longer += count_longer.sum(axis=0, dtype=np.int64)
            count_alike[:], count_longer[:] = 0, 0
    return longer, alike
