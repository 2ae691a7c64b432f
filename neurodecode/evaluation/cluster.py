"""The processes of Dask: a cluster of this machine that ends with us, or a scheduler that is there.

Between our own processes Dask's messages are pickles, as they are wherever Python talks to Python;
none is written to a file. Who may talk to a scheduler may run anything as whoever started its
workers: ours listens on this machine alone, and another must be trusted. Encryption, as Dask's
settings ask for it, is used for both.
"""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodecode.core.errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client, SpecCluster

ANSWER = 10.0
"""Within which a scheduler answers, s."""
LOCAL: Mapping[str, Any] = {
    # Not Dask's own, which make glibc give back every large array, page by page; threads are set
    # where they are used.
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.worker.profile.enabled": False,  # a thread that looks a hundred times a second
    "distributed.worker.use-file-locking": False,
    "distributed.scheduler.worker-ttl": None,  # a long computation is not a dead worker
    "distributed.comm.timeouts.connect": "3s",  # so long is a killed worker asked for data
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
"""Settings of a cluster of this machine, beside those that a person has for Dask."""


@contextmanager
def started(n_workers: int, folder: Path) -> Iterator["SpecCluster"]:
    """Processes of this machine, which nobody outside it can reach.

    A process that is killed is replaced. None is paused or ended for the memory it takes, and all
    of them end when this process does, however it ends.
    """
    import dask
    from distributed import Nanny, Scheduler, SpecCluster

    encrypt = dask.config.get("distributed.comm.require-encryption")
    common = {"host": "127.0.0.1", "protocol": "tls://" if encrypt else "tcp://"}
    options = {
        **common,
        "nthreads": 1,
        "memory_limit": 0,
        "dashboard": False,
        "local_directory": str(folder),
        "silence_logs": logging.CRITICAL,
        "preload": [__name__],  # see `dask_setup`
    }
    scheduler = {
        **common,
        "port": 0,
        "dashboard": False,
        "dashboard_address": "127.0.0.1:0",
        "allowed_failures": 1000,  # we count ourselves, and of each call by itself
    }
    gpus = _gpus()
    workers = {
        i: {"cls": Nanny, "options": {**options, "env": gpu_environment(i, gpus)}}
        for i in range(n_workers)
    }
    with dask.config.set(LOCAL), _nameless():
        cluster = None
        try:
            with _deaf():
                cluster = SpecCluster(workers, scheduler={"cls": Scheduler, "options": scheduler})
            yield cluster
        finally:
            if cluster is not None:
                cluster.close()


def end(cluster: "SpecCluster") -> None:
    """End the processes of a cluster; what they compute is not waited for."""
    for nanny in cluster.workers.values():
        nanny.close_gracefully()  # it is not replaced
        if nanny.pid:
            os.kill(nanny.pid, signal.SIGKILL)


def dask_setup(worker: Any) -> None:
    """What Dask calls in a worker of ours: Ctrl+C reaches a whole terminal, and we end workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl+C waits for the end of the block: a cluster that is half there cannot be ended."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def connected(where: Any) -> Iterator["Client"]:
    """Connected to a cluster of ours, or to a scheduler by its address or file."""
    from distributed import Client

    ours = not isinstance(where, str)
    place = {"scheduler_file": where} if not ours and Path(where).is_file() else {"address": where}
    try:
        with warnings.catch_warnings():  # of versions: those that matter are compared by us
            warnings.simplefilter("ignore")
            client = Client(**place, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--scheduler {where}: no Dask scheduler answers there ({_first_line(error)}). Start "
            f"one with `dask scheduler` and give the address that it prints."
        ) from error
    try:
        if not ours:
            _same_dask(client, where)
        yield client
    finally:
        client.close(timeout=ANSWER)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _same_dask(client: "Client", where: str) -> None:
    versions = client.get_versions()
    mine, other = (
        {
            "Python": ".".join(one["host"]["python"].split(".")[:2]),
            "distributed": one["packages"]["distributed"],
        }
        for one in (versions["client"], versions["scheduler"])
    )
    for name, version in mine.items():
        if other[name] != version:
            raise ConfigError(
                f"--scheduler {where} runs {name} {other[name]}, and this is {name} {version}. "
                f"Start the scheduler and its workers in an environment like this one."
            )


@contextmanager
def silence() -> Iterator[None]:
    """Of Dask, which tells of workers that come and go; we say what matters."""
    import distributed

    known = logging.root.manager.loggerDict
    own = [logging.getLogger(name) for name in known if name.startswith(distributed.__name__)]
    levels = [logger.level for logger in own]
    for logger in own:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(own, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _nameless() -> Iterator[None]:
    """Let workers not run the script that this process runs; and the environment stay as it is.

    A new process imports the script that started it, to find what is defined there. A script that
    calls us without ``if __name__ == "__main__"`` would call us again in each worker.
    """
    main, environment = sys.modules["__main__"], dict(os.environ)
    file, spec = main.__dict__.pop("__file__", None), main.__spec__
    main.__spec__ = None
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file
        for name in os.environ.keys() - environment:  # Dask lays some there for its workers
            del os.environ[name]


def gpu_environment(worker: int, gpus: Sequence[str]) -> dict[str, str]:
    """Environment of a worker, by which it sees one GPU where there are several.

    Parameters
    ----------
    worker
        Its number.
    gpus
        As CUDA names them: "0", "1".
    """
    return {"CUDA_VISIBLE_DEVICES": gpus[worker % len(gpus)]} if len(gpus) > 1 else {}


def _gpus() -> list[str]:
    """What this process may use of the GPUs of the machine, as CUDA names them."""
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return []  # found without torch, which takes a second to import
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]
