"""The newest samples of a stream, always in one piece."""

import numpy as np
from numpy.typing import NDArray


class Ring:
    """Keeps the last `n_times` samples of each channel, and the time of each sample.

    A window is a view of contiguous memory: samples are written into a buffer twice as long, whose
    end is moved to its beginning when it is full.

    Parameters
    ----------
    n_chans
        Channels.
    n_times
        Samples that can be asked for.
    """

    def __init__(self, n_chans: int, n_times: int) -> None:
        self.n_times = n_times
        self.x = np.zeros((n_chans, 4 * n_times), dtype=np.float32)
        self.t = np.zeros(4 * n_times)
        self.end = 0  # of what has been written
        self.n = 0  # samples since the last `clear`, in all

    def clear(self) -> None:
        """Forget everything."""
        self.end = self.n = 0

    def append(self, x: NDArray[np.float64], t: NDArray[np.float64]) -> None:
        """Add samples, (n_chans, n_samples) in volts, which are kept in microvolts; and times.

        Of more than the ring holds, the last are kept.
        """
        n = x.shape[1]
        self.n += n
        if n > self.n_times:
            x, t, n = x[:, -self.n_times :], t[-self.n_times :], self.n_times
        if self.end + n > self.x.shape[1]:
            kept = min(self.n_times, self.end)
            self.x[:, :kept] = self.x[:, self.end - kept : self.end]
            self.t[:kept] = self.t[self.end - kept : self.end]
            self.end = kept
        np.multiply(x, 1e6, out=self.x[:, self.end : self.end + n], casting="same_kind")
        self.t[self.end : self.end + n] = t
        self.end += n

    def window(self, stop: int, n_times: int) -> NDArray[np.float32]:
        """The `n_times` samples before sample `stop`, counted from the last `clear`.

        A view in microvolts, (n_chans, n_times), which later samples overwrite.
        """
        last = self.end - (self.n - stop)
        if not 0 <= last - n_times <= last <= self.end:
            raise AssertionError(f"samples {stop - n_times} to {stop} are not in the ring")
        return self.x[:, last - n_times : last]

    def time(self, index: int) -> float:
        """When sample `index`, counted from the last `clear`, was measured."""
        return float(self.t[self.end - (self.n - index)])

    def times(self) -> NDArray[np.float64]:
        """When the samples that are held were measured, oldest first; a view."""
        return self.t[max(0, self.end - min(self.n, self.n_times)) : self.end]
