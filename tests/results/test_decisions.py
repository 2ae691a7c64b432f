from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_run import decisions, toy_run

from neurodecode.core.errors import StoreError
from neurodecode.results.decisions import (
    calibration_error,
    confusion,
    read_decisions,
    reliability,
    rows_of,
    unit_intervals,
    wilson,
)


def table(n_right: int, n: int, **own: object) -> pd.DataFrame:
    found = decisions(n_right, n, **own)
    right = found["y_true"] == found["y_pred"]
    confidence = found[["p_left", "p_right"]].max(axis=1)
    return found.assign(unit="1", seed=0, right=right, confidence=confidence)


def test_every_row_of_the_confusion_is_a_class_and_sums_to_one() -> None:
    found = confusion(table(14, 20))
    assert found.groupby("y_true")["share"].sum().tolist() == [1.0, 1.0]
    assert found["n"].sum() == 20
    cell = found[(found["y_true"] == "left") & (found["y_pred"] == "left")].iloc[0]
    assert (cell["n"], cell["share"]) == (7, 0.7)


def test_a_class_that_never_was_has_no_share() -> None:
    found = table(5, 10)
    found = confusion(found[found["y_true"] == "left"])
    assert found.loc[found["y_true"] == "right", "share"].isna().all()


def test_a_decoder_that_knows_itself_has_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 40_000)
    right = rng.random(40_000) < sure
    found = pd.DataFrame({"confidence": sure, "right": right, "p_a": sure, "p_b": 1 - sure})
    bins = reliability(found)
    assert calibration_error(bins) < 0.01
    assert bins["n"].sum() == 40_000
    inside = (bins["accuracy_low"] <= bins["confidence"]) & (
        bins["confidence"] <= bins["accuracy_high"]
    )
    assert inside.mean() >= 0.8


def test_the_calibration_error_is_how_much_surer_it_is_than_right() -> None:
    """Always 0.9 sure, right in 60 of 100: off by 0.3."""
    assert calibration_error(reliability(table(60, 100, sure=0.9))) == pytest.approx(0.3)
    assert np.isnan(calibration_error(reliability(table(1, 2).iloc[:0])))


def test_a_certain_decision_is_in_the_last_bin() -> None:
    bins = reliability(table(4, 4, sure=1.0))
    assert (bins["high"].iloc[0], bins["n"].iloc[0]) == (1.0, 4)


def test_wilsons_interval_is_that_of_the_paper() -> None:
    low, high = wilson(np.array([0.8, 1.0, 0.0]), np.array([10, 20, 0]))
    assert (low[0], high[0]) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert (low[1], high[1]) == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert np.isnan(low[2])


def test_with_one_class_the_interval_of_a_person_is_wilsons() -> None:
    one = table(16, 20)
    one = one[one["y_true"] == "left"]
    line = unit_intervals(one).iloc[0]
    low, high = wilson(np.array([0.8]), np.array([10]))
    assert (line["low"], line["high"]) == pytest.approx((low[0], high[0]))


def test_the_interval_of_a_person_holds_the_truth_19_times_in_20() -> None:
    rng, n_people = np.random.default_rng(0), 1000
    people = np.repeat([str(i) for i in range(n_people)], 75)
    truth = np.tile(np.repeat(["a", "b", "c"], 25), n_people)
    right = rng.random(75 * n_people) < np.tile(np.repeat([0.5, 0.7, 0.9], 25), n_people)
    found = pd.DataFrame({"unit": people, "seed": 0, "y_true": truth, "right": right})
    lines = unit_intervals(found)
    held = (lines["low"] <= 0.7) & (lines["high"] >= 0.7)
    assert 0.93 <= held.mean() <= 0.98


def test_more_seeds_do_not_make_more_windows() -> None:
    once = table(15, 20)
    line = unit_intervals(once).iloc[0]
    twice = unit_intervals(pd.concat([once, once.assign(seed=1)])).iloc[0]
    assert twice.to_dict() == line.to_dict()
    assert line["n"] == 20


def test_moments_without_a_decision_or_a_class_are_left_out(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {"m": [0.5]})
    (row,) = run.rows()
    gaps = run.read_predictions(row.key)
    gaps.loc[0, ["y_pred"]], gaps.loc[1, ["y_true"]] = "", ""
    gaps.loc[0, ["p_left", "p_right"]] = np.nan
    run.write_fold(row, gaps)
    found = read_decisions(run, [row])
    assert len(found) == len(gaps) - 2
    assert found["confidence"].notna().all()


def test_only_folds_of_the_pipeline_are_read(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {"a": [0.5, 0.6], "b": [0.7]})
    own = rows_of(run.rows(), ("a", "none", "none"))
    assert read_decisions(run, own)["unit"].unique().tolist() == ["1", "2"]
    with pytest.raises(StoreError, match="has decisions"):
        read_decisions(run, [])


def test_a_fold_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {"a": [0.5]})
    (row,) = run.rows()
    path = run.fold_file(row.key)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(StoreError, match="Remove it and give the command"):
        read_decisions(run, [row])
