"""Table of what was measured against peers, on the terminal and in a README."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from neurodecode.core.errors import ConfigError
from neurodecode.experiment.speed import Found
from neurodecode.results.store import writing
from neurodecode.show import console

HEADINGS = ("what", "ours", "peer", "times as fast (quartiles)", "command")


def show_speed(found: Sequence[Found], *, as_json: bool) -> None:
    """Print a line per comparison, those that failed with their error.

    Parameters
    ----------
    found
        As `read_found` returns them.
    as_json
        Print one document instead.
    """
    if as_json:
        sys.stdout.write(json.dumps(list(found), indent=1) + "\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if i in (1, 2, 3) else "left")
    for one in found:
        if "figures" not in one:
            table.add_row(*map(escape, _cells(one)))
    out = console()
    out.print(table)
    for one in found:
        for figure in one.get("figures", ()):
            out.print(f"{figure['file']}: {figure['sentence']}", markup=False)
    for line in _machines(found):
        out.print(line, markup=False)


def fill_readme(found: Sequence[Found], readme: Path) -> None:
    """Write the table, and the figures of growth, between the markers that a README has for them.

    Text between ``<!-- bench -->`` and ``<!-- /bench -->`` becomes the table, text between
    ``<!-- growth -->`` and ``<!-- /growth -->`` the figures, each with its sentence; where there is
    nothing to say, text stays.

    Raises
    ------
    ConfigError
        If the file cannot be read, or lacks the markers of what there is to say.
    """
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--readme {readme} cannot be read ({error.strerror}).") from None
    compared = [one for one in found if "figures" not in one]
    drawn = [one for one in found if "figures" in one]
    if compared:
        text = _between(text, "bench", _markdown(compared), readme)
    if drawn:
        text = _between(text, "growth", _figures(drawn), readme)
    with writing(readme) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _between(text: str, name: str, block: str, readme: Path) -> str:
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", flags=re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ConfigError(
            f"{readme} has no place for this: write the lines <!-- {name} --> and "
            f"<!-- /{name} --> where it shall stand, once."
        )
    return pattern.sub(lambda match: f"{match[1]}{block}\n{match[2]}", text)


def _markdown(found: Sequence[Found]) -> str:
    """The table in Markdown, and what it was measured on."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|--:|--:|--:|---|"]
    for one in found:
        *cells, command = (cell.replace("|", "\\|") for cell in _cells(one))
        lines.append("| " + " | ".join([*cells, f"`{command}`"]) + " |")
    return "\n".join([*lines, "", *_machines(found)])


def _figures(found: Sequence[Found]) -> str:
    """Figures in Markdown, each above its sentence."""
    parts = [
        f"![{figure['alt']}]({figure['file']})\n\n{figure['sentence']}"
        for one in found
        for figure in one["figures"]
    ]
    return "\n\n".join([*parts, *_machines(found)])


def _cells(one: Found) -> tuple[str, str, str, str, str]:
    if "error" in one:
        return f"{one['name']}: failed: {one['error']}", "-", "-", "-", one["command"]
    unit = one["unit"]
    return (
        one["what"].strip().removesuffix("."),
        f"{_number(one['ours'])} {unit}",
        f"{_number(one['theirs'])} {unit}",
        f"{_number(one['ratio'])} ({_number(one['ratio_low'])} to {_number(one['ratio_high'])})",
        one["command"],
    )


def _machines(found: Sequence[Found]) -> list[str]:
    """What the figures were measured on; where they differ, which on which."""
    where: dict[str, list[str]] = {}
    for one in found:
        if "machine" in one:
            where.setdefault(_machine(one["machine"]), []).append(one["name"])
    if len(where) == 1:
        return [f"Measured on {next(iter(where))}."]
    return [
        f"{', '.join(dict.fromkeys(names))}: measured on {words}." for words, names in where.items()
    ]


def _machine(facts: Found) -> str:
    n = facts.get("cpus")
    cores = f"{n} CPU{'s' if n != 1 else ''} of {facts.get('cpu')}"
    gpu = f", one {facts['gpu']}" if "gpu" in facts else ""
    return f"{cores}{gpu}, Python {facts.get('python')}, torch {facts.get('torch')}"


def _number(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
