"""Dwell time: a class has to win for a while.

Classes that win a window together share it. Time of which nothing has been heard yet belongs to
all classes alike, so that the first window alone cannot reach a threshold that is meant for many.
"""

from dataclasses import dataclass

import numpy as np

from neurodecode.online.evidence import ACCUMULATORS, FloatArray, check_seconds

TINY = 1e-9  # of the duration; ten times 0.1 s are a second

Votes = tuple[tuple[float, FloatArray], ...]
"""Seconds and who won them, (n_outputs,), which sums to 1; the newest last."""


@ACCUMULATORS.add("dwell")
@dataclass(frozen=True, slots=True, kw_only=True)
class Dwell:
    """Part of the last seconds that a class won.

    Parameters
    ----------
    duration
        How far back it looks, s. With a threshold of 1 a class has to win all of it.

    Raises
    ------
    ConfigError
        If the duration is not positive.
    """

    duration: float = 0.5

    def __post_init__(self) -> None:
        check_seconds(duration=self.duration)

    def start(self) -> Votes:
        """What it remembers before the first window: nothing."""
        return ()

    def step(self, proba: FloatArray, dt: float, state: Votes) -> tuple[FloatArray, Votes]:
        """Evidence (n_outputs,) from probabilities (n_outputs,), `dt` s after the last ones.

        Of a window that is partly too old, the part counts that is not.
        """
        won = (proba == proba.max()).astype(np.float64)
        room, kept, evidence = self.duration, [], np.zeros(len(proba))
        for length, votes in reversed((*state, (dt, won / won.sum()))):
            length = min(length, room)
            evidence += length * votes
            kept.append((length, votes))
            room -= length
            if room <= TINY * self.duration:
                room = 0.0
                break
        evidence = (evidence + room / len(proba)) / self.duration
        return evidence / evidence.sum(), tuple(reversed(kept))
