"""Accumulators: what the windows of a stream say together, by name.

Windows of a stream come every fraction of a second, overlap, and disagree. An accumulator makes
evidence of their probabilities. It is built from keyword-only choices and remembers nothing; what
it has heard is handed in and out:

    accumulator = ACCUMULATORS.get("bayes")(leak=4.0)
    state = accumulator.start()
    evidence, state = accumulator.step(proba, 0.1, state)     # (n_outputs,), sums to 1

==========  ==================================  ==================================================
name        evidence of a class                 under constant probabilities
==========  ==================================  ==================================================
`none`      its probability in the newest       is there at once
            window
`dwell`     part of the last `duration`         grows in a straight line, and is 1 after
            seconds that it won                 `duration` for the class that wins
`bayes`     leaky sum of log-odds               grows towards odds to the power leak / window
`smooth`    mean probability, older ones less   is there at once
==========  ==================================  ==================================================

Under constant probabilities the evidence depends on the time that has passed, and not on how many
windows it was cut into. `none` is the baseline.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError
from neurodecode.core.registry import Registry

FloatArray = NDArray[np.float64]


class Accumulator(Protocol):
    """Probabilities of windows to evidence."""

    def start(self) -> Any:
        """What it remembers before the first window."""
        ...

    def step(self, proba: FloatArray, dt: float, state: Any) -> tuple[FloatArray, Any]:
        """Hear the next window.

        Parameters
        ----------
        proba
            Its probabilities, (n_outputs,), finite; they sum to 1.
        dt
            Time since the window before it, or, for the first one, from one to the next, s.
        state
            Of `start` or of the step before; it is not changed.

        Returns
        -------
        evidence
            Of each class, (n_outputs,), in [0, 1]; it sums to 1.
        state
            For the next window.
        """
        ...


ACCUMULATORS: Registry[Callable[..., Accumulator]] = Registry("accumulator", package=__name__)


def check_seconds(**times: float) -> None:
    """Refuse a time that is not a positive, finite number of seconds.

    Raises
    ------
    ConfigError
        Naming the first that is not.
    """
    for name, value in times.items():
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(
                f"{name} = {value:g} is not a time that evidence can be gathered over. Give a "
                f"positive number of seconds, or the accumulator 'none'."
            )
