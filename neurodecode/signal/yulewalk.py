"""Recursive filters with a magnitude response drawn by hand.

Reference: Friedlander and Porat, "The Modified Yule-Walker Method of ARMA Spectral Estimation",
IEEE Transactions on Aerospace and Electronic Systems 20, 1984, doi:10.1109/TAES.1984.310437.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lstsq, toeplitz
from scipy.signal import freqz, lfilter, tf2sos

from neurodecode.core.errors import SignalError

Array = NDArray[np.float64]

N_GRID = 512  # frequencies between 0 and half the rate on which the response is drawn
WIDEST = 1024.0  # Hz; above it the grid grows with the rate, or 0 to 2 Hz would fall between points


def yulewalk_sos(
    order: int, freqs: Sequence[float], gains: Sequence[float], *, sfreq: float
) -> Array:
    """Stable recursive filter with about the wanted gains, as second-order sections.

    Parameters
    ----------
    order
        Order of numerator and denominator.
    freqs
        Frequencies at which the gain is given, rising from 0 to ``sfreq / 2``, Hz. Between them
        it is a straight line.
    gains
        Gain (a factor) at each of them.
    sfreq
        Sampling rate, Hz.

    Raises
    ------
    SignalError
        Unless `freqs` rise from 0 to ``sfreq / 2``.
    """
    rising = all(low < high for low, high in zip(freqs[:-1], freqs[1:], strict=True))
    if not rising or freqs[0] != 0 or not np.isclose(freqs[-1], sfreq / 2):
        raise SignalError(
            f"A filter with gains at {', '.join(f'{f:g}' for f in freqs)} Hz needs frequencies "
            f"that rise from 0 to {sfreq / 2:g} Hz, half the sampling rate. Change them."
        )
    half = _drawn(np.asarray(freqs) * 2 / sfreq, np.asarray(gains), _n_grid(sfreq) + 1)
    wanted = np.concatenate([half, half[-2:0:-1]])
    lags = np.fft.ifft(wanted**2).real[: 4 * order]  # of the autocorrelation
    lags *= 0.54 + 0.46 * np.cos(np.pi * np.arange(len(lags)) / (len(lags) - 1))

    # Beyond the order of the numerator, lags follow the recursion of the denominator alone.
    rows = toeplitz(lags[order:-1], lags[order:0:-1])
    denominator = _inside(np.concatenate([[1.0], _solved(rows, -lags[order + 1 :])]))

    # The numerator: split the spectrum into a causal part and its mirror image, then take the
    # minimum-phase factor of their sum.
    causal = np.concatenate([[lags[0] / 2], lags[1:]])
    n = len(wanted)
    part = freqz(_numerator(causal, denominator, order), denominator, worN=n, whole=True)[1]
    cepstrum = np.fft.ifft(np.log(2 * part.real + 0j))  # complex: a poor fit may dip below zero
    fold = np.concatenate([[0.5], np.ones(n // 2 - 1), np.zeros(n // 2)])
    factor = np.fft.ifft(np.exp(np.fft.fft(fold * cepstrum))).real
    return np.asarray(
        tf2sos(_numerator(factor[: len(lags)], denominator, order), denominator), dtype=np.float64
    )


def _n_grid(sfreq: float) -> int:
    return N_GRID * max(1, int(np.ceil(sfreq / WIDEST)))


def _drawn(freqs: Array, gains: Array, n: int) -> Array:
    """Gain at `n` frequencies; each line ends on a point, and the next begins on the next point."""
    stops = np.trunc(freqs[1:] * n).astype(int) - 1
    starts = np.concatenate([[0], stops[:-1] + 1])
    nodes = np.stack([starts, stops], axis=1).ravel()
    heights = np.stack([gains[:-1], gains[1:]], axis=1).ravel()
    nodes, first = np.unique(nodes, return_index=True)  # a line of one point has its first gain
    return np.interp(np.arange(n), nodes, heights[first])


def _solved(rows: Array, right: Array) -> Array:
    return np.asarray(lstsq(rows, right, lapack_driver="gelsy")[0])


def _numerator(impulse: Array, denominator: Array, order: int) -> Array:
    """Numerator of the filter whose impulse response is nearest, given the denominator."""
    unit = np.zeros(len(impulse))
    unit[0] = 1.0
    column = lfilter([1.0], denominator, unit)
    return _solved(toeplitz(column, unit[: order + 1]), impulse)


def _inside(denominator: Array) -> Array:
    """The polynomial with roots outside the unit circle mirrored into it."""
    roots = np.roots(denominator).astype(complex)
    outside = np.abs(roots) > 1
    roots[outside] = 1 / roots[outside].conj()
    return np.asarray(denominator[0] * np.poly(roots).real)
