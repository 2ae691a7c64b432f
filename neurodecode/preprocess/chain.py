"""Everything between a recording and its windows, in one fixed order.

channels, bad channels, notch, band, rate, reference. The keyword-only parameters of `preprocess`
are the options of ``[preprocess]`` in a pipeline file.
"""

from collections.abc import Sequence
from typing import Literal

import mne
from mne.io import BaseRaw

from neurodecode.core.errors import SignalError, UnknownName
from neurodecode.preprocess.bad_channels import handle_bad_channels
from neurodecode.preprocess.filter import filter_causal, filter_zero_phase, resample_raw
from neurodecode.signal.filters import check_band


def preprocess(
    raw: BaseRaw,
    *,
    channels: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    bad_channels: Literal["stop", "interpolate", "keep"] = "stop",
    notch: float | None = None,
    band: tuple[float | None, float | None] | None = None,
    filter: Literal["zero-phase", "causal"] = "zero-phase",  # the word of the pipeline file
    resample: float | None = None,
    reference: Literal["none", "average"] | Sequence[str] = "none",
) -> BaseRaw:
    """Brain channels of a recording, filtered, resampled and referenced.

    Parameters
    ----------
    raw
        Recording in volts; it is left as it was.
    channels
        Channels to keep, in this order; by default every EEG and intracranial channel.
    drop
        Channels to leave out.
    bad_channels
        What to do with channels that are flat, not finite or marked bad: "stop" with an error,
        "interpolate" from their neighbours (spherical splines), or "keep".
    notch
        Power-line frequency, Hz; its harmonics go too.
    band
        Cut-offs (-3 dB) of a 4th-order Butterworth filter, Hz.
    filter
        "zero-phase" runs the filter forward and back, as MOABB does, and so uses the future;
        "causal" runs it forward only, as the live loop must.
    resample
        New sampling rate, Hz. With the causal filter it must divide the old one: every n-th
        sample is kept, and the band must end below half the new rate.
    reference
        "average", or names of the channels whose mean is subtracted.

    Raises
    ------
    SignalError
        If the recording cannot give what is asked.
    """
    raw = _pick(raw, channels, drop)
    handle_bad_channels(raw, bad_channels)
    sfreq = float(raw.info["sfreq"])
    if band is not None:
        check_band(*band, sfreq=sfreq)
    if filter == "causal":
        filter_causal(raw, notch=notch, band=band)
    else:
        filter_zero_phase(raw, notch=notch, band=band)
    if resample is not None and resample != sfreq:
        raw = resample_raw(raw, resample, causal=filter == "causal", band=band)
    if reference != "none":
        _set_reference(raw, reference)
    return raw


def _pick(raw: BaseRaw, channels: Sequence[str] | None, drop: Sequence[str]) -> BaseRaw:
    """Copy of `raw` with the wanted channels only."""
    for name in [*(channels or ()), *drop]:
        if name not in raw.ch_names:
            raise UnknownName("channel of this recording", name, raw.ch_names)
    if channels is None:
        picks = mne.pick_types(raw.info, eeg=True, seeg=True, ecog=True, dbs=True, exclude=())
        channels = [raw.ch_names[i] for i in picks]
    kept = [name for name in channels if name not in set(drop)]
    if not kept:
        raise SignalError(
            f"No brain channel is left of {len(raw.ch_names)} channels "
            f"({', '.join(raw.ch_names[:8])}...). Name some with preprocess.channels."
        )
    return raw.copy().pick(kept).reorder_channels(kept).load_data()


def _set_reference(raw: BaseRaw, reference: str | Sequence[str]) -> None:
    """Subtract the mean of the reference channels, in place."""
    names = [] if reference == "average" else list(reference)
    for name in names:
        if name not in raw.ch_names:
            raise UnknownName("reference channel of this recording", name, raw.ch_names)
    if reference == "average" and len(raw.ch_names) < 2:
        raise SignalError(
            "An average reference of 1 channel leaves nothing. Set preprocess.reference='none'."
        )
    raw.set_eeg_reference(reference if reference == "average" else names, ch_type="auto")
