"""Minimum distance to mean covariance.

Reference: "Multiclass Brain-Computer Interface Classification by Riemannian Geometry", IEEE TBME
2012, doi:10.1109/TBME.2011.2172210.
"""

from typing import Any

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS


@MODELS.add("mdm")
def mdm(spec: TaskSpec, *, estimator: str = "lwf", metric: str = "riemann") -> Any:
    """Minimum distance to the mean covariance of each class.

    Parameters
    ----------
    spec
        What the data fixes.
    estimator
        Covariance estimator of pyRiemann: "lwf" (Ledoit-Wolf), "scm", "oas".
    metric
        Mean and distance: "riemann", "logeuclid", "euclid".
    """
    from pyriemann.classification import MDM
    from pyriemann.estimation import Covariances
    from sklearn.pipeline import make_pipeline

    return make_pipeline(Covariances(estimator), MDM(metric))
