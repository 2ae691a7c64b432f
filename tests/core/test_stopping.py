"""Rules of early exits on logits that can be worked out by hand."""

import json
import math

import numpy as np
import pytest

from neurodecode.core.stopping import RULES, StopRule, so_far, softmax

STEPS = np.array(
    [  # three steps of two windows and two classes
        [[0.0, 0.0], [2.0, 0.0]],
        [[0.0, 4.0], [0.0, 2.0]],
        [[3.0, 1.0], [1.0, 2.0]],
    ]
)


def rule(name: str, *bounds: float, temperature: float = 1.0) -> StopRule:
    return StopRule(name=name, bounds=bounds, temperatures=(temperature,) * len(bounds))


def test_logits_so_far_are_means_of_the_steps_behind() -> None:
    seen = so_far(STEPS)
    np.testing.assert_allclose(seen[:, 0], [[0, 0], [0, 2], [1, 5 / 3]])
    np.testing.assert_allclose(seen[-1], STEPS.mean(axis=0))


@pytest.mark.parametrize(
    ("name", "bounds", "steps", "decisions"),
    [
        ("confidence", (0.8, 0.8, 0.8), [1, 0], [1, 0]),  # softmax([0, 2]) = 0.12, 0.88
        ("confidence", (0.9, 0.9, 0.9), [2, 2], [1, 1]),
        ("confidence", (0.0, 0.0, 0.0), [0, 0], [0, 0]),
        ("gap", (2.5, 1.5, 0.0), [1, 2], [1, 1]),
        ("gap", (1.5, math.inf, 0.0), [2, 0], [1, 0]),
        ("gap", (2.0, math.inf, math.inf), [2, 2], [1, 1]),  # must be exceeded, but for the end
        ("fixed", (math.inf, -1.0, -1.0), [1, 1], [1, 0]),  # a tie goes to the first class
    ],
)
def test_windows_stop_where_the_bound_is_exceeded(
    name: str, bounds: tuple[float, ...], steps: list[int], decisions: list[int]
) -> None:
    step, proba = rule(name, *bounds).apply(STEPS)
    assert step.tolist() == steps
    assert proba.argmax(axis=1).tolist() == decisions
    seen = so_far(STEPS)[step, [0, 1]]
    np.testing.assert_allclose(proba, softmax(seen))


def test_a_temperature_makes_less_sure() -> None:
    assert rule("confidence", 0.8, 0.8, 0.8, temperature=1.0).apply(STEPS)[0].tolist() == [1, 0]
    assert rule("confidence", 0.8, 0.8, 0.8, temperature=2.0).apply(STEPS)[0].tolist() == [2, 2]
    assert rule("gap", 1.5, 1.5, 0, temperature=2.0).apply(STEPS)[0].tolist() == [1, 0]


@pytest.mark.parametrize("name", ["confidence", "gap"])
def test_a_higher_bound_stops_later_and_never_after_the_end(name: str) -> None:
    steps = np.random.default_rng(0).standard_normal((6, 50, 3))
    before = np.zeros(50)
    for bound in np.linspace(0, 3, 20):
        after = rule(name, *(bound,) * 6).apply(steps)[0]
        assert (after >= before).all()
        assert after.max() <= 5
        before = after
    assert before.tolist() == [5] * 50


@pytest.mark.parametrize("name", RULES)
def test_a_rule_survives_json(name: str) -> None:
    one = rule(name, math.inf, 0.25, -1.0, temperature=1.5)
    text = json.dumps(one.as_dict(), allow_nan=False)
    assert StopRule.from_dict(json.loads(text)) == one
