"""Line length, logistic regression: the classical feature of seizures.

Reference: "Line length: an efficient feature for seizure onset detection", EMBC 2001,
doi:10.1109/IEMBS.2001.1020545. Differences: it is the logarithm of the mean absolute difference of
neighbouring samples, so that a window's length and a person's amplitude are a shift, and a
regression weighs it instead of a bound.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.models.bandpower_lr import Pool, regress_features


class LineLength(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # no types in sklearn
    """Log line length of each channel in parts of the window, (n_epochs, n_chans, n_parts).

    Parameters
    ----------
    n_parts
        Equal parts of the window, in the order of time.
    """

    def __init__(self, n_parts: int = 1) -> None:
        self.n_parts = n_parts

    def fit(self, x: NDArray[np.floating], y: object = None) -> Self:
        """Learn nothing."""
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Log of the mean absolute difference of neighbouring samples, microvolts."""
        steps = np.abs(np.diff(x, axis=-1))
        parts = [part.mean(axis=-1) for part in np.array_split(steps, self.n_parts, axis=-1)]
        return np.asarray(np.log(np.stack(parts, axis=-1) + np.finfo(float).tiny))


@MODELS.add("line_length_lr")
def line_length_lr(spec: TaskSpec, *, n_parts: int = 4, c: float = 0.1, pool: Pool = "auto") -> Any:
    """Log line length of every channel (EMBC 2001) + logistic regression; pooled, for any montage.

    Parameters
    ----------
    spec
        What the data fixes.
    n_parts
        Parts of the window whose line length is a feature of its own; the last ones are what a
        window that slides is asked about.
    c
        Inverse of the logistic regression's penalty.
    pool
        Whether channels are pooled, see `bandpower_lr`.
    """
    return regress_features(spec, LineLength(min(n_parts, spec.n_times - 1)), pool, c)
