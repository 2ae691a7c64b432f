"""Convolutions laid out for speed on a CPU; the results are those of `torch.nn.Conv1d`."""

import ctypes
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from neurodecode.nn.compiled import ELU_MEAN, address
from neurodecode.nn.eager import is_eager


class DepthwiseTemporalConv(nn.Module):
    """One temporal filter per map, output as long as input, no bias.

    Parameters
    ----------
    n_maps
        Feature maps, each with its own filter.
    n_taps
        Length of a filter, samples; odd, so that it has a centre.

    Notes
    -----
    Maps come last, not time: as a two-dimensional convolution over (time, 1) in channels-last
    memory, forward and backward take 18 ms on one thread for 32 windows of 40 maps x 1000
    samples with 63 taps; `torch.nn.Conv1d` takes 90, a product of spectra 34, and a product with
    blocks of a Toeplitz matrix 26. All four agree to rounding.
    """

    def __init__(self, n_maps: int, n_taps: int) -> None:
        super().__init__()
        assert n_taps % 2 == 1
        self.weight = nn.Parameter(torch.empty(n_maps, n_taps))
        bound = 1 / math.sqrt(n_taps)  # as in torch.nn.Conv1d
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Filter (batch, n_times, n_maps); same shape."""
        return depthwise(x, self.weight)

    def extra_repr(self) -> str:
        """Sizes, for ``print(net)``."""
        n_maps, n_taps = self.weight.shape
        return f"{n_maps}, n_taps={n_taps}"


def depthwise(x: Tensor, weight: Tensor, *, padded: bool = True) -> Tensor:
    """Filter (batch, n_times, n_maps) with (n_maps, n_taps).

    Zero-padded to the same shape; or not, and then ``n_taps - 1`` shorter.
    """
    n_maps, n_taps = weight.shape
    padding = n_taps // 2 if padded else 0
    if x.device.type != "cpu":
        x = x.transpose(1, 2).contiguous()
        x = functional.conv1d(x, weight.unsqueeze(1), padding=padding, groups=n_maps)
        return x.transpose(1, 2)
    weight = weight.view(n_maps, 1, n_taps, 1)
    x = x.unsqueeze(2).permute(0, 3, 1, 2)  #  (batch, n_maps, n_times, 1), maps last in memory
    x = functional.conv2d(x, weight, padding=(padding, 0), groups=n_maps)
    return x.squeeze(3).transpose(1, 2)


def elu_conv_mean(x: Tensor, weight: Tensor, bias: Tensor, *, stride: int) -> Tensor:
    """Mean over time of ``elu(conv(x))``: (n, n_times) to (n, n_filters), zero-padded at the ends.

    Parameters
    ----------
    x
        Single-channel signals.
    weight, bias
        Filters, (n_filters, n_taps) with an odd number of taps, and (n_filters,).
    stride
        Samples between outputs of the convolution.

    Notes
    -----
    Only the mean is wanted, so on a CPU the convolution's output is made and used up in the cache
    and never stored: what the gradients of the filters need of it is as small as the filters.
    """
    if x.dtype == weight.dtype and not x.requires_grad and is_eager(x, weight, bias):
        learns = torch.is_grad_enabled()  # inside the function it never is
        return _EluConvMean.apply(x, weight, bias, stride, learns)  # type: ignore[no-any-return, no-untyped-call]
    pad = weight.shape[1] // 2
    x = functional.conv1d(x.unsqueeze(1), weight.unsqueeze(1), bias, stride=stride, padding=pad)
    return functional.elu(x).mean(dim=2)


class _EluConvMean(torch.autograd.Function):
    """`elu_conv_mean` where no gradient of the signals is asked for.

    With z the convolution's output and s = exp(min(z, 0)), which is also the slope of the ELU,
    the mean is that of max(z, 0) + s - 1. Its derivative with respect to tap k of a filter is the
    mean over steps of s(step) x(step * stride + k), and with respect to the bias the mean of s.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, learns: bool
    ) -> Tensor:
        compiled = x.dtype == torch.float32 and ELU_MEAN.library is not None
        run = _elu_compiled if compiled else _elu_torch
        mean, slope, tap_slope = run(x, weight, bias, stride, learns)
        ctx.save_for_backward(slope, tap_slope)
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor, None, None]:
        (gradient,) = gradients
        slope, tap_slope = ctx.saved_tensors
        taps = (gradient.unsqueeze(1) * tap_slope).sum(dim=0)
        return None, taps.T, (gradient * slope).sum(dim=0), None, None


CHUNK = 2**18  # values of unfolded signal at a time: they stay in the cache

Slopes = tuple[Tensor, Tensor, Tensor | None]  # means, slopes (n, n_filters), and under each tap


def _elu_torch(x: Tensor, weight: Tensor, bias: Tensor, stride: int, learns: bool) -> Slopes:
    n_filters, n_taps = weight.shape
    unfolded = functional.pad(x, (n_taps // 2, n_taps // 2)).unfold(1, n_taps, stride)
    n, n_steps, _ = unfolded.shape
    mean, slope = x.new_empty(2, n, n_filters)
    tap_slope = x.new_empty(n, n_taps, n_filters) if learns else None
    size = max(1, CHUNK // (n_steps * n_taps))
    for part in (slice(i, i + size) for i in range(0, n, size)):
        taps = unfolded[part].contiguous()  #                  (size, n_steps, n_taps)
        z = torch.addmm(bias, taps.view(-1, n_taps), weight.T).view(-1, n_steps, n_filters)
        s = z.clamp(max=0).exp_()
        slope[part] = s.mean(dim=1)
        if tap_slope is not None:
            tap_slope[part] = taps.mT @ s / n_steps
        mean[part] = z.clamp_(min=0).mean(dim=1) + slope[part] - 1
    return mean, slope, tap_slope


def _elu_compiled(x: Tensor, weight: Tensor, bias: Tensor, stride: int, learns: bool) -> Slopes:
    n_filters, n_taps = weight.shape
    n, n_times = x.shape
    x, bias = x.contiguous(), bias.contiguous()
    taps = weight.T.contiguous()
    mean, slope = x.new_empty(2, n, n_filters)
    tap_slope = x.new_empty(n, n_taps, n_filters) if learns else None
    ELU_MEAN.call(
        "elu_mean_forward",
        *map(ctypes.c_long, (n, n_times, n_filters, n_taps, stride)),
        *map(address, (x, taps, bias, mean, slope, tap_slope)),
        ctypes.c_long(torch.get_num_threads()),
    )
    return mean, slope, tap_slope
