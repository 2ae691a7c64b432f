r"""The stem of a convolutional decoder in compiled C: same function, weights and statistics.

A mixture of channels, a batch norm, a filter over time for each mixture, a batch norm, a GELU, and
means over patches of time. Three things make it fast.

The first batch norm is folded into the mixture. A mixture :math:`w` of windows with mean
:math:`\mu` and covariance :math:`C` has the mean :math:`w\mu` and the variance :math:`wCw^T`, so
statistics of the batch come from those of its channels, and gradients go through them by autograd
on small matrices.

The rest is one function, which goes through a window while it is in the cache. All it keeps for
the backward pass is the filters' output; mixtures are made again from the window.

Gain and shift of the second batch norm act on all of a patch alike, so what its gradients need is
the mean slope of the GELU over a patch. That is found with the GELU itself, and the backward pass
goes through the values once, not twice.
"""

import ctypes
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from neurodecode.nn.compiled import STEM, address
from neurodecode.nn.eager import is_eager, is_watched


def is_fused(x: Tensor, mix: nn.Linear, *parts: nn.Module) -> bool:
    """Whether `fused_stem` takes these windows, mixture, filters and norms.

    It gives no gradient of the windows, knows float32 alone, and skips over parts that somebody
    watches.
    """
    tensors = (x, *(p for part in (mix, *parts) for p in part.parameters(recurse=False)))
    return (
        not x.requires_grad
        and all(t.dtype == torch.float32 for t in tensors)
        and is_eager(*tensors)
        and not is_watched(mix, *parts)
        and STEM.library is not None
    )


def fused_stem(
    x: Tensor,
    mix: Tensor,
    mix_norm: nn.BatchNorm1d,
    filters: Tensor,
    filters_norm: nn.BatchNorm1d,
    n_patches: int,
) -> Tensor:
    """Means over patches of ``gelu(filters_norm(filters(mix_norm(mix(x)))))``.

    Parameters
    ----------
    x
        Windows, (batch, n_chans, n_times).
    mix
        (n_maps, n_chans).
    filters
        (n_maps, n_taps), an odd number of taps; zero-padded, so that output is as long as input.
    mix_norm, filters_norm
        Batch norms with weights; running statistics move on as if they had been called.
    n_patches
        Patches that a window is cut into as `torch.nn.AdaptiveAvgPool1d` does.

    Returns
    -------
    Tensor
        (batch, n_patches, n_maps).
    """
    x = x.contiguous()
    count = x.shape[0] * x.shape[2]
    if _of_batch(mix_norm):
        chan_mean, covariance = _moments(x)
        weight = mix.double()
        mean = weight @ chan_mean
        var = ((weight @ covariance) * weight).sum(dim=1)
        _remember(mix_norm, mean, var, count)
        mean, var = mean.float(), var.float()
    else:
        mean, var = _running(mix_norm)
    gain = mix_norm.weight * (var + mix_norm.eps).rsqrt()
    shift = mix_norm.bias - gain * mean
    folded = torch.cat([gain.unsqueeze(1) * mix, shift.unsqueeze(1)], dim=1)
    running = None if _of_batch(filters_norm) else _running(filters_norm)
    pooled, mean, var = _Stem.apply(  # type: ignore[no-untyped-call]
        x, folded, filters, filters_norm.weight, filters_norm.bias, running, filters_norm.eps,
        n_patches, torch.is_grad_enabled(),
    )  # fmt: skip
    if running is None:
        _remember(filters_norm, mean, var, count)
    return pooled  # type: ignore[no-any-return]


def _of_batch(norm: nn.BatchNorm1d) -> bool:
    return norm.training or norm.running_mean is None


