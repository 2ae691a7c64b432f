"""Recordings of the lab streaming layer: the EEG stream of an XDF file, with its markers.

Format: XDF 1.0, https://github.com/sccn/xdf/wiki/Specifications; names of the description fields
as in its EEG meta-data page. Clocks are synchronised and time stamps dejittered by pyxdf.
"""

import gzip
import io
import logging
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import mne
import numpy as np
import pyxdf
from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.core.errors import RecordingError, UnknownName
from neurodecode.recordings.arrays import logger, raw_from_array, volts_in

EEG_RATE = 100.0  # Hz; slower streams of numbers are motion, heart rate, battery, ...
NOT_EEG = ("audio", "video", "gaze", "mocap", "acc", "gyro", "position", "emg", "ecg", "ppg")
TYPES = {"eeg", "eog", "ecg", "emg", "stim", "misc", "bio"}
PACKED = (".xdfz", ".gz")
SIZES = {1: "<B", 4: "<I", 8: "<Q"}  # how the length of a chunk may be written
BOUNDARY = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")  # stands between chunks now and then
COMMANDS = "neurodecode-commands"  # stream of what the live loop commanded
NOTE = "neurodecode:"  # begins what the live loop notes among the markers, which is no event


def read_xdf(
    path: Path,
    *,
    stream: str | None = None,
    ch_names: Sequence[str] | None = None,
    unit: str | None = None,
) -> BaseRaw:
    """Raw of the EEG stream of an XDF file; see `read.read_raw` for the arguments.

    Without `stream`, the EEG stream is the one of type EEG; where no stream has that type, the
    only stream of numbers at 100 Hz or more. The sampling rate is the nominal one. Markers become
    annotations at the sample that was taken at their time on the synchronised clock, so a device
    that runs slow or pauses does not shift them. A pause is annotated as a boundary. Commands of
    our live loop are annotated as "command/LABEL", so that they are not taken for events; its
    decisions, and what it notes of itself among the markers, are left out. A recording that was
    cut off is read up to there. Samples that are not numbers are annotated as bad.
    """
    streams = _load(path)
    eeg = _choose(path, streams, stream)
    values = np.asarray(eeg["time_series"], dtype=float).T  # (n_chans, n_samples)
    channels = channels_of(eeg, n_chans=values.shape[0])
    if ch_names is None:
        ch_names = [text(c, "label") or f"EEG {i + 1}" for i, c in enumerate(channels)]
    if len(ch_names) != len(channels):
        raise RecordingError(
            f"{path} has {len(channels)} channels, but {len(ch_names)} names. Give ch_names, one "
            f"for each channel."
        )
    types = [_type(text(c, "type")) for c in channels]
    units = [unit or text(c, "unit") for c in channels]
    volts = values * _scales(path, units, types)[:, None]
    sfreq = float(eeg["info"]["nominal_srate"][0])
    volts, lost = _without_holes(path, volts, sfreq)
    raw = raw_from_array(volts, sfreq=sfreq, ch_names=ch_names, ch_types=types, path=path)
    effective = float(eeg["info"]["effective_srate"])
    if abs(effective / sfreq - 1) > 0.01:
        logger.warning("%s: nominal rate %g Hz, measured %.2f Hz", path, sfreq, effective)
    marks = _pauses(path, eeg, sfreq) + _markers(path, streams, eeg, sfreq)
    onset, description = zip(*sorted(marks), strict=True) if marks else ((), ())
    return raw.set_annotations(mne.Annotations(onset, 0.0, description) + lost, verbose="ERROR")


def _without_holes(
    path: Path, x: NDArray[np.float64], sfreq: float
) -> tuple[NDArray[np.float64], mne.Annotations]:
    """Samples that an amplifier did not send hold the value before them, and are annotated bad.

    A channel without any number stays as it is, and is refused later.
    """
    holes = ~np.isfinite(x)
    holes[holes.all(axis=1)] = False
    if not holes.any():
        return x, mne.Annotations([], [], [])
    index = np.maximum.accumulate(np.where(holes, 0, np.arange(x.shape[1])), axis=1)
    filled = np.take_along_axis(x, index, axis=1)
    filled[~np.isfinite(filled) & holes] = 0.0  # before the first number
    edges = np.flatnonzero(np.diff(np.r_[False, holes.any(axis=0), False]))
    starts, stops = edges[::2], edges[1::2]
    logger.warning(
        "%s: samples that are not numbers in %d stretches, %.2f s; they are annotated BAD_lost",
        path,
        len(starts),
        (stops - starts).sum() / sfreq,
    )
    words = ["BAD_lost"] * len(starts)
    return filled, mne.Annotations(starts / sfreq, (stops - starts) / sfreq, words)


