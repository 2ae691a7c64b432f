"""Calibration of early exits, on examples that can be worked out by hand."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodecode.core.errors import UnknownName
from neurodecode.core.stopping import RULES, so_far
from neurodecode.evaluation.early_exit import (
    balanced_accuracy,
    calibrate,
    find_temperatures,
    fixed,
    gap_bounds,
    reliability,
    whole,
)
from neurodecode.results.exits import calibration_error

TIMES = np.array([0.5, 1.0, 1.5, 2.0])


def two_classes(*margins: list[float]) -> np.ndarray:
    """Logits whose means up to each step say 1 by so much: (n_steps, n_epochs, 2)."""
    seen = np.array(margins)
    n = np.arange(1, len(seen) + 1)[:, None]
    steps = np.diff(seen * n, axis=0, prepend=0)
    return np.stack([np.zeros_like(steps), steps], axis=2)


def test_the_gap_is_the_smallest_above_which_few_change_their_mind() -> None:
    """At the first step, gaps 1 to 5; those with gap 2 and 4 decide otherwise at the end."""
    steps = two_classes([1, -2, 3, -4, 5], [1, 1, 1, 1, 1])
    assert gap_bounds(steps, 0.0) == (4.0, 0.0)  # above 4 only the fifth window, which is right
    assert gap_bounds(steps, 0.3) == (4.0, 0.0)
    assert gap_bounds(steps, 0.34) == (2.0, 0.0)  # above 2, one of three
    assert gap_bounds(steps, 0.4) == (0.0, 0.0)  # two of all five


def test_where_the_surest_change_their_mind_nobody_stops() -> None:
    steps = two_classes([1, -2], [1, 1])
    assert gap_bounds(steps, 0.0) == (math.inf, 0.0)
    assert gap_bounds(steps, 0.5) == (0.0, 0.0)


def test_the_last_decision_not_the_label_says_who_changed() -> None:
    steps = two_classes([-1, -1], [-1, -1])
    assert gap_bounds(steps, 0.0) == (0.0, 0.0)
    one = calibrate("gap", steps, np.array([1, 0]), TIMES[:2])
    assert (one.score, one.whole_score, one.time) == (0.5, 0.5, 0.5)


def test_fixed_takes_the_first_step_within_the_margin() -> None:
    """Ten windows of each class; 5, 8, 9 and 10 of those of class 1 are right at the four steps."""
    y = np.repeat([0, 1], 10)
    ones = [[1.0] * n + [-1.0] * (10 - n) for n in (5, 8, 9, 10)]
    steps = two_classes(*([-1.0] * 10 + row for row in ones))
    choices = {m: calibrate("fixed", steps, y, TIMES, margin=m) for m in (0, 0.01, 0.05, 0.1, 0.3)}
    assert [choices[m].choice for m in choices] == [4, 4, 3, 2, 1]
    assert choices[0.1].time == 1.0
    assert choices[0.1].score == pytest.approx(0.9)
    assert choices[0.1].rule.bounds == (math.inf, -1, -1, -1)


def test_confidence_lets_the_sure_go_and_the_others_stay() -> None:
    """Half the windows are sure and right at once, the others unsure and wrong until the end."""
    y = np.tile([0, 1, 0, 1], 10)
    first = np.tile([-3.0, 3.0, 0.3, -0.3], 10)
    last = np.tile([-3.0, 3.0, -1.0, 1.0], 10)
    one = calibrate("confidence", two_classes(first, first, first, last), y, TIMES)
    step, proba = one.rule.apply(two_classes(first, first, first, last))
    assert step.tolist() == [0, 0, 3, 3] * 10
    assert (proba.argmax(axis=1) == y).all()
    assert (one.score, one.time) == (1.0, 1.25)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), margin=st.sampled_from([0.0, 0.01, 0.1]))
def test_what_is_chosen_keeps_the_held_out_score(seed: int, margin: float) -> None:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(40) % 3)
    steps = rng.standard_normal((4, 40, 3)) + np.eye(3)[y] * rng.uniform(0, 2)
    whole_score = balanced_accuracy(y, so_far(steps)[-1].argmax(axis=1))
    for name in RULES:
        one = calibrate(name, steps, y, TIMES, margin=margin)
        step, proba = one.rule.apply(steps)
        assert one.whole_score == whole_score
        assert (
            one.score == balanced_accuracy(y, proba.argmax(axis=1)) >= whole_score - margin - 1e-6
        )
        assert one.time == pytest.approx(TIMES[step].mean())
        assert one.time <= TIMES[-1]


def test_an_unknown_rule_is_told() -> None:
    with pytest.raises(UnknownName, match="No rule is called 'gaps'. Did you mean 'gap'?"):
        calibrate("gaps", two_classes([1, -1]), np.array([1, 0]), TIMES[:1])


def test_temperatures_give_back_the_probabilities_that_labels_were_drawn_with() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 20_000)
    y = (rng.random(20_000) < 1 / (1 + np.exp(-logits))).astype(int)
    noise = rng.normal(0, 2, 20_000)
    sure, blind = find_temperatures(two_classes(3 * logits, noise), y)
    assert sure == pytest.approx(3, rel=0.05)
    assert blind > 20  # a step that knows nothing is told to say so


def test_reliability_counts_and_adds_up() -> None:
    proba = np.array([[0.95, 0.05], [0.05, 0.95], [0.35, 0.65], [1.0, 0.0]])
    y = np.array([0, 0, 1, 0])
    found = reliability(y, proba)
    assert found["n"] == [0, 0, 0, 0, 0, 0, 1, 0, 0, 3]
    assert found["right"][6:] == [1, 0, 0, 2]
    # bin of 0.65: 0.35 too modest; of 0.9 and more: 2.9 against 2
    assert calibration_error([found]) == pytest.approx((0.35 + 0.9) / 4)
    parts = [reliability(y[half], proba[half]) for half in (slice(2), slice(2, 4))]
    assert calibration_error(parts) == pytest.approx(calibration_error([found]))


def test_whole_and_fixed_take_what_they_say() -> None:
    steps = np.random.default_rng(0).standard_normal((4, 9, 2))
    temperatures = (1.0,) * 4
    assert Counter(whole(temperatures).apply(steps)[0].tolist()) == {3: 9}
    step, proba = fixed(1, temperatures).apply(steps)
    assert Counter(step.tolist()) == {1: 9}
    np.testing.assert_array_equal(proba.argmax(axis=1), steps[:2].mean(axis=0).argmax(axis=1))
