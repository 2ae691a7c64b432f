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


def test_the_recipe_for_slurm_makes_a_script() -> None:
    """As far as it goes without Slurm."""
    (recipe,) = re.findall(r"```py\n(from dask_jobqueue.*?)```", README, flags=re.DOTALL)
    head = recipe.partition("    cluster.scale")[0]
    found: dict[str, str] = {}
    exec(compile(f"{head}    found = cluster.job_script()", "README.md", "exec"), found)
    script = found["found"]
    assert "#SBATCH --cpus-per-task=16" in script
    assert re.search(
        r"dask_worker tcp://\S+ .*--nthreads 1 .*--nworkers 16 .*--lifetime 3h50m", script
    )
