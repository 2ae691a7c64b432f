"""The table of commands: subjects count once, and what a subject lacks is left out."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neurodecode.results.pseudo_online import COMMAND_COLUMNS, command_table, has_commands
from neurodecode.results.summaries import chance, spreads


def fold(subject: str, *, model: str = "m", seed: int = 0, **scores: float) -> dict[str, Any]:
    usual = dict.fromkeys(COMMAND_COLUMNS, 0.5)
    facts = {"n_events": 10.0, "background_min": 2.0, "abstained": 0.2, "valid": 1.0}
    return {
        "model": model, "align": "none", "clean": "none", "seed": seed, "dataset": "d",
        "fold": f"subject={subject}", "subject": subject, "session": "0",
        "protocol": "pseudo-online", "metric": "balanced_accuracy", "score": 0.5,
        "n_classes": 2, "n_test": 9000, "scores": usual | facts | scores,
    }  # fmt: skip


def rows(*folds: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(folds)


def test_seeds_of_a_subject_are_one_and_so_are_its_events() -> None:
    table = rows(
        fold("1", seed=0, itr=2.0), fold("1", seed=1, itr=4.0), fold("2", itr=6.0, abstained=0.5)
    )
    line = command_table(table).iloc[0]
    assert (line["itr"], line["itr_sd"], line["itr_n"]) == (
        4.5,
        pytest.approx(np.std([3, 6], ddof=1)),
        2,
    )
    assert (line["n_events"], line["background_min"]) == (20, 4)
    assert line["abstained"] == pytest.approx(0.3)


def test_a_subject_without_a_right_command_has_no_time_to_decision() -> None:
    line = command_table(
        rows(fold("1", time_to_decision=1.5), fold("2", time_to_decision=math.nan))
    ).iloc[0]
    assert (line["time_to_decision"], line["time_to_decision_n"]) == (1.5, 1)
    assert math.isnan(line["time_to_decision_sd"])
    assert line["tpr_n"] == 2


def test_every_pipeline_has_a_line_even_if_it_never_decided() -> None:
    never = {"time_to_decision": math.nan, "command_accuracy": math.nan, "itr": 0.0}
    table = command_table(rows(fold("1"), fold("1", model="silent", **never)))
    assert table["model"].tolist() == ["m", "silent"]
    assert table["time_to_decision_n"].tolist() == [1, 0]
    assert math.isnan(table["command_accuracy"][1])
    assert table["itr"].tolist() == [0.5, 0]


def test_runs_that_played_nothing_have_no_such_table() -> None:
    assert has_commands(rows(fold("1")))
    assert not has_commands(rows({**fold("1"), "scores": {"balanced_accuracy": 0.7}}))


def test_spreads_are_over_units() -> None:
    table = rows(*(fold(str(i), tpr=0.1 * i) for i in range(4)))
    (line,) = spreads(table, ["tpr"])
    assert line["tpr"] == pytest.approx(0.15)
    assert line["tpr_sd"] == pytest.approx(np.std([0, 0.1, 0.2, 0.3], ddof=1))
    assert line["tpr_n"] == 4


def test_windows_that_overlap_set_no_limit_for_guessing() -> None:
    """Of ten windows in a second hardly one is new, so that they are no coins that were tossed."""
    level, limit = chance(rows(fold("1")))
    assert level == 0.5
    assert math.isnan(limit)
