"""From a recording to its EpochSet. The keyword-only options are those of ``[epochs]``."""

import logging
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.epochs.epochset import EpochSet
from neurodecode.epochs.reject import finite_windows, outside_bad_spans, quiet_windows
from neurodecode.epochs.windows import (
    cut_windows,
    share_covered,
    sliding_starts,
    window_starts,
)
from neurodecode.recordings.load import Recording
from neurodecode.recordings.montage import channel_positions

logger = logging.getLogger(__name__)

BACKGROUND = "background"
EVENT = 1
"""Where windows slide, the first class is called so, and the second is the event."""
"""Class of what no event covers, where windows slide; no annotation need be called so."""


def cut_epochs(
    recording: Recording,
    classes: Sequence[str],
    *,
    window: tuple[float, float] | None = None,
    stride: float | None = None,
    endpoint: bool = False,
    baseline: tuple[float, float] | None = None,
    reject: float | None = None,
    outside: Literal["stop", "drop"] = "stop",
    slide: bool = False,
) -> EpochSet:
    """Windows of one preprocessed recording.

    Parameters
    ----------
    recording
        Its raw has the channels, filters and rate that the decoder shall see.
    classes
        Class names; events of other names are passed over.
    window
        ``[tmin, tmax)`` relative to the task's onset, seconds; by default the whole task.
    stride
        Seconds between consecutive windows within one event; by default one window per event.
        With `slide`, between all windows; by default the length of a window.
    endpoint
        Include the sample at tmax, as MNE's and MOABB's windows do.
    baseline
        ``[start, stop)`` relative to the onset, seconds, whose mean is subtracted per channel.
    reject
        Drop windows with a larger peak-to-peak amplitude in any channel, microvolts.
    outside
        What to do with a window that leaves the recording: "stop" with an error, or "drop".
    slide
        Windows slide over the whole recording, from its first sample on, instead of standing at
        events; of `window` only the length counts. The classes are "background" and an event, in
        that order. A window is of the event if events cover at least half of its last `stride`
        seconds, so windows partly in an event are kept, and each second of the recording has one
        label. Windows share a block with those nearest to the same event: a block is an event and
        the background around it.

    Raises
    ------
    SignalError
        If there is no event, a window leaves the recording, or a value is not finite.
    ConfigError
        If `slide` is asked for with other classes, no window, a longer stride, or a baseline.
    """
    sfreq = float(recording.raw.info["sfreq"])
    if slide:
        _check_slide(classes, window, stride, baseline)
    tmin, tmax = window or _whole_task(recording)
    n_times = round((tmax - tmin) * sfreq) + int(endpoint)
    if n_times < 1:
        raise SignalError(
            f"epochs.window = [{tmin}, {tmax}) s holds no sample at {sfreq:g} Hz. Give its start "
            f"and a later end, in seconds from the event."
        )
    if stride is not None and stride <= 0:
        raise SignalError(
            f"epochs.stride = {stride} s never reaches the next window. Give a positive number of "
            f"seconds, or leave it out for one window per event."
        )
    wanted = [i for i, label in enumerate(recording.label) if label in classes]
    onset, duration = recording.onset[wanted], recording.duration[wanted]
    if slide:
        starts, event, y = _slide(recording, classes[1], n_times, stride or tmax - tmin)
    else:
        starts, event = window_starts(
            onset, duration, sfreq=sfreq, tmin=tmin, n_times=n_times, stride=stride
        )
        labels = np.array([classes.index(recording.label[i]) for i in wanted], dtype=np.int64)
        y = labels[event]
    kept = outside_bad_spans(recording.raw, starts, n_times)
    if outside == "drop":
        kept &= (starts >= 0) & (starts + n_times <= recording.raw.n_times)
    starts, event, y = starts[kept], event[kept], y[kept]
    x = _cut(recording.raw, starts, n_times, tmin=tmin, baseline=baseline, name=recording.name)
    quiet = quiet_windows(x, reject)
    x, event, y = x[quiet], event[quiet], y[quiet]
    n_dropped = int((~kept).sum() + (~quiet).sum())
    if n_dropped:
        logger.warning("%s: %d windows dropped, %d kept", recording.name, n_dropped, len(x))
    table = pd.DataFrame(
        {
            "dataset": recording.dataset,
            "subject": recording.subject,
            "session": recording.session,
            "run": recording.run,
            "onset": starts[quiet] / sfreq,
            "block": event,
        }
    )
    return EpochSet(
        x=x,
        y=y,
        classes=tuple(classes),
        table=table,
        ch_names=tuple(recording.raw.ch_names),
        sfreq=sfreq,
        positions=channel_positions(recording.raw),
    )


