"""What a benchmark of cleaners prints."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from neurodecode.core.errors import ConfigError
from neurodecode.experiment.bench import summarize
from neurodecode.results.store import writing
from neurodecode.show import console

MEASURES = {
    "rrmse": "Relative error (0 is perfect)",
    "correlation": "Correlation with the clean signal (1 is perfect)",
    "rrmse_spectrum": "Relative error of the spectrum (0 is perfect)",
    "rrmse_dirty": "Relative error where there is artifact (0 is perfect)",
    "rrmse_quiet": "Relative error where there is none (0 is perfect)",
    "snr_gain": "Gain in signal to error, dB",
}

KEPT = {  # column, heading, digits
    "correlation": ("correlation", 3),
    "snr_gain": ("SNR gain dB", 1),
    "rrmse_spectrum": ("spectrum error", 2),
    "rrmse_quiet": ("error outside", 3),
    "covariance": ("covariance", 2),
    "alpha": ("alpha dB", 2),
    "gain": ("source gain", 2),
    "seconds": ("s per ch min", 3),
    "delay": ("delay s", 2),
}


def show_bench(
    rows: pd.DataFrame,
    *,
    title: str,
    convention: str,
    measure: str = "rrmse",
    export: Path | None,
    as_json: bool,
) -> None:
    """Print the tables of a benchmark, and write its rows where asked.

    Parameters
    ----------
    rows
        As `run_bench` returns them.
    title
        What was cleaned, in words.
    convention
        Of the decibels.
    measure
        What the first table shows, one of `MEASURES`.
    export
        A .csv or .parquet file for the rows.
    as_json
        Print one document instead.
    """
    if export is not None:
        with writing(export) as file:
            if export.suffix == ".parquet":
                rows.to_parquet(file, index=False)
            else:
                rows.to_csv(file, index=False)
    rows = rows.assign(seconds=_seconds(rows))
    if as_json:
        sys.stdout.write(json.dumps(_document(rows, title, convention), indent=1) + "\n")
        return
    out = console()
    out.print(title, markup=False)
    _whole(_by_condition(rows, measure))
    out.print(
        f"{MEASURES[measure]}, with half its 95 % interval over people. Columns: kind of artifact "
        f"and signal to artifact in dB of {_words(convention)}, over the stretches that have one; "
        "'none' is what cleaning does to a recording without artifacts, 'all' the mean of the "
        "others.\n",
        markup=False,
    )
    _whole(_kept(rows))
    out.print(
        "Means over all recordings with artifacts: correlation with the clean signal, gain in "
        "signal to error, error of the spectrum, error where there is no artifact, log-Euclidean "
        "distance of covariances per channel; and over all recordings: change of posterior alpha, "
        "what is left of a source that was added (1 is all), time to clean, delay of a stream.",
        markup=False,
    )
    for cleaner, part in rows[rows["error"] != ""].groupby("cleaner", sort=False):
        reasons = part["error"].str.slice(0, 300).value_counts()
        out.print(f"{cleaner}: could not clean {len(part)} of {_n(rows)}: {reasons.index[0]}",
                  markup=False)  # fmt: skip


def _whole(table: Table) -> None:
    """Print a table at its full width, however narrow the terminal."""
    out = console()
    width = out.measure(table, options=out.options.update(width=1000)).maximum
    console(at_least=width).print(table)


def check_export(export: Path | None) -> None:
    """Refuse, before anything is computed, a file whose suffix says nothing.

    Raises
    ------
    ConfigError
        Unless it is .csv or .parquet.
    """
    if export is not None and export.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"--export {export} is neither .csv nor .parquet. Choose one of them.")


def _words(convention: str) -> str:
    return "power" if convention == "power" else "EEGdenoiseNet (10 log10 of amplitudes)"


def _n(rows: pd.DataFrame) -> int:
    return len(rows) // rows["cleaner"].nunique()


def _seconds(rows: pd.DataFrame) -> "pd.Series[float]":
    return rows.get("clean_s", pd.Series(float("nan"), index=rows.index)) / rows["n_chans"]


def _conditions(rows: pd.DataFrame) -> list[tuple[str, float]]:
    pairs = rows[["kind", "snr"]].drop_duplicates()
    return [(str(kind), float(snr)) for kind, snr in pairs.itertuples(index=False)]


def _by_condition(rows: pd.DataFrame, measure: str) -> Table:
    """A measure of each cleaner under each condition."""
    table = Table(box=None, pad_edge=False)
    table.add_column("cleaner")
    conditions = _conditions(rows)
    for kind, snr in conditions:
        table.add_column(kind if kind == "none" else f"{kind} {snr:+g}", justify="right")
    table.add_column("all", justify="right")
    rows = rows.fillna({"snr": 0.0})
    dirty = rows[rows["kind"] != "none"].assign(kind="all", snr=0.0)
    parts = [summarize(part, ["kind", "snr"], measure) for part in (rows, dirty)]
    found = {(r["cleaner"], r["kind"], r["snr"]): r for part in parts for r in _records(part)}
    conditions.append(("all", 0.0))
    for cleaner in rows["cleaner"].unique():
        cells = []
        for kind, snr in conditions:
            cell = found.get((cleaner, kind, snr if snr == snr else 0.0))
            half = cell["high"] - cell["mean"] if cell and cell["high"] is not None else 0.0
            cells.append("-" if cell is None else f"{cell['mean']:.2f} ±{half:.2f}")
        table.add_row(escape(str(cleaner)), *cells)
    return table


def _kept(rows: pd.DataFrame) -> Table:
    """Everything else, a line per cleaner."""
    table = Table(box=None, pad_edge=False)
    table.add_column("cleaner")
    shown = [name for name in KEPT if name in rows and rows[name].notna().any()]
    for name in shown:
        table.add_column(KEPT[name][0], justify="right")
    people = rows["subject"].nunique()
    table.add_column("n", justify="right")
    good = rows[rows["error"] == ""]
    for cleaner in rows["cleaner"].unique():
        mine = good[good["cleaner"] == cleaner]
        dirty = mine[mine["kind"] != "none"]
        cells = []
        for name in shown:
            part = mine if name in ("alpha", "gain", "seconds", "delay") else dirty
            value = part.groupby("subject")[name].mean().mean()
            cells.append("-" if value != value else f"{value:.{KEPT[name][1]}f}")
        n = mine["subject"].nunique()
        table.add_row(escape(str(cleaner)), *cells, f"{n}" if n == people else f"{n} of {people}")
    return table


def _document(rows: pd.DataFrame, title: str, convention: str) -> dict[str, Any]:
    measured = ["rrmse", *(name for name in KEPT if name in rows)]
    filled = rows.fillna({"snr": 0.0})
    return {
        "title": title,
        "snr_convention": convention,
        "n_people": int(rows["subject"].nunique()),
        "measures": {name: _records(summarize(filled, ["kind", "snr"], name)) for name in measured},
        "errors": _records(rows.loc[rows["error"] != "", ["subject", "kind", "cleaner", "error"]]),
    }


def _records(frame: pd.DataFrame) -> Sequence[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(k): v for k, v in record.items()} for record in plain.to_dict("records")]
