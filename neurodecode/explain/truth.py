"""Whether maps of simulated recordings find what was put in."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError
from neurodecode.explain.windows import Axes, Maps
from neurodecode.recordings.synthetic import SourceTruth
from neurodecode.results.maps import mean_share

REACH = 1.35
"""An electrode is next to another up to so many times the distance of its nearest neighbour."""


def neighbours(
    names: Collection[str], ch_names: Sequence[str], positions: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Electrodes that are one of `names`, or next to one, (n_chans,).

    Parameters
    ----------
    names
        Electrodes that were recorded.
    ch_names, positions
        Of all electrodes; positions (n_chans, 3), m.
    """
    found = np.zeros(len(ch_names), dtype=bool)
    for name in names:
        distance = np.linalg.norm(positions - positions[ch_names.index(name)], axis=1)
        nearest = distance[distance > 0].min(initial=np.inf)
        found |= distance <= REACH * nearest
    return found


def against_truth(
    maps: Maps, axes: Axes, positions: NDArray[np.floating], sources: Sequence[SourceTruth]
) -> dict[str, float]:
    """How much of a map lies where the sources are.

    Returns
    -------
    dict
        ``chan_hit`` (1.0 if the largest value, mean over classes, is within one electrode of a
        true source), ``chan_exact`` (if it is at one), ``chan_mass`` (share of the map within one
        electrode) and ``chan_expected`` (share of electrodes there: what a flat map would have);
        the same of frequencies with ``band_hit``, ``band_mass`` and ``band_expected``. Only those
        whose kind the map has.

    Raises
    ------
    SignalError
        If there is no source.
    """
    if not sources:
        raise SignalError("Nothing in these recordings tells the classes apart.")
    found: dict[str, float] = {}
    if "chan" in maps.kinds:
        at = [axes.ch_names.index(source.electrode) for source in sources]
        near = neighbours({source.electrode for source in sources}, axes.ch_names, positions)
        share = mean_share(maps.kinds["chan"])
        largest = int(share.argmax())
        found |= {
            "chan_hit": float(near[largest]),
            "chan_exact": float(largest in at),
            "chan_mass": float(share[near].sum()),
            "chan_expected": float(near.mean()),
        }
    if "freq" in maps.kinds:
        inside = np.zeros(len(axes.freqs), dtype=bool)
        step = axes.freqs[1] - axes.freqs[0] if len(axes.freqs) > 1 else 1.0
        for source in sources:
            low, high = source.band  # a bin counts if it overlaps the band
            inside |= (axes.freqs + step / 2 > low) & (axes.freqs - step / 2 < high)
        share = mean_share(maps.kinds["freq"])
        found |= {
            "band_hit": float(inside[_largest(share)]),
            "band_mass": float(share[inside].sum()),
            "band_expected": float(inside.mean()),
        }
    return found


def _largest(share: NDArray[np.floating]) -> int:
    """The largest place; in the middle of those that are as large, where a method sees no finer."""
    same = np.flatnonzero(share >= share.max() * (1 - 1e-6))
    return int(same[len(same) // 2])


def mean_truth(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over subjects of what `against_truth` found: ``chan_hits``, ``band_hits``, ..."""
    keys = dict.fromkeys(key for fold in folds for key in fold)
    plural = {"chan_hit": "chan_hits", "chan_exact": "chan_exact", "band_hit": "band_hits"}
    return {
        **{
            plural.get(key, key): float(np.mean([fold[key] for fold in folds if key in fold]))
            for key in keys
        },
        "n": len(folds),
    }
