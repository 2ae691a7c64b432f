"""A causal low-pass of one pole: the membrane kernel, with neurons that never spike."""

import math

import torch
from torch import Tensor

from neurodecode.nn.spiking.kernel import membrane
from neurodecode.nn.spiking.surrogates import surrogate


def running_mean(x: Tensor, before: Tensor | None, decay: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the samples so far, weighted by ``decay ** age``; from 0.

    Parameters
    ----------
    x
        (n_steps, batch, ..., n_features).
    before
        The mean up to here, (batch, ..., n_features); None is 0.
    decay
        What is left of a sample's weight after a step, (1,) or (n_features,).

    Returns
    -------
    mean
        Shape of `x`, with its gradient.
    last
        At the last step.
    """
    never = torch.full_like(decay, math.inf)
    run = membrane(
        (1 - decay) * x,
        before,
        decay=decay,
        threshold=never.detach(),
        reset="none",
        surrogate=surrogate("atan"),  # of no account
        keep=True,
    )
    assert run.before is not None
    return run.before, run.last
