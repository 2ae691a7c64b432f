"""Batches cut from tensors that are already in memory, on the device that trains."""

from collections.abc import Iterator

import lightning.pytorch as pl
import torch
from torch import Generator, Tensor

Batch = tuple[Tensor, Tensor]


class Batches:
    """Batches of windows and labels, by indexing: no worker processes, nothing collated.

    Batches differ in size by one window at most, so that none is too small for a batch norm and
    no window is left out.

    Parameters
    ----------
    x
        Windows, (n_epochs, n_chans, n_times).
    y
        Classes, (n_epochs,).
    batch_size
        Windows in a batch, about.
    generator
        Draws the order anew for each pass; without one the order is that of `x`.
    """

    def __init__(
        self, x: Tensor, y: Tensor, batch_size: int, generator: Generator | None = None
    ) -> None:
        self.x, self.y = x, y
        self.generator = generator
        self.n_batches = max(1, round(len(x) / batch_size))

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.x)
        order = torch.randperm(n, generator=self.generator) if self.generator else torch.arange(n)
        for index in order.to(self.x.device).tensor_split(self.n_batches):
            yield self.x[index], self.y[index]


class WindowsDataModule(pl.LightningDataModule):
    """Training and validation windows for a Lightning trainer.

    Parameters
    ----------
    x, y
        Training windows (n_epochs, n_chans, n_times) and their classes.
    x_val, y_val
        Validation windows; there may be none.
    batch_size
        Windows in a training batch, about.
    seed
        Of the order of the training windows.
    """

    def __init__(
        self, x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor, *, batch_size: int, seed: int
    ) -> None:
        super().__init__()
        order = Generator().manual_seed(seed)
        self.training = Batches(x, y, batch_size, order)
        self.validation = Batches(x_val, y_val, 256)

    def train_dataloader(self) -> Batches:
        """Batches in random order."""
        return self.training

    def val_dataloader(self) -> Batches:
        """Batches in order."""
        return self.validation
