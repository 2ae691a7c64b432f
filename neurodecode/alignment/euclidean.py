"""Euclidean alignment: whitening by the arithmetic mean covariance.

Reference: "Transfer Learning for Brain-Computer Interfaces: A Euclidean Space Data Alignment
Approach", IEEE TBME 2020, doi:10.1109/TBME.2019.2913914, section III.
Differences: a trace-relative ridge (`neurodecode.signal.covariance`), so that volts and
microvolts give the same result and data of reduced rank work.
"""

from neurodecode.alignment import ALIGNERS
from neurodecode.signal.covariance import Array


@ALIGNERS.add("euclidean")
class Euclidean:
    """Arithmetic mean of covariances (Euclidean alignment, EA)."""

    def mean(self, covs: Array) -> Array:
        """Mean of (n_epochs, n_chans, n_chans)."""
        result: Array = covs.mean(axis=0)
        return result

    def update(self, mean: Array, n: float, cov: Array) -> Array:
        """The mean with one more matrix, from that of `n` matrices before it."""
        return mean + (cov - mean) / (n + 1)
