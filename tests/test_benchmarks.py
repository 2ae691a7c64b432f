"""Scripts that measure speed: found, run one by one, kept, and written into a README."""

import importlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from neurodecode.cli import app
from neurodecode.core.errors import ConfigError, StoreError, UnknownName
from neurodecode.experiment.speed import SCRIPTS, Script, find_scripts, measure, read_found
from neurodecode.show.speed import fill_readme, show_speed

ALL = find_scripts()
LAYOUT = (SCRIPTS / "side_by_side.py").read_text(encoding="utf-8")
GOOD = """import json, sys
import side_by_side
ARGUMENTS = ("--size 1", "--size 2")
found = {"name": "good", "what": "sorting | size " + sys.argv[2] + ".", "ratio": 2.5,
         "ratio_low": 2.0, "ratio_high": 3.0, "ours": 1234.5, "theirs": 0.01234, "unit": "s",
         "machine": {"cpu": "Abacus", "cpus": 2, "python": "3.11", "torch": "2"}}
open(sys.argv[sys.argv.index("--json") + 1], "w").write(json.dumps(found))
"""
BAD = "import side_by_side\nraise ValueError('the peer | is missing')\n"
MUTE = "from side_by_side import finish\n"
OTHER = "print('not one of them')\n"
README = "# Speed\n<!-- bench -->\nold\n<!-- /bench -->\nbelow\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Scripts: two comparisons that work, one that fails, one that writes nothing."""
    made = tmp_path / "benchmarks"
    made.mkdir()
    texts = {"side_by_side": "def finish(): pass", "good": GOOD, "bad": BAD, "mute": MUTE}
    for name, text in {**texts, "other": OTHER}.items():
        (made / f"{name}.py").write_text(text, encoding="utf-8")
    return made


