"""Progress on stderr: bars on a terminal, a line per fold elsewhere."""

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
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

    def plan(self, plan: Any, run: Any) -> None:
        """Show what is about to be done."""
        self.n_jobs = len(plan.jobs)
        self.bar.update(self.task, description="fitting", completed=0, total=self.n_jobs)
        words = "simulated recordings" if plan.task.simulated else "recordings"
        self.err.print(
            f"{plan.task.dataset}: {words}, {len(plan.task.epochs)} windows of "
            f"{plan.task.epochs.x.shape[1]} channels x {plan.task.epochs.x.shape[2]} samples, "
            f"{self.n_jobs} fits, {run.path}",
            markup=False,
        )

    def done(self, job: Any, row: Any, fitted: bool) -> None:
        """Count a finished job."""
        self.n_done += 1
        self.bar.update(self.task, description=f"{job.model} {job.fold.name}", advance=1)
        if not self.err.is_terminal and (job.fold.name != self.fold or self.n_done == self.n_jobs):
            self.fold = job.fold.name
            self.err.print(f"{self.n_done}/{self.n_jobs} {job.fold.name}", markup=False)
