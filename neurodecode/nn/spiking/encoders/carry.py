r"""Whole thresholds that a running sum lets go of, keeping the rest.

.. math::
    a_t = e_{t-1} + x_t, \quad k_t = \mathrm{trunc}(a_t / \theta), \quad e_t = a_t - \theta k_t

The rest :math:`e` is always less than a threshold, so the sum of :math:`\theta k` follows that of
:math:`x` within one threshold. It is what an integrate-and-fire neuron with two signs and several
spikes a step does, and what sigma-delta, send-on-delta and an even rate have in common.
"""

import ctypes
import math

import torch
from torch import Tensor

from neurodecode.nn.compiled import MEMBRANE, address
from neurodecode.nn.spiking import kernel


@torch.no_grad()
def carry(
    x: Tensor, rest: Tensor | None, theta: Tensor, *, limit: float = math.inf
) -> tuple[Tensor, Tensor]:
    """Signed counts and the rest, without gradients.

    Parameters
    ----------
    x
        What is added up, (n_steps, batch, ..., n_features).
    rest
        Left over from the step before, (batch, ..., n_features); None is 0.
    theta
        Thresholds, (n_features,) or (1,), positive.
    limit
        Most events in a step; with one, the rest may grow beyond a threshold.

    Returns
    -------
    counts
        Whole numbers of either sign, shape of `x`.
    rest
        After the last step.
    """
    x, rest = x.detach().contiguous(), None if rest is None else rest.contiguous()
    same = rest is None or (rest.dtype == x.dtype and rest.shape == x.shape[1:])
    graph = torch.compiler.is_compiling()
    if same and len(x) and not graph and kernel.is_compiled(x, theta):
        return _carry_compiled(x, rest, theta.contiguous(), limit)
    counts = torch.empty_like(x)
    left = torch.zeros(x.shape[1:], dtype=x.dtype, device=x.device)
    if rest is not None:
        left.copy_(rest)
    for a, k in zip(x, counts, strict=True):
        left += a
        torch.div(left, theta, out=k).trunc_()
        if limit < math.inf:
            k.clamp_(-limit, limit)
        left -= k * theta  # not fused: counts are then those of the compiled path, bit for bit
    return counts, left


def _carry_compiled(
    x: Tensor, rest: Tensor | None, theta: Tensor, limit: float
) -> tuple[Tensor, Tensor]:
    counts, left = torch.empty_like(x), torch.empty_like(x[0])
    MEMBRANE.call(
        "carry_forward",
        *map(ctypes.c_long, (len(x), x[0].numel(), theta.numel())),
        ctypes.c_float(limit),
        *map(address, (x, rest, theta, counts, left)),
        torch.get_num_threads(),
    )
    return counts, left
