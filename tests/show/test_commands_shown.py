"""What a person sees of a run whose recordings were played as if live."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neurodecode.evaluation.command_scores import Played, Timeline, score_decisions
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run
from neurodecode.show.listings import listing
from neurodecode.show.tables import show_run, show_runs


def scores(delay: float) -> dict[str, float]:
    """Of a decoder that commands the right class, `delay` s after each onset; none where nan."""
    time = np.arange(2.0, 60.0, 0.5)
    onset, label = np.array([10.0, 20.0, 30.0, 40.0]), np.array([0, 1, 0, 1])
    command = np.full(len(time), -1)
    if np.isfinite(delay):
        command[np.searchsorted(time, onset + delay)] = label
    proba = np.tile([0.7, 0.3], (len(time), 1))
    played = Played(
        time=time,
        proba=proba,
        evidence=proba,
        command=command,
        status=np.zeros(len(time), dtype=int),
        events=Timeline(onset=onset, duration=np.full(4, 4.0), label=label),
        span=(2.0, 60.0),
    )
    return score_decisions([played], n_classes=2, window=2.0)


@pytest.fixture(params=[True, False], ids=["simulated", "recorded"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Two decoders and three people, one of whom is never understood."""
    run, keys = Run(tmp_path / "r"), []
    for model in ("csp_lda", "ts_lr"):
        for subject, delay in {"1": 1.0, "2": 2.0, "3": np.nan}.items():
            keys.append(f"{model}-{subject}")
            found = scores(delay)
            row = ResultRow(
                key=keys[-1], paradigm="mi", dataset="d", protocol="pseudo-online",
                fold=f"subject={subject}", subject=subject, session="0", model=model,
                align="euclidean:causal", seed=0, labels="true", metric="balanced_accuracy",
                score=found["balanced_accuracy"], scores=found, n_train=10, n_test=500, n_chans=3,
                n_times=500, n_classes=2, sfreq=250.0, n_params=0, fit_time=0.1,
                predict_time=0.001, history={}, simulated=request.param,
            )  # fmt: skip
            run.write_fold(row, pd.DataFrame({"time": [2.0]}))
    meta = {
        "paradigm": "mi", "dataset": "d", "protocol": "pseudo-online", "folds": keys,
        "metric": "balanced_accuracy", "classes": ["left", "right"], "simulated": request.param,
    }  # fmt: skip
    run.describe("", meta)
    return run


def test_commands_have_a_table_of_their_own(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    show_run(run, per_subject=True)
    said = capsys.readouterr().out
    flowing = " ".join(said.split())
    table = said.split("commands  ")[1].split("\n")
    assert "false positives/min" in table[0]
    assert "time to decision s" in table[0]
    lines = [line.split() for line in table[1:3]]
    assert [line[:2] for line in lines] == [[m, "euclidean:causal"] for m in ("csp_lda", "ts_lr")]
    assert "1.50 ± 0.71" in table[1]  # of the two who were understood
    assert "30.00 ± 30.00" in table[1]  # 60 and 30 bits/min, and none
    assert "12 events and 2.1 min of background" in flowing
    assert "3 subjects (2 with a time to decision)" in flowing
    assert "ITR: by Wolpaw" in flowing
    assert "guessing passes" not in said


def test_simulated_recordings_are_called_so(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    show_run(run)
    said = " ".join(capsys.readouterr().out.split())
    assert ("Simulated recordings, played" in said) == bool(run.meta()["simulated"])
    assert "ecordings, played as if live" in said


def test_other_programs_get_the_same_figures(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    show_runs([run], as_json=True, metric="fp_per_min")
    document = json.loads(capsys.readouterr().out)
    first = document["commands"][0]
    assert (first["model"], first["tpr_n"], first["time_to_decision"]) == ("csp_lda", 3, 1.5)
    assert document["metric"] == "fp_per_min"
    assert document["table"][0]["score"] == 0


@pytest.mark.parametrize("metric", ["itr", "time_to_decision", "command_accuracy", "tpr"])
def test_a_run_can_be_about_any_score_of_commands(
    run: Run, metric: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_run(run, metric=metric, all_pairs=True)
    assert metric.replace("_", " ") in capsys.readouterr().out


def test_accumulators_and_scores_of_commands_are_listed(tmp_path: Path) -> None:
    found = dict(listing("accumulators", tmp_path))
    assert set(found) == {"none", "dwell", "bayes", "smooth"}
    assert "pseudo-online" in dict(listing("metrics", tmp_path))["fp_per_min"]
