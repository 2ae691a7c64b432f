"""Frequency bands: how much of a signal lies in each, and the signal of one.

Bands are half-open, [low, high) Hz, so that no frequency is counted twice. SciPy has the parts
(``signal.welch``, ``signal.hilbert``); a band cut out of one Fourier transform, with as few
samples as it needs, costs a tenth of a filter and a Hilbert transform at the full rate.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from neurodecode.core.errors import SignalError

Array = NDArray[Any]
Band = tuple[float, float]

BANDS: dict[str, Band] = {
    "delta": (1.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 12.0),
    "beta": (12.0, 30.0),
    "gamma": (30.0, 80.0),
}
"""Low and high edge, Hz; as in DeeperBrain, arXiv 2601.06134."""


def top_frequency(sfreq: float, highest: float | None) -> float:
    """Highest frequency that windows hold, Hz: of their recording, or half the sampling rate."""
    return sfreq / 2 if highest is None else min(highest, sfreq / 2)


def detrend(x: Array) -> Array:
    """Windows (..., n_times) without their mean and their slope, in float32 or as they were."""
    x = np.asarray(x)
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    n_times = x.shape[-1]
    x = x - x.mean(axis=-1, keepdims=True)
    ramp = np.linspace(-1.0, 1.0, n_times, dtype=x.dtype)
    ramp /= max(float(np.linalg.norm(ramp)), 1e-12)
    return np.asarray(x - (x @ ramp)[..., None] * ramp)


def bins_in(band: Band, *, n_times: int, sfreq: float) -> slice:
    """Bins of a real Fourier transform of `n_times` samples that lie in a band.

    Raises
    ------
    SignalError
        If the band holds none, or reaches past half the sampling rate.
    """
    low, high = band
    duration = n_times / sfreq
    first, end = math.ceil(low * duration - 1e-9), math.ceil(high * duration - 1e-9)
    if high > sfreq / 2 or end <= first:
        raise SignalError(
            f"{low:g}-{high:g} Hz needs a sampling rate of {2 * high:g} Hz and windows of "
            f"{1 / (high - low):.2g} s; these are {duration:g} s at {sfreq:g} Hz. Leave the band "
            f"out, or cut longer windows."
        )
    return slice(first, end)


def relative_power(
    x: Array,
    sfreq: float,
    *,
    highest: float | None = None,
    bands: Sequence[Band] = tuple(BANDS.values()),
) -> Array:
    r"""Share of each band in the power of all of them, (..., n_bands), between 0 and 1.

    .. math:: p_b = \frac{\sum_{f \in b} |X(f)|^2}{\sum_{b'} \sum_{f \in b'} |X(f)|^2}

    where X is the Fourier transform of the window, detrended and under a Hann window.

    Parameters
    ----------
    x
        Windows (..., n_times), any unit.
    sfreq
        Sampling rate, Hz.
    highest
        Low-pass of the recording, Hz. A band that reaches past it, or past half the sampling
        rate, is NaN, and the others sum to 1.
    bands
        Edges, Hz.

    Notes
    -----
    A flat signal has no power to share: NaN. A band that is too narrow for the window is NaN.
    Under the Hann window of a window of T s, a sine within 2 / T Hz of an edge leaks across it.
    """
    x = detrend(x)
    n_times = x.shape[-1]
    spectrum = fft.rfft(x * np.hanning(n_times + 2)[1:-1].astype(x.dtype), axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    shares = np.full((*x.shape[:-1], len(bands)), np.nan)
    for i, band in enumerate(bands):
        if band_fits(band, n_times=n_times, sfreq=sfreq, highest=highest):
            shares[..., i] = power[..., bins_in(band, n_times=n_times, sfreq=sfreq)].sum(axis=-1)
    total = np.nansum(shares, axis=-1, keepdims=True)
    return np.asarray(shares / np.where(total > 0, total, np.nan))


def band_fits(band: Band, *, n_times: int, sfreq: float, highest: float | None = None) -> bool:
    """Whether windows hold a band: its frequencies, and at least two bins of it."""
    low, high = band
    enough = math.ceil(high * n_times / sfreq) - math.ceil(low * n_times / sfreq) >= 2
    return high <= top_frequency(sfreq, highest) and enough


def analytic(x: Array, band: Band, *, sfreq: float) -> Array:
    """Analytic signal of a band, (..., n_times) complex; its real part is the filtered signal.

    The filter is rectangular in frequency, has no phase, and is circular: the outer 1 / width of
    the band, s, of a window at each end hears of the other end.

    Parameters
    ----------
    x
        Windows (..., n_times).
    band
        Edges, Hz.
    sfreq
        Sampling rate, Hz.

    Raises
    ------
    SignalError
        As `bins_in`.
    """
    n_times = x.shape[-1]
    bins = bins_in(band, n_times=n_times, sfreq=sfreq)
    return _inverse(fft.rfft(detrend(x), axis=-1), bins, start=bins.start, n_out=n_times)


def baseband(x: Array, bands: Sequence[Band], *, sfreq: float) -> list[Array]:
    """Analytic signals of bands, shifted down to 0 Hz and sampled at four times their width.

    Differences of phase between channels, and amplitudes, are those of `analytic`; phases are
    not.

    Parameters
    ----------
    x
        Windows (..., n_times).
    bands
        Edges, Hz.
    sfreq
        Sampling rate, Hz.

    Returns
    -------
    signals
        One for each band, (..., n_samples) complex; `n_samples` depends on the band.

    Raises
    ------
    SignalError
        As `bins_in`.
    """
    n_times = x.shape[-1]
    spectrum = fft.rfft(detrend(x), axis=-1)
    signals = []
    for band in bands:
        bins = bins_in(band, n_times=n_times, sfreq=sfreq)
        n_out = fft.next_fast_len(4 * (bins.stop - bins.start))
        signals.append(_inverse(spectrum, bins, start=0, n_out=n_out))
    return signals


def _inverse(spectrum: Array, bins: slice, *, start: int, n_out: int) -> Array:
    """`n_out` samples of the bins alone, the first of them put at bin `start`."""
    width = bins.stop - bins.start
    alone = np.zeros((*spectrum.shape[:-1], n_out), dtype=spectrum.dtype)
    alone[..., start : start + width] = 2 * spectrum[..., bins]
    # Divided by the samples of the output; the spectrum is a sum over samples of the input.
    return np.asarray(fft.ifft(alone, axis=-1))
