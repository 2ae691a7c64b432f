"""The table of commands of a run whose recordings were played as if live."""

import pandas as pd
from rich.table import Table

from neurodecode.results.pseudo_online import COMMAND_COLUMNS
from neurodecode.show.spreads import draw_spreads

HEADERS = {
    "balanced_accuracy": "balanced accuracy",
    "command_accuracy": "commands right",
    "tpr": "true positives",
    "fp_per_min": "false positives/min",
    "time_to_decision": "time to decision s",
    "itr": "ITR bits/min",
}

DEFINITIONS = (
    "Commands right: of first commands in events. True positives: events whose first command is "
    "right. False positives: commands outside events, per minute of background. Time to decision: "
    "median from onset to a right first command. ITR: by Wolpaw; an event without a command costs "
    "all its time."
)


def draw_commands(lines: pd.DataFrame) -> Table:
    """The lines of `command_table`: mean and sd over units."""
    return draw_spreads(lines, "commands", {name: HEADERS[name] for name in COMMAND_COLUMNS})


def describe_commands(lines: pd.DataFrame, unit: str, *, simulated: bool) -> str:
    """What the table rests on, and what its columns mean, in two lines.

    Parameters
    ----------
    lines
        Of `command_table`.
    unit
        What the spread is over: "subjects".
    simulated
        Whether the recordings were simulated.
    """
    first = lines.iloc[0]
    decided = lines["time_to_decision_n"].min()
    fewer = f" ({decided} with a time to decision)" if decided < first["fp_per_min_n"] else ""
    recordings = "simulated recordings" if simulated else "recordings"
    return (
        f"{recordings[0].upper()}{recordings[1:]}, played as if live: {first['n_events']:g} events "
        f"and {first['background_min']:.3g} min of background; mean ± sd over "
        f"{first['fp_per_min_n']} {unit}{fewer}.\n{DEFINITIONS}"
    )
