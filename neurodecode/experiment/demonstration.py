"""A small run to look at where there is none: simulated people, two nets and two classics."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import neurodecode
from neurodecode.core.errors import NeurodecodeError
from neurodecode.core.places import cache_folder
from neurodecode.experiment.choices import Tree, resolve
from neurodecode.experiment.data import Report
from neurodecode.experiment.energy import energy_of_run
from neurodecode.experiment.fit import fit
from neurodecode.results.store import Run, Store, writing

logger = logging.getLogger(__name__)

MODELS = ["csp_lda", "ts_lr", "dbconformer", "spiking_dbconformer"]
SUBJECTS = [1, 2, 3, 4]
EPOCHS = 12
"""Passes of the nets over their windows; enough to show curves, not to win."""


def demonstration_folder() -> Path:
    """Where demonstration runs are kept."""
    return cache_folder() / "demonstration" / neurodecode.__version__


def demonstration_choices() -> Tree:
    """What the demonstration fits to whom."""
    flags: dict[str, Any] = {
        "data.subjects": SUBJECTS,
        "models": MODELS,
        "evaluation.align": ["euclidean:causal"],
    }
    return resolve("mi", sets=[f"train.epochs={EPOCHS}"], flags=flags)


def demonstrate(
    *,
    n_workers: int | None = None,
    report: Report = lambda words, done, total: None,
    on_plan: Callable[[Any, Run], None] = lambda plan, run: None,
    on_done: Callable[[Any, Any, bool], None] = lambda job, row, fitted: None,
    on_step: Report = lambda words, done, total: None,
) -> Path:
    """The folder of the demonstration run, which is fitted, explained and counted once.

    Stopped half-way, it goes on from there the next time. What cannot be explained or counted is
    said, and left out.

    Parameters
    ----------
    n_workers, report, on_plan, on_done
        As `neurodecode.experiment.fit.fit` takes them.
    on_step
        Called after each fold that is explained.

    Raises
    ------
    StoreError
        If the cache folder cannot be written to.
    """
    folder = demonstration_folder()
    if (folder / MADE).exists():
        return folder
    Store.open(folder)
    run = fit(
        demonstration_choices(),
        folder,
        n_workers=n_workers,
        report=report,
        on_plan=on_plan,
        on_done=on_done,
    )
    from neurodecode.experiment.explain import explain_run  # here: it takes captum

    attempts: dict[str, Callable[[], object]] = {
        "maps": partial(
            explain_run,
            run,
            n_windows=16,  # a quarter of the usual, and one shuffled fit: to look at only
            n_shuffled=1,
            cleaner="none",
            n_workers=n_workers,
            report=report,
            on_done=on_step,
        ),
        "an account of energy": partial(energy_of_run, run, report=report),
    }
    for what, attempt in attempts.items():
        try:
            attempt()
        except NeurodecodeError as error:
            logger.warning("The demonstration goes without %s: %s", what, error)
    with writing(folder / MADE) as file:
        file.write_text(f"{run.id}\n", encoding="utf-8")
    return folder


MADE = ".made"
"""File that says that the demonstration is whole."""
