"""Augmented covariance: time-delayed copies of the channels, tangent space, linear SVM.

Reference: "Classification of BCI-EEG based on the augmented covariance matrix", IEEE TBME 2024,
doi:10.1109/TBME.2024.3386219. Order and lag are Takens' embedding of the signal; the paper picks
them per subject, here they are fixed choices so that nothing is tuned on a test subject.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.svm import SVC

from neurodecode.core.errors import SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS


class MarginSVC(SVC):  # type: ignore[misc]  # no types in sklearn
    """Support vector machine whose probabilities are the logistic of its margin.

    They rank as the margins do and are not calibrated; scikit-learn's own are fitted by an inner
    cross-validation that a margin does not need.
    """

    def predict_proba(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Pseudo-probabilities, (n_epochs, n_outputs)."""
        margin = self.decision_function(x)
        if margin.ndim == 1:
            return np.stack([expit(-margin), expit(margin)], axis=1)
        return np.asarray(softmax(margin, axis=1))


@MODELS.add("acm_ts_svm")
def acm_ts_svm(
    spec: TaskSpec,
    *,
    order: int = 3,
    lag: float = 0.032,
    estimator: str = "lwf",
    metric: str = "riemann",
    c: float = 1.0,
) -> Any:
    """Augmented covariance + tangent space + support vector machine.

    Parameters
    ----------
    spec
        What the data fixes.
    order
        Copies of each channel, the undelayed one included.
    lag
        Delay between copies, seconds.
    estimator
        Covariance estimator of pyRiemann: "lwf" (Ledoit-Wolf), "scm", "oas".
    metric
        Geometry of the tangent space: "riemann", "logeuclid", "euclid".
    c
        Inverse of the support vector machine's penalty.

    Raises
    ------
    SignalError
        If the delays leave less than half of the window.
    """
    from pyriemann.estimation import TimeDelayCovariances
    from pyriemann.tangentspace import TangentSpace
    from sklearn.pipeline import make_pipeline

    step = spec.samples(lag)
    if (order - 1) * step > spec.n_times / 2:
        raise SignalError(
            f"order={order} copies {lag} s apart take {(order - 1) * step} of {spec.n_times} "
            f"samples. Lower order or lag, or cut longer windows."
        )
    delays = [k * step for k in range(1, order)]
    return make_pipeline(
        TimeDelayCovariances(delays=delays, estimator=estimator),
        TangentSpace(metric),
        MarginSVC(C=c, kernel="linear"),
    )
