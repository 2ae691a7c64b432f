"""The table of alarms of a run whose windows slide over recordings."""

import numpy as np
import pandas as pd
from rich.markup import escape
from rich.table import Table

from neurodecode.results.detection import EVENT_COLUMNS

HEADERS = {
    "event_sensitivity": "sensitivity",
    "event_f1": "F1",
    "szcore_f1": "F1 SzCORE",
    "false_alarms_per_hour": "false alarms/h",
    "span_kappa": "kappa",
    "detection_delay": "delay s",
    "threshold": "threshold",
}


def draw_events(lines: pd.DataFrame) -> Table:
    """The lines of `event_table`: mean and sd over units."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    words = [name for name in ("align", "clean") if (lines[name] != "none").any()]
    for name in ("alarms", *words):
        table.add_column({"align": "alignment", "clean": "cleaning"}.get(name, name), no_wrap=True)
    for name in EVENT_COLUMNS:
        table.add_column(HEADERS[name], justify="right", no_wrap=True)
    for line in lines.to_dict("records"):
        cells = [_mean_and_sd(line[name], line[f"{name}_sd"]) for name in EVENT_COLUMNS]
        table.add_row(escape(str(line["model"])), *(line[name] for name in words), *cells)
    return table


def describe_events(lines: pd.DataFrame, unit: str) -> str:
    """What the table rests on, in two lines.

    Parameters
    ----------
    lines
        Of `event_table`.
    unit
        What the spread is over: "subjects".
    """
    first = lines.iloc[0]
    found = f"{first['event_f1_n']} {unit} with an F1, {first['event_sensitivity_n']} with an event"
    how = "on windows of the training side that were held out"
    if (lines["in_sample"] > 0).any():
        share = ", ".join(
            f"{line['in_sample']:.0%} of folds of {line['model']}"
            for line in lines.to_dict("records")
            if line["in_sample"] > 0
        )
        how += f"; IN-SAMPLE or given beforehand in {share}"
    return (
        f"{first['n_events']:g} events in {first['hours']:.3g} h; mean ± sd over {found}. F1 and "
        f"sensitivity by any overlap.\nThresholds were chosen {how}."
    )


def _mean_and_sd(mean: float, sd: float) -> str:
    if not np.isfinite(mean):
        return "-"
    return f"{mean:.2f} ± {sd:.2f}" if np.isfinite(sd) else f"{mean:.2f}"
