r"""Attention between tokens: of each layer, and followed through all of them.

A layer adds what its tokens attend to, so that half of a token is itself. With the attention
:math:`A_l` of layer l, averaged over heads, what a token of the last layer holds of those of the
first is

.. math:: R = \prod_l \tfrac{1}{2} (A_l + I)

Reference: "Quantifying attention flow in transformers", ACL 2020, arXiv 2005.00928 (rollout).
Attention says where a token looks, not what it does with what it finds; and tokens of time have
already passed a filter, a quarter of a second long in `dbconformer`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.explain import EXPLAINERS
from neurodecode.explain.channel_attention import chan_weights
from neurodecode.explain.nets import ask
from neurodecode.explain.windows import Axes, Maps, Windows
from neurodecode.nn.transformer import TransformerLayer
from neurodecode.training.estimator import Decoder

Array = NDArray[np.float64]


@EXPLAINERS.add("attention_rollout")
def attention_rollout(decoder: Decoder, windows: Windows) -> Maps | None:
    """Where tokens of electrodes and of moments look: per pair, and rolled out to the first layer.

    "chan_chan" and "time_time" are means over layers: a row looks, columns are looked at, and a
    row adds up to 1. "chan" and "time" are what the net's readout holds of each place through all
    layers: electrodes as the net weighs them, moments alike. None for nets without a branch of
    `TransformerLayer`, over electrodes or over time.
    """
    net = decoder.model_
    if not isinstance(net, nn.Module):
        return None
    kinds: dict[str, Array] = {}
    over_chans = attention(decoder, windows.x, "chan_layers")
    if over_chans is not None:
        weights = chan_weights(decoder, windows.x)
        if weights is None:
            weights = np.full(over_chans.shape[::3], 1 / over_chans.shape[3])
        kinds["chan_chan"] = over_chans.mean(axis=1)
        kinds["chan"] = (weights[:, None] @ rollout(over_chans))[:, 0]
    over_time = attention(decoder, windows.x, "time_layers")
    if over_time is not None:
        of_bins, in_bins = patches(over_time.shape[3], windows.axes)
        kinds["time_time"] = of_bins @ over_time.mean(axis=1) @ in_bins
        kinds["time"] = rollout(over_time).mean(axis=1) @ in_bins
    if not kinds:
        return None
    return Maps(kinds={k: windows.by_class(v) for k, v in kinds.items()}, unit="share")


def attention(decoder: Decoder, x: NDArray[np.float32], branch: str) -> Array | None:
    """Attention in each layer of a branch, mean over heads, (n_epochs, n_layers, tokens, tokens).

    None if the net has no such branch of transformer layers, each token attending to all.
    """
    layers = getattr(decoder.model_, branch, None)
    if not isinstance(layers, nn.Sequential) or not len(layers):
        return None
    # Exactly this class: one that inherits from it may attend in another way.
    found = [layer for layer in layers if type(layer) is TransformerLayer]
    if len(found) < len(layers):
        return None

    def look(batch: Tensor) -> Tensor:
        with attending(found) as matrices:
            decoder.model_(batch)
        return torch.stack(matrices, dim=1)

    return ask(decoder, x, look)


@contextmanager
def attending(layers: list[TransformerLayer]) -> Iterator[list[Tensor]]:
    """Within the block, each call of a layer adds its attention, (batch, n_tokens, n_tokens).

    They are worked out again from the layer's queries and keys: the fused attention that the
    layers use never has them in memory.
    """
    kept: list[Tensor] = []
    handles = []
    for layer in layers:

        def keep(
            norm: nn.Module, given: tuple[Tensor], x: Tensor, layer: TransformerLayer = layer
        ) -> None:
            kept.append(matrices(layer, x).mean(dim=1))

        handles.append(layer.attention_norm.register_forward_hook(keep))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def matrices(layer: TransformerLayer, x: Tensor) -> Tensor:
    """Attention of each head to normed tokens (batch, n_tokens, width), each row adding up to 1.

    Returns
    -------
    Tensor
        (batch, n_heads, n_tokens, n_tokens).
    """
    batch, n_tokens, _ = x.shape
    qkv = layer.query_key_value(x).view(batch, n_tokens, 3, layer.n_heads, -1)
    q, k, _ = qkv.permute(2, 0, 3, 1, 4)
    scores: Tensor = q @ k.mT / q.shape[-1] ** 0.5
    return scores.softmax(dim=-1)


def rollout(attention: Array) -> Array:
    """What tokens of the last layer hold of those of the first, each row adding up to 1.

    Parameters
    ----------
    attention
        (..., n_layers, n_tokens, n_tokens), first layer first.
    """
    identity = np.eye(attention.shape[-1])
    held = identity
    for layer in range(attention.shape[-3]):
        held = (attention[..., layer, :, :] + identity) / 2 @ held
    return np.asarray(held)


def patches(n_patches: int, axes: Axes) -> tuple[Array, Array]:
    """How equal patches of a window and bins of time cover each other.

    Returns
    -------
    of_bins
        Which patches a bin lies in, (n_bins, n_patches), rows adding up to 1.
    in_bins
        Which bins a patch covers, (n_patches, n_bins), rows adding up to 1.
    """
    identity = torch.eye(axes.n_times).unsqueeze(0)
    cover = functional.adaptive_avg_pool1d(identity, n_patches)[0].T.double().numpy()
    of_bins = axes.in_time(cover / cover.sum(axis=0)).T
    return of_bins, axes.in_time(cover) * np.diff(axes.time_edges)
