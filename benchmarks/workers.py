"""A sweep of classical pipelines with two worker processes, beside the same with one.

python benchmarks/workers.py [--subjects 12] [--kill] [--rounds N] [--json FILE]

Simulated people are left out one by one, and each pipeline is fitted to the others, with and
without alignment: `run_jobs` as `neurodecode fit --jobs N` calls it, on windows that were made
beforehand, from an empty store to all rows. Starting the processes and what they import is
included. Both sides must leave the same scores, bit for bit.

With --kill, one of the two workers is killed with SIGKILL in the middle of every sweep, so the
ratio tells what that costs; the scores must be the same still, and no fold may be missing.
"""

import logging
import shutil
import signal
import tempfile
import threading
import time
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import psutil
import side_by_side
from simulated_people import choices_for, people

ARGUMENTS = ("", "--kill")
PIPELINES = ("csp_lda", "fbcsp", "mdm", "ts_lr")
ALIGN = ("none", "euclidean:causal", "riemannian:causal")


def options_of() -> ArgumentParser:
    """The options."""
    parser = side_by_side.parser(__doc__, rounds=3)
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--trials", type=int, default=80, help="of a person")
    parser.add_argument("--kill", action="store_true", help="kill a worker in the middle")
    return parser


def main() -> None:
    """The ratio, and how many fits a second."""
    options = options_of().parse_args()
    logging.getLogger("mne").setLevel(logging.ERROR)
    from neurodecode.evaluation.runner import run_jobs
    from neurodecode.experiment.data import load_data
    from neurodecode.experiment.fit import make_plan
    from neurodecode.results.store import Run

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shape = {"n_subjects": options.subjects, "n_sessions": 1, "n_trials": options.trials}
        card = people(folder, **shape, sfreq=125.0, duration=4.0)
        flags = {"models": list(PIPELINES), "evaluation.align": list(ALIGN)}
        choices = choices_for(card, PIPELINES[0], **flags)
        plan = make_plan(choices, *load_data(choices))
        scores = set[tuple[float, ...]]()
        cpu: dict[int, float] = {}

        def sweep(n_workers: int) -> None:
            run = Run(
                folder / f"runs{n_workers}" / "run"
            )  # apart: what one finished the other would take
            shutil.rmtree(run.path, ignore_errors=True)
            before = _cpu_seconds()
            if n_workers > 1 and options.kill:
                threading.Thread(
                    target=_kill_one, args=(run.path / "folds", len(plan.jobs) // 2)
                ).start()
            run_jobs(plan.task, plan.jobs, run, n_workers=n_workers)
            cpu[n_workers] = _cpu_seconds() - before
            rows = run.rows(job.key for job in plan.jobs)
            if len(rows) < len(plan.jobs):
                raise SystemExit(f"{len(plan.jobs) - len(rows)} rows are missing.")
            scores.add(tuple(row.score for row in rows))

        found = side_by_side.side_by_side(
            lambda: sweep(2),
            lambda: sweep(1),
            name="workers, one of them killed" if options.kill else "workers",
            what=f"{len(plan.jobs)} fits of classical pipelines with two workers, against one",
            rounds=options.rounds,
            amount=len(plan.jobs),
            unit="fits/s",
            warm_up=0,
        )
        if len(scores) > 1:
            raise SystemExit("One worker and two do not leave the same scores.")
    details = {"cpu_seconds": {str(n): seconds for n, seconds in cpu.items()}, **shape}
    details |= {"pipelines": PIPELINES, "align": ALIGN, "killed": options.kill}
    side_by_side.finish(replace(found, details=details), options.json)


def _kill_one(folds: Path, n_done: int) -> None:
    """Kill a worker when so many rows are kept."""
    me = psutil.Process()
    while len(list(folds.glob("*.parquet"))) < n_done:
        time.sleep(0.05)
    workers = [p for p in me.children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
    workers[0].send_signal(signal.SIGKILL)


def _cpu_seconds() -> float:
    """Of this process and those that it has ended."""
    times = psutil.Process().cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


if __name__ == "__main__":
    main()
