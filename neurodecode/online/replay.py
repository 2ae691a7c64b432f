"""Plays recordings as an LSL stream, each sample with the time at which it would be measured.

A chunk is sent when its last sample is due, never before: a player that stamps into the future, or
sends early, makes every latency behind it look better than it is.
"""

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, RecordingError
from neurodecode.online import lsl
from neurodecode.recordings.xdf import NOTE

PAUSE = 1.0  # s between the stamps of two recordings: a gap, as between two runs
CHUNK = 0.04  # s of signal that are sent at once, unless otherwise asked
LOOK = 0.7  # s to look for a stream that has the name already
NAP = 0.1  # s after which a sleeping player looks whether to stop
LINGER = 0.5  # s in which what was sent last is fetched
EARLY = 3e-4  # s before its time at which the player wakes, and looks at the clock until then
N_KEPT = 65536  # chunks of which the lateness is known
BRAIN = ("eeg", "seeg", "ecog", "dbs")
NO_MARKERS = ("bad", "edge", "command/", NOTE)  # how annotations begin; what a loop said, too


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Played:
    """A recording to play.

    Attributes
    ----------
    x
        (n_chans, n_samples), V; channels that are no voltage in their own unit.
    sfreq
        Hz.
    ch_names, ch_types
        MNE's words.
    markers
        (time from the first sample in s, label), in order.
    labels
        What the stream says of it: dataset, subject, session, run.
    """

    x: NDArray[np.float64]
    sfreq: float
    ch_names: tuple[str, ...]
    ch_types: tuple[str, ...]
    markers: Sequence[tuple[float, str]] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """Of the recording, s."""
        return float(self.x.shape[1] / self.sfreq)


def played(
    raw: Any,
    labels: Mapping[str, str],
    markers: Sequence[tuple[float, str]] | None = None,
) -> Played:
    """A recording to play; its annotations are its markers.

    Boundaries, bad stretches and what a live loop commanded are none.

    Parameters
    ----------
    raw
        The recording, MNE's Raw.
    labels
        Where it comes from.
    markers
        In place of the annotations.

    Raises
    ------
    RecordingError
        If no channel is EEG.
    """
    types = tuple(raw.get_channel_types())
    if not set(BRAIN) & set(types):
        raise RecordingError(
            f"{' '.join(labels.values())} has no EEG channel, but {', '.join(sorted(set(types)))}. "
            f"Play a recording of a brain."
        )
    if markers is None:
        markers = [
            (float(mark["onset"]) - raw.first_time, str(mark["description"]))
            for mark in raw.annotations
            if not str(mark["description"]).lower().startswith(NO_MARKERS)
        ]
    return Played(
        x=raw.get_data(),
        sfreq=float(raw.info["sfreq"]),
        ch_names=tuple(raw.ch_names),
        ch_types=types,
        markers=sorted(markers),
        labels=dict(labels),
    )


@dataclass(slots=True, kw_only=True)
class Sent:
    """What was played.

    Attributes
    ----------
    n_samples, n_chunks, n_markers
        How many were sent.
    n_rounds
        How often the recordings were begun.
    seconds
        How long it took, s.
    late
        How late chunks were sent, s, the newest 65536.
    """

    n_samples: int = 0
    n_chunks: int = 0
    n_markers: int = 0
    n_rounds: int = 0
    seconds: float = 0.0
    late: NDArray[np.float64] = field(default_factory=lambda: np.zeros(N_KEPT))

    def percentiles(self, q: Sequence[float]) -> list[float]:
        """Percentiles `q` of how late chunks were sent, s; 0 where none was."""
        kept = self.late[: self.n_chunks]
        return np.percentile(kept, q).tolist() if kept.size else [0.0] * len(q)


def play(
    recordings: Sequence[Played],
    *,
    name: str = "neurodecode-replay",
    speed: float = 1.0,
    chunk: int | None = None,
    markers: bool = True,
    loop: bool = False,
    wait: bool = False,
    opened: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda text: None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[float, float], None] = lambda done, total: None,
    sent: Sent | None = None,
) -> Sent:
    """Play recordings one after the other, in real time or faster.

    Sample i of a recording has the stamp t0 + i / sfreq, in microvolts. Where the player was held
    up, it sends what is late at once; nothing is left out. With another speed than 1 the stamps
    stay those of a recording at its own rate, so that they leave the clock behind or are left
    behind by it.

    Parameters
    ----------
    recordings
        Alike in channels and sampling rate.
    name
        Of the stream of type EEG, and its source id; markers are a stream of words called
        NAME-markers.
    speed
        1 is real time.
    chunk
        Samples sent at once; by default 40 ms of signal.
    markers
        Whether events are sent too, each with the stamp of its sample, before its chunk.
    loop
        Whether to begin again at the end.
    wait
        Whether to begin when somebody listens, not at once.
    opened
        Is called when the stream can be found.
    say
        Is told what is waited for.
    stop
        Whether to stop; asked at least ten times a second.
    progress
        Is told (seconds played, seconds in all) of the round, after every chunk.
    sent
        Where to count, for who wants to know it after an interruption too.

    Raises
    ------
    ConfigError
        If the speed or chunk cannot be, or a stream of that name is there already.
    RecordingError
        If there is nothing to play, or the recordings differ in channels or rate.
    """
    check_pace(speed, chunk)
    _check_alike(recordings)
    _check_free(name)
    first = recordings[0]
    chunk = chunk or max(1, round(CHUNK * first.sfreq))
    signal = lsl.SignalOutlet(
        name=name,
        source_id=name,
        sfreq=first.sfreq,
        ch_names=first.ch_names,
        ch_types=first.ch_types,
        playing=_labels(recordings) | {"speed": f"{speed:g}"},
    )
    words = lsl.MarkerOutlet(name=f"{name}-markers", source_id=f"{name}-markers")
    player = _Player(signal, words if markers else None, speed, stop, sent or Sent())
    try:
        opened()
        if wait:
            say("Waiting for somebody to listen.")
        while wait and not stop() and not signal.wait(NAP):
            pass
        player.play(recordings, chunk, loop, progress)
        time.sleep(LINGER)
    finally:
        signal.close()
        words.close()
    return player.sent


