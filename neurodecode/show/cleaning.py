"""The table of what cleaning does to decoding."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from neurodecode.results.cleaning import effects
from neurodecode.results.store import Run, load_rows
from neurodecode.results.summaries import with_metric
from neurodecode.show import console


def show_cleaning(runs: Sequence[Run], *, metric: str | None, as_json: bool) -> None:
    """Print what cleaners do to decoding, from a run as recorded, a contaminated one, or both."""
    rows = with_metric(load_rows(runs), metric)
    table = effects(rows)
    if as_json:
        plain = table.astype(object).where(table.notna(), None).to_dict("records")
        sys.stdout.write(json.dumps(plain, indent=1) + "\n")
        return
    first = rows.iloc[0]
    dirty = next((text for text in rows["contaminated"] if text), "")
    words = f"{first['metric'].replace('_', ' ')}, {first['dataset']}, {first['protocol']}"
    simulated = " (SIMULATED recordings)" if rows["simulated"].any() else ""
    out = console()
    out.print(f"\n{words}{simulated}{f'; CONTAMINATED with {dirty}' if dirty else ''}",
              markup=False)  # fmt: skip
    drawn = _table(table)
    whole = out.measure(drawn, options=out.options.update(width=1000)).maximum
    console(at_least=whole).print(drawn)
    notes = [
        "Differences in percentage points to the same decoder uncleaned, with their 95 % interval "
        "over subjects; p: paired sign-flip test, Holm-corrected over the column."
    ]
    if "dirty_score" in table:
        notes.append("The uncleaned line shows what contamination costs, where both are known.")
    if table["clean"].str.endswith("removed").any():
        notes.append("CONTROL: ':removed' decodes what the cleaner took out, and should be chance.")
    out.print("\n".join(notes), markup=False)


def _table(lines: pd.DataFrame) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("model", "cleaning"):
        table.add_column(name, no_wrap=True)
    sides = [side for side in ("", "dirty_") if f"{side}score" in lines]
    for side in sides:
        what = "contaminated" if side else "as recorded"
        for name in (what, "difference", "p"):
            table.add_column(name, justify="right", no_wrap=True)
    back = "given_back" in lines
    if back:
        table.add_column("given back", justify="right")
    for line in lines.to_dict("records"):
        cells = [_model(line), escape(str(line["clean"]))]
        for side in sides:
            cells += _cells({str(k): v for k, v in line.items()}, side)
        if back:
            share = line["given_back"]
            cells.append("-" if share != share else f"{100 * share:.0f} %")
        table.add_row(*cells)
    return table


def _model(line: dict[Any, Any]) -> str:
    align = line["align"]
    return escape(str(line["model"]) + ("" if align == "none" else f" {align}"))


def _cells(line: dict[str, Any], side: str) -> list[str]:
    score, gain, p = (line.get(f"{side}{name}", float("nan")) for name in ("score", "gain", "p"))
    if score != score:
        return ["-", "-", "-"]
    if gain != gain:
        return [f"{score:.3f}", "-", "-"]
    low, high = line[f"{side}low"], line[f"{side}high"]
    spread = f"{100 * gain:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    return [f"{score:.3f}", spread, "-" if p != p else f"{p:.3f}"]
