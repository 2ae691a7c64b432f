"""When a decision is made before a window is over: rules on the logits so far, step by step.

Logits so far are the mean of those of all steps up to and with the one at hand; after the last step
they are the logits of the window. Each rule looks at one number and stops where it exceeds a bound:

==============  ====================================================================================
`confidence`    the largest probability ("Unleashing the potential of spiking neural networks with
                dynamic confidence", ICCV 2023, arXiv 2303.10276), with one bound for all steps
`gap`           the largest logit less the second largest ("Optimizing event-driven spiking neural
                network with regularization and cutoff", Front. Neurosci. 2025, arXiv 2301.09522,
                its Top-K cutoff), with a bound for each step
`fixed`         nothing: every window stops at the same step
==============  ====================================================================================

Differences: probabilities have a temperature for each step, where the first has one for the sum of
outputs, which is one that falls with 1/t here; so a step that knows little does not look sure. The
second adds outputs up, which is the mean with other bounds. Where temperatures and bounds come from
is the business of `neurodecode.evaluation.early_exit`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

RULES = ("confidence", "gap", "fixed")

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """When to stop, and how sure the decision is.

    Attributes
    ----------
    name
        One of `RULES`.
    bounds
        For each step, what must be exceeded; infinite where nothing stops. After the last step
        every window stops.
    temperatures
        What logits so far are divided by before they become probabilities, for each step.
    """

    name: str
    bounds: tuple[float, ...]
    temperatures: tuple[float, ...]

    def proba(self, logits: FloatArray, step: int) -> FloatArray:
        """Probabilities (..., n_outputs) of the logits so far, of the same shape, at a step."""
        return softmax(logits / self.temperatures[step])

    def stops(self, logits: FloatArray, step: int) -> NDArray[np.bool_]:
        """Whether logits so far (..., n_outputs) are enough at a step: (...)."""
        if step == len(self.bounds) - 1:
            return np.ones(logits.shape[:-1], dtype=bool)
        found = evidence(self.name, logits, self.proba(logits, step))
        return np.asarray(found > self.bounds[step])

    def apply(self, steps: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
        """Where windows stop, and what is decided there.

        Parameters
        ----------
        steps
            Logits of each step, (n_steps, n_epochs, n_outputs).

        Returns
        -------
        step
            The step after which each window stops, from 0: (n_epochs,).
        proba
            Probabilities then, (n_epochs, n_outputs).
        """
        seen = so_far(steps)
        stops = np.stack([self.stops(logits, step) for step, logits in enumerate(seen)])
        step = stops.argmax(axis=0)
        proba = np.stack([self.proba(logits, step) for step, logits in enumerate(seen)])
        return step, proba[step, np.arange(len(step))]

    def as_dict(self) -> dict[str, Any]:
        """The rule for JSON, which knows no infinity."""
        bounds = [bound if math.isfinite(bound) else None for bound in self.bounds]
        return {"name": self.name, "bounds": bounds, "temperatures": list(self.temperatures)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The rule that `as_dict` wrote."""
        return cls(
            name=values["name"],
            bounds=tuple(math.inf if bound is None else bound for bound in values["bounds"]),
            temperatures=tuple(values["temperatures"]),
        )


def so_far(steps: FloatArray) -> FloatArray:
    """Means of all steps up to and with each: (n_steps, ...) to the same shape, double."""
    n = np.arange(1, len(steps) + 1).reshape(-1, *(1,) * (steps.ndim - 1))
    return np.asarray(np.cumsum(steps, axis=0, dtype=np.float64) / n)


def evidence(name: str, logits: FloatArray, proba: FloatArray) -> FloatArray:
    """What a rule compares with its bounds: of two (..., n_outputs), a number for each (...)."""
    if name == "confidence":
        return np.asarray(proba.max(axis=-1))
    if name == "gap":
        top = np.partition(logits, -2, axis=-1)
        return np.asarray(top[..., -1] - top[..., -2])
    return np.zeros(logits.shape[:-1])


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities of logits, over the last axis."""
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(p / p.sum(axis=-1, keepdims=True))
