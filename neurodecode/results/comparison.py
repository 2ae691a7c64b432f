"""Decoders compared on the same people: differences of each, and runs side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from neurodecode.core.errors import StoreError
from neurodecode.results.overview import read_scores
from neurodecode.results.store import Run
from neurodecode.results.summaries import (
    PIPELINE,
    interval,
    label,
    leaderboard,
    pipelines_of,
    reference_pipeline,
    unit_scores,
)


def side_by_side(runs: Sequence[Run], metric: str | None = None) -> pd.DataFrame:
    """Rows of runs on one data set, as if they were one run.

    Where a pipeline is in several of them, its model is named with the end of each run's name.

    Raises
    ------
    StoreError
        If they differ in data set, protocol, metric or labels, so that no pair means anything.
    """
    rows = pd.concat([read_scores(run, metric) for run in runs], ignore_index=True)
    for name in ("dataset", "protocol", "metric", "labels"):
        found = list(rows[name].unique())
        if len(found) > 1:
            raise StoreError(
                f"These runs differ in their {name} ({', '.join(map(str, found))}) and cannot be "
                f"paired by subject. Choose runs on the same data."
            )
    several = rows.groupby(PIPELINE)["run"].transform("nunique") > 1
    named = rows["model"] + " @" + rows["run"].str[-8:]
    return rows.assign(model=rows["model"].where(~several, named))


def differences(
    rows: pd.DataFrame, reference: tuple[str, str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Paired differences of every pipeline to one of them.

    Parameters
    ----------
    rows
        Of one data set, protocol and metric.
    reference
        Model, align, clean.

    Returns
    -------
    units
        A line per unit and pipeline: unit, pipeline, score, reference (its score), difference.
    means
        A line per pipeline: pipeline, difference, low, high (95 % Student's t), better and worse
        (units that are above and below the reference), n.

    Raises
    ------
    StoreError
        If there is nothing to compare with the reference.
    """
    scores = unit_scores(rows)
    others = [name for name in pipelines_of(scores) if name != reference]
    if reference not in pipelines_of(scores) or not others:
        raise StoreError(
            "There is only one decoder here, so there is nothing to compare. Choose another run, "
            "or put one beside it."
        )
    base, parts, means = scores[reference], [], []
    for name in others:
        both = pd.DataFrame({"score": scores[name], "reference": base}).dropna()
        gain = np.asarray(both["score"] - both["reference"], dtype=np.float64)
        parts.append(both.assign(pipeline=label(name), difference=gain).reset_index(names="unit"))
        low, high = interval(gain)
        means.append(
            {
                "pipeline": label(name),
                "difference": gain.mean() if gain.size else np.nan,
                "low": low,
                "high": high,
                "better": int((gain > 0).sum()),
                "worse": int((gain < 0).sum()),
                "n": gain.size,
            }
        )
    units = pd.concat(parts, ignore_index=True)
    return units[["unit", "pipeline", "score", "reference", "difference"]], pd.DataFrame(means)


class Compared(NamedTuple):
    """Decoders against one of them: what `differences` returns, and the whole table.

    Attributes
    ----------
    names
        Pipelines, in a word each.
    reference
        That of them which is compared with.
    units, means
        See `differences`.
    board
        As `neurodecode.results.summaries.leaderboard` returns it, with ``decoder`` (one word).
    """

    names: list[str]
    reference: str
    units: pd.DataFrame
    means: pd.DataFrame
    board: pd.DataFrame


def compare(runs: Sequence[Run], metric: str | None, word: str | None) -> Compared:
    """Every pipeline of some runs against the one that is called `word`, or the first.

    Raises
    ------
    StoreError
        As `side_by_side` and `differences`.
    """
    rows = side_by_side(runs, metric)
    reference = find_pipeline(rows, word or "")
    units, means = differences(rows, reference)
    board = leaderboard(rows, against=reference)
    words = [label(pipeline) for pipeline in pipelines_of(unit_scores(rows))]
    board.insert(0, "decoder", words)
    return Compared(words, label(reference), units, means, board)


def find_pipeline(rows: pd.DataFrame, word: str) -> tuple[str, str, str]:
    """The pipeline that is called `word`; the first where none is."""
    names = pipelines_of(unit_scores(rows))
    return next((n for n in names if label(n) == word), reference_pipeline(unit_scores(rows), None))


def names_of(rows: pd.DataFrame) -> list[str]:
    """Pipelines in a word each, in the order of the run."""
    return [label(name) for name in pipelines_of(unit_scores(rows))]
