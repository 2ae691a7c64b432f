"""Whether numbers are spikes: found in the numbers, not in what made them."""

from collections.abc import Iterable

import torch
from torch import Tensor

from neurodecode.nn.spiking.neurons import Neuron

MOST = 16
"""Spikes that one number may stand for; with more it is a number."""


def spike_counts(x: Tensor, heights: Tensor) -> Tensor | None:
    """How many spikes each number stands for, same shape; None if these are not spikes.

    Spikes are 0 or whole multiples, up to `MOST`, of the heights of the net's own neurons, which
    may differ from feature to feature, and of 1; or else of any one value. A sign says whether a
    weight is added or subtracted, and is not looked at. No scale is fitted to each feature: for a
    single window, the output of any rectifier would then be spikes.

    Parameters
    ----------
    x
        Any numbers.
    heights
        As `heights_of` returns them; empty where no neuron of the net spikes. There zeros alone
        are not taken for silence, nor a single number for a spike.
    """
    size = x.detach().abs()
    active = size[size > 0]
    if active.numel() == 0:
        return size if heights.numel() else None
    if _multiples(active[:256], heights) is not None:  # the first few tell most that are numbers
        counts = _multiples(size, heights)
        if counts is not None:
            return counts
    if active.numel() == 1 or (heights.numel() and _are_whole(active)):
        return None  # whole, and more than a count
    scale = _scale(active)
    return None if scale is None else (size / scale).round()


def heights_of(neurons: Iterable[Neuron]) -> Tensor:
    """Distinct heights of the spikes of those neurons that spike, (n,)."""
    found = [neuron.worth().detach().flatten() for neuron in neurons if spikes_now(neuron)]
    return torch.unique(torch.cat([torch.ones(1), *found])) if found else torch.empty(0)


def spikes_now(neuron: Neuron) -> bool:
    """Whether a population spikes in the form that it has."""
    return neuron.is_spiking and neuron.form == "spiking"


def _scale(active: Tensor) -> Tensor | None:
    """The value that all of these are whole multiples of, if there is one."""
    least, most = active.min(), active.max()
    for divisor in range(1, MOST + 1):
        scale = least / divisor
        if most > (MOST + 0.5) * scale:
            return None
        if _are_whole(active[:256] / scale) and _are_whole(active / scale):
            return scale
    return None


def _are_whole(multiples: Tensor) -> bool:
    return bool(((multiples - multiples.round()).abs() <= 1e-5 * multiples).all())


def _multiples(size: Tensor, heights: Tensor) -> Tensor | None:
    """Whole multiples of heights, wherever each number comes from; None if one is not."""
    if heights.numel() == 0:
        return None
    table = torch.cat([heights * k for k in range(1, MOST + 1)]).to(size)
    counts = torch.arange(1, MOST + 1).repeat_interleave(len(heights)).to(size)
    table, order = table.sort(stable=True)
    index = torch.searchsorted(table, (size * (1 - 1e-6)).contiguous()).clamp(max=len(table) - 1)
    fits = (table[index] - size).abs() <= 2e-6 * size
    if not bool((fits | (size == 0)).all()):
        return None
    return torch.where(size > 0, counts[order][index], 0.0)
