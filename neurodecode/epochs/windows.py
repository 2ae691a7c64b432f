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
