r"""Current-based leaky integrate-and-fire: what comes in is smoothed on its way to the membrane.

.. math::
    i_t = a\, i_{t-1} + x_t, \qquad h_t = b\, v_{t-1} + i_t

with :math:`a = e^{-dt / \tau_i}` and :math:`b = e^{-dt / \tau}`; spikes and resets are those of
`neurodecode.nn.spiking.neurons.lif`. This is the neuron of Loihi ("Loihi: a neuromorphic manycore
processor with on-chip learning", IEEE Micro 2018) and the CubaLIF of NIR, in discrete time; neither
text was compared with it line by line.
"""

import math

import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.kernel import Reset, membrane
from neurodecode.nn.spiking.neurons import NEURONS
from neurodecode.nn.spiking.neurons.leaky import time_constants
from neurodecode.nn.spiking.neurons.lif import LIF
from neurodecode.nn.spiking.stateful import State
from neurodecode.nn.spiking.surrogates import Rectangle


@NEURONS.add("culif")
class CurrentLIF(LIF):
    """Current-based LIF: two time constants, one for currents and one for membranes.

    Parameters
    ----------
    n_features, dt, threshold, learn_threshold, reset, detach_reset, surrogate, sharpness
        As for `LIF`.
    tau, tau_current
        Time constants of the membrane and of the current, ms, each one or two as for `LIF`.
    learn_tau
        Learn both for each feature.
    weigh
        Weigh what comes in by what current and membrane forget, so that the membrane settles at
        the mean; otherwise by 1.
    """

    log_tau_current: Tensor

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        tau: float | tuple[float, float] = 20.0,
        tau_current: float | tuple[float, float] = 5.0,
        learn_tau: bool = False,
        threshold: float = 1.0,
        learn_threshold: bool = False,
        reset: Reset = "soft",
        detach_reset: bool = True,
        surrogate: str = "atan",
        sharpness: float | None = None,
        weigh: bool = False,
    ) -> None:
        super().__init__(
            n_features,
            dt=dt,
            tau=tau,
            learn_tau=learn_tau,
            threshold=threshold,
            learn_threshold=learn_threshold,
            reset=reset,
            detach_reset=detach_reset,
            surrogate=surrogate,
            sharpness=sharpness,
            weigh=weigh,
        )
        taus = time_constants(tau_current, n_features if learn_tau else 1, n_features)
        if not bool((taus > 0).all()) or math.isinf(float(taus.max())):
            raise ConfigError(f"tau_current={tau_current} ms must be positive and finite.")
        if learn_tau:
            self.log_tau_current = nn.Parameter(taus.log())
        else:
            self.register_buffer("log_tau_current", taus.log())

    def decay_current(self) -> Tensor:
        """What is left of a current after a step, (1,) or (n_features,)."""
        return (-self.dt * 1e3 * (-self.log_tau_current).exp()).exp()

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps, twice through the fused kernel."""
        current, v = state or (None, None)
        decay = self.decay_current()
        if self.weigh:
            x = (1 - decay) * x
        x, current = integrated(x, current, decay)
        spikes, v = super().run(x, v)
        return spikes, (current, v)


def integrated(x: Tensor, before: Tensor | None, decay: Tensor) -> tuple[Tensor, Tensor]:
    """Leaky sums of all steps, like `x`, and the last: a membrane that never resets."""
    out = membrane(
        x,
        before,
        decay=decay,
        threshold=torch.ones_like(decay[:1]),
        reset="none",
        surrogate=Rectangle(),  # of spikes that nobody looks at
        keep=True,
    )
    assert out.before is not None
    return out.before, out.last
