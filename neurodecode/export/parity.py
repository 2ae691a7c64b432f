"""Whether a graph computes what a net computes: spike for spike, and its logits."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurodecode.core.seeding import generator
from neurodecode.export import reference
from neurodecode.export.nir import node_name
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.neurons import neurons_of
from neurodecode.nn.spiking.watch import watch

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far a net and a graph are from each other.

    Attributes
    ----------
    n_windows
        Compared.
    n_steps
        Of all neurons in all windows: so many times a neuron spiked or did not.
    n_spikes
        Of the net.
    differing
        Steps at which one spiked and the other did not, where both add up in double precision.
    differing_single
        The same with the net as it is: its sums are of single precision, rounded in another order,
        so that a membrane may end just on the other side of its threshold.
    max_logit_difference
        Largest difference of a logit, both adding up in double precision.
    """

    n_windows: int
    n_steps: int
    n_spikes: int
    differing: int
    differing_single: int
    max_logit_difference: float


def precise(net: nn.Module) -> nn.Module:
    """A copy of a net, in evaluation, that adds up in double precision.

    Its membranes stay in single precision, in the same kernel. Sums come out alike in whatever
    order they are taken, so two ways to compute the net can be compared spike for spike.
    """
    twin = deepcopy(net).cpu().double().eval()
    for _, neuron in neurons_of(twin):
        neuron.float()
        neuron.register_forward_pre_hook(lambda _, given: (given[0].float(), *given[1:]))
        neuron.register_forward_hook(lambda _, given, made: (made[0].double(), *made[1:]))
    return twin


def compare(net: SpikingDecoder, graph: Any, x: Array, mean: Array, scale: Array) -> Parity:
    """Compare a decoder and its graph.

    Parameters
    ----------
    net
        The decoder, which sees normalised windows.
    graph
        Its graph, which takes microvolts.
    x
        Windows, (n_windows, n_chans, n_times), microvolts.
    mean, scale
        As for `to_graph`.
    """
    net = deepcopy(net).cpu().eval()
    exact, dt = precise(net), float(graph.metadata["dt"])
    counts, furthest = np.zeros(4, int), 0.0
    for window in x.astype(np.float64)[:, None]:  # one at a time: delayed copies take memory
        seen = torch.from_numpy((window - mean) / scale)
        logits, ours = _spikes(exact, seen)
        _, single = _spikes(net, seen.float())
        made = reference.run(graph, np.moveaxis(window, -1, 0), dt=dt)
        for name, spikes in ours.items():
            theirs = made[name] != 0
            counts += [
                spikes.size,
                spikes.sum(),
                (spikes != theirs).sum(),
                (single[name] != theirs).sum(),
            ]
        (output,) = (n for n, node in graph.nodes.items() if type(node).__name__ == "Output")
        furthest = max(furthest, float(np.abs(made[output][-1] - logits).max()))
    n_steps, n_spikes, differing, differing_single = map(int, counts)
    return Parity(
        n_windows=len(x),
        n_steps=n_steps,
        n_spikes=n_spikes,
        differing=differing,
        differing_single=differing_single,
        max_logit_difference=furthest,
    )


def random_windows(n: int, n_times: int, mean: Array, scale: Array, *, seed: int = 0) -> Array:
    """Windows of noise that is strong where EEG is, at low frequencies.

    Every channel of every window has its mean and its deviation, (n_chans, 1), so that normalised
    they are standard; (n, n_chans, n_times).
    """
    x = generator(seed, "random windows").standard_normal((n, len(mean), n_times))
    for t in range(1, n_times):
        x[..., t] += 0.9 * x[..., t - 1]
    x -= x.mean(axis=-1, keepdims=True)
    return np.asarray(mean + scale * x / x.std(axis=-1, keepdims=True))


def _spikes(net: nn.Module, x: Tensor) -> tuple[Array, dict[str, NDArray[np.bool_]]]:
    with torch.inference_mode(), watch(net) as watched:
        logits = net(x).double().numpy()
    found: Iterator[tuple[str, list[Tensor]]] = iter(watched.spikes.items())
    return logits, {node_name(name): (made[0] != 0).numpy() for name, made in found}
