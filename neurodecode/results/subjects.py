"""Scores of single people, and of their sessions, with what their windows say of the spread."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from neurodecode.core.errors import StoreError
from neurodecode.results.comparison import find_pipeline
from neurodecode.results.decisions import read_decisions, rows_of, unit_intervals
from neurodecode.results.overview import read_scores
from neurodecode.results.store import Run
from neurodecode.results.summaries import unit_scores

COLUMNS = ["pipeline", "model", "words", "unit", "score", "low", "high", "n"]


class People(NamedTuple):
    """Scores below those of a whole run.

    Attributes
    ----------
    units
        A line per pipeline and unit (subject, or fold where it has several): pipeline, model,
        words (alignment and cleaning), unit, score, low and high (95 %, see
        `neurodecode.results.decisions.unit_intervals`), n (windows). The interval is not a number
        for other metrics than balanced accuracy, nor where a stream is played, whose windows
        overlap.
    sessions
        The same of every session, in balanced accuracy; unit is "3, session 1". Empty where
        nobody has several.
    """

    units: pd.DataFrame
    sessions: pd.DataFrame


def scores_of_people(run: Run, metric: str | None, pipelines: Sequence[str]) -> People:
    """Scores of every person with each of these pipelines, named in a word each.

    Raises
    ------
    StoreError
        If no fold is finished, or none has that metric.
    """
    rows, folds = read_scores(run, metric), run.rows()
    scores = unit_scores(rows)
    units, sessions = [], []
    for word in pipelines:
        name = find_pipeline(rows, word)
        known = scores[name].dropna()
        own = pd.DataFrame(
            {
                "unit": [str(unit).split(":", 1)[1] for unit in known.index],
                "score": np.asarray(known, dtype=np.float64),
            }
        )
        try:
            decisions = read_decisions(run, rows_of(folds, name))
        except StoreError:  # scores are known, single decisions are not
            decisions = None
        named = _named(word, name)
        units.append(own.merge(_intervals(rows, decisions), on="unit", how="left").assign(**named))
        if decisions is not None and _has_sessions(decisions):
            sessions.append(_of_sessions(decisions).assign(**named))
    return People(_stacked(units), _stacked(sessions))


def _intervals(rows: pd.DataFrame, decisions: pd.DataFrame | None) -> pd.DataFrame:
    first = rows.iloc[0]
    is_share = first["metric"] == "balanced_accuracy" and first["protocol"] != "pseudo-online"
    if is_share and decisions is not None:
        return unit_intervals(decisions)[["unit", "low", "high", "n"]]
    return pd.DataFrame({"unit": pd.Series(dtype=str), "low": np.nan, "high": np.nan, "n": np.nan})


def _has_sessions(decisions: pd.DataFrame) -> bool:
    return bool(decisions.groupby("subject")["session"].nunique().max() > 1)


def _of_sessions(decisions: pd.DataFrame) -> pd.DataFrame:
    found = unit_intervals(decisions, by=["subject", "session"])
    words = found["subject"].astype(str) + ", session " + found["session"].astype(str)
    return found.assign(unit=words)


def _stacked(parts: list[pd.DataFrame]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _named(word: str, name: tuple[str, str, str]) -> dict[str, str]:
    rest = [part for part in name[1:] if part != "none"]
    return {"pipeline": word, "model": name[0], "words": " + ".join(rest) or "none"}