def _check_slide(
    classes: Sequence[str],
    window: tuple[float, float] | None,
    stride: float | None,
    baseline: tuple[float, float] | None,
) -> None:
    """Refuse what windows that slide cannot have."""
    if len(classes) != 2 or classes[0] != BACKGROUND or classes[1] == BACKGROUND:
        raise ConfigError(
            f"epochs.slide tells one kind of event from background, and data.events = "
            f"{list(classes)}. Give --set data.events=[background,seizure], with your event second."
        )
    if window is None:
        raise ConfigError(
            "epochs.slide needs the length of a window: --set epochs.window=[0,6], in seconds."
        )
    if stride is not None and stride > window[1] - window[0]:
        raise ConfigError(
            f"epochs.stride = {stride:g} s is longer than the {window[1] - window[0]:g} s window, "
            f"and epochs.slide asks about the last stride of each. Shorten it, or lengthen "
            f"epochs.window."
        )
    if baseline is not None:
        raise ConfigError(
            "epochs.baseline is time before an event, and windows that slide stand at none. Leave "
            "it out, or set epochs.slide=false."
        )


def _slide(
    recording: Recording, name: str, n_times: int, stride: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First sample, nearest event and class (0 or 1) of windows over a whole recording."""
    sfreq, n_samples = float(recording.raw.info["sfreq"]), int(recording.raw.n_times)
    chosen = [i for i, label in enumerate(recording.label) if label == name]
    onset, duration = recording.onset[chosen], recording.duration[chosen]
    starts = sliding_starts(n_samples, sfreq=sfreq, n_times=n_times, stride=stride)
    covered = share_covered(
        starts,
        onset,
        duration,
        n_samples=n_samples,
        sfreq=sfreq,
        n_times=n_times,
        span=stride,
    )
    if not chosen:
        return starts, np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
    asked = (starts + n_times)[:, None] / sfreq - stride / 2  # middle of what the label is about
    away = np.maximum(np.maximum(onset - asked, asked - onset - duration), 0)
    return starts, np.argmin(away, axis=1), (covered >= 0.5).astype(np.int64)


def cut_again(
    raw: BaseRaw,
    onset: NDArray[np.floating],
    *,
    n_times: int,
    window: tuple[float, float] | None = None,
    baseline: tuple[float, float] | None = None,
    name: str,
) -> NDArray[np.float32]:
    """The windows that `cut_epochs` kept, from another signal of the same recording.

    Whatever was decided by amplitude stays decided, so that signals are compared on the same
    windows. No label is needed.

    Parameters
    ----------
    raw
        The other signal, preprocessed alike.
    onset
        First sample of each window, seconds in its recording: the column of the table.
    n_times
        Samples of a window.
    window, baseline
        As given to `cut_epochs`.
    name
        Of the recording, for messages.

    Returns
    -------
    x
        (n_epochs, n_chans, n_times), microvolts.
    """
    starts = np.rint(np.asarray(onset) * float(raw.info["sfreq"])).astype(np.int64)
    tmin = window[0] if window else 0.0
    return _cut(raw, starts, n_times, tmin=tmin, baseline=baseline, name=name)


def _cut(
    raw: BaseRaw,
    starts: NDArray[np.integer],
    n_times: int,
    *,
    tmin: float,
    baseline: tuple[float, float] | None,
    name: str,
) -> NDArray[np.float32]:
    """Windows that begin at `starts`, less their baseline, microvolts."""
    signal, sfreq = raw.get_data(), float(raw.info["sfreq"])
    try:
        x = cut_windows(signal, starts, n_times=n_times, sfreq=sfreq)
    except SignalError as error:
        raise SignalError(f"{name}: {error}") from None
    finite_windows(x, raw.ch_names, where=name)
    if baseline is not None:
        x -= _baseline(signal, starts - round(tmin * sfreq), baseline, sfreq, name)
    return x


def _whole_task(recording: Recording) -> tuple[float, float]:
    """The window of the task, where every event lasts equally long."""
    shortest, longest = recording.duration.min(), recording.duration.max()
    if longest - shortest > 0.5 / recording.raw.info["sfreq"]:
        raise SignalError(
            f"{recording.name}: events last {shortest:g} to {longest:g} s, so windows need a "
            f"length: --set epochs.window=[0,{min(4.0, shortest):g}], and --set "
            f"epochs.stride={min(4.0, shortest):g} for one after the other."
        )
    return 0.0, float(shortest)


def _baseline(
    signal: np.ndarray, onsets: np.ndarray, span: tuple[float, float], sfreq: float, name: str
) -> np.ndarray:
    """Mean of each window's baseline, (n_epochs, n_chans, 1) microvolts."""
    first, n_times = round(span[0] * sfreq), round((span[1] - span[0]) * sfreq)
    if n_times < 1:
        raise SignalError(f"epochs.baseline = [{span[0]}, {span[1]}) s holds no sample.")
    try:
        windows = cut_windows(signal, onsets + first, n_times=n_times, sfreq=sfreq)
    except SignalError as error:
        raise SignalError(f"{name}, baseline: {error}") from None
    return np.asarray(windows.mean(axis=2, keepdims=True))
