"""What early exits cost and save, over the folds of a pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from neurodecode.results.summaries import interval, units_of

Document = dict[str, Any]


def exit_lines(folds: Sequence[Mapping[str, Any]], times: Sequence[float]) -> list[Document]:
    """One line per rule: score, what it lost, how much of a window it used, and how sure it was.

    Score, time and differences are means over units (test subjects), each the mean of its folds
    and seeds first, with 95 % intervals over units. Quantiles of time, and the expected
    calibration error, are over all test windows.

    Parameters
    ----------
    folds
        As `neurodecode.experiment.early_exit` keeps them, of one pipeline.
    times
        Recording time at the end of each step, seconds.

    Returns
    -------
    list
        Of: rule; score; change, low, high (against whole windows); same_time, same_time_low,
        same_time_high (against stopping all windows after what it uses in the mean); time, median,
        p90 (s); share (of the window); ece; ece_raw (with no temperature); choices (what was
        chosen in each fold); n_units.
    """
    names = list(folds[0]["rules"])
    score = {name: _by_unit(folds, [f["rules"][name]["score"] for f in folds]) for name in names}
    time = {name: _by_unit(folds, [f["rules"][name]["time"] for f in folds]) for name in names}
    curve = _by_unit(folds, [f["fixed"] for f in folds])
    lines = []
    for name in names:
        own = [fold["rules"][name] for fold in folds]
        of_same_time = [
            np.interp(t, times, fixed) for t, fixed in zip(time[name], curve, strict=True)
        ]
        stops = np.sum([one["stops"] for one in own], axis=0)
        lines.append(
            {
                "rule": name,
                "score": float(score[name].mean()),
                **_difference("", score[name] - score["whole"]),
                **_difference("same_time", score[name] - np.asarray(of_same_time)),
                "time": float(time[name].mean()),
                "median": _quantile(times, stops, 0.5),
                "p90": _quantile(times, stops, 0.9),
                "share": float(time[name].mean() / times[-1]),
                "ece": calibration_error([one["reliability"] for one in own]),
                "ece_raw": calibration_error([one["reliability_raw"] for one in own]),
                "choices": [one["choice"] for one in own],
                "n_units": len(score[name]),
            }
        )
    return lines


def exit_curve(folds: Sequence[Mapping[str, Any]], times: Sequence[float]) -> list[Document]:
    """Score against time: of every fixed step, and of every confidence; means over units."""
    fixed = _by_unit(folds, [fold["fixed"] for fold in folds]).mean(axis=0)
    points = [
        {"rule": "fixed", "bound": step + 1, "time": float(times[step]), "score": float(score)}
        for step, score in enumerate(fixed)
    ]
    swept = _by_unit(folds, [fold["confidence"] for fold in folds]).mean(axis=0)
    points += [
        {"rule": "confidence", "bound": float(c), "time": float(time), "score": float(score)}
        for c, time, score in swept
    ]
    return points


def calibration_error(parts: Sequence[Mapping[str, Sequence[float]]]) -> float:
    """Expected calibration error: how far confidence is from the part that is right, over bins.

    Parameters
    ----------
    parts
        As `neurodecode.evaluation.early_exit.reliability` counts them.
    """
    total = {name: np.sum([part[name] for part in parts], axis=0) for name in parts[0]}
    return float(np.abs(total["confidence"] - total["right"]).sum() / total["n"].sum())


def _by_unit(folds: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> Any:
    """Values of folds, averaged over the folds and seeds of each unit: (n_units, ...)."""
    units = units_of(pd.DataFrame(folds, columns=["dataset", "subject", "fold"]))
    array = np.asarray(values, dtype=float)
    return np.stack([array[(units == unit).to_numpy()].mean(axis=0) for unit in units.unique()])


def _difference(name: str, values: Any) -> Document:
    low, high = interval(values)
    head = f"{name}_" if name else ""
    return {name or "change": float(values.mean()), f"{head}low": low, f"{head}high": high}


def _quantile(times: Sequence[float], stops: Any, q: float) -> float:
    """The time by which a part `q` of the windows have stopped."""
    reached = np.cumsum(stops) >= q * np.sum(stops) - 1e-9
    return float(times[int(reached.argmax())])
