"""Looks for streams in a thread of its own, so that the loop never waits for the network."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from neurodecode.core.errors import NeurodecodeError, SignalError
from neurodecode.online import lsl

logger = logging.getLogger(__name__)

PAUSE = 0.1  # s between two looks
LOOK = 1.0  # s that a stream has for its answer, where the first that answers is the right one
LOOK_AROUND = 0.5  # s to hear of all that there are


class Closes(Protocol):
    """What is open, and can be closed."""

    def close(self) -> None:
        """Close it."""
        ...


T = TypeVar("T", bound=Closes)


class Search(Generic[T]):
    """Looks again and again until something is found.

    Parameters
    ----------
    look
        Gives something open, or None; it may take its time. What a person can mend is raised as a
        `NeurodecodeError` and kept in `complaints`; anything else is a network that changes while
        one looks, and passes.
    """

    def __init__(self, look: Callable[[], T | None]) -> None:
        self.look = look
        self.complaints: deque[str] = deque(maxlen=8)
        self.n_looks = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._found: T | None = None
        self._thread = threading.Thread(target=self._run, name="search", daemon=True)
        self._thread.start()

    def take(self) -> T | None:
        """What was found, once; never waits."""
        with self._lock:
            found, self._found = self._found, None
        return found

    def stop(self) -> None:
        """Stop looking; what was found and not taken is closed."""
        with self._lock:
            self._over.set()
            found, self._found = self._found, None
        if found is not None:
            found.close()

    def join(self) -> None:
        """Wait for the end of the look; liblsl must not be asked while the process ends."""
        self._thread.join(LOOK + LOOK_AROUND)

    def _run(self) -> None:
        while not self._over.is_set():
            found = self._try()
            self.n_looks += 1
            if found is not None and self._keep(found):
                return
            self._over.wait(PAUSE)

    def _keep(self, found: T) -> bool:
        with self._lock:
            if not self._over.is_set():
                self._found = found
                return True
        found.close()
        return False

    def _try(self) -> T | None:
        try:
            return self.look()
        except NeurodecodeError as error:
            self.complaints.append(str(error))
        except Exception:  # an outlet that goes while one connects raises whatever it likes
            logger.debug("a look for a stream failed", exc_info=True)
        return None


class SameSignal:
    """A signal that has gone: looked for by its source id, else by its name and type.

    Of several streams of that name, none is taken: none is more likely to be the one that was lost.

    Parameters
    ----------
    facts
        Of the stream as it was.
    by_name
        Whether another source id will do. It does not where a person asked for that very device.

    Attributes
    ----------
    refused
        uids of outlets that will not do.
    held
        uid of the outlet that is still connected, though silent; "" for none.
    """

    def __init__(self, facts: lsl.StreamFacts, *, by_name: bool = True) -> None:
        self.facts, self.by_name = facts, by_name
        self.refused: set[str] = set()
        self.held = ""

    def look(self) -> lsl.SignalInlet | None:
        """An open inlet, or None."""
        want = self.facts
        found = lsl.find_streams(source_id=want.source_id, timeout=LOOK, n=1)
        if self.by_name and not self._new(found):
            found = lsl.find_streams(kind=want.kind, name=want.name, timeout=LOOK_AROUND)
        found = self._new(found)
        if len({stream.source_id for stream in found}) != 1:
            return None
        try:
            return lsl.SignalInlet(found[0])
        except lsl.StreamLost:
            return None  # it has gone again, or hangs
        except NeurodecodeError:
            self.refused.add(found[0].uid)
            raise

    def _new(self, found: list[lsl.Found]) -> list[lsl.Found]:
        known = {*self.refused, self.held}
        return [stream for stream in found if stream.source_id and stream.uid not in known]


class Markers:
    """Markers of a stream that may come late, go, and come back.

    Parameters
    ----------
    name
        Of the stream.
    say
        Takes a word and a line whenever the stream comes or goes, and once if it is not there.
    """

    def __init__(self, name: str, say: Callable[[str, str], None]) -> None:
        self.name, self.say = name, say
        self.inlet: lsl.MarkerInlet | None = None
        self.search: Search[lsl.MarkerInlet] = Search(self._look)
        self.told = False

    def pull(self) -> list[tuple[str, float]]:
        """Markers that have come, (label, time in s); never waits."""
        if self.inlet is None and not self._found():
            return []
        assert self.inlet is not None
        markers = self.inlet.pull()
        if self.inlet.lost:
            self.inlet.close()
            self.inlet, self.search = None, Search(self._look)
            self.say("marker-stream-lost", f"The marker stream '{self.name}' has gone.")
        return markers

    def close(self) -> None:
        """Stop hearing and looking."""
        self.search.stop()
        if self.inlet is not None:
            self.inlet.close()
        self.search.join()

    def _found(self) -> bool:
        self.inlet = self.search.take()
        if self.inlet is not None:
            self.told = True
            self.say("marker-stream", f"Markers come from '{self.name}'.")
        elif self.search.n_looks and not self.told:
            self.told = True
            self.say(
                "marker-stream-missing",
                f"There is no marker stream '{self.name}'. The loop goes on without, and takes it "
                f"when it appears.",
            )
        return self.inlet is not None

    def _look(self) -> lsl.MarkerInlet | None:
        found = lsl.find_streams(name=self.name, timeout=LOOK, n=1)
        return lsl.MarkerInlet(found[0]) if found else None


def connect(name: str | None, wait: float) -> lsl.SignalInlet:
    """An open inlet to the signal; a stream that goes while it is opened is looked for again.

    Parameters
    ----------
    name, wait
        See `neurodecode.online.lsl.choose_signal`.
    """
    end = time.monotonic() + wait
    while True:
        try:
            return lsl.SignalInlet(lsl.choose_signal(name, wait))
        except lsl.StreamLost:
            if time.monotonic() > end:
                raise


def rows_of(ch_names: tuple[str, ...], facts: lsl.StreamFacts) -> list[int] | None:
    """Which channels of a stream are these, in this order; None where all are, as they come.

    Raises
    ------
    SignalError
        If the stream lacks one.
    """
    if ch_names == facts.ch_names:
        return None
    missing = [name for name in ch_names if name not in facts.ch_names]
    if missing:
        raise SignalError(
            f"The decoder needs {len(ch_names)} channels, and the stream '{facts.name}' has no "
            f"{', '.join(missing)}. It has {', '.join(facts.ch_names)}. Name the channels where "
            f"the stream is made."
        )
    return [facts.ch_names.index(name) for name in ch_names]


def in_words(facts: lsl.StreamFacts) -> str:
    """A stream in a few words."""
    return (
        f"'{facts.name}' ({len(facts.ch_names)} channels, {facts.sfreq:g} Hz, source id "
        f"'{facts.source_id}')"
    )


def changes(old: lsl.StreamFacts, new: lsl.StreamFacts) -> str:
    """What a stream was before, where it is not as it was; words to end a sentence with."""
    words = [
        f"its {what} {before}"
        for what, before, after in (
            ("source id was", f"'{old.source_id}'", f"'{new.source_id}'"),
            ("channels were", ", ".join(old.ch_names), ", ".join(new.ch_names)),
            ("sampling rate was", f"{old.sfreq:g} Hz", f"{new.sfreq:g} Hz"),
        )
        if before != after
    ]
    return f"; {', '.join(words)}" if words else ""
