"""Being heard: signals, markers and decisions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.online.decision import Decision, Status
from neurodecode.online.lsl.facts import VOLTAGES
from neurodecode.online.lsl.library import load_lsl
from neurodecode.recordings.xdf import COMMANDS

SHORT = 10  # hundreds of decisions or markers that liblsl keeps for a consumer that is busy


class SignalOutlet:
    """A signal for others to hear, in microvolts.

    Parameters
    ----------
    name, source_id
        Of the stream.
    sfreq
        Hz.
    ch_names, ch_types
        (n_chans,); types are MNE's words.
    fmt
        "double64" or "float32".
    playing
        What it plays, for `StreamFacts.playing`.
    kind
        LSL's type of the stream.
    """

    def __init__(
        self,
        *,
        name: str,
        source_id: str,
        sfreq: float,
        ch_names: Sequence[str],
        ch_types: Sequence[str],
        fmt: str = "double64",
        playing: Mapping[str, str] | None = None,
        kind: str = "EEG",
    ) -> None:
        units = ["microvolts" if kind in VOLTAGES else "" for kind in ch_types]
        info = _info(name, kind, source_id, sfreq, fmt, ch_names, ch_types, units)
        if playing:
            node = info.desc().append_child("playing")
            for key, value in playing.items():
                node.append_child_value(key, value)
        self._scale = np.array([1e6 if unit else 1.0 for unit in units])[:, None]
        self._outlet = load_lsl().StreamOutlet(info)

    def push(self, chunk: NDArray[np.floating], stamps: NDArray[np.float64]) -> None:
        """Send samples.

        Parameters
        ----------
        chunk
            (n_chans, n_samples), V.
        stamps
            (n_samples,), s.
        """
        self._outlet.push_chunk((chunk * self._scale).T, stamps.tolist())

    def wait(self, timeout: float) -> bool:
        """Whether somebody listens, within `timeout` s."""
        return bool(self._outlet.wait_for_consumers(timeout))

    def close(self) -> None:
        """End the stream."""
        del self._outlet


class MarkerOutlet:
    """Words for others to hear, each with its time; type "Markers"."""

    def __init__(self, *, name: str = COMMANDS, source_id: str) -> None:
        info = _info(name, "Markers", source_id, 0.0, "string", ["marker"], [""], [""])
        self._outlet = load_lsl().StreamOutlet(info, max_buffered=SHORT)

    def push(self, label: str, stamp: float) -> None:
        """Send a word and the time it belongs to, s."""
        self._outlet.push_sample([label], stamp)

    def close(self) -> None:
        """End the stream."""
        del self._outlet


class DecisionOutlet:
    """Decisions for others to hear: a stream of type "Decision", float64, at irregular times.

    Channels are the probability of each class, ``newest`` (time of the newest sample that was
    looked at, s), ``made`` (when the decision was ready, s, same clock), ``status`` and
    ``command`` (index of a class, -1 for none). The stamp of a decision is ``made``.

    Parameters
    ----------
    classes
        Names, in order of the probabilities.
    model
        What decides, in words.
    source_id
        Of the stream.
    hop
        Time between decisions, s.
    max_gap
        How far stamps of the signal may be off, s.
    name
        Of the stream.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str],
        model: str,
        source_id: str,
        hop: float,
        max_gap: float,
        name: str = "neurodecode",
    ) -> None:
        labels = [*(f"p_{word}" for word in classes), "newest", "made", "status", "command"]
        types = ["probability"] * len(classes) + ["time", "time", "code", "code"]
        units = [""] * len(classes) + ["seconds", "seconds", "", ""]
        info = _info(name, "Decision", source_id, 0.0, "double64", labels, types, units)
        desc = info.desc()
        desc.append_child_value("model", model)
        desc.append_child_value("hop", f"{hop:g}")
        desc.append_child_value("max_gap", f"{max_gap:.17g}")
        node = desc.append_child("classes")
        for word in classes:
            node.append_child_value("class", word)
        node = desc.append_child("statuses")  # what the numbers mean
        for status in Status:
            node.append_child_value(status.words, str(status.value))
        self.xml = str(info.as_xml())
        self._outlet = load_lsl().StreamOutlet(info, max_buffered=SHORT)

    def push(self, decision: Decision) -> None:
        """Send a decision."""
        self._outlet.push_sample(decision_row(decision), decision.made)

    def close(self) -> None:
        """End the stream."""
        del self._outlet


def decision_row(decision: Decision) -> list[float]:
    """A decision as one sample of its stream."""
    codes = (decision.newest, decision.made, float(decision.status), float(decision.command))
    return [*decision.proba.tolist(), *codes]


def _info(
    name: str,
    kind: str,
    source_id: str,
    sfreq: float,
    fmt: str,
    labels: Sequence[str],
    types: Sequence[str],
    units: Sequence[str],
) -> Any:
    """A description of a stream with its channels, as pylsl has it."""
    info = load_lsl().StreamInfo(name, kind, len(labels), sfreq, fmt, source_id)
    info.desc().append_child_value("manufacturer", "neurodecode")
    node = info.desc().append_child("channels")
    for label, word, unit in zip(labels, types, units, strict=True):
        channel = node.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", unit)
        channel.append_child_value("type", word.upper())
    return info
