r"""Input times gradient: the first-order part of what each sample adds to the margin.

.. math:: a_{ct} = x_{ct} \, \frac{\partial m(x)}{\partial x_{ct}}

Reference: "Not just a black box: learning important features through propagating activation
differences", arXiv 1605.01713. One gradient where integrated gradients take many; it sees nothing
of what the net has saturated on.
"""

from collections.abc import Iterator

import torch
from torch import nn

from neurodecode.explain import EXPLAINERS
from neurodecode.explain.attribution import Array, as_array, class_maps, gradient
from neurodecode.explain.nets import batches
from neurodecode.explain.windows import Maps, Windows
from neurodecode.training.estimator import Decoder


@EXPLAINERS.add("input_x_gradient")
def input_x_gradient(decoder: Decoder, windows: Windows) -> Maps | None:
    """Size of each sample times the gradient of the margin by it.

    None for decoders that are no nets.
    """
    if not isinstance(decoder.model_, nn.Module):
        return None

    def parts() -> Iterator[tuple[Array, Array]]:
        for part, batch in batches(decoder, windows.x):
            y = torch.from_numpy(windows.y[part]).to(batch.device)
            g = gradient(decoder.model_, batch, y)
            yield as_array(batch), as_array(g)

    return Maps(kinds=class_maps(parts(), windows), unit="logit")
