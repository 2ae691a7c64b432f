"""Lines of early exits: averaged over a subject's seeds first, then over subjects."""

from typing import Any

import pytest

from neurodecode.results.exits import exit_curve, exit_lines

TIMES = [1.0, 2.0]
SURE = {"n": [2.0], "confidence": [1.8], "right": [1.0]}


def fold(subject: str, seed: int, score: float, time: float, stops: list[int]) -> dict[str, Any]:
    whole = {"score": 0.8, "time": 2.0, "stops": [0, 2], "choice": None}
    early = {"score": score, "time": time, "stops": stops, "choice": 0.9}
    for one in (whole, early):
        one.update({"reliability": SURE, "reliability_raw": SURE})
    return {
        "dataset": "d",
        "subject": subject,
        "fold": f"subject={subject}",
        "seed": seed,
        "rules": {"whole": whole, "confidence": early},
        "fixed": [0.6, 0.8],
        "confidence": [(0.5, 1.0, 0.6), (1.0, 2.0, 0.8)],
    }


FOLDS = [
    fold("1", 0, 0.7, 1.0, [2, 0]),
    fold("1", 1, 0.9, 2.0, [0, 2]),
    fold("2", 0, 0.6, 1.0, [2, 0]),
]


def test_subjects_count_once_and_are_paired() -> None:
    whole, early = exit_lines(FOLDS, TIMES)
    assert (whole["score"], whole["change"], whole["share"]) == (pytest.approx(0.8), 0, 1)
    assert early["n_units"] == 2
    assert early["score"] == pytest.approx((0.8 + 0.6) / 2)
    assert early["change"] == pytest.approx(-0.1)
    assert early["low"] < early["change"] < early["high"]
    assert early["time"] == pytest.approx((1.5 + 1.0) / 2)
    # subject 1 takes 1.5 s, where all stopping at once would score 0.7; subject 2 takes 1 s: 0.6
    assert early["same_time"] == pytest.approx((0.1 + 0.0) / 2)


def test_quantiles_and_calibration_are_over_windows() -> None:
    _, early = exit_lines(FOLDS, TIMES)
    assert (early["median"], early["p90"]) == (1.0, 2.0)  # four of six stop after a second
    assert early["ece"] == pytest.approx(0.4)


def test_a_curve_has_every_step_and_every_confidence() -> None:
    curve = exit_curve(FOLDS, TIMES)
    assert [(p["rule"], p["bound"], p["time"]) for p in curve] == [
        ("fixed", 1, 1.0),
        ("fixed", 2, 2.0),
        ("confidence", 0.5, 1.0),
        ("confidence", 1.0, 2.0),
    ]
    assert [p["score"] for p in curve] == pytest.approx([0.6, 0.8, 0.6, 0.8])
