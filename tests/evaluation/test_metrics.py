import numpy as np
import pytest

from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.evaluation.metrics import (
    EVENT_METRICS,
    LIVE_METRICS,
    METRICS,
    check_metric,
    score_all,
)


def test_scores_of_known_predictions() -> None:
    y = np.array([0, 0, 0, 1])
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    scores = score_all(y, proba, 2)
    assert set(scores) == set(METRICS)
    assert scores["accuracy"] == 0.75
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores["roc_auc"] == 1.0
    assert scores["log_loss"] == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.7]).mean())


def test_a_fold_of_one_class_has_no_area_under_the_curve() -> None:
    scores = score_all(np.zeros(3, dtype=int), np.full((3, 2), 0.5), 2)
    assert "roc_auc" not in scores
    assert scores["balanced_accuracy"] == 1.0


def test_guessing_scores_at_chance_with_any_number_of_classes() -> None:
    rng = np.random.default_rng(0)
    y, proba = rng.integers(0, 4, 20_000), rng.dirichlet(np.ones(4), 20_000)
    scores = score_all(y, proba, 4)
    assert scores["balanced_accuracy"] == pytest.approx(0.25, abs=0.01)
    assert scores["roc_auc"] == pytest.approx(0.5, abs=0.01)
    assert scores["kappa"] == pytest.approx(0.0, abs=0.02)


def test_an_unknown_metric_is_told_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'roc_auc'"):
        check_metric("roc-auc")


@pytest.mark.parametrize("name", EVENT_METRICS)
def test_metrics_of_events_are_for_windows_that_slide(name: str) -> None:
    check_metric(name, slide=True)
    with pytest.raises(ConfigError, match=r"Give --set epochs.slide=true, or a metric of windows"):
        check_metric(name)


@pytest.mark.parametrize("name", LIVE_METRICS[1:])
def test_metrics_of_commands_are_for_recordings_that_are_played(name: str) -> None:
    check_metric(name, live=True)
    for slide in (False, True):
        with pytest.raises(ConfigError, match="Give --protocol pseudo-online, or a metric of wind"):
            check_metric(name, slide=slide)


def test_metrics_of_trials_are_not_those_of_recordings_that_are_played() -> None:
    check_metric("balanced_accuracy", live=True)
    with pytest.raises(UnknownName, match="metric of pseudo-online is called 'tprr'.*'tpr'"):
        check_metric("tprr", live=True)
