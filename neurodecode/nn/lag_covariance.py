"""What a temporal filter sees of signals: mean and covariance of the samples under its taps.

The output of a filter w is y(t) = sum of w(k) x(t + k), so its mean over time and signals is w m
and its variance w' S w, with m and S the moments of the samples x(t), ..., x(t + n_taps - 1). They
depend on the signals alone, so that a batch norm after many filters needs none of their outputs.
"""

import torch
from torch import Tensor
from torch.nn import functional


def tap_moments(x: Tensor, n_taps: int) -> tuple[Tensor, Tensor]:
    """Mean (n_taps,) and biased covariance (n_taps, n_taps) of all windows of `n_taps` samples.

    Parameters
    ----------
    x
        Signals, (n_windows, n_chans, n_times), padded as the filter pads them; at least as long
        as the filter.
    n_taps
        Length of the filter, samples.

    Notes
    -----
    In float64, because a filter that passes little of a signal's power loses as many digits of
    it. Sums of products at each lag come from blocks of `n_taps` samples, with themselves and
    with the next block. The sum for taps k and l then differs from the one for k - 1 and l - 1
    by one product at either end of the signals.
    """
    n_signals, n_times = x.shape[0] * x.shape[1], x.shape[2]
    n_steps = n_times - n_taps + 1
    head, tail = x[..., : n_taps - 1].flatten(0, 1), x[..., n_steps:].flatten(0, 1)
    head, tail = head.double(), tail.double()

    total = x.sum(dim=2).sum(dtype=torch.float64) - tail.sum()
    sums = total + functional.pad((tail - head).sum(dim=0).cumsum(0), (1, 0))

    ends = tail.mT @ tail
    first = _lag_sums(x, n_taps) - _along_diagonals(ends, n_taps).sum(dim=0)
    changes = _along_diagonals(ends - head.mT @ head, n_taps)
    changes = changes.cumsum(dim=0) - changes  # before row k
    taps = torch.arange(n_taps, device=x.device)
    row, lag = torch.minimum(taps[:, None], taps), (taps[:, None] - taps).abs()
    products = (first + changes)[row, lag]

    n = n_signals * n_steps
    mean = sums / n
    return mean, products / n - torch.outer(mean, mean)


def _lag_sums(x: Tensor, n_lags: int) -> Tensor:
    """Sums of x(t) x(t + lag) over all signals and times, (n_lags,), float64."""
    # The zeros at the end of a channel keep its last block from meeting the next channel's first.
    padded = functional.pad(x.double(), (0, -x.shape[2] % n_lags + n_lags))
    blocks = padded.reshape(-1, n_lags)
    products = torch.cat([blocks.mT @ blocks, blocks[:-1].mT @ blocks[1:]], dim=1)
    return _along_diagonals(products, n_lags).sum(dim=0)


def _along_diagonals(matrix: Tensor, n: int) -> Tensor:
    """Diagonals as columns: entry (i, d) is that of (i, i + d), or 0 outside; (n, n)."""
    rows, columns = matrix.shape
    flat = functional.pad(matrix, (0, 2 * n - columns, 0, n - rows)).flatten()
    return functional.pad(flat, (0, n)).view(n, 2 * n + 1)[:, :n]
