"""Single decisions: what is confused with what, what a probability is worth, and one window."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurodecode.show.figures.colours import GREY, colours_of
from neurodecode.show.figures.figure import PALETTE, SEQUENTIAL, Figure


def confusion_figure(table: pd.DataFrame, *, decoder: str) -> Figure:
    """Which classes are taken for which.

    Parameters
    ----------
    table
        As `neurodecode.results.decisions.confusion` returns it.
    decoder
        Its name.
    """
    classes = list(dict.fromkeys(table["y_true"]))
    x = alt.X("y_pred:N", sort=classes, title="decided", axis=alt.Axis(labelAngle=0, orient="top"))
    y = alt.Y("y_true:N", sort=classes, title="was")
    base = alt.Chart(table).encode(x=x, y=y)
    tips = [
        alt.Tooltip("y_true", title="was"),
        alt.Tooltip("y_pred", title="decided"),
        alt.Tooltip("share", title="share of its class", format=".1%"),
        alt.Tooltip("n", title="windows"),
    ]
    scale = alt.Scale(domain=[0, 1], scheme=SEQUENTIAL)
    cells = base.mark_rect().encode(color=alt.Color("share:Q", scale=scale, legend=None),
                                    tooltip=tips)  # fmt: skip
    ink = alt.condition("datum.share > 0.5", alt.value("#1c1e21"), alt.value("#ffffff"))
    words = base.mark_text(fontSize=13, fontWeight="bold").encode(
        text=alt.Text("share:Q", format=".0%"), color=ink, tooltip=tips
    )
    return Figure(
        name="confusion",
        title=f"What {decoder} takes for what",
        table=table.rename(columns={"share": "share_of_class"}),
        caption="Each row sums to 100 %: where the windows of that class went.",
        chart=alt.layer(cells, words).properties(height=max(280, 52 * len(classes))),
    )


def reliability_figure(bins: pd.DataFrame, *, decoder: str, error: float, least: float) -> Figure:
    """How often decisions are right that a decoder is so sure of.

    Parameters
    ----------
    bins, error
        As `neurodecode.results.decisions.reliability` and `calibration_error` return them.
    decoder
        Its name.
    least
        Lowest confidence that a decision can have: 1 over the number of classes.
    """
    domain = alt.Scale(domain=[min(least, float(bins["low"].min())), 1])
    x = alt.X("confidence:Q", title="probability of the chosen class", scale=domain,
              axis=alt.Axis(format=".0%"))  # fmt: skip
    y = alt.Y("accuracy:Q", title="of these, right", scale=alt.Scale(domain=[0, 1]),
              axis=alt.Axis(format=".0%"))  # fmt: skip
    colour = colours_of([decoder.split(" + ")[0]])[decoder.split(" + ")[0]]
    tips = [
        alt.Tooltip("confidence", title="mean probability", format=".1%"),
        alt.Tooltip("accuracy", title="right", format=".1%"),
        alt.Tooltip("accuracy_low", title="interval from", format=".1%"),
        alt.Tooltip("accuracy_high", title="to", format=".1%"),
        alt.Tooltip("n", title="decisions"),
    ]
    base = alt.Chart(bins).encode(x=x, tooltip=tips)
    ideal = alt.Chart(pd.DataFrame({"at": [least, 1.0]}))
    ends = sorted({int(bins["n"].min()), int(bins["n"].max())})
    size = alt.Size("n:Q", title="decisions", scale=alt.Scale(range=[30, 420]),
                    legend=alt.Legend(values=ends))  # fmt: skip
    chart = alt.layer(
        ideal.mark_line(color=GREY, strokeDash=[4, 4]).encode(x=alt.X("at:Q"), y=alt.Y("at:Q")),
        base.mark_rule(color=colour, strokeWidth=1.5).encode(y="accuracy_low:Q",
                                                             y2="accuracy_high:Q"),
        base.mark_line(color=colour, opacity=0.5).encode(y=y),
        base.mark_circle(color=colour, opacity=1).encode(y=y, size=size),
    )  # fmt: skip
    return Figure(
        name="reliability",
        title=f"What a probability of {decoder} is worth",
        table=bins,
        caption=f"Below the dashed line the decoder is surer than it should be. Bars: 95 % "
        f"(Wilson). Expected calibration error {error:.3f}.",
        chart=chart.properties(height=300),
    )


def trial_figure(
    x: NDArray[np.floating], *, ch_names: Sequence[str], sfreq: float, title: str
) -> Figure:
    """The signal of one window, channels one below the other.

    Parameters
    ----------
    x
        (n_chans, n_times), microvolts.
    ch_names
        Of its rows.
    sfreq
        Hz.
    title
        Which window it is.
    """
    times = np.arange(x.shape[1]) / sfreq
    spread = float(np.nanpercentile(np.abs(x - np.nanmean(x, axis=1, keepdims=True)), 98))
    apart = 2 * spread if spread > 0 else 1.0
    bar = _round_down(apart)

    def draw(ink: str) -> Any:
        from matplotlib.figure import Figure as Drawing

        drawing = Drawing(figsize=(10, max(2.5, 0.24 * len(x) + 0.8)))
        ax = drawing.add_subplot()
        for i, signal in enumerate(x):
            ax.plot(times, signal - np.nanmean(signal) - i * apart, color=PALETTE[0], lw=0.8)
        ax.set_yticks([-i * apart for i in range(len(x))], ch_names, fontsize=8)
        ax.set_ylim(-(len(x) - 0.3) * apart, 0.9 * apart)
        ax.set_xlim(times[0], times[-1] + 1 / sfreq)
        ax.set_xlabel("s from the start of the window", color=ink)
        ax.tick_params(colors=ink, length=0, axis="y")
        ax.tick_params(colors=ink, axis="x")
        for side, spine in ax.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(ink)
        end = 1.015
        middle = -(len(x) - 1) / 2 * apart
        line: dict[str, Any] = {
            "color": ink,
            "lw": 2,
            "clip_on": False,
            "transform": ax.get_yaxis_transform(),
        }
        ax.plot([end, end], [middle - bar / 2, middle + bar / 2], **line)
        ax.text(end + 0.01, middle, f"{bar:g} µV", color=ink, va="center", fontsize=9,
                transform=ax.get_yaxis_transform())  # fmt: skip
        return drawing

    table = pd.DataFrame(x.T, columns=[f"{name} (µV)" for name in ch_names])
    table.insert(0, "time (s)", times)
    return Figure(
        name="window",
        title=title,
        table=table,
        caption="As cut from the recording, filtered as the run chose; neither aligned nor "
        "cleaned. Each channel is about its own mean.",
        draw=draw,
    )


def _round_down(value: float) -> float:
    """The largest of 1, 2, 5, 10, 20, ... that is not above a value."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(step * power for step in (1, 2, 5) if step * power <= value * 1.0001))
