"""Fewer tokens: by a convolution, or without losing what is fast, by a maximum next to a stride.

Reference: "Spiking neural networks need high-frequency information", NeurIPS 2025,
arXiv 2505.18608 (Max-Former, its patch embedding: a max-pool after the norm, and a short cut).
Differences: tokens are projected by themselves before the maximum, not with their neighbours, and
once instead of twice; one axis of tokens instead of two.
"""

from torch import Tensor, nn
from torch.nn import functional

from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import FeatureNorm, State, Stateful


class StrideEmbed(Stateful):
    """Half as many tokens, rounded up: a convolution over three, every second of them.

    The spiking convolutional stem of Spikformer V2 (arXiv 2401.02020) is a few of these.

    Parameters
    ----------
    width
        Features of a token.
    n_outputs
        Features of a token afterwards; by default as many.
    dt
        Length of a step, seconds.
    population
        Makes its neurons.
    """

    def __init__(
        self, width: int, n_outputs: int | None = None, *, dt: float, population: Population
    ) -> None:
        super().__init__()
        n_outputs = n_outputs or width
        self.spikes = population.make(width, dt=dt)
        self.project = nn.Linear(3 * width, n_outputs, bias=False)
        self.project_norm = FeatureNorm(n_outputs)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width) to (..., ceil(n_tokens / 2), n_outputs)."""
        x, state = self.spikes(x, state)
        x = functional.pad(x, (0, 0, 1, 1))  # beyond the first and the last token nothing spikes
        if x.shape[2] % 2 == 0:
            x = functional.pad(x, (0, 0, 0, 1))
        near = x.unfold(2, 3, 2).flatten(3)  #  (n_steps, batch, ceil(n_tokens / 2), width * 3)
        return self.project_norm(self.project(near)), state


class MaxPoolEmbed(Stateful):
    """Half as many tokens, rounded up: the largest currents of three, plus every second token's.

    Parameters
    ----------
    width
        Features of a token.
    n_outputs
        Features of a token afterwards; by default as many.
    dt
        Length of a step, seconds.
    population
        Makes its neurons.
    """

    def __init__(
        self, width: int, n_outputs: int | None = None, *, dt: float, population: Population
    ) -> None:
        super().__init__()
        n_outputs = n_outputs or width
        self.spikes = population.make(width, dt=dt)
        self.pooled = nn.Linear(width, n_outputs, bias=False)
        self.pooled_norm = FeatureNorm(n_outputs)
        self.kept = nn.Linear(width, n_outputs, bias=False)
        self.kept_norm = FeatureNorm(n_outputs)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width) to (..., ceil(n_tokens / 2), n_outputs)."""
        (before,) = state or (None,)
        x, before = self.spikes(x, before)
        kept: Tensor = self.kept_norm(self.kept(x[:, :, ::2]))
        pooled = self.pooled_norm(self.pooled(x)).flatten(0, 1)
        pooled = functional.max_pool1d(pooled.mT, kernel_size=3, stride=2, padding=1).mT
        return kept + pooled.reshape(kept.shape), (before,)
