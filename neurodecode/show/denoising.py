"""The table of a run that trained denoisers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich.markup import escape
from rich.table import Table

from neurodecode.core.errors import ConfigError, StoreError
from neurodecode.results.denoising import METRICS, denoiser_table
from neurodecode.results.store import Run
from neurodecode.show import console

WORDS = {"none": "none", "eog": "eyes", "emg": "muscles", "both": "both"}
HEADS = {
    "rrmse": "RRMSE time",
    "rrmse_spectrum": "RRMSE spectrum",
    "correlation": "correlation",
    "snr_gain": "SNR gain, dB",
}


def is_denoise(run: Run) -> bool:
    """Whether a run trained denoisers."""
    return run.meta().get("paradigm") == "denoise"


def show_denoise(run: Run, **how: Any) -> None:
    """Print the table of a run."""
    _refuse(run, how)
    meta, table = run.meta(), _table(run, ("kind",))
    out = console()
    out.print(_headline(meta), markup=False)
    out.print(_rich(table))
    out.print(_footnote(run, meta, table), markup=False)


def denoise_document(run: Run, **how: Any) -> dict[str, Any]:
    """What `show_denoise` prints, and the same for each ratio, for other programs."""
    _refuse(run, how)
    meta = run.meta()
    names = ("dataset", "simulated", "split", "snr", "snr_convention", "people")
    return {
        "run": str(run.path),
        "paradigm": "denoise",
        **{name: meta.get(name) for name in names},
        "finished": len(run.rows()),
        "planned": len(meta["folds"]),
        "table": _records(_table(run, ("kind",))),
        "by_snr": _records(_table(run, ("kind", "snr"))),
    }


def _refuse(run: Run, how: Mapping[str, Any]) -> None:
    useless = [f"--{name.replace('all_', '').replace('_', '-')}" for name, v in how.items() if v]
    if useless:
        raise ConfigError(
            f"{run.id} trained denoisers. Leave out what is for decoders: {', '.join(useless)}."
        )


def _table(run: Run, by: tuple[str, ...]) -> pd.DataFrame:
    rows = run.rows()
    if not rows:
        raise StoreError(f"No net of {run.path} is finished. Give the command of the run again.")
    return denoiser_table(rows, {row.key: run.read_predictions(row.key) for row in rows}, by)


def _headline(meta: Mapping[str, Any]) -> str:
    data = f"{meta['dataset']}{' (SIMULATED)' if meta['simulated'] else ''}"
    ratios = ", ".join(f"{ratio:g}" for ratio in meta["snr"])
    return (
        f"\ndenoise, {data}, split by {meta['split']}\n"
        f"eyes and muscles each at {ratios} {_decibels(meta)}"
    )


def _decibels(meta: Mapping[str, Any]) -> str:
    if meta["snr_convention"] == "power":
        return "dB of power"
    return "dB of amplitude (EEGdenoiseNet's; of power they are twice as many)"


def _rich(table: pd.DataFrame) -> Table:
    out = Table(box=None, pad_edge=False, header_style="bold")
    out.add_column("net", no_wrap=True)
    out.add_column("params", justify="right", no_wrap=True)
    out.add_column("artifact", no_wrap=True)
    for head in HEADS.values():
        out.add_column(head, justify="right", no_wrap=True)
    last = ""
    for line in table.to_dict("records"):
        new, last = line["model"] != last, line["model"]
        cells = [escape(str(last)) if new else ""]
        cells.append(f"{line['n_params']:,}" if new and line["n_params"] else "")
        cells.append(WORDS.get(line["kind"], str(line["kind"])))
        out.add_row(*cells, *(_cell(line, name) for name in METRICS))
    return out


def _cell(line: Mapping[Any, Any], name: str) -> str:
    digits = 1 if name == "snr_gain" else 2 if abs(line[name]) < 100 else 0
    value, low, high = (line[f"{name}{end}"] for end in ("", "_low", "_high"))
    if not np.isfinite(value):
        return "-"
    if not np.isfinite(low) or low == high:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _footnote(run: Run, meta: Mapping[str, Any], table: pd.DataFrame) -> str:
    rows = run.rows()
    seeds = {row.seed for row in rows}
    unit = "test people" if meta["split"] == "people" else "test BLOCKS, NOT PEOPLE"
    each = f", each the mean of {len(seeds)} seeds" if len(seeds) > 1 else ""
    lines = [f"Mean (95 % interval) over {int(table['n_people'].max())} {unit}{each}."]
    lines.append("'none': windows without an artifact, of which nothing should change.")
    if len(rows) < len(meta["folds"]):
        planned = len(meta["folds"])
        lines.append(f"UNFINISHED: {len(rows)} of {planned} fits; the same command goes on.")
    lines.append(f"Weights: {run.path / 'checkpoints'}, used with")
    lines.append("  neurodecode clean ... --method NAME --set weights=FILE")
    lines.append(f"Run: {run.path}")
    return "\n".join(lines)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Plain JSON values; what is not a number becomes null."""
    return [
        {
            str(name): None if isinstance(v, float) and not np.isfinite(v) else v
            for name, v in line.items()
        }
        for line in table.to_dict("records")
    ]
