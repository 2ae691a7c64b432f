"""Scores: of decoders on data sets, of people, and the differences between two decoders."""

import altair as alt
import pandas as pd

from neurodecode.show.figures.colours import GREY, by_model, by_words, metric_words, models_of
from neurodecode.show.figures.figure import Figure

STEP = 19  # px between two lines of text
HOVER = ".3f"
HOLE = "#ffffff"
"""Middle of the dot of a decoder that is no better than guessing."""


def board_figure(boards: pd.DataFrame) -> Figure:
    """Mean score of every pipeline on every data set, with what guessing reaches.

    Parameters
    ----------
    boards
        Lines of `neurodecode.results.overview.board_of`, all of one metric, with ``group``.
    """
    metric = str(boards["metric"].iloc[0])
    lines, limits = _lines_of(boards)
    order = [line for line in dict.fromkeys(lines["line"])]
    heading = {"condition": {"test": "indexof(datum.value, '\\n') < 0", "value": "bold"}}
    axis = alt.Axis(
        labelExpr="split(datum.value, '\\n')[1] || datum.value",
        labelFontWeight={**heading, "value": "normal"},
        labelLimit=420, labelPadding=6, labelOverlap=False,
        title=None, grid=False, ticks=False, domain=False,
    )  # fmt: skip
    y = alt.Y("line:N", scale=alt.Scale(domain=order), axis=axis)
    scores = lines.dropna(subset=["score"])
    x = alt.X("score:Q", title=f"{metric_words(metric)}, mean over people",
              scale=alt.Scale(zero=False))  # fmt: skip
    tips = [
        alt.Tooltip("group", title="data"),
        alt.Tooltip("pipeline", title="decoder"),
        alt.Tooltip("score", format=HOVER),
        alt.Tooltip("low", title="interval from", format=HOVER),
        alt.Tooltip("high", title="to", format=HOVER),
        alt.Tooltip("n_units", title="people"),
        alt.Tooltip("chance", format=HOVER),
        alt.Tooltip("chance_95", title="guessing passes", format=HOVER),
        alt.Tooltip("run"),
    ]
    base = alt.Chart(scores).encode(y=y, color=by_model(scores["model"]), tooltip=tips)
    guessed = scores["score"] <= scores["chance_95"].fillna(scores["chance"])
    layers = [
        _levels(limits, "chance", order, dash=None),
        _levels(limits, "chance_95", order, dash=[3, 3]),
        alt.Chart(lines[["line"]]).mark_point(opacity=0).encode(y=y),  # keeps the headings
        base.mark_rule(strokeWidth=2.5).encode(x=alt.X("low:Q"), x2="high:Q"),
        base.mark_point(filled=True, size=80, opacity=1).encode(x=x),
        base.mark_point(filled=True, size=22, opacity=1).encode(
            x=x, color=alt.value(HOLE)
        ).properties(data=scores[guessed]) if guessed.any() else None,
    ]  # fmt: skip
    shown = ["group", "pipeline", "score", "sd", "low", "high", "n_units", "chance", "chance_95"]
    return Figure(
        name=f"scores_{metric}",
        title=f"Every decoder on every data set: {metric_words(metric)}",
        table=boards[[*shown, "run"]],
        caption="Dot: mean over people; bar: 95 % interval of that mean (Student's t). Grey line: "
        "chance; dashed: the score that guessing passes once in 20."
        + (" Hollow: no better than guessing." if guessed.any() else ""),
        chart=alt.layer(*[layer for layer in layers if layer is not None]).properties(
            height={"step": STEP}
        ),
    )


