"""A command given again is answered from its finished run, unless anything could have changed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neurodecode.cli import app
from neurodecode.core.errors import ConfigError
from neurodecode.experiment import again
from neurodecode.experiment.again import Command, finished_run
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.fit import fit

HEAVY = {"torch", "lightning", "mne", "moabb", "braindecode", "sklearn", "pyriemann", "distributed"}

SEEN = """
import sys
from neurodecode.cli import app
app(sys.argv[1:], standalone_mode=False)
print(sorted(set(sys.modules) & set({heavy})), file=sys.stderr)
"""


def command(card: Path, **flags: Any) -> Command:
    named = {
        "data.dataset": [str(card)],
        "models": ["csp_lda"],
        "evaluation.align": ["none"],
        "preprocess.band": [8, 30],
    }
    return Command(paradigm="mi", pipeline=None, sets=(), flags={**named, **flags})


def fit_command(asked: Command, runs: Path) -> Any:
    choices = resolve(asked.paradigm, pipeline=asked.pipeline, sets=asked.sets, flags=asked.flags)
    return fit(choices, runs, n_workers=1, command=asked)


@pytest.fixture
def own_card(card: Path, tmp_path: Path) -> Path:
    path = tmp_path / "cards" / "tiny.toml"
    path.parent.mkdir()
    path.write_text(card.read_text())
    return path


def test_given_again_it_shows_the_same_table_and_imports_nothing_heavy(
    own_card: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [
        "fit", "--dataset", str(own_card), "--model", "csp_lda", "--jobs", "1",
        "--set", "preprocess.band=[8,30]", "--runs", str(tmp_path / "runs"),
    ]  # fmt: skip
    app(words, standalone_mode=False)
    first = capfd.readouterr()
    assert "8 fits" in first.err
    done = subprocess.run(
        [sys.executable, "-c", SEEN.format(heavy=HEAVY), *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == first.out
    line, modules = done.stderr.splitlines()
    assert "8 fits, all finished before" in line
    assert modules == "[]"
    for more in (["--json"], ["--against", "csp_lda"]):
        app([*words, *more], standalone_mode=False)
        assert "all finished before" in capfd.readouterr().err


@pytest.fixture
def finished(own_card: Path, tmp_path: Path) -> tuple[Path, Command]:
    """A folder of runs, and a command whose run in it is finished."""
    asked = command(own_card)
    run = fit_command(asked, tmp_path / "runs")
    assert finished_run(tmp_path / "runs", asked) == (run, 4)
    return tmp_path / "runs", asked


def test_another_command_is_another_run(finished: tuple[Path, Command], own_card: Path) -> None:
    runs, asked = finished
    assert finished_run(runs / "other", asked) is None
    assert finished_run(runs, command(own_card, **{"evaluation.seeds": 2})) is None
    assert finished_run(runs, command(own_card, **{"evaluation.seeds": None})) is not None
    for other in ({"paradigm": "p300"}, {"sets": ["train.lr=1"]}):
        words = {"paradigm": "mi", "sets": [], "pipeline": None, "flags": asked.flags, **other}
        assert finished_run(runs, Command(**words)) is None


def test_a_pipeline_file_counts_by_what_it_says(own_card: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[preprocess]\nband = [8.0, 30.0]\n")
    asked = Command(paradigm="mi", pipeline=file, sets=(), flags=command(own_card).flags)
    fit_command(asked, tmp_path / "runs")
    assert finished_run(tmp_path / "runs", asked) is not None
    file.write_text("[preprocess]\nband = [8.0, 31.0]\n")
    assert finished_run(tmp_path / "runs", asked) is None


def remove_a_fold(run: Path) -> None:
    next((run / "folds").iterdir()).unlink()


def cut_a_fold(run: Path) -> None:
    file = next((run / "folds").iterdir())
    file.write_bytes(file.read_bytes()[:100])


def cut_the_plan(run: Path) -> None:
    file = run / "plan.json"
    file.write_text(file.read_text()[:-20])


def remove_the_facts(run: Path) -> None:
    (run / "meta.json").unlink()


@pytest.mark.parametrize("harm", [remove_a_fold, cut_a_fold, cut_the_plan, remove_the_facts])
def test_a_run_that_is_not_whole_is_done_again(finished: tuple[Path, Command], harm: Any) -> None:
    runs, asked = finished
    run = next(runs.glob("mi-*"))
    harm(run)
    assert finished_run(runs, asked) is None
    assert fit_command(asked, runs).path == run
    assert finished_run(runs, asked) is not None


def test_an_edited_card_source_or_another_library_counts(
    finished: tuple[Path, Command], own_card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, asked = finished
    for name, value in {
        "shipped_digest": "edited",
        "library_versions": {**again.library_versions(), "torch": "0.1"},
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(again, name, lambda value=value: value)
            assert finished_run(runs, asked) is None
    assert finished_run(runs, asked) is not None
    own_card.write_text(own_card.read_text() + "# edited\n")
    assert finished_run(runs, asked) is None


def test_the_folder_from_which_it_is_given_and_that_of_the_data_count(
    finished: tuple[Path, Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, asked = finished
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        assert finished_run(runs, asked) is None
    monkeypatch.setenv("MNE_DATA", str(tmp_path))
    assert finished_run(runs, asked) is None


def test_a_run_that_is_asked_for_again_is_the_newest(finished: tuple[Path, Command]) -> None:
    runs, asked = finished
    run = next(runs.glob("mi-*"))
    os.utime(run / "meta.json", (1, 1))
    assert finished_run(runs, asked) is not None
    assert (run / "meta.json").stat().st_mtime > 1


def test_where_windows_are_kept_is_no_other_run(
    finished: tuple[Path, Command], own_card: Path
) -> None:
    runs, _ = finished
    without = command(own_card, **{"data.cache": False})
    assert finished_run(runs, without) is None
    assert fit_command(without, runs).path == next(runs.glob("mi-*"))


def test_an_unfinished_run_leaves_no_plan(
    own_card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: Any, **how: Any) -> None:
        raise ConfigError("stopped")

    monkeypatch.setattr("neurodecode.experiment.fit.run_jobs", stopped)
    with pytest.raises(ConfigError, match="stopped"):
        fit_command(command(own_card), tmp_path / "runs")
    assert list((tmp_path / "runs").glob("*/plan.json")) == []


def test_a_changed_recording_is_decoded_anew(
    texts_folder: Path, write_text: Callable[[Path, int], None], tmp_path: Path
) -> None:
    flags = {
        "data.dataset": [str(tmp_path / "texts.toml")], "data.data_dir": str(texts_folder),
        "models": ["bandpower_lr"], "evaluation.align": ["none"], "preprocess.band": [4, 20],
    }  # fmt: skip
    asked, runs = Command(paradigm="state", pipeline=None, sets=(), flags=flags), tmp_path / "runs"
    keys = json.loads((fit_command(asked, runs).path / "plan.json").read_text())["jobs"]
    assert finished_run(runs, asked) is not None
    write_text(texts_folder / "s2_1.txt", 100)
    assert finished_run(runs, asked) is None
    again_keys = json.loads((fit_command(asked, runs).path / "plan.json").read_text())["jobs"]
    assert not set(keys) & set(again_keys)
    assert finished_run(runs, asked) is not None
    (texts_folder / "s4_1.txt").write_text("new")
    assert finished_run(runs, asked) is None
