"""Filter-bank covariances, tangent space, logistic regression: for steady-state responses.

Reference: "Online SSVEP-based BCI using Riemannian geometry", Neurocomputing 2016,
doi:10.1016/j.neucom.2016.01.007: the covariance of the signal in several bands at once tells which
frequency the brain follows. Differences: one block per band instead of one large covariance, and
bands that tile the spectrum, so that the flicker frequencies need not be known.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.models.fbcsp import BankCovariances, usable_bands

BANDS = tuple((float(f), float(f + 2)) for f in range(6, 44, 2))


class BankTangent(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # no types in sklearn
    """Tangent vectors of each band's covariances, side by side."""

    def fit(self, covs: NDArray[np.float64], y: object = None) -> Self:
        """Learn each band's mean from (n_epochs, n_bands, n_chans, n_chans)."""
        from pyriemann.geometry.mean import mean_riemann

        self.means_ = np.stack([mean_riemann(band, tol=1e-6) for band in covs.swapaxes(0, 1)])
        return self

    def transform(self, covs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features (n_epochs, n_bands * n_chans * (n_chans + 1) / 2)."""
        from pyriemann.geometry.tangentspace import tangent_space

        bands = zip(covs.swapaxes(0, 1), self.means_, strict=True)
        return np.hstack([tangent_space(band, mean) for band, mean in bands])


@MODELS.add("fb_ts_lr")
def fb_ts_lr(
    spec: TaskSpec,
    *,
    bands: tuple[tuple[float, float], ...] = BANDS,
    c: float = 1.0,
) -> Any:
    """Filter-bank covariances in tangent space + logistic regression.

    Parameters
    ----------
    spec
        What the data fixes.
    bands
        Limits of each band, Hz, half-open; bands the windows cannot hold are left out.
    c
        Inverse of the logistic regression's penalty.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        BankCovariances(spec.sfreq, usable_bands(spec, bands)),
        BankTangent(),
        StandardScaler(),
        LogisticRegression(C=c, max_iter=1000),
    )
