"""What adapts to a person while nobody says what is right: a bias of the classes.

A decoder on a new person, or after an hour, often prefers one class. Where all classes are meant
equally often, the mean log-probability of each shows by how much, and is taken off.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TAU = 60.0
"""Time over which the bias is learned, s: many commands, so that one of them is not the mean."""

SURE = 1e-6
"""Probabilities count as no smaller than this."""

Array = NDArray[np.float64]


class BiasState(NamedTuple):
    """Mean log-probability of each class less that of all, (n_outputs,); None at the beginning."""

    bias: Array | None


def bias_step(
    proba: Array, dt: float, state: BiasState, *, tau: float = TAU, frozen: bool = False
) -> tuple[Array, BiasState]:
    """Probabilities less the bias of the classes.

    Parameters
    ----------
    proba
        Of one window, (n_outputs,).
    dt
        Time since the window before, s.
    state
        What came before.
    tau
        Time constant, s.
    frozen
        Whether nothing is learned now.

    Returns
    -------
    proba
        (n_outputs,); they add up to 1.
    state
        For the next window.
    """
    logs = np.log(np.maximum(proba, SURE))
    logs -= logs.mean()
    bias = np.zeros_like(logs) if state.bias is None else state.bias
    if not frozen:
        bias = bias + (1 - math.exp(-dt / tau)) * (logs - bias)
    p = np.exp(logs - bias - (logs - bias).max())
    return p / p.sum(), BiasState(bias)
