"""Riemannian alignment: whitening by the geometric mean covariance (re-centring).

Reference: "Transfer Learning: A Riemannian Geometry Framework With Applications to
Brain-Computer Interfaces", IEEE TBME 2018, doi:10.1109/TBME.2017.2742541, section II-C.
Differences: the windows are whitened, not their covariances, so that nets profit too; in causal
mode the mean moves along the geodesic to each new covariance by 1 / (n + 1).
"""

import numpy as np
from pyriemann.geometry.geodesic import geodesic_riemann
from pyriemann.geometry.mean import mean_riemann

from neurodecode.alignment import ALIGNERS
from neurodecode.signal.covariance import Array


@ALIGNERS.add("riemannian")
class Riemannian:
    """Geometric mean of covariances (Riemannian re-centring)."""

    def mean(self, covs: Array) -> Array:
        """Mean of (n_epochs, n_chans, n_chans)."""
        return np.asarray(mean_riemann(covs, tol=1e-7, maxiter=100))

    def update(self, mean: Array, n: float, cov: Array) -> Array:
        """The mean with one more matrix, from that of `n` matrices before it."""
        return np.asarray(geodesic_riemann(mean, cov, alpha=1 / (n + 1)))
