"""Figures of what decoders cost: modelled energy, operations, spikes, time, and early exits."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from neurodecode.results.energy import ACCOUNTS, energy_table, exit_tables, layer_table
from neurodecode.show.figures.colours import GREY, by_model, by_words, metric_words
from neurodecode.show.figures.figure import PALETTE, Figure

Document = Mapping[str, Any]

MODELLED = (
    "MODELLED from counts of operations and of what is moved, not measured (45 nm; 3.12 pJ per bit "
    "of memory). Operations alone say little."
)
ROW = 34  # px of a decoder
SHAPES = ("circle", "square", "diamond", "triangle-up")


def energies(document: Document) -> Figure:
    """Modelled energies of a window, by decoder, on an axis of ratios.

    Parameters
    ----------
    document
        As `neurodecode.results.energy.read_energy` reads it.
    """
    table = energy_table(document)
    names = list(table["decoder"])
    long = (
        table[["decoder", *ACCOUNTS]]
        .melt("decoder", list(ACCOUNTS), "account", "energy")
        .dropna(subset=["energy"])
    )
    long["account"] = long["account"].map(ACCOUNTS)
    domain = [words for words in ACCOUNTS.values() if words in set(long["account"])]
    base = alt.Chart(long).encode(y=_decoders(names))
    span = base.mark_rule(color=GREY, opacity=0.6).encode(
        x=alt.X("min(energy):Q", scale=alt.Scale(type="log")), x2="max(energy):Q"
    )
    points = base.mark_point(filled=True, size=110, opacity=1).encode(
        x=alt.X("energy:Q", title="MODELLED energy of one window (\u00b5J)",
                scale=alt.Scale(type="log")),
        color=alt.Color("account:N", title=None, legend=_legend(4),
                        scale=alt.Scale(domain=domain, range=list(PALETTE[: len(domain)]))),
        shape=alt.Shape("account:N", title=None, legend=_legend(4),
                        scale=alt.Scale(domain=domain, range=list(SHAPES[: len(domain)]))),
        tooltip=["decoder:N", "account:N", alt.Tooltip("energy:Q", format=".3g", title="uJ")],
    )  # fmt: skip
    return Figure(
        name="energies",
        title="MODELLED energy of one window, by decoder",
        table=long.rename(columns={"energy": "energy (uJ)"}),
        caption=f"{MODELLED} The counterpart has the same layers, int8 weights and few-bit "
        "activations in place of spikes: compare it with int8.",
        chart=(span + points).properties(height=alt.Step(ROW)),
    )


def operations(document: Document) -> Figure:
    """Multiply-accumulates and accumulates of a window, by decoder."""
    table = energy_table(document)
    kinds = {"macs": "multiply-accumulates", "acs": "accumulates"}
    long = table[["decoder", *kinds]].melt("decoder", list(kinds), "kind", "operations")
    long["kind"] = long["kind"].map(kinds)
    chart = (
        alt.Chart(long)
        .mark_bar()
        .encode(
            y=_decoders(list(table["decoder"])),
            x=alt.X("operations:Q", title="Operations of one window", axis=alt.Axis(format="~s")),
            color=alt.Color(
                "kind:N", title=None, legend=_legend(2),
                scale=alt.Scale(domain=list(kinds.values()), range=[PALETTE[0], PALETTE[4]]),
            ),
            tooltip=["decoder:N", "kind:N", alt.Tooltip("operations:Q", format=",.0f")],
        )
        .properties(height=alt.Step(ROW))
    )  # fmt: skip
    return Figure(
        name="operations",
        title="Operations of one window, counted",
        table=long,
        caption="Counted on test windows. An accumulate is what a spike costs where it meets a "
        "weight; a multiply-accumulate in fp32 takes five times as much.",
        chart=chart,
    )


def spikes(document: Document) -> Figure | None:
    """Spikes per neuron and step in each layer of spiking nets; None where nothing spikes."""
    table = layer_table(document).dropna(subset=["rate"])
    if table.empty:
        return None
    order = list(dict.fromkeys(table["layer"]))
    chart = (
        alt.Chart(table)
        .mark_bar()
        .encode(
            y=alt.Y("layer:N", sort=order, title=None, axis=alt.Axis(labelLimit=260)),
            yOffset=alt.YOffset("decoder:N"),
            x=alt.X("rate:Q", title="Spikes per neuron and step"),
            color=by_model(table["model"]),
            tooltip=["decoder:N", "layer:N", "kind:N", alt.Tooltip("rate:Q", format=".3f")],
        )
        .properties(height=alt.Step(max(8, 26 / max(1, table["decoder"].nunique()))))
    )
    return Figure(
        name="spikes",
        title="How much each layer spikes",
        table=table.rename(columns={"memory_int8": "modelled energy, int8 (uJ)"}),
        caption="0 is silence, 1 a spike of every neuron at every step. Counted on test windows.",
        chart=chart,
    )


def latency(document: Document) -> Figure:
    """Time of one window against the score: the median, with a line to the 99th percentile."""
    table = energy_table(document).dropna(subset=["p50_ms"])
    metric = metric_words(str(document.get("metric") or "score"))
    scored = bool(table["score"].notna().any())
    y: Any = alt.Y(
        "score:Q", title=metric, scale=alt.Scale(zero=False), axis=alt.Axis(format=".3~f")
    )
    base = alt.Chart(table).encode(
        y=y if scored else _decoders(list(table["decoder"])), color=by_model(table["model"])
    )
    rule = base.mark_rule(strokeWidth=2, opacity=0.5).encode(
        x=alt.X("p50_ms:Q", scale=alt.Scale(zero=True)), x2="p99_ms:Q"
    )
    point = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("p50_ms:Q", title="Time of one window (ms)"),
        shape=by_words("align", table["align"], "alignment"),
        tooltip=["decoder:N", alt.Tooltip("p50_ms:Q", format=".2f"),
                 alt.Tooltip("p99_ms:Q", format=".2f"), alt.Tooltip("score:Q", format=".3f")],
    )  # fmt: skip
    processors = {
        entry["latency_ms"]["processor"]
        for entry in document["models"]
        if entry.get("latency_ms", {}).get("processor")
    }
    return Figure(
        name="latency",
        title="Time of one window, measured, against the score",
        table=table[["decoder", "score", "p50_ms", "p99_ms"]].rename(
            columns={"p50_ms": "p50 (ms)", "p99_ms": "p99 (ms)", "score": metric}
        ),
        caption="Point: median. Line: to the 99th percentile. One window, one thread"
        f"{', ' + ', '.join(sorted(processors)) if processors else ''}.",
        chart=(rule + point).properties(height=230),
    )


def exits(document: Document) -> Figure | None:
    """Score against how much of a window is used, for decoders that can stop early, if any can.

    Parameters
    ----------
    document
        As `neurodecode.results.energy.read_exits` reads it.
    """
    curves, rules = exit_tables(document)
    if curves.empty:  # an axis without a number is drawn without end
        return None
    ends = curves[curves["rule"] == "fixed"].groupby("decoder", sort=False).tail(1)
    metric = metric_words(str(document["metric"]))
    y = alt.Y("score:Q", title=metric, scale=alt.Scale(zero=False))
    colour = by_model(curves["model"])
    x = alt.X("time:Q", title="Recording that is used (s)")
    lines = (
        alt.Chart(curves)
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=y,
            color=colour,
            detail="decoder:N",
            strokeDash=alt.StrokeDash(
                "rule:N", title=None,
                legend=None,
                scale=alt.Scale(domain=["fixed", "confidence"], range=[[4, 4], [1, 0]]),
            ),
            tooltip=["decoder:N", "rule:N", alt.Tooltip("time:Q", format=".2f"),
                     alt.Tooltip("score:Q", format=".3f")],
        )
    )  # fmt: skip
    chosen = (
        alt.Chart(rules)
        .mark_point(filled=True, size=80, opacity=1)
        .encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape("rule:N", title=None, legend=alt.Legend(
                orient="top", symbolFillColor=GREY, symbolStrokeColor=GREY
            )),
            tooltip=["decoder:N", "rule:N", alt.Tooltip("time:Q", format=".2f"),
                     alt.Tooltip("score:Q", format=".3f"),
                     alt.Tooltip("change:Q", format="+.3f"), alt.Tooltip("low:Q", format="+.3f"),
                     alt.Tooltip("high:Q", format="+.3f")],
        )
    )  # fmt: skip
    names = (
        alt.Chart(ends)
        .mark_text(align="right", dy=-9, fontSize=11)
        .encode(x=x, y=y, color=colour, text="decoder:N")
    )
    table = pd.concat([curves.assign(what="curve"), rules.assign(what="rule")], ignore_index=True)
    return Figure(
        name="exits",
        title="Score against time for decoders that stop early",
        table=table.rename(columns={"time": "time (s)", "score": metric}),
        caption="Dashed: every window stops at the same time. Line: each stops when it is sure "
        "enough. Points: rules whose bounds were chosen on people that were not tested.",
        chart=(lines + chosen + names).properties(height=260),
    )


def _decoders(names: Sequence[str]) -> Any:
    return alt.Y("decoder:N", sort=list(names), title=None,
                 axis=alt.Axis(labelLimit=260))  # fmt: skip


def _legend(columns: int) -> Any:
    return alt.Legend(orient="top", columns=columns, labelLimit=280, symbolOpacity=1)
