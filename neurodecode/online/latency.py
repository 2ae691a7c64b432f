"""Percentiles of what was measured in the last minute."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SPAN = 60.0  # s
ROOM = 8192  # numbers; 60 s of a hundred decisions a second and more


class Recent:
    """Numbers of the last minute, at most the 8192 newest; its memory never grows.

    Parameters
    ----------
    span
        How long a number counts, s.
    room
        How many are kept.
    """

    def __init__(self, span: float = SPAN, room: int = ROOM) -> None:
        self.span = span
        self.times = np.full(room, -np.inf)
        self.values = np.zeros(room)
        self.at = 0  # where the next number goes

    def add(self, time: float, value: float) -> None:
        """Keep a number measured at `time`, s on any clock that runs forward."""
        self.times[self.at], self.values[self.at] = time, value
        self.at = (self.at + 1) % len(self.times)

    def percentiles(self, now: float, q: Sequence[float] = (50, 99)) -> NDArray[np.float64]:
        """Percentiles `q` of what was added in the last `span` seconds; NaN where nothing was."""
        recent = self.values[self.times > now - self.span]
        if not recent.size:
            return np.full(len(q), np.nan)
        return np.asarray(np.percentile(recent, q))
