import json
import multiprocessing
import os
from pathlib import Path

import pandas as pd
import pytest

from neurodecode.core.errors import StoreError
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run, Store, load_rows


def row(key: str = "k", score: float = 0.7) -> ResultRow:
    return ResultRow(
        key=key, paradigm="mi", dataset="d", protocol="cross-subject", fold="subject=1",
        subject="1", session="0", model="csp_lda", align="none", seed=0, labels="true",
        metric="accuracy", score=score, scores={"accuracy": score}, n_train=10, n_test=2,
        n_chans=3, n_times=100, n_classes=2, sfreq=100.0, n_params=0, fit_time=0.1,
        predict_time=0.001, history={}, simulated=True,
    )  # fmt: skip


PREDICTIONS = pd.DataFrame({"trial": [0, 1], "y_true": ["a", "b"], "p_a": [0.25, 0.75]})


def test_a_fold_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    assert run.read_row("k") is None
    run.write_fold(row(), PREDICTIONS)
    assert run.read_row("k") == row()
    pd.testing.assert_frame_equal(run.read_predictions("k"), PREDICTIONS, check_dtype=False)
    assert [p.name for p in (tmp_path / "run" / "folds").iterdir()] == ["k.parquet"]


def test_a_damaged_fold_counts_as_not_finished(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path / "run")
    run.write_fold(row(), PREDICTIONS)
    run.fold_file("k").write_bytes(run.fold_file("k").read_bytes()[:100])
    assert run.read_row("k") is None
    assert "will be computed again" in caplog.text


def test_a_full_disk_is_one_line_and_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "run")
    run.write_fold(row("first"), PREDICTIONS)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(StoreError, match=r"No space left on device.*finished folds are kept"):
        run.write_fold(row("second"), PREDICTIONS)
    assert run.read_row("first") == row("first")
    assert [p.name for p in (tmp_path / "run" / "folds").iterdir()] == ["first.parquet"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="Choose another folder with --runs"):
        Store.open(tmp_path / "file" / "runs")


def test_a_fold_of_a_sibling_run_is_linked(tmp_path: Path) -> None:
    first, second = Run(tmp_path / "a"), Run(tmp_path / "b")
    assert not second.adopt("k")
    first.write_fold(row(), PREDICTIONS)
    first.checkpoint_file("k").parent.mkdir()
    first.checkpoint_file("k").write_bytes(b"weights")
    assert second.adopt("k")
    assert second.read_row("k") == row()
    assert second.checkpoint_file("k").read_bytes() == b"weights"


def test_only_folds_of_the_plan_are_rows_of_a_run(tmp_path: Path) -> None:
    run = Run(tmp_path / "a")
    run.describe("", {"folds": ["k1", "k2"]})
    for key in ("k1", "old"):
        run.write_fold(row(key), PREDICTIONS)
    assert load_rows([run])["key"].tolist() == ["k1"]


def test_a_folder_that_is_no_run_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a run of neurodecode"):
        Run(tmp_path).meta()
    (tmp_path / "meta.json").write_text("{broken")
    with pytest.raises(StoreError, match="is not a run of neurodecode"):
        Run(tmp_path).meta()


def write_many(path: Path, first: int) -> None:
    for i in range(first, first + 10):
        Run(path).write_fold(row(f"k{i}"), PREDICTIONS)


def test_many_processes_write_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    workers = [context.Process(target=write_many, args=(tmp_path / "r", 5 * i)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    run = Run(tmp_path / "r")
    run.describe("", {"folds": [f"k{i}" for i in range(25)]})
    assert len(load_rows([run])) == 25
    assert json.loads((tmp_path / "r" / "meta.json").read_text())
