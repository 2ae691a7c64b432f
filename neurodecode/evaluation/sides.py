"""Both sides of a fold: their windows, cleaned and aligned, and what a decoder is told of them."""

from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurodecode.alignment import ALIGNERS, Aligner
from neurodecode.alignment.align import Mode, align, whiteners
from neurodecode.core.errors import SignalError
from neurodecode.core.seeding import generator
from neurodecode.epochs.cut import EVENT
from neurodecode.epochs.epochset import EpochSet
from neurodecode.epochs.view import View
from neurodecode.evaluation.alarms import groups_to_hold_out
from neurodecode.evaluation.cleaning import Cleaned, CleanWord, fold_windows
from neurodecode.evaluation.jobs import Job, Task
from neurodecode.evaluation.splits import Fold


class Sides(NamedTuple):
    """What a fold's decoders are fitted to and tested on.

    Attributes
    ----------
    task
        Data and words; its windows are cleaned.
    x_train, x_test
        Windows of both sides, aligned; there may be none to test.
    cleaned
        What cleaned them, where a cleaner was fitted in the fold; it is kept with the decoder.
    """

    task: Task
    x_train: NDArray[np.float32] | View
    x_test: NDArray[np.float32]
    cleaned: Cleaned | None = None


class SidesOf:
    """The sides of jobs, made once for jobs of the same windows that follow each other."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._cleaned: tuple[object, Task, Cleaned | None] = (None, task, None)
        self._last: tuple[object, Sides | None] = (None, None)

    def __call__(self, job: Job) -> Sides:
        """Those of a job."""
        key = (job.fold.name, job.clean, job.align)
        if self._last[0] != key:
            task, cleaned = self._clean(job)
            sides = Sides(task, *aligned_windows(task.epochs, job.fold, job.align), cleaned)
            self._last = (key, sides)
        assert self._last[1] is not None, "it was just made"
        return self._last[1]

    def _clean(self, job: Job) -> tuple[Task, Cleaned | None]:
        if not fitted_in_fold(job.clean):
            return self.task, None
        key = (job.fold.name, job.clean)
        if self._cleaned[0] != key:
            task = self.task
            assert task.continuous is not None, "recordings are kept where they are cleaned"
            cleaned = fold_windows(task.epochs, task.continuous, job.clean, job.fold)
            task = replace(task, epochs=replace(task.epochs, x=cleaned.x))
            self._cleaned = (key, task, cleaned)
        return self._cleaned[1:]


def fitted_in_fold(clean: str) -> bool:
    """Whether a word of cleaning names a cleaner that is fitted to the training side."""
    return clean != "none" and not CleanWord.parse(clean).own


def aligned_windows(
    epochs: EpochSet, fold: Fold, align_spec: str
) -> tuple[NDArray[np.float32] | View, NDArray[np.float32]]:
    """Training and test windows of a fold under an alignment such as "euclidean:causal".

    Training windows that memory should not hold are read, and aligned, when they are asked for.
    """
    train, test = _aligned(epochs, fold, align_spec)
    return train.settled(), np.asarray(test)


def _aligned(epochs: EpochSet, fold: Fold, align_spec: str) -> tuple[View, View]:
    if align_spec == "none":
        return View(epochs.x, fold.train), View(epochs.x, fold.test)
    if np.isnan(epochs.x[:, -1, 0]).any():
        raise SignalError(
            f"Alignment ({align_spec}) takes the same channels in every recording, and these have "
            f"several montages. Give --align none."
        )
    aligner, mode, domains = _alignment(epochs, align_spec)
    return align(epochs.x, domains, fold.train, fold.test, aligner, mode)


def whitened_by(epochs: EpochSet, fold: Fold, align_spec: str) -> NDArray[np.float64] | None:
    """What `aligned_windows` multiplied each test window by, (n_test, n_chans, n_chans), if so."""
    if align_spec == "none":
        return None
    aligner, mode, domains = _alignment(epochs, align_spec)
    roots, which = whiteners(epochs.x, domains, fold.train, fold.test, aligner, mode)
    return np.asarray(roots[which[fold.test]])


def _alignment(epochs: EpochSet, align_spec: str) -> tuple[Aligner, Mode, list[str]]:
    """Aligner, mode and domains of "euclidean:causal": a domain is a session of a subject."""
    name, mode = align_spec.split(":")
    domains = epochs.table[["dataset", "subject", "session"]].agg("/".join, axis=1).to_list()
    return ALIGNERS.get(name)(), cast(Mode, mode), domains


def training_labels(
    epochs: EpochSet, fold: Fold, seed: int, *, shuffled: bool, slide: bool
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """What a decoder is told of each training window: its class, and who it comes from.

    Where windows slide, few people are told apart by parts, each with an event.
    """
    table, y = epochs.table.iloc[fold.train], epochs.y[fold.train]
    who = _groups(table)
    if shuffled:
        y = shuffle_within(y, who, generator(seed, "labels", fold.name))
    if slide:
        who = groups_to_hold_out(table, epochs.y[fold.train] == EVENT, who)
    return y, who


def shuffle_within(
    y: NDArray[np.int64], groups: NDArray[np.str_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Labels permuted among the windows of each group; every group keeps its classes."""
    out = y.copy()
    for group in np.unique(groups):
        index = np.flatnonzero(groups == group)
        out[index] = y[rng.permutation(index)]
    return out


def _groups(table: pd.DataFrame) -> NDArray[np.str_]:
    """Who each training window comes from, so that validation leaves whole subjects out."""
    return (table["dataset"] + "/" + table["subject"]).to_numpy(dtype=str)
