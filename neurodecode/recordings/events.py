"""Markers of a recording as annotations that are called like classes."""

from collections.abc import Mapping

import mne
import numpy as np
from mne.io import BaseRaw

BOUNDARIES = ("bad", "edge")  # annotations about the signal, in MNE's spelling


def replace_annotations(raw: BaseRaw, annotations: mne.Annotations) -> BaseRaw:
    """The recording with these annotations (onsets from its first sample), its bad spans kept."""
    kept = [i for i, a in enumerate(raw.annotations) if is_boundary(a["description"])]
    before = raw.annotations[kept]
    raw.set_annotations(annotations, verbose="ERROR")
    return raw.set_annotations(raw.annotations + before, verbose="ERROR") if kept else raw


def name_events(raw: BaseRaw, markers: Mapping[str, str]) -> BaseRaw:
    """The recording with class names for descriptions; other markers go, bad spans stay.

    Parameters
    ----------
    raw
        Changed in place.
    markers
        Class for each description.
    """
    annotations = raw.annotations.copy()
    names = [markers.get(str(d)) for d in annotations.description]
    keep = [
        i for i, (a, name) in enumerate(zip(annotations, names, strict=True))
        if name is not None or is_boundary(a["description"])
    ]  # fmt: skip
    words = [names[i] or str(annotations.description[i]) for i in keep]
    annotations = annotations[keep]
    annotations.description = np.array(words, dtype=str)
    return raw.set_annotations(annotations, verbose="ERROR")


def is_boundary(description: str) -> bool:
    """Whether an annotation is about the signal: a bad span, or an edge between pieces."""
    return str(description).lower().startswith(BOUNDARIES)


def stim_to_annotations(raw: BaseRaw) -> BaseRaw:
    """The recording with the codes of its stimulus channels as annotations, if it has any."""
    names = stim_channels(raw)
    if not names:
        return raw
    # BioSemi keeps its own state in the bits above 16.
    events = mne.find_events(
        raw, names, shortest_event=1, mask=0xFFFF, mask_type="and", verbose="ERROR"
    )
    onset = (events[:, 0] - raw.first_samp) / raw.info["sfreq"]
    codes = mne.Annotations(onset, 0.0, [str(code) for code in events[:, 2]])
    return replace_annotations(raw, codes)


def without_stim(raw: BaseRaw) -> BaseRaw:
    """The recording without its stimulus channels; changed in place.

    Where there is one, MOABB reads it and forgets the annotations.
    """
    return raw.drop_channels(stim_channels(raw))


def stim_channels(raw: BaseRaw) -> list[str]:
    """Names of the stimulus channels."""
    return [raw.ch_names[i] for i in mne.pick_types(raw.info, meg=False, stim=True, exclude=())]
