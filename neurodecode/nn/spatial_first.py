"""Linear steps of convolutional nets in the order that needs the fewest products.

The nets filter every electrode in time, then mix electrodes. Both are linear, so mixing may come
first: EEGNet's 16 maps are then filtered, not its 8 x 22 signals. The batch norm that stands
between them is linear too, given its statistics, and these come from the signals
(`neurodecode.nn.lag_covariance`). Where every filter is mixed with every other, both steps are
one convolution of the electrodes. Results are those of the steps one after the other, up to
rounding.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.nn.convolutions import depthwise
from neurodecode.nn.lag_covariance import tap_moments


def can_go_first(temporal: nn.Module, norm: nn.Module, spatial: nn.Module) -> bool:
    """Whether three layers are those that `spatial_first` puts in another order."""
    return (
        isinstance(temporal, nn.Conv2d)
        and isinstance(norm, nn.BatchNorm2d)
        and isinstance(spatial, nn.Conv2d)
        and _is_plain(temporal)
        and temporal.in_channels == 1
        and temporal.bias is None
        and 1 in temporal.kernel_size
        and norm.momentum is not None
        and norm.running_mean is not None
        and _is_plain(spatial)
        and spatial.bias is None
        and spatial.groups == temporal.out_channels
        and not any(_pads(spatial))
    )


def spatial_first(
    x: Tensor, temporal: nn.Conv2d, norm: nn.BatchNorm2d, spatial: nn.Conv2d
) -> Tensor:
    """A filter bank, its batch norm and the spatial filters of each filter, in another order.

    Parameters
    ----------
    x
        Windows, (batch, n_chans, n_times). No gradient reaches them while the norm is in
        training mode.
    temporal, norm, spatial
        Layers that `can_go_first`. The norm's running statistics are kept as it keeps them.

    Returns
    -------
    Tensor
        (batch, n_steps, n_maps): maps come last.
    """
    taps = temporal.weight.flatten(1)  #                            (n_filters, n_taps)
    mixing = spatial.weight.flatten(1)  #                           (n_maps, n_chans)
    x = functional.pad(x, _pads(temporal))
    gain, shift = _affine(norm, taps, x)
    n_each = mixing.shape[0] // taps.shape[0]
    kernels = (taps * gain.unsqueeze(1)).repeat_interleave(n_each, dim=0)
    offset = shift.repeat_interleave(n_each) * mixing.sum(dim=1)
    mixed = x.mT @ mixing.T.expand(x.shape[0], -1, -1)  #           (batch, n_padded, n_maps)
    return depthwise(mixed, kernels, padded=False) + offset


def merged(x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (batch, n_chans, n_times) with (n_maps, n_chans, n_taps): (batch, n_steps, n_maps).

    Maps lie last in memory, which on a CPU is several times as fast as an image of one channel with
    electrodes for its width.
    """
    if x.device.type != "cpu":
        return functional.conv1d(x, kernels, bias).transpose(1, 2)
    image, filters = (t.mT.contiguous().mT.unsqueeze(2) for t in (x, kernels))  # channels last
    return functional.conv2d(image, filters, bias).squeeze(2).transpose(1, 2)


def merged_kernels(temporal: nn.Conv2d, spatial: nn.Conv2d) -> tuple[Tensor, Tensor | None]:
    """Kernels (n_maps, n_chans, n_taps) and bias (n_maps,) of two convolutions after each other.

    The first filters every electrode in time, the second mixes all filters and electrodes.
    """
    taps = temporal.weight.flatten(1)  #                            (n_filters, n_taps)
    mixing = spatial.weight.flatten(2)  #                           (n_maps, n_filters, n_chans)
    bias = spatial.bias
    if temporal.bias is not None:
        through = mixing.sum(dim=2) @ temporal.bias
        bias = through if bias is None else through + bias
    return mixing.mT @ taps, bias


def can_merge(temporal: nn.Module, spatial: nn.Module) -> bool:
    """Whether two convolutions are those that `merged_kernels` merges."""
    return (
        isinstance(temporal, nn.Conv2d)
        and isinstance(spatial, nn.Conv2d)
        and all(_is_plain(conv) and not any(_pads(conv)) for conv in (temporal, spatial))
        and temporal.in_channels == 1
        and 1 in temporal.kernel_size
        and spatial.groups == 1
    )


def _affine(norm: nn.BatchNorm2d, taps: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and shift that a batch norm applies to the outputs of filters, (n_filters,) each."""
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    if norm.training:
        with torch.autocast(x.device.type, enabled=False):
            n_taps = taps.shape[1]
            tap_mean, covariance = tap_moments(x, n_taps)
            w = taps.double()
            new_mean, new_var = w @ tap_mean, ((w @ covariance) * w).sum(dim=1)
        n = x.shape[0] * x.shape[1] * (x.shape[2] - n_taps + 1)
        keep_statistics(norm, new_mean.detach(), new_var.detach() * n / (n - 1))
        mean, var = new_mean.to(taps.dtype), new_var.to(taps.dtype)
    gain = torch.rsqrt(var + norm.eps)
    gain = gain if norm.weight is None else gain * norm.weight
    shift = -mean * gain
    return gain, shift if norm.bias is None else shift + norm.bias


def keep_statistics(norm: nn.BatchNorm2d, mean: Tensor, var: Tensor) -> None:
    """Move running statistics as `torch.nn.BatchNorm2d` moves them."""
    momentum = norm.momentum
    assert momentum is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    for running, new in ((norm.running_mean, mean), (norm.running_var, var)):
        assert running is not None
        running.mul_(1 - momentum).add_(new.to(running.dtype), alpha=momentum)


def _is_plain(conv: nn.Conv2d) -> bool:
    return conv.stride == conv.dilation == (1, 1) and conv.padding_mode == "zeros"


def _pads(conv: nn.Conv2d) -> tuple[int, int]:
    """Zeros before and after, of a convolution with one axis longer than 1."""
    if conv.padding == "same":
        total = max(conv.kernel_size) - 1
        return total // 2, total - total // 2
    if conv.padding == "valid":
        return 0, 0
    assert not isinstance(conv.padding, str)
    return (max(conv.padding),) * 2
