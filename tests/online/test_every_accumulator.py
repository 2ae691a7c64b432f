"""What every accumulator owes, and when each says what its equation says."""

import copy
import math

import numpy as np
import pytest

from neurodecode.core.errors import ConfigError
from neurodecode.online.evidence import ACCUMULATORS, Accumulator
from neurodecode.online.evidence.bayes import Bayes
from neurodecode.online.evidence.dwell import Dwell
from neurodecode.online.evidence.smooth import Smooth


@pytest.fixture(params=ACCUMULATORS.names())
def accumulator(request: pytest.FixtureRequest) -> Accumulator:
    return ACCUMULATORS.get(request.param)()


def stream(n: int = 60, n_outputs: int = 3, seed: int = 0) -> np.ndarray:
    """Probabilities of windows, (n, n_outputs), two of them certain."""
    proba = np.random.default_rng(seed).dirichlet(np.ones(n_outputs), n)
    proba[n // 3] = np.eye(n_outputs)[0]
    proba[n // 2] = np.eye(n_outputs)[-1]
    return proba


def hear(accumulator: Accumulator, proba: np.ndarray, dt: float = 0.1) -> np.ndarray:
    """Evidence after each window, (n, n_outputs)."""
    state, found = accumulator.start(), []
    for p in proba:
        evidence, state = accumulator.step(p, dt, state)
        found.append(evidence)
    return np.array(found)


def time_to(accumulator: Accumulator, p: list[float], threshold: float, dt: float = 0.001) -> float:
    """Seconds of constant probabilities until the first class has that much evidence."""
    evidence = hear(accumulator, np.tile(p, (10_000, 1)), dt)[:, 0]
    assert evidence[-1] >= threshold
    return dt * (1 + int((evidence >= threshold).argmax()))


def test_there_are_the_ones_promised() -> None:
    assert ACCUMULATORS.names() == ("bayes", "dwell", "none", "smooth")
    assert all(ACCUMULATORS.summary(name) for name in ACCUMULATORS.names())


@pytest.mark.parametrize("n_outputs", [2, 3, 7])
def test_evidence_is_a_share_of_one(accumulator: Accumulator, n_outputs: int) -> None:
    evidence = hear(accumulator, stream(n_outputs=n_outputs))
    assert evidence.shape == (60, n_outputs)
    assert evidence.dtype == np.float64
    assert (evidence >= 0).all()
    np.testing.assert_allclose(evidence.sum(axis=1), 1, rtol=1e-12)


def test_nothing_handed_in_is_changed(accumulator: Accumulator) -> None:
    state = accumulator.start()
    for p in stream():
        given, before = p.copy(), copy.deepcopy(state)
        evidence, after = accumulator.step(given, 0.1, state)
        again, _ = accumulator.step(given, 0.1, before)
        np.testing.assert_array_equal(given, p)
        np.testing.assert_array_equal(evidence, again)
        evidence[:] = -1.0
        np.testing.assert_array_equal(given, p)
        given[:] = -1.0  # nobody's memory hangs on them
        state = after
    np.testing.assert_array_equal(
        accumulator.step(stream()[0], 0.1, state)[0],
        hear(accumulator, np.vstack([stream(), stream()[:1]]))[-1],
    )


def test_two_streams_can_share_one(accumulator: Accumulator) -> None:
    a, b = stream(seed=1), stream(seed=2)
    states, mixed = [accumulator.start(), accumulator.start()], []
    for pair in zip(a, b, strict=True):
        for i, p in enumerate(pair):
            evidence, states[i] = accumulator.step(p, 0.1, states[i])
            mixed.append(evidence)
    np.testing.assert_array_equal(mixed[::2], hear(accumulator, a))
    np.testing.assert_array_equal(mixed[1::2], hear(accumulator, b))


def test_other_names_for_the_classes_change_only_names(accumulator: Accumulator) -> None:
    proba, order = stream(n_outputs=4), [2, 0, 3, 1]
    proba[10] = 0.25  # nobody wins more than another
    proba[11] = [0.4, 0.4, 0.2, 0.0]
    a, b = hear(accumulator, proba)[:, order], hear(accumulator, proba[:, order])
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_knowing_nothing_stays_knowing_nothing(accumulator: Accumulator) -> None:
    np.testing.assert_allclose(hear(accumulator, np.full((40, 4), 0.25)), 0.25)


@pytest.mark.parametrize("part", [2, 3, 10])
def test_constant_probabilities_are_a_matter_of_time_not_of_windows(
    accumulator: Accumulator, part: int
) -> None:
    p = [0.6, 0.3, 0.1]
    coarse = hear(accumulator, np.tile(p, (20, 1)), 0.12)
    fine = hear(accumulator, np.tile(p, (20 * part, 1)), 0.12 / part)
    np.testing.assert_allclose(fine[part - 1 :: part], coarse, rtol=1e-9)


def test_the_class_that_is_always_best_gets_the_most_evidence(accumulator: Accumulator) -> None:
    evidence = hear(accumulator, np.tile([0.2, 0.5, 0.3], (50, 1)))
    assert (evidence.argmax(axis=1) == 1).all()


def test_certainty_is_no_infinity(accumulator: Accumulator) -> None:
    evidence = hear(accumulator, np.repeat(np.eye(3), 500, axis=0))
    assert np.isfinite(evidence).all()
    assert evidence[[499, 999, 1499], [0, 1, 2]].min() > 0.9


def test_the_newest_window_speaks_alone_without_accumulation() -> None:
    np.testing.assert_array_equal(hear(ACCUMULATORS.get("none")(), stream()), stream())


@pytest.mark.parametrize("duration", [0.5, 1.0, 2.0])
def test_winning_for_the_whole_dwell_time_is_certainty(duration: float) -> None:
    """The evidence of the class that wins is t / d + (1 - t / d) / n, and 1 from d on."""
    n, dt = 4, 0.1
    evidence = hear(Dwell(duration=duration), np.tile([0.4, 0.2, 0.2, 0.2], (30, 1)), dt)[:, 0]
    part = np.minimum(1, dt * np.arange(1, 31) / duration)
    np.testing.assert_allclose(evidence, part + (1 - part) / n)
    before = round(duration / dt) - 1
    assert evidence[before - 1] < 0.99
    np.testing.assert_allclose(evidence[before:], 1, rtol=1e-12)


def test_dwelling_counts_who_won_the_last_seconds() -> None:
    won = np.eye(3)[[0, 0, 1, 1, 1, 2]]
    evidence = hear(Dwell(duration=0.4), won)
    np.testing.assert_allclose(evidence[3], [0.5, 0.5, 0], atol=1e-12)
    np.testing.assert_allclose(evidence[5], [0, 0.75, 0.25], atol=1e-12)


def test_of_a_window_that_is_partly_too_old_the_part_counts_that_is_not() -> None:
    evidence = hear(Dwell(duration=0.5), np.eye(2)[[0, 1, 1]], dt=0.2)
    np.testing.assert_allclose(evidence[2], [0.2, 0.8])


@pytest.mark.parametrize(("tau", "threshold"), [(0.5, 0.7), (2.0, 0.6)])
def test_smoothing_follows_a_change_when_the_equation_says(tau: float, threshold: float) -> None:
    """From 0.1 to 0.8: 0.8 - 0.7 exp(-t / tau) crosses a threshold c at tau ln(0.7 / (0.8 - c))."""
    dt = 0.001
    proba = np.r_[np.tile([0.1, 0.9], (5, 1)), np.tile([0.8, 0.2], (9000, 1))]
    evidence = hear(Smooth(tau=tau), proba, dt)[5:, 0]
    expected = tau * math.log(0.7 / (0.8 - threshold))
    assert 1 + int((evidence >= threshold).argmax()) == math.ceil(expected / dt)


@pytest.mark.parametrize("p", [0.6, 0.8])
@pytest.mark.parametrize(("leak", "window"), [(4.0, 1.0), (8.0, 2.0)])
def test_log_odds_cross_a_threshold_when_the_equation_says(
    p: float, leak: float, window: float
) -> None:
    """Two classes: logit e(t) = (leak / window) logit p (1 - exp(-t / leak))."""
    threshold = 0.75
    at = math.log(threshold / (1 - threshold)) / math.log(p / (1 - p)) * window / leak
    expected = -leak * math.log(1 - at)
    found = time_to(Bayes(leak=leak, window=window), [p, 1 - p], threshold)
    assert found == pytest.approx(expected, abs=0.00101)


def test_constant_windows_end_at_their_odds_to_the_power_leak_over_window() -> None:
    p = np.array([0.5, 0.3, 0.2])
    evidence = hear(Bayes(leak=2.0, window=1.0), np.tile(p, (400, 1)))[-1]
    np.testing.assert_allclose(evidence, p**2 / (p**2).sum(), rtol=1e-6)


def test_windows_that_do_not_overlap_multiply() -> None:
    """Without a leak to speak of, as the rule of Bayes has it."""
    proba = stream(6)
    proba[[2, 3]] = [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]
    product = proba.prod(axis=0)
    evidence = hear(Bayes(leak=1e9, window=1.0), proba, dt=1.0)[-1]
    np.testing.assert_allclose(evidence, product / product.sum(), rtol=1e-6)


def test_a_window_counts_once_however_long_the_pause_before_it() -> None:
    evidence = hear(Bayes(leak=1e9, window=1.0), np.array([[0.7, 0.3]]), dt=30.0)[-1]
    np.testing.assert_allclose(evidence, [0.7, 0.3], rtol=1e-6)


def test_a_window_that_is_certain_counts_as_one_in_a_thousand_wrong() -> None:
    evidence = hear(Bayes(leak=1e9, window=1.0), np.array([[1.0, 0.0]]), dt=1.0)[-1]
    assert evidence[0] / evidence[1] == pytest.approx(1000, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dwell", {"duration": 0.0}),
        ("smooth", {"tau": -1.0}),
        ("bayes", {"leak": math.inf}),
        ("bayes", {"window": math.nan}),
        ("bayes", {"least": 0.0}),
    ],
)
def test_an_impossible_choice_is_refused_in_a_line(name: str, options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))) as caught:
        ACCUMULATORS.get(name)(**options)
    assert "\n" not in str(caught.value)
