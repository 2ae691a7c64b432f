"""What training makes small: cross-entropy, and for spiking decoders what they add to it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.neurons import is_spiking
from neurodecode.nn.spiking.watch import watch
from neurodecode.training.penalties import Penalty

Loss = Literal["mean", "tet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A fitted net whose probabilities another one learns from.

    Reference: "Distilling the knowledge in a neural network", arXiv 1503.02531.

    Attributes
    ----------
    net
        In evaluation mode.
    weight
        Of its probabilities; the labels have the rest, in [0, 1].
    temperature
        By which both nets' logits are divided.
    """

    net: nn.Module
    weight: float = 0.5
    temperature: float = 2.0

    def loss(self, x: Tensor, logits: Tensor) -> Tensor:
        """Divergence of a student's logits (batch, n_outputs) from the teacher's, for windows."""
        with torch.no_grad():
            target = (self.net(x).float() / self.temperature).softmax(dim=1)
        mine = (logits.float() / self.temperature).log_softmax(dim=1)
        divergence = nn.functional.kl_div(mine, target, reduction="batchmean")
        return self.temperature**2 * divergence


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The loss of a batch.

    Attributes
    ----------
    class_weights
        Weight of each class, (n_outputs,).
    loss
        "mean": cross-entropy of the mean of all steps' logits. "tet": the mean of each step's
        cross-entropy ("Temporal efficient training of spiking neural network via gradient
        re-weighting", ICLR 2022, arXiv 2202.11946). Nets without steps have the first.
    penalties
        Added for spiking decoders.
    teacher
        Whom to learn from besides the labels.
    """

    class_weights: Tensor
    loss: Loss = "mean"
    penalties: Sequence[Penalty] = field(default_factory=tuple)
    teacher: Teacher | None = None

    def __call__(self, net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Loss of windows (batch, n_chans, n_times) with probabilities (batch, n_outputs)."""
        if not isinstance(net, SpikingDecoder):
            return self._taught(x, net(x), y)
        if not self.penalties or not is_spiking(net):
            return self._of_steps(x, net.steps(x), y)
        with watch(net, membranes=True) as watched:
            steps = net.steps(x)
        loss = self._of_steps(x, steps, y)
        for penalty in self.penalties:
            loss = loss + penalty(watched, steps)
        return loss

    def entropy(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy with probabilities (batch, n_outputs), weighted by class."""
        weighted = y * self.class_weights
        return -(weighted * logits.float().log_softmax(dim=1)).sum() / weighted.sum()

    def _of_steps(self, x: Tensor, steps: Tensor, y: Tensor) -> Tensor:
        if self.loss == "mean":
            return self._taught(x, steps.mean(dim=0), y)
        each = self.entropy(steps.flatten(0, 1), y.repeat(len(steps), 1))
        return self._taught(x, steps.mean(dim=0), y, own=each)

    def _taught(self, x: Tensor, logits: Tensor, y: Tensor, own: Tensor | None = None) -> Tensor:
        own = self.entropy(logits, y) if own is None else own
        if self.teacher is None:
            return own
        w = self.teacher.weight
        return (1 - w) * own + w * self.teacher.loss(x, logits)
