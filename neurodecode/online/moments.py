"""Covariances of windows that slide, from those of their hops: each sample is multiplied once."""

import numpy as np
from numpy.typing import NDArray

from neurodecode.signal.covariance import Array, covariances, ridged


class Moments:
    """First and second moments of the last hops.

    Parameters
    ----------
    n_chans
        Channels.
    n_times, n_hop
        Length of a window, and from one to the next, samples. Where hops do not fill a window, or
        it is no longer than a hop, covariances are those of the window itself.
    """

    def __init__(self, n_chans: int, n_times: int, n_hop: int) -> None:
        self.n_times = n_times
        self.n_hops = n_times // n_hop if n_times % n_hop == 0 else 0
        self.first = np.zeros((self.n_hops, n_chans))
        self.second = np.zeros((self.n_hops, n_chans, n_chans))
        self.n = 0  # hops since the last `clear`

    def clear(self) -> None:
        """What comes next has nothing to do with what came before."""
        self.n = 0

    def add(self, x: NDArray[np.float32]) -> None:
        """The samples of the next hop, (n_chans, n_hop)."""
        if self.n_hops:
            hop, i = x.astype(np.float64), self.n % self.n_hops
            np.matmul(hop, hop.T, out=self.second[i])
            hop.sum(axis=1, out=self.first[i])
            self.n += 1

    def covariance(self, window: NDArray[np.float32]) -> Array:
        """Covariance of the window that ends with the last hop, as `covariances` has it.

        Raises
        ------
        SignalError
            If the window has no variance at all.
        """
        if not self.n_hops or self.n < self.n_hops:
            return np.asarray(covariances(window[None])[0])
        mean = self.first.sum(axis=0) / self.n_times
        cov = self.second.sum(axis=0) / self.n_times - np.outer(mean, mean)
        return np.asarray(ridged(cov[None])[0])
