r"""Lateral inhibition: what an excitatory attention finds, less what an inhibitory one finds.

Reference: "SpiLiFormer: enhancing spiking transformers with lateral inhibition", ICCV 2025,
arXiv 2503.15986 (FF-LiDiff, Section 3.3). There, queries are split in two halves, and a token's key
is let through where its excitatory queries outnumber the inhibitory ones: that is ``form="mask"``.
It takes no other token into account, so the default ``form="product"`` has the difference of two
maps in its place,

.. math:: o = (q^+ k^{+\mathsf T} - \lambda\, q^- k^{-\mathsf T})\, v

which suppresses what both halves of a head find in other tokens.
Differences: the product; the weight of inhibition, which is learned for each head and begins at
the paper's 1; and the input spikes before it is projected.
"""

from typing import get_args

import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.mixers import MIXERS, attend, by_head, check_heads
from neurodecode.nn.spiking.mixers.sdsa import Form
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import FeatureNorm, State, Stateful


@MIXERS.add("lidiff")
class LateralInhibition(Stateful):
    """Difference of two spiking attentions, the second inhibitory (SpiLiFormer, FF-LiDiff).

    Parameters
    ----------
    width
        Features of a token; a multiple of ``2 * n_heads``.
    n_heads
        Attention heads; half of each excites, half inhibits.
    dt
        Length of a step, seconds.
    population
        Makes its neurons.
    form
        "product" is the difference of two maps, applied to values; "mask" is the paper's: the
        difference of two counts of a token's own queries, whose spike lets its key through.

    Attributes
    ----------
    inhibition
        Weight of what inhibits, (n_heads,).

    Raises
    ------
    ConfigError
        If the halves of heads do not share the features evenly, or for another form.
    """

    def __init__(
        self,
        width: int,
        *,
        n_heads: int = 2,
        dt: float,
        population: Population,
        form: Form = "product",
    ) -> None:
        super().__init__()
        check_heads(width, n_heads, parts=2)
        if form not in get_args(Form):
            raise ConfigError(f"form='{form}' is not one of {', '.join(get_args(Form))}.")
        self.n_heads, self.form = n_heads, form
        n_parts, n_mixed = (3, width) if form == "product" else (2, n_heads)
        self.spikes = population.make(width, dt=dt)
        self.project = nn.Linear(width, n_parts * width, bias=False)
        self.project_norm = FeatureNorm(n_parts * width)
        self.project_spikes = population.make(n_parts * width, dt=dt)
        self.inhibition = nn.Parameter(torch.ones(n_heads))
        self.mixed_norm = FeatureNorm(n_mixed)
        self.mixed_spikes = population.make(n_mixed, dt=dt)
        self.output = nn.Linear(width, width, bias=False)
        self.output_norm = FeatureNorm(width)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width) to currents of the same shape."""
        before, projected, mixed = state or (None, None, None)
        x, before = self.spikes(x, before)
        x, projected = self.project_spikes(self.project_norm(self.project(x)), projected)
        if self.form == "product":
            q, k, v = by_head(x, 3, self.n_heads)  # (n_steps, batch, n_heads, n_tokens, features)
            (q, q_not), (k, k_not) = q.chunk(2, dim=-1), k.chunk(2, dim=-1)
            weight = self.inhibition.view(-1, 1, 1)
            x = attend(q, k, v) - weight * attend(q_not, k_not, v)
            x = x.transpose(2, 3).flatten(3)
            x, mixed = self.mixed_spikes(self.mixed_norm(x), mixed)
        else:
            q, k = x.view(*x.shape[:-1], 2, self.n_heads, -1).unbind(3)
            count, count_not = (half.sum(-1) for half in q.chunk(2, dim=-1))
            gate = count - self.inhibition * count_not  # (n_steps, batch, n_tokens, n_heads)
            gate, mixed = self.mixed_spikes(self.mixed_norm(gate), mixed)
            x = (gate.unsqueeze(-1) * k).flatten(3)
        return self.output_norm(self.output(x)), (before, projected, mixed)
