"""What alarms in recordings are worth, over the folds of each pipeline."""

import numpy as np
import pandas as pd

from neurodecode.results.summaries import PIPELINE, pipelines_of, unit_scores, with_metric

EVENT_COLUMNS = (
    "event_sensitivity", "event_f1", "szcore_f1", "false_alarms_per_hour", "span_kappa",
    "detection_delay", "threshold",
)  # fmt: skip
"""What the table of events shows of each pipeline."""


def has_events(rows: pd.DataFrame) -> bool:
    """Whether any fold scored alarms."""
    return any("event_f1" in scores for scores in rows["scores"])


def event_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per pipeline: scores of alarms, each the mean over the units that have it.

    A unit (test subject, or fold where it has several) is the mean of its folds and seeds, and has
    no sensitivity where no fold of it holds an event.

    Columns: model, align, clean; for each of `EVENT_COLUMNS`, its name, ``_sd`` (over units) and
    ``_n`` (units that have it); in_sample (part of the folds whose threshold was chosen on the
    windows that the decoder was fitted to); n_events and hours (of all test windows, once).

    Parameters
    ----------
    rows
        Of one data set and protocol.
    """
    scores = {name: unit_scores(with_metric(rows, name)) for name in EVENT_COLUMNS}
    lines = []
    for name in pipelines_of(scores["threshold"]):
        line: dict[str, object] = dict(zip(PIPELINE, name, strict=True))
        for metric, table in scores.items():
            values = table[name].dropna().to_numpy() if name in table else np.empty(0)
            line[metric] = values.mean() if values.size else np.nan
            line[f"{metric}_sd"] = values.std(ddof=1) if values.size > 1 else np.nan
            line[f"{metric}_n"] = int(values.size)
        own = rows[(rows[PIPELINE] == list(name)).all(axis=1)]
        once = own[own["seed"] == own["seed"].iloc[0]]
        line["in_sample"] = float(np.mean([_chosen_in_sample(s) for s in own["scores"]]))
        for fact in ("n_events", "hours"):
            line[fact] = float(np.sum([s[fact] for s in once["scores"]]))
        lines.append(line)
    return pd.DataFrame(lines)


def _chosen_in_sample(scores: dict[str, float]) -> bool:
    return scores["threshold_events"] == 0
