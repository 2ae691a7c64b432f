from pathlib import Path

import pytest
from toy_run import decisions, toy_run

from neurodecode.results.subjects import scores_of_people


def test_the_interval_of_a_person_is_about_the_score(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {"a": [0.6, 0.8], "b": [0.9, 0.7]})
    units, sessions = scores_of_people(run, None, ["a", "b"])
    assert units["score"].tolist() == pytest.approx([0.6, 0.8, 0.9, 0.7])
    assert (units["low"] < units["score"]).all()
    assert (units["score"] < units["high"]).all()
    assert sessions.empty


def test_other_metrics_have_no_interval(tmp_path: Path) -> None:
    units, _ = scores_of_people(toy_run(tmp_path, {"a": [0.6]}), "log_loss", ["a"])
    assert units["score"].tolist() == pytest.approx([0.4])
    assert units["low"].isna().all()


def test_sessions_are_told_apart_where_a_person_has_several(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {"a": [0.5]})
    (row,) = run.rows()
    table = decisions(20, 40)
    table["session"] = ["0"] * 20 + ["1"] * 20
    run.write_fold(row, table)
    _, sessions = scores_of_people(run, None, ["a"])
    assert sessions["unit"].tolist() == ["1, session 0", "1, session 1"]
    assert sessions["score"].tolist() == [1.0, 0.0]


def test_scores_are_shown_where_single_decisions_cannot_be_read(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {"a": [0.6]})
    (row,) = run.rows()
    run.write_fold(row, run.read_predictions(row.key).drop(columns=["y_true"]))
    units, _ = scores_of_people(run, None, ["a"])
    assert units["score"].tolist() == [0.6]
    assert units["low"].isna().all()
