import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.artifacts.bank import Bank
from neurodecode.artifacts.trained import load_denoiser
from neurodecode.cli import main
from neurodecode.core.errors import ConfigError, RecordingError, UnknownName
from neurodecode.experiment.choices import paradigm_of, to_toml
from neurodecode.experiment.denoise import fit_denoisers, make_denoise_plan, preview_denoise
from neurodecode.experiment.denoise_choices import refuse_flags, resolve_denoise
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run

SMALL = (
    "models=['tinyconv', 'atat']",
    "train.steps=2",
    "train.batch_size=16",
    "train.device=cpu",
    "evaluation.n_windows=2",
    "evaluation.snr=[-7, 2]",
    "mix.snr_convention=power",
)


@pytest.fixture(autouse=True)
def bank(noise_bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Bank:
    """People are not simulated again by every test."""
    monkeypatch.setattr("neurodecode.experiment.denoise.build_bank", lambda *_: noise_bank)
    return noise_bank


def test_later_places_win_and_everything_is_written_out(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(
        'paradigm = "denoise"\n[bank]\nn_people = 9\n[train]\nsteps = 7\n[mix.shares]\nemg = 1.0\n'
    )
    choices = resolve_denoise(pipeline=file, sets=["train.steps=8"], flags={"models": ["art"]})
    assert choices["models"] == ["art"]
    assert choices["bank"] == {"kind": "simulated", "n_people": 9, "duration": 60.0, "seed": 0}
    assert choices["train"] == {"steps": 8}
    assert choices["mix"]["shares"] == {"none": 0.2, "eog": 0.25, "emg": 1.0, "both": 0.25}
    assert choices["mix"]["snr_convention"] == "power"
    again = tmp_path / "again.toml"
    again.write_text(to_toml(choices))
    assert paradigm_of("mi", pipeline=again) == "denoise"
    assert resolve_denoise(pipeline=again) == choices


@pytest.mark.parametrize("section", ["mix.snr=[-5, 5]", "evaluation.snr=[0]"])
def test_decibels_without_a_convention_are_refused(section: str) -> None:
    with pytest.raises(ConfigError, match="in decibels, and does not say which"):
        resolve_denoise(sets=[section])
    resolve_denoise(sets=[section, "mix.snr_convention=eegdenoisenet"])


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("bank.kind=simulate", "Did you mean 'simulated'"),
        ("bank.people=3", "Did you mean 'n_people'"),
        ("bank.n_people=0", "3 or more"),
        ("bank.duration=-5", "a window has 2 s"),
        ("train.lr=-1.0", "must be a number of 0 or more"),
        ("train.weight_decay=nan", "must be a number of 0 or more"),
        ("bank.folder=x", "No option of .bank. of kind 'simulated'"),
        ("bank.kind=eegdenoisenet", "lacks folder"),
        ("mix.shares.eyes=1", "kind of artifact"),
        ("mix.shares.eog=-1", "must be 0 or more"),
        ("mix.n_chans=[8, 4]", "runs backwards"),
        ("mix.pairing=instant", "set bank.kind to 'ica'"),
        ("train.epochs=3", "No option of .train."),
        ("train.steps=0", "1 or more"),
        ("model.art.width=64.5", "not a whole number"),
        ("model.arts.width=64", "denoiser of this run"),
        ("models=dbconformer", "No denoiser is called"),
        ("models=['art', 'art']", "twice"),
        ("evaluation.seeds=0", "no number of seeds"),
        ("evaluation.protocol=within-session", "No option of"),
        ("preprocess.band=[1, 2]", "No section"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_built(word: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        resolve_denoise(sets=[word])
    assert "\n" not in str(caught.value)


def test_flags_of_decoders_are_refused() -> None:
    with pytest.raises(ConfigError, match="for decoders: --protocol, --clean"):
        refuse_flags({"protocol": "cross-subject", "clean": "asr", "align": None})


def test_a_net_that_needs_positions_is_refused_for_single_channels(tmp_path: Path) -> None:
    sets = ["bank.kind=eegdenoisenet", f"bank.folder={tmp_path}"]
    with pytest.raises(ConfigError, match="Leave it out: --model tinyconv,atat"):
        preview_denoise(resolve_denoise(sets=sets))
    plan = preview_denoise(resolve_denoise(sets=[*sets, "models=tinyconv"]))
    assert plan["sources"] == "30 blocks, not people"
    with pytest.raises(RecordingError, match="not a folder"):
        preview_denoise(resolve_denoise(sets=["bank.dataset=bids:nowhere", "bank.data_dir=/no"]))


def test_nets_are_trained_tested_and_kept(bank: Bank, tmp_path: Path) -> None:
    choices = resolve_denoise(sets=SMALL)
    run = fit_denoisers(choices, tmp_path)
    rows = run.rows()
    assert [row.model for row in rows] == ["tinyconv", "atat"]
    people = run.meta()["people"]
    assert sorted(sum(people.values(), [])) == sorted(bank.subjects)
    for row in rows:
        table = run.read_predictions(row.key)
        assert set(table["subject"]) == set(people["test"])
        assert len(table) == row.n_test == len(people["test"]) * 2 * (1 + 3 * 2)
        for kind in ("eog", "emg"):
            part = table[table["kind"] == kind]
            ratio = -20 * np.log10(part["rrmse_before"])
            assert ratio.to_numpy() == pytest.approx(part["snr"].to_numpy(), abs=1e-3)
        net, header = load_denoiser(run.path / "checkpoints" / f"{row.model}.safetensors")
        assert sum(p.numel() for p in net.parameters()) == row.n_params
        training = header["training"]
        assert training["people"] == people
        assert training["mix"]["snr_convention"] == "power"
        assert training["train"]["steps"] == 2
        assert training["train"]["lr"] == 2e-3  # defaults are written out
        assert (training["seed"], training["simulated"]) == (0, True)
        assert "torch" in training["environment"]["libraries"]


def test_a_run_that_was_killed_goes_on_with_the_next_net(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = resolve_denoise(sets=SMALL)
    done: list[tuple[str, bool]] = []

    def stop(job: Any, row: ResultRow, fitted: bool) -> None:
        done.append((job.name, fitted))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_denoisers(choices, tmp_path, on_done=stop)
    run = fit_denoisers(
        choices, tmp_path, on_done=lambda job, row, fitted: done.append((job.name, fitted))
    )
    assert done == [("tinyconv", True), ("tinyconv", False), ("atat", True)]
    one = resolve_denoise(sets=[*SMALL, "models=tinyconv"])
    other = fit_denoisers(one, tmp_path, on_done=lambda job, _, new: done.append((job.name, new)))
    assert done[-1] == ("tinyconv", False)  # another run in the folder has it
    assert other.path != run.path
    assert (other.path / "checkpoints" / "tinyconv.safetensors").exists()


def test_a_key_follows_what_changes_a_score(bank: Bank) -> None:
    def keys(*sets: str) -> list[str]:
        return [j.key for j in make_denoise_plan(resolve_denoise(sets=[*SMALL, *sets]), bank).jobs]

    usual = keys()
    assert keys("train.device=auto") == usual
    for change in ("train.lr=0.1", "mix.shares.eog=0.5", "evaluation.n_windows=3"):
        assert not set(keys(change)) & set(usual)
    both = keys("evaluation.seeds=2")
    assert both[:2] == usual
    assert len(set(both)) == 4


def test_artifacts_that_are_not_there_are_not_asked_for(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    choices = resolve_denoise(sets=SMALL)
    with pytest.raises(ConfigError, match="asks for muscles"):
        make_denoise_plan(choices, replace(bank, muscles=[]))
    less = resolve_denoise(sets=[*SMALL, "mix.shares.emg=0", "mix.shares.both=0"])
    make_denoise_plan(less, replace(bank, muscles=[]))


def _say(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["neurodecode", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_the_command_line_shows_nets_beside_doing_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [word for text in SMALL for word in ("--set", text)]
    runs = ["--runs", str(tmp_path)]
    fit = ["fit", "--paradigm", "denoise", "--model", "tinyconv", *sets, *runs]
    assert _say(monkeypatch, *fit) == 0
    said = capsys.readouterr().out
    assert "SIMULATED" in said
    assert "dB of power" in said
    assert said.index("do nothing") < said.index("tinyconv")
    assert _say(monkeypatch, "results", *runs, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [line["model"] for line in document["table"]][::4] == ["do nothing", "tinyconv"]
    assert document["table"][1]["snr_gain"] == 0
    assert len(document["by_snr"]) == 2 * 7
    assert _say(monkeypatch, "results", *runs, "--per-subject") == 2
    (config,) = tmp_path.glob("*/config.toml")
    assert _say(monkeypatch, "fit", "-c", str(config), *runs) == 0
    assert "finished before" in capsys.readouterr().err
    assert _say(monkeypatch, "check", str(config)) == 0
    assert "4,681 parameters" in capsys.readouterr().out


def test_the_paradigm_is_listed_beside_the_others() -> None:
    from neurodecode.experiment.choices import resolve
    from neurodecode.show.listings import listing

    assert "denoise" in dict(listing("paradigms", Path()))
    with pytest.raises(UnknownName, match="Did you mean 'denoise'"):
        resolve("denois")


def test_an_unfinished_run_says_so(bank: Bank, tmp_path: Path) -> None:
    from neurodecode.show.denoising import denoise_document

    run = fit_denoisers(resolve_denoise(sets=SMALL), tmp_path)
    run.fold_file(run.rows()[1].key).unlink()
    document = denoise_document(Run(run.path))
    assert (document["finished"], document["planned"]) == (1, 2)
