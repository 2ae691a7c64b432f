r"""Integer LIF: counts of spikes in training, as many binary ones when it runs.

.. math::
    h_t = d\, v_{t-1} + x_t, \quad s_t = \lfloor \mathrm{clip}(h_t, 0, D) + \tfrac12 \rfloor,
    \quad v_t = h_t - s_t

in units of the threshold, with the slope of the clip, 1 for :math:`0 \le h \le D`. A step that
counts to `D` replaces `D` binary ones of the same net, and a layer of weights cannot tell them
apart: weights times a count are the sum of weights times its spikes (`unfold`).

References: "Integer-valued training and spike-driven inference spiking neural network for
high-performance and energy-efficient object detection", ECCV 2024 (I-LIF), and "Quantized
spike-driven transformer", ICLR 2025. Rounding, clip, slope, detached reset and D = 4 were checked
in code derived from the first authors', not in the texts. Differences: halves are rounded up, as
neurons do that spike at their threshold; that code keeps a quarter of the membrane for the next
step, and the default here is a half, as for `lif`.
"""

import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.neurons import NEURONS
from neurodecode.nn.spiking.neurons.leaky import Leaky
from neurodecode.nn.spiking.stateful import State


def unfold(counts: Tensor, levels: int) -> Tensor:
    """Binary spikes whose sum is `counts`.

    Parameters
    ----------
    counts
        Whole numbers in [0, levels], any shape.
    levels
        Virtual steps.

    Returns
    -------
    Tensor
        0 or 1, (levels, *counts.shape), ones first.
    """
    index = torch.arange(levels, device=counts.device, dtype=counts.dtype)
    return (counts > index.view(-1, *(1 for _ in counts.shape))).to(counts.dtype)


@NEURONS.add("integer")
class IntegerLIF(Leaky):
    """Integer LIF: counts to `levels` in a step, and unfolds into as many binary steps.

    Parameters
    ----------
    n_features, dt, tau, learn_tau, threshold, learn_threshold, detach_reset
        As for `Leaky`.
    levels
        Largest count.

    Raises
    ------
    ConfigError
        If it cannot count to 1.
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
        detach_reset: bool = True,
        levels: int = 4,
    ) -> None:
        super().__init__(
            n_features,
            dt=dt,
            tau=tau,
            learn_tau=learn_tau,
            threshold=threshold,
            learn_threshold=learn_threshold,
            detach_reset=detach_reset,
        )
        if levels < 1:
            raise ConfigError(f"levels={levels} leaves nothing to count. Give 1 or more.")
        self.largest = levels  # `levels` is what the form "qcfs" sets

    def height(self) -> Tensor:
        """The largest count, in currents."""
        return self.largest * self.threshold()

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Counts of all steps, and membranes in thresholds."""
        decay, threshold = self.decay(), self.threshold()
        v = x.new_zeros(x.shape[1:]) if state is None else state
        counts, membranes = [], []
        for current in (x / threshold).unbind(0):
            h = decay * v + current
            clipped = h.clamp(0, self.largest)
            count = clipped + (torch.floor(clipped + 0.5) - clipped).detach()
            v = h - (count.detach() if self.detach_reset else count)
            counts.append(count)
            membranes.append(h)
        if not counts:
            return x, state
        if self.notes is not None:
            self.note(threshold * torch.stack(membranes))
        return torch.stack(counts), v

    @torch.no_grad()
    def run_binary(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The same by a binary neuron that takes `levels` steps for each, without gradients.

        Parameters
        ----------
        x
            Currents, (n_steps, batch, ..., n_features). They come in at the first of the virtual
            steps, between which membranes do not forget.
        state
            As for `run`.

        Returns
        -------
        spikes
            0 or 1, (n_steps * levels, batch, ..., n_features).
        state
            As of `run`.
        """
        decay = self.decay()
        v = x.new_zeros(x.shape[1:]) if state is None else state
        spikes = []
        for current in (x / self.threshold()).unbind(0):
            v = decay * v + current
            left = v + 0.5  # half a threshold ahead, so that it comes to the nearest count
            for _ in range(self.largest):
                s = (left >= 1).to(x.dtype)
                left, v = left - s, v - s
                spikes.append(s)
        return (torch.stack(spikes), v) if spikes else (x, state)
