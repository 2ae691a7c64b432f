r"""Sigma-delta: the signal is added up, and an event takes a threshold off the sum.

.. math::
    a_t = e_{t-1} + x_t, \quad k_t = \mathrm{trunc}(a_t / \theta), \quad e_t = a_t - \theta k_t

What the sum keeps is less than a threshold, so the density of events is the signal, and the error
lies at high frequencies, where a low-pass takes it off.

Reference: "A unity bit coding method by negative feedback", Proc. IEEE 51 (11), 1963.
Differences: silence is a third level, so that no signal costs nothing, and a count where a sample
is worth several events.
"""

import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.encoders import ENCODERS, on_off, signed
from neurodecode.nn.spiking.encoders.carry import carry
from neurodecode.nn.spiking.encoders.leaky import running_mean
from neurodecode.nn.spiking.encoders.thresholds import Thresholded
from neurodecode.nn.spiking.stateful import State
from neurodecode.nn.spiking.timebase import decay_of


@ENCODERS.add("sigma_delta")
class SigmaDelta(Thresholded):
    """Sigma-delta: the density of events is the signal.

    The gradient is straight through: as if each sample were sent as itself, in thresholds.

    Parameters
    ----------
    n_features
        Size of the last axis.
    dt
        Length of a sample, seconds.
    theta
        What an event takes off the sum, in units of the signal: one, or one for each feature; see
        `neurodecode.nn.spiking.encoders.thresholds`.
    limit
        Most events of a feature in a sample; the rest follows in later ones. By default as many as
        it takes, and the sum stays within a threshold.
    tau
        Time constant of the low-pass in `decode`, ms; the larger `theta`, the longer it takes to
        tell the density. 0 does without.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        theta: float | tuple[float, ...] = 1.0,
        limit: int | None = None,
        tau: float = 8.0,
    ) -> None:
        super().__init__(n_features, dt=dt, theta=theta, limit=limit)
        if tau < 0:
            raise ConfigError(f"tau={tau} ms must not be negative. Give 0 for no low-pass.")
        self.tau = tau

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Events; remembers what the sum kept."""
        counts, rest = carry(x, state, self.theta, limit=self.limit)
        return on_off(counts, x / self.theta), rest

    def decode(self, events: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Events through a causal low-pass, so it lags by about `tau`; remembers its output."""
        decay = torch.full_like(self.theta[:1], decay_of(self.tau, self.dt))
        return running_mean(signed(events) * self.theta, state, decay)
