r"""Integrated gradients: what each sample adds to the margin on the way from silence to the window.

.. math:: a_{ct} = x_{ct} \int_0^1 \frac{\partial m(\alpha x)}{\partial x_{ct}} \, d\alpha

Reference: "Axiomatic attribution for deep networks", ICML 2017, arXiv 1703.01365. Silence, the
baseline, is 0 of the normalised window: each channel at its mean. The attributions of a window add
up to the margin minus that of silence (completeness); how far 24 steps along the way are from that
is in the facts of the maps. Spiking nets have surrogate gradients, which are no slopes of anything,
and their attributions need not add up.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import nn

from neurodecode.explain import EXPLAINERS
from neurodecode.explain.attribution import Array, as_array, class_maps
from neurodecode.explain.margin import torch_margin
from neurodecode.explain.nets import batches
from neurodecode.explain.windows import Maps, Windows
from neurodecode.training.estimator import Decoder

N_STEPS = 24
"""Points on the way, of a Gauss-Legendre rule.

With 200, maps of `dbconformer` correlate with these at 0.998 or more; single windows, which turn
sharply near the baseline, are off by up to 0.7 of the mean margin with 24, and 0.002 with 200.
"""


@EXPLAINERS.add("integrated_gradients")
def integrated_gradients(decoder: Decoder, windows: Windows) -> Maps | None:
    """Size of integrated gradients, from the mean of each channel to the window.

    None for decoders that are no nets. Facts "completeness_error" and
    "completeness_error_median": largest and median difference, over windows, between the sum of
    attributions and the margin minus that of the baseline, in mean sizes of the latter.
    """
    if not isinstance(decoder.model_, nn.Module):
        return None
    sums: list[Array] = []
    owed: list[Array] = []

    def parts() -> Iterator[tuple[Array, Array]]:
        for x, g, rise in paths(decoder, windows):
            sums.append((x * g).sum(axis=(1, 2)))
            owed.append(rise)
            yield x, g

    kinds = class_maps(parts(), windows)
    rise = np.concatenate(owed)
    error = np.abs(np.concatenate(sums) - rise) / max(np.abs(rise).mean(), 1e-12)
    facts = {
        "completeness_error": float(error.max()),
        "completeness_error_median": float(np.median(error)),
    }
    return Maps(kinds=kinds, unit="logit", facts=facts)


def paths(decoder: Decoder, windows: Windows) -> Iterator[tuple[Array, Array, Array]]:
    """Integrated gradients of a net, a batch of windows at a time.

    Yields
    ------
    x
        Windows as the net sees them, (n_part, n_chans, n_times).
    g
        Mean gradient of the margin of the window's class along the way, same shape.
    rise
        Margin of the window minus that of the baseline, (n_part,).
    """
    margin = partial(torch_margin, decoder.model_)
    method = IntegratedGradients(margin, multiply_by_inputs=False)
    for part, batch in batches(decoder, windows.x, N_STEPS):
        y = torch.from_numpy(windows.y[part]).to(batch.device)
        g = method.attribute(batch.requires_grad_(), additional_forward_args=y, n_steps=N_STEPS)
        with torch.no_grad():
            rise = margin(batch, y) - margin(torch.zeros_like(batch), y)
        yield as_array(batch), as_array(g), as_array(rise)
