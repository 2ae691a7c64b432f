"""Verdicts on maps as a table."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from neurodecode.results.summaries import label
from neurodecode.show import console

Document = Mapping[str, Any]

CHECKS = {
    "random_weights": "random weights",
    "shuffled_labels": "shuffled labels",
    "faithful": "faithful",
    "agreement": "folds agree",
}
"""Checks with a column each, and its header."""
TRUTH = {"chan_hits": "at the source", "band_hits": "in its band"}


def show_explained(summary: Document, *, as_json: bool = False) -> None:
    """Print the verdict on every method and decoder, and what failures mean."""
    if as_json:
        sys.stdout.write(json.dumps(summary, indent=1) + "\n")
        return
    out = console()
    out.print(_headline(summary), markup=False)
    _print_whole(_table(summary))
    if summary.get("reliance"):
        out.print("\nLoss of balanced accuracy when a part comes from another window", markup=False)
        _print_whole(_reliance(summary))
    out.print(_footnote(summary), markup=False, soft_wrap=True)


def _print_whole(table: Table) -> None:
    out = console()
    whole = out.measure(table, options=out.options.update(width=1000)).maximum
    console(at_least=whole).print(table)


def _headline(summary: Document) -> str:
    data = f"{summary['dataset']}{' (SIMULATED recordings)' if summary['simulated'] else ''}"
    return (
        f"\nmaps of {summary['run']}: {summary['paradigm']}, {data}, {summary['folds']} folds, "
        f"up to {summary['n_windows']} windows each"
    )


def _table(summary: Document) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    entries = summary["methods"]
    checks = [name for name in CHECKS if any(name in entry["checks"] for entry in entries)]
    truths = [name for name in TRUTH if any((e.get("truth") or {}).get(name) for e in entries)]
    for name in ("decoder", "map", "verdict"):
        table.add_column(name, no_wrap=True)
    for name in checks:
        table.add_column(CHECKS[name], justify="right")
    for name in truths:
        table.add_column(TRUTH[name], justify="right")
    last = ""
    for entry in entries:
        decoder = label((entry["model"], entry["align"], entry["clean"]))
        cells = [_check(entry["checks"].get(name)) for name in checks]
        truth = entry.get("truth") or {}
        cells += [_percent(truth.get(name)) for name in truths]
        name = "" if decoder == last else decoder
        table.add_row(escape(name), entry["method"], _verdict(entry["verdict"]), *cells)
        last = decoder
    return table


def _verdict(word: str) -> str:
    return {"fails": "[bold red]FAILS[/]", "holds": "[green]holds[/]"}.get(word, word)


def _check(check: Document | None) -> str:
    if check is None or check.get("value") is None:
        return "-"
    mark = {False: " !", None: " ?"}.get(check["passed"], "")
    start = check.get("own_start")
    value = check["value"] if start is None else max(check["value"], start)
    return f"{value:.2f}{mark}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _reliance(summary: Document) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("decoder", "part"):
        table.add_column(name, no_wrap=True)
    for name in ("loss", "95 % interval", "n"):
        table.add_column(name, justify="right")
    last = ""
    for entry in summary["reliance"]:
        decoder = label((entry["model"], entry["align"], entry["clean"]))
        known = entry.get("low") is not None
        table.add_row(
            escape("" if decoder == last else decoder),
            escape(entry["part"]),
            f"{entry['drop']:+.3f}",
            f"{entry['low']:+.2f} to {entry['high']:+.2f}" if known else "-",
            str(entry["n"]),
        )
        last = decoder
    return table


def _footnote(summary: Document) -> str:
    lines = [
        "random weights, shuffled labels: correlation with the map of a decoder that learned "
        "nothing; 0.5 and more fails (!). Random weights are drawn, or those before training: "
        "whichever map is more alike.",
        "faithful: by how much the largest electrodes matter more than random ones, probability "
        "of the true class; ? with too few people to tell.",
    ]
    if any(entry.get("truth") for entry in summary["methods"]):
        expected = next(e["truth"] for e in summary["methods"] if e.get("truth"))
        share = expected.get("chan_expected")
        words = f" ({_percent(share)} of all electrodes)" if share is not None else ""
        lines.append(
            f"at the source: people whose largest electrode is within one of a true source{words}."
        )
    if summary.get("no_components"):
        lines.append(f"Components were not looked at: {summary['no_components']}")
    if any(entry["verdict"] == "unchecked" for entry in summary["methods"]):
        lines.append(
            "unchecked: not compared with a decoder that learned nothing, or of too few people "
            "to tell."
        )
    failed = [entry for entry in summary["methods"] if entry["verdict"] == "fails"]
    for entry in failed:
        name = label((entry["model"], entry["align"], entry["clean"]))
        lines.append(f"FAILS: {entry['method']} of {name}: {' '.join(entry['reasons'])}")
    lines.append(f"Look at them: neurodecode dashboard, or neurodecode report {summary['run']}")
    return "\n".join(lines)
