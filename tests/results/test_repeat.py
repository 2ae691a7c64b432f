import json
from pathlib import Path

from toy_run import toy_run

from neurodecode.experiment.choices import resolve, to_toml
from neurodecode.experiment.demonstration import demonstration_choices
from neurodecode.results.repeat import facts_of, folds_of, libraries_of, repeat_command
from neurodecode.results.store import Run


def test_the_command_names_choices_that_are_those_of_the_run(tmp_path: Path) -> None:
    run, choices = toy_run(tmp_path / "my runs", {"a": [0.5]}), demonstration_choices()
    run.describe(to_toml(choices), run.meta())
    words = repeat_command(run)
    assert words.startswith("neurodecode fit --paradigm mi -c ")
    assert f"'{run.path / 'config.toml'}'" in words  # a space in a path is quoted
    again = resolve("mi", pipeline=run.path / "config.toml")
    assert json.dumps(again, default=list, sort_keys=True) == json.dumps(
        choices, default=list, sort_keys=True
    )  # what a run's name is made of


def test_a_pretraining_is_repeated_by_its_own_command(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {}, meta={"paradigm": "pretrain"})
    assert repeat_command(run).startswith("neurodecode pretrain -c ")


def test_what_no_command_repeats_has_none(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {}, meta={"calibrated": {"date": "x"}})
    assert repeat_command(run) == ""
    other = toy_run(tmp_path, {}, name="other")
    (other.path / "config.toml").unlink()
    assert repeat_command(other) == ""


def test_every_planned_fold_is_a_line_finished_or_not(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {"a": [0.5, 0.6]})
    run.fold_file("run-a-2").unlink()
    assert folds_of(run)["finished"].tolist() == [True, False]


def test_facts_are_text_whatever_meta_holds(tmp_path: Path) -> None:
    meta = {"ch_names": ["C3", "C4"], "seen": [], "nested": {"a": [1, None]}, "libraries": {"x": 1}}
    run = toy_run(tmp_path, {"a": [0.5]}, meta=meta)
    facts = facts_of(run).set_index("fact")["value"]
    assert facts["number of ch_names"] == "2"
    assert facts["nested"] == "a 1, "
    assert libraries_of(run)["version"].tolist() == ["1"]
    odd = Run(run.path)
    odd.describe("", {**run.meta(), "libraries": "none"})
    assert libraries_of(odd).empty
