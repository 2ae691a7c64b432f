"""The folds of a run, from the cache where windows and splitters are those of an earlier run.

Splitting takes no time, but importing MOABB for it does: about a second before anything is fitted.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.splits import Fold, make_folds
from neurodecode.experiment.windows import digest_of, open_cache
from neurodecode.results.provenance import library_versions, package_digest


def folds_of(choices: Mapping[str, Any], epochs: EpochSet, data: str) -> list[Fold]:
    """What `make_folds` makes of the windows.

    Parameters
    ----------
    choices
        As `neurodecode.experiment.choices.resolve` returns them.
    epochs
        All windows.
    data
        Their digest.

    Raises
    ------
    NeurodecodeError
        As of `make_folds`.
    """
    names = ("protocol", "n_folds", "order", "split")
    how = {name: choices["evaluation"][name] for name in names}
    how["slide"] = choices["epochs"]["slide"]
    cache = open_cache(choices)
    if cache is None:
        return make_folds(epochs, **how)
    key = digest_of("folds", data, how, package_digest(), library_versions())
    if (kept := cache.find_document(key)) is not None:
        return [
            Fold(**{**fold, **{side: np.array(fold[side], np.int64) for side in ("train", "test")}})
            for fold in kept
        ]
    folds = make_folds(epochs, **how)
    sides = [{"train": f.train.tolist(), "test": f.test.tolist()} for f in folds]
    cache.keep_document(key, [asdict(f) | side for f, side in zip(folds, sides, strict=True)])
    return folds
