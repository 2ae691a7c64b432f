"""Lateral inhibition by feedback: a first pass says what to add to the values of a second.

Reference: "SpiLiFormer: enhancing spiking transformers with lateral inhibition", ICCV 2025,
arXiv 2503.15986 (FB-LiDiff, Section 3.4). Two learned prompts look at the tokens after the first
pass. Where a token resembles the first prompt more than the second it is fed back, and the
reverse inhibits; what is fed back meets the weights of the values and is added to them.
Differences: there, the first pass goes through the whole net and is fed back from its last stage,
which needs a second pass of the net; a mixer only knows itself, so what is fed back is what it
would itself have returned, added to its own membrane. The feedback spikes before it is decoded, so
that weights meet spikes. Each pass has its own batch norms, because their currents differ; weights
and neurons are shared, as there. Prompts begin positive, as spikes are.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.nn.spiking.mixers import MIXERS, attend, by_head, check_heads
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import Chain, FeatureNorm, State, Stateful


@MIXERS.add("lidiff_fb")
class FeedbackInhibition(Stateful):
    """Spiking self-attention twice, the second time with feedback (SpiLiFormer, FB-LiDiff).

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

    Attributes
    ----------
    prompts
        What excites and what inhibits, (2, width).

    Raises
    ------
    ConfigError
        If heads do not share the features evenly.
    """

    def __init__(self, width: int, *, n_heads: int = 2, dt: float, population: Population) -> None:
        super().__init__()
        check_heads(width, n_heads)
        self.n_heads = n_heads
        self.spikes = population.make(width, dt=dt)
        self.project = nn.Linear(width, 2 * width, bias=False)
        self.project_norm = FeatureNorm(2 * width)
        self.project_spikes = population.make(2 * width, dt=dt)
        self.value = nn.Linear(width, width, bias=False)
        self.value_norms = nn.ModuleList(FeatureNorm(width) for _ in range(2))
        self.value_spikes = population.make(width, dt=dt)
        self.mixed_norms = nn.ModuleList(FeatureNorm(width) for _ in range(2))
        self.mixed_spikes = population.make(width, dt=dt)
        self.output = nn.Linear(width, width, bias=False)
        self.output_norms = nn.ModuleList(FeatureNorm(width) for _ in range(2))
        self.prompts = nn.Parameter(torch.randn(2, width).abs())
        self.look = population.make(width, dt=dt)
        self.decode = Chain(
            FeatureNorm(width),
            population.make(width, dt=dt),
            nn.Linear(width, width, bias=False),
            FeatureNorm(width),
            population.make(width, dt=dt),
        )

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width) to currents of the same shape."""
        before, projected, first, looked, decoded, second = state or (None,) * 6
        s, before = self.spikes(x, before)
        qk, projected = self.project_spikes(self.project_norm(self.project(s)), projected)
        value = self.value(s)
        found, first = self._attend(qk, value, 0, first)
        s, looked = self.look(x + found, looked)
        s, decoded = self.decode(s * self._likeness(s), decoded)
        out, second = self._attend(qk, value + self.value(s), 1, second)
        return out, (before, projected, first, looked, decoded, second)

    def _attend(self, qk: Tensor, value: Tensor, number: int, state: State) -> tuple[Tensor, State]:
        """Pass 0 or 1: spikes of queries and keys, and currents of values, to currents."""
        valued, mixed = state or (None, None)
        v, valued = self.value_spikes(self.value_norms[number](value), valued)
        q, k = by_head(qk, 2, self.n_heads)
        (v,) = by_head(v, 1, self.n_heads)
        x = attend(q, k, v).transpose(2, 3).flatten(3)
        x, mixed = self.mixed_spikes(self.mixed_norms[number](x), mixed)
        out: Tensor = self.output_norms[number](self.output(x))
        return out, (valued, mixed)

    def _likeness(self, s: Tensor) -> Tensor:
        """Cosine with the first prompt less that with the second, none below 0; (..., 1)."""
        length = (s.square().sum(-1, keepdim=True) + 1e-6).sqrt()  # a token may have no spike
        cosines = functional.linear(s, functional.normalize(self.prompts, dim=1)) / length
        excites, inhibits = cosines.clamp(0, 1).chunk(2, dim=-1)
        return excites - inhibits
