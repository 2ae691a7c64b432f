"""Looking into a net and leaving it as it was."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurodecode.training.estimator import Decoder

AT_ONCE = 2**21
"""Samples of all channels that go through a net at a time."""
MOST = 256
"""Windows that do."""


@contextmanager
def at_rest(net: nn.Module) -> Iterator[torch.device]:
    """Within the block, a net is in evaluation mode; afterwards each part is in its own again.

    Gives the device that the net is on. Its weights get no gradients by what is done within,
    unless they are asked for.
    """
    modes = [(part, part.training) for part in net.modules()]
    # cuDNN takes no gradient through recurrent layers that are not in training mode.
    recurrent = any(isinstance(part, nn.RNNBase) for part, _ in modes)
    net.eval()
    try:
        with torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext():
            yield next((p.device for p in net.parameters()), torch.device("cpu"))
    finally:
        for part, mode in modes:
            part.training = mode


def batch_size(x: NDArray[np.floating], n_copies: int = 1) -> int:
    """How many of the windows (n_epochs, n_chans, n_times) go through a net at a time.

    `n_copies` is how often each of them does.
    """
    at_once = min(MOST, AT_ONCE // math.prod(x.shape[1:]))
    return max(1, at_once // n_copies)


def batches(
    decoder: Decoder, x: NDArray[np.float32], n_copies: int = 1
) -> Iterator[tuple[slice, Tensor]]:
    """Windows as the net of a decoder sees them, a batch at a time, on its device.

    Parameters
    ----------
    decoder
        A fitted one of a net.
    x
        Windows, (n_epochs, n_chans, n_times), microvolts.
    n_copies
        See `batch_size`.

    Yields
    ------
    part
        Which windows.
    batch
        (n_part, n_chans, n_times), normalised.
    """
    step = batch_size(x, n_copies)
    with at_rest(decoder.model_) as device:
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            yield part, torch.from_numpy(decoder.normalized(x[part])).to(device)


def ask(
    decoder: Decoder, x: NDArray[np.float32], question: Callable[[Tensor], Tensor]
) -> NDArray[np.float64]:
    """What a net, or a method of it, says to windows in microvolts: (n_epochs, ...).

    Without gradients.
    """
    said = []
    for _, batch in batches(decoder, x):
        with torch.no_grad():
            said.append(question(batch).double().cpu().numpy())
    return np.concatenate(said)
