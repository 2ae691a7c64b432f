import json
import os
from pathlib import Path

import pandas as pd
import pytest
from toy_run import toy_run

from neurodecode.core.errors import StoreError
from neurodecode.results.overview import (
    board_of,
    find_all,
    metrics_of,
    name_groups,
    read_scores,
    survey,
)
from neurodecode.results.store import Run

SCORES = {"csp_lda": [0.6, 0.7, 0.8], "ts_lr": [0.7, 0.9, 0.8]}


def test_what_cannot_be_read_is_named_with_its_reason(tmp_path: Path) -> None:
    good = toy_run(tmp_path, SCORES)
    (tmp_path / "empty").mkdir()
    (tmp_path / "no-meta" / "folds").mkdir(parents=True)
    for name, text in {"half": '{"paradigm": "m', "list": "[]", "nameless": "{}"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "meta.json").write_text(text)
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / "meta.json").write_text(json.dumps({"paradigm": "mi", "folds": [1]}))
    (tmp_path / "a-file").write_text("not a run")
    found = find_all(tmp_path)
    assert found.runs == [good]
    assert found.broken.keys() == {"empty", "no-meta", "half", "list", "nameless", "wrong"}
    assert "empty" in found.broken["empty"]
    assert "stopped before it began" in found.broken["no-meta"]
    assert "cannot be read" in found.broken["half"]
    assert "no table" in found.broken["list"]
    assert "no paradigm" in found.broken["nameless"]
    assert "no list of folds" in found.broken["wrong"]


def test_links_that_lead_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = toy_run(tmp_path / "elsewhere", SCORES)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(outside.path, target_is_directory=True)
    found = find_all(tmp_path / "runs")
    assert found.runs == []
    assert "outside" in found.broken["link"]


def test_no_folder_holds_nothing(tmp_path: Path) -> None:
    assert find_all(tmp_path / "missing") == find_all(tmp_path)


def test_a_run_is_told_by_its_best_decoder_and_how_far_it_is(tmp_path: Path) -> None:
    run = toy_run(tmp_path, SCORES)
    line = survey(run).line
    assert (line["best"], line["score"]) == ("ts_lr", pytest.approx(0.8))
    assert (line["finished"], line["planned"], line["marks"]) == (6, 6, "SIMULATED")
    run.fold_file("run-ts_lr-2").unlink()
    assert survey(run).line["finished"] == 5


def test_the_best_of_a_loss_is_the_least(tmp_path: Path) -> None:
    assert survey(toy_run(tmp_path, SCORES), "log_loss").line["best"] == "ts_lr"
    own = toy_run(tmp_path, SCORES, name="loss", metric="log_loss")
    assert survey(own).line["best"] == "csp_lda"


def test_a_run_without_a_score_is_a_line_and_no_board(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {"csp_lda": [float("nan")]})
    found = survey(run)
    assert found.board is None
    assert found.line["best"] == ""
    with pytest.raises(StoreError, match="has a balanced_accuracy"):
        read_scores(run)
    run.fold_file("run-csp_lda-1").unlink()
    with pytest.raises(StoreError, match=r"No fold of run is finished"):
        read_scores(run)


def test_what_must_be_said_stands_beside_the_score(tmp_path: Path) -> None:
    meta = {"contaminated": "eog", "simulated": False, "seen": ["a", "b"]}
    run = toy_run(tmp_path, SCORES, labels="shuffled", meta=meta)
    marks = survey(run).line["marks"]
    assert marks == "CONTAMINATED, CONTROL: labels shuffled, 2 PEOPLE SEEN IN PRETRAINING"
    assert board_of(run)["marks"].unique().tolist() == [marks]


def test_runs_on_the_same_data_are_told_apart_by_the_end_of_their_names(tmp_path: Path) -> None:
    boards = [
        board_of(toy_run(tmp_path, SCORES, name=name, dataset=dataset))
        for name, dataset in (("first-aaaaaaaa", "d"), ("second-bbbbbbbb", "d"), ("other", "e"))
    ]
    lines = pd.concat(boards, ignore_index=True)
    first, second, other = name_groups(lines)["group"].unique()
    assert first.endswith(", aaaaaaaa")
    assert second.endswith(", bbbbbbbb")
    assert "other" not in other  # alone on its data, it needs no name


def test_metrics_begin_with_that_of_the_run_and_are_ones_that_some_fold_has(
    tmp_path: Path,
) -> None:
    run = toy_run(tmp_path, SCORES, scores={"kappa": 0.1, "balanced_accuracy": 0.5, "f1": None})
    assert metrics_of(run) == ("balanced_accuracy", "kappa")
    assert survey(run).metrics == ("balanced_accuracy", "kappa")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_must_not_be_read_is_broken(tmp_path: Path) -> None:
    run = toy_run(tmp_path, SCORES)
    run.path.chmod(0)
    try:
        assert "cannot be read" in find_all(tmp_path).broken["run"]
    finally:
        run.path.chmod(0o755)


def test_a_run_of_another_kind_has_no_board(tmp_path: Path) -> None:
    toy_run(tmp_path, {}, name="pre", meta={"paradigm": "pretrain", "n_steps": 9, "model": "net"})
    toy_run(tmp_path, {}, name="cal", meta={"calibrated": {}, "parent": "p", "live": ["k"]})
    lines = [survey(Run(tmp_path / name)) for name in ("pre", "cal")]
    assert [line.line["kind"] for line in lines] == ["pretraining", "calibration"]
    assert [line.board for line in lines] == [None, None]
    assert lines[1].line["planned"] == 1
