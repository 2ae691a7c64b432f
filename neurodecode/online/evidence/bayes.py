r"""Bayesian accumulation: a leaky sum of log-odds.

For windows that tell independent things, the probability of a class given all of them is the
product of what each says, and their log-odds against guessing add up: a sequential probability
ratio test ("Sequential tests of statistical hypotheses", Ann. Math. Stat. 1945,
doi:10.1214/aoms/1177731118), here for several classes that were equally probable before.
Windows that overlap tell the same things again. Each therefore counts for the time that is new in
it, dt / window, and at most once. Old windows fade, because people change their minds:

.. math:: \dot L = -L / \mathrm{leak} + \log(n\,p) / \mathrm{window}

The update is exact for probabilities held over a step. Constant ones end at
:math:`L = (\mathrm{leak} / \mathrm{window}) \log(n\,p)`: with a leak as long as the window, the
evidence ends at what a single window says, and with one twice as long at its odds squared.
"""

import math
from dataclasses import dataclass

import numpy as np

from neurodecode.core.errors import ConfigError
from neurodecode.core.stopping import softmax
from neurodecode.online.evidence import ACCUMULATORS, FloatArray, check_seconds


@ACCUMULATORS.add("bayes")
@dataclass(frozen=True, slots=True, kw_only=True)
class Bayes:
    """Leaky sum of log-odds, where overlapping windows count for what is new in them.

    Parameters
    ----------
    leak
        Time in which old evidence fades to 1/e, s.
    window
        Length of a window, s; windows closer than that overlap.
    least
        Smaller probabilities count as this one, in (0, 0.5): no window, however sure it claims to
        be, changes the odds of two classes by more than a factor of 1 / `least`.

    Raises
    ------
    ConfigError
        If a time is not positive, or `least` is out of its limits.
    """

    leak: float = 4.0
    window: float = 2.0
    least: float = 1e-3

    def __post_init__(self) -> None:
        check_seconds(leak=self.leak, window=self.window)
        if not 0 < self.least < 0.5:
            raise ConfigError(
                f"least = {self.least:g} is a probability below which none is believed: give one "
                f"above 0 and below 0.5."
            )

    def start(self) -> FloatArray | None:
        """What it remembers before the first window: all classes are equally probable."""
        return None

    def step(
        self, proba: FloatArray, dt: float, state: FloatArray | None
    ) -> tuple[FloatArray, FloatArray]:
        """Evidence (n_outputs,) from probabilities (n_outputs,), `dt` s after the last ones.

        The state is the sum of log-odds against guessing, (n_outputs,).
        """
        odds = np.log(len(proba) * np.maximum(proba, self.least))
        new = -math.expm1(-min(dt, self.window) / self.leak) * self.leak / self.window
        before = np.zeros(len(proba)) if state is None else state
        total = math.exp(-dt / self.leak) * before + new * odds
        return np.asarray(softmax(total), dtype=np.float64), total
