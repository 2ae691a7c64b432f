"""Early exits of a run: calibrated without the test subject, kept, and shown by the command."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.cli import main
from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.core.stopping import StopRule
from neurodecode.epochs.epochset import EpochSet
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.early_exit import exits_of_run
from neurodecode.experiment.fit import fit
from neurodecode.results.store import Run, Store
from neurodecode.training import checkpoint, estimator
from neurodecode.training.estimator import Decoder

LIVELY = {"n_steps": 4, "neuron_options": {"threshold": 0.05}}  # spikes after two epochs
SEEN: list[np.ndarray] = []  # validation windows of each fit, in order


@pytest.fixture(scope="module")
def fitted(card: Path, tiny_epochs: EpochSet, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A spiking net of two epochs, one that repeats windows, and a classical decoder."""
    choices = resolve(
        "mi",
        flags={
            "data.dataset": [str(card)],
            "models": ["spiking_eegnet", "spiking_eegnet:twin", "csp_lda"],
            "preprocess.band": [8, 30],
            "evaluation.align": ["euclidean:causal"],
            "train.epochs": 2,
            "train.lr": 0.01,
            "train.device": "cpu",
        },
    )
    choices["model"] = {"spiking_eegnet": LIVELY, "spiking_eegnet:twin": {"time": "repeat"}}
    own = estimator.fit_net

    def noted(net: Any, x: Any, y: Any, x_val: Any, *args: Any, **kwargs: Any) -> Any:
        SEEN.append(x_val)
        return own(net, x, y, x_val, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neurodecode.experiment.fit.load_data", lambda *_, **__: (tiny_epochs, None))
        patch.setattr(estimator, "fit_net", noted)
        return fit(choices, tmp_path_factory.mktemp("exits") / "runs", n_workers=1)


def give(epochs: EpochSet, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the run read these windows, and believe that they are its own."""
    monkeypatch.setattr("neurodecode.experiment.source.load_data", lambda *_, **__: (epochs, None))
    monkeypatch.setattr(EpochSet, "digest", lambda _: run.meta()["data"])


@pytest.fixture
def read(fitted: Run, tiny_epochs: EpochSet, monkeypatch: pytest.MonkeyPatch) -> None:
    give(tiny_epochs, fitted, monkeypatch)


@pytest.mark.usefixtures("read")
def test_whole_windows_score_what_the_run_says(fitted: Run) -> None:
    document = exits_of_run(fitted)
    (entry,) = document["models"]
    rows = [row for row in fitted.rows() if row.model == "spiking_eegnet"]
    scores = [fold["rules"]["whole"]["score"] for fold in entry["folds"]]
    assert scores == pytest.approx([row.score for row in rows])
    assert [line["rule"] for line in entry["lines"]] == ["whole", "confidence", "gap", "fixed"]
    assert entry["times"] == [0.5, 1.0, 1.5, 2.0]
    for line in entry["lines"]:
        assert 0.5 <= line["time"] <= 2.0
        assert line["median"] <= line["p90"] <= 2.0
        assert 0 <= line["ece"] <= 1
    assert json.loads((fitted.path / "exit.json").read_text()) == document


@pytest.mark.usefixtures("read")
def test_what_cannot_stop_is_left_out_with_a_reason(fitted: Run) -> None:
    document = exits_of_run(fitted, rules=["fixed"])
    reasons = {one["model"]: one["reason"] for one in document["skipped"]}
    assert set(reasons) == {"spiking_eegnet:twin", "csp_lda"}
    assert "whole window at every step" in reasons["spiking_eegnet:twin"]
    assert "decides once" in reasons["csp_lda"]
    with pytest.raises(ConfigError, match="No decoder of .* can stop early: csp_lda decides once"):
        exits_of_run(fitted, models=["csp_lda"])
    with pytest.raises(UnknownName, match="called 'csp'"):
        exits_of_run(fitted, models=["csp"])
    with pytest.raises(UnknownName, match="No rule is called 'sure'"):
        exits_of_run(fitted, rules=["sure"])


@pytest.mark.usefixtures("read")
def test_rules_are_calibrated_on_the_windows_that_chose_the_epoch(
    fitted: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[np.ndarray] = []
    own = Decoder.step_logits

    def noted(self: Decoder, x: Any) -> Any:
        asked.append(self.normalized(x))
        return own(self, x)

    monkeypatch.setattr(Decoder, "step_logits", noted)
    exits_of_run(fitted, models=["spiking_eegnet"])
    of_nets = SEEN[::2]  # of each fold, the first of two nets
    assert len(asked) == 2 * len(of_nets) == 8
    for held_out, chose in zip(asked[::2], of_nets, strict=True):
        np.testing.assert_array_equal(held_out, chose)


@pytest.mark.parametrize("what", ["labels", "windows"])
def test_a_test_subject_changes_no_bound(
    fitted: Run, tiny_epochs: EpochSet, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    test = np.flatnonzero(tiny_epochs.table["subject"] == tiny_epochs.table["subject"].iloc[0])
    x, y = tiny_epochs.x.copy(), tiny_epochs.y.copy()
    if what == "labels":
        y[test] = 1 - y[test]
    else:
        x[test] = 3 * x[test][:, ::-1] + 20 * np.random.default_rng(0).standard_normal(
            x[test].shape
        )
    folds = []
    for epochs in (tiny_epochs, replace(tiny_epochs, x=x, y=y)):
        give(epochs, fitted, monkeypatch)
        folds.append(exits_of_run(fitted)["models"][0]["folds"][0])
    before, after = folds
    for name in ("confidence", "gap", "fixed"):
        for fact in ("choice", "rule", "held_out"):
            assert before["rules"][name][fact] == after["rules"][name][fact]
    assert before["rules"]["whole"]["rule"] == after["rules"]["whole"]["rule"]  # temperatures
    assert before["rules"] != after["rules"]  # what is reported does change
    assert before["fixed"] != after["fixed"]


@pytest.mark.usefixtures("read")
def test_a_rule_can_be_taken_from_the_file(fitted: Run, tiny_epochs: EpochSet) -> None:
    exits_of_run(fitted)
    fold = json.loads((fitted.path / "exit.json").read_text())["models"][0]["folds"][0]
    decoder = checkpoint.load(fitted.checkpoint_file(fold["key"]))
    rule = StopRule.from_dict(fold["rules"]["gap"]["rule"])
    step, proba = rule.apply(decoder.step_logits(tiny_epochs.x[:5]))
    assert step.shape == (5,)
    np.testing.assert_allclose(proba.sum(axis=1), 1)


@pytest.fixture
def said(fitted: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str) -> tuple[int, str, str]:
        runs = ["--runs", str(fitted.path.parent)]
        monkeypatch.setattr(sys, "argv", ["neurodecode", "exit", *words, *runs])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    return run


@pytest.mark.usefixtures("read")
def test_the_command_shows_a_table_and_a_curve(said: Any, fitted: Run) -> None:
    assert Store(fitted.path.parent).runs() == [fitted]
    status, out, _ = said(fitted.id, "--curve")
    assert status == 0
    assert "spiking_eegnet + euclidean:causal, 4 steps in 2 s" in out
    for words in ("whole", "confidence", "gap", "fixed", "after step 2", "Left out: csp_lda"):
        assert words in out
    assert "SIMULATED" in out
    assert "after step" not in said(fitted.id)[1]


@pytest.mark.usefixtures("read")
def test_json_is_one_document_without_folds(said: Any, fitted: Run) -> None:
    status, out, _ = said(fitted.id, "--rule", "gap", "--margin", "0.05", "--json")
    document = json.loads(out, parse_constant=pytest.fail)
    assert (status, document["margin"]) == (0, 0.05)
    (entry,) = document["models"]
    assert [line["rule"] for line in entry["lines"]] == ["whole", "gap"]
    assert not {"folds", "curve"} & set(entry)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nosuch"], "No run is called 'nosuch'"),
        (["", "--rule", "gaps"], "No rule is called 'gaps'. Did you mean 'gap'?"),
        (["", "--model", "csp_lda"], "can stop early: csp_lda decides once"),
        (["", "--margin", "2"], "Invalid value for '--margin'"),
    ],
)
@pytest.mark.usefixtures("read")
def test_a_mistake_is_one_line(said: Any, words: list[str], complaint: str) -> None:
    status, out, err = said(*words)
    assert (status, out) == (2, "")
    assert complaint in err.splitlines()[-1]