class _Collect(logging.Handler):
    """Keeps what pyxdf logs: it reports a damaged file that way, and goes on with a part of it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self.said.append(record.getMessage())


def as_recorded(path: Path) -> list[Any]:
    """Every stream of an XDF file as pyxdf gives it, with the time stamps that were written.

    Raises
    ------
    RecordingError
        If it is not there, or is not a whole XDF file.
    """
    if not path.is_file():
        raise RecordingError(f"There is no file {path}. Check the path.")
    return _load(path, synchronize_clocks=False, dejitter_timestamps=False)


def _load(path: Path, **how: bool) -> list[Any]:
    log, collect = logging.getLogger("pyxdf"), _Collect()
    log.addHandler(collect)
    try:
        opened, cut = _open(path)
        with opened as file:  # opened here, because pyxdf leaves a file that it refuses open
            streams, _ = pyxdf.load_xdf(file, **how)
    except Exception as error:  # whatever the damaged bytes lead to
        collect.said.append(str(error) or type(error).__name__)
        streams, cut = [], False
    finally:
        log.removeHandler(collect)
    if cut and not any(len(stream["time_stamps"]) for stream in streams):
        collect.said.append("it ends before the first samples")
    if collect.said:
        reason = collect.said[0].split("\n")[0].rstrip(".")
        raise RecordingError(
            f"{path} is not a whole XDF file ({reason}). Copy it again from where it was recorded."
        )
    if not all("footer" in stream for stream in streams):
        logger.warning(
            "%s has no proper end: it was cut off while it was recorded or copied. What is there "
            "is read",
            path,
        )
    return list(streams)


def _open(path: Path) -> tuple[BinaryIO, bool]:
    """The file, and whether a last chunk was left out because it is not whole."""
    if path.suffix in PACKED:
        return cast(BinaryIO, gzip.open(path, "rb")), False
    file = path.open("rb")
    size = path.stat().st_size
    end = _last_whole(file, size)
    file.seek(end if end < size else 0)
    if end == size:
        return file, False
    with file:
        if BOUNDARY in file.read():
            raise ValueError("a chunk before its end is damaged")
        file.seek(0)
        return io.BytesIO(file.read(end)), True


def _last_whole(file: BinaryIO, size: int) -> int:
    """Where the last chunk ends that is there as a whole, bytes from the beginning."""
    end = file.seek(4)  # "XDF:"
    while end < size:
        first = file.read(1)
        form = SIZES.get(first[0])
        if form is None:
            return size  # no chunk begins like this: damaged, not cut off
        length = file.read(struct.calcsize(form))
        after = end + 1 + len(length)
        if len(length) < struct.calcsize(form):
            return end
        after += struct.unpack(form, length)[0]
        if after > size:
            return end
        end = file.seek(after)
    return end


def _choose(path: Path, streams: Sequence[Any], name: str | None) -> Any:
    """The EEG stream."""
    regular = [
        s
        for s in streams
        if s["info"]["channel_format"][0] != "string"
        and float(s["info"]["nominal_srate"][0]) > 0
        and len(s["time_stamps"]) > 1
    ]
    if name is not None:
        found = [s for s in regular if text(s["info"], "name") == name]
    else:
        infos = [s["info"] for s in regular]
        facts = [(text(info, "type"), float(info["nominal_srate"][0])) for info in infos]
        found = [regular[i] for i in likely_eeg(facts)]
    if len(found) == 1:
        return found[0]
    held = ", ".join(
        f"'{text(s['info'], 'name')}' ({text(s['info'], 'type') or 'no type'}, "
        f"{float(s['info']['nominal_srate'][0]):g} Hz, {len(s['time_stamps'])} samples)"
        for s in (found or streams)
    )
    if found:
        raise RecordingError(
            f"{path} holds {len(found)} streams that may be the EEG: {held}. Give stream, the name "
            f"of one."
        )
    asked = "EEG stream" if name is None else f"stream of samples called '{name}'"
    raise RecordingError(
        f"{path} holds no {asked}; it holds {held or 'no stream at all'}. Give stream, the name of "
        f"one that samples at a fixed rate, or record again with the EEG stream ticked."
    )


def likely_eeg(streams: Sequence[tuple[str, float]]) -> list[int]:
    """Which of some streams of numbers, each (type, nominal rate in Hz), may be the EEG.

    Those of type EEG; where none has that type, those at 100 Hz or more that say nothing else.
    """
    kinds = [kind.lower() for kind, _ in streams]
    return [i for i, kind in enumerate(kinds) if kind == "eeg"] or [
        i
        for i, (kind, (_, sfreq)) in enumerate(zip(kinds, streams, strict=True))
        if sfreq >= EEG_RATE and not kind.startswith(NOT_EEG)
    ]


def text(node: Any, key: str) -> str:
    """One field of an XDF description, blank where it is missing."""
    value = (node.get(key) or [""])[0] if isinstance(node, Mapping) else ""
    return (value or "").strip() if isinstance(value, str | None) else ""


def channels_of(stream: Any, *, n_chans: int) -> list[Any]:
    """Description of each channel; empty ones where the stream does not describe them all."""
    node: Any = stream["info"].get("desc")
    for key in (0, "channels", 0, "channel"):
        if isinstance(key, str):
            node = node.get(key) if isinstance(node, Mapping) else None
        else:
            node = node[key] if node else None
    return list(node) if node and len(node) == n_chans else [{}] * n_chans


def _type(word: str) -> str:
    """MNE's channel type; a stream that does not say means EEG."""
    word = word.lower() or "eeg"
    return word if word in TYPES else "misc"


