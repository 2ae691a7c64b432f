"""Spatial-temporal attention: tokens of a few steps attend to one another.

Reference: "Spiking transformer with spatial-temporal attention", CVPR 2025, arXiv 2409.19764
(STAtten): steps are taken in chunks, the tokens of a chunk are one set, and attention is
q (k^T v) within it.
Differences: there, every step of a chunk sees the whole chunk, also its later steps, which a
stream cannot; here a step sees the steps of its chunk up to itself. The last step of each chunk
gets what it would get there. Products are scaled by a batch norm instead of a constant.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.mixers import MIXERS, by_head, check_heads
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import FeatureNorm, State, Stateful


@MIXERS.add("statten")
class SpatialTemporalAttention(Stateful):
    """Attention to the tokens of a step and of the steps before it in its chunk (STAtten).

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
    chunk
        Steps of a chunk; chunks follow one another from the first step. 1 is attention within
        each step.

    Raises
    ------
    ConfigError
        If heads do not share the features evenly, or for an empty chunk.
    """

    def __init__(
        self,
        width: int,
        *,
        n_heads: int = 2,
        dt: float,
        population: Population,
        chunk: int = 2,
    ) -> None:
        super().__init__()
        check_heads(width, n_heads)
        if chunk < 1:
            raise ConfigError(f"chunk={chunk} holds no step. Give 1 or more.")
        self.n_heads, self.chunk = n_heads, chunk
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
        found, seen = sum_in_chunk(k.mT @ v, seen, self.chunk)
        x = (q @ found).transpose(2, 3).flatten(3)
        x, mixed = self.mixed_spikes(self.mixed_norm(x), mixed)
        return self.output_norm(self.output(x)), (before, projected, seen, mixed)


def sum_in_chunk(x: Tensor, state: State, chunk: int) -> tuple[Tensor, State]:
    """Sum over the steps of a chunk up to each, (n_steps, ...); same shape.

    The state is how many steps of the chunk are over, a number on the CPU, and their sum.
    """
    done, total = (0, None) if state is None else (int(state[0]), state[1])
    n_steps = len(x)
    if total is not None and done:
        # What is over stands before the first step as a step, and steps of zeros before that.
        x = torch.cat([total.unsqueeze(0), x])
        x = functional.pad(x, (0, 0) * (x.ndim - 1) + (done - 1, 0))
    missing = -len(x) % chunk
    x = functional.pad(x, (0, 0) * (x.ndim - 1) + (0, missing))
    sums = x.view(-1, chunk, *x.shape[1:]).cumsum(1).flatten(0, 1)[done : done + n_steps]
    return sums, (torch.tensor((done + n_steps) % chunk), sums[-1] if n_steps else total)
