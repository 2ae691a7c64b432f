"""Filters and rates of a Raw: zero-phase for analysis, or causal with the steps of signal/."""

import numpy as np
from mne.io import BaseRaw

from neurodecode.core.errors import SignalError
from neurodecode.signal.filters import (
    bandpass_sos,
    filter_start,
    filter_step,
    notch_sos,
)

Band = tuple[float | None, float | None] | None


def filter_zero_phase(raw: BaseRaw, *, notch: float | None, band: Band) -> None:
    """4th-order Butterworth, forward and back, in place; exactly what MOABB's paradigms do."""
    sfreq = float(raw.info["sfreq"])
    if notch is not None:
        notch_sos(notch, sfreq=sfreq)  # refuses a frequency the rate cannot hold
        raw.notch_filter(np.arange(notch, sfreq / 2, notch), picks="all", verbose="ERROR")
    if band is not None:
        raw.filter(*band, method="iir", picks="all", verbose="ERROR")


def filter_causal(raw: BaseRaw, *, notch: float | None, band: Band) -> None:
    """Run the filters forward in time only, in place, starting anew after each boundary."""
    sfreq = float(raw.info["sfreq"])
    filters = []
    if notch is not None:
        filters.append(notch_sos(notch, sfreq=sfreq))
    if band is not None:
        filters.append(bandpass_sos(*band, sfreq=sfreq))
    if not filters:
        return
    sos = np.concatenate(filters)
    for start, stop in continuous_spans(raw):
        x = raw.get_data(start=start, stop=stop)
        y, _ = filter_step(x, filter_start(sos, x[:, 0]), sos)
        raw._data[:, start:stop] = y  # MNE has no public way to write into a part of a Raw


def continuous_spans(raw: BaseRaw) -> list[tuple[int, int]]:
    """Sample ranges ``[start, stop)`` between the places where a recording was joined.

    They are where an annotation starts with "edge" or "bad boundary", as MNE writes them when it
    concatenates recordings.
    """
    cuts = {0, raw.n_times}
    for annotation in raw.annotations:
        words = str(annotation["description"]).lower()
        if words.startswith(("edge", "bad boundary")):
            sample = round((annotation["onset"] - raw.first_time) * raw.info["sfreq"])
            cuts.add(int(np.clip(sample, 0, raw.n_times)))
    edges = sorted(cuts)
    return list(zip(edges[:-1], edges[1:], strict=True))


def resample_raw(raw: BaseRaw, sfreq: float, *, causal: bool, band: Band) -> BaseRaw:
    """The recording at `sfreq` Hz.

    Raises
    ------
    SignalError
        If `sfreq` is not positive; or, with `causal`, if it does not divide the present rate or
        no low-pass filter protects it from aliasing.
    """
    old = float(raw.info["sfreq"])
    if sfreq <= 0:
        raise SignalError(f"preprocess.resample = {sfreq} Hz is not a sampling rate.")
    if not causal:
        return raw.resample(sfreq, verbose="ERROR")
    factor = old / sfreq
    high = band[1] if band else None
    if round(factor) != factor or factor < 1:
        raise SignalError(
            f"Causal resampling keeps every n-th sample, and {old:g} Hz is not a whole multiple "
            f"of {sfreq:g} Hz. Choose {', '.join(f'{old / n:g}' for n in (2, 3, 4, 5))} Hz, or "
            f"preprocess.filter='zero-phase'."
        )
    if high is None or high >= sfreq / 2:
        raise SignalError(
            f"Keeping every {factor:g}-th sample folds what lies above {sfreq / 2:g} Hz into the "
            f"band. Set the upper edge of preprocess.band below {sfreq / 2:g} Hz."
        )
    return _keep_every(raw, int(factor))


def _keep_every(raw: BaseRaw, factor: int) -> BaseRaw:
    """Every `factor`-th sample, the first included, as a new Raw with the same annotations."""
    import mne

    info = raw.info.copy()
    with info._unlock():
        info["sfreq"] = raw.info["sfreq"] / factor
    thin = mne.io.RawArray(raw.get_data()[:, ::factor], info, verbose="ERROR")
    onset = raw.annotations.onset - raw.first_time
    thin.set_meas_date(None)
    return thin.set_annotations(
        mne.Annotations(onset, raw.annotations.duration, raw.annotations.description),
        verbose="ERROR",
    )
