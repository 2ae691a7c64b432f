"""The loop over folds, decoders and seeds; finished folds are read, never fitted again."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from joblib import Parallel, delayed

from neurodecode.core.errors import FitError
from neurodecode.evaluation.cleaning import own_windows
from neurodecode.evaluation.jobs import Job, Task
from neurodecode.evaluation.unit import fitted_in_fold, group_units, run_unit
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run


def run_jobs(
    task: Task,
    jobs: Sequence[Job],
    run: Run,
    *,
    n_workers: int = 1,
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
        Processes; each takes a fold with an alignment and a cleaning, and shares the windows in
        memory. Alignments that share a cleaner fitted in the fold stay together.
    on_done
        Called after each job with its row and whether it was fitted now.

    Raises
    ------
    FitError
        If a decoder cannot be fitted, or a worker process is killed.
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
    units = group_units(missing)
    n_workers = min(n_workers, len(units))
    n_threads = max(1, (os.cpu_count() or 1) // max(1, n_workers))
    try:
        tasks = _tasks(task, dict.fromkeys(unit[0].clean for unit in units), n_workers)
        if n_workers <= 1:
            for unit in units:
                run_unit(tasks[unit[0].clean], unit, run, n_threads, on_done)
            return
        parallel = Parallel(n_jobs=n_workers, return_as="generator_unordered", batch_size=1)
        calls = (delayed(run_unit)(tasks[unit[0].clean], unit, run, n_threads) for unit in units)
        for done in parallel(calls):
            for job, row in done:
                on_done(job, row, True)
    except BrokenProcessPool as error:  # the system kills whoever takes too much memory
        raise FitError(
            f"One of {n_workers} worker processes was killed, most likely for want of memory. Give "
            f"the same command again with fewer --jobs: finished folds are kept."
        ) from error


def _tasks(task: Task, words: Iterable[str], n_workers: int) -> dict[str, Task]:
    """The data for each word of cleaning: recordings only where a fold works on them."""
    tasks = {}
    for word in words:
        tasks[word] = task
        if not fitted_in_fold(word) and task.live is None:
            tasks[word] = replace(task, continuous=None)
            if word != "none":
                assert task.continuous is not None, "recordings are kept where they are cleaned"
                x = own_windows(task.epochs, task.continuous, word, n_workers=n_workers)
                tasks[word] = replace(tasks[word], epochs=replace(task.epochs, x=x))
    return tasks
