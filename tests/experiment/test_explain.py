"""Maps of a run: what they find where the answer is known, what they are worth, what is kept."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from neurodecode.cli import main
from neurodecode.core.errors import ConfigError, StoreError, UnknownName
from neurodecode.epochs.epochset import EpochSet
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.explain import _sources, explain_run, spread_over
from neurodecode.experiment.fit import fit
from neurodecode.recordings.synthetic import Synthetic
from neurodecode.results.maps import (
    data_file,
    maps_file,
    mean_maps,
    read_all_maps,
    read_data_maps,
    read_summary,
)
from neurodecode.results.store import Run
from neurodecode.training import checkpoint

CARD = """
name = "people"
description = "Simulated people under the cap of BNCI2014_001"
paradigm = "mi"
simulated = true
events = ["left_hand", "right_hand"]
[source]
kind = "synthetic"
[source.arguments]
n_subjects = 8
n_sessions = 1
n_trials = 60
sfreq = 128.0
cache = false
"""
MAPS = ("channel_attention", "integrated_gradients", "csp_patterns")


def entries(summary: dict[str, Any], **wanted: str) -> list[dict[str, Any]]:
    return [e for e in summary["methods"] if all(e[k] == v for k, v in wanted.items())]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, Any]]:
    """Eight people, each left out once, and the maps of those who were."""
    folder = tmp_path_factory.mktemp("people")
    (folder / "people.toml").write_text(CARD)
    choices = resolve(
        "mi",
        flags={
            "data.dataset": [str(folder / "people.toml")],
            "models": ["csp_lda", "dbconformer"],
            "evaluation.align": ["euclidean:causal"],
            "train.epochs": 12,
        },
    )
    run = fit(choices, folder / "runs", n_workers=2)
    options = {"n_windows": 60, "n_shuffled": 0, "cleaner": "none"}
    return run, explain_run(run, methods=MAPS, n_workers=1, **options)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("dbconformer", "channel_attention"),
        ("dbconformer", "integrated_gradients"),
        ("csp_lda", "csp_patterns"),
    ],
)
def test_maps_find_the_sources_of_nine_simulated_people_in_ten(
    people: tuple[Run, dict[str, Any]], model: str, method: str
) -> None:
    """The largest electrode is within one of C3 or C4, and the largest frequency in mu or beta."""
    (entry,) = entries(people[1], model=model, method=method)
    truth = entry["truth"]
    assert truth["n"] == 8
    assert truth["chan_hits"] >= 0.9, truth
    assert truth["chan_expected"] < 0.5
    if "freq" in entry["kinds"]:
        assert truth["band_hits"] >= 0.9, truth
        assert truth["band_mass"] > truth["band_expected"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_gradients_of_a_net_that_learned_hold(people: tuple[Run, dict[str, Any]]) -> None:
    (entry,) = entries(people[1], model="dbconformer", method="integrated_gradients")
    assert entry["verdict"] == "holds", entry["reasons"]
    assert entry["checks"]["random_weights"]["value"] < 0.5
    assert entry["checks"]["faithful"]["low"] > 0
    mean, sd, n = mean_maps(read_all_maps(people[0]), "integrated_gradients", "chan")
    assert mean.shape == sd.shape == (2, 22)
    assert n == 8
    assert (sd > 0).all()


@pytest.fixture(scope="module")
def untrained(card: Path, tiny_epochs: EpochSet, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Nets whose learning rate is next to nothing: they end where they began."""
    choices = resolve(
        "mi",
        flags={
            "data.dataset": [str(card)],
            "models": ["dbconformer", "csp_lda"],
            "preprocess.band": [8, 30],
            "evaluation.align": ["none"],
            "train.epochs": 1,
            "train.lr": 1e-9,
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neurodecode.experiment.fit.load_data", lambda *_, **__: (tiny_epochs, None))
        return fit(choices, tmp_path_factory.mktemp("untrained") / "runs", n_workers=1)


@pytest.fixture
def _read(tiny_epochs: EpochSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set is not simulated again."""
    monkeypatch.setattr(
        "neurodecode.experiment.source.load_data", lambda *_, **__: (tiny_epochs, None)
    )


def explained(run: Run, **more: Any) -> dict[str, Any]:
    few = {"n_windows": 8, "n_shuffled": 1, "cleaner": "none"}
    return explain_run(run, n_workers=1, **few | more)


@pytest.mark.usefixtures("_read")
def test_maps_of_an_untrained_net_fail_and_are_marked(untrained: Run) -> None:
    summary = explained(untrained, models=["dbconformer"])
    assert summary == read_summary(untrained)
    found = entries(summary, model="dbconformer")
    assert len(found) >= 6
    assert {entry["verdict"] for entry in found} == {"fails"}
    for entry in found:
        assert entry["checks"]["random_weights"]["own_start"] > 0.9, entry["method"]
        assert any("before the net learned anything" in reason for reason in entry["reasons"])


@pytest.mark.usefixtures("_read")
def test_every_fold_subject_and_class_has_its_maps(untrained: Run, tiny_epochs: EpochSet) -> None:
    explained(untrained)
    maps = read_all_maps(untrained)
    assert [m.facts["key"] for m in maps] == untrained.meta()["folds"]
    assert {m.facts["subject"] for m in maps} == set(tiny_epochs.table["subject"])
    net = next(m for m in maps if m.facts["model"] == "dbconformer")
    shape = net.get("integrated_gradients", "chan_time").shape
    assert shape == (2, len(tiny_epochs.ch_names), len(net.facts["times"]))
    assert all(np.isfinite(value).all() for value in net.tensors.values())


@pytest.mark.usefixtures("_read")
def test_what_was_explained_is_not_explained_again(
    untrained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = explained(untrained)
    made: list[str] = []

    def again(fold: Any) -> str:
        made.append(fold.row.key)
        return fold.row.key

    monkeypatch.setattr("neurodecode.experiment.explain.explain_fold", again)
    assert explained(untrained) == first
    assert made == []
    lost = untrained.meta()["folds"][1]
    maps_file(untrained, lost).write_bytes(b"half")
    explained(untrained)
    assert made == [lost]
    made.clear()
    monkeypatch.setattr("neurodecode.experiment.explain.explain_digest", lambda: "edited")
    explained(untrained)
    assert made == untrained.meta()["folds"]


@pytest.mark.usefixtures("_read")
def test_labels_of_the_test_side_do_not_reach_what_is_fitted(
    untrained: Run, tiny_epochs: EpochSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decoder that is fitted to shuffled labels sees the training side alone."""
    seen: list[np.ndarray] = []
    from neurodecode.training.estimator import Decoder

    fitting = Decoder.fit

    def watching(self: Decoder, x: Any, y: Any, groups: Any = None) -> Decoder:
        seen.append(np.asarray(groups))
        return fitting(self, x, y, groups)

    monkeypatch.setattr(Decoder, "fit", watching)
    explained(untrained, models=["csp_lda"], n_shuffled=4, again=True)
    assert len(seen) == 4
    left_out = [set(tiny_epochs.table["subject"]) - {w.split("/")[1] for w in who} for who in seen]
    assert [len(out) for out in left_out] == [1, 1, 1, 1]


@pytest.mark.usefixtures("_read")
def test_what_was_kept_stays_when_less_is_asked_for(untrained: Run) -> None:
    """Of other decoders, of other methods, and of whoever was left when it was cut off."""
    explained(untrained, models=["csp_lda"], methods=["csp_patterns"])
    again = explained(untrained, models=["csp_lda"], methods=["haufe_patterns"], n_folds=1)
    assert {e["method"] for e in entries(again, model="csp_lda")} >= {"csp_patterns"}
    (fold,) = (m for m in read_all_maps(untrained) if m.get("haufe_patterns", "chan") is not None
               and m.facts["fold"] == untrained.rows()[0].fold)  # fmt: skip
    assert fold.get("csp_patterns", "chan") is not None
    everybody = read_data_maps(untrained)
    data_file(untrained, everybody[1].facts["subject"]).unlink()
    explained(untrained, models=["csp_lda"], methods=["csp_patterns"])
    assert len(read_data_maps(untrained)) == len(everybody)


@pytest.mark.usefixtures("_read")
def test_maps_are_made_in_one_thread_however_many_work_at_them(
    untrained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them would add in another order, and last digits would hang on ``--jobs``."""
    loading, seen = checkpoint.load, []

    def watching(path: Path) -> Any:
        seen.append(torch.get_num_threads())
        return loading(path)

    monkeypatch.setattr("neurodecode.experiment.fold_maps.checkpoint.load", watching)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    explained(untrained, models=["csp_lda"], methods=["csp_patterns"], n_folds=1, again=True)
    assert seen == [1]


@pytest.mark.usefixtures("_read")
def test_artifacts_are_a_part_that_decisions_may_ride_on(
    untrained: Run, tiny_epochs: EpochSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "neurodecode.experiment.explain.artifact_windows", lambda *_, **__: tiny_epochs.x / 10
    )
    summary = explained(untrained, models=["csp_lda"], methods=["csp_patterns"], cleaner="ica:own")
    assert "components" in {line["part"] for line in summary["reliance"]}
    assert summary["no_components"] == ""


def test_the_truth_is_that_of_the_data_set_that_a_person_is_of(tmp_path: Path) -> None:
    """Person 1 of the second of two data sets has sources of their own."""
    cards, codes = [], []
    for seed in (0, 1):
        arguments = {"n_subjects": 2, "n_sessions": 1, "n_trials": 4, "sfreq": 64.0, "seed": seed}
        cards.append(tmp_path / f"card{seed}.toml")
        words = "".join(f"{k} = {v}\n" for k, v in arguments.items())
        text = CARD[: CARD.index("n_subjects")] + words + "cache = false\n"
        cards[-1].write_text(text.replace('"people"', f'"card{seed}"'))
        codes.append(Synthetic(**arguments, cache=False).code)
    choices = {"paradigm": "mi", "data": {"dataset": list(map(str, cards)), "data_dir": None}}
    source: Any = SimpleNamespace(choices=choices)
    rows: list[Any] = [SimpleNamespace(simulated=True, subject=f"{code}/1") for code in codes]
    first, second = (_sources(source, row) for row in rows)
    assert first
    assert [s.band for s in first] != [s.band for s in second]


def test_windows_are_spread_over_classes_and_time() -> None:
    y = np.array([0] * 90 + [1] * 10)
    pick = spread_over(y, 20)
    assert (y[pick] == 1).sum() == 10
    assert pick[0] == 0
    assert (np.diff(pick) > 0).all()
    assert len(spread_over(y, 500)) == 100


def test_what_cannot_be_explained_is_one_line(untrained: Run, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="explainer"):
        explain_run(untrained, methods=["gradcam"])
    with pytest.raises(UnknownName, match="decoder of"):
        explain_run(untrained, models=["eegnet"])
    empty = Run(tmp_path / "empty")
    empty.describe("", {"paradigm": "mi", "folds": ["a"]})
    with pytest.raises(StoreError, match="No fold"):
        explain_run(empty)
    empty.describe("", {"paradigm": "denoise", "folds": []})
    with pytest.raises(ConfigError, match="no decoder"):
        explain_run(empty)
    with pytest.raises(StoreError, match="neurodecode explain"):
        read_summary(empty)


@pytest.mark.usefixtures("_read")
def test_the_command_says_what_fails_and_why(
    untrained: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["neurodecode", "explain", untrained.id, "--runs", str(untrained.path.parent)]
    call += ["--windows", "8", "--shuffled", "1", "--jobs", "1", "--artifacts", "none"]
    monkeypatch.setattr(sys, "argv", call)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert "SIMULATED" in said
    assert "FAILS" in said
    assert "before the net learned anything" in said
    monkeypatch.setattr(sys, "argv", [*call, "--json"])
    with pytest.raises(SystemExit):
        main()
    assert json.loads(capsys.readouterr().out)["run"] == untrained.id


@pytest.mark.usefixtures("_read")
def test_a_fold_that_cannot_be_read_ends_the_work_of_several_processes(
    untrained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only among the first: later ones are read while workers explain."""
    from neurodecode.experiment import explain as module

    folds, n_read = module._folds, 0

    def breaking(*args: Any) -> Any:
        nonlocal n_read
        for fold in folds(*args):
            n_read += 1
            if n_read == 7:
                raise StoreError("The seventh cannot be read.")
            yield fold

    monkeypatch.setattr(module, "_folds", breaking)
    with pytest.raises(StoreError, match="seventh"):
        explain_run(
            untrained, models=None, methods=["csp_patterns"], n_windows=4, n_shuffled=0,
            cleaner="none", again=True, n_workers=2,
        )  # fmt: skip
