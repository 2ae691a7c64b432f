"""What the loss of a spiking decoder adds to its cross-entropy, by name.

Each looks at what the neurons of a net did with a batch, and at the logits of each step, and
returns a number to be made small; `weight` says how much it counts. They are added for spiking
decoders only: other nets have neither spikes nor steps.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from neurodecode.core.errors import ConfigError
from neurodecode.core.options import check_options
from neurodecode.core.registry import Registry
from neurodecode.nn.spiking.neurons.hoyer import hoyer_penalty
from neurodecode.nn.spiking.watch import Watched

Penalty = Callable[[Watched, Tensor], Tensor]

PENALTIES: Registry[Callable[..., Tensor]] = Registry("penalty", package="neurodecode.training")


def choose_penalties(choice: Sequence[str] | Mapping[str, Any]) -> list[Penalty]:
    """Penalties in the order they are named, each with its options.

    Parameters
    ----------
    choice
        Names, or a table of options for each name.

    Raises
    ------
    UnknownName
        For a penalty or an option that does not exist.
    """
    table = choice if isinstance(choice, Mapping) else dict.fromkeys(choice, {})
    chosen: list[Penalty] = []
    for name, options in table.items():
        penalty = PENALTIES.get(name)
        if not isinstance(options, Mapping):
            raise ConfigError(
                f"penalties.{name} = {options!r}: write penalties.{name}.OPTION = value."
            )
        check_options(penalty, options, where=f"[train.penalties.{name}]")
        chosen.append(partial(penalty, **options))
    return chosen


@PENALTIES.add("rate")
def rate(watched: Watched, steps: Tensor, *, weight: float = 1.0, target: float = 0.1) -> Tensor:
    """Spikes above a budget: how far the rate of each population exceeds `target`, squared.

    Parameters
    ----------
    watched, steps
        See the module.
    weight
        How much it counts.
    target
        Spikes of a neuron per step that cost nothing.
    """
    rates = torch.stack([s.mean() for s in _all(watched.spikes)])
    return weight * (rates - target).clamp(min=0).square().sum()


@PENALTIES.add("membrane")
def membrane(watched: Watched, steps: Tensor, *, weight: float = 0.1) -> Tensor:
    """Membranes that are neither at rest nor at the threshold: what a spike rounds away.

    Reference: "RMP-Loss: regularizing membrane potential distribution for spiking neural networks",
    ICCV 2023, arXiv 2308.06787. Its idea; the distance here is the squared one to the nearer of 0
    and 1, averaged over neurons and steps.

    Parameters
    ----------
    watched, steps
        See the module.
    weight
        How much it counts.
    """
    each = [torch.minimum(h.square(), (h - 1).square()).mean() for h in _all(watched.membranes)]
    return weight * torch.stack([steps.new_zeros(()), *each]).sum() / max(1, len(each))


@PENALTIES.add("hoyer")
def hoyer(watched: Watched, steps: Tensor, *, weight: float = 1e-6) -> Tensor:
    """Hoyer's sparsity of membranes: the square of their sum over the sum of their squares.

    Reference: "Hoyer regularizer is all you need for ultra low-latency spiking neural networks",
    arXiv 2212.10170.

    Parameters
    ----------
    watched, steps
        See the module.
    weight
        How much it counts; the term itself grows with the number of neurons.
    """
    each = [hoyer_penalty(h.clamp(0, 1)) for h in _all(watched.membranes)]
    return weight * torch.stack([steps.new_zeros(()), *each]).sum()


@PENALTIES.add("aoi")
def aoi(watched: Watched, steps: Tensor, *, weight: float = 0.5) -> Tensor:
    """Decisions that change with more steps: how far those so far point away from the last.

    Reference: "Optimising event-driven spiking neural network with regularisation and cutoff",
    Frontiers in Neuroscience 2025, arXiv 2301.09522 (its cosine similarity of outputs).

    Parameters
    ----------
    watched, steps
        See the module.
    weight
        How much it counts.
    """
    if len(steps) < 2:
        return steps.new_zeros(())
    so_far = steps - steps.mean(dim=2, keepdim=True)  # a constant added to all decides nothing
    so_far = so_far.cumsum(dim=0)
    cosine = functional.cosine_similarity(so_far[:-1], so_far[-1:], dim=2)
    return weight * (1 - cosine).mean()


def _all(found: Mapping[str, Sequence[Tensor]]) -> list[Tensor]:
    """What every population did; some neurons have no membranes to hand over."""
    return [tensor for tensors in found.values() for tensor in tensors]
