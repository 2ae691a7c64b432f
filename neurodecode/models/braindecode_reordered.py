"""Nets of braindecode with their linear steps in a cheaper order (`neurodecode.nn.spatial_first`).

Weights, their names, options, layers and results are braindecode's: only `forward` differs, for
the nets and parts below. It is braindecode's own again where somebody watches the layers (hooks),
where a gradient of the windows is asked for in training, and where an option makes layers that
the other order does not cover.
"""

from collections import OrderedDict
from typing import Any

import torch
from braindecode.models import EEGNet as TheirEEGNet
from braindecode.models import ShallowFBCSPNet as TheirShallow
from braindecode.modules import CombinedConv as TheirCombinedConv
from braindecode.modules import MultiHeadAttention as TheirAttention
from braindecode.modules import Square
from braindecode.modules.parametrization import MaxNormParametrize
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.nn.convolutions import depthwise
from neurodecode.nn.dropout import Dropout, dropout
from neurodecode.nn.eager import is_watched
from neurodecode.nn.pooled_power import pooled_power
from neurodecode.nn.spatial_first import (
    can_go_first,
    can_merge,
    merged,
    merged_kernels,
    spatial_first,
)


def reorder(net: nn.Module) -> nn.Module:
    """The same net, which computes the same in less time; changed in place."""
    for part in net.modules():
        if type(part) in SAME:
            part.__class__ = SAME[type(part)]
    parts: Any = net
    match type(net).__name__:
        case "EEGConformer":
            parts.patch_embedding.shallownet = MergedFirst(*parts.patch_embedding.shallownet)
        case "CTNet":
            parts.cnn.eegnet_module = SpatialFirst(*parts.cnn.eegnet_module)
        case "MSVTNet":
            for branch in parts.mstsconv:
                branch[0] = SpatialFirst(*branch[0])
        case "ATCNet":
            parts.conv_block = SpatialFirst(OrderedDict(parts.conv_block.named_children()))
    return net


class MaxNorm(MaxNormParametrize):  # type: ignore[misc]
    """Braindecode's limit on the norm of each map's weights, in words that `torch.vmap` knows."""

    def forward(self, X: Tensor) -> Tensor:
        """Scale down what is too large; same shape."""
        norm = X.flatten(1).norm(dim=1).view(-1, *[1] * (X.ndim - 1))
        # What torch.renorm does, with its 1e-7.
        return X * torch.where(norm > self.max_norm, self.max_norm / (norm + 1e-7), 1.0)


FEW = 128
"""Tokens of which all attention weights may be in memory at once."""


class MultiHeadAttention(TheirAttention):  # type: ignore[misc]
    """Braindecode's attention, without torch's detours where attention weights drop out."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mix tokens (batch, n_tokens, width); same shape."""
        drops = self.training and self.att_drop > 0
        if mask is not None or x.device.type != "cpu" or (x.shape[1] > FEW and not drops):
            return super().forward(x, mask)  # type: ignore[no-any-return]
        queries, keys, values = (
            self.rearrange_stack(part(x)) for part in (self.queries, self.keys, self.values)
        )
        scores = (queries * self.head_dim**-0.5) @ keys.mT
        weights = dropout(scores.softmax(dim=3), self.att_drop, training=self.training)
        mixed: Tensor = self.projection(self.rearrange_unstack(weights @ values))
        return mixed


class SpatialFirst(nn.Sequential):
    """Layers that begin like EEGNet's: filter bank, batch norm, spatial filters of each filter.

    Takes images (batch, 1, n_chans, n_times), or with the last two axes exchanged.
    """

    def forward(self, x: Tensor) -> Tensor:
        """What the layers make of images, one after the other."""
        temporal, norm, spatial, *rest = self
        maps = _spatial_first(x, temporal, norm, spatial)
        if maps is None:
            return super().forward(x)  # type: ignore[no-any-return, no-untyped-call]
        for layer in rest:
            maps = layer(maps)
        return maps


