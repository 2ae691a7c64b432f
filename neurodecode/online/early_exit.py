"""Decisions before a window is over, from its parts as they come."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.stopping import StopRule
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.stateful import State


class Heard(NamedTuple):
    """What is remembered of a window of which some parts have come."""

    net: State
    total: NDArray[np.float64]  # (n_outputs,): logits of those parts, added up
    n: int  # parts


class EarlyExit:
    """A spiking net that stops listening to a window when a rule says that it knows enough.

    It remembers nothing: what it has heard is handed in and out, so that it may serve many streams.

    Parameters
    ----------
    net
        Fitted, in "window" or "stream" time.
    rule
        When to stop; see `neurodecode.evaluation.early_exit.calibrate`.

    Raises
    ------
    ConfigError
        If the net takes no parts, or another number of them than the rule.
    """

    def __init__(self, net: SpikingDecoder, rule: StopRule) -> None:
        if net.time.mode == "repeat":
            raise ConfigError(
                "A net that sees the whole window at every step cannot decide before it is over. "
                "Fit it with time='window' or 'stream'."
            )
        if len(rule.bounds) != net.time.n_steps:
            raise ConfigError(
                f"A rule for {len(rule.bounds)} steps cannot stop a net of {net.time.n_steps}. "
                f"Calibrate it with this net."
            )
        self.net, self.rule = net.eval(), rule

    def push(
        self, part: NDArray[np.float32], state: Heard | None = None
    ) -> tuple[int | None, NDArray[np.floating], Heard]:
        """Hear the next part of a window.

        Parameters
        ----------
        part
            Its samples, (n_chans, n_samples), normalised as the net was fitted; lengths are those
            of ``net.time.lengths``, in order.
        state
            What came before; None at the beginning of a window.

        Returns
        -------
        decision
            Index of the class, or None where it takes more. After a decision, and at the latest
            after the last part, a new window begins.
        proba
            Of each class by now, (n_outputs,).
        state
            For the next part.

        Raises
        ------
        SignalError
            If it is not the part that follows, or the window is over.
        """
        heard, spec = state or Heard(None, np.zeros(self.net.spec.n_outputs), 0), self.net.spec
        lengths = self.net.time.lengths
        if heard.n >= len(lengths):
            raise SignalError("This window is over. Begin the next one with state=None.")
        if part.shape != (spec.n_chans, lengths[heard.n]):
            raise SignalError(
                f"Part {heard.n + 1} of {len(lengths)} is {spec.n_chans} channels x "
                f"{lengths[heard.n]} samples; got {' x '.join(map(str, part.shape))}."
            )
        on = next(self.net.parameters())
        with torch.inference_mode():
            x = torch.from_numpy(np.ascontiguousarray(part)).to(device=on.device, dtype=on.dtype)
            logits, net = self.net.step(x[None], heard.net)
        total = heard.total + logits[0].double().cpu().numpy()
        mean = total / (heard.n + 1)
        proba = self.rule.proba(mean, heard.n)
        decision = int(proba.argmax()) if self.rule.stops(mean, heard.n) else None
        return decision, proba, Heard(net, total, heard.n + 1)
