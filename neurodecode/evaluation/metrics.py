"""Scores of predictions. Every fold keeps all that apply; a run is about one of them.

Those of `METRICS` are of windows. Where windows slide over recordings, alarms are scored too, as
`neurodecode.evaluation.detection` does: by the any-overlap rule, by the rules of SzCORE, and span
by span. Where recordings are played as if live, decisions are, as
`neurodecode.evaluation.command_scores` does.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.evaluation.command_scores import COMMAND_METRICS

METRICS = ("balanced_accuracy", "accuracy", "roc_auc", "kappa", "f1", "log_loss")
EVENT_METRICS = (
    "event_sensitivity", "event_precision", "event_f1", "false_alarms_per_hour", "detection_delay",
    "szcore_sensitivity", "szcore_precision", "szcore_f1", "szcore_false_alarms_per_hour",
    "sample_sensitivity", "sample_precision", "sample_f1", "span_kappa",
)  # fmt: skip
LIVE_METRICS = ("balanced_accuracy", *COMMAND_METRICS)


def check_metric(name: str, *, slide: bool = False, live: bool = False) -> None:
    """Refuse a metric that is not computed.

    Parameters
    ----------
    name
        Of the metric.
    slide
        Whether windows slide, so that there are alarms.
    live
        Whether recordings are played as if live, so that there are decisions and no trials.

    Raises
    ------
    UnknownName
        With the nearest name.
    ConfigError
        For a metric of events without events, or of commands without commands.
    """
    if live:
        if name not in LIVE_METRICS:
            raise UnknownName("metric of pseudo-online", name, LIVE_METRICS)
        return
    if name in COMMAND_METRICS:
        raise ConfigError(
            f"evaluation.metric = '{name}' scores commands, and windows give none. Give --protocol "
            f"pseudo-online, or a metric of windows, such as roc_auc."
        )
    if name not in METRICS + EVENT_METRICS:
        raise UnknownName("metric", name, METRICS + EVENT_METRICS)
    if name in EVENT_METRICS and not slide:
        raise ConfigError(
            f"evaluation.metric = '{name}' scores alarms in recordings, and windows stand at "
            f"events. Give --set epochs.slide=true, or a metric of windows, such as roc_auc."
        )


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
