"""Spikes to currents, over features and neighbouring tokens.

Reference: "Spike-driven transformer V2", ICLR 2024, arXiv 2404.03663 (RepConv, its projections of
queries, keys, values and output). Differences: there, convolutions follow one another, one of
them over neighbours, and become one convolution after training; here one over features and one
over neighbours are added up, so that weights meet spikes in training too. They become one
convolution just as well.
"""

import math

import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.nn.convolutions import depthwise
from neurodecode.nn.spiking.quantised import LSQ, LSQLinear


class NeighbourConv(nn.Module):
    """One filter over neighbouring tokens of a step for each feature, centred; no bias.

    Parameters
    ----------
    n_features
        Size of the last axis.
    n_taps
        Tokens that a filter spans; odd.
    bits
        Of a weight; None does not quantise.

    Raises
    ------
    ConfigError
        For an even number of taps, or none.
    """

    def __init__(self, n_features: int, n_taps: int, *, bits: int | None = None) -> None:
        super().__init__()
        if n_taps < 1 or n_taps % 2 == 0:
            raise ConfigError(f"A filter over {n_taps} tokens has no centre. Give an odd number.")
        bound = 1 / math.sqrt(n_taps)  # as in torch.nn.Conv1d
        self.weight = nn.Parameter(torch.empty(n_features, n_taps).uniform_(-bound, bound))
        self.quantise = nn.Identity() if bits is None else LSQ(self.weight, bits)

    def forward(self, x: Tensor) -> Tensor:
        """Filter spikes (n_steps, batch, n_tokens, n_features); same shape."""
        return depthwise(x.flatten(0, 1), self.quantise(self.weight)).view(x.shape)

    def extra_repr(self) -> str:
        """Sizes, for ``print(net)``."""
        n_features, n_taps = self.weight.shape
        return f"{n_features}, n_taps={n_taps}"


class TokenProjection(nn.Module):
    """Every token's features by themselves, plus each feature with its neighbours.

    Parameters
    ----------
    width
        Features of a token.
    n_parts
        How many times as many come out: 3 for queries, keys and values.
    n_neighbours
        Tokens that a projection spans; odd. 1 leaves each token by itself.
    bits
        Of a weight; None does not quantise.
    """

    def __init__(
        self, width: int, n_parts: int = 1, *, n_neighbours: int = 3, bits: int | None = None
    ) -> None:
        super().__init__()
        n_outputs = n_parts * width
        self.features = (
            nn.Linear(width, n_outputs, bias=False)
            if bits is None
            else LSQLinear(width, n_outputs, bits=bits)
        )
        self.n_parts = n_parts
        self.neighbours = (
            None if n_neighbours == 1 else NeighbourConv(n_outputs, n_neighbours, bits=bits)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Spikes (n_steps, batch, n_tokens, width) to currents (..., n_parts * width)."""
        currents: Tensor = self.features(x)
        if self.neighbours is None:
            return currents
        near: Tensor = self.neighbours(x.repeat(1, 1, 1, self.n_parts))
        return currents + near