def benchmark(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module(name)


def test_there_are_scripts() -> None:
    assert {"evaluation", "growth"} <= {script.path.stem for script in ALL}
    assert len({script.file for script in ALL}) == len(ALL)


@pytest.mark.parametrize("script", ALL, ids=lambda script: script.words)
def test_a_script_has_the_options_that_its_comparisons_give(script: Script) -> None:
    text = script.path.read_text(encoding="utf-8")
    words = [word for word in shlex.split(script.arguments) if word.startswith("--")]
    assert [word for word in words if f'"{word}"' not in text + LAYOUT] == []
    assert f"benchmarks/{script.path.name}" in text.split('"""')[1]  # it says how to run it


@pytest.mark.parametrize("name", ["evaluation", "growth"])
def test_help_answers(name: str) -> None:
    call = [sys.executable, str(SCRIPTS / f"{name}.py"), "--help"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert "--rounds" in done.stdout


def test_comparisons_are_those_that_scripts_list(folder: Path) -> None:
    found = [script.words for script in find_scripts(folder=folder)]
    assert found == ["bad", "good --size 1", "good --size 2", "mute"]
    good = find_scripts(["good"], folder)[1]
    assert good.command == "python benchmarks/good.py --size 2"
    assert good.file == "good-size-2.json"
    with pytest.raises(UnknownName, match="Did you mean 'good'"):
        find_scripts(["god"], folder)


def test_arguments_are_texts_that_stand_there(folder: Path) -> None:
    text = "import side_by_side\nARGUMENTS = tuple(str(i) for i in range(3))\n"
    (folder / "good.py").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="Write it out"):
        find_scripts(folder=folder)


def test_without_the_scripts_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clone of the repository"):
        find_scripts(folder=tmp_path)


def test_a_script_that_fails_does_not_stop_the_others(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scripts, seen = find_scripts(folder=folder), []
    measure(scripts, tmp_path / "found", report=lambda words, done, total: seen.append(words))
    found = read_found(scripts, tmp_path / "found")
    assert [one.get("ratio") for one in found] == [None, 2.5, 2.5, None]
    assert found[0]["error"] == "ValueError: the peer | is missing"
    assert found[3]["error"] == "it wrote no figures"
    assert seen == ["bad", "good --size 1", "good --size 2", "mute", "done"]
    show_speed(found, as_json=False)
    printed = capsys.readouterr().out
    assert "2 CPUs of Abacus" in printed
    assert "failed" in printed
    show_speed(found, as_json=True)
    assert len(json.loads(capsys.readouterr().out)) == 4


def test_the_table_stands_between_its_markers_however_often_it_is_written(
    folder: Path, tmp_path: Path
) -> None:
    scripts, results = find_scripts(folder=folder), tmp_path / "found"
    measure(scripts, results)
    readme = tmp_path / "README.md"
    readme.write_text(README, encoding="utf-8")
    fill_readme(read_found(scripts, results), readme)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("# Speed\n<!-- bench -->\n| what |")
    assert text.endswith("<!-- /bench -->\nbelow\n")
    assert "old" not in text
    row = (
        r"| sorting \| size 1 | 1,234 s | 0.0123 s | 2.5 (2 to 3) | "
        "`python benchmarks/good.py --size 1` |"
    )
    assert row in text.splitlines()
    assert r"bad: failed: ValueError: the peer \| is missing" in text
    fill_readme(read_found(scripts, results), readme)
    assert readme.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("text", ["no place", README + README, "<!-- bench -->\n"])
def test_a_readme_without_the_markers_is_left_alone(
    text: str, folder: Path, tmp_path: Path
) -> None:
    scripts = find_scripts(["good"], folder)
    measure(scripts[:1], tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="<!-- /bench -->"):
        fill_readme(read_found(scripts, tmp_path), readme)
    assert readme.read_text(encoding="utf-8") == text


def test_what_is_kept_must_be_there_and_whole(folder: Path, tmp_path: Path) -> None:
    scripts = find_scripts(["good"], folder)
    with pytest.raises(StoreError, match="bench speed"):
        read_found(scripts, tmp_path)
    for text in ("{", "[1]", '{"name": "good"}'):
        (tmp_path / scripts[0].file).write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match="Delete it"):
            read_found(scripts, tmp_path)


def test_the_command_shows_what_is_kept(tmp_path: Path) -> None:
    document = {"name": "evaluation", "error": "no peer"}
    (tmp_path / find_scripts(["evaluation"])[0].file).write_text(json.dumps(document))
    call = ["bench", "speed", "evaluation", "--kept", "--results", str(tmp_path)]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 1  # something failed
    assert "no peer" in done.stdout


def points(growth: ModuleType, axis: str) -> list[Any]:
    """Time grows with the square, memory not at all."""
    values = growth.AXES[axis][:3]
    return [growth.Point(axis, v, task, v**2 / 100, 50.0) for task in growth.TASKS for v in values]


def test_growth_is_the_power_that_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    growth = benchmark("growth", monkeypatch)
    mine = points(growth, "channels")
    assert growth.slope(*growth.curve(mine, "eegnet", "seconds")) == pytest.approx(2)
    assert growth.slope(*growth.curve(mine, "eegnet", "mib")) == pytest.approx(0)
    (figure,) = growth.draw_all(mine, tmp_path)
    assert figure["sentence"].startswith("4 times the channels, 32 instead of 8: 16 (loading)")
    svg = Path(figure["file"]).read_text(encoding="utf-8")
    assert "eegnet: 2.00" in svg
    growth.draw_all(mine, tmp_path)
    assert Path(figure["file"]).read_text(encoding="utf-8") == svg  # the same points, the same file


def test_figures_of_growth_stand_between_their_markers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    growth = benchmark("growth", monkeypatch)
    figures = growth.draw_all(points(growth, "window"), tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text("<!-- growth -->\n<!-- /growth -->\n", encoding="utf-8")
    fill_readme([{"name": "growth", "figures": figures, "command": "x"}], readme)
    text = readme.read_text(encoding="utf-8")
    assert f"({tmp_path}/growth_window.svg)\n\n4 times the length of the window, 4 s" in text


def test_scores_agree_where_seeds_differ_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = benchmark("evaluation", monkeypatch)
    near = evaluation.agree([0.70, 0.74, 0.72], [0.71, 0.75, 0.70])
    far = evaluation.agree([0.70, 0.71, 0.72], [0.80, 0.81, 0.82])
    assert near["agree"]
    assert "0.720 and 0.720 over 3 seeds, within seed noise" in near["words"]
    assert not far["agree"]
    assert far["difference"] == pytest.approx(-0.1)
    assert evaluation.agree([0.7], [0.7])["agree"] is None  # one seed says nothing


@pytest.mark.slow
def test_an_evaluation_is_compared_with_that_of_moabb(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    call = [sys.executable, str(SCRIPTS / "evaluation.py"), "--json", str(file), "--cold"]
    call += ["--subjects=3", "--sessions=1", "--trials=10", "--epochs=1", "--rounds=1"]
    call += ["--jobs=1", "--their-jobs=1", "--window=1"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["ratio"] == pytest.approx(found["theirs"] / found["ours"])
    assert set(found["details"]["scores"]) == {"ours", "theirs"}
