"""Which channels of a stream can be trusted, judged on the samples as they come.

==============  ====================================================================================
not finite      a sample is not a number; it is replaced by the one before it, so that filters live
flat            the same value for 0.2 s: no electrode does that. All channels standing still at
                once for 20 ms (of two or three channels, 50 ms) is an amplifier that sends nothing
==============  ====================================================================================

A channel is trusted again when no window holds such a sample, and the filters have forgotten it.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

FLAT = 0.2  # s
DEAD = 0.02  # s; at least three samples
FEW = 4  # fewer channels than that may stand still by chance, where an amplifier counts coarsely:
DEAD_FEW = 0.05  # s; at least eight samples, for two or three. One channel is flat or it is not


class Fault(IntEnum):
    """What is wrong with a sample; the larger is said first."""

    NONE = 0
    FLAT = 1
    NOT_FINITE = 2

    @property
    def words(self) -> str:
        """As it is shown."""
        return ("ok", "flat", "not finite")[self]


class Watch:
    """Finds samples that cannot be trusted, each by what came before it alone.

    Parameters
    ----------
    n_chans
        Channels.
    sfreq
        Sampling rate, Hz.
    n_memory
        Newest samples that can be asked about.
    """

    def __init__(self, n_chans: int, sfreq: float, n_memory: int) -> None:
        self.n_flat = max(8, round(FLAT * sfreq))
        self.n_dead = max(3, round(DEAD * sfreq))
        if n_chans < FEW:
            self.n_dead = max(8, round((DEAD_FEW if n_chans > 1 else FLAT) * sfreq))
        self.n_chans, self.n_memory = n_chans, n_memory
        self.clear()

    def clear(self) -> None:
        """Forget everything, as after a gap."""
        self.last = np.full(self.n_chans, np.nan)  # value of each channel
        self.still = np.zeros(self.n_chans, dtype=np.int64)  # how often it has been repeated
        self.n = 0
        self.faults: list[tuple[int, NDArray[np.uint8]]] = []  # chunks that have any, by first one

    def step(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The chunk (n_chans, n_samples) with every sample finite; it may be the one given."""
        n = x.shape[1]
        if not n:
            return x
        faults = None
        if not np.isfinite(x.sum()):
            lost = ~np.isfinite(x)
            faults = np.where(lost, np.uint8(Fault.NOT_FINITE), np.uint8(Fault.NONE))
            x = self._mend(x, lost)
        flat = self._flat(x)
        if flat is not None:
            found = np.where(flat, np.uint8(Fault.FLAT), np.uint8(Fault.NONE))
            faults = found if faults is None else np.maximum(faults, found)
        if faults is not None:
            self.faults.append((self.n, faults))
        self.last, self.n = x[:, -1].copy(), self.n + n
        while (
            self.faults and self.faults[0][0] + self.faults[0][1].shape[1] < self.n - self.n_memory
        ):
            self.faults.pop(0)
        return x

    def between(self, start: int, stop: int) -> NDArray[np.uint8]:
        """The worst fault of each channel in samples ``[start, stop)``, (n_chans,)."""
        worst = np.zeros(self.n_chans, dtype=np.uint8)
        for first, faults in self.faults:
            part = faults[:, max(0, start - first) : max(0, stop - first)]
            if part.shape[1]:
                np.maximum(worst, part.max(axis=1), out=worst)
        return worst

    def _mend(self, x: NDArray[np.float64], lost: NDArray[np.bool_]) -> NDArray[np.float64]:
        before = np.where(np.isfinite(self.last), self.last, 0.0)
        index = np.where(lost, -1, np.arange(x.shape[1]))
        index = np.maximum.accumulate(index, axis=1)  # the last good sample at or before each
        mended = np.take_along_axis(x, np.maximum(index, 0), axis=1)
        return np.asarray(np.where(index >= 0, mended, before[:, None]))

    def _flat(self, x: NDArray[np.float64]) -> NDArray[np.bool_] | None:
        """Samples by which a value has been repeated for too long; None if there is none."""
        same = np.empty(x.shape, dtype=bool)
        np.equal(x[:, 0], self.last, out=same[:, 0])
        np.equal(x[:, 1:], x[:, :-1], out=same[:, 1:])
        if not same.any():
            self.still[:] = 0
            return None
        # Length of the run of repeats that ends at each sample, runs of earlier chunks included.
        count = np.arange(1, x.shape[1] + 1)
        broken = np.maximum.accumulate(np.where(same, 0, count), axis=1)
        run = np.where(broken > 0, count - broken, count + self.still[:, None])
        self.still = run[:, -1].copy()
        flat = run >= self.n_flat - 1
        flat |= (run >= self.n_dead - 1).all(axis=0)
        return flat if flat.any() else None
