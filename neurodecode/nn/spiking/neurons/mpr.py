r"""Integrate-and-fire with a soft reset and a membrane potential rectifier.

The rectifier pulls membranes towards what they will be sent as, nothing or a spike. With membranes
`u` in units of what a spike takes away, and a spike from a half of that on,

.. math::
    \varphi(u) = \begin{cases}
        1 - (1 - u)^{1/3} & u < 0 \\
        \tfrac12 + \tanh(3 (u - \tfrac12)) / (2 \tanh \tfrac32) & 0 \le u \le 1 \\
        u^{1/3} & u > 1
    \end{cases}

Membranes themselves stay as they are: the spike is :math:`[\varphi(u) \ge 1/2]`, and :math:`u - s`
goes on. As :math:`\varphi` is monotone and odd about a half, spikes come when they would come
without it, and what it changes is how they learn: its slope multiplies that of the surrogate. So it
is a surrogate here, and the fused kernel does the rest.

Reference: "Reducing information loss for spiking neural networks", ECCV 2022, arXiv 2307.04356.
Formula, order of rectifier and reset, the threshold of a half and the surrogate (a box one wide)
were checked in the authors' code (github.com/yfguo91/Re-Loss, models/spike_layer.py), not in the
text. Differences: a membrane may forget, where that code's does not; at the two ends of the middle
part, which that code leaves as they are, the formula holds.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from neurodecode.nn.spiking.kernel import membrane
from neurodecode.nn.spiking.neurons import NEURONS
from neurodecode.nn.spiking.neurons.leaky import Leaky
from neurodecode.nn.spiking.stateful import State
from neurodecode.nn.spiking.surrogates import Surrogate

STEEP = 3.0


def rectify(u: Tensor) -> Tensor:
    """Membranes pulled towards 0 and 1, in units of what a spike takes away; same shape."""
    c = u - 0.5
    inside = torch.tanh(STEEP * c) / (2 * math.tanh(STEEP / 2))
    outside = c.sign() * ((c.abs() + 0.5) ** (1 / 3) - 0.5)
    return 0.5 + torch.where(c.abs() <= 0.5, inside, outside)


@dataclass(frozen=True, slots=True)
class Rectified:
    """The surrogate of what follows the rectifier, and the rectifier's own slope."""

    base: Surrogate
    code: ClassVar[int] = -1
    relative: ClassVar[bool] = False

    @property
    def sharpness(self) -> float:
        """That of the surrogate."""
        return self.base.sharpness

    def slope(self, u: Tensor) -> Tensor:
        """Slope at a distance from the threshold, both in units of what a spike takes away."""
        inside = STEEP / (2 * math.tanh(STEEP / 2)) / torch.cosh(STEEP * u.clamp(-1, 1)).square()
        outside = (u.abs() + 0.5) ** (-2 / 3) / 3
        own = torch.where(u.abs() <= 0.5, inside, outside)
        return self.base.slope(rectify(u + 0.5) - 0.5) * own


@NEURONS.add("mpr")
class RectifiedLIF(Leaky):
    """Soft-reset LIF that learns through a membrane potential rectifier.

    Parameters
    ----------
    n_features, dt, tau, learn_tau, learn_threshold, detach_reset, surrogate, sharpness
        As for `Leaky`.
    threshold
        Where it spikes; a spike takes twice as much.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        tau: float | tuple[float, float] = math.inf,
        learn_tau: bool = False,
        threshold: float = 0.5,
        learn_threshold: bool = False,
        detach_reset: bool = False,
        surrogate: str = "rectangle",
        sharpness: float | None = None,
    ) -> None:
        super().__init__(
            n_features,
            dt=dt,
            tau=tau,
            learn_tau=learn_tau,
            threshold=threshold,
            learn_threshold=learn_threshold,
            detach_reset=detach_reset,
            surrogate=surrogate,
            sharpness=sharpness,
        )
        self.rectified = Rectified(self.surrogate)

    def height(self) -> Tensor:
        """What a spike takes away."""
        return 2 * self.threshold()

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps, in the fused kernel.

        The kernel takes away as much as it asks for. So it is handed membranes that are a half
        higher, which are also what is remembered, and what they would forget of that half with the
        currents.
        """
        decay, height = self.decay(), self.height()
        spikes, last, h = membrane(
            x / height + (1 - decay) / 2,
            x.new_full(x.shape[1:], 0.5) if state is None else state,
            decay=decay,
            threshold=torch.ones_like(height),
            reset="soft",
            surrogate=self.rectified,
            detach_reset=self.detach_reset,
            keep=self.notes is not None,
        )
        if h is not None:
            self.note((h - 0.5) * height)
        return spikes, last
