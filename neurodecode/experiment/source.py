"""The windows of a finished run, read again as its decoders were given them."""

from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import StoreError
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.cleaning import CleanWord, Continuous, fold_windows, own_windows
from neurodecode.evaluation.sides import aligned_windows
from neurodecode.evaluation.splits import Fold, make_folds
from neurodecode.experiment.choices import Tree, resolve
from neurodecode.experiment.data import Report, load_data
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run


class Sides(NamedTuple):
    """Both sides of a fold; windows in microvolts, aligned and cleaned as they were."""

    fold: Fold
    train: NDArray[np.float32]
    test: NDArray[np.float32]


class Source:
    """Windows of a run; its recordings are read when they are first asked for.

    Parameters
    ----------
    run
        With finished folds.
    report
        Called while reading.
    """

    def __init__(self, run: Run, report: Report) -> None:
        self.run, self.report = run, report
        self.slide = False  # whether windows slide; known once they are read
        self._data: tuple[EpochSet, Continuous | None] | None = None
        self._folds: dict[str, Fold] = {}
        self._own: dict[str, NDArray[np.float32]] = {}
        self._last: tuple[tuple[str, str, str], Sides] | None = None

    @cached_property
    def choices(self) -> Tree:
        """What the run was asked for, resolved."""
        return resolve("mi", pipeline=self.run.path / "config.toml")

    @property
    def epochs(self) -> EpochSet:
        """All windows, neither aligned nor cleaned.

        Raises
        ------
        StoreError
            If the recordings are no longer those of the run.
        """
        return self._read()[0]

    def sides(self, row: ResultRow) -> Sides:
        """Both sides of the fold that a row is about; rows of one fold in a row are quick.

        Raises
        ------
        StoreError
            If the recordings, or the folds, are no longer those of the run.
        """
        key = (row.fold, row.align, row.clean)
        if self._last is None or self._last[0] != key:
            self._last = (key, self._sides(row))
        return self._last[1]

    def _sides(self, row: ResultRow) -> Sides:
        epochs, continuous = self._read()
        fold = self._folds.get(row.fold)
        if fold is None or len(fold.test) != row.n_test:
            raise StoreError(f"The fold {row.fold} of {self.run.id} cannot be found again.")
        if row.clean != "none":
            assert continuous is not None, "recordings are kept where they are cleaned"
            if not CleanWord.parse(row.clean).own:
                x = fold_windows(epochs, continuous, row.clean, fold).x
            else:
                if row.clean not in self._own:
                    self._own[row.clean] = own_windows(epochs, continuous, row.clean)
                x = self._own[row.clean]
            epochs = replace(epochs, x=x)
        train, test = aligned_windows(epochs, fold, row.align)
        return Sides(fold, np.asarray(train), test)

    def _read(self) -> tuple[EpochSet, Continuous | None]:
        if self._data is not None:
            return self._data
        choices = self.choices
        data = load_data(choices, report=self.report)
        if data[0].digest() != self.run.meta().get("data"):
            raise StoreError(
                f"The windows of {self.run.id} are not what they were: recordings, or the code "
                f"that reads them, have changed. Give the command of the run again."
            )
        evaluation = choices["evaluation"]
        folds = make_folds(
            data[0],
            protocol=evaluation["protocol"],
            n_folds=evaluation["n_folds"],
            order=evaluation["order"],
            slide=choices["epochs"]["slide"],
            split=evaluation["split"],
        )
        self.slide = choices["epochs"]["slide"]
        self._folds = {fold.name: fold for fold in folds}
        self._data = data
        return data
