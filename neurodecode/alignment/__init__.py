"""Making subjects and sessions comparable, without labels.

Every domain (one session of one subject) is whitened by the inverse square root of a mean of its
windows' covariances. An aligner says which mean; `align` says which windows may enter it:

- ``batch``: all windows of the domain, also those still to be decoded (never called zero-shot);
- ``causal``: for window t of a test domain, windows 1 to t only, as a live decoder could.

Windows of the training side are always whitened with all training windows of their domain.
"""

from typing import Protocol

from neurodecode.core.registry import Registry
from neurodecode.signal.covariance import Array


class Aligner(Protocol):
    """A mean of covariance matrices, whole and one at a time."""

    def mean(self, covs: Array) -> Array:
        """Mean of (n_epochs, n_chans, n_chans)."""
        ...

    def update(self, mean: Array, n: float, cov: Array) -> Array:
        """The mean with one more matrix, from that of `n` matrices before it."""
        ...


ALIGNERS: Registry[type[Aligner]] = Registry("aligner", package=__name__)
