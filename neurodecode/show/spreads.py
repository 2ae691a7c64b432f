"""Tables of scores that are means over units: a line for each pipeline."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from rich.markup import escape
from rich.table import Table


def draw_spreads(lines: pd.DataFrame, title: str, headers: Mapping[str, str]) -> Table:
    """Mean and sd over units.

    Parameters
    ----------
    lines
        Of `neurodecode.results.summaries.spreads`: a line for each pipeline.
    title
        What stands above the names of models.
    headers
        What stands above each score, in the order of columns.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    words = [name for name in ("align", "clean") if (lines[name] != "none").any()]
    for name in (title, *words):
        table.add_column({"align": "alignment", "clean": "cleaning"}.get(name, name), no_wrap=True)
    for header in headers.values():
        table.add_column(header, justify="right", no_wrap=True)
    for line in lines.to_dict("records"):
        cells = [_mean_and_sd(line[name], line[f"{name}_sd"]) for name in headers]
        table.add_row(escape(str(line["model"])), *(line[name] for name in words), *cells)
    return table


def _mean_and_sd(mean: float, sd: float) -> str:
    if not np.isfinite(mean):
        return "-"
    return f"{mean:.2f} ± {sd:.2f}" if np.isfinite(sd) else f"{mean:.2f}"
