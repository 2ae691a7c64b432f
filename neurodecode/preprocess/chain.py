"""Everything between a recording and its windows, in one fixed order.

channels, bad channels, notch, band, rate, reference. The keyword-only parameters of `preprocess`
are the options of ``[preprocess]`` in a pipeline file. What removes artifacts stands between
`prepare` (up to the notch) and `finish` (from the band on): it needs the broadband signal.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import mne
from mne.io import BaseRaw

from neurodecode.core.errors import SignalError, UnknownName
from neurodecode.preprocess.bad_channels import find_bad_channels, handle_bad_channels
from neurodecode.preprocess.filter import filter_causal, filter_zero_phase, resample_raw
from neurodecode.signal.filters import check_band

BadChannels = Literal["stop", "interpolate", "keep"]
Filter = Literal["zero-phase", "causal"]
Reference = Literal["none", "average"] | Sequence[str]


def preprocess(
    raw: BaseRaw,
    *,
    channels: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    bad_channels: BadChannels = "stop",
    notch: float | None = None,
    band: tuple[float | None, float | None] | None = None,
    filter: Filter = "zero-phase",  # the word of the pipeline file
    resample: float | None = None,
    reference: Reference = "none",
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
    if band is not None:  # before anything is filtered
        check_band(*band, sfreq=float(raw.info["sfreq"]))
    prepared = prepare(
        raw, channels=channels, drop=drop, bad_channels=bad_channels, notch=notch, filter=filter
    )
    return finish(prepared, band=band, filter=filter, resample=resample, reference=reference)


def prepare(
    raw: BaseRaw,
    *,
    channels: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    bad_channels: BadChannels = "stop",
    notch: float | None = None,
    filter: Filter = "zero-phase",
) -> BaseRaw:
    """The first half of `preprocess`, a new Raw: channels, bad channels, notch."""
    raw = _pick(raw, channels, drop)
    handle_bad_channels(raw, bad_channels)
    _run(filter)(raw, notch=notch, band=None)
    return raw


def finish(
    raw: BaseRaw,
    *,
    band: tuple[float | None, float | None] | None = None,
    filter: Filter = "zero-phase",
    resample: float | None = None,
    reference: Reference = "none",
) -> BaseRaw:
    """The second half of `preprocess`, a new Raw: band, rate, reference."""
    raw = raw.copy().load_data()
    sfreq = float(raw.info["sfreq"])
    if band is not None:
        check_band(*band, sfreq=sfreq)
    _run(filter)(raw, notch=None, band=band)
    if resample is not None and resample != sfreq:
        raw = resample_raw(raw, resample, causal=filter == "causal", band=band)
    if reference != "none":
        _set_reference(raw, reference)
    return raw


def with_eog(
    raw: BaseRaw,
    recording: BaseRaw,
    *,
    drop: Sequence[str] = (),
    notch: float | None = None,
    filter: Filter = "zero-phase",
) -> BaseRaw:
    """A prepared recording and, behind its channels, the eye channels it was made with.

    Cleaners predict artifacts from them; decoders never get them.

    Parameters
    ----------
    raw
        From `prepare`; it is left as it was.
    recording
        What `prepare` was given. Its usable EOG channels are added: not those dropped, flat, not
        finite or marked bad.
    drop, notch, filter
        As given to `prepare`.
    """
    types = zip(recording.ch_names, recording.get_channel_types(), strict=True)
    names = [n for n, kind in types if kind == "eog" and n not in {*raw.ch_names, *drop}]
    if not names:
        return raw
    eog = recording.copy().pick(names).load_data()
    good = [name for name in names if name not in find_bad_channels(eog)]
    if not good:
        return raw
    eog.pick(good)
    _run(filter)(eog, notch=notch, band=None)
    return raw.copy().add_channels([eog], force_update_info=True)


def _run(filter: Filter) -> Callable[..., None]:
    return filter_causal if filter == "causal" else filter_zero_phase


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
