r"""AR-LIF: a threshold that follows the current, and a reset that remembers.

.. math::
    h_t &= d\, v_{t-1} + x_t, \qquad
    \theta_t = \theta + \tanh a \, \tanh x_t, \qquad s_t = [h_t \ge \theta_t] \\
    m_t &= \sigma(c\,x_t)\, m_{t-1}^+ - (1 - \sigma(c\,x_t))\, m_{t-1}^- + (2 s_t - 1)\,\sigma(x_t)
    \\
    v_t &= h_t - s_t\,(\theta_t + \sigma(m_t))

where :math:`m = m^+ - m^-`. What a spike takes grows where spikes have been frequent. The state
decides about the next, so there is a loop; what depends on currents alone is computed before it.

Reference: "AR-LIF: adaptive reset leaky integrate-and-fire neuron for spiking neural networks",
arXiv 2507.20746. Checked in the authors' code (github.com/2ephyrus/AR-LIF, modules/neuron.py):
all of the above, a = 0 and c = 1 at the beginning, a decay of a half, a box one wide as surrogate,
gradients through the reset. Difference: a and c belong to a feature, not to a layer.
"""

import torch
from torch import Tensor, nn

from neurodecode.nn.spiking.neurons import NEURONS
from neurodecode.nn.spiking.neurons.leaky import Leaky
from neurodecode.nn.spiking.stateful import State
from neurodecode.nn.spiking.surrogates import spike


@NEURONS.add("arlif")
class AdaptiveResetLIF(Leaky):
    """Adaptive-reset LIF: threshold and reset follow what comes in and what has been fired.

    Parameters
    ----------
    n_features, dt, tau, learn_tau, threshold, learn_threshold, detach_reset, surrogate, sharpness
        As for `Leaky`.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        tau: float | tuple[float, float] = 20.0,
        learn_tau: bool = False,
        threshold: float = 1.0,
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
        self.a = nn.Parameter(torch.zeros(n_features))
        self.c = nn.Parameter(torch.ones(n_features))

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps; the state is the membrane and the memory of the reset."""
        if len(x) == 0:
            return x, state
        v, m = state or (torch.zeros_like(x[0]), torch.zeros_like(x[0]))
        decay = self.decay()
        thresholds = self.threshold() + self.a.tanh() * x.tanh()
        strengths, kept = x.sigmoid(), (self.c * x).sigmoid()
        spikes, membranes = [], []
        for current, threshold, strength, keep in zip(
            x.unbind(0), thresholds.unbind(0), strengths.unbind(0), kept.unbind(0), strict=True
        ):
            h = decay * v + current
            s = spike(h - threshold, self.surrogate)
            fired = s.detach() if self.detach_reset else s
            m = keep * m.relu() - (1 - keep) * (-m).relu() + (2 * fired - 1) * strength
            v = h - fired * (threshold + m.sigmoid())
            spikes.append(s)
            membranes.append(h)
        if self.notes is not None:
            self.note(torch.stack(membranes))
        return torch.stack(spikes), (v, m)
