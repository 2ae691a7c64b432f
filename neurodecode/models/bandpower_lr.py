"""Log band power, logistic regression: for states that last (rest, task, seizure)."""

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.signal import welch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline

from neurodecode.core.errors import SignalError
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
QUANTILES = (0.25, 0.5, 0.75)

Pool = Literal["auto", "always", "never"]


class ChannelPool(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # no types in sklearn
    """What channels say (n_epochs, n_chans, n_features), in as many numbers for any montage.

    Pooled, each feature becomes its mean, largest value, standard deviation and quartiles over the
    channels that are present; which channel says what is lost. Otherwise every channel keeps its
    features: (n_epochs, n_chans * n_features).

    Parameters
    ----------
    pool
        "always", "never", or "auto": where a channel of the training windows is absent.
    """

    def __init__(self, pool: Pool = "auto") -> None:
        self.pool = pool

    def fit(self, x: NDArray[np.floating], y: object = None) -> Self:
        """Learn whether to pool."""
        self.pooled_ = self.pool == "always" or (self.pool == "auto" and bool(np.isnan(x).any()))
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Features of each window; a channel with a value that is not a number is absent."""
        present = ~np.isnan(x).any(axis=2)
        if not self.pooled_:
            if not present.all():
                raise SignalError(
                    "Channels are absent that the decoder was fitted to. Set its option pool = "
                    '"always", for any montage.'
                )
            return np.asarray(x.reshape(len(x), -1), dtype=np.float64)
        out = np.empty((len(x), 3 + len(QUANTILES), x.shape[2]))
        patterns, which = np.unique(present, axis=0, return_inverse=True)
        for i, pattern in enumerate(patterns):  # recordings of one montage together
            own = x[which == i][:, pattern]
            out[which == i] = np.stack(
                [own.mean(axis=1), own.max(axis=1), own.std(axis=1)]
                + list(np.quantile(own, QUANTILES, axis=1)),
                axis=1,
            )
        return out.reshape(len(x), -1)


class AnyMontage(Pipeline):  # type: ignore[misc]  # no types in sklearn
    """Steps that can do with absent channels."""

    absent_chans = True


class BandPower(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # no types in sklearn
    """Log power of each channel in each band, (n_epochs, n_chans, n_bands).

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
        return np.asarray(np.log(np.stack(bands, axis=-1) + np.finfo(float).tiny))


def regress_features(spec: TaskSpec, features: Any, pool: Pool, c: float) -> Pipeline:
    """Features of channels, pooled if need be, and a logistic regression with classes balanced.

    Parameters
    ----------
    spec
        What the data fixes. Where recordings of several montages are one set, their channels go by
        numbers, and one number is another place in each: "auto" then pools.
    features
        Transformer of windows to (n_epochs, n_chans, n_features).
    pool, c
        See `bandpower_lr`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    if pool == "auto" and all(name.isdigit() for name in spec.ch_names):
        pool = "always"
    steps = [
        ("features", features),
        ("pool", ChannelPool(pool)),
        ("scale", StandardScaler()),
        ("regression", LogisticRegression(C=c, max_iter=1000, class_weight="balanced")),
    ]
    return Pipeline(steps) if pool == "never" else AnyMontage(steps)


@MODELS.add("bandpower_lr")
def bandpower_lr(
    spec: TaskSpec,
    *,
    bands: tuple[tuple[float, float], ...] = BANDS,
    c: float = 0.1,
    pool: Pool = "auto",
) -> Any:
    """Log band power of every channel + logistic regression; pooled, for any montage.

    Parameters
    ----------
    spec
        What the data fixes.
    bands
        Limits of each band, Hz, half-open; bands above half the sampling rate stay empty.
    c
        Inverse of the logistic regression's penalty.
    pool
        Whether channels are pooled, see `ChannelPool`: "always", "never", or "auto": where channels
        are absent, or recordings have several montages.
    """
    return regress_features(spec, BandPower(spec.sfreq, bands), pool, c)
