"""Xdawn covariances, tangent space, logistic regression: for event-related potentials.

Reference: "A Plug&Play P300 BCI Using Information Geometry", 2014, arXiv:1409.0107.
"""

from typing import Any

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS


@MODELS.add("xdawn_ts_lr")
def xdawn_ts_lr(
    spec: TaskSpec, *, n_patterns: int = 4, estimator: str = "oas", c: float = 1.0
) -> Any:
    """Xdawn covariances in tangent space + logistic regression.

    Parameters
    ----------
    spec
        What the data fixes.
    n_patterns
        Xdawn filters per class; no more than there are channels.
    estimator
        Covariance estimator of pyRiemann: "oas", "lwf", "scm".
    c
        Inverse of the logistic regression's penalty.
    """
    from pyriemann.estimation import XdawnCovariances
    from pyriemann.tangentspace import TangentSpace
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        XdawnCovariances(min(n_patterns, spec.n_chans), estimator=estimator),
        TangentSpace("riemann"),
        LogisticRegression(C=c, max_iter=1000, class_weight="balanced"),
    )
