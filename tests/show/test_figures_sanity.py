"""Verdicts as they are shown: by symbol and colour, with the numbers they rest on."""

from typing import Any

import pytest

from neurodecode.show.figures import sanity

NAMED = {"model": "toy", "align": "none", "clean": "none"}
PIPELINE = ("toy", "none", "none")
CHECKS = {
    "decoder": {"passed": True, "value": 0.8, "limit": 0.6, "says": "Better than guessing."},
    "random_weights": {"passed": False, "value": 0.9, "limit": 0.5, "says": "The same map."},
    "agreement": {"passed": None, "value": None, "limit": 0.3, "says": ""},
}


def entry(method: str, verdict: str, **more: Any) -> dict[str, Any]:
    return {**NAMED, "method": method, "verdict": verdict, "reasons": [], "checks": {}, **more}


SUMMARY: dict[str, Any] = {
    "methods": [
        entry("occlusion", "holds", checks={k: CHECKS[k] for k in ("decoder",)}),
        entry("channel_attention", "fails", reasons=["The same map."], checks=CHECKS),
        entry("attention_rollout", "unchecked"),
        {**entry("occlusion", "holds"), "align": "euclidean:causal"},
    ],
    "curves": [
        {
            **NAMED, "method": "occlusion", "fraction": [0, 0.5, 1], "deletion": [0.9, 0.6, 0.5],
            "deletion_random": [0.9, 0.7, 0.5], "insertion": [0.5, 0.8, 0.9],
            "insertion_random": [0.5, 0.7, 0.9],
        }
    ],
    "cascade": [
        {**NAMED, "method": "occlusion", "layers": ["head", "body"], "similarity": [0.9, None]}
    ],
    "reliance": [
        {
            **NAMED, "part": "eye channels", "names": ["Fp1", "Fp2"], "drop": 0.05, "low": 0.01,
            "high": 0.09, "n": 8, "score": 0.8, "says": "It rides on them.",
        }
    ],
}  # fmt: skip


def test_a_failure_is_told_by_its_reasons_alone() -> None:
    kind, words = sanity.verdict_words(SUMMARY["methods"][1])
    assert (kind, words) == ("fails", "These maps fail their sanity checks. The same map.")


def test_what_holds_is_told_by_what_was_found() -> None:
    kind, words = sanity.verdict_words(SUMMARY["methods"][0])
    assert (kind, words) == ("holds", "These maps hold. Better than guessing.")


@pytest.mark.parametrize("verdict", [None, SUMMARY["methods"][2]])
def test_what_nobody_checked_is_not_said_to_hold(verdict: dict[str, Any] | None) -> None:
    kind, words = sanity.verdict_words(verdict)
    assert kind == "unchecked"
    assert words.startswith("These maps are unchecked")


def test_every_verdict_has_a_symbol_and_a_colour_of_its_own() -> None:
    chart = sanity.verdicts(SUMMARY).chart.to_dict()
    rows = [row for data in chart["datasets"].values() for row in data if row["check"] == "verdict"]
    assert [row["text"][0] for row in rows] == ["✔", "✘", "?", "✔"]
    scale = chart["layer"][0]["encoding"]["color"]["scale"]
    colours = dict(zip(scale["domain"], scale["range"], strict=True))
    assert len({colours[kind] for kind in ("holds", "fails", "unchecked")}) == 3
    assert colours["passed"] == colours["holds"]
    assert colours["failed"] == colours["fails"]


def test_verdicts_of_one_decoder_are_a_row_for_each_method() -> None:
    assert sanity.verdicts(SUMMARY, PIPELINE).table["row"].nunique() == 3
    assert sanity.verdicts(SUMMARY).table["row"].nunique() == 4
    table = sanity.verdicts(SUMMARY, PIPELINE).table
    failed = table[table["outcome"] == "failed"].iloc[0]
    assert (failed["check"], failed["value"]) == ("unlike random weights", 0.9)
    assert "not judged" in set(table["outcome"])


@pytest.mark.parametrize("name", ["verdicts", "agreement", "reliance"])
@pytest.mark.parametrize("summary", [SUMMARY, {}])
def test_figures_of_a_summary_draw_even_if_it_holds_nothing(
    name: str, summary: dict[str, Any]
) -> None:
    assert getattr(sanity, name)(summary).svg().startswith("<svg")


@pytest.mark.parametrize("name", ["curves", "cascade", "agreement", "reliance", "verdicts"])
@pytest.mark.parametrize("summary", [SUMMARY, {}])
def test_figures_of_a_decoder_draw_even_if_nothing_is_known_of_it(
    name: str, summary: dict[str, Any]
) -> None:
    figure = getattr(sanity, name)(summary, PIPELINE)
    assert figure.svg().startswith("<svg")
    assert figure.csv()


def test_curves_are_beside_random_orders_in_percent() -> None:
    table = sanity.curves(SUMMARY, PIPELINE).table
    assert len(table) == 12
    assert set(table["order"]) == {"largest first", "random"}
    assert table["electrodes (%)"].max() == 100
    middle = table[(table["electrodes (%)"] == 50) & (table["what"] == "taken out")]
    assert middle.set_index("order")["probability"].to_dict() == {
        "largest first": 0.6, "random": 0.7,
    }  # fmt: skip


def test_the_cascade_begins_at_the_output() -> None:
    chart = sanity.cascade(SUMMARY, PIPELINE).chart.to_dict()
    assert chart["layer"][1]["encoding"]["x"]["sort"] == ["head", "body"]


def test_reliance_is_in_percentage_points_and_names_its_channels() -> None:
    (row,) = sanity.reliance(SUMMARY, PIPELINE).table.to_dict("records")
    assert row["loss (percentage points)"] == pytest.approx(5.0)
    assert row["channels"] == "Fp1, Fp2"


def test_a_map_of_too_few_people_is_not_said_to_be_uncompared() -> None:
    few = {"passed": None, "value": 0.1, "says": "3 are too few to tell."}
    checks = {"random_weights": {"passed": True, "value": 0.1, "says": "Another."}, "faithful": few}
    _, words = sanity.verdict_words(entry("occlusion", "unchecked", checks=checks))
    assert "too few" in words
    assert "not compared" not in words
