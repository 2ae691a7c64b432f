"""Notices that a stream has fallen silent.

liblsl does not: an outlet whose process hangs, or whose machine vanishes, gives no error for
minutes, and an inlet waits. So the loop keeps its own time of what it hears.
"""

import numpy as np

N_CHUNKS = 5  # usual chunks that may be missing
MOST_PATIENCE = 1.0  # s that a chunk may be late, however long chunks are
N_KEPT = 31  # intervals whose median is the usual one; few, so that it follows a change


class Watchdog:
    """Knows when the next chunk should have come.

    Silence is a stall after five usual chunks, but not before `least` seconds, and at most one
    second after a chunk was due: with chunks of a second, a decision would else be left standing
    for five.

    Parameters
    ----------
    least
        Shortest silence that is a stall, s.
    now
        Time at which the waiting begins, s; every other time is on the same clock.
    """

    def __init__(self, least: float, now: float) -> None:
        self.least = least
        self.intervals = np.zeros(N_KEPT)
        self.restart(now)

    def restart(self, now: float) -> None:
        """Forget what was usual, as after a change of the stream."""
        self.since, self.n = now, 0
        self.first = True  # the first chunk tells how long it took to begin, not what is usual
        self.limit = max(self.least, MOST_PATIENCE)

    def heard(self, now: float) -> None:
        """Samples have come."""
        if not self.first:
            self.intervals[self.n % N_KEPT] = now - self.since
            self.n += 1
            usual = float(np.median(self.intervals[: min(self.n, N_KEPT)]))
            self.limit = max(self.least, min(N_CHUNKS * usual, usual + MOST_PATIENCE))
        self.since, self.first = now, False

    def silence(self, now: float) -> float:
        """Seconds since something came."""
        return now - self.since

    def stalled(self, now: float) -> bool:
        """Whether nothing has come for too long."""
        return self.silence(now) > self.limit
