"""What alarms in recordings are worth, over the folds of each pipeline."""

import numpy as np
import pandas as pd

from neurodecode.results.summaries import PIPELINE, spreads

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
    found = spreads(rows, EVENT_COLUMNS)
    lines = [line for line in found if line["threshold_n"]]  # others give no alarms
    for line in lines:
        own = rows[(rows[PIPELINE] == [line[name] for name in PIPELINE]).all(axis=1)]
        once = own[own["seed"] == own["seed"].iloc[0]]
        line["in_sample"] = float(np.mean([_chosen_in_sample(s) for s in own["scores"]]))
        for fact in ("n_events", "hours"):
            line[fact] = float(np.sum([s[fact] for s in once["scores"]]))
    return pd.DataFrame(lines)


def _chosen_in_sample(scores: dict[str, float]) -> bool:
    return scores["threshold_events"] == 0
