"""How far the stamps of a stream wander, so that a missing sample can be told from jitter.

Many amplifiers stamp a chunk when it arrives, so that its samples are early or late by as much as
the chunk was. A sample is missing there only where stamps are off by more than they usually are.
"""

import numpy as np
from numpy.typing import NDArray

FEWEST = 16  # samples that jitter can be told from
USUAL = 0.99  # part of the samples that are taken for jitter and not for gaps
MARGIN = 3.0  # times that
MOST = 0.25  # s; what is farther off is a gap anyway


def tolerance(stamps: NDArray[np.float64], sfreq: float) -> float:
    """How far a stamp may be from where the one before it puts it, s.

    Half a sample where stamps are regular; three times what they are off by, where they are not.

    Parameters
    ----------
    stamps
        Of successive samples, (n_samples,), s.
    sfreq
        Sampling rate, Hz.
    """
    half = 0.5 / sfreq
    if len(stamps) < FEWEST:
        return half
    usual = float(np.quantile(np.abs(np.diff(stamps) - 1 / sfreq), USUAL))
    return min(MOST, MARGIN * usual) if usual > half / 2 else half