def _running(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


@torch.no_grad()
def _remember(norm: nn.BatchNorm1d, mean: Tensor, var: Tensor, count: int) -> None:
    """Move running statistics on as torch does, with the variance that is not biased."""
    if not norm.training or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    step = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    running_mean, running_var = _running(norm)
    running_mean.lerp_(mean.to(running_mean.dtype), step)
    running_var.lerp_((var * (count / (count - 1))).to(running_var.dtype), step)


def _sizes(*sizes: int) -> Iterator[ctypes.c_long]:
    return map(ctypes.c_long, sizes)


def _threads() -> ctypes.c_long:
    return ctypes.c_long(torch.get_num_threads())


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (n_chans,) and covariance (n_chans, n_chans) of a batch, in double precision."""
    batch, n_chans, n_times = x.shape
    means, scatters = x.new_empty(batch, n_chans), x.new_empty(batch, n_chans, n_chans)
    STEM.call("window_moments", *_sizes(*x.shape), *map(address, (x, means, scatters)), _threads())
    means = means.double()
    mean = means.mean(dim=0)
    apart = means - mean
    scatter = scatters.sum(dim=0, dtype=torch.float64) + n_times * (apart.T @ apart)
    return mean, scatter / (batch * n_times)


class _Stem(torch.autograd.Function):
    """Mixture, filters, batch norm, GELU and means; also the mean and variance of the batch."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        mix: Tensor,  # with the constant as the weight of a channel of ones
        filters: Tensor,
        gain: Tensor,
        shift: Tensor,
        running: tuple[Tensor, Tensor] | None,
        eps: float,
        n_patches: int,
        learns: bool,  # inside, gradients are never enabled
    ) -> tuple[Tensor, Tensor, Tensor]:
        batch, n_chans, n_times = x.shape
        n_maps, n_taps = filters.shape
        mix, filters = mix.contiguous(), filters.contiguous()
        sizes = (batch, n_chans, n_times, n_maps, n_taps, n_patches)
        z = x.new_empty(batch, n_maps, n_times)
        means, squares = x.new_empty(2, batch, n_maps)
        STEM.call(
            "stem_forward", *_sizes(*sizes),
            *map(address, (x, mix, filters, z, means, squares)), _threads(),
        )  # fmt: skip
        if running is None:
            means = means.double()
            mean = means.mean(dim=0)
            spread = n_times * (means - mean).square().sum(dim=0) + squares.double().sum(dim=0)
            var = spread / (batch * n_times)
        else:
            mean, var = (given.clone() for given in running)
        norm = torch.stack([mean, (var + eps).rsqrt(), gain, shift]).to(x.dtype)
        pooled = x.new_empty(batch, n_patches, n_maps)
        slopes = x.new_empty(2, *pooled.shape) if learns else (None, None)
        STEM.call(
            "stem_pool", *_sizes(*sizes), *map(address, (z, norm, pooled, *slopes)), _threads()
        )
        if learns:
            ctx.save_for_backward(x, mix, filters, z, norm, slopes)
            ctx.sizes, ctx.of_batch = sizes, running is None
        ctx.mark_non_differentiable(mean, var)
        return pooled, mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, mix, filters, z, norm, slopes = ctx.saved_tensors
        batch, _, n_times, n_maps, n_taps, _ = ctx.sizes
        gradient = gradients[0].contiguous()
        gshift, ggain = (gradient * slopes).sum(dim=(1, 2))
        if ctx.of_batch:
            mean_slope = torch.stack([gshift, ggain]) / (batch * n_times)
        else:  # statistics do not depend on the batch
            mean_slope = x.new_zeros(2, n_maps)
        gmix = x.new_empty(batch, *mix.shape)
        gfilters = x.new_empty(batch, n_maps, n_taps)
        STEM.call(
            "stem_backward", *_sizes(*ctx.sizes),
            *map(address, (x, mix, filters, z, norm, gradient, mean_slope, gmix, gfilters)),
            _threads(),
        )  # fmt: skip
        return None, gmix.sum(dim=0), gfilters.sum(dim=0), ggain, gshift, *(None,) * 4
