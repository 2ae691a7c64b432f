"""The loop over folds, decoders and seeds; finished folds are read, never fitted again."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.evaluation.cleaning import own_windows
from neurodecode.evaluation.jobs import Job, Task
from neurodecode.evaluation.sides import fitted_in_fold
from neurodecode.evaluation.unit import group_units, run_unit
from neurodecode.evaluation.workers import Here, Pool, open_pool, slot_threads
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run


def run_jobs(
    task: Task,
    jobs: Sequence[Job],
    run: Run,
    *,
    n_workers: int = 1,
    scheduler: str | None = None,
    on_done: Callable[[Job, ResultRow, bool], None] = lambda job, row, fitted: None,
) -> None:
    """Do all jobs; those that the store has are read, the others computed and kept one by one.

    Parameters
    ----------
    task
        Data and words.
    jobs
        What to do.
    run
        Where it is kept.
    n_workers
        Processes; each takes a fold with an alignment and a cleaning, and maps the windows.
        Alignments that share a cleaner fitted in the fold stay together.
    scheduler
        Address of a Dask scheduler, or the file that it wrote, whose workers do it instead.
    on_done
        Called after each job with its row and whether it was fitted now.

    Raises
    ------
    FitError
        If a decoder cannot be fitted, or what fits it is killed again and again.
    """
    missing = []
    for job in jobs:
        row = run.read_row(job.key)
        if row is None and run.adopt(job.key):
            row = run.read_row(job.key)
        if row is None:
            missing.append(job)
        else:
            on_done(job, row, False)
    units = group_units(missing, task.together)
    if not units:
        return
    run = Run(run.path.absolute())  # a worker of a scheduler may be in another folder
    with open_pool(min(n_workers, len(units)), run.path, scheduler=scheduler) as pool:
        tasks = _tasks(task, dict.fromkeys(unit[0].clean for unit in units), pool)
        if isinstance(pool, Here):
            for unit in units:
                run_unit(tasks[unit[0].clean], unit, run, pool.n_threads, on_done)
            return
        calls = ((tasks[unit[0].clean], unit, run, pool.n_threads) for unit in units)
        for _, done in pool.map(_rest_of_unit, calls, called=_called):
            for job, row in done:
                on_done(job, row, True)


def _rest_of_unit(
    task: Task, unit: Sequence[Job], run: Run, n_threads: int | None
) -> list[tuple[Job, ResultRow]]:
    """Do the jobs of a unit that whoever began it before, and was killed, has not kept."""
    found = [(job, run.read_row(job.key)) for job in unit]
    missing = [job for job, row in found if row is None]
    task, n_threads = _with_arrays(task, np.asarray), n_threads or slot_threads()
    fitted = run_unit(task, missing, run, n_threads) if missing else []
    return [(job, row) for job, row in found if row is not None] + fitted


def _called(task: Task, unit: Sequence[Job], *_: object) -> str:
    first, *more = dict.fromkeys(job.fold.name for job in unit)
    return f"Fold {first}" + (f" with {len(more)} more" if more else "")


def _tasks(task: Task, words: Iterable[str], pool: Pool) -> dict[str, Task]:
    """The data for each word of cleaning: recordings only where a fold works on them."""
    tasks = {}
    for word in words:
        its = task
        if not fitted_in_fold(word) and task.live is None:
            its = replace(task, continuous=None)
            if word != "none":
                assert task.continuous is not None, "recordings are kept where they are cleaned"
                x = own_windows(task.epochs, task.continuous, word, pool)
                its = replace(its, epochs=replace(task.epochs, x=x))
        tasks[word] = its if isinstance(pool, Here) else pool.share(_with_arrays(its, pool.on_disk))
    return tasks


def _with_arrays(task: Task, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Task:
    """The same task, with what is large in it changed: windows, and recordings if there are any."""
    epochs, source = replace(task.epochs, x=change(task.epochs.x)), task.continuous
    if source is not None:
        parts = []
        for part in source.parts:
            raw = copy.copy(part.raw)
            raw._data = change(part.raw._data)
            parts.append(replace(part, raw=raw))
        source = replace(source, parts=parts)
    return replace(task, epochs=epochs, continuous=source)
