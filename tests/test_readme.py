"""What the README shows runs."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from neurodecode.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
JOINED = README.replace("\\\n", " ")
COMMANDS = sorted(set(re.findall(r"^\$? ?neurodecode ([^#\n]+)", JOINED, flags=re.MULTILINE)))


@pytest.mark.parametrize("block", BLOCKS)
def test_its_python_runs(block: str) -> None:
    exec(compile(block, "README.md", "exec"), {})


def test_there_is_something_to_run() -> None:
    assert BLOCKS
    assert len(COMMANDS) > 8


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_and_options_exist(command: str) -> None:
    name, *words = shlex.split(command)
    group = [name, words.pop(0)] if name == "bench" else [name]
    help_text = CliRunner().invoke(app, [*group, "--help"], env={"COLUMNS": "200"}).output
    assert "Usage" in help_text
    options = [word.split("=")[0] for word in words if word.startswith("-")]
    assert [o for o in options if o not in help_text] == []
