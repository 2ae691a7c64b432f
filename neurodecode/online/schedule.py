"""When something is decided: every hop, or in windows that cues begin."""

from collections.abc import Sequence
from typing import NamedTuple


class Due(NamedTuple):
    """Something to decide, in samples since the stream last began.

    Attributes
    ----------
    start, stop
        Samples ``[start, stop)`` that it takes.
    begin
        The first of them that nothing was decided on before.
    full
        Whether all of them are there, and filters had settled.
    last
        Whether the window ends there.
    answered
        Whether its window has been decided on already.
    """

    start: int
    stop: int
    begin: int
    full: bool
    last: bool = True
    answered: bool = False


class Sliding:
    """A window every hop: where chunks divide the hop, each ends with the last of a chunk.

    Parameters
    ----------
    n_times, n_hop
        Length of a window, and from one to the next, samples.
    n_settle
        Samples at the beginning of a stream that no window may hold.
    """

    def __init__(self, n_times: int, n_hop: int, n_settle: int) -> None:
        self.n_times, self.n_hop, self.n_settle = n_times, n_hop, n_settle
        self.stop = n_hop

    def clear(self) -> int:
        """The stream begins anew; how many windows were promised and are lost: none."""
        self.stop = self.n_hop
        return 0

    def next(self) -> Due | None:
        """What is to be decided next."""
        start = self.stop - self.n_times
        return Due(start, self.stop, self.stop - self.n_hop, start >= self.n_settle)

    def done(self, *, answered: bool) -> None:
        """It has been looked at."""
        self.stop += self.n_hop


class Cued:
    """A window for each cue, in one piece or in parts that come one after the other.

    Parameters
    ----------
    edges
        Ends of the parts, samples from the window's start; the last is its length.
    n_settle
        Samples at the beginning of a stream that no window may hold.
    """

    def __init__(self, edges: Sequence[int], n_settle: int) -> None:
        self.edges, self.n_settle = tuple(edges), n_settle
        self.waiting: list[tuple[int, int, bool]] = []  # start, next part, whether it is answered

    def clear(self) -> int:
        """The stream begins anew; how many windows were promised and are lost."""
        lost = sum(not answered for _, _, answered in self.waiting)
        self.waiting.clear()
        return lost

    def add(self, start: int) -> None:
        """A window begins at this sample."""
        self.waiting.append((start, 0, False))

    def next(self) -> Due | None:
        """What is to be decided next."""
        if not self.waiting:
            return None
        start, part, answered = min(self.waiting, key=self._stop)
        return Due(
            start=start,
            stop=start + self.edges[part],
            begin=start + (self.edges[part - 1] if part else 0),
            full=start >= self.n_settle,
            last=part == len(self.edges) - 1,
            answered=answered,
        )

    def done(self, *, answered: bool) -> None:
        """It has been looked at; the other parts of its window are still to come."""
        first = min(self.waiting, key=self._stop)
        self.waiting.remove(first)
        start, part, before = first
        if part < len(self.edges) - 1:
            self.waiting.append((start, part + 1, before or answered))

    def _stop(self, window: tuple[int, int, bool]) -> int:
        return window[0] + self.edges[window[1]]
