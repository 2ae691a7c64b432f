"""Puts a cleaner to work on a recording as it was made, electrode offsets and drift included."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from mne.io import BaseRaw

from neurodecode.artifacts import Cleaner, StreamingCleaner
from neurodecode.artifacts.recording import Array, brain_channels
from neurodecode.core.errors import SignalError
from neurodecode.preprocess.filter import filter_causal, filter_zero_phase
from neurodecode.signal.filters import bandpass_sos, filter_start, filter_step

Filter = Literal["zero-phase", "causal"]

HIGHPASS = 0.5
"""Below it (Hz, -3 dB) nothing is taken for an artifact, and nothing is changed."""
DROPOUT = 0.5
"""Time in which no channel of the brain changes at all, from which nothing was recorded, s."""


def fit_cleaner(
    cleaner: Cleaner, raws: Sequence[BaseRaw], *, filter: Filter = "zero-phase"
) -> Cleaner:
    """Fit a cleaner to recordings as they were made; the cleaner is returned.

    Dropouts, stretches in which all channels of the brain stand still, are passed over like those
    annotated as bad: they would be taken for what is usual, and the rest for an artifact.
    """
    smooth = []
    for raw in raws:
        ready = without_drift(raw, filter=filter)
        for start, stop in _dropouts(raw):
            sfreq = ready.info["sfreq"]
            onset = start / sfreq + ready.first_time
            ready.annotations.append(onset, (stop - start) / sfreq, "BAD_dropout")
        smooth.append(ready)
    return cleaner.fit(smooth)


def clean(cleaner: Cleaner, raw: BaseRaw, *, filter: Filter = "zero-phase") -> BaseRaw:
    """A copy of a recording less its artifacts; offsets and drift below `HIGHPASS` stay.

    Parameters
    ----------
    cleaner
        Fitted.
    raw
        Recording in volts; it is left as it was.
    filter
        How drift is kept from the cleaner: forward and back, or "causal", forward only.
    """
    smooth = without_drift(raw, filter=filter)
    cleaned = cleaner.transform(smooth)
    out = raw.copy().load_data()
    for name in brain_channels(raw):  # one by one: a long recording is large
        row = [r._data[r.ch_names.index(name)] for r in (out, smooth, cleaned)]
        row[0] -= row[1] - row[2]
    marks = cleaned.annotations.copy()
    if marks.orig_time is None:  # MNE gives them counted from sample 0, and takes them from the
        marks.onset -= out.first_time  # first one that is there
    return out.set_annotations(marks, verbose="ERROR")


def _dropouts(raw: BaseRaw) -> list[tuple[int, int]]:
    """Sample ranges ``[start, stop)`` of dropouts; none in a recording that is flat throughout."""
    still = np.ones(raw.n_times - 1, dtype=bool)
    for name in brain_channels(raw):
        still &= np.diff(raw.get_data([raw.ch_names.index(name)])[0]) == 0
    if still.all():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still, [0]])))
    n_least = DROPOUT * raw.info["sfreq"]
    spans = zip(edges[::2].tolist(), (edges[1::2] + 1).tolist(), strict=True)
    return [(start, stop) for start, stop in spans if stop - start >= n_least]


def without_drift(raw: BaseRaw, *, filter: Filter = "zero-phase") -> BaseRaw:
    """A high-passed copy; of channels that are not filtered already.

    A recording whose header says that it was high-passed at `HIGHPASS` or above is only copied.
    """
    smooth = raw.copy().load_data()
    if raw.info["highpass"] >= HIGHPASS:
        return smooth
    lost = ~np.isfinite(smooth._data).all(axis=1)
    kept = smooth._data[lost].copy()
    smooth._data[lost] = 0.0  # some filters spread what is not finite to other channels
    run = filter_causal if filter == "causal" else filter_zero_phase
    run(smooth, notch=None, band=(HIGHPASS, None))
    smooth._data[lost] = kept  # the cleaner says which channels they are
    return smooth


class CleanState(NamedTuple):
    """What live cleaning remembers: of the drift's filter, the cleaner, and what waits for it."""

    drift: Array | None  # None before the first sample
    cleaner: Any
    waiting: Array  # (n_chans, n): samples as they came, less their drift where it is left out
    smooth: Array  # (n_cleaned, n): the same as the cleaner saw them


class LiveCleaning:
    """`clean` with ``filter="causal"``, chunk by chunk.

    Parameters
    ----------
    cleaner
        Fitted.
    ch_names
        Channels of the stream, in order.
    brain
        Those of them that are changed; the others (eyes) tell the cleaner only.
    sfreq
        Sampling rate, Hz.
    drift
        Whether drift is kept from the cleaner, as it was where the recordings that it was fitted
        to had not been high-passed.

    Raises
    ------
    SignalError
        If the stream lacks a channel of the cleaner, or has another rate.
    """

    def __init__(
        self,
        cleaner: StreamingCleaner,
        ch_names: Sequence[str],
        brain: Sequence[str],
        *,
        sfreq: float,
        drift: bool,
    ) -> None:
        wanted: tuple[str, ...] = cleaner.ch_names_  # type: ignore[attr-defined]  # all have it
        rate: float = cleaner.sfreq_  # type: ignore[attr-defined]
        if missing := [name for name in wanted if name not in ch_names]:
            raise SignalError(
                f"The cleaner was fitted with {', '.join(missing[:8])}, which this stream lacks. "
                f"Send those channels too, or fit without cleaning."
            )
        if abs(sfreq / rate - 1) > 1e-6:
            raise SignalError(
                f"The cleaner was fitted at {rate:g} Hz, and this stream has {sfreq:g} Hz. Set the "
                f"amplifier to {rate:g} Hz."
            )
        self.cleaner, self.n_chans = cleaner, len(ch_names)
        self.rows = [list(ch_names).index(name) for name in wanted]
        self.changed = [i for i, name in enumerate(wanted) if name in brain]
        self.targets = [self.rows[i] for i in self.changed]
        self.sos = bandpass_sos(HIGHPASS, None, sfreq=sfreq) if drift else None

    def start(self) -> CleanState:
        """State of a stream that has not begun."""
        nothing = np.zeros((self.n_chans, 0))
        return CleanState(None, self.cleaner.start(), nothing, nothing[self.rows])

    def step(self, x: Array, state: CleanState) -> tuple[Array, CleanState]:
        """Cleaned samples that are ready after a chunk (n_chans, n_samples), V; and the state."""
        drift, inner, waiting, smooth = state
        new = x[self.rows]
        if self.sos is not None and x.shape[1]:
            drift = filter_start(self.sos, new[:, 0]) if drift is None else drift
            new, drift = filter_step(new, drift, self.sos)
        cleaned, inner = self.cleaner.step(new, inner)
        waiting = np.concatenate([waiting, x], axis=1)
        smooth = np.concatenate([smooth, new], axis=1)
        n = cleaned.shape[1]
        out = waiting[:, :n].copy()
        out[self.targets] -= smooth[self.changed, :n] - cleaned[self.changed]
        return out, CleanState(drift, inner, waiting[:, n:], smooth[:, n:])
