"""A run that nobody fitted: scores as given, and decisions that have them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run

CLASSES = ("left", "right")


def decisions(n_right: int, n: int, *, sure: float = 0.8, **own: Any) -> pd.DataFrame:
    """`n` decisions on two classes in turn, of which the first `n_right` are right."""
    truth = np.arange(n) % 2
    chosen = np.where(np.arange(n) < n_right, truth, 1 - truth)
    proba = np.where(chosen[:, None] == np.arange(2), sure, 1 - sure)
    names = np.array(CLASSES)
    table = pd.DataFrame(
        {
            "trial": np.arange(n), "dataset": "d", "subject": "1", "session": "0", "run": "0",
            "onset": np.arange(n) * 5.0, "y_true": names[truth], "y_pred": names[chosen],
            "p_left": proba[:, 0], "p_right": proba[:, 1],
        }
    )  # fmt: skip
    return table.assign(**own)


def toy_run(
    folder: Path,
    scores: Mapping[str, Sequence[float]],
    /,
    *,
    name: str = "run",
    n: int = 20,
    meta: Mapping[str, Any] | None = None,
    **own: Any,
) -> Run:
    """A run with a fold per model and subject; `own` changes every row."""
    run, keys = Run(folder / name), []
    dataset = own.get("dataset", "d")
    for model, values in scores.items():
        for i, score in enumerate(values, 1):
            keys.append(f"{name}-{model}-{i}")
            values_of = {"balanced_accuracy": score, "log_loss": 1 - score}
            row = {
                "key": keys[-1], "paradigm": "mi", "dataset": dataset, "protocol": "cross-subject",
                "fold": f"subject={i}", "subject": str(i), "session": "0", "model": model,
                "align": "none", "seed": 0, "labels": "true", "metric": "balanced_accuracy",
                "score": score, "scores": values_of, "n_train": 100, "n_test": n, "n_chans": 3,
                "n_times": 100, "n_classes": 2, "sfreq": 100.0, "n_params": 0, "fit_time": 0.1,
                "predict_time": 0.001, "history": {}, "simulated": True,
            }  # fmt: skip
            table = decisions(0 if np.isnan(score) else round(score * n), n, subject=str(i))
            run.write_fold(ResultRow.from_dict({**row, **own}), table)
    facts = {
        "paradigm": "mi", "dataset": dataset, "protocol": own.get("protocol", "cross-subject"),
        "metric": own.get("metric", "balanced_accuracy"), "classes": list(CLASSES),
        "simulated": own.get("simulated", True), "folds": keys,
    }  # fmt: skip
    run.describe("", {**facts, **(meta or {})})
    return run
