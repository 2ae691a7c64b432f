"""Finding streams."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurodecode.core.errors import ConfigError, RecordingError
from neurodecode.online.lsl.library import clock, load_lsl, session_id
from neurodecode.recordings.xdf import likely_eeg

FORMATS = ("undefined", "float32", "double64", "string", "int32", "int16", "int8", "int64")
DTYPES = {
    "float32": np.float32,
    "double64": np.float64,
    "int32": np.int32,
    "int16": np.int16,
    "int8": np.int8,
    "int64": np.int64,
}
OTHERS = 1.0  # s that other streams than the first have to show up


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A stream that was found: what it says of itself before it is opened."""

    info: Any = field(repr=False)  # pylsl's, without a description
    name: str
    kind: str
    source_id: str
    uid: str
    host: str
    sfreq: float  # Hz, 0 where samples come irregularly
    n_chans: int
    fmt: str

    def __str__(self) -> str:
        rate = f"{self.sfreq:g} Hz" if self.sfreq else "irregular"
        ident = f"source id '{self.source_id}'" if self.source_id else "no source id"
        return f"'{self.name}' ({self.kind or 'no type'}, {self.n_chans} channels, {rate}, {ident})"


def find_streams(
    *,
    kind: str | None = None,
    name: str | None = None,
    source_id: str | None = None,
    timeout: float = 1.0,
    n: int | None = None,
) -> list[Found]:
    """Streams of this session, sorted by name.

    Parameters
    ----------
    kind, name, source_id
        What they must be, word for word: LSL's type, name and source id.
    timeout
        How long to look, s. Below 0.5 s, streams that are there may be missed.
    n
        Come back as soon as so many are there; by default all of `timeout` is used.
    """
    pylsl = load_lsl()
    asked = {"type": kind, "name": name, "source_id": source_id}
    terms = [f"{key}={quoted(word)}" for key, word in asked.items() if word is not None]
    if terms:
        infos = pylsl.resolve_bypred(" and ".join(terms), minimum=n or 0, timeout=timeout)
    elif n:
        # Every stream has a name, so that this is all streams, and yet comes back early.
        infos = pylsl.resolve_bypred("count(name)=1", minimum=n, timeout=timeout)
    else:
        infos = pylsl.resolve_streams(wait_time=timeout)
    found = [_found(info) for info in infos]
    return sorted(found, key=lambda stream: (stream.name, stream.source_id, stream.uid))


def quoted(word: str) -> str:
    """A string of XPath 1.0, which knows no escapes."""
    if "'" in word and '"' in word:
        raise ConfigError(f"{word} holds both kinds of quotes, which LSL cannot look for. Rename.")
    return f'"{word}"' if "'" in word else f"'{word}'"


def _found(info: Any) -> Found:
    return Found(
        info=info,
        name=info.name(),
        kind=info.type(),
        source_id=info.source_id(),
        uid=info.uid(),
        host=info.hostname(),
        sfreq=float(info.nominal_srate()),
        n_chans=int(info.channel_count()),
        fmt=FORMATS[info.channel_format()],
    )


def choose_signal(name: str | None = None, timeout: float = 5.0) -> Found:
    """The EEG stream of this session.

    Parameters
    ----------
    name
        Its name or source id. By default the one stream of type EEG; where none has that type,
        the one stream of numbers at 100 Hz or more.
    timeout
        How long to wait for a stream, s. After the first, others are looked for during 1 s.

    Raises
    ------
    RecordingError
        If there is none, there are several, or it has no source id; the message lists them.
    """
    end = clock() + timeout
    found: list[Found] = []
    fitting: list[Found] = []
    while not fitting and (left := end - clock()) > 0:
        if find_streams(n=1, timeout=left):
            found = find_streams(timeout=OTHERS)
            fitting = _fitting(found, name)
    asked = f"an EEG stream called '{name}'" if name else "an EEG stream"
    if not fitting:
        there = ", ".join(map(str, found)) or "no stream at all"
        raise RecordingError(
            f"Waited {timeout:g} s for {asked} in LSL session '{session_id()}'; there is {there}. "
            f"Start the stream, or `neurodecode replay`, or give its name."
        )
    if len(fitting) > 1:
        raise RecordingError(
            f"Looked for {asked}, but there are {len(fitting)}: {', '.join(map(str, fitting))}. "
            f"Give the name or source id of one, or stop the others."
        )
    if not fitting[0].source_id:
        raise RecordingError(
            f"The stream {fitting[0]} could not be found again after an interruption. Give it a "
            f"source id where it is made, such as the serial number of the amplifier."
        )
    return fitting[0]


def _fitting(found: Sequence[Found], name: str | None) -> list[Found]:
    """Streams that may be the EEG."""
    regular = [stream for stream in found if stream.fmt in DTYPES and stream.sfreq > 0]
    if name is not None:
        return [stream for stream in regular if name in (stream.name, stream.source_id)]
    return [regular[i] for i in likely_eeg([(stream.kind, stream.sfreq) for stream in regular])]
