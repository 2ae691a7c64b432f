"""Log band power, logistic regression: for states that last (rest, task, seizure)."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.signal import welch
from sklearn.base import BaseEstimator, TransformerMixin

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS

BANDS = (
    (1.0, 4.0),
    (4.0, 8.0),
    (8.0, 10.0),
    (10.0, 13.0),
    (13.0, 20.0),
    (20.0, 30.0),
    (30.0, 45.0),
)


class BandPower(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # no types in sklearn
    """Log power of each channel in each band, (n_epochs, n_chans * n_bands).

    Parameters
    ----------
    sfreq
        Sampling rate, Hz.
    bands
        Limits of each band, Hz, half-open.
    """

    def __init__(self, sfreq: float, bands: tuple[tuple[float, float], ...] = BANDS) -> None:
        self.sfreq = sfreq
        self.bands = bands

    def fit(self, x: NDArray[np.floating], y: object = None) -> Self:
        """Learn nothing."""
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Welch's estimate with windows of two seconds, or the whole epoch if it is shorter."""
        n = min(x.shape[-1], round(2 * self.sfreq))
        freqs, power = welch(x, fs=self.sfreq, nperseg=n, axis=-1)
        picks = [(freqs >= low) & (freqs < high) for low, high in self.bands]
        bands = [power[..., pick].mean(axis=-1) for pick in picks if pick.any()]
        log = np.log(np.stack(bands, axis=-1) + np.finfo(float).tiny)
        return log.reshape(len(x), -1)


@MODELS.add("bandpower_lr")
def bandpower_lr(
    spec: TaskSpec, *, bands: tuple[tuple[float, float], ...] = BANDS, c: float = 0.1
) -> Any:
    """Log band power of every channel + logistic regression.

    Parameters
    ----------
    spec
        What the data fixes.
    bands
        Limits of each band, Hz, half-open; bands above half the sampling rate stay empty.
    c
        Inverse of the logistic regression's penalty.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        BandPower(spec.sfreq, bands),
        StandardScaler(),
        LogisticRegression(C=c, max_iter=1000, class_weight="balanced"),
    )
