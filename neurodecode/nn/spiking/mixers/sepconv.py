"""Separable convolution over neighbouring tokens: wider, along the tokens, and back.

Reference: "Spike-driven transformer V2: meta spiking neural network architecture inspiring the
design of next-generation neuromorphic chips", ICLR 2024, arXiv 2404.03663 (the mixer of its first
stages). Differences: one axis of tokens instead of an image's two; a batch norm after each of the
two products with weights, and none between the spikes and their filter.
"""

from torch import Tensor, nn

from neurodecode.nn.spiking.mixers import MIXERS
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.projection import NeighbourConv
from neurodecode.nn.spiking.stateful import Chain, FeatureNorm, State, Stateful


@MIXERS.add("sepconv")
class SeparableMixer(Stateful):
    """More features, a filter over neighbouring tokens for each, and back (Meta-SpikeFormer).

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
        Tokens that a filter spans; odd. Beyond the first and the last token it sees zeros.
    expansion
        Features in between, in widths.
    """

    def __init__(
        self,
        width: int,
        *,
        n_heads: int = 2,
        dt: float,
        population: Population,
        kernel: int = 7,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        hidden = expansion * width
        self.layers = Chain(
            population.make(width, dt=dt),
            nn.Linear(width, hidden, bias=False),
            FeatureNorm(hidden),
            population.make(hidden, dt=dt),
            NeighbourConv(hidden, kernel),
            FeatureNorm(hidden),
            population.make(hidden, dt=dt),
            nn.Linear(hidden, width, bias=False),
            FeatureNorm(width),
        )

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width) to currents of the same shape."""
        return self.layers(x, state)
