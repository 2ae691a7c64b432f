"""Runs are kept fold by fold, and a fold's key changes with all that could change its score."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neurodecode.core.errors import FitError, StoreError
from neurodecode.epochs.epochset import EpochSet
from neurodecode.experiment.choices import to_toml
from neurodecode.experiment.fit import fit, make_plan
from neurodecode.results.store import Run, load_rows
from neurodecode.training.estimator import Decoder

pytestmark = pytest.mark.usefixtures("loaded")


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were fitted, in order."""
    done: list[str] = []
    own = Decoder.fit

    def counted(self: Decoder, *args: Any, **kwargs: Any) -> Decoder:
        done.append(self.model)
        return own(self, *args, **kwargs)

    monkeypatch.setattr(Decoder, "fit", counted)
    return done


def scores(run: Run) -> pd.DataFrame:
    return load_rows([run])[["fold", "model", "align", "seed", "score"]]


def test_a_second_run_fits_nothing(choices: dict, tmp_path: Path, fits: list[str]) -> None:
    first = fit(choices, tmp_path)
    assert fits == ["csp_lda"] * 4
    second = fit(choices, tmp_path)
    assert fits == ["csp_lda"] * 4
    assert first.path == second.path
    pd.testing.assert_frame_equal(scores(first), scores(second))


def test_another_model_in_the_comparison_fits_only_that_model(
    choices: dict, tmp_path: Path, fits: list[str]
) -> None:
    fit(choices, tmp_path)
    choices["models"] = ["mdm", "csp_lda"]
    run = fit(choices, tmp_path)
    assert fits == ["csp_lda"] * 4 + ["mdm"] * 4
    assert len(scores(run)) == 8


def test_what_was_finished_before_an_error_is_kept(
    choices: dict, tmp_path: Path, fits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = fit(choices, tmp_path / "a")
    fits.clear()
    own = Decoder.predict_proba

    def breaks_in_the_third_fold(self: Decoder, x: np.ndarray) -> np.ndarray:
        if len(fits) == 3:
            raise FitError("The third fold breaks.")
        return own(self, x)

    monkeypatch.setattr(Decoder, "predict_proba", breaks_in_the_third_fold)
    with pytest.raises(FitError, match="The third fold breaks"):
        fit(choices, tmp_path / "b")
    monkeypatch.setattr(Decoder, "predict_proba", own)
    fits.clear()
    resumed = fit(choices, tmp_path / "b")
    assert len(fits) == 2
    pd.testing.assert_frame_equal(scores(resumed), scores(undisturbed))


def test_a_full_disk_stops_in_one_line_and_keeps_the_folds(
    choices: dict, tmp_path: Path, fits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Run.write_fold

    def full(self: Run, row: Any, predictions: pd.DataFrame) -> None:
        if len(fits) == 3:
            monkeypatch.setattr("os.replace", refuse)
        own(self, row, predictions)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context():
        monkeypatch.setattr(Run, "write_fold", full)
        with pytest.raises(StoreError, match="No space left on device"):
            fit(choices, tmp_path)
    monkeypatch.undo()
    assert len(list(tmp_path.glob("*/folds/*.parquet"))) == 2
    assert not list(tmp_path.glob("*/folds/.*"))


def keys(choices: dict, epochs: EpochSet) -> set[str]:
    return {job.key for job in make_plan(choices, epochs).jobs}


def change_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurodecode.experiment.fit.source_digest", lambda module: "edited")


def change_version(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"numpy": "99"}
    monkeypatch.setattr("neurodecode.experiment.fit.library_versions", lambda: versions)


@pytest.mark.parametrize("change", [change_source, change_version])
def test_an_edited_package_or_another_library_is_another_key(
    choices: dict,
    loaded: EpochSet,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch], None],
) -> None:
    before = keys(choices, loaded)
    change(monkeypatch)
    assert not before & keys(choices, loaded)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.csp_lda", {"n_patterns": 2}),
        ("evaluation.align", ["euclidean:causal"]),
        ("evaluation.metric", "accuracy"),
        ("evaluation.seeds", [3]),
        ("evaluation.shuffle_labels", True),
    ],
)
def test_another_choice_is_another_key(
    choices: dict, loaded: EpochSet, path: str, value: object
) -> None:
    before = keys(choices, loaded)
    section, option = path.split(".")
    choices[section][option] = value
    assert not before & keys(choices, loaded)


