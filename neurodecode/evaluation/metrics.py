"""Scores of predictions. Every fold keeps all that apply; a run is about one of them."""

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from neurodecode.core.errors import UnknownName

METRICS = ("balanced_accuracy", "accuracy", "roc_auc", "kappa", "f1", "log_loss")


def check_metric(name: str) -> None:
    """Refuse a metric that is not computed.

    Raises
    ------
    UnknownName
        With the nearest name.
    """
    if name not in METRICS:
        raise UnknownName("metric", name, METRICS)


def score_all(
    y: NDArray[np.integer], proba: NDArray[np.floating], n_classes: int
) -> dict[str, float]:
    """Every metric that the test windows allow.

    Parameters
    ----------
    y
        True classes, (n_epochs,), indices.
    proba
        Probabilities, (n_epochs, n_classes).
    n_classes
        Classes of the task. A fold that lacks some has no area under the ROC curve; its balanced
        accuracy is over the classes it has.
    """
    predicted = proba.argmax(axis=1)
    present = np.unique(y)
    recalls = [(predicted[y == c] == c).mean() for c in present]
    scores = {
        "balanced_accuracy": float(np.mean(recalls)),
        "accuracy": float((predicted == y).mean()),
        "f1": float(
            metrics.f1_score(
                y, predicted, labels=np.arange(n_classes), average="macro", zero_division=0.0
            )
        ),
        "log_loss": float(-np.log(np.clip(proba[np.arange(len(y)), y], 1e-12, None)).mean()),
    }
    if present.size > 1:
        scores["kappa"] = float(metrics.cohen_kappa_score(y, predicted))
    if present.size == n_classes:
        scores["roc_auc"] = float(
            metrics.roc_auc_score(y, proba[:, 1])
            if n_classes == 2
            else metrics.roc_auc_score(y, proba, multi_class="ovr", average="macro")
        )
    return scores
