"""Common spatial patterns, log power, linear discriminant: the field's oldest yardstick.

Reference: "Optimizing Spatial Filters for Robust EEG Single-Trial Analysis", IEEE Signal
Processing Magazine 2008, doi:10.1109/MSP.2008.4408441.
"""

from typing import Any

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS


@MODELS.add("csp_lda")
def csp_lda(
    spec: TaskSpec, *, n_patterns: int = 8, estimator: str = "scm", metric: str = "euclid"
) -> Any:
    """Common spatial patterns + linear discriminant analysis.

    Parameters
    ----------
    spec
        What the data fixes.
    n_patterns
        Spatial filters; no more than there are channels.
    estimator
        Covariance estimator of pyRiemann: "scm", "lwf", "oas".
    metric
        Mean of the class covariances: "euclid", "riemann", "logeuclid".
    """
    from pyriemann.estimation import Covariances
    from pyriemann.spatialfilters import CSP
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        Covariances(estimator),
        CSP(min(n_patterns, spec.n_chans), metric=metric),
        LinearDiscriminantAnalysis(),
    )
