"""Learning: losses over epochs, and scores against how much was learned from."""

import altair as alt
import pandas as pd

from neurodecode.show.figures.colours import GREY, by_model, by_words, metric_words, models_of
from neurodecode.show.figures.figure import Figure

WIDTHS = {"training": 1.2, "held out": 2.6}  # px
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
"""Of alignments and cleaners; decoders differ in colour."""


def curve_figure(
    bands: pd.DataFrame,
    best: pd.DataFrame,
    *,
    quantity: str,
    unit: str = "",
    step: str = "epoch",
) -> Figure:
    """Curves of training and of held-out windows, with the epoch whose weights were kept.

    Parameters
    ----------
    bands, best
        As `neurodecode.results.learning.bands_of` and `best_epochs` return them.
    quantity
        "loss" or "accuracy".
    unit
        Of a loss, for its axis: "nat" where it is a cross-entropy.
    step
        What is counted along the other axis.
    """
    parts = {f"train_{quantity}": "training", f"val_{quantity}": "held out"}
    shown = bands[bands["curve"].isin(parts)]
    shown = shown.assign(part=shown["curve"].map(parts), model=models_of(shown["pipeline"]))
    shown["line"] = shown["pipeline"] + " " + shown["part"]
    shown["words"] = _words(shown["pipeline"])
    words = f"loss{unit and f' ({unit})'}" if quantity == "loss" else "accuracy (share of windows)"
    x = alt.X("epoch:Q", title=step, axis=alt.Axis(tickMinStep=1))
    y = alt.Y("mean:Q", title=words, scale=alt.Scale(zero=False))
    colour = by_model(shown["model"])
    names, words_of = list(dict.fromkeys(shown["part"])), list(dict.fromkeys(shown["words"]))
    dash = _dashes(words_of)
    width = alt.StrokeWidth(
        "part:N",
        scale=alt.Scale(domain=list(WIDTHS), range=list(WIDTHS.values())),
        legend=None,  # the caption says it, and takes less room
    )
    tips = [
        alt.Tooltip("pipeline", title="decoder"),
        alt.Tooltip("part", title="windows"),
        alt.Tooltip("epoch", title=step),
        alt.Tooltip("mean", format=".3f"),
        alt.Tooltip("low", title="lowest fold", format=".3f"),
        alt.Tooltip("high", title="highest fold", format=".3f"),
        alt.Tooltip("n", title="fits"),
    ]
    base = alt.Chart(shown).encode(x=x, detail="line:N", tooltip=tips)
    band = base.mark_area(opacity=0.13).encode(y=alt.Y("low:Q"), y2="high:Q", color=colour)
    line = base.mark_line().encode(y=y, color=colour, strokeDash=dash, strokeWidth=width)
    layers: list[alt.Chart] = [band, line]
    kept = best.assign(model=models_of(best["pipeline"]))
    kept = kept[kept["pipeline"].isin(shown["pipeline"])]
    if not kept.empty:
        ticks = alt.Chart(kept).mark_tick(thickness=2, size=12, opacity=0.7)
        tips = [
            alt.Tooltip("pipeline", title="decoder"),
            alt.Tooltip("fold"),
            alt.Tooltip("best_epoch", title="weights kept at epoch"),
        ]
        at = alt.Y(value="height")
        layers.append(ticks.encode(x=alt.X("best_epoch:Q"), y=at, color=colour, tooltip=tips))
    return Figure(
        name=f"learning_{quantity}",
        title={"loss": f"Loss over {step}s", "accuracy": "Accuracy on held-out windows"}[quantity],
        table=shown[["pipeline", "curve", "epoch", "mean", "low", "high", "n"]],
        caption=" ".join(
            [
                "Thin: training windows; thick: held out." if len(names) > 1 else "",
                "Line: mean over folds and seeds; band: their range.",
                "" if kept.empty else f"Ticks: the {step} whose weights each fit kept.",
            ]
        ).strip(),
        chart=alt.layer(*layers).properties(height=260),
    )


def size_figure(table: pd.DataFrame) -> Figure:
    """Scores against the number of windows that were learned from.

    Parameters
    ----------
    table
        As `neurodecode.results.learning.scores_by_size` returns it, of one metric.
    """
    metric = str(table["metric"].iloc[0])
    shown = table.assign(model=models_of(table["pipeline"]))
    shown["data"] = shown["dataset"] + ", " + shown["protocol"]
    shown["line"] = shown["pipeline"] + " " + shown["data"] + shown["marks"]
    shown["words"] = _words(shown["pipeline"])
    x = alt.X("n_train:Q", title="windows to learn from", scale=alt.Scale(zero=False))
    tips = [
        alt.Tooltip("data"),
        alt.Tooltip("pipeline", title="decoder"),
        alt.Tooltip("n_train", title="windows"),
        alt.Tooltip("score", format=".3f"),
        alt.Tooltip("n_units", title="people"),
        alt.Tooltip("run"),
    ]
    base = alt.Chart(shown).encode(x=x, color=by_model(shown["model"]), tooltip=tips)
    y = alt.Y("score:Q", title=metric_words(metric), scale=alt.Scale(zero=False))
    chart = alt.layer(
        base.mark_rule(opacity=0.6).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_line(opacity=0.7).encode(
            y=y, detail="line:N", strokeDash=_dashes(list(dict.fromkeys(shown["words"])))
        ),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            y=y, shape=by_words("data", shown["data"], "data")
        ),
    )
    return Figure(
        name=f"scores_by_size_{metric}",
        title="Scores against how much was learned from",
        table=shown.drop(columns=["model", "data", "line", "words"]),
        caption="Dot: mean over the people of a run, with its 95 % interval; lines join runs that "
        "differ in the number of windows, and perhaps in other choices.",
        chart=chart.properties(height=240),
    )


def _dashes(words: list[str]) -> alt.StrokeDash:
    """Alignments of one decoder share its colour; no legend where there is one only."""
    legend = alt.Legend(title="alignment", orient="bottom", symbolSize=300, symbolStrokeWidth=2,
                        symbolStrokeColor=GREY, symbolType="stroke")  # fmt: skip
    scale = alt.Scale(domain=words, range=[DASHES[i % len(DASHES)] for i in range(len(words))])
    return alt.StrokeDash("words:N", scale=scale, legend=legend if len(words) > 1 else None)


def _words(pipelines: "pd.Series[str]") -> "pd.Series[str]":
    """Alignment and cleaner."""
    return pipelines.map(lambda name: name.partition(" + ")[2] or "none")
