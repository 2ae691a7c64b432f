"""Progress on stderr: bars on a terminal, a line per fold elsewhere."""

import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar


class Progress:
    """Bars on a terminal, a line per fold elsewhere, both on stderr."""

    def __init__(self) -> None:
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.err,
            transient=True,
            disable=not self.err.is_terminal,
        )
        self.task = self.bar.add_task("", total=None)
        self.fold = ""
        self.spoken = -math.inf
        self.n_done = self.n_jobs = 0

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def read(self, words: str, done: int, total: int) -> None:
        """Show how many subjects have been read."""
        self.bar.update(self.task, description=words, completed=done, total=total)
        if not self.err.is_terminal and done == 0:
            self.err.print(f"{words}, {total} subjects", markup=False)

    def people(self, words: str, done: int, total: int) -> None:
        """Show how many people are done."""
        self.bar.update(self.task, description=words, completed=done, total=total)
        if not self.err.is_terminal:
            self.err.print(f"{words}: {done} of {total} people", markup=False)

    def step(self, words: str, done: int, total: int) -> None:
        """Show what has just been done."""
        self.bar.update(self.task, description=words, completed=done, total=total)
        if not self.err.is_terminal:
            self.err.print(f"{done}/{total} {words}", markup=False)

    def plan(self, plan: Any, run: Any) -> None:
        """Show what is about to be done."""
        self.n_jobs = len(plan.jobs)
        self.bar.update(self.task, description="fitting", completed=0, total=self.n_jobs)
        self._say(run.meta(), f"{self.n_jobs} fits, {run.path}")

    def again(self, run: Any, n_jobs: int) -> None:
        """Show what has been done before."""
        self._say(run.meta(), f"{n_jobs} fits, all finished before, {run.path}")

    def _say(self, meta: Mapping[str, Any], more: str) -> None:
        words = "simulated recordings" if meta["simulated"] else "recordings"
        if meta["contaminated"]:
            words += f", CONTAMINATED ({meta['contaminated']})"
        self.err.print(
            f"{meta['dataset']}: {words}, {meta['n_windows']} windows of {len(meta['ch_names'])} "
            f"channels x {meta['n_times']} samples, {more}",
            markup=False,
        )

    def plan_denoisers(self, plan: Any, run: Any) -> None:
        """Show which denoisers are about to be trained, and on whose mixtures."""
        self.n_jobs = len(plan.jobs)
        task = plan.task
        n_people = [len(part.subjects) for part in task.parts]
        self.err.print(
            f"{task.dataset}: {'SIMULATED, ' if task.simulated else ''}"
            f"{' / '.join(map(str, n_people))} {plan.units} to train / validate / test, "
            f"{self.n_jobs} fits, {run.path}",
            markup=False,
        )

    def denoiser(self, job: Any, row: Any, fitted: bool) -> None:
        """Count a finished denoiser."""
        self.n_done += 1
        how = f"trained in {row.fit_time:.0f} s" if fitted else "finished before"
        words = f"{self.n_done}/{self.n_jobs} {job.name}, seed {job.seed}: {how}"
        self.err.print(f"{words}, RRMSE {row.score:.2f}", markup=False)

    def plan_pretraining(self, plan: Any, run: Any) -> None:
        """Show what a backbone is about to learn from, and what was done to the recordings."""
        words = "SIMULATED recordings" if plan.simulated else "recordings"
        lines = [f"{plan.model}, {plan.n_params:,} parameters, {words}, {run.path}"]
        if run.path.is_dir() and run.meta().get("finished"):
            lines.append("finished before")
        for line in [*lines, *plan.corpus.notes]:
            self.err.print(line, markup=False)

    def start(self, step: int) -> None:
        """Say where a training goes on."""
        if step:
            self.err.print(f"goes on from step {step}", markup=False)

    def moment(self, moment: Any) -> None:
        """Show step, loss and time left; off a terminal at most every half minute."""
        words = f"loss {moment.loss:.4f}, {_minutes(moment.left)} left"
        self.bar.update(self.task, description=words, completed=moment.step, total=moment.n_steps)
        now = time.monotonic()
        if not self.err.is_terminal and now - self.spoken >= 30:
            self.spoken = now
            of = f" of {moment.n_steps}" if moment.n_steps else ""
            self.err.print(f"step {moment.step}{of}: {words}", markup=False)

    def validation(self, rows: Any) -> None:
        """Show the loss of held-out people."""
        last = next(row for row in reversed(rows) if row["dataset"] == "all")
        words = f"step {last['step']}: loss of held-out people {last['loss']:.4f}"
        self.err.print(words, markup=False)

    def done(self, job: Any, row: Any, fitted: bool) -> None:
        """Count a finished job."""
        self.n_done += 1
        self.bar.update(self.task, description=f"{job.model} {job.fold.name}", advance=1)
        if not self.err.is_terminal and (job.fold.name != self.fold or self.n_done == self.n_jobs):
            self.fold = job.fold.name
            self.err.print(f"{self.n_done}/{self.n_jobs} {job.fold.name}", markup=False)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


class Steps:
    """A bar with the step at hand and a clock on a terminal, nothing elsewhere; on stderr."""

    def __init__(self) -> None:
        err = Console(stderr=True, highlight=False)
        self.bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self.task = self.bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def step(self, words: str, done: int, total: int) -> None:
        """Show what is being done, and how many steps are behind."""
        self.bar.update(self.task, description=words, completed=done, total=total)
