r"""Learnable: causal filters of each feature drive leaky neurons, and all of it learns.

.. math:: i_t = \sum_{j=0}^{J-1} w_j\, x_{t-j}

References: "A spiking neural network with adaptive graph convolution and LSTM for EEG-based
brain-computer interfaces", IEEE TNSRE 2023, doi:10.1109/TNSRE.2023.3246989 (SGLNet; its learnable
spike encoder), and "HR-SNN: an end-to-end spiking neural network for four-class classification
motor imagery brain-computer interface", IEEE TCDS 2024 (its learned spike encoding).
Differences: filters are causal and of one feature each, so the encoder runs live and leaves mixing
to the layers after it; time constants and thresholds are learned for each neuron.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.encoders import ENCODERS
from neurodecode.nn.spiking.encoders.membranes import MembraneEncoder
from neurodecode.nn.spiking.stateful import State


@ENCODERS.add("learnable")
class Learnable(MembraneEncoder):
    """Learnable spike encoder: filters, thresholds and time constants learn, through surrogates.

    Parameters
    ----------
    n_features
        Size of the signal's last axis.
    dt
        Length of a sample, seconds.
    kernel
        Length of the filters, ms; at least one sample.
    tau
        Time constant of membranes at first, ms.
    threshold
        Where they spike at first, in units of the signal added up over `tau`.
    surrogate, sharpness
        Slope of a spike, by name; see `neurodecode list surrogates`.

    Raises
    ------
    ConfigError
        For filters of no length.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        kernel: float = 32.0,
        tau: float = 20.0,
        threshold: float = 2.0,
        surrogate: str = "atan",
        sharpness: float | None = None,
    ) -> None:
        super().__init__(
            n_features,
            dt=dt,
            tau=tau,
            learn_tau=True,
            threshold=threshold,
            surrogate=surrogate,
            sharpness=sharpness,
        )
        if kernel <= 0:
            raise ConfigError(f"kernel={kernel} is the length of filters in ms: it is positive.")
        self.n_taps = max(1, round(kernel * 1e-3 / dt))
        taps = torch.empty(self.n_outputs, self.n_taps)  # oldest sample first
        nn.init.uniform_(taps, -0.1, 0.1).div_(self.n_taps**0.5)
        taps[:n_features, -1] += 1  # at first, the sample itself, up and down
        taps[n_features:, -1] -= 1
        self.weight = nn.Parameter(taps)

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Events; remembers the samples under the filters, and membranes."""
        before, membranes = state or (None, None)
        if before is None:
            before = x.new_zeros(self.n_taps - 1, *x.shape[1:])
        x = torch.cat([before, x])
        events, membranes = self.neurons(self._filtered(x), membranes)
        kept = x[len(x) - self.n_taps + 1 :].detach()
        return events, (kept, membranes)

    def _filtered(self, x: Tensor) -> Tensor:
        """Currents (n_times, batch, ..., n_outputs) from n_taps - 1 samples more."""
        twice = torch.cat([x, x], dim=-1)
        flat = twice.flatten(1, -2)  #                        (n_times + n_taps - 1, n, n_outputs)
        maps = flat.permute(1, 2, 0).unsqueeze(-1)  #         (n, n_outputs, n_times + ..., 1)
        weight = self.weight.view(self.n_outputs, 1, self.n_taps, 1)
        maps = functional.conv2d(maps, weight, groups=self.n_outputs).squeeze(-1)
        return maps.permute(2, 0, 1).reshape(-1, *twice.shape[1:])

    def gain(self) -> Tensor:
        """Current for a constant signal of 1, (n_outputs,)."""
        return self.weight.sum(dim=1)
