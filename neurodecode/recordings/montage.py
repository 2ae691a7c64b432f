"""Channel names in 10-05 spelling, the types they tell, and the positions they stand for."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import mne
import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.signal.sphere import on_sphere

# The four temporal sites that the 10-10 system renamed; both names are one place on the head.
RENAMED = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
EARS = ("A1", "A2")

PREFIX = re.compile(r"^(EEG|POL)[ _-]+", re.IGNORECASE)
REFERENCE = re.compile(r"[-_](REF|LE|AVG|AR)$", re.IGNORECASE)
TYPES = (
    ("eog", re.compile(r"\b[hv]?eog", re.IGNORECASE)),
    ("ecg", re.compile(r"\be[ck]g", re.IGNORECASE)),
    ("emg", re.compile(r"\bemg", re.IGNORECASE)),
    ("stim", re.compile(r"^(status|sti ?\d+|stim|trig(ger)?|markers?)( ?\d+)?$", re.IGNORECASE)),
    (
        "misc",
        re.compile(
            r"^([am][12]-[am][12]|((left|right) )?aux ?\d*|[as][ap]o2\b.*|resp.*|gsr|pleth|temp"
            r"|acc[ _-]?[xyz\d]|gyro?[ _-]?[xyz\d]|dc ?\d+)$",
            re.IGNORECASE,
        ),
    ),
)


@cache
def cap_1005() -> Any:
    """Montage of the 10-05 system; on the names that both have, the same as the 10-20 cap."""
    # MNE renamed it in 1.13, and warns at the old name; drop the second when 1.12 goes.
    names = ("colin27_1005", "standard_1005")
    known = mne.channels.get_builtin_montages()
    return mne.channels.make_standard_montage(next(name for name in names if name in known))


@cache
def _spellings() -> dict[str, str]:
    """10-05 name for each name in lower case, old temporal names included."""
    spelling = {name.lower(): name for name in cap_1005().ch_names}
    return spelling | {old.lower(): new for old, new in RENAMED.items()}


def tidy_name(name: str) -> str:
    """A channel name without its file's habits, in 10-05 spelling where it is one.

    ``"EEG FP1-REF"``, ``"Fp1."`` and ``"fp1"`` are all ``"Fp1"``, and ``"T3"`` is ``"T7"``. A
    derivation such as ``"Fp1-F7"`` stays: it is no place on the head.
    """
    text = PREFIX.sub("", name.strip().rstrip(".").strip())
    text = REFERENCE.sub("", text)
    if text.lower() in _spellings():
        return _spellings()[text.lower()]
    twice = re.fullmatch(r"(\w+) \1", text)  # "ECG ECG": type and name, as EDF+ writes them
    if twice:
        return twice[1]
    return text if text[:1].isalpha() else name.strip()  # "EEG 001" is not called "001"


def tidy_channel_names(raw: BaseRaw) -> BaseRaw:
    """The same recording, names in 10-05 spelling and types as names tell; changed in place.

    Only channels that the file calls EEG are looked at. Where two names would become one, both
    stay as they are. EOG, ECG, EMG, stimulus and other known channels get their type.
    """
    eeg = [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True)
           if kind == "eeg"]  # fmt: skip
    new = {name: tidy_name(name) for name in raw.ch_names if name in eeg}
    taken = Counter([*new.values(), *(name for name in raw.ch_names if name not in new)])
    new = {old: tidy if taken[tidy] == 1 else old for old, tidy in new.items()}
    raw.rename_channels({old: tidy for old, tidy in new.items() if old != tidy}, verbose="ERROR")
    types = {name: kind for name in new.values() if (kind := type_of(name)) is not None}
    if types:
        raw.set_channel_types(types, on_unit_change="ignore", verbose="ERROR")
    return raw


def type_of(name: str) -> str | None:
    """MNE's channel type that a name tells; nothing for an EEG channel or an unknown name."""
    return next((kind for kind, pattern in TYPES if pattern.search(name)), None)


def add_positions(raw: BaseRaw) -> BaseRaw:
    """The same recording, EEG channels placed on the 10-05 cap by name; changed in place.

    A recording that brings positions keeps them all: a measured head and a template do not mix.
    Names that the cap does not have are left without a position.
    """
    eeg = mne.pick_types(raw.info, meg=False, eeg=True, exclude=())
    if any(_has_position(raw.info["chs"][pick]) for pick in eeg):
        return raw
    names = [raw.ch_names[pick] for pick in eeg]
    if "A3" in names:  # caps that count A1 to A32 put no ear there
        names = [name for name in names if name not in EARS]
    cap = cap_1005().get_positions()
    places = {name: cap["ch_pos"][name] for name in names if name in cap["ch_pos"]}
    if places:
        fiducials = {key: cap[key] for key in ("nasion", "lpa", "rpa", "coord_frame")}
        montage = mne.channels.make_dig_montage(places, **fiducials)
        raw.set_montage(montage, on_missing="ignore", verbose="ERROR")
    return raw


CENTRE = (0.0, 0.014, 0.039)
"""Middle of the sphere that fits the electrodes of the standard cap, m, head coordinates."""


def electrode_directions(info: Any, ch_names: Sequence[str]) -> NDArray[np.float64] | None:
    """Directions of electrodes from the middle of the head, unit vectors (n_chans, 3).

    Nothing, if one of them has no position.
    """
    channels = [info["chs"][info["ch_names"].index(name)] for name in ch_names]
    if not all(_has_position(channel) for channel in channels):
        return None
    return on_sphere(np.array([ch["loc"][:3] for ch in channels]), np.array(CENTRE))


def _has_position(channel: Any) -> bool:
    place = np.asarray(channel["loc"][:3])
    return bool(np.isfinite(place).all() and place.any())


def channel_positions(raw: BaseRaw) -> NDArray[np.float64]:
    """Where the channels of a recording are, (n_chans, 3), m, head coordinates; NaN if unknown."""
    places = np.array([channel["loc"][:3] for channel in raw.info["chs"]], dtype=np.float64)
    places[~places.any(axis=1)] = np.nan  # MNE leaves zeros where nothing was set
    return places
