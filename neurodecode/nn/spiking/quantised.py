r"""Weights of few bits whose step size is learned (LSQ).

.. math:: \hat w = s \cdot \mathrm{round}(\mathrm{clip}(w / s, -2^{b-1}, 2^{b-1} - 1))

The gradient takes the rounding for the identity; that of the step is scaled by
:math:`1 / \sqrt{n\,(2^{b-1} - 1)}`, so that it is learned about as fast as the `n` weights, and it
begins at :math:`2\,\overline{|w|} / \sqrt{2^{b-1} - 1}`.

Reference: "Learned step size quantization", ICLR 2020, arXiv 1902.08153 (equations 1 to 5 and
Section 2.2). Differences: weights only; what they meet here are spikes, which have no bits to lose.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError


class LSQ(nn.Module):
    """A quantiser of one array of weights.

    Parameters
    ----------
    weight
        What it is going to quantise: the first step is chosen from it.
    bits
        Of a weight, 2 or more: ``2 ** bits`` levels, zero one of them.

    Raises
    ------
    ConfigError
        For fewer than 2 bits.
    """

    def __init__(self, weight: Tensor, bits: int = 4) -> None:
        super().__init__()
        if bits < 2:
            raise ConfigError(f"bits={bits} leaves no level above zero. Give 2 or more.")
        self.bits, self.highest = bits, 2 ** (bits - 1) - 1
        self.gain = 1 / math.sqrt(weight.numel() * self.highest)
        first = 2 * weight.detach().abs().mean() / math.sqrt(self.highest)
        self.step = nn.Parameter(first.clamp(min=1e-8).reshape(1))

    def levels(self, weight: Tensor) -> Tensor:
        """Whole numbers that stand for the weights, from ``-2 ** (bits - 1)``; same shape."""
        return (weight / self.step).clamp(-self.highest - 1, self.highest).round()

    def forward(self, weight: Tensor) -> Tensor:
        """Quantised weights, same shape: `levels` times the step."""
        step = self.step * self.gain
        step = step + (self.step - step).detach()  # the step itself, with a gradient `gain` times
        clipped = (weight / step).clamp(-self.highest - 1, self.highest)
        return (clipped + (clipped.round() - clipped).detach()) * step

    def extra_repr(self) -> str:
        """Bits, for ``print(net)``."""
        return f"bits={self.bits}"


class LSQLinear(nn.Linear):
    """A linear map without bias whose weights are quantised.

    Parameters
    ----------
    in_features, out_features
        Sizes of the last axis before and after.
    bits
        Of a weight.
    """

    def __init__(self, in_features: int, out_features: int, *, bits: int = 4) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.quantise = LSQ(self.weight, bits)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        weight: Tensor = self.quantise(self.weight)
        return functional.linear(x, weight)

    @torch.no_grad()
    def levels(self) -> Tensor:
        """Whole numbers that stand for the weights, (out_features, in_features)."""
        return self.quantise.levels(self.weight)
