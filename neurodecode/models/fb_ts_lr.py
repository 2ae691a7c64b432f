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
from neurodecode.models.fbcsp import FilterBank, usable_bands

BANDS = tuple((float(f), float(f + 2)) for f in range(6, 44, 2))


class BankTangent(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # no types in sklearn
    """Tangent vectors of each band's covariances, side by side.

    Parameters
    ----------
    estimator
        Covariance estimator of pyRiemann.
    """

    def __init__(self, estimator: str = "oas") -> None:
        self.estimator = estimator

    def fit(self, x: NDArray[np.floating], y: object = None) -> Self:
        """Learn each band's mean from (n_epochs, n_bands, n_chans, n_times)."""
        from pyriemann.geometry.mean import mean_riemann

        covs = self._covariances(x)
        self.means_ = np.stack([mean_riemann(band) for band in covs])
        return self

    def transform(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Features (n_epochs, n_bands * n_chans * (n_chans + 1) / 2)."""
        from pyriemann.geometry.tangentspace import tangent_space

        covs = self._covariances(x)
        return np.hstack([tangent_space(c, m) for c, m in zip(covs, self.means_, strict=True)])

    def _covariances(self, x: NDArray[np.floating]) -> list[NDArray[np.float64]]:
        from pyriemann.estimation import Covariances

        return [Covariances(self.estimator).fit_transform(band) for band in x.swapaxes(0, 1)]


@MODELS.add("fb_ts_lr")
def fb_ts_lr(
    spec: TaskSpec,
    *,
    bands: tuple[tuple[float, float], ...] = BANDS,
    estimator: str = "oas",
    c: float = 1.0,
) -> Any:
    """Filter-bank covariances in tangent space + logistic regression.

    Parameters
    ----------
    spec
        What the data fixes.
    bands
        Cut-offs of the bank, Hz; bands the windows cannot hold are left out.
    estimator
        Covariance estimator of pyRiemann: "oas", "lwf", "scm".
    c
        Inverse of the logistic regression's penalty.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        FilterBank(spec.sfreq, usable_bands(spec, bands)),
        BankTangent(estimator),
        StandardScaler(),
        LogisticRegression(C=c, max_iter=1000),
    )
