"""Runs the scripts that measure speed against peers, and keeps what each of them found.

A script of ``benchmarks/`` is one that imports ``side_by_side``, which says what they share. Each
measures one ratio in one run and writes it as JSON. Where a script compares several things, its
``ARGUMENTS`` lists the arguments of each; nothing else needs to know of it.
"""

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodecode.core.errors import ConfigError, StoreError, UnknownName
from neurodecode.core.places import PACKAGE
from neurodecode.results.store import writing

SCRIPTS = PACKAGE.parent / "benchmarks"
LAYOUT = "side_by_side"
"""The module that every script of this kind imports."""

Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the arguments of one comparison.

    Attributes
    ----------
    path
        Of the script.
    arguments
        As one types them; there may be none.
    """

    path: Path
    arguments: str = ""

    @property
    def words(self) -> str:
        """What tells it from the others: "evaluation --model eegnet"."""
        return f"{self.path.stem} {self.arguments}".strip()

    @property
    def command(self) -> str:
        """What to type in the folder of the repository."""
        return f"python {self.path.parent.name}/{self.path.name} {self.arguments}".strip()

    @property
    def file(self) -> str:
        """Name of the file that holds what it found."""
        return re.sub(r"[^a-z0-9.]+", "-", self.words.lower()) + ".json"


def find_scripts(names: Sequence[str] | None = None, folder: Path = SCRIPTS) -> list[Script]:
    """The comparisons of those scripts, or of all there are; nothing is imported.

    Parameters
    ----------
    names
        Of scripts, without ``.py``.
    folder
        Where they lie.

    Raises
    ------
    ConfigError
        If there is no such folder, as in an installed package.
    UnknownName
        For a script that is not there.
    """
    found = {}
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if _imports_layout(tree):
            found[path.stem] = [Script(path, arguments) for arguments in _arguments(tree, path)]
    if not found:
        raise ConfigError(
            f"There are no scripts that measure speed in {folder}: they come with a clone of the "
            f"repository, not with the package. Clone it, and install it with pip install -e ."
        )
    for name in names or ():
        if name not in found:
            raise UnknownName("script that measures speed", name, found)
    return [script for name in names or found for script in found[name]]


def _imports_layout(tree: ast.Module) -> bool:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == LAYOUT:
            return True
        if isinstance(node, ast.Import) and LAYOUT in {alias.name for alias in node.names}:
            return True
    return False


def _arguments(tree: ast.Module, path: Path) -> Sequence[str]:
    """What ``ARGUMENTS`` lists; one comparison without arguments where there is no such name."""
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        if "ARGUMENTS" in names:
            try:
                return tuple(map(str, ast.literal_eval(node.value)))
            except (ValueError, TypeError):
                raise ConfigError(
                    f"ARGUMENTS of {path} is read without running the script. Write it out, as a "
                    f"tuple of texts."
                ) from None
    return ("",)


def measure(
    scripts: Sequence[Script],
    results: Path,
    *,
    report: Callable[[str, int, int], None] = lambda words, done, total: None,
) -> None:
    """Run scripts one after the other, each in a process of its own, and keep what they find.

    One that fails is kept with its error, and the others go on.

    Parameters
    ----------
    scripts
        As `find_scripts` returns them.
    results
        Folder with a JSON file for each.
    report
        Called with words, scripts done and scripts in all.
    """
    for i, script in enumerate(scripts):
        report(script.words, i, len(scripts))
        file = results.resolve() / script.file  # scripts run in another folder
        with writing(file) as temporary:
            error = _run(script, temporary)
            if error:
                temporary.write_text(json.dumps({"name": script.words, "error": error}) + "\n")
    report("done", len(scripts), len(scripts))


def _run(script: Script, file: Path) -> str:
    """Why a script failed, in one line; nothing where it did not."""
    call = [sys.executable, str(script.path), *shlex.split(script.arguments), "--json", str(file)]
    done = subprocess.run(
        call, cwd=script.path.parents[1], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return lines[-1] if lines else f"it ended with status {done.returncode}"
    return "" if file.is_file() else "it wrote no figures"


def read_found(scripts: Sequence[Script], results: Path) -> list[Found]:
    """What was kept of these scripts, in their order, each with its ``command``.

    Raises
    ------
    StoreError
        If there is nothing.
    ConfigError
        If a file is not what a script writes.
    """
    found = []
    for script in scripts:
        file = results / script.file
        if not file.is_file():
            continue
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(
                f"{file} is not JSON ({error}). Delete it, and give `neurodecode bench speed "
                f"{script.path.stem}`."
            ) from None
        if not isinstance(document, dict) or not {"ratio", "figures", "error"} & set(document):
            raise ConfigError(
                f"{file} holds no ratio. Delete it, and give `neurodecode bench speed "
                f"{script.path.stem}`."
            )
        found.append({**document, "command": script.command})
    if not found:
        raise StoreError(
            f"Nothing that was measured is kept in {results}. Measure it with `neurodecode bench "
            f"speed`, or name another folder with --results."
        )
    return found
