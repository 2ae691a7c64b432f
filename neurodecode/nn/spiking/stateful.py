"""Modules that remember, with the memory in the caller's hands."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

State = Any
"""What a module remembers: None before the first step, then tensors in tuples."""


class Stateful(nn.Module):
    """A module called as ``y, state = module(x, state)``, with ``state=None`` at the beginning.

    `x` is (n_steps, batch, ..., n_features) for neurons and blocks. Given in pieces, with the state
    handed on, it returns what it returns for the whole.
    """

    def __call__(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Run the module."""
        out: tuple[Tensor, State] = super().__call__(x, state)
        return out


class Chain(Stateful):
    """Modules one after the other, whether they remember or not.

    Parameters
    ----------
    modules
        In order; `Stateful` ones are handed their own state.
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Run every part; the state is a tuple of theirs."""
        states = []
        for part, before in zip(self.parts, state or (None,) * len(self.parts), strict=True):
            after = None
            if isinstance(part, Stateful):
                x, after = part(x, before)
            else:
                x = part(x)
            states.append(after)
        return x, tuple(states)


class FeatureNorm(nn.BatchNorm1d):
    """Batch norm of the last axis, over all others; the statistics are shared by all steps."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., n_features); same shape."""
        normed: Tensor = super().forward(x.reshape(-1, x.shape[-1]))
        return normed.view(x.shape)


def detached(state: State) -> State:
    """The same state, cut off from the gradients of what made it."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, Iterable):
        return tuple(detached(part) for part in state)
    return state
