"""Filter-bank common spatial patterns.

Reference: "Filter Bank Common Spatial Pattern Algorithm on BCI Competition IV Datasets 2a and
2b", Frontiers in Neuroscience 2012, doi:10.3389/fnins.2012.00039.
Differences: the method needs no filtered signal, only its covariances, and those come from the
window's Fourier transform; features are chosen by their mutual information with the class one by
one; the classifier is a linear discriminant.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from neurodecode.core.errors import SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.signal.covariance import band_covariances

BANDS = ((4, 8), (8, 12), (12, 16), (16, 20), (20, 24), (24, 28), (28, 32), (32, 36), (36, 40))


class BankCovariances(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # no types in sklearn
    """Covariances of windows in several bands, (n_epochs, n_bands, n_chans, n_chans).

    Parameters
    ----------
    sfreq
        Sampling rate, Hz.
    bands
        Limits of each band, Hz, half-open.
    """

    def __init__(self, sfreq: float, bands: Sequence[tuple[float, float]] = BANDS) -> None:
        self.sfreq = sfreq
        self.bands = bands

    def fit(self, x: NDArray[np.floating], y: object = None) -> Self:
        """Learn nothing."""
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Covariances of windows (n_epochs, n_chans, n_times)."""
        return band_covariances(x, self.bands, sfreq=self.sfreq)


class BankCSP(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Log power of common spatial patterns of every band, the most telling ones.

    Parameters
    ----------
    n_patterns
        Spatial filters per band.
    n_features
        Features kept, by mutual information with the class.
    """

    def __init__(self, n_patterns: int = 4, n_features: int = 16) -> None:
        self.n_patterns = n_patterns
        self.n_features = n_features

    def fit(self, covs: NDArray[np.float64], y: NDArray[Any]) -> Self:
        """Learn filters and choose features from (n_epochs, n_bands, n_chans, n_chans)."""
        from pyriemann.spatialfilters import CSP
        from sklearn.feature_selection import mutual_info_classif

        n_patterns = min(self.n_patterns, covs.shape[-1])
        self.filters_ = np.stack(
            [CSP(n_patterns).fit(band, y).filters_ for band in covs.swapaxes(0, 1)]
        )
        information = mutual_info_classif(self._log_power(covs), y, random_state=0)
        self.kept_ = np.sort(np.argsort(-information, kind="stable")[: self.n_features])
        return self

    def transform(self, covs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features (n_epochs, n_features)."""
        return np.asarray(self._log_power(covs)[:, self.kept_])

    def _log_power(self, covs: NDArray[np.float64]) -> NDArray[np.float64]:
        power = np.einsum("bpc,nbcd,bpd->nbp", self.filters_, covs, self.filters_, optimize=True)
        return np.asarray(np.log(power.reshape(len(covs), -1)))


def usable_bands(spec: TaskSpec, bands: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The bands that the sampling rate holds and of which a window shows a period and a half.

    Raises
    ------
    SignalError
        If none is left.
    """
    kept = [(a, b) for a, b in bands if b < spec.sfreq / 2 and a * spec.duration >= 1.5]
    if not kept:
        raise SignalError(
            f"No band of {list(bands)} Hz fits windows of {spec.duration:g} s at {spec.sfreq:g} "
            f"Hz. Cut longer windows, or set bands."
        )
    return kept


@MODELS.add("fbcsp")
def fbcsp(
    spec: TaskSpec,
    *,
    bands: tuple[tuple[float, float], ...] = BANDS,
    n_patterns: int = 4,
    n_features: int = 16,
) -> Any:
    """Filter-bank common spatial patterns + linear discriminant analysis.

    Parameters
    ----------
    spec
        What the data fixes.
    bands
        Limits of each band, Hz, half-open; bands the windows cannot hold are left out.
    n_patterns
        Spatial filters per band.
    n_features
        Features kept, by mutual information with the class.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        BankCovariances(spec.sfreq, usable_bands(spec, bands)),
        BankCSP(n_patterns, n_features),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )
