"""What the live loop says: probabilities, evidence, a command, and whether it can be trusted."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Status(IntEnum):
    """Whether a decision can be trusted."""

    OK = 0
    ABSTAIN = 1  # the evidence is below the threshold
    STALE = 2  # the newest sample is too old, or nothing comes at all
    GAP = 3  # samples are missing, or none came before: the window is not full
    BAD_CHANNELS = 4  # a channel is flat, not a number, or too large

    @property
    def words(self) -> str:
        """As it is shown: "bad-channels"."""
        return self.name.lower().replace("_", "-")

    @property
    def valid(self) -> bool:
        """Whether the probabilities are those of a whole window of good, new samples."""
        return self in (Status.OK, Status.ABSTAIN)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """One answer of the live loop.

    Attributes
    ----------
    proba
        Of each class by the newest window alone, (n_outputs,); not a number unless valid.
    evidence
        The same, gathered over windows.
    newest
        When the newest sample of the window was measured, s, on the stream's clock.
    made
        When the decision was ready, s, on the same clock.
    status
        Whether it can be trusted.
    command
        Class that is commanded now, -1 for none: too little evidence, rest, too soon after the
        last command, or not to be trusted.
    bad
        Channels that cannot be trusted.
    sample
        The newest sample of the window, counted from 0 since the engine was made.
    """

    proba: NDArray[np.float64]
    evidence: NDArray[np.float64]
    newest: float
    made: float
    status: Status
    command: int
    bad: tuple[str, ...]
    sample: int

    @property
    def latency(self) -> float:
        """From the newest sample to the decision, s."""
        return self.made - self.newest