def test_another_sample_or_label_is_another_key(choices: dict, loaded: EpochSet) -> None:
    x, y = loaded.x.copy(), loaded.y.copy()
    x[0, 0, 0] += 1e-3
    y[0] = 1 - y[0]
    sets = [loaded, replace(loaded, x=x), replace(loaded, y=y)]
    assert len(set.union(*(keys(choices, e) for e in sets))) == 12


def test_options_of_the_training_matter_to_nets_only(choices: dict, loaded: EpochSet) -> None:
    choices["models"] = ["csp_lda", "eegnet"]
    before = keys(choices, loaded)
    choices["train"] = {"epochs": 3}
    assert len(before & keys(choices, loaded)) == 4


def test_decoders_without_randomness_run_once(choices: dict, loaded: EpochSet) -> None:
    choices["models"], choices["evaluation"]["seeds"] = ["csp_lda", "eegnet"], 3
    jobs = make_plan(choices, loaded).jobs
    assert sum(job.model == "csp_lda" for job in jobs) == 4
    assert sum(job.model == "eegnet" for job in jobs) == 12


def test_worker_processes_give_the_same_scores(choices: dict, tmp_path: Path) -> None:
    choices["models"] = ["csp_lda", "mdm"]
    choices["evaluation"]["align"] = ["none", "euclidean:causal"]
    alone, together = (fit(choices, tmp_path / str(n), n_workers=n) for n in (1, 2))
    pd.testing.assert_frame_equal(scores(alone), scores(together))


SCRIPT = """
import sys, time
from pathlib import Path
from neurodecode.cli import main
from neurodecode.training.estimator import Decoder
own = Decoder.fit
def slow(self, *args, **kwargs):
    time.sleep(0.3)
    return own(self, *args, **kwargs)
Decoder.fit = slow
sys.argv = ["neurodecode", "fit", "-c", sys.argv[1], "--runs", sys.argv[2], "--jobs", "1"]
main()
"""


def test_killed_in_the_middle_and_started_again_it_finishes_the_rest_only(
    choices: dict, tmp_path: Path, fits: list[str]
) -> None:
    """kill -9 of a real process; the second start counts its fits."""
    config = tmp_path / "config.toml"
    config.write_text(to_toml(choices))
    undisturbed = fit(choices, tmp_path / "undisturbed")
    fits.clear()
    runs = tmp_path / "runs"
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(config), str(runs)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # on a busy machine threads wait for each other
    )  # fmt: skip
    deadline = time.monotonic() + 100
    while not (finished := list(runs.glob("*/folds/*.parquet"))):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = list(runs.glob("*/folds/*.parquet"))
    assert 0 < len(finished) < 4
    before = {path: path.stat().st_mtime_ns for path in finished}
    resumed = fit(choices, runs)
    assert len(fits) == 4 - len(finished)
    assert {path: path.stat().st_mtime_ns for path in finished} == before
    pd.testing.assert_frame_equal(scores(resumed), scores(undisturbed))


def test_predictions_are_kept_and_give_the_score(choices: dict, tmp_path: Path) -> None:
    run = fit(choices, tmp_path)
    for row in run.rows():
        table = run.read_predictions(row.key)
        assert len(table) == row.n_test
        assert set(table["subject"]) == {row.subject}
        assert (table["y_true"] == table["y_pred"]).mean() == pytest.approx(row.scores["accuracy"])
        np.testing.assert_allclose(table[["p_left_hand", "p_right_hand"]].sum(axis=1), 1)
