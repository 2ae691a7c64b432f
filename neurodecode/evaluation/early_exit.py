"""Early exits are calibrated on held-out windows, and scored on others.

Held-out windows are those of the training side that chose the epoch of the net (whole subjects,
where there are three), so that nothing is known of a test subject. They are not quite fresh: the
epoch was the best one for them, and they look a little easier than a new subject. Each rule has a
grid of bounds, of which the one is taken that uses the least time while its held-out balanced
accuracy stays within a margin of that of whole windows.

The bound of the `gap` at a step is the smallest one above which no more than a part `eps` of the
held-out windows decide otherwise than at the end. In arXiv 2301.09522 (the definition of its Top-K
cutoff and its code were checked), that part counts windows that are not decided rightly from that
step on, by their labels. With a decoder that is right two times in three no bound would do; whether
waiting changes anything is what an exit has to know.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from neurodecode.core.errors import UnknownName
from neurodecode.core.stopping import RULES, FloatArray, StopRule, so_far, softmax

EPS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3)
N_CONFIDENCES = 101  # of the grid, from guessing to certainty, which nothing exceeds
TEMPERATURES = (0.02, 50.0)
N_BINS = 10  # of confidence

IntArray = NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A rule, and what was known when it was chosen.

    Attributes
    ----------
    rule
        When to stop.
    choice
        What was chosen on the grid: the confidence, the part `eps`, or the step (from 1).
    score, whole_score
        Held-out balanced accuracy of it, and of whole windows.
    time
        Mean held-out time, seconds.
    """

    rule: StopRule
    choice: float
    score: float
    whole_score: float
    time: float


def calibrate(
    name: str, steps: FloatArray, y: IntArray, times: FloatArray, *, margin: float = 0.01
) -> Calibrated:
    """The fastest rule that costs no more than `margin` on held-out windows, as all slower ones do.

    Parameters
    ----------
    name
        One of `neurodecode.core.stopping.RULES`.
    steps
        Logits of held-out windows at each step, (n_steps, n_epochs, n_outputs).
    y
        Their classes, (n_epochs,).
    times
        Recording time that a window has used at the end of each step, (n_steps,), seconds.
    margin
        Balanced accuracy that may be lost against whole windows.

    Raises
    ------
    UnknownName
        For another rule.
    """
    temperatures = find_temperatures(steps, y)
    whole_score = balanced_accuracy(y, so_far(steps)[-1].argmax(axis=1))
    tried = []
    for choice, bounds in _grid(name, steps):
        rule = StopRule(name=name, bounds=bounds, temperatures=temperatures)
        step, proba = rule.apply(steps)
        score = balanced_accuracy(y, proba.argmax(axis=1))
        tried.append((float(times[step].mean()), score, choice, rule))
    tried.sort(key=lambda one: one[:3], reverse=True)
    # From the slowest, which is the whole window, to the first that loses more. The fastest of all
    # that lose no more would often have been lucky.
    kept = list(takewhile(lambda one: one[1] >= whole_score - margin - 1e-9, tried))
    if not kept:
        raise AssertionError(f"no bound of {name} keeps the score")
    time, score, choice, rule = kept[-1]
    return Calibrated(rule=rule, choice=choice, score=score, whole_score=whole_score, time=time)


def whole(temperatures: tuple[float, ...]) -> StopRule:
    """The rule that always uses the whole window."""
    return fixed(len(temperatures) - 1, temperatures)


def fixed(step: int, temperatures: tuple[float, ...]) -> StopRule:
    """The rule by which every window stops after a step, counted from 0."""
    return StopRule(name="fixed", bounds=_fixed(step, len(temperatures)), temperatures=temperatures)


def confident(confidence: float, temperatures: tuple[float, ...]) -> StopRule:
    """The rule that stops above a confidence."""
    bounds = (confidence,) * len(temperatures)
    return StopRule(name="confidence", bounds=bounds, temperatures=temperatures)


def _grid(name: str, steps: FloatArray) -> Iterable[tuple[float, tuple[float, ...]]]:
    """What may be chosen, and the bounds that it means."""
    n_steps, _, n_outputs = steps.shape
    if name == "confidence":
        return [(float(c), (float(c),) * n_steps) for c in confidences(n_outputs, N_CONFIDENCES)]
    if name == "gap":
        return [(eps, gap_bounds(steps, eps)) for eps in EPS]
    if name == "fixed":
        return [(float(i + 1), _fixed(i, n_steps)) for i in range(n_steps)]
    raise UnknownName("rule", name, RULES)


def _fixed(step: int, n_steps: int) -> tuple[float, ...]:
    return tuple(np.inf if i < step else -1.0 for i in range(n_steps))


def confidences(n_outputs: int, n: int) -> FloatArray:
    """Bounds of confidence, from that of guessing to certainty."""
    return np.linspace(1 / n_outputs, 1, n)


def gap_bounds(steps: FloatArray, eps: float) -> tuple[float, ...]:
    """For each step, the smallest gap above which hardly anyone decides otherwise at the end.

    Parameters
    ----------
    steps
        Logits of held-out windows at each step, (n_steps, n_epochs, n_outputs).
    eps
        Largest part of the windows above the bound that may decide otherwise.
    """
    seen = so_far(steps)
    top = np.sort(seen, axis=2)
    gaps = top[..., -1] - top[..., -2]
    same = seen.argmax(axis=2) == seen[-1].argmax(axis=1)
    return tuple(_smallest_bound(g, ok, eps) for g, ok in zip(gaps, same, strict=True))


def _smallest_bound(gaps: FloatArray, same: NDArray[np.bool_], eps: float) -> float:
    """The smallest of 0 and the gaps above which a part of at most `eps` is not the same."""
    order = np.argsort(gaps)
    gaps, others = gaps[order], ~same[order]
    for bound in np.unique(np.r_[0.0, gaps]):
        above = others[np.searchsorted(gaps, bound, side="right") :]
        if above.size and above.mean() <= eps:
            return float(bound)
    return float("inf")


def find_temperatures(steps: FloatArray, y: IntArray) -> tuple[float, ...]:
    """For each step, the temperature that makes the true classes of windows most probable.

    Parameters
    ----------
    steps
        Logits of held-out windows at each step, (n_steps, n_epochs, n_outputs).
    y
        Their classes, (n_epochs,).
    """
    return tuple(_temperature(logits, y) for logits in so_far(steps))


def _temperature(logits: FloatArray, y: IntArray) -> float:
    def loss(log_t: float) -> float:
        proba = softmax(logits * np.exp(-log_t))
        return float(-np.log(np.maximum(proba[np.arange(len(y)), y], 1e-300)).mean())

    low, high = np.log(TEMPERATURES)
    best = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(best.x))


def balanced_accuracy(y: IntArray, decided: IntArray) -> float:
    """Mean over the classes that occur of the part of their windows that is decided rightly."""
    return float(np.mean([(decided[y == c] == c).mean() for c in np.unique(y)]))


def reliability(y: IntArray, proba: FloatArray) -> dict[str, list[float]]:
    """How often decisions are right that are so and so sure.

    Returns
    -------
    dict
        For each of ten bins of confidence from 0 to 1: ``n`` decisions, and the sums of their
        ``confidence`` and of those ``right``. Those of two sets of windows add up.
    """
    sure, right = proba.max(axis=1), proba.argmax(axis=1) == y
    which = np.minimum((sure * N_BINS).astype(int), N_BINS - 1)
    sums = {"n": np.ones(len(y)), "confidence": sure, "right": right.astype(float)}
    return {k: np.bincount(which, weights=v, minlength=N_BINS).tolist() for k, v in sums.items()}
