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


def fit_cleaner(
    cleaner: Cleaner, raws: Sequence[BaseRaw], *, filter: Filter = "zero-phase"
) -> Cleaner:
    """Fit a cleaner to recordings as they were made; the cleaner is returned."""
    return cleaner.fit([without_drift(raw, filter=filter) for raw in raws])


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
    return out.set_annotations(cleaned.annotations, verbose="ERROR")


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
