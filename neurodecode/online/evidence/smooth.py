"""Exponential smoothing of probabilities."""

import math
from dataclasses import dataclass

from neurodecode.online.evidence import ACCUMULATORS, FloatArray, check_seconds


@ACCUMULATORS.add("smooth")
@dataclass(frozen=True, slots=True, kw_only=True)
class Smooth:
    """Mean probability, in which older windows count less.

    After a change, the evidence has gone the part 1 - exp(-t / `tau`) of the way after t seconds.

    Parameters
    ----------
    tau
        Time constant, s.

    Raises
    ------
    ConfigError
        If it is not positive.
    """

    tau: float = 0.5

    def __post_init__(self) -> None:
        check_seconds(tau=self.tau)

    def start(self) -> FloatArray | None:
        """What it remembers before the first window, which is where the mean starts: nothing."""
        return None

    def step(
        self, proba: FloatArray, dt: float, state: FloatArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """Evidence (n_outputs,) from probabilities (n_outputs,), `dt` s after the last ones.

        The state is the evidence.
        """
        if state is None:
            return proba.copy(), proba.copy()
        mean = state - math.expm1(-dt / self.tau) * (proba - state)
        return mean, mean.copy()
