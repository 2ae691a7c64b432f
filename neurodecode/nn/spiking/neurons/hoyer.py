r"""Hoyer spikes: one step, and a threshold that follows what comes in.

With currents in units of a learned threshold, :math:`z = x / |\theta|`, and
:math:`c = \mathrm{clip}(z, 0, 1)`,

.. math::
    e = \sum c^2 / \sum |c|, \qquad s = [z \ge e], \qquad
    H(z) = \left(\sum |z|\right)^2 / \sum z^2

where :math:`e`, the extremum of the Hoyer penalty :math:`H`, is at most 1, so that fewer currents
fall short of firing. In evaluation it is the running mean of training.

Reference: "Hoyer regularizer is all you need for ultra low-latency spiking neural networks",
arXiv 2212.10170. Checked in two codes derived from the authors', not in the text: clip, extremum
without gradient, momentum of 0.1, slope of a half for 0 < z < 2. Differences: the running mean
begins at 1, the fixed threshold, not at 0, so that a net that has not been trained does not fire at
everything; and where nothing is positive the extremum is 1. One of the codes leaves currents above
the threshold out of the extremum, which the formula does not.
"""

from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.neurons import NEURONS, Neuron
from neurodecode.nn.spiking.stateful import State

Shared = Literal["layer", "feature"]

MOMENTUM = 0.1


def hoyer_penalty(z: Tensor) -> Tensor:
    """Hoyer penalty, in [1, z.numel()], lower where fewer are large; 0 where all are 0.

    The paper adds it, with a weight of 1e-8 or so, for the membranes of each layer, in units of
    their threshold and clipped to [0, 1].
    """
    square = z.square().sum().clamp(min=torch.finfo(z.dtype).tiny)
    penalty: Tensor = z.abs().sum().square() / square
    return penalty


def hoyer_extremum(z: Tensor, *, by_feature: bool = False) -> Tensor:
    """Where the penalty has its extremum, in [0, 1]; 1 where nothing is positive.

    Parameters
    ----------
    z
        (n_steps, batch, ..., n_features), in thresholds.
    by_feature
        One for each feature, otherwise one for all.

    Returns
    -------
    Tensor
        (1,) or (n_features,).
    """
    clipped = z.clamp(0, 1).reshape(-1, z.shape[-1] if by_feature else 1)
    total = clipped.sum(0)
    return torch.where(total > 0, clipped.square().sum(0) / total, 1.0)


@NEURONS.add("hoyer")
class Hoyer(Neuron):
    """Hoyer threshold: what exceeds the Hoyer extremum spikes, and nothing is remembered.

    Parameters
    ----------
    n_features
        Size of the last axis.
    dt
        Length of a step, seconds; without effect.
    threshold
        At the beginning; one for each feature is learned.
    extremum
        One for a "layer", or one for each "feature".

    Raises
    ------
    ConfigError
        For a threshold that is not positive, or another extremum.
    """

    waits: ClassVar[bool] = False
    extremum: Tensor

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        threshold: float = 1.0,
        extremum: Shared = "layer",
    ) -> None:
        super().__init__(n_features, dt=dt)
        if threshold <= 0:
            raise ConfigError(f"threshold={threshold} must be positive.")
        if extremum not in get_args(Shared):
            raise ConfigError(f"extremum='{extremum}' is not one of {', '.join(get_args(Shared))}.")
        self.by_feature = extremum == "feature"
        self.threshold = nn.Parameter(torch.full((n_features,), float(threshold)))
        self.register_buffer("extremum", torch.ones(n_features if self.by_feature else 1))

    def height(self) -> Tensor:
        """The learned threshold."""
        return self.threshold.abs()

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step."""
        return self.run(x.unsqueeze(0), state)[0].squeeze(0), None

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps; in training they share one extremum with the batch."""
        if len(x) == 0:
            return x, state
        z = x / self.height()
        self.note(z)
        extremum = self.extremum
        if self.training:
            with torch.no_grad():
                extremum = hoyer_extremum(z, by_feature=self.by_feature)
                self.extremum.lerp_(extremum, MOMENTUM)
        slope = z.clamp(0, 2) / 2
        return (z >= extremum).to(z.dtype) + (slope - slope.detach()), None
