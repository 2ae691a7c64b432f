"""What a stream says of itself, from its description.

Names of the fields: https://github.com/sccn/xdf/wiki/EEG-Meta-Data
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import RecordingError, UnknownName
from neurodecode.recordings.arrays import volts_in
from neurodecode.recordings.montage import tidy_name, type_of

VOLTAGES = ("eeg", "eog", "ecg", "emg", "seeg", "ecog", "dbs", "bio")
OTHER_TYPES = ("stim", "misc")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamFacts:
    """What a stream of signals says of itself.

    Attributes
    ----------
    name, kind, source_id, uid
        As in LSL, which calls the kind its type. `uid` is another one whenever the stream is
        started again.
    sfreq
        Nominal sampling rate, Hz.
    ch_names
        In 10-05 spelling where they are that; E1, E2, ... where the stream has none.
    ch_types
        MNE's words.
    scales
        Volts in one unit of each channel, (n_chans,); 1 for those that are no voltage.
    fmt
        "float32", "double64", "int16", ...
    playing
        What our replay says that it plays: dataset, subject, session, run, speed. Else empty.
    xml
        The whole description, as it is kept in XDF files.
    """

    name: str
    kind: str
    source_id: str
    uid: str
    sfreq: float
    ch_names: tuple[str, ...]
    ch_types: tuple[str, ...]
    scales: NDArray[np.float64]
    fmt: str
    playing: Mapping[str, str]
    xml: str = field(repr=False)


def facts_of(xml: str) -> StreamFacts:
    """What a description in LSL's XML says.

    Raises
    ------
    RecordingError
        If it is damaged, states a unit that is no voltage, or names two channels alike.
    """
    try:
        root = ElementTree.fromstring(xml)
        n_chans = int(_text(root, "channel_count"))
        sfreq = float(_text(root, "nominal_srate"))
    except (ElementTree.ParseError, ValueError) as error:
        raise RecordingError(
            f"A stream describes itself in damaged XML ({error}). Update what makes the stream."
        ) from error
    name = _text(root, "name")
    channels = root.findall("./desc/channels/channel")
    if len(channels) != n_chans:
        channels = [ElementTree.Element("channel")] * n_chans
    names = _names(name, channels)
    types = [_type(_text(c, "type"), word) for c, word in zip(channels, names, strict=True)]
    units = [_text(channel, "unit") for channel in channels]
    return StreamFacts(
        name=name,
        kind=_text(root, "type"),
        source_id=_text(root, "source_id"),
        uid=_text(root, "uid"),
        sfreq=sfreq,
        ch_names=names,
        ch_types=tuple(types),
        scales=np.array([_scale(name, u, t) for u, t in zip(units, types, strict=True)]),
        fmt=_text(root, "channel_format"),
        playing={node.tag: (node.text or "").strip() for node in root.findall("./desc/playing/*")},
        xml=xml,
    )


def _text(node: ElementTree.Element, key: str) -> str:
    return (node.findtext(key) or "").strip()


def _names(stream: str, channels: Sequence[ElementTree.Element]) -> tuple[str, ...]:
    """Tidy names; where two would become one, both stay as they are."""
    labels = [_text(channel, "label") or f"E{i + 1}" for i, channel in enumerate(channels)]
    repeated = sorted(label for label, n in Counter(labels).items() if n > 1)
    if repeated:
        raise RecordingError(
            f"The stream '{stream}' has more than one channel called {', '.join(repeated)}. Name "
            f"each channel once where the stream is made."
        )
    return tidy_labels(labels)


def tidy_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Names as recordings have them; where two would become one, both stay as they are."""
    tidy = [tidy_name(label) for label in labels]
    taken = Counter([*tidy, *labels])
    return tuple(
        new if new == old or taken[new] == 1 else old for old, new in zip(labels, tidy, strict=True)
    )


def _type(word: str, name: str) -> str:
    """MNE's channel type; a stream that does not say means EEG, unless the name tells."""
    word = word.lower() or "eeg"
    if word == "eeg":
        return type_of(name) or word
    return word if word in VOLTAGES + OTHER_TYPES else "misc"


def _scale(stream: str, unit: str, kind: str) -> float:
    """Volts in one unit; LSL's custom where none is stated is microvolts."""
    if kind in OTHER_TYPES:
        return 1.0
    try:
        return volts_in(unit or "uV")
    except UnknownName as error:
        raise RecordingError(
            f"The stream '{stream}' states its unit as '{unit}', which is no voltage. State V, mV, "
            f"uV or nV where the stream is made."
        ) from error
