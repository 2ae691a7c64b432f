"""Whether maps are to be believed, and how much of a decision rides on artifacts."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from neurodecode.results.maps import of_pipeline
from neurodecode.results.summaries import Pipeline, label
from neurodecode.show.figures.colours import GREY, by_model, by_words
from neurodecode.show.figures.figure import INK, PALETTE, Figure
from neurodecode.show.figures.maps import method_words

Summary = Mapping[str, Any]

GOOD, BAD, NONE = "#a6cfe6", "#f2bd93", "#cdd0d3"
"""Light, so that dark words can be read on them, on a page of any colour."""
MARKS = {"holds": "\u2714", "fails": "\u2718", "unchecked": "?"}
WORDS = {
    "holds": "These maps hold",
    "fails": "These maps fail their sanity checks",
    "unchecked": "These maps are unchecked",
}
CHECKS = {
    "decoder": "decoder beats guessing",
    "random_weights": "unlike random weights",
    "shuffled_labels": "unlike shuffled labels",
    "faithful": "large places matter",
    "agreement": "folds agree",
}
PASSED = {True: "passed", False: "failed", None: "not judged"}
LEGEND = alt.Legend(orient="top", columns=2, labelLimit=200, symbolOpacity=1)
LINES = alt.Legend(orient="top", symbolType="stroke", symbolStrokeWidth=2, symbolStrokeColor=GREY,
                   symbolSize=300)  # fmt: skip
HEADS = "length(datum.label) > 12 ? split(datum.label, ' ') : datum.label"
"""Names of checks take a line for each word, so that they stand beside each other."""
NAMED = ("model", "align", "clean", "decoder")


def verdict_words(verdict: Mapping[str, Any] | None) -> tuple[str, str]:
    """Verdict on a method, and what is said of it in a sentence or two.

    Returns
    -------
    kind
        "holds", "fails" or "unchecked".
    text
        Of a failure its reasons; else what the checks found.
    """
    if verdict is None:
        return "unchecked", f"{WORDS['unchecked']}: nothing is known of how far to believe them."
    kind = str(verdict["verdict"])
    said = [str(text) for text in verdict.get("reasons") or []]
    if kind != "fails" or not said:
        said += [str(c["says"]) for c in verdict.get("checks", {}).values() if c.get("says")]
    checks = verdict.get("checks", {})
    if kind == "unchecked" and not any(
        checks.get(name, {}).get("passed") for name in ("random_weights", "shuffled_labels")
    ):
        said.insert(0, "They were not compared with maps of a decoder that learned nothing.")
    return kind, f"{WORDS.get(kind, kind)}. {' '.join(dict.fromkeys(said))}"


def verdicts(summary: Summary, pipeline: Pipeline | None = None) -> Figure:
    """A row for each method and decoder: the verdict, and each check by symbol and colour.

    Parameters
    ----------
    summary
        Of the run.
    pipeline
        One decoder, alignment and cleaner; by default all.
    """
    entries = of_pipeline(summary, "methods", pipeline)
    lines = [line for entry in entries for line in _checked(entry, with_decoder=pipeline is None)]
    table = pd.DataFrame(
        lines, columns=["row", "check", "outcome", "value", "limit", "text", "says"]
    )
    columns = ["verdict", *(w for w in CHECKS.values() if w in set(table["check"]))]
    rows = list(dict.fromkeys(table["row"]))
    base = alt.Chart(table).encode(
        x=alt.X(
            "check:N", sort=columns, title=None,
            axis=alt.Axis(orient="top", labelAngle=0, labelExpr=HEADS, labelFontSize=11,
                          labelBaseline="top", domain=False, ticks=False, labelPadding=42),
        ),
        y=alt.Y("row:N", sort=rows, title=None,
                axis=alt.Axis(labelLimit=330, domain=False, ticks=False, labelPadding=8)),
        tooltip=["row:N", "check:N", "outcome:N", alt.Tooltip("value:Q", format=".3f"),
                 alt.Tooltip("limit:Q", format=".3f"), "says:N"],
    )  # fmt: skip
    colour = alt.Color(
        "outcome:N",
        title=None,
        scale=alt.Scale(
            domain=["holds", "passed", "fails", "failed", "unchecked", "not judged"],
            range=[GOOD, GOOD, BAD, BAD, NONE, NONE],
        ),
        legend=None,
    )
    chart = base.mark_rect(cornerRadius=3).encode(color=colour)
    chart += base.mark_text(fontSize=12, color=INK[False]).encode(text="text:N")
    return Figure(
        name="verdicts",
        title="Whether the maps are to be believed",
        table=table.drop(columns="text"),
        caption=f"{MARKS['holds']} passed, {MARKS['fails']} failed, ? not compared or not judged. "
        "Numbers: score; correlation with maps that learned nothing (small is good); gain in "
        "probability over random orders; correlation between folds (large is good).",
        chart=chart.properties(height=alt.Step(27)),
    )


def _checked(entry: Mapping[str, Any], *, with_decoder: bool) -> list[dict[str, Any]]:
    """The verdict of an entry, then its checks."""
    row = method_words(entry["method"])
    if with_decoder:
        row = f"{label((entry['model'], entry['align'], entry['clean']))}: {row}"
    kind = str(entry["verdict"])
    says = " ".join(entry.get("reasons") or [])
    mark = f"{MARKS.get(kind, '?')} {kind}"
    lines: list[dict[str, Any]] = [
        {"row": row, "check": "verdict", "outcome": kind, "text": mark, "says": says}
    ]
    for name, check in entry.get("checks", {}).items():
        passed, value = check.get("passed"), _number(check.get("value"))
        mark = {True: MARKS["holds"], False: MARKS["fails"], None: "?"}[passed]
        signs = "+.3f" if name == "faithful" else ".2f"
        lines.append(
            {
                "row": row,
                "check": CHECKS.get(name, name.replace("_", " ")),
                "outcome": PASSED[passed],
                "value": value,
                "limit": _number(check.get("limit")),
                "text": f"{mark} {value:{signs}}" if np.isfinite(value) else mark,
                "says": check.get("says", ""),
            }
        )
    return lines


def curves(summary: Summary, pipeline: Pipeline, method: str | None = None) -> Figure:
    """Probability of the true class while electrodes are taken out, or put back.

    Parameters
    ----------
    summary
        Of the run.
    pipeline
        Decoder, alignment and cleaner.
    method
        One method; by default all that have curves.
    """
    lines: list[dict[str, Any]] = []
    for entry in of_pipeline(summary, "curves", pipeline):
        if method not in (None, entry["method"]):
            continue
        for what, words in (("deletion", "taken out"), ("insertion", "put back")):
            for order, key in (("largest first", what), ("random", f"{what}_random")):
                lines += [
                    {"method": method_words(entry["method"]), "what": words, "order": order,
                     "electrodes (%)": 100 * float(x), "probability": float(y)}
                    for x, y in zip(entry["fraction"], entry[key], strict=True)
                ]  # fmt: skip
    names = ["method", "what", "order", "electrodes (%)", "probability"]
    table = pd.DataFrame(lines, columns=names)
    chart = (
        alt.Chart(table)
        .mark_line()
        .encode(
            x=alt.X("electrodes (%):Q", title="Electrodes (%)"),
            y=alt.Y("probability:Q", title="Probability of the true class",
                    scale=alt.Scale(zero=False)),
            color=alt.Color("method:N", title=None, scale=_palette(table["method"]),
                            legend=LEGEND if table["method"].nunique() > 1 else None),
            strokeDash=alt.StrokeDash("order:N", title=None, legend=LINES,
                                      scale=alt.Scale(domain=["largest first", "random"],
                                                      range=[[1, 0], [4, 4]])),
            tooltip=["method:N", "what:N", "order:N", alt.Tooltip("electrodes (%):Q", format=".0f"),
                     alt.Tooltip("probability:Q", format=".3f")],
        )
        .properties(height=210, width=330)
        .facet(column=alt.Column("what:N", title=None, sort=["taken out", "put back"]))
    )  # fmt: skip
    return Figure(
        name="curves",
        title="Electrodes taken out and put back, in the order of the map",
        table=table,
        caption="The same electrode of another window stands in for one that is out. A faithful "
        "map falls faster than random orders (dashed) where electrodes go, and rises faster where "
        "they come back.",
        chart=chart,
    )


def cascade(summary: Summary, pipeline: Pipeline) -> Figure:
    """Similarity of maps to those of the same net with ever more layers made random."""
    lines = [
        {"method": method_words(entry["method"]), "step": i, "layer": str(layer),
         "similarity": _number(value)}
        for entry in of_pipeline(summary, "cascade", pipeline)
        for i, (layer, value) in enumerate(zip(entry["layers"], entry["similarity"], strict=True))
    ]  # fmt: skip
    table = pd.DataFrame(lines, columns=["method", "step", "layer", "similarity"])
    order = list(dict.fromkeys(table.sort_values("step", kind="stable")["layer"]))
    base = alt.Chart(table).encode(
        x=alt.X("layer:N", sort=order, title="Random up to this layer, from the output",
                axis=alt.Axis(labelAngle=-35, labelLimit=120)),
        y=alt.Y("similarity:Q", title="Correlation",
                scale=alt.Scale(domain=[min(-0.2, float(table["similarity"].min(skipna=True) or 0)),
                                        1.0])),
        color=alt.Color("method:N", title=None, scale=_palette(table["method"]),
                        legend=LEGEND),
        tooltip=["method:N", "layer:N", alt.Tooltip("similarity:Q", format=".2f")],
    )  # fmt: skip
    zero = alt.Chart(pd.DataFrame({"y": [0.0]})).mark_rule(color=GREY).encode(y="y:Q")
    return Figure(
        name="cascade",
        title="Maps while the net is made random, layer by layer",
        table=table,
        caption="A map of what was learned changes as weights become random; one that stays the "
        "same (near 1) shows the input or the architecture.",
        chart=(zero + base.mark_line(point=True)).properties(height=230),
    )


def agreement(summary: Summary, pipeline: Pipeline | None = None) -> Figure:
    """How alike the maps of different folds are, by method and decoder."""
    entries = of_pipeline(summary, "methods", pipeline)
    lines = [
        {
            **_named(entry),
            "method": method_words(entry["method"]),
            "similarity": _number(check.get("value")),
            "limit": _number(check.get("limit")),
        }
        for entry in entries
        if (check := entry.get("checks", {}).get("agreement"))
    ]
    table = pd.DataFrame(lines, columns=[*NAMED, "method", "similarity", "limit"])
    base = alt.Chart(table)
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        shape=by_words("align", table["align"], "alignment"),
        x=alt.X("similarity:Q", title="Correlation between folds",
                scale=alt.Scale(domain=[min(0.0, float(table["similarity"].min() or 0)), 1.0])),
        y=alt.Y("method:N", title=None, axis=alt.Axis(labelLimit=220)),
        color=by_model(table["model"]),
        tooltip=["decoder:N", "method:N", alt.Tooltip("similarity:Q", format=".2f")],
    )  # fmt: skip
    limits = table["limit"].dropna().unique()
    rule = (
        alt.Chart(pd.DataFrame({"limit": limits}))
        .mark_rule(strokeDash=[4, 4], color=GREY)
        .encode(x="limit:Q")
    )
    return Figure(
        name="agreement",
        title="Agreement between the maps of different folds",
        table=table,
        caption="Each point: mean over all pairs of folds. Dashed: what a map must reach.",
        chart=(rule + points).properties(height=alt.Step(30)),
    )


def reliance(summary: Summary, pipeline: Pipeline | None = None) -> Figure:
    """What a decoder loses when a part of every window comes from another one.

    Parameters
    ----------
    summary
        Of the run.
    pipeline
        One decoder, alignment and cleaner; by default all.
    """
    entries = of_pipeline(summary, "reliance", pipeline)
    lines = [
        {
            **_named(entry),
            "part": entry["part"],
            **{
                f"{name} (percentage points)": 100 * _number(entry.get(key))
                for name, key in (("loss", "drop"), ("low", "low"), ("high", "high"))
            },
            "n": entry.get("n"),
            "channels": ", ".join(entry.get("names") or []),
            "says": entry.get("says", ""),
        }
        for entry in entries
    ]
    columns = ["loss", "low", "high"]
    columns = [f"{name} (percentage points)" for name in columns]
    table = pd.DataFrame(lines, columns=[*NAMED, "part", *columns, "n", "channels", "says"])
    loss, low, high = columns
    short = table.rename(columns={loss: "loss", low: "low", high: "high"})
    y = alt.Y("part:N", sort=list(dict.fromkeys(table["part"])), title=None,
              axis=alt.Axis(labelLimit=160))  # fmt: skip
    offset = alt.YOffset("decoder:N", sort=list(dict.fromkeys(table["decoder"])))
    spread = [alt.Tooltip(f"{name}:Q", format="+.1f") for name in ("loss", "low", "high")]
    tips: list[Any] = ["decoder:N", "part:N", *spread, "n:Q", "channels:N", "says:N"]
    title = "Loss of balanced accuracy (percentage points)"
    base = alt.Chart(short).encode(
        y=y, yOffset=offset, tooltip=tips,
        color=by_model(table["model"]),
    )  # fmt: skip
    zero = alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(color=GREY).encode(x="x:Q")
    chart = zero + base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    chart += base.mark_point(filled=True, size=60, opacity=1).encode(
        x="loss:Q", shape=by_words("align", table["align"], "alignment")
    )
    n_decoders = max(1, table["decoder"].nunique())
    return Figure(
        name="reliance",
        title="What is lost without a part of the signal",
        table=table,
        caption="A part of every test window is exchanged for the same part of another one, so "
        "that it keeps its usual form and says nothing of the class. Mean over folds, with its "
        "95 % interval. Eye and muscle channels and the bands below 4 and above 30 Hz are where "
        "artifacts live.",
        chart=chart.properties(height=alt.Step(max(12, 34 / n_decoders))),
    )


def _named(entry: Mapping[str, Any]) -> dict[str, str]:
    """Decoder, alignment and cleaner of an entry, and all of them in one word."""
    pipeline = (entry["model"], entry["align"], entry["clean"])
    return dict(zip(NAMED, (*pipeline, label(pipeline)), strict=True))


def _palette(names: Sequence[str] | pd.Series) -> Any:
    domain = list(dict.fromkeys(names))
    return alt.Scale(domain=domain, range=[PALETTE[i % len(PALETTE)] for i in range(len(domain))])


def _number(value: Any) -> float:
    """A number of JSON; what is null or missing is not a number."""
    return float("nan") if value is None else float(value)
