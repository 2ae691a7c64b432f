"""Whether a graph says what a decoder says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Said = tuple[NDArray[Any], NDArray[Any]]
"""Logits and probabilities, each (n_windows, n_outputs)."""

CLOSE = 1e-4
"""Of logits, relative to the largest where that is above 1: what the order of sums may change."""

FLIPS = 0.25
"""Part of all windows in which rounding may make a spike of none; a bug shows in nearly all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far a graph and a decoder are from each other.

    Attributes
    ----------
    n_windows
        Compared, each in every size of batch.
    batch_sizes
        How many windows the graph was given at a time.
    largest_logit
        Of the decoder.
    max_logit_difference, max_probability_difference
        Largest differences.
    tolerance
        What a logit may differ by: `CLOSE`, times the largest where that is above 1.
    n_beyond
        Windows that differ by more.
    spikes
        Whether the decoder spikes. A membrane that ends within rounding of its threshold spikes in
        one and not in the other, so that `FLIPS` of its windows may be beyond the tolerance.
    """

    n_windows: int
    batch_sizes: tuple[int, ...]
    largest_logit: float
    max_logit_difference: float
    max_probability_difference: float
    tolerance: float
    n_beyond: int
    spikes: bool

    @property
    def agrees(self) -> bool:
        """Whether the graph computes what the decoder computes."""
        return self.n_beyond <= (FLIPS * self.n_windows if self.spikes else 0)


def agreement(
    ask: Callable[[NDArray[np.float32]], Said],
    wanted: Said,
    x: NDArray[np.float32],
    batch_sizes: Sequence[int],
    *,
    spikes: bool = False,
) -> Agreement:
    """Compare what a graph says of windows with what a decoder said of them.

    Parameters
    ----------
    ask
        The graph.
    wanted
        What the decoder said.
    x
        Windows, (n_windows, n_chans, n_times), microvolts.
    batch_sizes
        How many windows to give at a time; those of more than there are come down to all.
    spikes
        Whether the decoder spikes.
    """
    sizes = tuple(dict.fromkeys(min(size, len(x)) for size in batch_sizes))
    off = np.zeros((2, len(x)))
    for size in sizes:
        parts = [ask(x[i : i + size]) for i in range(0, len(x) - size + 1, size)]
        for row, ours, theirs in zip(off, zip(*parts, strict=True), wanted, strict=True):
            said = np.concatenate(ours)
            n = len(said)  # without windows that do not fill a batch
            row[:n] = np.maximum(row[:n], np.abs(said - theirs[:n]).max(axis=1))
    logits, probabilities = off
    largest = float(np.abs(wanted[0]).max())
    tolerance = CLOSE * max(1.0, largest)
    return Agreement(
        n_windows=len(x),
        batch_sizes=sizes,
        largest_logit=largest,
        max_logit_difference=float(logits.max()),
        max_probability_difference=float(probabilities.max()),
        tolerance=tolerance,
        n_beyond=int((~(logits <= tolerance)).sum()),  # what is not a number is beyond
        spikes=spikes,
    )
