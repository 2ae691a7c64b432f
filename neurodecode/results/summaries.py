"""What can be asked of result rows: tables of scores with their spread and paired comparisons."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

PIPELINE = ["model", "align", "clean"]
"""What is compared: a decoder with an alignment and a cleaner."""

Pipeline = tuple[str, str, str]


PROPORTIONS = {
    "balanced_accuracy", "accuracy", "roc_auc", "f1",
    "evidence_accuracy", "command_accuracy", "tpr", "abstained", "valid",
    *(f"{rule}_{score}" for rule in ("event", "szcore", "sample")
      for score in ("sensitivity", "precision", "f1")),
}  # fmt: skip
"""Metrics in [0, 1], at which their intervals end."""

LOWER_IS_BETTER = {
    "log_loss", "false_alarms_per_hour", "szcore_false_alarms_per_hour", "detection_delay",
    "fp_per_min", "time_to_decision", "abstained",
}  # fmt: skip
"""Metrics of which the best is the least; none is below 0."""


def with_metric(rows: pd.DataFrame, metric: str | None) -> pd.DataFrame:
    """Rows whose ``score`` is that of `metric`; rows without it are left out."""
    if metric is None:
        return rows
    score = [scores.get(metric) for scores in rows["scores"]]
    return rows.assign(metric=metric, score=score).dropna(subset=["score"])


def unit_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean score of every pipeline on every unit (test subject, or fold where it has several).

    Seeds, sessions and folds of a subject are averaged first, so a subject with more sessions
    counts once. Units down, pipelines (model, align, clean) across.
    """
    table = rows.assign(unit=units_of(rows)).pivot_table(
        index="unit", columns=PIPELINE, values="score", aggfunc="mean", sort=False
    )
    order = rows[PIPELINE].drop_duplicates().itertuples(index=False, name=None)
    return table[[pipeline for pipeline in order if pipeline in table.columns]]


