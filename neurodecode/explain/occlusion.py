"""Occlusion: what the margin loses when a part of the window says nothing of its class.

A part is taken out by putting the same part of another window in its place (see
`neurodecode.explain.swapped` for why not zeros), so the method serves every decoder. Loss is what
the part adds beside all others: a part whose news is also elsewhere loses little.

Reference: "Visualizing and understanding convolutional networks", ECCV 2014, arXiv 1311.2901
(occlusion); "Random forests", Machine Learning 2001, doi:10.1023/A:1010933404324 (permuting a part
over the cases in place of blanking it).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.seeding import generator
from neurodecode.explain import EXPLAINERS
from neurodecode.explain.margin import margins, unit_of
from neurodecode.explain.swapped import (
    Array,
    derangement,
    swap_band,
    swap_channels,
    swap_times,
)
from neurodecode.explain.windows import Axes, Maps, Windows
from neurodecode.training.estimator import Decoder

STRETCH = 0.5
"""Of time, s."""
BAND = 4.0
"""Of frequency, Hz."""

Losses = NDArray[np.float64]


@EXPLAINERS.add("occlusion")
def occlusion(decoder: Decoder, windows: Windows) -> Maps | None:
    """Loss of margin when a channel, half a second or 4 Hz come from another window, signed.

    Above 0, the part speaks for the class. What a stretch or a band loses is shared among its bins.
    None where there is no other window.
    """
    if len(windows.x) < 2:
        return None
    axes, x = windows.axes, windows.x
    whole = margins(decoder, x, windows.y)
    order = derangement(len(x), generator(0, "occlusion"))

    def loss(swapped: Array) -> Losses:
        return np.asarray(whole - margins(decoder, swapped, windows.y))

    def without_chan(chan: int) -> Losses:
        return loss(swap_channels(x, chan, order))

    def without_times(samples: slice) -> Losses:
        return loss(swap_times(x, samples, order))

    def without_band(band: tuple[float, float]) -> Losses:
        return loss(swap_band(x, band, order, sfreq=axes.sfreq))

    kinds = {
        "chan": np.stack([without_chan(chan) for chan in range(x.shape[1])], axis=1),
        "time": over_time(without_times, axes),
        "freq": over_freqs(without_band, axes),
    }
    by_class = {kind: windows.by_class(values) for kind, values in kinds.items()}
    return Maps(kinds=by_class, unit=unit_of(decoder), signed=True)


def over_time(loss: Callable[[slice], Losses], axes: Axes) -> Losses:
    """Losses by stretch, shared evenly among its samples, by bin of time, (n_epochs, n_bins)."""
    n = max(1, round(axes.n_times / axes.sfreq / STRETCH))
    edges = np.round(np.linspace(0, axes.n_times, n + 1)).astype(int)
    columns = []
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        each = loss(slice(int(start), int(stop))) / (stop - start)
        columns.append(np.repeat(each[:, None], stop - start, axis=1))
    return axes.in_time(np.concatenate(columns, axis=1)) * np.diff(axes.time_edges)


def over_freqs(loss: Callable[[tuple[float, float]], Losses], axes: Axes) -> Losses:
    """Losses by band, shared evenly among its bins of frequency, (n_epochs, n_freqs)."""
    freqs = axes.freqs
    step = freqs[1] - freqs[0] if len(freqs) > 1 else freqs[0]
    n = max(1, round(BAND / step))
    columns = []
    for first in range(0, len(freqs), n):
        some = freqs[first : first + n]
        each = loss((some[0] - step / 2, some[-1] + step / 2)) / len(some)
        columns.append(np.repeat(each[:, None], len(some), axis=1))
    return np.concatenate(columns, axis=1)
