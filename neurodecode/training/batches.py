"""Batches cut from tensors that are already in memory, on the device that trains; or streamed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Generator, Tensor

from neurodecode.epochs.view import View

Batch = tuple[Tensor, Tensor]


class Streamed:
    """Windows that memory need not hold, indexed as a tensor on a device is.

    Parameters
    ----------
    view
        Where they come from.
    on
        Where they go.
    """

    def __init__(self, view: View, on: torch.device) -> None:
        self.view, self.device = view, on

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, key: Tensor | slice) -> Tensor:
        rows = key.cpu().numpy() if isinstance(key, Tensor) else key
        return torch.from_numpy(self.view[rows]).to(self.device)


def ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same, each read while the one before it is worked on."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


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
        self, x: Tensor | Streamed, y: Tensor, batch_size: int, generator: Generator | None = None
    ) -> None:
        self.x, self.y = x, y
        self.generator = generator
        self.n_batches = max(1, round(len(x) / batch_size))

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.x)
        order = torch.randperm(n, generator=self.generator) if self.generator else torch.arange(n)
        parts = order.to(self.x.device).tensor_split(self.n_batches)
        batches = ((self.x[index], self.y[index]) for index in parts)
        yield from ahead(batches) if isinstance(self.x, Streamed) else batches
