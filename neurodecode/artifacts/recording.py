"""What every cleaner takes out of a recording and puts back: brain channels, finite, in volts."""

from collections.abc import Sequence

import mne
import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError

Array = NDArray[np.float64]

FLAT = 1e-9
"""Peak-to-peak below which a channel is flat, volts: a thousandth of a microvolt."""
USUAL = (1e-8, 1e-2)
"""Typical amplitudes that a brain channel can have, volts rms; outside it the unit is wrong."""


def brain_channels(raw: BaseRaw) -> list[str]:
    """Names of the channels that are cleaned: those of the brain that are not marked bad.

    Raises
    ------
    SignalError
        If there is none.
    """
    picks = mne.pick_types(raw.info, eeg=True, seeg=True, ecog=True, dbs=True, exclude="bads")
    if not len(picks):
        raise SignalError(
            f"No good brain channel is among the {len(raw.ch_names)} channels "
            f"({', '.join(raw.ch_names[:8])}...). Check channel types and bad channels."
        )
    return [raw.ch_names[i] for i in picks]


def signal_of(raw: BaseRaw, ch_names: Sequence[str], *, skip_bad: bool = False) -> Array:
    """Signal of some channels, (n_chans, n_samples), V, checked.

    Parameters
    ----------
    raw
        Recording.
    ch_names
        Channels, in the order of the rows.
    skip_bad
        Leave out the stretches annotated as bad.

    Raises
    ------
    SignalError
        If a channel is not there, not finite or flat, or the amplitudes are not those of volts.
    """
    missing = [name for name in ch_names if name not in raw.ch_names]
    if missing:
        raise SignalError(
            f"Channels {', '.join(missing[:8])} are not in this recording, and the cleaner was "
            f"fitted with them. Fit it to recordings with the same channels."
        )
    index = [raw.ch_names.index(name) for name in ch_names]
    x = raw.get_data(index, reject_by_annotation="omit" if skip_bad else None, verbose="ERROR")
    if not x.shape[1]:
        raise SignalError(
            "Every sample of the recording is annotated as bad. Remove annotations, or leave the "
            "recording out."
        )
    finite = np.isfinite(x).all(axis=1)
    bad = {name: "not finite" for name, ok in zip(ch_names, finite, strict=True) if not ok}
    bad |= {name: "flat" for name, v in zip(ch_names, x, strict=True) if np.ptp(v) < FLAT}
    if bad:
        listing = ", ".join(f"{name} ({why})" for name, why in bad.items())
        raise SignalError(
            f"{len(bad)} of {len(ch_names)} channels cannot be cleaned: {listing}. Mark them bad "
            f"or leave them out; channels that are marked bad are passed over."
        )
    typical = float(np.median(x.std(axis=1)))
    if not USUAL[0] < typical < USUAL[1]:
        raise SignalError(
            f"The channels vary by {typical:.3g} V, which no electrode records. Read the file "
            f"with its true unit (microvolts taken for volts are a million times too large)."
        )
    return np.asarray(x, dtype=np.float64)


def check_rate(raw: BaseRaw, sfreq: float) -> None:
    """Refuse a recording sampled at another rate than those fitted to.

    Raises
    ------
    SignalError
        If it is.
    """
    if abs(raw.info["sfreq"] / sfreq - 1) > 1e-6:
        raise SignalError(
            f"The recording is sampled at {raw.info['sfreq']:g} Hz, and the cleaner was fitted at "
            f"{sfreq:g} Hz. Resample it, or fit the cleaner to recordings at its rate."
        )


def put_back(raw: BaseRaw, ch_names: Sequence[str], y: Array) -> BaseRaw:
    """A copy of the recording with the signal of some channels replaced."""
    out = raw.copy().load_data()
    out._data[[out.ch_names.index(name) for name in ch_names]] = y
    return out
