"""Spike-driven self-attention: projections reach neighbouring tokens, attention all of them.

References: "Spike-driven transformer V2: meta spiking neural network architecture inspiring the
design of next-generation neuromorphic chips", ICLR 2024, arXiv 2404.03663 (the transformer block of
Meta-SpikeFormer), which is ``form="product"``; "Spike-driven transformer", NeurIPS 2023,
arXiv 2307.01694 (SDSA), which is ``form="mask"``: each feature counts over all tokens where two of
query, key and value spike together, and that count's spike lets the third through.
Differences: products are scaled by a batch norm instead of by 1/8; projections as in
`neurodecode.nn.spiking.projection`; with "mask", its projections have neighbours as well.
"""

from typing import Literal, get_args

from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.mixers import MIXERS, attend, by_head, check_heads
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.projection import TokenProjection
from neurodecode.nn.spiking.stateful import FeatureNorm, State, Stateful

Form = Literal["product", "mask"]


@MIXERS.add("sdsa")
class SpikeDrivenAttention(Stateful):
    """Spike-driven self-attention of Spike-driven Transformer V2, or V1's masks.

    Parameters
    ----------
    width
        Features of a token; a multiple of `n_heads`.
    n_heads
        Attention heads; with "mask" every feature is one already, and this is ignored.
    dt
        Length of a step, seconds.
    population
        Makes its neurons.
    form
        How queries meet keys and values: "product" is q (k^T v), linear in the number of tokens as
        there is no softmax; "mask" is q masked by spikes of the sum over tokens of k * v, which
        takes no more than additions.
    n_neighbours
        Tokens that projections span; odd. 1 leaves each token by itself.

    Raises
    ------
    ConfigError
        If heads do not share the features evenly, or for another form.
    """

    def __init__(
        self,
        width: int,
        *,
        n_heads: int = 2,
        dt: float,
        population: Population,
        form: Form = "product",
        n_neighbours: int = 3,
    ) -> None:
        super().__init__()
        if form not in get_args(Form):
            raise ConfigError(f"form='{form}' is not one of {', '.join(get_args(Form))}.")
        self.n_heads = width if form == "mask" else n_heads
        check_heads(width, self.n_heads)
        self.form = form
        self.spikes = population.make(width, dt=dt)
        self.project = TokenProjection(width, 3, n_neighbours=n_neighbours)
        self.project_norm = FeatureNorm(3 * width)
        self.project_spikes = population.make(3 * width, dt=dt)
        self.mixed_norm = FeatureNorm(width)
        self.mixed_spikes = population.make(width, dt=dt)
        self.output = TokenProjection(width, n_neighbours=n_neighbours)
        self.output_norm = FeatureNorm(width)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width) to currents of the same shape."""
        before, projected, mixed = state or (None, None, None)
        x, before = self.spikes(x, before)
        x, projected = self.project_spikes(self.project_norm(self.project(x)), projected)
        if self.form == "product":
            q, k, v = by_head(x, 3, self.n_heads)  # (n_steps, batch, n_heads, n_tokens, features)
            x = attend(q, k, v).transpose(2, 3).flatten(3)
            x, mixed = self.mixed_spikes(self.mixed_norm(x), mixed)
        else:
            q, k, v = x.chunk(3, dim=-1)
            found = (k * v).sum(dim=2, keepdim=True)  # (n_steps, batch, 1, width)
            mask, mixed = self.mixed_spikes(self.mixed_norm(found), mixed)
            x = q * mask
        return self.output_norm(self.output(x)), (before, projected, mixed)
