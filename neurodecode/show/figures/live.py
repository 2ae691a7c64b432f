"""Figures of a loop that is being watched: probabilities, statuses, latency.

Each takes decisions as `neurodecode.online.viewer.View.table` gives them.
"""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from neurodecode.show.figures.colours import GREY
from neurodecode.show.figures.figure import PALETTE, Figure

STATUSES = ("ok", "abstain", "stale", "gap", "bad-channels")
STATUS_COLOURS = (PALETTE[0], PALETTE[5], PALETTE[4], PALETTE[1], PALETTE[3])


def probabilities(table: pd.DataFrame, classes: Sequence[str], seconds: float = 30.0) -> Figure:
    """Probability of each class over the last seconds, and above it what was commanded.

    Parameters
    ----------
    table
        Decisions, oldest first.
    classes
        Names, in order.
    seconds
        How far back the figure goes.
    """
    long = table.melt("time", [f"p_{name}" for name in classes], "class", "probability")
    long["class"] = long["class"].str.removeprefix("p_")
    colour = alt.Color(
        "class:N", title=None, legend=alt.Legend(orient="top", symbolOpacity=1),
        scale=alt.Scale(
            domain=list(classes),
            range=[PALETTE[i % len(PALETTE)] for i in range(len(classes))],
        ),
    )  # fmt: skip
    x = alt.X("time:Q", title="Time before the newest decision (s)",
              scale=alt.Scale(domain=[-seconds, 0.0], nice=False))  # fmt: skip
    lines = (
        alt.Chart(long)
        .mark_line(strokeWidth=1.5, clip=True, invalid="break-paths-show-domains")
        .encode(
            x=x,
            y=alt.Y("probability:Q", title="Probability", scale=alt.Scale(domain=[0.0, 1.08]),
                    axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1])),
            color=colour,
            tooltip=["class:N", alt.Tooltip("time:Q", format=".1f"),
                     alt.Tooltip("probability:Q", format=".2f")],
        )
    )  # fmt: skip
    commands = table.loc[table["command"] != "", ["time", "command"]]
    marks = (
        alt.Chart(commands.rename(columns={"command": "class"}))
        .mark_point(shape="triangle-down", filled=True, size=80, opacity=1, clip=True)
        .encode(x=x, y=alt.datum(1.04), color=colour, tooltip=["class:N", "time:Q"])
    )
    return Figure(
        name="probabilities",
        title="Probability of each class, and commands",
        table=table.rename(columns={"time": "time (s)"}),
        caption="Triangles: commands. A line is broken where the decision is not to be trusted.",
        chart=(lines + marks).properties(height=230),
    )


def statuses(table: pd.DataFrame, seconds: float = 30.0) -> Figure:
    """Whether each decision can be trusted, a tick for each."""
    chart = (
        alt.Chart(table[["time", "status"]])
        .mark_tick(thickness=3, size=16, clip=True)
        .encode(
            x=alt.X(
                "time:Q",
                title="Time before the newest decision (s)",
                scale=alt.Scale(domain=[-seconds, 0.0], nice=False),
            ),
            y=alt.Y(
                "status:N",
                title=None,
                scale=alt.Scale(domain=list(STATUSES)),
                axis=alt.Axis(labelOverlap=False),
            ),
            color=alt.Color(
                "status:N",
                legend=None,
                scale=alt.Scale(domain=list(STATUSES), range=list(STATUS_COLOURS)),
            ),
            tooltip=["status:N", alt.Tooltip("time:Q", format=".1f")],
        )
    )
    return Figure(
        name="statuses",
        title="Whether decisions can be trusted",
        table=table[["time", "status"]].rename(columns={"time": "time (s)"}),
        caption="ok and abstain come from a whole window of good, new samples.",
        chart=chart.properties(height=200),
    )


def latencies(table: pd.DataFrame) -> Figure:
    """Histogram of the time from the newest sample to the decision, with median and 99 %."""
    values = table["latency_ms"].dropna().to_numpy(dtype=float)
    edges = np.linspace(0.0, max(10.0, float(values.max(initial=0.0)) * 1.02), 31)
    counts, _ = np.histogram(values, edges)
    bars = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "decisions": counts})
    chart = (
        alt.Chart(bars)
        .mark_bar(color=PALETTE[0])
        .encode(
            x=alt.X("low:Q", title="From the newest sample to the decision (ms)"),
            x2="high:Q",
            y=alt.Y("decisions:Q", title="Decisions", axis=alt.Axis(tickMinStep=1, format="d")),
            y2=alt.datum(0),
            tooltip=[
                alt.Tooltip("low:Q", format=".1f"),
                alt.Tooltip("high:Q", format=".1f"),
                "decisions:Q",
            ],
        )
    )
    layers = [chart]
    if len(values):
        marks = pd.DataFrame(
            {"ms": np.percentile(values, [50, 99]), "which": ["median", "99 %"], "at": [6, 18]}
        )
        rule = alt.Chart(marks).mark_rule(strokeDash=[4, 3], strokeWidth=1.5, color=GREY)
        layers.append(rule.encode(x="ms:Q"))
        for at, own in marks.groupby("at"):  # one above the other: they may be close
            text = alt.Chart(own).mark_text(align="left", dx=4, baseline="top", color=GREY)
            layers.append(text.encode(x="ms:Q", y=alt.value(int(str(at))), text="which:N"))
    return Figure(
        name="latencies",
        title="Latency",
        table=bars.rename(columns={"low": "from (ms)", "high": "to (ms)"}),
        caption="Of valid decisions. It is that of the loop; hearing it here is not in it.",
        chart=alt.layer(*layers).properties(height=200),
    )
