"""A recording to EDF+: 16 bits a sample, names of 16 characters, times of 8.

Layout: "European data format 'plus' (EDF+), an EDF alike standard format for the exchange of
physiological data", Clinical Neurophysiology 2003, doi:10.1016/S1388-2457(03)00123-8.
"""

import datetime
import re
import warnings
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError
from neurodecode.recordings.montage import type_of

LONGEST_NAME = 16
DATES = (1985, 2084)
"""First and last year that EDF can tell; it keeps two digits."""
ERROR = 0.05
"""Largest error of rounding to 16 bits that is not worth a word, uV."""
VOLTAGES = ("eeg", "eog", "ecg", "emg", "seeg", "ecog", "dbs", "bio")
LEVELS = 32767
"""Steps on each side of zero."""
RECORD = 1.0
"""Usual length of a data record, s."""


def check_edf(raw: BaseRaw, path: Path) -> None:
    """Refuse channels whose names EDF cannot hold.

    Raises
    ------
    ConfigError
        For a name of more than 16 characters, or with any that is not ASCII.
    """
    wrong = [n for n in raw.ch_names if len(n) > LONGEST_NAME or not n.isascii()]
    if wrong:
        raise ConfigError(
            f"{path} cannot be written: EDF names channels in {LONGEST_NAME} ASCII characters, "
            f"which {', '.join(map(repr, wrong[:5]))} do not fit. Write .fif instead."
        )


