"""What single decisions say: which classes are confused, and whether a probability can be believed.

Decisions are lines of a fold's predictions: ``y_true``, ``y_pred`` and a column ``p_CLASS`` for
each class. A played stream has decisions that were not taken and moments that belong to no class;
they are left out.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from neurodecode.core.errors import StoreError
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run

Array = NDArray[np.float64]


def read_decisions(run: Run, rows: Iterable[ResultRow]) -> pd.DataFrame:
    """Decisions of several folds, one below the other.

    Returns
    -------
    pandas.DataFrame
        Columns of the predictions, and unit (subject, or fold where it has several), fold, seed,
        right (bool), confidence (probability of the class that was chosen).

    Raises
    ------
    StoreError
        If a file cannot be read, or nothing in it is a decision.
    """
    tables = []
    for row in rows:
        table = run.read_predictions(row.key)
        if not {"y_true", "y_pred"} <= set(table):
            raise StoreError(f"The fold {row.fold} of {run.id} holds no decisions on classes.")
        unit = row.subject if row.subject != "*" else row.fold
        tables.append(table.assign(unit=unit, fold=row.fold, seed=row.seed))
    if not tables:
        raise StoreError(f"No fold of {run.id} has decisions.")
    found = pd.concat(tables, ignore_index=True)
    classes = classes_of(found)
    found = found[found["y_true"].isin(classes) & found["y_pred"].isin(classes)]
    found = found.reset_index(drop=True)
    proba = found[[f"p_{name}" for name in classes]].to_numpy(dtype=float)
    chosen = found["y_pred"].map({name: i for i, name in enumerate(classes)}).to_numpy(dtype=int)
    return found.assign(
        right=found["y_true"] == found["y_pred"],
        confidence=proba[np.arange(len(found)), chosen],
    )


def classes_of(decisions: pd.DataFrame) -> list[str]:
    """Class names, in the order of the columns of probabilities."""
    return [str(name)[2:] for name in decisions.columns if str(name).startswith("p_")]


def confusion(decisions: pd.DataFrame) -> pd.DataFrame:
    """One line per true and chosen class: y_true, y_pred, n, share (of the true class).

    The share is not a number for a class that never was.
    """
    classes = classes_of(decisions)
    counts = pd.crosstab(decisions["y_true"], decisions["y_pred"])
    counts = counts.reindex(index=classes, columns=classes, fill_value=0)
    found = counts.reset_index(names="y_true").melt("y_true", var_name="y_pred", value_name="n")
    total = found.groupby("y_true", sort=False)["n"].transform("sum")
    return found.assign(share=found["n"] / total.where(total > 0))


def reliability(decisions: pd.DataFrame, n_bins: int = 10) -> pd.DataFrame:
    """How often decisions of each confidence are right.

    Columns: low and high (of the bin), confidence (mean), accuracy, accuracy_low and
    accuracy_high (95 % interval, see `wilson`), n. Bins are of equal width between 1 over the
    number of classes, below which no chosen class can be, and 1; empty ones are left out.
    """
    known = decisions.dropna(subset=["confidence"])
    edges = np.linspace(1 / max(2, len(classes_of(decisions))), 1, n_bins + 1)
    index = np.clip(np.searchsorted(edges, known["confidence"], side="right") - 1, 0, n_bins - 1)
    bins = known.groupby(index).agg(
        confidence=("confidence", "mean"), accuracy=("right", "mean"), n=("right", "size")
    )
    at = bins.index.to_numpy(dtype=int)
    low, high = wilson(bins["accuracy"].to_numpy(dtype=float), bins["n"].to_numpy(dtype=float))
    found = bins.assign(
        low=edges[at], high=edges[at + 1], accuracy_low=low, accuracy_high=high
    ).reset_index(drop=True)
    columns = ["low", "high", "confidence", "accuracy", "accuracy_low", "accuracy_high", "n"]
    return found[columns]


def calibration_error(bins: pd.DataFrame) -> float:
    """Expected calibration error: mean distance of confidence and accuracy, weighted by counts.

    "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015; a number in
    [0, 1], not a number where there are no decisions.

    Parameters
    ----------
    bins
        As `reliability` returns them.
    """
    if bins.empty:
        return float("nan")
    return float(np.average((bins["confidence"] - bins["accuracy"]).abs(), weights=bins["n"]))


def wilson(share: Array, n: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Wilson's score interval of proportions ("Probable inference", JASA 1927).

    Parameters
    ----------
    share
        Proportions, any shape.
    n
        Of how many, same shape; not a number comes out where it is 0.
    """
    z = stats.norm.ppf((1 + level) / 2)
    n = np.where(np.asarray(n) > 0, n, np.nan)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def unit_intervals(decisions: pd.DataFrame, *, by: Sequence[str] = ("unit",)) -> pd.DataFrame:
    """Balanced accuracy of each unit, with an interval from its windows.

    The interval is that of a mean of proportions, one per class, from the Wilson interval of each
    (method of variance estimates recovery: "Construction of confidence limits about effect
    measures", Statistics in Medicine 2008, doi:10.1002/sim.3095). It takes windows for
    independent, which those of one recording are not quite, so it is a little too narrow. Several
    seeds decide on the same windows: their decisions are averaged, and windows counted once.

    Returns
    -------
    pandas.DataFrame
        Columns of `by`, score, low, high (95 %), n (windows).
    """
    groups = decisions.groupby([*by, "y_true"], sort=False)
    counts = groups.agg(share=("right", "mean"), n=("right", "size"), seeds=("seed", "nunique"))
    counts["n"] = counts["n"] / counts["seeds"]
    share = counts["share"].to_numpy(dtype=float)
    low, high = wilson(share, counts["n"].to_numpy(dtype=float))
    counts["below"], counts["above"] = (share - low) ** 2, (high - share) ** 2
    parts = counts.groupby(level=list(range(len(by))), sort=False)
    n_classes = parts.size()
    score = parts["share"].mean()
    found = pd.DataFrame(
        {
            "score": score,
            "low": score - np.sqrt(parts["below"].sum()) / n_classes,
            "high": score + np.sqrt(parts["above"].sum()) / n_classes,
            "n": parts["n"].sum().round().astype(int),
        }
    )
    found.index.names = list(by)
    return found.reset_index()


def rows_of(rows: Iterable[ResultRow], pipeline: tuple[str, str, str]) -> list[ResultRow]:
    """Rows of one pipeline (model, align, clean)."""
    return [row for row in rows if (row.model, row.align, row.clean) == pipeline]