def _scales(path: Path, units: Sequence[str], types: Sequence[str]) -> NDArray[np.float64]:
    """Volts in one unit of each channel; 1 for those that are no voltage."""
    if "" in units:
        logger.warning("%s does not say its unit: taken as microvolts, LSL's custom", path)
    scales = [1.0] * len(units)
    for i, (unit, kind) in enumerate(zip(units, types, strict=True)):
        if kind in ("misc", "stim"):
            continue
        try:
            scales[i] = volts_in(unit or "uV")
        except UnknownName as error:
            raise RecordingError(
                f"{path} states its unit as '{unit}', which is no voltage. Give unit: V, mV, uV or "
                f"nV."
            ) from error
    return np.array(scales)


def _pauses(path: Path, eeg: Any, sfreq: float) -> list[tuple[float, str]]:
    """MNE's pair of boundary annotations, (onset in s, description), where the device paused."""
    starts = [first for first, _ in eeg["info"]["segments"][1:]]
    if starts:
        logger.warning("%s: the EEG stream pauses %d times; see its boundaries", path, len(starts))
    return [(s / sfreq, f"{word} boundary") for s in starts for word in ("BAD", "EDGE")]


def _markers(path: Path, streams: Sequence[Any], eeg: Any, sfreq: float) -> list[tuple[float, str]]:
    """(onset in s, description) of every marker that falls into the recording."""
    clock = np.asarray(eeg["time_stamps"])
    marks, outside = [], 0
    for stream in streams:
        if float(stream["info"]["nominal_srate"][0]) > 0 or stream is eeg:
            continue
        if text(stream["info"], "type") == "Decision":
            continue
        prefix = "command/" if text(stream["info"], "name") == COMMANDS else ""
        for time, value in zip(stream["time_stamps"], stream["time_series"], strict=True):
            words = [v.strip() if isinstance(v, str) else f"{v:g}" for v in value]
            description = "/".join(word for word in words if word)
            if description.startswith(NOTE):
                continue
            sample = float(np.interp(time, clock, np.arange(clock.size)))
            if not clock[0] - 0.5 / sfreq <= time <= clock[-1] + 0.5 / sfreq:
                outside += 1
            elif description:
                marks.append((sample / sfreq, prefix + description))
    if outside:
        logger.warning("%s: %d markers lie outside the EEG stream and are left out", path, outside)
    return marks
