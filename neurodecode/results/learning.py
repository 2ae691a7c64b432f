"""How decoders learned: curves over epochs, and scores against how much they learned from."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from neurodecode.results.overview import SAME, marks_of
from neurodecode.results.pretraining import read_curve
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run
from neurodecode.results.summaries import PIPELINE, label, mean_scores

COLUMNS = ["pipeline", "fold", "seed", "curve", "epoch", "value", "best_epoch"]
NO_CURVE = {"best_epoch"}
"""Parts of a history that are one number."""


def curves_of(rows: Iterable[ResultRow]) -> pd.DataFrame:
    """Training histories, a line per value.

    Returns
    -------
    pandas.DataFrame
        Columns pipeline (one word), fold, seed, curve ("train_loss", "val_accuracy", ...), epoch
        (from 1), value, best_epoch (whose weights were kept; not a number where unknown). Empty
        where no decoder has a history.
    """
    parts = []
    for row in rows:
        best = row.history.get("best_epoch") or [np.nan]
        for name, values in row.history.items():
            if name not in NO_CURVE and len(values) > 1:
                part = {"epoch": np.arange(1, len(values) + 1), "value": values}
                pipeline = label((row.model, row.align, row.clean))
                facts: dict[str, Any] = {
                    "pipeline": pipeline,
                    "fold": row.fold,
                    "seed": row.seed,
                    "curve": name,
                }
                parts.append(pd.DataFrame(part).assign(**facts, best_epoch=float(best[0])))
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def pretraining_curves(run: Run) -> pd.DataFrame:
    """Loss of a pretraining on all of its data sets, as `curves_of`; ``epoch`` is the step."""
    curve = read_curve(run)
    if curve.empty or not {"part", "dataset", "step", "loss"} <= set(curve):
        return curves_of([])
    whole = curve[(curve["dataset"] == "all") & np.isfinite(curve["loss"])]
    names = {"train": "train_loss", "validation": "val_loss"}
    found = pd.DataFrame({"curve": whole["part"].map(names), "value": whole["loss"]})
    found = found.assign(epoch=whole["step"], pipeline=str(run.meta().get("model") or "backbone"))
    found = found.assign(fold="all", seed=0, best_epoch=np.nan).dropna(subset=["curve"])
    return found[COLUMNS].reset_index(drop=True)


def bands_of(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves over folds and seeds: mean and range of those that were still learning.

    Columns: pipeline, curve, epoch, mean, low and high (range), n (fits).
    """
    known = curves.dropna(subset=["value"])
    bands = known.groupby(["pipeline", "curve", "epoch"], sort=False)["value"]
    found = bands.agg(mean="mean", low="min", high="max", n="size").reset_index()
    return found.sort_values(["pipeline", "curve", "epoch"], kind="stable", ignore_index=True)


def best_epochs(curves: pd.DataFrame) -> pd.DataFrame:
    """Which epoch's weights were kept: pipeline, fold, seed, best_epoch, n_epochs."""
    fits = curves.groupby(["pipeline", "fold", "seed"], sort=False)
    found = fits.agg(best_epoch=("best_epoch", "first"), n_epochs=("epoch", "max")).reset_index()
    return found.dropna(subset=["best_epoch"]).reset_index(drop=True)


def scores_by_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Score of each pipeline against the windows that it learned from, over runs that differ there.

    Parameters
    ----------
    rows
        Of several runs, with a column ``run``.

    Returns
    -------
    pandas.DataFrame
        Columns `neurodecode.results.overview.SAME`, metric, pipeline, run, n_train (windows of a
        fold; median), score, low, high, n_units. Only what was learned from more than one number
        of windows under the same conditions; empty if nothing was.
    """
    lines = []
    facts = rows.assign(
        marks=[
            marks_of({"simulated": simulated, "contaminated": contaminated}, str(labels))
            for simulated, contaminated, labels in zip(
                rows["simulated"], rows["contaminated"], rows["labels"], strict=True
            )
        ]
    )
    keys = [*SAME, "metric", "run"]
    for values, own in facts.groupby(keys, sort=False):
        sizes = own.groupby(PIPELINE)["n_train"].median()
        for line in mean_scores(own).to_dict("records"):
            pipeline = (str(line["model"]), str(line["align"]), str(line["clean"]))
            found = {"pipeline": label(pipeline), "n_train": int(sizes[pipeline])}
            found |= {name: line[name] for name in ("score", "low", "high", "n_units")}
            lines.append({**dict(zip(keys, values, strict=True)), **found})
    table = pd.DataFrame(lines)
    if table.empty:
        return table
    sizes = table.groupby([*SAME, "metric", "pipeline"])["n_train"].transform("nunique")
    return table[sizes > 1].sort_values("n_train", ignore_index=True)
