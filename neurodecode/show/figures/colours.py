"""Which colour a decoder has: the same on every page, whatever else is shown."""

import zlib
from collections.abc import Iterable

import altair as alt
import pandas as pd

from neurodecode.show.figures.figure import PALETTE

GREY = "#8a8d91"
"""Of lines that belong to no decoder; it can be told from both papers."""
OWN = ("csp_lda", "ts_lr", "dbconformer", "spiking_dbconformer", "spiking_eegnet", "fbcsp")
"""Decoders whose colour never changes, in the order of the palette."""
SHAPES = ("circle", "diamond", "triangle-up", "square", "cross", "triangle-down")


def colours_of(models: Iterable[str]) -> dict[str, str]:
    """A colour for each model; no two share one while there are enough.

    Models without a colour of their own take one by their name, so that it is the same wherever
    no other model has it already.
    """
    found: dict[str, str] = {}
    names = dict.fromkeys(models)
    free = [c for c, own in zip(PALETTE, [*OWN, "", ""], strict=True) if own not in names]
    for name in names:
        if name in OWN:
            found[name] = PALETTE[OWN.index(name)]
    for name in sorted(set(names) - set(found)):
        choice = zlib.crc32(name.encode())
        found[name] = free.pop(choice % len(free)) if free else PALETTE[choice % len(PALETTE)]
    return {name: found[name] for name in names}


def models_of(pipelines: "pd.Series[str]") -> "pd.Series[str]":
    """The model of each pipeline that is named in one word, see `summaries.label`."""
    return pipelines.str.split(" + ", regex=False).str[0]


def by_model(models: Iterable[str], *, legend: bool = True) -> alt.Color:
    """Colour by the column ``model``."""
    colours = colours_of(models)
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    shown = alt.Legend(title="decoder", orient="top", labelLimit=300, columns=5, symbolOpacity=1)
    return alt.Color("model:N", scale=scale, legend=shown if legend else None)


def by_words(column: str, values: Iterable[str], title: str) -> alt.Shape:
    """Shape by a column of words; no legend where there is one word only."""
    names = list(dict.fromkeys(values))
    shapes = [SHAPES[i % len(SHAPES)] for i in range(len(names))]
    legend = alt.Legend(title=title, orient="top", labelLimit=300, symbolFillColor=GREY,
                        symbolStrokeColor=GREY) if len(names) > 1 else None  # fmt: skip
    return alt.Shape(f"{column}:N", scale=alt.Scale(domain=names, range=shapes), legend=legend)


def metric_words(metric: str) -> str:
    """A metric as an axis says it, with its unit where it has one."""
    words = metric.replace("_", " ").replace("roc auc", "area under the ROC curve")
    units = {
        "false_alarms_per_hour": "", "detection_delay": " (s)", "time_to_decision": " (s)",
        "itr": " (bit/min)", "itr_window": " (bit/min)", "log_loss": " (nat)",
    }  # fmt: skip
    return words + units.get(metric, "")
