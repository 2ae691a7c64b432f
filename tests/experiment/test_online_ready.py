"""Decoders that are made for use live: causal steps only, and one fitted to everybody."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.cli import main
from neurodecode.core.errors import ConfigError, NeurodecodeError, UnknownName
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.cleaning import fold_windows
from neurodecode.evaluation.splits import EVERYBODY, everybody
from neurodecode.experiment.choices import resolve, to_toml
from neurodecode.experiment.data import load_data
from neurodecode.experiment.fit import fit, make_plan, preview
from neurodecode.results.store import load_rows
from neurodecode.show.tables import run_document, show_run
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

READY = {"evaluation.online_ready": True}
BAND = {"preprocess.band": [8, 30]}


@pytest.fixture
def ready(choices: dict[str, Any]) -> dict[str, Any]:
    choices["preprocess"]["filter"] = "causal"
    choices["evaluation"]["online_ready"] = True
    choices["online"] = {"hop": 0.1}
    return choices


def test_filters_become_causal_and_batch_alignment_of_a_default_is_left_out(
    card: Path, tmp_path: Path
) -> None:
    assert resolve("mi", flags=READY)["preprocess"]["filter"] == "causal"
    text = card.read_text() + '[choices.evaluation]\nalign = ["euclidean:batch", "none"]\n'
    own = tmp_path / "own.toml"
    own.write_text(text)
    choices = resolve("mi", flags={**READY, "data.dataset": [str(own)]})
    assert choices["evaluation"]["align"] == ["none"]
    assert choices["online"]["hop"] == 0.1


def test_without_the_flag_nothing_changes() -> None:
    choices = resolve("mi")
    assert choices["preprocess"]["filter"] == "zero-phase"
    assert "online" not in choices


def test_what_was_resolved_resolves_to_itself(tmp_path: Path) -> None:
    choices = resolve("mi", flags=READY, sets=["online.options.tau=1.0"])
    (tmp_path / "config.toml").write_text(to_toml(choices))
    again = resolve("mi", pipeline=tmp_path / "config.toml")
    assert to_toml(again) == to_toml(choices)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["preprocess.filter=zero-phase"], "runs filters backwards.*--online-ready filters"),
        (["evaluation.align=[euclidean:batch]"], "Write 'euclidean:causal'"),
        (["evaluation.clean=[asr:own]"], "Write 'asr', fitted to the training side, and calibrate"),
        (["evaluation.clean=[asr:removed]"], "is a control, and not for use"),
        (["evaluation.clean=[autoreject]"], "takes whole recordings.*such as asr"),
        (["epochs.baseline=[-0.2,0]"], "live nobody knows of events"),
        (["data.montage=any"], "a stream has the channels of its cap"),
        (["evaluation.split=cross-session"], "is of --protocol pseudo-online"),
        (["online.hop=0"], "online.hop = 0 s is no time"),
        (["online.accumulator=dwel"], "No accumulator is called 'dwel'. Did you mean 'dwell'"),
        (["online.options.taw=1"], r"option of \[online.options\].*Did you mean 'tau'"),
        (["online.threshold=2"], "threshold = 2 is no evidence"),
        (["online.refractory=-1"], "refractory = -1 is not a time"),
        (["online.hops=1"], "Did you mean 'hop'"),
    ],
)
def test_what_cannot_be_had_live_is_refused(sets: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve("mi", flags=READY, sets=sets)


def test_choices_of_live_use_are_refused_where_nothing_is_for_live_use() -> None:
    with pytest.raises(ConfigError, match=r"\[online\] says how.*Give --online-ready"):
        resolve("mi", sets=["online.hop=0.2"])
    with pytest.raises(ConfigError, match="split is of --protocol pseudo-online"):
        resolve("mi", sets=["evaluation.split=cross-session"])


def test_a_class_of_rest_must_be_one_of_the_classes(
    ready: dict[str, Any], tiny_epochs: EpochSet
) -> None:
    ready["online"]["rest"] = "rest"
    with pytest.raises(UnknownName, match="No class that online.rest could name.*left_hand"):
        make_plan(ready, tiny_epochs)


def test_a_reference_that_a_stream_would_lack_is_refused(card: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    more = card.read_text().replace('"Pz"]', '"Pz", "Oz"]').replace("n_subjects = 4", "seed = 1")
    other.write_text(more.replace('"tiny"', '"other"'))
    flags = {**READY, **BAND, "data.dataset": [str(card), str(other)], "data.subjects": [1]}
    with pytest.raises(ConfigError, match="live there are the common ones only"):
        load_data(resolve("mi", flags={**flags, "preprocess.reference": "average"}))
    assert load_data(resolve("mi", flags=flags))[0].x.shape[1] == 5


def test_each_pipeline_is_fitted_to_everybody_once(
    ready: dict[str, Any], tiny_epochs: EpochSet
) -> None:
    ready["models"], ready["evaluation"]["seeds"] = ["csp_lda", "eegnet"], [3, 4]
    ready["evaluation"]["align"] = ["none", "euclidean:causal"]
    plan = make_plan(ready, tiny_epochs)
    after = [job for job in plan.jobs if job.fold.name == EVERYBODY]
    assert after == plan.jobs[-4:]
    assert {(job.model, job.align, job.seed) for job in after} == {
        (model, align, 3) for model in ready["models"] for align in ready["evaluation"]["align"]
    }
    for job in after:
        assert len(job.fold.train) == len(tiny_epochs)
        assert len(job.fold.test) == 0
    assert set(plan.live) == {job.key for job in after}
    assert not set(plan.live) & set(plan.folds)


def test_folds_keep_their_keys(ready: dict[str, Any], tiny_epochs: EpochSet) -> None:
    """They are what they were: what comes after them, and [online], change no score."""
    before = make_plan(ready, tiny_epochs)
    ready["online"]["hop"] = 0.5
    assert make_plan(ready, tiny_epochs).live == before.live
    ready["evaluation"]["online_ready"] = False
    assert [job.key for job in make_plan(ready, tiny_epochs).jobs] == before.folds


def test_a_control_is_not_made_for_use(ready: dict[str, Any], tiny_epochs: EpochSet) -> None:
    ready["evaluation"]["shuffle_labels"] = True
    assert make_plan(ready, tiny_epochs).live == []


@pytest.mark.usefixtures("loaded")
def test_the_decoder_of_everybody_is_kept_and_in_no_table(
    ready: dict[str, Any],
    tmp_path: Path,
    tiny_epochs: EpochSet,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = fit(ready, tmp_path)
    meta = run.meta()
    assert meta["online_ready"]
    (key,) = meta["live"]
    assert len(load_rows([run])) == len(meta["folds"]) == 4
    loaded = checkpoint.load(run.checkpoint_file(key))
    again = Decoder("csp_lda", sfreq=64.0, ch_names=tiny_epochs.ch_names)
    again.fit(tiny_epochs.x, tiny_epochs.y)
    np.testing.assert_array_equal(
        loaded.predict_proba(tiny_epochs.x), again.predict_proba(tiny_epochs.x)
    )
    assert run.read_row(key) is not None
    assert run.read_predictions(key).empty
    show_run(run)
    assert f"Every step is causal, as live. To go live: neurodecode online {run.id}" in (
        " ".join(capsys.readouterr().out.split())
    )
    assert run_document(run)["finished"] == 4

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("it was finished")

    monkeypatch.setattr(Decoder, "fit", refused)
    assert fit(ready, tmp_path).meta()["live"] == [key]


def test_the_cleaner_of_a_fold_lies_beside_its_decoder(card: Path, tmp_path: Path) -> None:
    choices = resolve(
        "mi",
        flags={
            **READY,
            **BAND,
            "data.dataset": [str(card)],
            "models": ["csp_lda"],
            "evaluation.align": ["none"],
            "evaluation.clean": ["none", "asr"],
        },
    )
    run = fit(choices, tmp_path, n_workers=1)
    rows = {row.clean: row for row in map(run.read_row, run.meta()["live"]) if row is not None}
    assert set(rows) == {"none", "asr"}
    plain = checkpoint.load_extra(run.checkpoint_file(rows["none"].key))
    assert plain == {"cleaner": None, "drift": False, "gain": 1.0}
    extra = checkpoint.load_extra(run.checkpoint_file(rows["asr"].key))
    epochs, source = load_data(choices)
    assert source is not None
    cleaned = fold_windows(epochs, source, "asr", everybody(epochs))
    raw = source.parts[0].raw.copy()
    np.testing.assert_array_equal(
        extra["cleaner"].transform(raw).get_data(), cleaned.cleaner.transform(raw).get_data()
    )
    assert extra["drift"]
    assert cleaned.drift
    assert np.isfinite(cleaned.x).all()


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("align", ["none", "euclidean:causal"])
def test_what_brings_aligned_windows_to_microvolts_is_kept(
    align: str,
    ready: dict[str, Any],
    tmp_path: Path,
    tiny_epochs: EpochSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Backbones:
        def names(self) -> list[str]:
            return ["csp_lda"]

    monkeypatch.setattr("neurodecode.evaluation.unit.BACKBONES", Backbones())
    ready["evaluation"]["align"] = [align]
    run = fit(ready, tmp_path)
    (key,) = run.meta()["live"]
    gain = checkpoint.load_extra(run.checkpoint_file(key))["gain"]
    level = np.sqrt(np.mean(np.square(tiny_epochs.x, dtype=np.float64)))
    assert gain == pytest.approx(1.0 if align == "none" else level)


def test_a_dry_run_says_so(ready: dict[str, Any]) -> None:
    assert "neurodecode online RUN" in preview(ready)["live"]
    ready["evaluation"]["online_ready"] = False
    assert "live" not in preview(ready)


def test_denoisers_are_not_for_live_decoding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["neurodecode", "fit", "--paradigm", "denoise", "--online-ready", "--dry-run"]
    monkeypatch.setattr("sys.argv", argv)
    with pytest.raises(SystemExit):
        main()
    assert "Leave out what is for decoders: --online-ready" in capsys.readouterr().err


def test_mistakes_are_one_line() -> None:
    with pytest.raises(NeurodecodeError) as error:
        resolve("mi", flags=READY, sets=["preprocess.filter=zero-phase"])
    assert "\n" not in str(error.value)
