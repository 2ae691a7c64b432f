"""Puts a cleaner to work on a recording as it was made, electrode offsets and drift included."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from mne.io import BaseRaw

from neurodecode.artifacts import Cleaner
from neurodecode.artifacts.recording import brain_channels
from neurodecode.preprocess.filter import filter_causal, filter_zero_phase

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