class _Player:
    """Sends pieces at their time."""

    def __init__(
        self,
        signal: lsl.SignalOutlet,
        words: lsl.MarkerOutlet | None,
        speed: float,
        stop: Callable[[], bool],
        sent: Sent,
    ) -> None:
        self.signal, self.words, self.speed, self.stop = signal, words, speed, stop
        self.sent = sent

    def play(
        self,
        recordings: Sequence[Played],
        chunk: int,
        loop: bool,
        progress: Callable[[float, float], None],
    ) -> None:
        total = sum(recording.duration for recording in recordings)
        self.begun = start = lsl.clock()
        for _ in itertools.count() if loop else range(1):
            self.sent.n_rounds += 1
            done = 0.0
            for recording in recordings:
                for n_samples in self._one(recording, start, chunk):
                    progress(done + n_samples / recording.sfreq, total)
                if self.stop():
                    return
                done += recording.duration
                start += recording.duration + PAUSE

    def _one(self, recording: Played, start: float, chunk: int) -> Iterator[int]:
        """Send one recording, its first sample with the stamp `start`; samples sent by then."""
        n_samples, sent = recording.x.shape[1], self.sent
        stamps = start + np.arange(n_samples) / recording.sfreq
        places = [(round(at * recording.sfreq), label) for at, label in recording.markers]
        queue = deque((place, label) for place, label in places if 0 <= place < n_samples)
        for first in range(0, n_samples, chunk):
            piece = slice(first, min(first + chunk, n_samples))
            due = self.begun + (stamps[piece.stop - 1] - self.begun) / self.speed
            if not self._sleep(due):
                return
            while queue and queue[0][0] < piece.stop:
                place, label = queue.popleft()
                if self.words is not None:
                    self.words.push(label, stamps[place])
                    sent.n_markers += 1
            sent.late[sent.n_chunks % N_KEPT] = lsl.clock() - due
            self.signal.push(recording.x[:, piece], stamps[piece])
            sent.n_chunks += 1
            sent.n_samples += piece.stop - first
            sent.seconds = lsl.clock() - self.begun
            yield piece.stop

    def _sleep(self, due: float) -> bool:
        """Whether it is `due`, rather than time to stop."""
        while not self.stop():
            left = due - lsl.clock()
            if left <= 0:
                return True
            if left > EARLY:
                time.sleep(min(left - EARLY, NAP))
        return False


def check_pace(speed: float, chunk: int | None) -> None:
    """Refuse a speed or a chunk that cannot be.

    Raises
    ------
    ConfigError
        If it cannot.
    """
    if not (speed > 0 and math.isfinite(speed)):
        raise ConfigError(f"speed = {speed:g} cannot be. 1 is real time, 10 is ten times as fast.")
    if chunk is not None and chunk < 1:
        raise ConfigError(f"chunk = {chunk} sends nothing. Send 1 sample at once, or more.")


def _check_alike(recordings: Sequence[Played]) -> None:
    if not recordings:
        raise RecordingError("There is no recording to play. Choose another session or run.")
    first = recordings[0]
    for other in recordings[1:]:
        if (other.sfreq, other.ch_names) != (first.sfreq, first.ch_names):
            raise RecordingError(
                f"{_name(first)} and {_name(other)} differ in channels or sampling rate, and "
                f"cannot be one stream. Choose a session or run."
            )


def _name(recording: Played) -> str:
    return ", ".join(f"{key} {value}" for key, value in recording.labels.items())


def _check_free(name: str) -> None:
    found = lsl.find_streams(name=name, timeout=LOOK, n=1)
    if found:
        raise ConfigError(
            f"A stream of that name is in LSL session '{lsl.session_id()}' already: {found[0]} on "
            f"{found[0].host}. Stop it, or give another --name or --session-id."
        )


def _labels(recordings: Sequence[Played]) -> dict[str, str]:
    """What all of them are, each different word once."""
    keys = recordings[0].labels
    return {key: ",".join(dict.fromkeys(r.labels.get(key, "") for r in recordings)) for key in keys}
