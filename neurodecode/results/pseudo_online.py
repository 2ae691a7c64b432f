"""What commands are worth, over the folds of each pipeline that was played recordings."""

import numpy as np
import pandas as pd

from neurodecode.results.summaries import PIPELINE, spreads

COMMAND_COLUMNS = (
    "balanced_accuracy", "command_accuracy", "tpr", "fp_per_min", "time_to_decision", "itr",
)  # fmt: skip
"""What the table of commands shows of each pipeline."""


def has_commands(rows: pd.DataFrame) -> bool:
    """Whether any fold scored commands."""
    return any("fp_per_min" in scores for scores in rows["scores"])


def command_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per pipeline: scores of commands, each the mean over the units that have it.

    A unit (test subject, or fold where it has several) is the mean of its folds and seeds, and has
    no time to decision where no first command of it is right.

    Columns: model, align, clean; for each of `COMMAND_COLUMNS`, its name, ``_sd`` (over units) and
    ``_n`` (units that have it); n_events and background_min (of all test recordings, once);
    abstained and valid (parts of all decisions, mean over folds).

    Parameters
    ----------
    rows
        Of one data set and protocol.
    """
    lines = spreads(rows, COMMAND_COLUMNS)
    for line in lines:
        own = rows[(rows[PIPELINE] == [line[name] for name in PIPELINE]).all(axis=1)]
        once = own[own["seed"] == own["seed"].iloc[0]]
        for fact in ("n_events", "background_min"):
            line[fact] = float(np.sum([scores[fact] for scores in once["scores"]]))
        for fact in ("abstained", "valid"):
            line[fact] = float(np.mean([scores[fact] for scores in own["scores"]]))
    return pd.DataFrame(lines)
