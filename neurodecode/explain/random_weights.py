"""Nets like a fitted one with random weights: what a map looks like that nothing was learned for.

Reference: "Sanity checks for saliency maps", NeurIPS 2018, arXiv 1810.03292 (weights are made
random all at once, or layer by layer from the output); for EEG, "An empirical comparison of deep
learning explainability approaches for EEG using simulated ground truth", Scientific Reports 2023,
doi:10.1038/s41598-023-43871-8. Difference: batch norms are then given the statistics of training
windows, without which a random net's signals vanish or explode and its maps fail for that reason.
"""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from neurodecode.core.seeding import derive_seed
from neurodecode.training.estimator import Decoder
from neurodecode.training.net import own_random_state

ENOUGH = 256
"""Windows that a batch norm's statistics are taken from."""
MOST_STAGES = 8
"""Layers that are made random one after the other; of more, neighbours go together."""


def is_net(decoder: Decoder) -> bool:
    """Whether a decoder has weights that could be made random."""
    return isinstance(decoder.model_, nn.Module)


def with_random_weights(
    decoder: Decoder, draw: int | None, x_train: NDArray[np.float32]
) -> Decoder:
    """The same net before it learned anything.

    Parameters
    ----------
    decoder
        A fitted net; it stays as it is.
    draw
        Number of the draw; None for the very weights that its training started from.
    x_train
        Training windows, (n_epochs, n_chans, n_times), microvolts.
    """
    out = copy.copy(decoder)
    if draw is not None:
        out.seed = derive_seed(decoder.seed, "random weights", str(draw))
    device = next(decoder.model_.parameters()).device
    out.model_ = out.build(decoder.spec_).to(device).eval()
    _settle(out, x_train)
    return out


def settled(decoder: Decoder, x_train: NDArray[np.float32]) -> Decoder:
    """A copy of a fitted net whose batch norms have the statistics of training windows too.

    It differs from its own start by what was learned alone: the statistics of few steps are still
    near the 0 and 1 that norms begin with.
    """
    out = copy.copy(decoder)
    out.model_ = copy.deepcopy(decoder.model_)
    _settle(out, x_train)
    return out


def cascade(
    decoder: Decoder, x_train: NDArray[np.float32], draw: int = 0
) -> Iterator[tuple[str, Decoder]]:
    """The net with more and more of its layers random, from the output to the input.

    Gives the name of the layers that became random, and the net; the fitted one stays as it is.
    """
    fresh = with_random_weights(decoder, draw, x_train).model_.state_dict()
    out = settled(decoder, x_train)
    for name, keys in stages(out.model_):
        state = out.model_.state_dict()
        out.model_.load_state_dict({**state, **{key: fresh[key] for key in keys}})
        _settle(out, x_train)
        yield name, out


def stages(net: nn.Module) -> list[tuple[str, list[str]]]:
    """Names of layers, from the output to the input, with the entries of each in `state_dict`.

    Layers stand in the order in which a net defines them. Parameters of the net itself come last.
    """
    groups: dict[str, list[str]] = {}
    learned = {name for name, _ in net.named_parameters()}
    for key in net.state_dict():
        parts = key.split(".")
        if key in learned:
            groups.setdefault(_layer(net, parts), []).append(key)
    own = {name: keys for name, keys in groups.items() if "." not in keys[0]}
    order = [*reversed([name for name in groups if name not in own]), *own]
    size = -(-len(order) // MOST_STAGES)
    chunks = [order[i : i + size] for i in range(0, len(order), size)]
    return [(", ".join(chunk), [k for name in chunk for k in groups[name]]) for chunk in chunks]


def _layer(net: nn.Module, parts: list[str]) -> str:
    """The layer of a parameter: a child of the net, or of a sequence that is one."""
    child = net
    for depth, part in enumerate(parts[:-1], 1):
        child = getattr(child, part)
        if not isinstance(child, nn.Sequential | nn.ModuleList):
            return ".".join(parts[:depth])
    return ".".join(parts)


def _settle(decoder: Decoder, x_train: NDArray[np.float32]) -> None:
    """Give batch norms the statistics of training windows; nothing else is changed."""
    norms = [part for part in decoder.model_.modules() if isinstance(part, _BatchNorm)]
    if not norms:
        return
    pick = np.linspace(0, len(x_train) - 1, min(ENOUGH, len(x_train))).astype(int)
    device = next(decoder.model_.parameters()).device
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = 1.0  # all of it: there is a single pass
        norm.train()
    with own_random_state(device), torch.no_grad():
        decoder.model_(torch.as_tensor(decoder.normalized(x_train[pick]), device=device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