class EEGNet(TheirEEGNet):  # type: ignore[misc]
    """EEGNet with its spatial filters first."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, n_outputs)."""
        image = self.dimshuffle(self.ensuredims(x))
        maps = _spatial_first(image, self.conv_temporal, self.bnorm_temporal, self.conv_spatial)
        if maps is None:
            return super().forward(x)  # type: ignore[no-any-return]
        layers = list(self)
        for layer in layers[layers.index(self.conv_spatial) + 1 :]:
            alone = layer is self.conv_separable_depth and not is_watched(layer)
            maps = _depthwise(self.conv_separable_depth, maps) if alone else layer(maps)
        return maps


class CombinedConv(TheirCombinedConv):  # type: ignore[misc]
    """Two convolutions that braindecode merges too, with maps last in memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Filter images (batch, 1, n_times, n_chans): (batch, n_maps, n_steps, 1)."""
        if is_watched(self.conv_time, self.conv_spat):
            return super().forward(x)  # type: ignore[no-any-return]
        maps = merged(x.squeeze(1).mT, *merged_kernels(self.conv_time, self.conv_spat))
        return maps.mT.unsqueeze(3)


class MergedFirst(nn.Sequential):
    """Layers that begin with a convolution over time and one over electrodes, made one.

    Takes images (batch, 1, n_chans, n_times).
    """

    def forward(self, x: Tensor) -> Tensor:
        """What the layers make of images, one after the other."""
        layers: list[Any] = list(self)
        temporal, spatial, *rest = layers
        if is_watched(temporal, spatial) or not can_merge(temporal, spatial):
            return super().forward(x)  # type: ignore[no-any-return, no-untyped-call]
        maps = merged(x.squeeze(1), *merged_kernels(temporal, spatial)).mT.unsqueeze(2)
        for layer in rest:
            maps = layer(maps)
        return maps


class ShallowFBCSPNet(TheirShallow):  # type: ignore[misc]
    """ShallowFBCSPNet with power from sums over the samples that pooling windows share."""

    POWER = {"bnorm": nn.BatchNorm2d, "conv_nonlin_exp": Square, "pool": nn.AvgPool2d}

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, n_outputs)."""
        power = [self._modules.get(name) for name in self.POWER]
        papers = [type(layer) for layer in power] == list(self.POWER.values())
        if not papers or self.bnorm.momentum is None or is_watched(*power):
            return super().forward(x)  # type: ignore[no-any-return]
        for name, layer in self.named_children():
            if name == "bnorm":
                (width, _), (stride, _) = self.pool.kernel_size, self.pool.stride
                maps = pooled_power(x.squeeze(3).mT, self.bnorm, width=width, stride=stride)
                x = maps.mT.unsqueeze(3)
            elif name not in self.POWER:
                x = layer(x)
        return x


def _spatial_first(image: Tensor, temporal: Any, norm: Any, spatial: Any) -> Tensor | None:
    """Maps, in the axes of the image; None where braindecode's own order has to be kept."""
    if not can_go_first(temporal, norm, spatial) or is_watched(temporal, norm, spatial):
        return None
    time = 2 if temporal.kernel_size[0] > 1 else 3
    signals = image.squeeze(1) if time == 3 else image.squeeze(1).mT
    if norm.training and (image.requires_grad or image.device.type not in ("cpu", "cuda")):
        return None
    return spatial_first(signals, temporal, norm, spatial).mT.unsqueeze(5 - time)


def _depthwise(layer: nn.Conv2d, maps: Tensor) -> Tensor:
    """A convolution of each map (batch, n_maps, 1, n_times) by itself."""
    x = functional.pad(maps.squeeze(2).mT, (0, 0, *layer.padding[1:], *layer.padding[1:]))
    return depthwise(x, layer.weight.flatten(1), padded=False).mT.unsqueeze(2)


SAME: dict[type, type] = {
    MaxNormParametrize: MaxNorm,
    TheirAttention: MultiHeadAttention,
    TheirCombinedConv: CombinedConv,
    TheirEEGNet: EEGNet,
    TheirShallow: ShallowFBCSPNet,
    nn.Dropout: Dropout,
}
"""Classes of nets and of parts of any net, and those that compute the same."""
