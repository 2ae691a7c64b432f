"""Mean and deviation of everything seen so far."""

import torch
from torch import Tensor, nn


class RunningMoments(nn.Module):
    """Mean and deviation of numbers that come in batches, some of them missing.

    Every number counts alike, however old; the update is that of Chan, Golub, LeVeque, "Algorithms
    for computing the sample variance", The American Statistician 37, 1983.

    Parameters
    ----------
    n
        Different numbers in a row.
    """

    count: Tensor  # (n,)
    mean: Tensor
    square: Tensor  # sum of squared deviations

    def __init__(self, n: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(n, dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(n))
        self.register_buffer("square", torch.zeros(n))

    def update(self, rows: Tensor) -> None:
        """Take in rows (batch, n); what is NaN is missing."""
        rows = rows.to(self.mean)
        there = rows.isfinite()
        n = there.sum(dim=0)
        mean = torch.where(there, rows, 0.0).sum(dim=0) / n.clamp(min=1)
        square = torch.where(there, rows - mean, 0.0).square().sum(dim=0)
        total = (self.count + n).clamp(min=1)
        apart = mean - self.mean
        self.square += square + apart.square() * self.count * n / total
        self.mean += apart * n / total
        self.count += n

    def normalize(self, rows: Tensor) -> Tensor:
        """Rows (batch, n) less the mean, over the deviation; as they are, before two were seen."""
        variance = self.square / self.count.clamp(min=1)
        deviation = torch.where(self.count > 1, variance.sqrt(), 1.0).clamp(min=1e-6)
        return ((rows.to(self.mean) - self.mean) / deviation).to(rows.dtype)