def write_edf(raw: BaseRaw, path: Path) -> list[str]:
    """Write a recording as EDF+, and say what was not kept.

    Voltages are in uV, each channel scaled to its own range, so that the error of rounding is at
    most the range / 131,068. Annotations, date, sex, hand, birthday and name are kept. Bad
    channels are not part of EDF: each is an annotation without length at 0 s, "channel NAME marked
    bad", whose words do not begin with "bad", so that no reader drops the data. Values that are
    not finite are written as 0. A last record that would not be full is filled with the last
    value, and that is annotated as BAD_ACQ_SKIP. Positions are not part of EDF; names stand for
    them.

    Parameters
    ----------
    raw
        Recording, loaded, V.
    path
        File to write; one that is there is replaced.

    Returns
    -------
    list of str
        A sentence for each thing that was not kept, or not exactly.
    """
    import edfio

    remarks: list[str] = []
    n_record, duration, n_pad = _records(raw.n_times, float(raw.info["sfreq"]))
    rate = n_record / duration
    signals, coarse, holes = [], {}, []
    filters = f"HP:{raw.info['highpass']:g}Hz LP:{raw.info['lowpass']:g}Hz"
    for i, (name, kind) in enumerate(zip(raw.ch_names, raw.get_channel_types(), strict=True)):
        x = np.pad(raw.get_data([i])[0], (0, n_pad), mode="edge")
        finite = np.isfinite(x)
        if not finite.all():
            holes.append(name)
            x = np.where(finite, x, 0.0)
        volts = kind in VOLTAGES
        x = x * 1e6 if volts else x
        limits = _limits(x)
        if volts and (error := (limits[1] - limits[0]) / (4 * LEVELS)) > ERROR:
            coarse[name] = error
        signals.append(
            edfio.EdfSignal(
                x,
                rate,
                label=name,
                physical_dimension="uV" if volts else "",
                physical_range=limits,
                digital_range=(-LEVELS, LEVELS),
                prefiltering=filters,  # the same of all channels, or readers warn
            )
        )
    if coarse:
        worst = max(coarse, key=lambda name: coarse[name])
        remarks.append(
            f"EDF keeps 16 bits: {len(coarse)} channels are rounded by more than {ERROR:g} uV "
            f"({worst} by up to {coarse[worst]:.2g} uV). Write .fif to keep them exactly."
        )
    if holes:
        remarks.append(f"EDF has no word for missing values: {', '.join(holes)} hold 0 there.")
    start = raw.info["meas_date"]
    if start is not None and not DATES[0] <= start.year <= DATES[1]:
        remarks.append(
            f"EDF knows the years {DATES[0]} to {DATES[1]}; {start:%Y-%m-%d} was left out."
        )
        start = None
    remarks += _about_channels(raw)
    if n_pad:
        remarks.append(
            f"EDF has records of equal length: {n_pad} samples were added at the end, annotated "
            f"as BAD_ACQ_SKIP."
        )
    if abs(rate / raw.info["sfreq"] - 1) > 1e-7:
        remarks.append(
            f"EDF cannot hold {raw.info['sfreq']:.8g} Hz exactly; {rate:.8g} is written."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # edfio tells of what is told here
        edfio.Edf(
            signals,
            patient=_patient(raw.info["subject_info"] or {}, edfio.Patient),
            recording=edfio.Recording(startdate=start.date() if start else None),
            starttime=start.time() if start else None,
            data_record_duration=duration,
            annotations=[edfio.EdfAnnotation(*a) for a in _annotations(raw, n_pad)],
        ).write(path)
    return remarks


def _limits(x: NDArray[np.float64]) -> tuple[float, float]:
    """Physical range that holds all values; whole numbers of 16 bits are kept exactly."""
    low, high = float(x.min()), float(x.max())
    if max(-low, high) <= LEVELS and np.array_equal(x, np.rint(x)):
        return -LEVELS, LEVELS
    return (low, high) if high > low else (low - 1, low + 1)


def _records(n_times: int, sfreq: float) -> tuple[int, float, int]:
    """Samples in a record, its length (s), and samples to add so that the last is full.

    A length that divides the recording and has at most 8 characters is preferred, because then
    nothing is added; among those the one nearest to `RECORD`.
    """

    def kept(n: int) -> float:
        return float(f"{n / sfreq:.6f}"[:8])

    def exact(n: int) -> bool:
        return kept(n) > 0 and abs(kept(n) * sfreq / n - 1) < 1e-9

    def far(n: int) -> float:
        return abs(float(np.log(n / (RECORD * sfreq))))

    divisors = {d for k in range(1, int(n_times**0.5) + 1) if n_times % k == 0
                for d in (k, n_times // k)}  # fmt: skip
    whole = [d for d in divisors if exact(d) and 0.1 <= d / sfreq <= 60]
    if whole:
        n = min(whole, key=far)
        return n, kept(n), 0
    second = Fraction(sfreq).limit_denominator(1000)
    near = range(max(1, int(sfreq / 2)), int(2 * sfreq) + 2)
    n = second.numerator if second.denominator == 1 else min(
        near, key=lambda m: abs(kept(m) * sfreq / m - 1) if kept(m) else 1.0
    )  # fmt: skip
    return n, kept(n), -n_times % n


def _about_channels(raw: BaseRaw) -> list[str]:
    remarks = []
    bads = raw.info["bads"]
    if bads:
        remarks.append(
            f"EDF has no list of bad channels: {', '.join(bads)} are named in annotations at 0 s."
        )
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    lost = [f"{n} ({t})" for n, t in types.items() if t != "eeg" and type_of(n) != t]
    if lost:
        remarks.append(f"EDF does not keep the type of {', '.join(lost[:8])}.")
    return remarks


def _annotations(raw: BaseRaw, n_pad: int) -> list[tuple[float, float | None, str]]:
    """Onset and length, s, and words of every annotation of the file."""
    marks = raw.annotations
    shift = raw.first_time if marks.orig_time is not None else 0.0
    found: list[tuple[float, float | None, str]] = []
    for onset, length, words, names in zip(
        marks.onset - shift, marks.duration, marks.description, marks.ch_names, strict=True
    ):
        # MNE writes and reads the channels of an annotation in this way.
        at = round(float(onset), 6), round(float(length), 6)
        found += [(*at, f"{words}{tail}") for tail in [f"@@{n}" for n in names] or [""]]
    found += [(0.0, None, f"channel {name} marked bad") for name in raw.info["bads"]]
    if n_pad:
        sfreq = float(raw.info["sfreq"])
        found.append((round(raw.n_times / sfreq, 6), round(n_pad / sfreq, 6), "BAD_ACQ_SKIP"))
    return found


def _patient(subject: Any, make: Any) -> Any:
    """Header field of the person: code, sex, birthday and name, and the hand."""

    def word(text: object, longest: int) -> str:
        plain = str(text or "").encode("ascii", "replace").decode()
        return re.sub(r"\s+", "_", plain.strip())[:longest] or "X"

    names: Sequence[str] = [
        subject.get(f"{part}_name") or "" for part in ("first", "middle", "last")
    ]
    birthday = subject.get("birthday")
    if isinstance(birthday, tuple):
        birthday = datetime.date(*birthday)
    hand = {1: "right", 2: "left", 3: "ambidextrous"}.get(subject.get("hand"))
    sex = {1: "M", 2: "F"}.get(subject.get("sex"), "X")
    return make(
        code=word(subject.get("his_id"), 20),
        sex=sex,
        birthdate=birthday,
        name=word("_".join(filter(None, names)), 25),
        additional=[f"hand={hand}"] if hand else [],
    )
