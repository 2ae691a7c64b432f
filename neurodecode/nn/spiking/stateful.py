"""Modules that remember, with the memory in the caller's hands."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
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


def looped(
    run: Callable[[Tensor, State], tuple[Tensor, State]], x: Tensor, state: State
) -> tuple[Tensor, State]:
    """What ``run(x, state)`` gives, as a graph with a loop; unrolled it has nodes for each step.

    Parameters
    ----------
    run
        Of a module that remembers tensors.
    x
        (n_steps, batch, ..., n_features), two steps or more.
    state
        What came before.
    """
    # torch has no public name for it yet, and ONNX export knows it by this one.
    from torch._higher_order_ops import scan

    first, state = run(x[:1], state)  # the memory's shape is known after a step

    def step(state: State, now: Tensor) -> tuple[State, Tensor]:
        out, state = run(now.unsqueeze(0), state)
        return copied(state), out.squeeze(0).clone()

    last, rest = scan(step, copied(state), x[1:])
    return torch.cat([first, rest]), last


def copied(state: State) -> State:
    """The same state in memory of its own."""
    if isinstance(state, Tensor):
        return state.clone()
    return tuple(copied(part) for part in state)
