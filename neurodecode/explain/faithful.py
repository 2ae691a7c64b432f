"""Whether the places a map calls large are those that the decoder needs.

Reference: "RISE: randomized input sampling for explanation of black-box models", BMVC 2018,
arXiv 1806.07421 (deletion and insertion curves). Differences: electrodes are taken out, and put
back, in the order of the map's mean over classes, as what speaks against one class speaks for
another; what stands in for an electrode is the same electrode of another window
(`neurodecode.explain.swapped`), and the measure is what random orders give.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodecode.explain.swapped import derangement, swap_channels
from neurodecode.explain.windows import Maps, Windows
from neurodecode.results.maps import mean_share
from neurodecode.training.estimator import Decoder

Array = NDArray[np.float64]
N_STEPS = 9
N_ORDERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Mean probability of the true class while electrodes go, or come.

    Attributes
    ----------
    fraction
        Electrodes taken out or put back, as a fraction of all, (n_steps,).
    deletion, insertion
        In the order of the map, largest first, (n_steps,).
    deletion_random, insertion_random
        Mean over random orders, (n_steps,).
    """

    fraction: Array
    deletion: Array
    insertion: Array
    deletion_random: Array
    insertion_random: Array

    @property
    def gain(self) -> float:
        """By how much the map's order beats random ones: mean of both areas, in probability."""
        deleted = np.trapezoid(self.deletion_random - self.deletion, self.fraction)
        inserted = np.trapezoid(self.insertion - self.insertion_random, self.fraction)
        return float((deleted + inserted) / 2)


class Deletion:
    """Curves of one fold: random orders are drawn once, and every map is held against them.

    Parameters
    ----------
    decoder
        Fitted.
    windows
        Of the fold; only the test side is used.
    rng
        Draws the orders, and what stands in.
    """

    def __init__(self, decoder: Decoder, windows: Windows, rng: np.random.Generator) -> None:
        self.decoder, self.windows = decoder, windows
        self.donors = derangement(len(windows.x), rng)
        n_chans = windows.x.shape[1]
        self.counts = np.unique(np.round(np.linspace(0, n_chans, N_STEPS)).astype(int))
        self.fraction = self.counts / n_chans
        # With none taken out, or all, the order does not matter.
        self.ends = {count: self._without(np.arange(count)) for count in (0, n_chans)}
        orders = [rng.permutation(n_chans) for _ in range(N_ORDERS)]
        self.deleted = np.mean([self._delete(order) for order in orders], axis=0)

    def curves(self, maps: Maps) -> Curves | None:
        """Curves of a map over electrodes; None where there is none."""
        if "chan" not in maps.kinds:
            return None
        order = np.argsort(-mean_share(maps.kinds["chan"]), kind="stable")
        return Curves(
            fraction=self.fraction,
            deletion=self._delete(order),
            insertion=self._delete(order[::-1])[::-1],
            deletion_random=self.deleted,
            insertion_random=self.deleted[::-1],  # a random half put back is the other taken out
        )

    def _delete(self, order: NDArray[np.intp]) -> Array:
        """Probability of the true class with the first few of the order taken out."""
        return np.array(
            [
                self.ends[count] if count in self.ends else self._without(order[:count])
                for count in self.counts
            ]
        )

    def _without(self, chans: NDArray[np.intp]) -> float:
        x, y = self.windows.x, self.windows.y
        proba = self.decoder.predict_proba(swap_channels(x, chans, self.donors))
        index = np.searchsorted(self.decoder.classes_, y)
        return float(proba[np.arange(len(y)), index].mean())
