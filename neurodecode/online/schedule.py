"""When something is decided: every hop, or in windows that cues begin."""

from collections.abc import Sequence
from typing import NamedTuple


class Due(NamedTuple):
    """Something to decide, in samples since the stream last began.

    Attributes
    ----------
    start, stop
        Samples ``[start, stop)`` that it takes; `start` is negative where they cannot be had.
    begin
        The first of them that nothing was decided on before.
    last
        Whether the window ends there.
    """

    start: int
    stop: int
    begin: int
    last: bool = True


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
        self.clear()

    def clear(self) -> None:
        """The stream begins anew."""
        self.stop = self.n_hop

    def next(self) -> Due | None:
        """What is to be decided next."""
        start = self.stop - self.n_times
        return Due(start if start >= self.n_settle else -1, self.stop, self.stop - self.n_hop)

    def done(self) -> None:
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
        self.waiting: list[tuple[int, int]] = []  # start of each window, and the part it waits for

    def clear(self) -> None:
        """The stream begins anew: windows that were not complete are lost."""
        self.waiting.clear()

    def add(self, start: int) -> None:
        """A window begins at this sample."""
        self.waiting.append((start, 0))

    def next(self) -> Due | None:
        """What is to be decided next."""
        if not self.waiting:
            return None
        start, part = min(self.waiting, key=self._stop)
        begin = start + (self.edges[part - 1] if part else 0)
        return Due(
            start if start >= self.n_settle else -1,
            start + self.edges[part],
            begin,
            part == len(self.edges) - 1,
        )

    def done(self) -> None:
        """It has been looked at."""
        start, part = min(self.waiting, key=self._stop)
        self.waiting.remove((start, part))
        if part < len(self.edges) - 1:
            self.waiting.append((start, part + 1))

    def _stop(self, window: tuple[int, int]) -> int:
        return window[0] + self.edges[window[1]]
