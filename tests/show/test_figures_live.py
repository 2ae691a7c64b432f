"""Figures of a loop that is watched."""

import numpy as np
import pandas as pd
import pytest

from neurodecode.show.figures import live

TABLE = pd.DataFrame(
    {
        "time": [-0.3, -0.2, -0.1, 0.0],
        "p_left": [0.4, np.nan, 0.8, 0.9],
        "p_right": [0.6, np.nan, 0.2, 0.1],
        "decision": ["right", "", "left", "left"],
        "command": ["", "", "", "left"],
        "status": ["abstain", "gap", "ok", "ok"],
        "latency_ms": [10.0, np.nan, 20.0, 30.0],
    }
)


def test_probabilities_go_back_as_far_as_was_asked() -> None:
    figure = live.probabilities(TABLE, ["left", "right"], 12.0)
    assert figure.svg().startswith("<svg")
    x = figure.chart.to_dict()["layer"][0]["encoding"]["x"]
    assert x["scale"]["domain"] == [-12.0, 0.0]
    assert x["title"].endswith("(s)")


def test_each_status_has_its_own_line_even_if_there_is_none() -> None:
    figure = live.statuses(TABLE)
    assert figure.chart.to_dict()["encoding"]["y"]["scale"]["domain"] == list(live.STATUSES)
    assert figure.svg().startswith("<svg")


def test_latency_is_counted_of_valid_decisions() -> None:
    figure = live.latencies(TABLE)
    assert figure.table["decisions"].sum() == 3
    assert figure.svg().startswith("<svg")


@pytest.mark.parametrize("table", [TABLE.iloc[:0], TABLE.iloc[1:2]])
def test_nothing_valid_is_drawn_as_nothing(table: pd.DataFrame) -> None:
    assert live.latencies(table).table["decisions"].sum() == 0
    for figure in (live.latencies(table), live.statuses(table),
                   live.probabilities(table, ["left", "right"])):  # fmt: skip
        assert figure.svg().startswith("<svg")
