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
    names = brain_channels(raw)
    index = [raw.ch_names.index(name) for name in names]
    removed = smooth.get_data(index) - cleaned.get_data([cleaned.ch_names.index(n) for n in names])
    out._data[index] -= removed
    return out


def without_drift(raw: BaseRaw, *, filter: Filter = "zero-phase") -> BaseRaw:
    """A high-passed copy; of channels that are not filtered already.

    A recording whose header says that it was high-passed at `HIGHPASS` or above is only copied.
    """
    smooth = raw.copy().load_data()
    if raw.info["highpass"] >= HIGHPASS:
        return smooth
    x = smooth.get_data()
    if not np.isfinite(x).all():  # said by the cleaner, with the channel's name
        return smooth
    run = filter_causal if filter == "causal" else filter_zero_phase
    run(smooth, notch=None, band=(HIGHPASS, None))
    return smooth
