"""Whether a live session can be had again: its recording, decided on once more, offline.

A recording of `neurodecode online --record` holds the samples that were heard and the decisions
that were made of them. The same decoder is fed the same samples, in other chunks, and its decisions
are compared with those that were sent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import RecordingError, SignalError
from neurodecode.experiment.live import LiveRun
from neurodecode.online.decision import Decision, Status
from neurodecode.online.engine import Engine
from neurodecode.online.lsl.facts import tidy_labels
from neurodecode.recordings.arrays import volts_in
from neurodecode.recordings.xdf import NOTE, as_recorded, channels_of, text

SAME = 1e-6
"""Probabilities that differ by no more are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """How a session and its repetition compare.

    Attributes
    ----------
    n_decisions, n_valid
        In the recording: all, and those with probabilities.
    n_missing
        Decisions of the recording that the repetition does not make.
    n_other_status, n_other_command
        Decisions that differ in what they say.
    max_difference
        Largest difference of a probability.
    """

    n_decisions: int
    n_valid: int
    n_missing: int
    n_other_status: int
    n_other_command: int
    max_difference: float

    @property
    def same(self) -> bool:
        """Whether the session can be had again."""
        differ = self.n_missing + self.n_other_status + self.n_other_command
        return not differ and self.max_difference <= SAME


def verify(live: LiveRun, path: Path, **how: Any) -> Verified:
    """Decide again on the recording of a live session, and compare.

    Parameters
    ----------
    live
        The decoder that decided.
    path
        XDF file of `neurodecode online --record`.
    how
        As the session had it; see `LiveRun.engine`.

    Raises
    ------
    RecordingError
        If the file cannot be read, or is no recording of a live session.
    SignalError
        If the decoder needs a channel that was not recorded.
    """
    streams = as_recorded(path)
    decisions = [s for s in streams if text(s["info"], "type") == "Decision"]
    sent = _one(path, "streams of decisions", decisions, streams)
    n_values = int(text(sent["info"], "channel_count"))
    labels = [text(channel, "label") for channel in channels_of(sent, n_chans=n_values)]
    wanted = [f"p_{name}" for name in live.pipeline.classes]
    if [label for label in labels if label.startswith("p_")] != wanted:
        raise RecordingError(
            f"{path} holds decisions between other classes ({', '.join(labels)}) than those of "
            f"{live.run.id} ({', '.join(live.pipeline.classes)}). Name the run that was live."
        )
    values = dict(zip(labels, np.asarray(sent["time_series"], dtype=float).T, strict=True))
    regular = [s for s in streams if float(text(s["info"], "nominal_srate") or 0) > 0]
    signal = _one(path, "signals", regular, streams)
    x, stamps, sfreq = _samples(path, signal, live.pipeline.inputs)
    said = text(sent["info"]["desc"][0], "max_gap")
    engine = live.engine(sfreq, **{"max_gap": float(said) if said else None, **how})
    marks = _marks(streams)
    notes = {f"{NOTE}freeze": True, f"{NOTE}unfreeze": False}
    freezes = [(stamp, notes[label]) for stamp, label in marks if label in notes]
    told = [stamp for stamp, label in marks if not label.startswith(NOTE)]
    again = _again(engine, x, stamps, values, freezes, told if how.get("cued") else [])
    return _compare(values, wanted, list(again))


def _marks(streams: list[Any]) -> list[tuple[float, str]]:
    """Markers that the session heard, and notes about it: (time, s, label)."""
    return sorted(
        (float(stamp), str(values[0]))
        for stream in streams
        if text(stream["info"], "name") == "markers"
        for stamp, values in zip(stream["time_stamps"], stream["time_series"], strict=True)
    )


def _again(
    engine: Engine,
    x: NDArray[np.float64],
    stamps: NDArray[np.float64],
    values: Mapping[str, NDArray[np.float64]],
    freezes: list[tuple[float, bool]],
    cues: list[float],
) -> Iterator[Decision | None]:
    """The decision that stands for each of the recording; None where there is none."""
    at, half, last, cues = 0, 0.5 / engine.sfreq, np.nan, list(cues)
    for newest, made, status in zip(
        values["newest"], values["made"], values["status"], strict=True
    ):
        while freezes and freezes[0][0] < made:
            engine.freeze(freezes.pop(0)[1])
        if int(status) == Status.STALE and (newest == last or np.isnan(newest)):
            yield engine.stalled(made)  # it was said because nothing came
            continue
        stop = _after(stamps, at, newest, half)
        if stop is None:
            yield None
            continue
        while cues and cues[0] < made:  # told by then
            engine.cue(cues.pop(0))
        said = engine.push(x[:, at:stop], stamps[at:stop], now=made)
        at, last = stop, newest
        yield next((d for d in reversed(said) if abs(d.newest - newest) < half), None)


def _after(stamps: NDArray[np.float64], at: int, newest: float, half: float) -> int | None:
    """One past the first sample from `at` on that has a stamp; None where none has."""
    n = 1024
    while at < len(stamps):
        found = np.flatnonzero(np.abs(stamps[at : at + n] - newest) < half)
        if found.size:
            return at + int(found[0]) + 1
        if at + n >= len(stamps):
            return None
        n *= 2
    return None


def _compare(
    values: Mapping[str, NDArray[np.float64]], probas: list[str], again: list[Decision | None]
) -> Verified:
    status, command = values["status"].astype(int), values["command"].astype(int)
    sent = np.stack([values[name] for name in probas], axis=1)
    valid = np.asarray(np.isfinite(sent).all(axis=1))
    found = [(i, d) for i, d in enumerate(again) if d is not None]
    differences = [
        float(np.abs(d.proba - sent[i]).max()) for i, d in found if valid[i] and d.status.valid
    ]
    return Verified(
        n_decisions=len(status),
        n_valid=int(valid.sum()),
        n_missing=len(again) - len(found),
        n_other_status=sum(bool(d.status != status[i]) for i, d in found),
        n_other_command=sum(bool(d.command != command[i]) for i, d in found),
        max_difference=max(differences, default=0.0),
    )


def _one(path: Path, what: str, found: list[Any], streams: list[Any]) -> Any:
    if len(found) != 1:
        held = ", ".join(f"'{text(s['info'], 'name')}'" for s in streams) or "nothing"
        raise RecordingError(
            f"{path} holds {len(found)} {what}, and a live session has one (it holds {held}). Give "
            f"a file that `neurodecode online --record` has written."
        )
    return found[0]


def _samples(
    path: Path, signal: Any, wanted: tuple[str, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Samples of the decoder's channels, (n_chans, n_samples), V; their stamps; and the rate."""
    values = np.asarray(signal["time_series"], dtype=float).T
    channels = channels_of(signal, n_chans=len(values))
    names = tidy_labels([text(c, "label") or f"E{i + 1}" for i, c in enumerate(channels)])
    if missing := [name for name in wanted if name not in names]:
        raise SignalError(
            f"The decoder needs {', '.join(missing)}, which {path} does not hold. Name the run "
            f"that was live."
        )
    rows = [names.index(name) for name in wanted]
    scales = [volts_in(text(channels[row], "unit") or "uV") for row in rows]
    x = values[rows] * np.array(scales)[:, None]
    sfreq = float(signal["info"]["nominal_srate"][0])
    return x, np.asarray(signal["time_stamps"], dtype=float), sfreq
