"""The bridge to MOABB: its paradigm for our choices, and its columns for our rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd


def moabb_results(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows under the names of the columns of MOABB's evaluations, one line per fold."""
    table = pd.DataFrame(
        {
            "score": rows["score"],
            "time": rows["fit_time"],
            "samples": rows["n_train"].astype(float),
            "samples_test": rows["n_test"].astype(float),
            "n_classes": rows["n_classes"],
            "subject": rows["subject"],
            "session": rows["session"],
            "channels": rows["n_chans"],
            "n_sessions": rows.groupby(["dataset", "subject"])["session"].transform("nunique"),
            "dataset": [_dataset(*names) for names in rows[["dataset", "contaminated"]].to_numpy()],
            "pipeline": [
                "+".join([model, *(word for word in more if word != "none")])
                for model, *more in rows[["model", "align", "clean"]].to_numpy()
            ],
        }
    )
    return table.assign(evaluation=rows["protocol"], fold=rows["fold"], metric=rows["metric"])


def _dataset(name: str, contaminated: str) -> str:
    """MOABB groups by data set: one with artifacts added is another."""
    return f"{name} (CONTAMINATED: {contaminated})" if contaminated else name


def moabb_paradigm(choices: Mapping[str, Any], *, sfreq: float, scorer: str | None = None) -> Any:
    """MOABB's motor imagery paradigm that cuts the same windows as these choices do.

    MOABB's windows hold the sample at tmax; ours are half-open, so tmax is one sample earlier.

    Parameters
    ----------
    choices
        As `neurodecode.experiment.choices.resolve` returns them, with the zero-phase filter.
    sfreq
        Sampling rate of the recordings, Hz.
    scorer
        Metric that the evaluation shall report.
    """
    from moabb.paradigms import MotorImagery

    low, high = choices["preprocess"]["band"]
    tmin, tmax = choices["epochs"]["window"]
    events: Sequence[str] = choices["data"]["events"]
    last = 0 if choices["epochs"]["endpoint"] else 1 / sfreq
    return MotorImagery(
        events=list(events),
        n_classes=len(events),
        fmin=low,
        fmax=high,
        tmin=tmin,
        tmax=tmax - last,
        channels=choices["preprocess"]["channels"],
        scorer=scorer,
    )
