"""Spiking self-attention: products of spikes in place of a softmax.

Reference: "Spikformer V2: join the high accuracy club on ImageNet with an SNN ticket",
arXiv 2401.02020, and "Spikformer: when spiking neural network meets transformer", ICLR 2023
(Section 3.3). Differences: the input spikes before it is projected, and the output is added to the
membrane and not to spikes, so that weights only ever meet spikes; products are scaled by a batch
norm instead of a constant that suits one number of tokens; tokens of earlier steps are attended to
as well where `memory` says so, which a sum over ``k^T v`` makes possible, as there is no softmax.
"""

from typing import Literal

from torch import Tensor, nn

from neurodecode.nn.spiking.mixers import MIXERS, attend, by_head, check_heads
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import FeatureNorm, State, Stateful


@MIXERS.add("ssa")
class SpikingSelfAttention(Stateful):
    """Spiking self-attention: q (k^T v), all of them spikes, without a softmax (Spikformer V2).

    Parameters
    ----------
    width
        Features of a token; a multiple of `n_heads`.
    n_heads
        Attention heads.
    dt
        Length of a step, seconds.
    population
        Makes its neurons.
    memory
        Whose keys a step sees: those of the same "step", or of all steps so "far".

    Raises
    ------
    ConfigError
        If heads do not share the features evenly.
    """

    def __init__(
        self,
        width: int,
        *,
        n_heads: int = 2,
        dt: float,
        population: Population,
        memory: Literal["step", "far"] = "step",
    ) -> None:
        super().__init__()
        check_heads(width, n_heads)
        self.n_heads, self.memory = n_heads, memory
        self.endless = memory != "far"  # a sum over all steps suits a window, not a stream
        self.spikes = population.make(width, dt=dt)
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.project_norm = FeatureNorm(3 * width)
        self.project_spikes = population.make(3 * width, dt=dt)
        self.mixed_norm = FeatureNorm(width)
        self.mixed_spikes = population.make(width, dt=dt)
        self.output = nn.Linear(width, width, bias=False)
        self.output_norm = FeatureNorm(width)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width) to currents of the same shape."""
        before, projected, seen, mixed = state or (None, None, None, None)
        x, before = self.spikes(x, before)
        x, projected = self.project_spikes(self.project_norm(self.project(x)), projected)
        q, k, v = by_head(x, 3, self.n_heads)  # (n_steps, batch, n_heads, n_tokens, features)
        if self.memory == "far":
            found = (k.mT @ v).cumsum(0)  #      (n_steps, batch, n_heads, features, features)
            found = found if seen is None else found + seen
            seen, x = found[-1], q @ found
        else:
            x = attend(q, k, v)
        x = x.transpose(2, 3).flatten(3)
        x, mixed = self.mixed_spikes(self.mixed_norm(x), mixed)
        return self.output_norm(self.output(x)), (before, projected, seen, mixed)
