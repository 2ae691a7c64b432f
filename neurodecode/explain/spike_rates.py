"""Spike rates: how much a spiking net spikes for each electrode and at each moment.

The populations of a net that keep electrodes apart, such as those of `spiking_dbconformer`'s branch
over electrodes, have a rate for each electrode; those whose steps follow one another in the signal
have one for each moment. A map is the mean over all neurons of such populations, each population
counting alike, for a class minus the mean over classes: where the net is busier. It says nothing of
what the spikes are used for. Filters look back, and membranes remember, so that spikes come up to
half a second after what caused them.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neurodecode.explain import EXPLAINERS
from neurodecode.explain.contrast import against_mean
from neurodecode.explain.nets import at_rest, batches
from neurodecode.explain.windows import Axes, Maps, Windows
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.levels import spikes_now
from neurodecode.nn.spiking.neurons import neurons_of
from neurodecode.nn.spiking.watch import watch
from neurodecode.training.estimator import Decoder

Array = NDArray[np.float64]


class Layout(NamedTuple):
    """Which axes of a population's spikes are windows, moments and electrodes; None for none."""

    windows: int
    moments: int | None
    electrodes: int | None


@EXPLAINERS.add("spike_rates")
def spike_rates(decoder: Decoder, windows: Windows) -> Maps | None:
    """Mean spikes of a neuron in a step, for a class minus the mean over classes, signed.

    None for nets whose neurons do not spike. Fact "mean_rate": a neuron's mean spikes in a step,
    all populations counting alike.
    """
    net = decoder.model_
    if not isinstance(net, SpikingDecoder):
        return None
    layouts = layouts_of(net, decoder, windows)
    if not any(layout[1:] != (None, None) for layout in layouts.values()):
        return None
    parts = []
    for _, batch in batches(decoder, windows.x):
        counts = spikes_of(net, batch)
        parts.append(
            in_kinds([(counts[name], layouts[name]) for name in layouts], axes=windows.axes)
        )
    rates = {kind: np.concatenate([part[kind] for part in parts]) for kind in parts[0]}
    mean = float(rates.pop("all").mean())
    kinds = {kind: against_mean(windows.by_class(values)) for kind, values in rates.items()}
    return Maps(kinds=kinds, unit="spikes per step", signed=True, facts={"mean_rate": mean})


def spikes_of(net: SpikingDecoder, x: Tensor) -> dict[str, Array]:
    """Spikes of each population that spikes, counted, in its own shape.

    A spike may stand for another number than 1; here it counts as one. Populations that a net
    calls more than once for a window are left out.
    """
    with torch.no_grad(), watch(net) as watched:
        net(x)
    worth = {n: p.worth() for n, p in neurons_of(net) if spikes_now(p)}
    calls = {name: watched.spikes[name] for name in worth}
    return {
        name: (made[0] / worth[name].to(made[0])).detach().double().cpu().numpy()
        for name, made in calls.items()
        if len(made) == 1
    }


def layouts_of(net: SpikingDecoder, decoder: Decoder, windows: Windows) -> dict[str, Layout]:
    """How the spikes of each population are laid out, for those that keep windows apart.

    Windows are the axis that grows when there are more of them. Steps are before it: samples,
    hops or parts of the window. In nets that see the whole window again and again, steps are no
    moments, but filters before them may keep samples apart, between steps and windows. Electrodes
    are right behind windows, in populations whose name says that they are not tokens of time.
    """
    with at_rest(net) as device:
        two, three = (
            spikes_of(net, torch.from_numpy(decoder.normalized(windows.x[[0] * n])).to(device))
            for n in (2, 3)
        )
    n_chans = windows.x.shape[1]
    first = 2 if net.time.mode == "repeat" else 1  # where windows are, if moments are before them
    layouts = {}
    for name, spikes in two.items():
        grown = [i for i, n in enumerate(spikes.shape) if three[name].shape[i] != n]
        if len(grown) != 1:
            continue
        at = grown[0]
        places = spikes.shape[at + 1 : -1]
        named = "chan" in name or "electrode" in name
        layouts[name] = Layout(
            windows=at,
            moments=at - 1 if at >= first and spikes.shape[at - 1] > 1 else None,
            electrodes=at + 1 if named and places == (n_chans,) else None,
        )
    return layouts


def in_kinds(counts: list[tuple[Array, Layout]], axes: Axes) -> dict[str, Array]:
    """Mean rates of populations by kind, (n_epochs, ...), and "all" in one, (n_epochs,)."""
    found: dict[str, list[Array]] = {"all": [], "chan": [], "time": []}
    for spikes, layout in counts:
        found["all"].append(_mean_over_others(spikes, layout.windows))
        if layout.electrodes is not None:
            found["chan"].append(_mean_over_others(spikes, layout.windows, layout.electrodes))
        if layout.moments is not None:
            rate = _mean_over_others(spikes, layout.windows, layout.moments)
            step = np.arange(axes.n_times) * rate.shape[1] // axes.n_times
            found["time"].append(axes.in_time(rate[:, step]))
    return {kind: np.mean(several, axis=0) for kind, several in found.items() if several}


def _mean_over_others(x: Array, *kept: int) -> Array:
    """Mean over all axes but those kept, in the order in which they are given."""
    ordered = np.moveaxis(x, kept, range(len(kept)))
    return np.asarray(ordered.mean(axis=tuple(range(len(kept), x.ndim))))
