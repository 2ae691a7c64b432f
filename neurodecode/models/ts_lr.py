"""Tangent space of covariances, logistic regression: the strongest simple decoder.

Reference: "Classification of covariance matrices using a Riemannian-based kernel for BCI
applications", Neurocomputing 2013, doi:10.1016/j.neucom.2012.12.039.
"""

from typing import Any

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS


@MODELS.add("ts_lr")
def ts_lr(
    spec: TaskSpec, *, estimator: str = "lwf", metric: str = "riemann", c: float = 1.0
) -> Any:
    """Tangent space of covariances + logistic regression.

    Parameters
    ----------
    spec
        What the data fixes.
    estimator
        Covariance estimator of pyRiemann: "lwf" (Ledoit-Wolf), "scm", "oas".
    metric
        Geometry of the tangent space: "riemann", "logeuclid", "euclid".
    c
        Inverse of the logistic regression's penalty.
    """
    from pyriemann.estimation import Covariances
    from pyriemann.tangentspace import TangentSpace
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        Covariances(estimator), TangentSpace(metric), LogisticRegression(C=c, max_iter=1000)
    )
