"""What processes did is what one would have done, whatever happens to them on the way."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import worker_calls

from neurodecode.core.errors import ConfigError, FitError, UnknownName
from neurodecode.core.seeding import generator
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation import cluster, runner, workers
from neurodecode.evaluation.jobs import Job, Task
from neurodecode.evaluation.mapped import LARGE, in_file, scratch
from neurodecode.evaluation.splits import make_folds
from neurodecode.evaluation.workers import Pool, Workers, open_pool
from neurodecode.results.store import Run


def in_words(*call: object) -> str:
    return f"Call {call[0]}"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    with open_pool(2, tmp_path_factory.mktemp("runs")) as pool:
        assert isinstance(pool, Workers)
        yield pool


@pytest.fixture
def pool(opened: Workers) -> Workers:
    """Two workers, whatever a test before has done to them."""
    opened._client.wait_for_workers(2)
    return opened


def values(pool: Pool, function: Any, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [value for _, value in sorted(pool.map(function, calls, called=in_words))]


def test_a_call_whose_process_is_killed_is_done_again(pool: Pool, tmp_path: Path) -> None:
    """So is what it shares with others, if that was lost with the process."""
    shared = pool.share({"is": 7})
    calls = [(tmp_path / str(i), shared) for i in range(3)]
    assert values(pool, worker_calls.kill_once, calls) == [7, 7, 7]


def test_a_call_that_kills_every_process_is_named(pool: Pool) -> None:
    with pytest.raises(FitError, match=r"^Call 5 is given up: .* killed 3 times.*fewer --jobs"):
        values(pool, worker_calls.kill, [(5,)])


def test_large_arrays_are_mapped_and_cannot_be_written_to(pool: Pool, tmp_path: Path) -> None:
    x = np.arange(LARGE // 4, dtype=np.float32).reshape(10, -1)
    kept = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (2, *x.shape))
    kept[:] = 2 * x
    arrays = [pool.on_disk(x), pool.on_disk(kept), pool.on_disk(x)[1:], pool.on_disk(kept[1])]
    seen = values(pool, worker_calls.look_at, [(a,) for a in arrays])
    assert [greatest for greatest, *_ in seen] == [float(a[-1].max()) for a in arrays]
    assert [mapped for _, _, mapped, _ in seen] == [True, True, False, True]
    assert not any(writeable for _, writeable, mapped, _ in seen if mapped)


def test_what_is_shared_is_mapped_by_each_worker(pool: Pool) -> None:
    """Also by one that asks another worker for it."""
    shared = pool.share(pool.on_disk(np.ones((2, LARGE))))
    seen = values(pool, worker_calls.look_at, [(shared, i) for i in range(4)])
    assert all(mapped for _, _, mapped, _ in seen)
    assert len({pid for *_, pid in seen}) == 2


def test_an_error_comes_home_and_the_others_go_on(pool: Pool) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'eegnet'"):
        values(pool, worker_calls.refuse, [("eegnett",)] * 2)
    assert len(set(values(pool, worker_calls.pid, [(i,) for i in range(4)]))) == 2


def test_ctrl_c_of_the_terminal_is_left_to_whoever_started_them(pool: Pool) -> None:
    before = set(values(pool, worker_calls.pid, [(i,) for i in range(2)]))
    for process in before:
        os.kill(process, signal.SIGINT)
    assert set(values(pool, worker_calls.pid, [(i,) for i in range(2)])) == before


def test_only_this_machine_can_reach_them(pool: Pool) -> None:
    me = psutil.Process()
    places = {
        connection.laddr.ip
        for process in (me, *me.children(recursive=True))
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert places == {"127.0.0.1"}


@pytest.fixture
def task() -> Task:
    rng = generator(0, "workers")
    x = rng.standard_normal((60, 22, 250)).astype(np.float32)
    y = np.tile([0, 1], 30)
    x[y == 1, 0] *= 1.5
    table = pd.DataFrame(
        {
            **{"dataset": "made up", "subject": np.repeat([*"123"], 20), "session": "0"},
            **{"run": "0", "onset": np.tile(4.0 * np.arange(20), 3), "block": np.arange(60)},
        }
    )
    names = tuple(f"E{i}" for i in range(22))
    epochs = EpochSet(x=x, y=y, classes=("l", "r"), table=table, ch_names=names, sfreq=125.0)
    common = {"paradigm": "mi", "dataset": "made up", "protocol": "cross-subject"}
    return Task(epochs=epochs, metric="balanced_accuracy", simulated=True, **common)


@pytest.fixture
def jobs(task: Task) -> list[Job]:
    return [
        Job(fold=fold, model=model, key=f"{i}{model}")
        for i, fold in enumerate(make_folds(task.epochs))
        for model in ("csp_lda", "ts_lr")
    ]


def kept_of(run: Run, jobs: Sequence[Job]) -> list[Any]:
    """All that the store has, without what was measured by the clock."""
    rows = [run.read_row(job.key) for job in jobs]
    tables = [run.read_predictions(job.key).to_dict("list") for job in jobs]
    return [replace(row, fit_time=0.0, predict_time=0.0) for row in rows if row] + tables


def test_two_workers_one_of_which_is_killed_leave_what_one_would_have(
    task: Task, jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, together = Run(tmp_path / "one" / "run"), Run(tmp_path / "two" / "run")
    runner.run_jobs(task, jobs, alone)
    together.path.mkdir(parents=True)
    monkeypatch.setattr(runner, "_rest_of_unit", worker_calls.killed_half_way)
    fitted: list[str] = []
    runner.run_jobs(
        task, jobs, together, n_workers=2, on_done=lambda job, row, new: fitted.append(job.key)
    )
    assert kept_of(together, jobs) == kept_of(alone, jobs)
    assert sorted(fitted) == sorted(job.key for job in jobs)
    begun = (together.path.parent / "begun").read_text().split()
    assert len(begun) == len(set(begun)) == len(jobs) - 1  # one was kept before its process died
    assert sorted(path.name for path in together.path.iterdir()) == ["checkpoints", "folds"]
    again: list[bool] = []
    runner.run_jobs(
        task, jobs, together, n_workers=2, on_done=lambda job, row, new: again.append(new)
    )
    assert again == [False] * len(jobs)


SCHEDULER = """
import sys, time
from distributed import LocalCluster
if __name__ == "__main__":
    here = {"host": "127.0.0.1", "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=1, threads_per_worker=2, local_directory=sys.argv[1], **here) as c:
        print(c.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with a worker of two threads, all of another process."""
    folder = tmp_path_factory.mktemp("dask")
    script = folder / "scheduler.py"
    script.write_text(SCHEDULER)
    process = subprocess.Popen(
        [sys.executable, script, folder], stdin=-1, stdout=-1, text=True, cwd=folder
    )
    with process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("")


def test_the_workers_of_a_scheduler_do_the_same(
    task: Task, jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    """They work in another folder, so a run named by a relative path must be found from there."""
    monkeypatch.chdir(tmp_path)
    runner.run_jobs(task, jobs, Run(Path("one")))
    runner.run_jobs(task, jobs, Run(Path("two")), scheduler=scheduler)
    assert kept_of(Run(Path("two")), jobs) == kept_of(Run(Path("one")), jobs)


def test_workers_of_a_scheduler_must_have_the_same_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    facts = workers._facts() | {"torch": "0.1"}
    monkeypatch.setattr(workers, "_facts", lambda: facts)
    with (
        open_pool(1, tmp_path, scheduler=scheduler) as pool,
        pytest.raises(ConfigError, match=r"has torch 2\S+ instead of 0\.1, so its rows"),
    ):
        values(pool, workers._same, [(1,)])


@pytest.mark.parametrize("where", ["tcp://127.0.0.1:9", "127.0.0.1:9", "nowhere://x"])
def test_nobody_at_the_address_is_one_line(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.3)
    with pytest.raises(ConfigError, match=f"^--scheduler {where}: no Dask scheduler") as caught:
        workers.check_scheduler(where)
    assert "\n" not in str(caught.value)


UNGUARDED = """
import os, sys, time
from pathlib import Path
from neurodecode.evaluation.workers import open_pool
with open_pool(2, Path(sys.argv[1])) as pool:
    pool.on_disk(__import__("numpy").zeros(10**6))
    for _, pid in pool.map(os.getpid, [(), ()], called=str):
        print(pid, flush=True)
    time.sleep(60)
"""


def test_a_killed_script_takes_its_workers_along(tmp_path: Path) -> None:
    """The script calls us without asking for its name, and yet they do not run it again."""
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    process = subprocess.Popen([sys.executable, script, tmp_path], stdout=-1, stderr=-1, text=True)
    with process:
        assert process.stdout is not None
        found = [psutil.Process(int(process.stdout.readline())) for _ in range(2)]
        assert list(tmp_path.glob(".scratch-*/*.raw"))
        process.kill()
    psutil.wait_procs(found, timeout=5)
    assert not any(one.is_running() for one in found)
    with scratch(tmp_path):
        assert not list(tmp_path.glob(".scratch-*"))  # what was left behind is swept


def test_a_folder_of_a_process_that_lives_is_not_swept(tmp_path: Path) -> None:
    with scratch(tmp_path) as mine:
        in_file(np.zeros(LARGE), mine / "x.raw")
        with scratch(tmp_path):
            assert (mine / "x.raw").exists()
    assert not list(tmp_path.iterdir())


def test_one_worker_is_this_process_and_takes_no_dask(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from neurodecode.evaluation.workers import open_pool"
        "\nwith open_pool(1, Path('.')) as pool: list(pool.map(print, [()], called=str))"
        "\nassert not {'dask', 'distributed', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, stdout=-1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("gpus", "seen"), [([], [None] * 3), (["0"], [None] * 3), (["2", "5"], ["2", "5", "2"])]
)
def test_workers_take_turns_with_gpus(gpus: list[str], seen: list[str | None]) -> None:
    found = [cluster.gpu_environment(i, gpus).get("CUDA_VISIBLE_DEVICES") for i in range(3)]
    assert found == seen
