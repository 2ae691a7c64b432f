"""Power of windows by frequency, in bins of one hertz."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from neurodecode.explain.windows import Array, Axes
from neurodecode.signal.bands import detrend

SEGMENT = 1.0
"""Length of a segment whose periodogram is taken where spectra are compared, s: each has the same
resolution and the same leakage, however long the windows are."""
BATCH = 128
TINY = 1e-30


def bin_power(x: NDArray[np.floating], axes: Axes) -> Array:
    """Power of each window in each bin of `Axes.freqs`, (..., n_freqs), in the unit squared.

    Of the window, detrended and under one Hann window.

    Parameters
    ----------
    x
        (n_epochs, ..., n_times).
    axes
        Of windows of that length.
    """
    return np.concatenate(
        [axes.in_freq(_periodogram(x[i : i + BATCH])) for i in range(0, len(x), BATCH)]
    )


def segment_power(x: NDArray[np.floating], sfreq: float, *, n_times: int | None = None) -> Array:
    """Mean power density of segments of a second, (n_epochs, n_chans, n_freqs), unit^2 / Hz.

    Segments overlap by half. Windows shorter than a second are one segment.

    Parameters
    ----------
    x
        (n_epochs, n_chans, n_times).
    sfreq
        Sampling rate, Hz.
    n_times
        Samples of the windows that the power will be compared with, where those of `x` are longer:
        segments are no longer than these.

    Returns
    -------
    power
        At the frequencies of `segment_freqs`.
    """
    n = segment_length(min(x.shape[-1], n_times or x.shape[-1]), sfreq)
    starts = range(0, x.shape[-1] - n + 1, max(1, n // 2))
    total = np.zeros((*x.shape[:-1], n // 2 + 1))
    for start in starts:
        total += _periodogram(x[..., start : start + n])
    return np.asarray(total[..., 1:] / len(starts) * (n / sfreq))


def segment_length(n_times: int, sfreq: float) -> int:
    """Samples of a segment of windows of `n_times` samples."""
    return min(n_times, round(SEGMENT * sfreq))


def segment_freqs(n_times: int, sfreq: float) -> Array:
    """Frequencies of `segment_power` for windows of `n_times` samples, Hz, (n_freqs,)."""
    freqs = np.fft.rfftfreq(segment_length(n_times, sfreq), 1 / sfreq)[1:]
    return np.asarray(freqs, dtype=np.float64)


def _periodogram(x: NDArray[np.floating]) -> Array:
    """Power by frequency under a Hann window, (..., n_times // 2 + 1); a sine has its power."""
    x = detrend(x)
    n_times = x.shape[-1]
    hann = np.hanning(n_times + 2)[1:-1].astype(x.dtype)
    spectrum = fft.rfft(x * hann, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float64)
    power *= 2 / (n_times * np.square(hann).sum(dtype=np.float64))
    if n_times % 2 == 0:
        power[..., -1] /= 2
    return np.asarray(power, dtype=np.float64)
