r"""Coupling of the phase of a slow rhythm to the amplitude of a fast one.

With :math:`\varphi` the phase of the slow band and A the amplitude of the fast one:

.. math::
    \mathrm{vector} = \frac{|\langle A e^{i\varphi} \rangle|}{\langle A \rangle}, \quad
    \mathrm{cosine} = \frac{\langle A \cos \varphi \rangle}{\langle A \rangle}, \quad
    \mathrm{MI} = 1 + \frac{\sum_k p_k \ln p_k}{\ln 18}

over the samples of a window, where :math:`p_k` is the mean of A in the k-th of 18 bins of phase,
over the sum of these means. Without unit; vector and MI between 0 and 1, cosine between -1 and 1
(its sign tells peak from dip). None is 0 for unrelated noise in a window of seconds.

Sources: Canolty et al., "High gamma power is phase-locked to theta oscillations in human
neocortex", Science 313, 2006 (vector; divided here by the mean amplitude, so that a louder
recording is not a more coupled one). Tort et al., "Measuring phase-amplitude coupling between
neuronal oscillations of different frequencies", Journal of Neurophysiology 104, 2010 (MI).
"""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurodecode.signal.bands import Band, analytic

Array = NDArray[Any]

Coupling = Literal["vector", "cosine", "modulation_index"]

PAIRS: dict[str, tuple[Band, Band]] = {
    "theta-low_gamma": ((4.0, 8.0), (30.0, 50.0)),
    "theta-high_gamma": ((4.0, 8.0), (50.0, 80.0)),
    "alpha-gamma": ((8.0, 12.0), (30.0, 80.0)),
}
"""Bands of phase and of amplitude, Hz."""

N_BINS = 18


def phase_amplitude_coupling(
    x: Array, phase: Band, amplitude: Band, *, sfreq: float, measure: Coupling = "vector"
) -> Array:
    """Coupling within each signal, (...), without unit.

    Parameters
    ----------
    x
        Windows (..., n_times), any unit.
    phase, amplitude
        Edges of the slow and of the fast band, Hz.
    sfreq
        Sampling rate, Hz.
    measure
        As above.

    Raises
    ------
    SignalError
        If windows do not hold a band.
    """
    slow, fast = (analytic(x, band, sfreq=sfreq) for band in (phase, amplitude))
    # A circular filter mixes the ends of a window: one period of the slow band's width at each.
    edge = min(round(sfreq / (phase[1] - phase[0])), x.shape[-1] // 4)
    inner = slice(edge, x.shape[-1] - edge)
    slow, size = slow[..., inner], np.abs(fast[..., inner])
    if measure == "modulation_index":
        return _modulation_index(np.angle(slow), size)
    phasor = slow / np.maximum(np.abs(slow), np.finfo(slow.real.dtype).tiny)
    mean = (size * phasor).mean(axis=-1)
    total = size.mean(axis=-1)
    along = mean.real if measure == "cosine" else np.abs(mean)
    return np.asarray(along / np.where(total > 0, total, 1))


def _modulation_index(phase: Array, size: Array) -> Array:
    """Kullback-Leibler distance from a uniform distribution over phase, in units of its most."""
    bins = np.minimum(((phase / (2 * math.pi) + 0.5) * N_BINS).astype(np.intp), N_BINS - 1)
    shape = bins.shape[:-1]
    bins = bins.reshape(-1, bins.shape[-1])
    rows = np.arange(len(bins))[:, None] * N_BINS
    where = (bins + rows).ravel()
    n = np.bincount(where, minlength=len(bins) * N_BINS)
    total = np.bincount(where, weights=size.ravel(), minlength=len(bins) * N_BINS)
    mean = (total / np.maximum(n, 1)).reshape(-1, N_BINS)
    share = mean / np.maximum(mean.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(axis=1)
    index = np.where(share.any(axis=1), 1 - entropy / math.log(N_BINS), 0)
    return np.asarray(index.reshape(shape))
