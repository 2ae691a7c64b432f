"""Causal filters as steps: ``y, state = filter_step(x, state, sos)``.

Offline is one long step and online is many short ones; chunks give the same signal as the whole.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, freqz_sos, iirnotch, sosfilt, sosfilt_zi, tf2sos

from neurodecode.core.errors import SignalError

Array = NDArray[np.float64]


def bandpass_sos(low: float | None, high: float | None, *, sfreq: float, order: int = 4) -> Array:
    """Butterworth band-pass, high-pass or low-pass, as second-order sections.

    Parameters
    ----------
    low, high
        Cut-offs (-3 dB), Hz; one of them may be left out.
    sfreq
        Sampling rate, Hz.
    order
        Order of the low-pass prototype; a band-pass has twice as many poles.

    Raises
    ------
    SignalError
        Unless ``0 < low < high < sfreq / 2``.
    """
    check_band(low, high, sfreq=sfreq)
    if low is None:
        return np.asarray(butter(order, high, "lowpass", fs=sfreq, output="sos"))
    if high is None:
        return np.asarray(butter(order, low, "highpass", fs=sfreq, output="sos"))
    return np.asarray(butter(order, (low, high), "bandpass", fs=sfreq, output="sos"))


def check_band(low: float | None, high: float | None, *, sfreq: float) -> None:
    """Refuse a band that the sampling rate cannot hold.

    Raises
    ------
    SignalError
        Unless ``0 < low < high < sfreq / 2``, with at least one of the two given.
    """
    edges = [edge for edge in (low, high) if edge is not None]
    rising = edges == sorted(set(edges))
    if not edges or not rising or edges[0] <= 0 or edges[-1] >= sfreq / 2:
        raise SignalError(
            f"A {low}-{high} Hz band needs 0 < low < high < {sfreq / 2:g} Hz, half the sampling "
            f"rate. Change the band, or keep a higher sampling rate."
        )


def notch_sos(freq: float, *, sfreq: float, quality: float = 30.0) -> Array:
    """Second-order notch at `freq` and every harmonic below ``sfreq / 2``, shape (n, 6).

    Parameters
    ----------
    freq
        Power-line frequency, Hz.
    sfreq
        Sampling rate, Hz.
    quality
        Centre frequency over -3 dB width.

    Raises
    ------
    SignalError
        If `freq` is not in ``(0, sfreq / 2)``.
    """
    if not 0 < freq < sfreq / 2:
        raise SignalError(
            f"A notch at {freq} Hz needs 0 < notch < {sfreq / 2:g} Hz, half the sampling rate. "
            f"Leave the notch out, or keep a higher sampling rate."
        )
    harmonics = np.arange(freq, sfreq / 2, freq)
    return np.concatenate([tf2sos(*iirnotch(f, quality, fs=sfreq)) for f in harmonics])


def filter_start(sos: Array, first: Array) -> Array:
    """State of a filter that has seen the constant `first` (n_chans,) for ever.

    Starting from it instead of from zero keeps an electrode's offset from ringing through a
    high-pass filter for its first second.
    """
    return np.asarray(sosfilt_zi(sos)[:, None, :] * np.asarray(first)[None, :, None])


def filter_step(x: Array, state: Array, sos: Array) -> tuple[Array, Array]:
    """Filter a chunk (n_chans, n_samples), forward in time only.

    Returns
    -------
    y
        Filtered chunk, same shape.
    state
        (n_sections, n_chans, 2); pass it to the next step.
    """
    y, state = sosfilt(sos, x, axis=1, zi=state)
    return np.asarray(y), np.asarray(state)


def group_delay(sos: Array, freq: float, *, sfreq: float) -> float:
    """By how much a rhythm's envelope is late behind a causal filter, s.

    Parameters
    ----------
    sos
        Second-order sections.
    freq
        Of the rhythm, Hz.
    sfreq
        Sampling rate, Hz.
    """
    around = freq + 0.01 * np.array([-1.0, 1.0])
    _, response = freqz_sos(sos, worN=around, fs=sfreq)
    turn = float(np.angle(response[1] / response[0]))
    return float(-turn / (2 * np.pi * (around[1] - around[0])))
