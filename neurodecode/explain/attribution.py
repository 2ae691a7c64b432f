r"""What each sample of a window adds to the margin, read by electrode, by time and by frequency.

An attribution is a product :math:`a_{ct} = x_{ct} \, g_{ct}` of the normalised window and a
gradient of the margin, averaged along some path. As a window is a sum of sines, the same number is
also a sum over frequencies: by Parseval's theorem,

.. math:: \sum_t x_t g_t = \frac{1}{n} \sum_k w_k \, \mathrm{Re}\,(X_k \overline{G_k})

with the real Fourier transforms X and G and weights w of 1 for 0 Hz and half the sampling rate, 2
for all others. Maps over frequency are therefore no second method: they read the same attribution
along another axis.
"""

from collections.abc import Iterable
from functools import partial

import numpy as np
from captum.attr import Saliency
from numpy.typing import NDArray
from torch import Tensor, nn

from neurodecode.explain.margin import torch_margin
from neurodecode.explain.windows import Axes, Windows

Array = NDArray[np.float64]


def gradient(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Gradient of the margin of `y` (batch,) by each sample of `x`, its shape.

    `x` is marked as wanting gradients.
    """
    found: Tensor = Saliency(partial(torch_margin, net)).attribute(
        x.requires_grad_(), abs=False, additional_forward_args=y
    )
    return found.detach()


def as_array(x: Tensor) -> Array:
    """A tensor of a net, with or without gradients, in double precision; NaN becomes 0.

    A channel that is absent from a window has no part in its margin.
    """
    return np.asarray(np.nan_to_num(x.detach().double().cpu().numpy()))


def by_frequency(x: Array, g: Array) -> Array:
    """Attribution ``x * g`` (..., n_times) by bins of a real Fourier transform, same sum, signed.

    Returns
    -------
    Array
        (..., n_times // 2 + 1).
    """
    n_times = x.shape[-1]
    product = (np.fft.rfft(x, axis=-1) * np.fft.rfft(g, axis=-1).conj()).real
    return np.asarray(product * one_sided(n_times) / n_times)


def one_sided(n_times: int) -> Array:
    """How many bins of the whole transform each bin of the real one stands for, 1 or 2."""
    weights = np.full(n_times // 2 + 1, 2.0)
    weights[0] = 1
    if n_times % 2 == 0:
        weights[-1] = 1
    return weights


def size_by_axis(x: Array, g: Array, axes: Axes) -> dict[str, Array]:
    """Size of the attribution ``x * g`` (n_epochs, n_chans, n_times) in each place, by kind.

    Each map holds sums over what it does not show, so that all are in the unit of the margin. Signs
    are dropped from single samples, or from 1-Hz bins: neighbouring bins of a window that is cut
    out of a rhythm have opposite signs.
    """
    size = np.abs(x * g)
    in_time = axes.in_time(size) * np.diff(axes.time_edges)
    in_freq = np.abs(axes.in_freq(by_frequency(x, g)))
    return {
        "chan": size.sum(axis=2),
        "time": in_time.sum(axis=1),
        "freq": in_freq.sum(axis=1),
        "chan_time": in_time,
        "chan_freq": in_freq,
    }


def class_maps(
    parts: Iterable[tuple[Array, Array]], windows: Windows
) -> dict[str, NDArray[np.float32]]:
    """Mean size of attributions over the windows of each class, by kind.

    Parameters
    ----------
    parts
        Successive windows and their gradients, (n_part, n_chans, n_times) each.
    windows
        All of them.
    """
    sizes = [size_by_axis(x, g, windows.axes) for x, g in parts]
    return {kind: windows.by_class(np.concatenate([s[kind] for s in sizes])) for kind in sizes[0]}
