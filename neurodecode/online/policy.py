"""From evidence to commands: when one is given, and when none."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neurodecode.core.errors import ConfigError
from neurodecode.online.evidence import Accumulator, FloatArray

NO_COMMAND = -1
TINY = 1e-9  # of evidence and seconds; ten steps of 0.1 s are a second


class PolicyState(NamedTuple):
    """What is remembered from one decision to the next."""

    heard: Any  # by the accumulator
    wait: float  # s until the next command may be given
    n_outputs: int  # classes of the last probabilities; 0 before the first


class Verdict(NamedTuple):
    """What follows from the windows so far.

    Attributes
    ----------
    evidence
        Of each class, (n_outputs,), with the newest window; not numbers where nothing is valid.
    abstain
        Whether no class has enough evidence.
    command
        Class that is commanded now, `NO_COMMAND` for none.
    """

    evidence: FloatArray
    abstain: bool
    command: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Commands where evidence is enough, one at a time.

    A class is commanded when its evidence is the largest and at least `threshold`, it is not
    `rest`, and the last command is at least `refractory` seconds ago. Then evidence is gathered
    anew, so that no window counts for two commands.

    Attributes
    ----------
    accumulator
        How windows become evidence, see `neurodecode.online.evidence`.
    threshold
        Least evidence of a decision, in [0, 1]; 0 never abstains.
    refractory
        Least time between commands, s; 0 for none.
    rest
        Index of the class that stands for wanting nothing; None where there is no such class.

    Raises
    ------
    ConfigError
        If a number is out of its limits.
    """

    accumulator: Accumulator
    threshold: float = 0.0
    refractory: float = 1.0
    rest: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ConfigError(
                f"threshold = {self.threshold:g} is no evidence: it goes from 0 (always decide) "
                f"to 1 (only when certain)."
            )
        if not 0 <= self.refractory < float("inf"):
            raise ConfigError(
                f"refractory = {self.refractory:g} is not a time between commands. Give seconds, "
                f"or 0 for none."
            )
        if self.rest is not None and self.rest < 0:
            raise ConfigError(f"rest = {self.rest} is no index of a class. Leave it out for none.")

    def start(self) -> PolicyState:
        """Before the first window: no evidence, and a command may be given at once."""
        return PolicyState(self.accumulator.start(), 0.0, 0)

    def step(
        self, proba: FloatArray | None, dt: float, state: PolicyState
    ) -> tuple[Verdict, PolicyState]:
        """Hear the next window.

        Parameters
        ----------
        proba
            Its probabilities, (n_outputs,). None, or any that is not finite: nothing can be trusted
            now. Then evidence is forgotten, the refractory time goes on, and nothing is commanded.
        dt
            Time since the step before, or, for the first one, from one to the next, s.
        state
            Of `start` or of the step before; it is not changed.

        Returns
        -------
        verdict
            With evidence of the size of the last probabilities where there are none now.
        state
            For the next window.
        """
        wait = max(0.0, state.wait - dt)
        n_outputs = state.n_outputs if proba is None else len(proba)
        if proba is None or not np.isfinite(proba).all():
            nothing = Verdict(np.full(n_outputs, np.nan), abstain=True, command=NO_COMMAND)
            return nothing, PolicyState(self.accumulator.start(), wait, n_outputs)
        evidence, heard = self.accumulator.step(proba, dt, state.heard)
        best = int(evidence.argmax())
        enough = bool(evidence[best] >= self.threshold - TINY)
        if not enough or best == self.rest or wait > TINY:
            verdict = Verdict(evidence, abstain=not enough, command=NO_COMMAND)
            return verdict, PolicyState(heard, wait, n_outputs)
        anew = PolicyState(self.accumulator.start(), self.refractory, n_outputs)
        return Verdict(evidence, abstain=False, command=best), anew
