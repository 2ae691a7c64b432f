"""Cutting a recording into windows, and volts to microvolts."""

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError


def window_starts(
    onset: NDArray[np.floating],
    duration: NDArray[np.floating],
    *,
    sfreq: float,
    tmin: float,
    n_times: int,
    stride: float | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First sample of every window, and the event it belongs to.

    Without a stride there is one window per event, `tmin` seconds after its onset. With one,
    windows follow each other every `stride` seconds from there, as long as they end within the
    event.

    Returns
    -------
    starts, event
        (n_windows,) each.
    """
    first = np.round((np.asarray(onset) + tmin) * sfreq).astype(np.int64)
    if stride is None:
        return first, np.arange(first.size)
    step = max(1, round(stride * sfreq))
    last = np.round((np.asarray(onset) + np.asarray(duration)) * sfreq).astype(np.int64) - n_times
    count = np.maximum(0, (last - first) // step + 1)
    event = np.repeat(np.arange(first.size), count)
    nth = np.arange(event.size) - np.repeat(np.cumsum(count) - count, count)
    return first[event] + step * nth, event


def sliding_starts(
    n_samples: int, *, sfreq: float, n_times: int, stride: float
) -> NDArray[np.int64]:
    """First sample of windows that slide over a whole recording, from its first sample on.

    Parameters
    ----------
    n_samples
        Length of the recording.
    sfreq
        Sampling rate, Hz.
    n_times
        Samples per window; the last window is the last that fits.
    stride
        Seconds between windows.

    Returns
    -------
    starts
        (n_windows,); empty where the recording is shorter than a window.
    """
    step = max(1, round(stride * sfreq))
    return np.arange(0, n_samples - n_times + 1, step, dtype=np.int64)


def share_covered(
    starts: NDArray[np.integer],
    onset: NDArray[np.floating],
    duration: NDArray[np.floating],
    *,
    n_samples: int,
    sfreq: float,
    n_times: int,
    span: float,
) -> NDArray[np.float64]:
    """Share of the last `span` seconds of each window that events cover, (n_windows,), 0 to 1.

    Parameters
    ----------
    starts
        First sample of each window.
    onset, duration
        Of the events, seconds, (n_events,); where two overlap, time counts once.
    n_samples
        Length of the recording.
    sfreq
        Sampling rate, Hz.
    n_times
        Samples per window.
    span
        Seconds, no longer than a window.
    """
    inside = np.zeros(n_samples + 1, dtype=bool)
    first = np.clip(np.round(np.asarray(onset) * sfreq), 0, n_samples).astype(np.int64)
    last = np.round((np.asarray(onset) + np.asarray(duration)) * sfreq)
    for a, b in zip(first, np.clip(last, 0, n_samples).astype(np.int64), strict=True):
        inside[a:b] = True
    before = np.concatenate([[0], np.cumsum(inside)])  # samples of events before each sample
    n_span = min(n_times, max(1, round(span * sfreq)))
    ends = np.asarray(starts) + n_times
    return np.asarray((before[ends] - before[ends - n_span]) / n_span)


def cut_windows(
    x: NDArray[np.floating], starts: NDArray[np.integer], *, n_times: int, sfreq: float
) -> NDArray[np.float32]:
    """Cut one window per start and convert volts to microvolts.

    Parameters
    ----------
    x
        Continuous signal, (n_chans, n_samples), volts.
    starts
        First sample of each window, (n_epochs,).
    n_times
        Samples per window.
    sfreq
        Sampling rate, Hz; for the message only.

    Returns
    -------
    ndarray of float32, (n_epochs, n_chans, n_times)
        Windows in microvolts, in the order of `starts`.

    Raises
    ------
    SignalError
        If a window would leave the recording. Nothing is padded or dropped in silence.
    """
    starts = np.asarray(starts)
    outside = np.flatnonzero((starts < 0) | (starts + n_times > x.shape[1]))
    if outside.size:
        first = outside[0]
        raise SignalError(
            f"{outside.size} of {starts.size} windows leave the recording (first: window {first}, "
            f"{starts[first] / sfreq:.2f} to {(starts[first] + n_times) / sfreq:.2f} s of "
            f"{x.shape[1] / sfreq:.2f} s). Shorten epochs.window, or set epochs.outside='drop'."
        )
    out = np.empty((starts.size, x.shape[0], n_times), dtype=np.float32)
    for window, start in zip(out, starts, strict=True):  # no (n_epochs, n_times) index array
        np.multiply(x[:, start : start + n_times], 1e6, out=window, casting="same_kind")
    return out
