r"""The number that is explained: by how much a class is ahead of the others.

.. math:: m_y = l_y - \frac{1}{K - 1} \sum_{k \ne y} l_k

of the logits :math:`l` of K classes; with two classes it is the log-odds. Logits themselves are
known up to a number that is added to all of them, which the margin does not depend on.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from neurodecode.explain.nets import ask
from neurodecode.training.estimator import Decoder

LEAST = 1e-9
"""Least probability that a classical decoder is taken to give: log-odds end at 20.7."""


def torch_margin(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Margin of class `y` (batch,) in windows as the net sees them, (batch,), with gradients."""
    logits: Tensor = net(x)
    own = logits.gather(1, y[:, None])[:, 0]
    return own - (logits.sum(dim=1) - own) / (logits.shape[1] - 1)


def margins(decoder: Decoder, x: NDArray[np.float32], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """Margin of class `y` in windows, (n_epochs,), by any decoder.

    Parameters
    ----------
    decoder
        A fitted one.
    x
        Windows, (n_epochs, n_chans, n_times), microvolts.
    y
        Classes, (n_epochs,), as indices into those of the decoder.
    """
    return np.asarray(all_margins(decoder, x)[np.arange(len(y)), y])


def all_margins(decoder: Decoder, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Margin of each class of the decoder in windows, (n_epochs, n_classes).

    Classical decoders have log-probabilities in place of logits.
    """
    if isinstance(decoder.model_, nn.Module):
        logits = ask(decoder, x, decoder.model_)
    else:
        logits = np.log(np.maximum(decoder.predict_proba(x), LEAST))
    others = (logits.sum(axis=1, keepdims=True) - logits) / (logits.shape[1] - 1)
    return np.asarray(logits - others)


def unit_of(decoder: Decoder) -> str:
    """Unit of a decoder's margins, in a word."""
    return "logit" if isinstance(decoder.model_, nn.Module) else "log-odds"
