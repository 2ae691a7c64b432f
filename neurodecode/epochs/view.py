"""Some windows of an array, and what becomes of them, made when they are asked for."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import psutil
from numpy.typing import NDArray

from neurodecode.epochs.epochset import spans

Step = Callable[[NDArray[np.float32], NDArray[np.intp]], NDArray[np.float32]]


class View:
    """Windows (n_epochs, n_chans, n_times) that need not be in memory.

    Indexing gives arrays: ``view[3:9]``, ``view[[5, 2]]``. `numpy.asarray` gives all of it.

    Parameters
    ----------
    base
        Windows of a whole data set; they may be a `numpy.memmap`.
    index
        Which of them, in which order, (n_epochs,).
    steps
        Each takes windows and their places in `base`, and returns them changed, of the same shape.
    """

    def __init__(
        self, base: NDArray[np.float32], index: NDArray[np.integer], steps: tuple[Step, ...] = ()
    ) -> None:
        self.base, self.index, self.steps = base, np.asarray(index, dtype=np.intp), steps
        self.shape = (len(self.index), *base.shape[1:])
        self.dtype, self.ndim = np.dtype(np.float32), 3
        self.nbytes = 4 * int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        where = np.atleast_1d(self.index[key])
        x = np.asarray(self.base[where], dtype=np.float32)
        for step in self.steps:
            x = step(x, where)
        return x

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        x = np.empty(self.shape, dtype=np.float32)
        for rows in spans(self):
            x[rows] = self[rows]
        return x if dtype is None else x.astype(dtype, copy=False)

    def take(self, key: NDArray[Any]) -> Self:
        """Some of these windows, by their places here or by yes and no."""
        return type(self)(self.base, self.index[key], self.steps)

    def then(self, step: Step) -> Self:
        """The same windows, changed by one more step."""
        return type(self)(self.base, self.index, (*self.steps, step))

    def settled(self) -> "NDArray[np.float32] | View":
        """All of it as an array, if that is small beside the memory there is; else itself."""
        return np.asarray(self) if small(self.nbytes) else self


def small(n_bytes: int) -> bool:
    """Whether so much can be held: a quarter of the memory that is free."""
    return bool(n_bytes <= psutil.virtual_memory().available / 4)
