from pathlib import Path

import numpy as np
import pytest
from toy_run import toy_run

from neurodecode.results.learning import (
    bands_of,
    best_epochs,
    curves_of,
    pretraining_curves,
    scores_by_size,
)
from neurodecode.results.pretraining import write_curve
from neurodecode.results.store import Run, load_rows


def test_a_band_is_over_the_fits_that_were_still_learning(tmp_path: Path) -> None:
    histories = ({"train_loss": [3.0, 2.0, 1.0], "best_epoch": [3.0]}, {"train_loss": [1.0, 0.0]})
    rows = [
        row
        for i, history in enumerate(histories)
        for row in toy_run(tmp_path, {"net": [0.5]}, name=str(i), history=history).rows()
    ]
    curves = curves_of(rows)
    bands = bands_of(curves)
    assert bands["mean"].tolist() == [2.0, 1.0, 1.0]
    assert bands["low"].tolist() == [1.0, 0.0, 1.0]
    assert bands["n"].tolist() == [2, 2, 1]
    assert best_epochs(curves[curves["value"] == 3.0])["best_epoch"].tolist() == [3.0]


def test_decoders_without_gradients_have_no_curve(tmp_path: Path) -> None:
    found = curves_of(toy_run(tmp_path, {"csp_lda": [0.5]}).rows())
    assert found.empty
    assert bands_of(found).empty
    assert best_epochs(found).empty


def test_size_is_drawn_only_where_runs_differ_in_it(tmp_path: Path) -> None:
    few = toy_run(tmp_path, {"a": [0.5, 0.6], "b": [0.5, 0.6]}, name="few", n_train=50)
    assert scores_by_size(load_rows([few])).empty
    many = toy_run(tmp_path, {"a": [0.7, 0.8]}, name="many", n_train=200)
    found = scores_by_size(load_rows([many, few]))
    assert found["pipeline"].tolist() == ["a", "a"]  # b learned from one number of windows
    assert found["n_train"].tolist() == [50, 200]
    assert found["score"].tolist() == pytest.approx([0.55, 0.75])


def test_a_pretraining_is_a_curve_over_steps(tmp_path: Path) -> None:
    run = Run(tmp_path / "pre")
    run.describe("", {"paradigm": "pretrain", "model": "net"})
    assert pretraining_curves(run).empty
    write_curve(
        run,
        [
            {"part": "train", "dataset": "all", "step": 10, "loss": 2.0},
            {"part": "validation", "dataset": "all", "step": 10, "loss": 3.0},
            {"part": "validation", "dataset": "one", "step": 10, "loss": 9.0},
            {"part": "train", "dataset": "all", "step": 20, "loss": np.nan},
        ],
    )
    found = pretraining_curves(run)
    assert found["curve"].tolist() == ["train_loss", "val_loss"]
    assert found["value"].tolist() == [2.0, 3.0]
