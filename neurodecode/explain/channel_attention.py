"""Channel attention: the weights with which a net adds up its electrodes.

Reference: "DBConformer: dual-branch convolutional transformer for EEG decoding", IEEE Journal of
Biomedical and Health Informatics 30(5), 2026, arXiv:2506.21140 (Section III, and its maps of these
weights). A weight says how much of an electrode's token is added up, not what the head makes of
it, and tokens have already attended to one another. Weights can be all but equal and still differ
between classes where it counts, so that there are two methods: the weights, and the difference.
"""

import numpy as np
from numpy.typing import NDArray
from torch import nn

from neurodecode.explain import EXPLAINERS
from neurodecode.explain.contrast import against_mean
from neurodecode.explain.nets import ask
from neurodecode.explain.windows import Maps, Windows
from neurodecode.training.estimator import Decoder


@EXPLAINERS.add("channel_attention")
def channel_attention(decoder: Decoder, windows: Windows) -> Maps | None:
    """Weight of each electrode for a class, minus the mean over classes, signed.

    None for nets that do not weigh electrodes. Facts as of `channel_attention_mean`.
    """
    weights = chan_weights(decoder, windows.x)
    if weights is None:
        return None
    chan = against_mean(windows.by_class(weights))
    return Maps(kinds={"chan": chan}, unit="share", signed=True, facts=_facts(weights))


@EXPLAINERS.add("channel_attention_mean")
def channel_attention_mean(decoder: Decoder, windows: Windows) -> Maps | None:
    """Weight of each electrode; those of a window add up to 1.

    None for nets that do not weigh electrodes. Facts: "flatness", the entropy of the mean weights
    in units of that of equal ones, at most 1, and "largest", the largest mean weight in units of
    equal ones.
    """
    weights = chan_weights(decoder, windows.x)
    if weights is None:
        return None
    return Maps(kinds={"chan": windows.by_class(weights)}, unit="share", facts=_facts(weights))


def chan_weights(decoder: Decoder, x: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Weights of electrodes in windows in microvolts, (n_epochs, n_chans); None if there are none.

    A net has them if it has a method ``channel_weights``, unless its part ``channel_score`` is
    None: then it adds up electrodes alike.
    """
    net = decoder.model_
    weigh = getattr(net, "channel_weights", None)
    if not isinstance(net, nn.Module) or weigh is None or net.channel_score is None:
        return None
    return ask(decoder, x, weigh)


def _facts(weights: NDArray[np.float64]) -> dict[str, float]:
    mean = weights.mean(axis=0)
    n_chans = len(mean)
    entropy = -np.sum(mean * np.log(np.maximum(mean, 1e-300)))
    return {
        "flatness": float(entropy / np.log(n_chans)) if n_chans > 1 else 1.0,
        "largest": float(mean.max() * n_chans),
    }
