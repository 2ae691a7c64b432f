"""The tables of early exits."""

import json
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from neurodecode.results.summaries import label
from neurodecode.show import console

Document = Mapping[str, Any]
MANY = 12  # fixed steps are thinned out to about so many lines


def show_exits(document: Document, *, curve: bool, as_json: bool) -> None:
    """Print what early exits lose and save.

    Parameters
    ----------
    document
        As `neurodecode.experiment.early_exit` makes it.
    curve
        Whether to print score against time as well.
    as_json
        Print it as JSON, without the folds, which ``exit.json`` has.
    """
    if as_json:
        left_out = {"folds"} if curve else {"folds", "curve"}
        models = [{k: v for k, v in m.items() if k not in left_out} for m in document["models"]]
        sys.stdout.write(json.dumps({**document, "models": models}, indent=1) + "\n")
        return
    out = console()
    out.print(_headline(document), markup=False)
    for entry in document["models"]:
        name = label((entry["model"], entry["align"], entry["clean"]))
        n, seconds = entry["n_steps"], entry["times"][-1]
        out.print(f"\n{name}, {n} steps in {seconds:g} s", markup=False)
        _print_whole(_table(entry["lines"]))
        if curve:
            out.print("")
            _print_whole(_curve_table(entry["curve"], seconds))
    out.print(_footnote(document), markup=False)


def _headline(document: Document) -> str:
    simulated = " (SIMULATED recordings)" if document["simulated"] else ""
    added = f", CONTAMINATED ({document['contaminated']})" if document.get("contaminated") else ""
    control = ", CONTROL: training labels shuffled" if document["labels"] == "shuffled" else ""
    return (
        f"\nEarly exits, {document['paradigm']}, {document['dataset']}{simulated}{added}, "
        f"{document['protocol']}{control}"
    )


def _print_whole(table: Table) -> None:
    out = console()
    whole = out.measure(table, options=out.options.update(width=1000)).maximum
    console(at_least=whole).print(table)


def _table(lines: Sequence[Document]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rule", no_wrap=True)
    names = ["balanced accuracy", "change", "vs fixed, same time"]
    for name in [*names, "time s", "of window", "median s", "90 % by", "ECE"]:
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        whole, fixed = line["rule"] == "whole", line["rule"] in ("whole", "fixed")
        table.add_row(
            escape(line["rule"]),
            f"{line['score']:.3f}",
            "-" if whole else _points(line["change"], line["low"], line["high"]),
            "-"
            if fixed
            else _points(line["same_time"], line["same_time_low"], line["same_time_high"]),
            f"{line['time']:.2f}",
            f"{100 * line['share']:.0f} %",
            f"{line['median']:.2f}",
            f"{line['p90']:.2f}",
            f"{line['ece']:.3f}",
        )
    return table


def _curve_table(points: Sequence[Document], seconds: float) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stops", no_wrap=True)
    for name in ("time s", "of window", "balanced accuracy"):
        table.add_column(name, justify="right")
    fixed = [point for point in points if point["rule"] == "fixed"]
    spread = np.linspace(0, len(fixed) - 1, min(MANY, len(fixed))).round().astype(int)
    others = [point for point in points if point["rule"] != "fixed"]
    others = [b for a, b in pairwise([{"time": None}, *others]) if a["time"] != b["time"]]
    for point in [*(fixed[i] for i in spread), *others]:
        steps = point["rule"] == "fixed"
        table.add_row(
            f"after step {point['bound']}" if steps else f"confidence > {point['bound']:.3f}",
            f"{point['time']:.2f}",
            f"{100 * point['time'] / seconds:.0f} %",
            f"{point['score']:.3f}",
        )
    return table


def _footnote(document: Document) -> str:
    entry = document["models"][0]
    seeds = f", each the mean of {entry['n_seeds']} seeds" if entry["n_seeds"] > 1 else ""
    n = entry["lines"][0]["n_units"]
    lines = [
        f"Percentage points with their 95 % interval over {n} {entry['unit']}{seeds}, paired.",
        "change: against whole windows. vs fixed, same time: against stopping all windows after "
        "what the rule takes in the mean.",
        f"Bounds: the fastest that lost {100 * document['margin']:g} points or less on the "
        f"windows of the training side that chose the epoch, {_held_out(document)} a fold.",
        "median, 90 % and ECE (expected calibration error) are over all test windows. Seconds are "
        "of recording.",
    ]
    lines += [
        f"Left out: {label((one['model'], one['align'], one['clean']))} {one['reason']}."
        for one in document["skipped"]
    ]
    return "\n".join(lines)


def _held_out(document: Document) -> str:
    numbers = sorted({fold["n_held_out"] for m in document["models"] for fold in m["folds"]})
    return "-".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))


def _points(value: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:  # of a single unit
        return f"{100 * value:+.1f}"
    return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
