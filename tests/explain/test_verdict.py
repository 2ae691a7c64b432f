"""When is a map to be believed?"""

import math

import pytest

from neurodecode.explain.verdict import judge

GOOD = {"random": 0.1, "own_start": 0.0, "shuffled": 0.1, "faithful": 0.05}


def verdict(fold: dict, score: float = 0.9, agreement: float = 0.8, n: int = 6) -> dict:
    folds = [{k: v + 0.001 * i for k, v in fold.items()} for i in range(n)]
    return judge(score=score, chance=0.5, limit=0.55, agreement=agreement, folds=folds)


def test_a_map_that_passes_everything_holds() -> None:
    found = verdict(GOOD)
    assert (found["verdict"], found["reasons"]) == ("holds", [])
    assert all(check["passed"] for check in found["checks"].values())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("random", 0.8, "random weights have the same map"),
        ("own_start", 0.9, "before the net learned"),
        ("shuffled", 0.7, "shuffled labels, the decoder has the same map"),
        ("faithful", -0.02, "not shown to matter more"),
    ],
)
def test_one_failure_fails_the_map_and_says_why(name: str, value: float, words: str) -> None:
    found = verdict({**GOOD, name: value})
    assert found["verdict"] == "fails"
    assert len(found["reasons"]) == 1
    assert words in found["reasons"][0]


def test_maps_of_a_decoder_that_guesses_fail() -> None:
    found = verdict(GOOD, score=0.53)
    assert found["verdict"] == "fails"
    assert "no better than guessing" in found["reasons"][0]


def test_maps_that_differ_from_fold_to_fold_fail() -> None:
    assert "disagree" in verdict(GOOD, agreement=0.1)["reasons"][0]


def test_without_a_comparison_a_map_is_unchecked() -> None:
    found = verdict({"faithful": 0.05}, agreement=math.nan)
    assert found["verdict"] == "unchecked"
    assert set(found["checks"]) == {"decoder", "faithful"}


def test_three_people_are_too_few_to_fail_a_map_that_seems_right() -> None:
    """Gains of an FBCSP on simulated people, each above 0, whose interval holds 0."""
    gains = [{**GOOD, "faithful": gain} for gain in (0.03, 0.10, 0.17)]
    few = judge(score=0.9, chance=0.5, limit=0.55, agreement=0.8, folds=gains)
    assert (few["verdict"], few["reasons"]) == ("unchecked", [])
    assert few["checks"]["faithful"]["passed"] is None
    assert "too few to tell" in few["checks"]["faithful"]["says"]
    wrong = [{**fold, "faithful": -fold["faithful"]} for fold in gains]
    assert judge(score=0.9, chance=0.5, limit=0.55, agreement=0.8, folds=wrong)["reasons"]


def test_one_fold_is_not_enough_to_be_faithful() -> None:
    assert "faithful" not in verdict(GOOD, n=1)["checks"]


def test_where_guessing_has_no_limit_the_chance_level_stands() -> None:
    found = judge(score=0.7, chance=0.5, limit=math.nan, agreement=math.nan, folds=[])
    assert found["checks"]["decoder"]["limit"] == 0.5