def _lines_of(boards: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A line of text per data set, and one below it per pipeline; and the limits of each."""
    parts, limits = [], []
    for group, own in boards.groupby("group", sort=False):
        lines = own.assign(line=[f"{group}\n{word}" for word in own["pipeline"]])
        parts += [pd.DataFrame({"line": [group]}), lines]
        limits.append(
            {
                "first": group,
                "last": lines["line"].iloc[-1],
                "chance": own["chance"].iloc[0],
                "chance_95": own["chance_95"].iloc[0],
            }
        )
    return pd.concat(parts, ignore_index=True), pd.DataFrame(limits)


def _levels(
    limits: pd.DataFrame, column: str, order: list[str], dash: list[int] | None
) -> alt.Chart | None:
    known = limits.dropna(subset=[column])
    if known.empty:
        return None
    rule = alt.Chart(known).mark_rule(
        color=GREY, strokeWidth=1.5, strokeDash=dash or alt.Undefined, strokeCap="square"
    )
    y = alt.Y("first:N", scale=alt.Scale(domain=order))
    drawn: alt.Chart = rule.encode(x=alt.X(f"{column}:Q"), y=y, y2="last:N")
    return drawn


def difference_figure(
    units: pd.DataFrame, means: pd.DataFrame, *, reference: str, metric: str
) -> Figure:
    """What each person gains by another decoder than the reference.

    Parameters
    ----------
    units, means
        As `neurodecode.results.comparison.differences` returns them.
    reference
        Name of the pipeline that is compared with.
    metric
        Of the scores.
    """
    units = units.assign(model=models_of(units["pipeline"]))
    # Points of one line are spread over its height in the order of their names, not by chance.
    units["place"] = units.groupby("pipeline")["difference"].transform(
        lambda values: ((values.rank(method="first") * 7) % 11) / 11
    )
    means = means.assign(model=models_of(means["pipeline"]))
    order = list(means.sort_values("difference", ascending=False)["pipeline"])
    y = alt.Y("pipeline:N", sort=order, title=None, axis=alt.Axis(labelLimit=320, grid=False))
    title = f"difference in {metric_words(metric)} to {reference}"
    colour = by_model(units["model"], legend=False)  # lines have names
    points = (
        alt.Chart(units)
        .mark_circle(size=46, opacity=0.55)
        .encode(
            x=alt.X("difference:Q", title=title, scale=alt.Scale(padding=12)),
            y=y,
            yOffset=alt.YOffset("place:Q", scale=alt.Scale(domain=[-0.6, 1.6])),
            color=colour,
            tooltip=[
                alt.Tooltip("unit", title="person"),
                alt.Tooltip("pipeline", title="decoder"),
                alt.Tooltip("score", format=HOVER),
                alt.Tooltip("reference", title=reference, format=HOVER),
                alt.Tooltip("difference", format="+.3f"),
            ],
        )
    )
    base = alt.Chart(means).encode(
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("pipeline", title="decoder"),
            alt.Tooltip("difference", title="mean difference", format="+.3f"),
            alt.Tooltip("low", title="interval from", format="+.3f"),
            alt.Tooltip("high", title="to", format="+.3f"),
            alt.Tooltip("better", title="people better"),
            alt.Tooltip("worse", title="people worse"),
            alt.Tooltip("n", title="people"),
        ],
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=GREY).encode(x="zero:Q")
    chart = alt.layer(
        zero,
        points,
        base.mark_rule(strokeWidth=4).encode(x="low:Q", x2="high:Q"),
        base.mark_point(filled=True, shape="diamond", size=170, opacity=1).encode(x="difference:Q"),
    )
    return Figure(
        name=f"differences_{metric}",
        title=f"What each person gains over {reference}",
        table=units.drop(columns=["model", "place"]),
        caption="Small dot: a person; diamond: mean of the paired differences, with its 95 % "
        "interval (Student's t). Right of the line, the decoder is above the reference.",
        chart=chart.properties(height={"step": 46}),
    )


def subject_figure(units: pd.DataFrame, *, metric: str, chance: float, what: str) -> Figure:
    """Score of every person with each decoder, the easiest to decode on top.

    Parameters
    ----------
    units
        Columns unit, model, words (alignment and cleaning), score, and low and high where the
        interval of one person is known.
    metric
        Of the scores.
    chance
        Level of guessing; not a number where it is unknown.
    what
        What a unit is: "person", "fold", "session".
    """
    order = list(units.groupby("unit")["score"].mean().sort_values(ascending=False).index)
    one_line = int(units.groupby("unit").size().max())
    slot = alt.YOffset("slot:N") if one_line > 1 else alt.Undefined
    units = units.assign(slot=units["model"] + " " + units["words"])
    y = alt.Y("unit:N", sort=order, title=what, axis=alt.Axis(grid=one_line > 1, labelLimit=220))
    tips = [
        alt.Tooltip("unit", title=what),
        alt.Tooltip("model", title="decoder"),
        alt.Tooltip("words", title="alignment"),
        alt.Tooltip("score", format=HOVER),
        alt.Tooltip("low", title="interval from", format=HOVER),
        alt.Tooltip("high", title="to", format=HOVER),
    ]
    base = alt.Chart(units).encode(y=y, yOffset=slot, color=by_model(units["model"]), tooltip=tips)
    x = alt.X("score:Q", title=metric_words(metric), scale=alt.Scale(zero=False))
    layers: list[alt.Chart] = []
    if pd.notna(chance):
        level = alt.Chart(pd.DataFrame({"level": [chance]}))
        layers.append(level.mark_rule(color=GREY, strokeWidth=1.5).encode(x="level:Q"))
    if units["low"].notna().any():
        bars = base.mark_rule(strokeWidth=1.6, opacity=0.8).encode(x=alt.X("low:Q"), x2="high:Q")
        layers.append(bars)
    dots = base.mark_point(filled=True, size=58, opacity=1)
    layers.append(dots.encode(x=x, shape=by_words("words", units["words"], "alignment")))
    caption = f"Dot: a {what}, the easiest to decode on top. " + (
        "Bar: 95 % interval from its windows, taken for independent. "
        if units["low"].notna().any()
        else ""
    )
    return Figure(
        name=f"{what}s_{metric}",
        title=f"{metric_words(metric).capitalize()} of every {what}",
        table=units.drop(columns=["slot"]),
        caption=caption + ("Grey line: chance." if pd.notna(chance) else ""),
        chart=alt.layer(*layers).properties(height={"step": 11 * one_line + 7, "for": "position"}),
    )
