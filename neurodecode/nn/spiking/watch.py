"""Spikes and membranes of a net while it runs: for losses that need them, and for counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from neurodecode.nn.spiking.neurons import neurons_of


@dataclass(slots=True)
class Watched:
    """What populations did, by their name in the net, one entry for each call.

    Attributes
    ----------
    spikes
        (n_steps, batch, ..., n_features).
    membranes
        The same before the spikes, where they were asked for.
    """

    spikes: dict[str, list[Tensor]] = field(default_factory=dict)
    membranes: dict[str, list[Tensor]] = field(default_factory=dict)


@contextmanager
def watch(net: nn.Module, *, membranes: bool = False) -> Iterator[Watched]:
    """Within the block, what a net's neurons do is kept, with its gradients.

    Parameters
    ----------
    net
        The net; its results do not change.
    membranes
        Whether to keep membranes too, which costs their memory.
    """
    watched = Watched()
    handles = []
    for name, neuron in neurons_of(net):
        kept = watched.spikes.setdefault(name, [])

        def keep(module: nn.Module, given: Any, made: Any, kept: list[Tensor] = kept) -> None:
            kept.append(made[0])

        handles.append(neuron.register_forward_hook(keep))
        if membranes:
            neuron.notes = watched.membranes.setdefault(name, [])
    try:
        yield watched
    finally:
        for handle in handles:
            handle.remove()
        for _, neuron in neurons_of(net):
            neuron.notes = None
