"""Dropout whose masks cost little on a CPU, where torch draws 64 random bits for each number."""

import torch
from torch import Tensor, nn

from neurodecode.nn.eager import is_eager


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` with masks from random bytes.

    Bits come from torch's own generator, so that a seed still says everything, and are other ones
    than torch would draw. Probabilities are rounded to 1/256 where that is exact, as 0.5 is, and
    otherwise to 1/65536; what is kept is scaled by the rounded one, so that means stay as they
    were. On a GPU and wherever torch's operations are followed
    (`neurodecode.nn.eager`), it is torch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return dropout(x, self.p, training=self.training)


def dropout(x: Tensor, p: float, *, training: bool) -> Tensor:
    """Numbers, each zero with probability `p` while training; see `Dropout`."""
    if not training or p == 0:
        return x
    if p == 1 or not is_eager(x):
        return nn.functional.dropout(x, p)
    return x * mask(x, p)


def mask(x: Tensor, p: float) -> Tensor:
    """What to multiply with, in the shape and type of `x`: 0, or 1 / (1 - p)."""
    n_bytes = 1 if (256 * p).is_integer() else 2
    n_values, dtype = (256, torch.uint8) if n_bytes == 1 else (65536, torch.int16)
    n_dropped = min(round(p * n_values), n_values - 1)
    draws = torch.empty(-(-x.numel() * n_bytes // 8), dtype=torch.int64)
    draws.random_(-(2**63), None)  # all of its 64 bits
    least = n_dropped if dtype == torch.uint8 else n_dropped - n_values // 2
    kept = draws.view(dtype)[: x.numel()].view(x.shape) >= least
    return kept.to(x.dtype).mul_(n_values / (n_values - n_dropped))
