"""Depth-wise convolution over neighbouring tokens, in place of attention.

Reference: "Spiking neural networks need high-frequency information", NeurIPS 2025,
arXiv 2505.18608 (Max-Former): leaky neurons are low-pass filters, and so is attention, so early
stages mix tokens by a filter for each feature, which can pass what differs between neighbours.
Differences: one axis of tokens instead of an image's two, and no bias before the norm.
"""

from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.mixers import MIXERS
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.projection import NeighbourConv
from neurodecode.nn.spiking.stateful import FeatureNorm, State, Stateful


@MIXERS.add("dwc")
class DepthwiseMixer(Stateful):
    """One filter over neighbouring tokens for each feature (Max-Former).

    Parameters
    ----------
    width
        Features of a token.
    n_heads
        Ignored: every feature has its own filter.
    dt
        Length of a step, seconds.
    population
        Makes its neurons.
    kernel
        Tokens that a filter spans, 3 or 5 in the paper; odd, so that it has a centre. Tokens of one
        step are space: the filter looks both ways, and beyond the first and the last it sees zeros.

    Raises
    ------
    ConfigError
        For an even kernel, or one of a single token, which mixes nothing.
    """

    def __init__(
        self,
        width: int,
        *,
        n_heads: int = 2,
        dt: float,
        population: Population,
        kernel: int = 3,
    ) -> None:
        super().__init__()
        if kernel < 3:
            raise ConfigError(f"kernel={kernel} reaches no neighbour. Give 3 or 5.")
        self.spikes = population.make(width, dt=dt)
        self.filters = NeighbourConv(width, kernel)
        self.output_norm = FeatureNorm(width)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width) to currents of the same shape."""
        (before,) = state or (None,)
        x, before = self.spikes(x, before)
        return self.output_norm(self.filters(x)), (before,)
