"""Batches of windows drawn at random from continuous recordings, each a function of its number.

Nothing is remembered between batches: the k-th is the same whether those before it were drawn or
not, so a training that goes on at step k needs to know no more than k.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from neurodecode.core.seeding import derive_seed, generator
from neurodecode.epochs.stretches import Stretch

Pool = Mapping[str, Sequence[Stretch]]
"""Stretches of each data set, by its name."""

Sampling = Literal["duration", "equal"]
Batches = Literal["one", "mixed"]


class Windows(NamedTuple):
    """A batch of windows.

    Attributes
    ----------
    x
        (batch, n_chans, n_times), microvolts; zero where a channel is absent.
    present
        Channels that are there, (batch, n_chans), bool; None where all are.
    positions
        (batch, n_chans, 3), m; NaN where unknown.
    seed
        Of everything random that is done with it.
    dataset
        Name of the data set, or "all".
    """

    x: Tensor
    present: Tensor | None
    positions: Tensor
    seed: int
    dataset: str


class Draws(Dataset[Windows]):
    """Training batches by their number.

    Parameters
    ----------
    pool
        Stretches of each data set, all of them a window or longer.
    n_times
        Samples of a window.
    batch_size
        Windows in a batch.
    n_batches
        How many there are.
    seed, rank
        Of the draws, and of the process among those that train together.
    batches
        "one": a batch comes from one data set, so little is padded; "mixed": from all.
    sampling
        How often a data set is drawn: by its "duration", or all "equal".
    max_chans
        Windows of more channels keep so many neighbours in the order of the montage, drawn anew
        for each.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        n_times: int,
        batch_size: int,
        n_batches: int,
        seed: int,
        rank: int = 0,
        batches: Batches = "one",
        sampling: Sampling = "duration",
        max_chans: int | None = None,
    ) -> None:
        self.stretches = {name: list(stretches) for name, stretches in pool.items() if stretches}
        self.names = tuple(self.stretches)
        self.n_times, self.batch_size, self.n_batches = n_times, batch_size, n_batches
        self.seed, self.rank = seed, rank
        self.batches, self.max_chans = batches, max_chans
        # A window may start anywhere, so a stretch counts by the number of places.
        self.starts = {
            name: np.array([s.x.shape[1] - n_times + 1 for s in stretches], dtype=float)
            for name, stretches in self.stretches.items()
        }
        weights = [1.0 if sampling == "equal" else self.starts[n].sum() for n in self.names]
        self.shares = np.array(weights) / sum(weights)

    def __len__(self) -> int:
        return self.n_batches

    def __getitem__(self, number: int) -> Windows:
        rng = generator(self.seed, "batch", number, self.rank)
        n_sets = 1 if self.batches == "one" else self.batch_size
        sets = rng.choice(len(self.names), size=n_sets, p=self.shares)
        names = [self.names[i] for i in np.resize(sets, self.batch_size)]
        windows = [self._window(name, rng) for name in names]
        seed = derive_seed(self.seed, "step", number, self.rank)
        return collate(windows, seed=seed, dataset=names[0] if self.batches == "one" else "all")

    def _window(self, name: str, rng: np.random.Generator) -> tuple[NDArray[np.float32], ...]:
        starts = self.starts[name]
        index = int(rng.choice(len(starts), p=starts / starts.sum()))
        stretch = self.stretches[name][index]
        start = int(rng.integers(int(starts[index])))
        x = stretch.x[:, start : start + self.n_times]
        return slice_channels(x, stretch.positions, self.max_chans, rng)


def held_out_windows(
    pool: Pool,
    *,
    n_times: int,
    batch_size: int,
    n_windows: int,
    seed: int,
    max_chans: int | None = None,
) -> list[Windows]:
    """Fixed batches from each data set in turn, always the same for the same seed.

    Parameters
    ----------
    pool, n_times, batch_size, seed, max_chans
        As for `Draws`.
    n_windows
        Of each data set, rounded up to whole batches.
    """
    found = []
    for name, stretches in pool.items():
        if stretches:
            one = Draws(
                {name: stretches},
                n_times=n_times,
                batch_size=min(batch_size, n_windows),
                n_batches=-(-n_windows // min(batch_size, n_windows)),
                seed=derive_seed(seed, "validation", name),
                max_chans=max_chans,
            )
            found += [one[number] for number in range(len(one))]
    return found


def slice_channels(
    x: NDArray[np.float32],
    positions: NDArray[np.float32],
    max_chans: int | None,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """At most `max_chans` channels that follow each other, with their positions."""
    n_chans = len(x)
    if max_chans is None or n_chans <= max_chans:
        return x, positions
    first = int(rng.integers(n_chans - max_chans + 1))
    return x[first : first + max_chans], positions[first : first + max_chans]


def collate(
    windows: Sequence[tuple[NDArray[np.float32], ...]], *, seed: int, dataset: str
) -> Windows:
    """Windows (n_chans, n_times) and positions (n_chans, 3) as a batch, padded to most channels."""
    counts = [len(x) for x, _ in windows]
    n_chans, n_times = max(counts), windows[0][0].shape[1]
    x = np.zeros((len(windows), n_chans, n_times), dtype=np.float32)
    positions = np.full((len(windows), n_chans, 3), np.nan, dtype=np.float32)
    for i, (signal, places) in enumerate(windows):
        x[i, : len(signal)], positions[i, : len(signal)] = signal, places
    present = np.arange(n_chans) < np.array(counts)[:, None]
    return Windows(
        x=torch.from_numpy(x),
        present=None if present.all() else torch.from_numpy(present),
        positions=torch.from_numpy(positions),
        seed=seed,
        dataset=dataset,
    )
