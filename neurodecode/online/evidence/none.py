"""No accumulation: the newest window speaks alone."""

from dataclasses import dataclass

from neurodecode.online.evidence import ACCUMULATORS, FloatArray


@ACCUMULATORS.add("none")
@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The window's own probabilities: the baseline of the others."""

    def start(self) -> None:
        """What it remembers before the first window: nothing."""

    def step(self, proba: FloatArray, dt: float, state: None) -> tuple[FloatArray, None]:
        """Evidence (n_outputs,) from probabilities (n_outputs,): a copy of them."""
        return proba.copy(), None
