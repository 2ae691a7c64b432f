"""The table of alarms of a run whose windows slide over recordings."""

import pandas as pd
from rich.table import Table

from neurodecode.results.detection import EVENT_COLUMNS
from neurodecode.show.spreads import draw_spreads

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
    return draw_spreads(lines, "alarms", {name: HEADERS[name] for name in EVENT_COLUMNS})


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
