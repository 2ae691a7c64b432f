r"""Direct: the signal is the current of leaky neurons, with a gain and a bias that learn.

.. math:: i_t = g\, x_t + b

Reference: "Direct training for spiking neural networks: faster, larger, better", AAAI 2019,
arXiv 1809.05793 (its encoding layer). Differences: no mixing of features, which is what the layers
after it are for; each feature has a neuron with a positive gain and one with a negative gain.
"""

import torch
from torch import Tensor, nn

from neurodecode.nn.spiking.encoders import ENCODERS
from neurodecode.nn.spiking.encoders.membranes import MembraneEncoder
from neurodecode.nn.spiking.stateful import State


@ENCODERS.add("direct")
class Direct(MembraneEncoder):
    """Current injection: gain, bias and threshold of each neuron learn, through surrogates.

    Parameters
    ----------
    n_features
        Size of the signal's last axis.
    dt
        Length of a sample, seconds.
    tau
        Time constant of membranes, ms.
    learn_tau
        Learn one for each neuron.
    threshold
        Where they spike at first, in units of the signal added up over `tau`.
    surrogate, sharpness
        Slope of a spike, by name; see `neurodecode list surrogates`.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        tau: float = 20.0,
        learn_tau: bool = False,
        threshold: float = 2.0,
        surrogate: str = "atan",
        sharpness: float | None = None,
    ) -> None:
        super().__init__(
            n_features,
            dt=dt,
            tau=tau,
            learn_tau=learn_tau,
            threshold=threshold,
            surrogate=surrogate,
            sharpness=sharpness,
        )
        up = torch.ones(n_features)
        self.weight = nn.Parameter(torch.cat([up, -up]))
        self.bias = nn.Parameter(torch.zeros(self.n_outputs))

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Events; remembers membranes."""
        return self.neurons(self.weight * torch.cat([x, x], dim=-1) + self.bias, state)

    def gain(self) -> Tensor:
        """Current for a constant signal of 1, (n_outputs,)."""
        return self.weight
