"""What can be asked of a pretraining: its loss curve, and where it ended."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from neurodecode.results.store import Run, writing

ABOUT = ("part", "dataset", "step", "seconds", "lr", "n_windows")
"""Columns of a curve that are no measurement."""


def write_curve(run: Run, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep the loss curve as ``history.parquet``, whole or not at all."""
    with writing(run.path / "history.parquet") as file:
        pd.DataFrame(rows, columns=None if rows else ["part", "step"]).to_parquet(file)


def read_curve(run: Run) -> pd.DataFrame:
    """The loss curve: ``part``, ``dataset``, ``step``, ``seconds``, ``lr``, ``loss``, diagnostics.

    Empty before the first validation is over.
    """
    path = run.path / "history.parquet"
    if not path.exists():
        return pd.DataFrame(columns=["part", "dataset", "step", "loss"])
    curve: pd.DataFrame = pd.read_parquet(path)
    return curve


def validations(curve: pd.DataFrame, step: int | None = None) -> list[dict[str, Any]]:
    """Loss and diagnostics of held-out people at a step, or at the last: a table per data set.

    "all" comes last; what is not a number is left out.
    """
    found = curve[curve["part"] == "validation"]
    if found.empty:
        return []
    at = int(found["step"].max()) if step is None else step
    lines = []
    for line in found[found["step"] == at].to_dict("records"):
        numbers = {str(k): v for k, v in line.items() if k not in ABOUT and not _missing(v)}
        lines.append({"dataset": line["dataset"], "n_windows": int(line["n_windows"]), **numbers})
    return sorted(lines, key=lambda line: line["dataset"] == "all")  # stable


def curve_ends(curve: pd.DataFrame) -> dict[str, dict[str, float]]:
    """First and last loss of training and of held-out people, and the lowest of the latter."""
    ends: dict[str, dict[str, float]] = {}
    for part in ("train", "validation"):
        rows = curve[(curve["part"] == part) & (curve["dataset"] == "all")]
        if not rows.empty:
            losses = rows["loss"].to_numpy(dtype=float)
            lowest = int(losses.argmin())
            ends[part] = {
                "first": float(losses[0]),
                "last": float(losses[-1]),
                "lowest": float(losses[lowest]),
                "lowest_at": int(rows["step"].iloc[lowest]),
            }
    return ends


def _missing(value: Any) -> bool:
    return isinstance(value, float | np.floating) and not np.isfinite(value)
