r"""Adaptive count: each sample counted in thresholds that follow the signal's own amplitude.

.. math::
    \theta_t = \rho \, \overline{|x|}_t, \qquad k_t = \mathrm{round}(x_t / \theta_t)

The mean runs causally, over time, for each feature. Events do not tell the threshold, so the scale
of the signal is lost, on purpose: the drift of an electrode's gain is not in them.

Reference: "SpikingBrain technical report: spiking brain-inspired large models", arXiv 2509.05276
(adaptive threshold, integer counts in one step; its k is our ``1 / ratio``). Differences: the mean
is over the past of a feature and not over the features of a token, and counts have a limit.
"""

import math

import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.encoders import ENCODERS, Encoder, on_off, signed
from neurodecode.nn.spiking.encoders.leaky import running_mean
from neurodecode.nn.spiking.stateful import State
from neurodecode.nn.spiking.timebase import decay_of

MEAN_SIZE = math.sqrt(2 / math.pi)
"""Mean of ``|x|`` of a standardised normal signal."""


@ENCODERS.add("adaptive_count")
class AdaptiveCount(Encoder):
    """Whole counts of thresholds that are a share of the signal's mean size so far.

    The gradient is straight through, with thresholds held fixed; counts at their limit pass none.

    Parameters
    ----------
    n_features
        Size of the last axis.
    dt
        Length of a sample, seconds.
    ratio
        Threshold as a multiple of the mean size; an event needs half a threshold.
    tau
        Time constant of the mean, ms; until it is over, all the past counts nearly alike.
    limit
        Most events of a feature in a sample; larger values are told as this.

    Raises
    ------
    ConfigError
        For choices that are not positive.
    """

    decay: Tensor

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        ratio: float = 1.0,
        tau: float = 2000.0,
        limit: int = 8,
    ) -> None:
        super().__init__(n_features, dt=dt)
        if not (ratio > 0 and 0 < tau < math.inf and limit > 0):
            raise ConfigError(
                f"Ratio, time constant and limit must be positive and finite; got ratio={ratio}, "
                f"tau={tau} ms, limit={limit}."
            )
        self.ratio, self.limit = ratio, limit
        self.register_buffer("decay", torch.tensor([decay_of(tau, dt)]), persistent=False)

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Events; remembers the running mean, and the weight of all samples in it."""
        mean, weight = state or (None, None)
        with torch.no_grad():
            size = x.detach().abs()
            seen, mean = running_mean(size, mean, self.decay)
            ones = torch.ones_like(size.flatten(1)[:, :1])
            weights, weight = running_mean(ones, weight, self.decay)
            weights = weights.view(-1, *(1,) * (x.ndim - 1))
            theta = (self.ratio * seen / weights).clamp(min=torch.finfo(x.dtype).tiny)
        exact = (x / theta).clamp(-self.limit, self.limit)
        return on_off(exact.detach().round(), exact), (mean, weight)

    def decode(self, events: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Counts, at the scale of a standardised normal signal; nothing is remembered."""
        return signed(events) * (self.ratio * MEAN_SIZE), state

    def extra_repr(self) -> str:
        """Sizes, for ``print(net)``."""
        return f"{super().extra_repr()}, ratio={self.ratio:g}"
