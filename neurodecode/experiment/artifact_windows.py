"""What a cleaner takes out of the windows of a run."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import NeurodecodeError
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.cleaning import Continuous, own_windows
from neurodecode.evaluation.workers import Here, Pool
from neurodecode.experiment.data import Report, load_data

LEAST = 1e-9
"""Share of the power of windows below which nothing was taken out."""


def artifact_windows(
    choices: Mapping[str, Any],
    epochs: EpochSet,
    word: str = "ica:own",
    *,
    pool: Pool | None = None,
    report: Report = lambda words, done, total: None,
    on_done: Report = lambda words, done, total: None,
) -> NDArray[np.float32] | str:
    """Recorded less cleaned windows, (n_epochs, n_chans, n_times), microvolts, not aligned.

    Every recording is cleaned by what it teaches itself, without labels, and cut again.

    Parameters
    ----------
    choices
        Of the run, as `resolve` returns them.
    epochs
        Its windows, neither cleaned nor aligned.
    word
        A cleaner, see `neurodecode.evaluation.cleaning`.
    pool
        Where recordings are cleaned; by default in this process.
    report, on_done
        Called while reading; and while recordings are cleaned, which takes long.

    Returns
    -------
    artifacts
        Or why there are none, a sentence: a cleaner's libraries are missing, electrodes have no
        place, a recording is too short, or nothing was found.
    """
    chosen = copy.deepcopy(dict(choices))
    chosen["evaluation"] |= {"clean": ["none", word], "protocol": "cross-subject"}
    try:
        again, continuous = load_data(chosen, report=report)
        assert continuous is not None, "recordings are kept where they are cleaned"
        if again.digest() != epochs.digest():
            return "The recordings are not those of the run any more. Fit it again."
        artifacts = again.x - _cleaned(again, continuous, word, pool or Here(), on_done)
    except NeurodecodeError as error:
        return str(error)
    except (RuntimeError, ValueError) as error:  # ICLabel's net is for usual rates and lengths
        return f"{word} failed on these recordings ({' '.join(str(error).split())[:200]})."
    if np.square(artifacts).sum() <= LEAST * np.square(again.x).sum():
        return f"{word} found nothing to take out."
    return np.asarray(artifacts, dtype=np.float32)


def _cleaned(
    epochs: EpochSet, continuous: Continuous, word: str, pool: Pool, on_done: Report
) -> NDArray[np.float32]:
    """As `own_windows`, a few recordings at a time, so that it can say how far it is."""
    x, parts = np.full(epochs.x.shape, np.nan, dtype=epochs.x.dtype), continuous.parts
    n = max(1, pool.n_workers)
    for i in range(0, len(parts), n):
        on_done(f"recordings searched for artifacts, {word}", i, len(parts))
        some = replace(continuous, parts=parts[i : i + n])
        cleaned = own_windows(epochs, some, word, pool)
        for part in some.parts:
            x[part.index] = cleaned[part.index]
    return x
