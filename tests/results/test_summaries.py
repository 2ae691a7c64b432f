import numpy as np
import pandas as pd
import pytest
from scipy import stats

from neurodecode.results import summaries


def rows(scores: dict[str, list[float]], **more: object) -> pd.DataFrame:
    lines = [
        {
            "model": model, "align": "none", "clean": "none", "seed": 0, "dataset": "d",
            "fold": f"subject={i}", "subject": str(i), "session": "0", "score": score,
            "metric": "accuracy", "n_test": 20, "n_classes": 2, "n_params": 0, "fit_time": 1.0,
            "predict_time": 0.001, **more,
        }
        for model, values in scores.items()
        for i, score in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(lines)


def test_a_subject_with_more_sessions_counts_once() -> None:
    table = pd.concat([rows({"m": [0.5, 0.9]}), rows({"m": [0.7]}, session="1")])
    assert summaries.unit_scores(table)[("m", "none", "none")].tolist() == pytest.approx([0.6, 0.9])
    assert summaries.leaderboard(table)["score"][0] == pytest.approx(0.75)


def test_seeds_are_averaged_within_a_subject_and_their_spread_is_shown() -> None:
    table = pd.concat([rows({"m": [0.6, 0.8]}, seed=0), rows({"m": [0.7, 0.9]}, seed=1)])
    line = summaries.leaderboard(table).iloc[0]
    assert line["score"] == pytest.approx(0.75)
    assert line["n_units"] == 2
    assert line["seed_sd"] == pytest.approx(np.std([0.7, 0.8], ddof=1))


def test_the_interval_is_students() -> None:
    values = np.array([0.5, 0.6, 0.7, 0.9])
    low, high = summaries.interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert np.isnan(summaries.interval(values[:1])).all()


def test_the_paired_test_is_exact_for_few_subjects() -> None:
    """Five differences of one sign: 2 of the 32 flips are as extreme."""
    a, b = pd.Series([0.6, 0.7, 0.8, 0.9, 0.7]), pd.Series([0.5, 0.5, 0.5, 0.5, 0.5])
    assert summaries.paired_test(a, b).p == pytest.approx(2 / 32)
    assert summaries.paired_test(a, a).p == 1.0
    assert np.isnan(summaries.paired_test(a[:1], b[:1]).p)


def test_only_subjects_that_both_have_are_paired() -> None:
    test = summaries.paired_test(pd.Series([0.6, np.nan, 0.8]), pd.Series([0.5, 0.5, 0.5]))
    assert test.n == 2
    assert test.gain == pytest.approx(0.2)


def test_holm_is_holms() -> None:
    assert summaries.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert summaries.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert np.isnan(summaries.holm([np.nan, 0.01])[0])
    assert summaries.holm([np.nan, 0.01])[1] == pytest.approx(0.01)


def test_models_are_compared_with_the_one_named() -> None:
    table = rows({"a": [0.5, 0.6, 0.7], "b": [0.6, 0.8, 0.8], "c": [0.5, 0.5, 0.5]})
    board = summaries.leaderboard(table, against="b").set_index("model")
    assert np.isnan(board.loc["b", "gain"])
    assert board.loc["c", "gain"] == pytest.approx(-0.7 / 3)
    assert len(summaries.pairs(table)) == 3


def test_chance_is_passed_by_guessing_once_in_twenty() -> None:
    level, limit = summaries.chance(rows({"m": [0.5] * 10}))
    assert level == 0.5
    guesses = np.random.default_rng(0).binomial(200, 0.5, 20_000) / 200
    assert (guesses > limit).mean() <= 0.05
    assert (guesses >= limit).mean() >= 0.04


def test_metrics_without_a_simple_null_have_no_limit() -> None:
    assert summaries.chance(rows({"m": [0.5]}, metric="roc_auc"))[0] == 0.5
    assert np.isnan(summaries.chance(rows({"m": [0.5]}, metric="roc_auc"))[1])
    assert np.isnan(summaries.chance(rows({"m": [0.5]}, metric="log_loss"))[0])


def test_another_metric_is_read_from_the_stored_ones() -> None:
    table = rows({"m": [0.5, 0.6]}).assign(scores=[{"roc_auc": 0.7}, {}])
    other = summaries.with_metric(table, "roc_auc")
    assert other["score"].tolist() == [0.7]
