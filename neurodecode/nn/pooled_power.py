"""Power in pooling windows that overlap, of maps that a batch norm has put in proportion.

The nets normalise, square and average over windows of 75 samples, every 15. The square of
gain * y + shift is a polynomial in y, so all that is needed of the maps are sums of y and of its
square over the 15 samples between two windows; statistics and windows are made of these.
"""

import math

import torch
from torch import Tensor, nn

from neurodecode.nn.spatial_first import keep_statistics


def pooled_power(y: Tensor, norm: nn.BatchNorm2d, *, width: int, stride: int) -> Tensor:
    """Mean squares, over pooling windows, of batch-normalised maps.

    Parameters
    ----------
    y
        Maps, (batch, n_times, n_maps).
    norm
        The batch norm, with running statistics, which are kept as it keeps them.
    width, stride
        Length of a pooling window and from one to the next, samples.

    Returns
    -------
    Tensor
        (batch, n_pooled, n_maps).
    """
    running_mean, var = norm.running_mean, norm.running_var
    assert running_mean is not None
    assert var is not None
    # Of centred maps, the sum of squares loses no digits to the mean.
    centre = y.detach().mean(dim=(0, 1)) if norm.training else running_mean
    y = y - centre
    n_shared = math.gcd(width, stride)
    batch, n_times, n_maps = y.shape
    n_blocks = n_times // n_shared
    whole, rest = y[:, : n_blocks * n_shared], y[:, n_blocks * n_shared :]
    blocks = whole.reshape(batch, n_blocks, n_shared, n_maps)
    sums, squares = blocks.sum(dim=2), blocks.square().sum(dim=2)
    mean = torch.zeros_like(centre)
    if norm.training:
        n = batch * n_times
        mean = (sums.sum(dim=(0, 1)) + rest.sum(dim=(0, 1))) / n
        var = (squares.sum(dim=(0, 1)) + rest.square().sum(dim=(0, 1))) / n - mean.square()
        keep_statistics(norm, (centre + mean).detach(), var.detach() * n / (n - 1))
    gain = torch.rsqrt(var + norm.eps) * norm.weight
    shift = norm.bias - mean * gain
    mean_y, mean_square = (
        s.unfold(1, width // n_shared, stride // n_shared).sum(dim=3) / width
        for s in (sums, squares)
    )
    power: Tensor = gain.square() * mean_square + 2 * gain * shift * mean_y + shift.square()
    return power
