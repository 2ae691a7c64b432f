r"""Spiking RWKV: an average of all tokens so far, whose weights fade.

For each feature, with keys :math:`k`, values :math:`v`, a decay :math:`d` and a bonus :math:`b`,

.. math::
    o_t = \sigma(r_t)\, \frac{\sum_{i<t} d^{\,t-1-i} e^{k_i} v_i + e^{b + k_t} v_t}
    {\sum_{i<t} d^{\,t-1-i} e^{k_i} + e^{b + k_t}}

Reference: "SpikeGPT: generative pre-trained language model with spiking neural networks",
TMLR 2024, arXiv 2302.13939 (its spiking RWKV).
Differences: the sequence is the tokens of a step in their order, then those of the next step, as
patches of a window follow one another in time; decays are time constants in ms, and a token lasts
its share of a step. Input and values are spikes, and what is gated spikes before the output's
weights. Token shift mixes each feature of a token with that of the token before by a learned
share, before weights; here both tokens have weights, which says more and meets spikes.
"""

import math

import torch
from torch import Tensor, nn

from neurodecode.nn.spiking.kernel import membrane
from neurodecode.nn.spiking.mixers import MIXERS
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import FeatureNorm, State, Stateful
from neurodecode.nn.spiking.surrogates import surrogate

LARGEST = 30.0
"""Keys beyond are clipped: e^30 times any number of tokens is finite, and e^-30 is not zero."""

ANY = surrogate("rectangle")  # a membrane that never spikes has no use for one


@MIXERS.add("rwkv")
class SpikingRWKV(Stateful):
    """Fading average of the tokens so far, over steps and in a step in order (SpikeGPT's RWKV).

    Parameters
    ----------
    width
        Features of a token.
    n_heads
        Ignored: every feature has its own decay, and no product goes across features.
    dt
        Length of a step, seconds.
    population
        Makes its neurons.

    Attributes
    ----------
    log_tau
        Logarithm of time constants, ms, (width,); they begin from half a step to twenty.
    bonus
        What the present token's key has on top, (width,).
    """

    def __init__(self, width: int, *, n_heads: int = 2, dt: float, population: Population) -> None:
        super().__init__()
        self.dt = dt
        self.spikes = population.make(width, dt=dt)
        self.project = nn.Linear(2 * width, 3 * width, bias=False)
        self.project_norm = FeatureNorm(3 * width)
        self.value_spikes = population.make(width, dt=dt)
        first, last = math.log(500 * dt), math.log(20_000 * dt)
        self.log_tau = nn.Parameter(torch.linspace(first, last, width))
        self.bonus = nn.Parameter(torch.full((width,), math.log(0.3)))  # SpikeGPT's beginning
        self.mixed_norm = FeatureNorm(width)
        self.mixed_spikes = population.make(width, dt=dt)
        self.output = nn.Linear(width, width, bias=False)
        self.output_norm = FeatureNorm(width)

    def set_dt(self, dt: float) -> None:
        """Make steps another length; time constants stay what they are in ms."""
        self.dt = dt

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width) to currents of the same shape."""
        before, last, valued, sums, mixed = state or (None, None, None, None, None)
        x, before = self.spikes(x, before)
        both, last = with_previous(x, last)
        r, k, v = self.project_norm(self.project(both)).chunk(3, dim=-1)
        v, valued = self.value_spikes(v, valued)
        decay = (-self.dt * 1e3 / x.shape[2] * (-self.log_tau).exp()).exp()
        average, sums = fading_average(in_order(k), in_order(v), decay, self.bonus, sums)
        average = by_step(average, len(x))
        x, mixed = self.mixed_spikes(self.mixed_norm(r.sigmoid() * average), mixed)
        return self.output_norm(self.output(x)), (before, last, valued, sums, mixed)


def in_order(x: Tensor) -> Tensor:
    """(n_steps, batch, n_tokens, width) to one sequence (n_steps * n_tokens, batch, width)."""
    return x.transpose(1, 2).flatten(0, 1)


def by_step(sequence: Tensor, n_steps: int) -> Tensor:
    """The reverse of `in_order`."""
    return sequence.view(n_steps, -1, *sequence.shape[1:]).transpose(1, 2)


def with_previous(x: Tensor, last: Tensor | None) -> tuple[Tensor, Tensor]:
    """Each token with the one before, (..., 2 * width), and the last, (batch, width)."""
    sequence = in_order(x)
    last = torch.zeros_like(sequence[:1]) if last is None else last.unsqueeze(0)
    shifted = by_step(torch.cat([last, sequence[:-1]]), len(x))
    return torch.cat([x, shifted], dim=-1), sequence[-1]


def fading_average(
    k: Tensor, v: Tensor, decay: Tensor, bonus: Tensor, state: State
) -> tuple[Tensor, State]:
    """Weighted averages of values so far; all (n_tokens, batch, width).

    Both sums are leaky membranes that never spike, so the compiled kernel takes all tokens at
    once. Keys are clipped, so no running maximum has to be taken out of the exponentials.

    Parameters
    ----------
    k, v
        Keys and values.
    decay, bonus
        For each feature, (width,); decays in (0, 1).
    state
        Both sums, (2, batch, width).
    """
    k = k.clamp(-LARGEST, LARGEST)
    weight = k.exp()
    terms = torch.stack([weight * v, weight], dim=1)  # (n_tokens, 2, batch, width)
    start = torch.zeros_like(terms[0]) if state is None else state
    never = torch.full_like(decay[:1], 1e30)
    _, last, sums = membrane(
        terms, start, decay=decay, threshold=never, reset="none", surrogate=ANY, keep=True
    )
    assert sums is not None
    past = torch.cat([start.unsqueeze(0), sums[:-1]])
    present = (k + bonus).clamp(-LARGEST, LARGEST).exp()
    top, bottom = past.unbind(1)
    return (top + present * v) / (bottom + present), last