def spreads(rows: pd.DataFrame, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """One line per pipeline: metrics, each the mean over the units that have it.

    A unit is the mean of its folds and seeds, as in `unit_scores`.

    Returns
    -------
    list
        Of: model, align, clean; for each metric its name, ``_sd`` (over units) and ``_n`` (units
        that have it).
    """
    scores = {name: unit_scores(with_metric(rows, name)) for name in metrics}
    lines = []
    for pipeline in rows[PIPELINE].drop_duplicates().itertuples(index=False, name=None):
        line: dict[str, Any] = dict(zip(PIPELINE, pipeline, strict=True))
        for name, table in scores.items():
            values = table[pipeline].dropna().to_numpy() if pipeline in table else np.empty(0)
            line[name] = values.mean() if values.size else np.nan
            line[f"{name}_sd"] = values.std(ddof=1) if values.size > 1 else np.nan
            line[f"{name}_n"] = int(values.size)
        lines.append(line)
    return lines


def units_of(rows: pd.DataFrame) -> pd.Series:
    """The unit of each row: its test subject, or its fold where that has several."""
    unit = rows["subject"].where(rows["subject"] != "*", rows["fold"])
    return rows["dataset"] + ":" + unit


def leaderboard(rows: pd.DataFrame, *, against: str | Pipeline | None = None) -> pd.DataFrame:
    """One line per pipeline: score with spread and interval, paired test, cost.

    Columns: model, align, clean, score (mean over units), sd (over units), low and high (95 %
    Student's t interval of the mean), seed_sd (of the mean score over seeds), n_units, gain
    (mean paired difference to the pipeline `against`), effect (that over its standard deviation),
    p (Holm-corrected), n_params, fit_time (s, median over folds), predict_ms (one window).

    Parameters
    ----------
    rows
        Of one data set, protocol and metric.
    against
        Model, or pipeline, that the others are compared with; by default the first.
    """
    scores = unit_scores(rows)
    reference = reference_pipeline(scores, against)
    names = pipelines_of(scores)
    others = [name for name in names if name != reference]
    tests = {name: paired_test(scores[name], scores[reference]) for name in others}
    corrected = dict(zip(others, holm([tests[name].p for name in others]), strict=True))
    metric, lines = str(rows["metric"].iloc[0]), []
    for name in names:
        own = rows[(rows[PIPELINE] == list(name)).all(axis=1)]
        test = tests.get(name)
        lines.append(
            {
                **_mean_line(name, scores[name], metric),
                "seed_sd": own.groupby("seed")["score"].mean().std(ddof=1),
                "gain": test.gain if test else np.nan,
                "effect": test.effect if test else np.nan,
                "p": corrected.get(name, np.nan),
                "n_params": int(own["n_params"].max()),
                "fit_time": own["fit_time"].median(),
                "predict_ms": own["predict_time"].median() * 1e3,
            }
        )
    return pd.DataFrame(lines)


def mean_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per pipeline: what `leaderboard` says of its score, without any comparison.

    Columns: model, align, clean, score (mean over units), sd, low and high (95 % interval of the
    mean), n_units.
    """
    scores, metric = unit_scores(rows), str(rows["metric"].iloc[0])
    lines = [_mean_line(name, scores[name], metric) for name in pipelines_of(scores)]
    return pd.DataFrame(lines)


def _mean_line(name: Pipeline, scores: "pd.Series[float]", metric: str) -> dict[str, Any]:
    values = np.asarray(scores.dropna(), dtype=np.float64)
    low, high = interval(values)
    if metric in PROPORTIONS:
        low, high = max(low, 0.0), min(high, 1.0)
    elif metric in LOWER_IS_BETTER:
        low = max(low, 0.0)
    return {
        **dict(zip(PIPELINE, name, strict=True)),
        "score": values.mean(),
        "sd": values.std(ddof=1) if values.size > 1 else np.nan,
        "low": low,
        "high": high,
        "n_units": values.size,
    }


def pipelines_of(scores: pd.DataFrame) -> list[Pipeline]:
    """The columns of `unit_scores`: (model, align, clean)."""
    return [(str(name[0]), str(name[1]), str(name[2])) for name in scores.columns.to_list()]


def reference_pipeline(scores: pd.DataFrame, against: str | Pipeline | None) -> Pipeline:
    """The pipeline that others are compared with: the named model's first, or the first of all."""
    names = pipelines_of(scores)
    return next((name for name in names if against in (name, name[0])), names[0])


def pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Every two pipelines, paired by unit: gain, effect, p, Holm-corrected over all pairs."""
    scores = unit_scores(rows)
    found = [
        (a, b, paired_test(scores[a], scores[b])) for a, b in combinations(pipelines_of(scores), 2)
    ]
    corrected = holm([test.p for _, _, test in found])
    return pd.DataFrame(
        [
            {"a": label(a), "b": label(b), "gain": t.gain, "effect": t.effect, "n": t.n, "p": p}
            for (a, b, t), p in zip(found, corrected, strict=True)
        ]
    )


def label(pipeline: Pipeline) -> str:
    """A pipeline in one word."""
    model, *more = pipeline
    return " + ".join([model, *(word for word in more if word != "none")])


class PairedTest:
    """Paired comparison of two pipelines over units.

    Exact sign-flip permutation test of the mean difference, two-sided (10,000 random flips where
    there are more than 13 units); needs at least two units, else p is not a number.

    Attributes
    ----------
    gain
        Mean difference.
    effect
        Mean difference over the standard deviation of the differences (Cohen's d_z).
    p
        Before any correction.
    n
        Units that both have.
    """

    def __init__(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
        both = ~(np.isnan(a) | np.isnan(b))
        d = (a - b)[both]
        self.n = int(d.size)
        self.gain = float(d.mean()) if d.size else np.nan
        sd = d.std(ddof=1) if d.size > 1 else 0.0
        self.effect = self.gain / sd if sd > 0 else np.nan
        self.p = self._permutation(d) if d.size > 1 else np.nan

    @staticmethod
    def _permutation(d: NDArray[np.float64]) -> float:
        if not d.any():
            return 1.0
        result = stats.permutation_test(
            (d,),
            lambda x, axis: x.mean(axis=axis),
            permutation_type="samples",
            n_resamples=10_000,
            rng=np.random.default_rng(0),
            vectorized=True,
        )
        return float(result.pvalue)


def paired_test(a: pd.Series, b: pd.Series) -> PairedTest:
    """Compare two columns of `unit_scores`."""
    return PairedTest(a.to_numpy(dtype=float), b.to_numpy(dtype=float))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction; values that are not a number stay so and do not count."""
    values = np.asarray(p, dtype=float)
    known = np.flatnonzero(~np.isnan(values))
    out = values.copy()
    running = 0.0
    for rank, i in enumerate(known[np.argsort(values[known], kind="stable")]):
        running = max(running, min(1.0, (known.size - rank) * values[i]))
        out[i] = running
    return [float(v) for v in out]


def interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean; not a number for fewer than two values."""
    if values.size < 2:
        return np.nan, np.nan
    half = stats.t.ppf((1 + level) / 2, values.size - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


def chance(rows: pd.DataFrame) -> tuple[float, float]:
    """Chance level of the metric, and the score that guessing passes with probability 0.05.

    The second is the binomial quantile over all test windows ("Exceeding chance level by chance",
    J. Neurosci. Methods 2015, doi:10.1016/j.jneumeth.2015.01.010). It is not a number for metrics
    whose spread under guessing depends on more than the number of windows, such as the area under
    the ROC curve, nor where a stream is decoded, whose windows overlap: few of them are new.
    """
    first = rows.iloc[0]
    if first["metric"] not in ("accuracy", "balanced_accuracy"):
        return {"roc_auc": 0.5, "kappa": 0.0, "span_kappa": 0.0}.get(
            first["metric"], np.nan
        ), np.nan
    level = 1 / int(first["n_classes"])
    if first.get("protocol") == "pseudo-online":
        return level, np.nan
    once = rows[(rows[PIPELINE] == first[PIPELINE]).all(axis=1)]
    n = int(once[once["seed"] == once["seed"].iloc[0]]["n_test"].sum())
    return level, float(stats.binom.ppf(0.95, n, level) / n)
