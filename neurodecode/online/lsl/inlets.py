"""Hearing streams: signals and markers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import RecordingError
from neurodecode.online.lsl.facts import facts_of
from neurodecode.online.lsl.find import DTYPES, Found, quoted
from neurodecode.online.lsl.library import StreamLost, load_lsl

AT_ONCE = 4096  # samples that one pull takes at most
BUFFER = 120  # s of signal that liblsl keeps for a consumer that is busy
ANSWER = 5.0  # s that a stream has to describe itself
MOST_SLEW = 50e-6  # s by which stamps may shift at once: a tenth of what is a gap at 1 kHz
JUMP = 0.02  # s; clocks do not drift so far between two looks, so that one of them was set


class SignalInlet:
    """The signal of a stream, as it comes.

    Opening it waits for the description and a first clock offset, 0.6 s or so; samples count from
    the moment it is open. It does not look for the stream again by itself: what was filtered and
    gathered before an interruption must not meet what comes after.

    Parameters
    ----------
    found
        A stream of numbers at a fixed rate.

    Attributes
    ----------
    facts
        What the stream says of itself.
    offset
        What is added to its stamps, s: how far its machine's clock is behind this one's.

    Raises
    ------
    StreamLost
        If it does not answer.
    RecordingError
        If its description cannot be used; see `neurodecode.online.lsl.facts.facts_of`.
    """

    def __init__(self, found: Found) -> None:
        if found.fmt not in DTYPES or not found.sfreq > 0:
            raise RecordingError(f"The stream {found} is no signal. Name one at a fixed rate.")
        self.name = str(found)
        self._inlet = load_lsl().StreamInlet(found.info, max_buflen=BUFFER, recover=False)
        try:
            self.facts = facts_of(self._inlet.info(ANSWER).as_xml())
            self.offset = float(self._inlet.time_correction(ANSWER))
            self._inlet.open_stream(ANSWER)
        except RuntimeError as error:  # pylsl's, for a stream that is lost or late
            raise StreamLost(f"The stream {found} does not answer. Start it again.") from error
        self._room = np.empty((AT_ONCE, found.n_chans), DTYPES[found.fmt])

    def pull(self, timeout: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What has come: waits for a first sample, and takes all that are there.

        Parameters
        ----------
        timeout
            How long to wait for the first, s.

        Returns
        -------
        chunk
            (n_chans, n_samples), V; no sample if none came in time.
        stamps
            When they were measured, on this machine's clock, (n_samples,), s.

        Raises
        ------
        StreamLost
            If the stream has gone. LSL does not notice a stream that hangs.
        """
        try:
            samples, stamps = self._inlet.pull_chunk(
                timeout, AT_ONCE, dest_obj=self._room, min_samples=1, as_numpy=True
            )
        except RuntimeError as error:
            raise StreamLost(f"The stream {self.name} has gone.") from error
        return samples.T * self.facts.scales[:, None], stamps + self.offset

    def correct(self) -> None:
        """Go towards the newest estimate of how far the clocks are apart; never waits.

        By 50 microseconds at most, so that no stamp seems to be missing; two calls a second follow
        clocks that drift by 100 ppm. A clock that was set is followed at once: that is a gap.

        Raises
        ------
        StreamLost
            If the stream has gone.
        """
        try:
            newest = _offset(self._inlet, self.offset)
        except RuntimeError as error:
            raise StreamLost(f"The stream {self.name} has gone.") from error
        self.offset = slewed(self.offset, newest)

    def close(self) -> None:
        """Stop hearing it."""
        self._inlet.close_stream()


def slewed(old: float, newest: float) -> float:
    """An offset, s, on its way from the old to the newest."""
    step = newest - old
    return newest if abs(step) > JUMP else old + min(max(step, -MOST_SLEW), MOST_SLEW)


def _offset(inlet: Any, old: float) -> float:
    """Newest clock offset of an inlet, without waiting; the old one where there is no newer."""
    try:
        return float(inlet.time_correction(0.0))
    except load_lsl().util.TimeoutError:
        return old


class MarkerInlet:
    """The markers of a stream: words or numbers at irregular times.

    A stream that goes is looked for in the background, by its source id, or by its name where it
    has none; nothing here ever waits after the first second.

    Parameters
    ----------
    found
        The stream.

    Attributes
    ----------
    lost
        Whether the stream has gone, and has not come back.
    """

    def __init__(self, found: Found) -> None:
        self.name, self.lost = str(found), False
        key, word = ("source_id", found.source_id) if found.source_id else ("name", found.name)
        self._query = f"{key}={quoted(word)} and type={quoted(found.kind)}"
        self._search: Any = None
        self._open(found.info)
        try:
            self._offset = float(self._inlet.time_correction(1.0))
            self._inlet.open_stream(1.0)  # a pull would open it too, without waiting
        except RuntimeError:  # it may answer later
            pass

    def _open(self, info: Any) -> None:
        self._inlet = load_lsl().StreamInlet(info, max_buflen=BUFFER, recover=False)
        self._offset = 0.0

    def pull(self) -> list[tuple[str, float]]:
        """Markers that have come: (label, time on this machine's clock in s), in order.

        The fields of a marker are joined by "/"; whole numbers are written without a point.
        """
        if self.lost and not self._again():
            return []
        try:
            self._offset = _offset(self._inlet, self._offset)
            values, stamps = self._inlet.pull_chunk(0.0)
        except RuntimeError:
            self.lost = True
            return []
        labels = ("/".join(filter(None, map(_word, fields))) for fields in values)
        return [
            (label, stamp + self._offset)
            for label, stamp in zip(labels, stamps, strict=True)
            if label
        ]

    def _again(self) -> bool:
        """Whether the stream is back; looks without waiting."""
        if self._search is None:
            self._search = load_lsl().ContinuousResolver(pred=self._query, forget_after=2.0)
        found = self._search.results()
        if not found:
            return False
        self._open(found[0])
        self._search, self.lost = None, False
        return True

    def close(self) -> None:
        """Stop hearing it."""
        self._search = None
        self._inlet.close_stream()


def _word(value: object) -> str:
    return value.strip() if isinstance(value, str) else f"{value:.15g}"
