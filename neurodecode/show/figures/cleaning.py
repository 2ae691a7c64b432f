"""Figures of what cleaners do: to decoders, and to mixtures whose clean part is known."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from neurodecode.results.denoising import METRICS, NOTHING
from neurodecode.results.summaries import label
from neurodecode.show.figures.colours import GREY, by_model, by_words
from neurodecode.show.figures.figure import PALETTE, Figure

SIDES = {"": "as recorded", "dirty_": "contaminated"}
KINDS = {"none": "none", "eog": "eyes", "emg": "muscles", "both": "both"}
HEADS = {
    "rrmse": "RRMSE, time",
    "rrmse_spectrum": "RRMSE, spectrum",
    "correlation": "correlation",
    "snr_gain": "SNR gain (dB)",
}
BETTER = {"rrmse": "less", "rrmse_spectrum": "less", "correlation": "more", "snr_gain": "more"}
POINTS = "percentage points"


def cleaning_gains(effects: pd.DataFrame) -> Figure:
    """What each cleaner changes in the score of each decoder, paired by subject, with interval.

    Parameters
    ----------
    effects
        As `neurodecode.results.cleaning.effects` returns it.
    """
    parts = []
    for side, words in SIDES.items():
        names = [f"{side}{name}" for name in ("score", "gain", "low", "high", "p")]
        if names[1] not in effects:
            continue
        own = effects[["model", "align", "clean", *names]]
        own = own.set_axis(["model", "align", "clean", "score", "gain", "low", "high", "p"], axis=1)
        parts.append(own.assign(data=words).dropna(subset=["gain"]))
    columns = ["model", "align", "clean", "score", "gain", "low", "high", "p", "data"]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    table["cleaner"] = table["clean"].replace("none", "uncleaned, against as recorded")
    table["decoder"] = [
        label((m, a, "none")) for m, a in zip(table["model"], table["align"], strict=True)
    ]
    table[["gain", "low", "high"]] *= 100
    n_decoders = max(1, table["decoder"].nunique())
    y = alt.Y("cleaner:N", sort=list(dict.fromkeys(table["cleaner"])), title=None,
              axis=alt.Axis(labelLimit=230))  # fmt: skip
    base = alt.Chart(table).encode(
        y=y,
        yOffset=alt.YOffset("decoder:N", sort=list(dict.fromkeys(table["decoder"]))),
        color=by_model(table["model"]),
        tooltip=[
            "decoder:N", "cleaner:N", "data:N", alt.Tooltip("score:Q", format=".3f"),
            *(alt.Tooltip(f"{name}:Q", format="+.1f") for name in ("gain", "low", "high")),
            alt.Tooltip("p:Q", format=".3f", title="p (Holm)"),
        ],
    )  # fmt: skip
    layers = [
        alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(color=GREY).encode(x="x:Q"),
        base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q"),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            x=alt.X("gain:Q", title=f"Difference to the same decoder uncleaned ({POINTS})"),
            shape=by_words("align", table["align"], "alignment"),
        ),
    ]
    height = alt.Step(max(13, 40 / n_decoders))
    charts = [
        alt.layer(*layers, data=own).properties(height=height, title=str(words))
        for words, own in table.groupby("data", sort=False)
    ]
    shown = table.rename(columns={n: f"{n} ({POINTS})" for n in ("gain", "low", "high")})
    return Figure(
        name="cleaning_gains",
        title="What cleaning does to each decoder",
        table=shown[["decoder", "clean", "data", "score", *shown.columns[4:7], "p"]],
        caption="Paired by subject, with the 95 % interval of the mean. ':removed' decodes what "
        "was taken out and should lose everything. A line 'uncleaned' shows what contamination "
        "costs.",
        chart=charts[0] if len(charts) == 1 else alt.vconcat(*charts),
    )


def denoiser_errors(table: pd.DataFrame) -> Figure:
    """Errors of denoisers on mixtures whose clean part is known, a panel for each metric.

    Parameters
    ----------
    table
        As `neurodecode.results.denoising.denoiser_table` returns it, by kind of artifact.
    """
    parts = []
    for metric in METRICS:
        own = table[["model", "n_people", "kind"]].copy()
        own["metric"] = metric
        own["value"], own["low"], own["high"] = (
            table[f"{metric}{end}"] for end in ("", "_low", "_high")
        )
        parts.append(own[np.isfinite(own["value"])])
    long = pd.concat(parts, ignore_index=True)
    long["artifact"] = long["kind"].map(lambda kind: KINDS.get(str(kind), str(kind)))
    nets = list(dict.fromkeys(table["model"]))
    kinds = list(dict.fromkeys(long["artifact"]))
    charts = [
        _panel(long[long["metric"] == metric], metric, nets, kinds, first=i % 2 == 0)
        for i, metric in enumerate(METRICS)
    ]
    rows = [alt.hconcat(*charts[:2], spacing=24), alt.hconcat(*charts[2:], spacing=24)]
    return Figure(
        name="denoisers",
        title="What is left of artifacts, where the clean signal is known",
        table=long.drop(columns="kind"),
        caption=f"Mean over people with its 95 % interval. '{NOTHING}' leaves the signal as it is; "
        "'none' are windows without an artifact, of which nothing should change.",
        chart=alt.vconcat(*rows),
    )


def _panel(
    own: pd.DataFrame, metric: str, nets: list[str], kinds: list[str], *, first: bool
) -> Any:
    axis = alt.Axis(labelLimit=150) if first else alt.Axis(labels=False, ticks=False)
    base = alt.Chart(own).encode(
        y=alt.Y("model:N", scale=alt.Scale(domain=nets), title=None, axis=axis),
        yOffset=alt.YOffset("artifact:N", scale=alt.Scale(domain=kinds)),
        color=alt.Color("artifact:N", title="artifact", scale=alt.Scale(domain=kinds, range=[
            PALETTE[i % len(PALETTE)] for i in range(len(kinds))
        ]), legend=alt.Legend(orient="top", symbolOpacity=1)),
        tooltip=["model:N", "artifact:N", *(alt.Tooltip(f"{name}:Q", format=".3f")
                                        for name in ("value", "low", "high")), "n_people:Q"],
    )  # fmt: skip
    title = f"{HEADS[metric]} ({BETTER[metric]} is better)"
    return (
        base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
        + base.mark_point(filled=True, size=55, opacity=1).encode(
            x=alt.X("value:Q", title=title, scale=alt.Scale(zero=metric != "correlation"))
        )
    ).properties(width=290, height=alt.Step(13))


def denoisers_by_ratio(table: pd.DataFrame, metric: str = "rrmse") -> Figure:
    """An error of denoisers against how strong the artifacts are.

    Parameters
    ----------
    table
        As `neurodecode.results.denoising.denoiser_table` returns it, by kind and ratio.
    metric
        One of its metrics.
    """
    own = table[["model", "kind", "snr", "n_people"]].copy()
    own["value"], own["low"], own["high"] = (
        table[f"{metric}{end}"] for end in ("", "_low", "_high")
    )
    own = own[np.isfinite(own["value"]) & np.isfinite(own["snr"].astype(float))]
    own = own[own["kind"] != "none"]
    own["artifact"] = own["kind"].map(lambda kind: KINDS.get(str(kind), str(kind)))
    nets = list(dict.fromkeys(table["model"]))
    scale = alt.Scale(domain=nets, range=[PALETTE[i % len(PALETTE)] for i in range(len(nets))])
    legend = alt.Legend(orient="top", columns=4, symbolOpacity=1)
    base = alt.Chart(own).encode(
        x=alt.X("snr:Q", title="Signal to artifact (dB)"),
        color=alt.Color("model:N", title=None, legend=legend, scale=scale),
        tooltip=["model:N", "artifact:N", "snr:Q", alt.Tooltip("value:Q", format=".3f")],
    )  # fmt: skip
    title = f"{HEADS[metric]} ({BETTER[metric]} is better)"
    chart = base.mark_area(opacity=0.15).encode(y="low:Q", y2="high:Q")
    chart += base.mark_line(point=True).encode(y=alt.Y("value:Q", title=title))
    return Figure(
        name=f"denoisers_{metric}_by_ratio",
        title=f"{HEADS[metric]} against the strength of artifacts",
        table=own.drop(columns="kind").rename(columns={"snr": "snr (dB)"}),
        caption="Line: mean over people; band: its 95 % interval.",
        chart=chart.properties(width=290, height=220).facet(
            column=alt.Column("artifact:N", title=None)
        ),
    )
