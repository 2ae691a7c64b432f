"""Calls spread over processes: this one, several of this machine, or those of a Dask scheduler.

Dask carries the calls. Between our own processes that is a matter of pickles, as it is wherever
Python talks to Python; none is written to a file. Who may talk to a scheduler may run anything as
whoever started its workers, so ours listens on this machine alone, and another must be trusted.
"""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, FitError
from neurodecode.evaluation.mapped import Mapped, in_file, scratch

if TYPE_CHECKING:
    from distributed import Client, Future, SpecCluster

T = TypeVar("T")
Called = Callable[..., str]

TRIES = 3
"""A call that kills its process so often is given up."""
ANSWER = 10.0
"""Within which a scheduler answers, s."""
LOOK = 1.0
"""How often workers are counted while all are busy, s: more may come, and some may go."""
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


class Pool(Protocol):
    """Where calls are done."""

    @property
    def n_workers(self) -> int:
        """How many are done at a time."""

    @property
    def n_threads(self) -> int | None:
        """With how many threads each; None if that is known only where it is done."""

    def on_disk(self, x: NDArray[Any]) -> NDArray[Any]:
        """The same array, such that a process is sent its place instead of it."""

    def share(self, thing: T) -> T:
        """The same, as an argument of many calls: a process is sent it once."""

    def map(
        self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]], *, called: Called
    ) -> Iterator[tuple[int, T]]:
        """Number of each call and what it returned, in the order in which they end.

        Parameters
        ----------
        function
            Of a module, so that other processes find it by its name.
        calls
            Arguments. Hardly more are taken than there are workers, so they may be large.
        called
            A call in words, from its arguments, to begin a sentence.

        Raises
        ------
        FitError
            If processes that did a call were killed again and again.
        """


class Here:
    """One process, that which calls."""

    n_workers = 1

    @property
    def n_threads(self) -> int:
        """All cores."""
        return os.cpu_count() or 1

    def on_disk(self, x: NDArray[Any]) -> NDArray[Any]:
        """As it is."""
        return x

    def share(self, thing: T) -> T:
        """As it is."""
        return thing

    def map(
        self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]], *, called: Called
    ) -> Iterator[tuple[int, T]]:
        """One after the other."""
        for i, call in enumerate(calls):
            yield i, function(*call)


@contextmanager
def open_pool(n_workers: int, folder: Path, *, scheduler: str | None = None) -> Iterator[Pool]:
    """Processes for the block; whatever ends it, they end with it.

    Parameters
    ----------
    n_workers
        One is this process, and Dask is not even imported; more are started on this machine.
    folder
        Where large arrays are laid for the time of the block.
    scheduler
        Address of a Dask scheduler, or the file that it wrote: its workers are used instead.

    Raises
    ------
    ConfigError
        If no scheduler answers, or it runs another Dask.
    """
    if n_workers <= 1 and scheduler is None:
        yield Here()
        return
    with ExitStack() as stack:
        scratch_folder = stack.enter_context(scratch(folder))
        stack.enter_context(_silence())
        if scheduler is None:
            cluster = stack.enter_context(_cluster(n_workers, scratch_folder))
            n_threads = max(1, (os.cpu_count() or 1) // n_workers)
            client = stack.enter_context(_client(cluster))
            stack.callback(_end, cluster)
            yield Workers(client, scratch_folder, n_workers=n_workers, n_threads=n_threads)
        else:
            client = stack.enter_context(_client(scheduler))
            yield Workers(client, scratch_folder)


def check_scheduler(scheduler: str) -> None:
    """Raise what `open_pool` would, before time is spent on what its workers should do."""
    with _silence(), _client(scheduler):
        pass


class Workers:
    """Processes of a Dask cluster.

    Parameters
    ----------
    client
        Connected.
    folder
        For large arrays.
    n_workers, n_threads
        If the cluster is ours.
    """

    def __init__(
        self,
        client: "Client",
        folder: Path,
        *,
        n_workers: int | None = None,
        n_threads: int | None = None,
    ) -> None:
        _send_places()
        self._client, self._folder = client, folder
        self._n_workers, self.n_threads = n_workers, n_threads
        self._kept: dict[int, tuple[Any, Any]] = {}  # with the original, so that its id stays
        self._facts = None if n_workers else _facts()

    @property
    def n_workers(self) -> int:
        """Workers that there are now; each does one call at a time, however many threads it has."""
        return self._n_workers or len(self._client.nthreads())

    def on_disk(self, x: NDArray[Any]) -> NDArray[Any]:
        """Mapped, see `neurodecode.evaluation.mapped`; written once."""
        if id(x) not in self._kept:
            self._kept[id(x)] = x, in_file(x, self._folder / f"{len(self._kept)}.raw")
        found: NDArray[Any] = self._kept[id(x)][1]
        return found

    def share(self, thing: T) -> T:
        """A future of it. Unlike scattered data, it comes back when the worker that had it died."""
        if id(thing) not in self._kept:
            self._kept[id(thing)] = thing, self._client.submit(_same, thing, pure=False)
        found: T = self._kept[id(thing)][1]
        return found

    def map(
        self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]], *, called: Called
    ) -> Iterator[tuple[int, T]]:
        """One for each worker at a time; the next is made ready meanwhile.

        None waits in Dask: it would wait there for the worker that has what it shares while others
        are idle, and be taken for what killed a worker that never began it.
        """
        numbered = enumerate(calls)
        ahead = next(numbered, None)
        ended: Queue[Future] = Queue()
        running: dict[Future, tuple[int, tuple[Any, ...], str]] = {}
        while ahead or running:
            free = set(self._client.nthreads()).difference(place for *_, place in running.values())
            if ahead and free:
                place = free.pop()
                future = self._submit(place, function, ahead[1])
                future.add_done_callback(ended.put)
                running[future] = (*ahead, place)
                ahead = next(numbered, None)
                continue
            with suppress(Empty):
                future = ended.get(timeout=LOOK)
                i, call, _ = running.pop(future)
                yield i, _result(future, called, call)

    def _submit(self, place: str, function: Callable[..., Any], call: tuple[Any, ...]) -> "Future":
        how = {"workers": place, "allow_other_workers": True, "pure": False}  # if it dies
        with warnings.catch_warnings():  # of arguments that are large
            warnings.simplefilter("ignore")
            return self._client.submit(_call, self._facts, function, *call, **how)


def _same(thing: T) -> T:
    _send_places()  # another worker will ask this one for it
    return thing


def _send_places() -> None:
    """Let Dask, which has its own way with arrays, leave to mapped ones what is sent of them."""
    from distributed.protocol import dask_serialize

    dask_serialize.register(Mapped)(_not_its_way)


def _not_its_way(x: Mapped) -> None:
    raise NotImplementedError


_ONE = threading.Lock()


def _call(facts: Mapping[str, str] | None, function: Callable[..., T], *call: Any) -> T:
    """What a worker does: one call at a time, as threads and seeds belong to the whole process."""
    if facts is not None:
        _check(facts)
    with _ONE:
        return function(*call)


def slot_threads() -> int:
    """Threads that Dask gives the worker which this is called in."""
    from distributed import get_worker

    return int(get_worker().state.nthreads)


def _result(future: "Future", called: Called, call: tuple[Any, ...]) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:  # the system kills whoever takes too much memory
        raise FitError(
            f"{called(*call)} killed its worker {error.allowed_failures + 1} times, most likely "
            f"for want of memory. Give workers more, or the same command with fewer --jobs: "
            f"finished folds are kept."
        ) from error
    except CancelledError as error:
        raise FitError(
            "The Dask scheduler has gone. Start it and give the same command again: finished "
            "folds are kept."
        ) from error
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "neurodecode":
            raise ConfigError(
                f"A worker of the scheduler has no neurodecode ({error}). Start workers in an "
                f"environment like this one."
            ) from error
        raise


def _facts() -> dict[str, str]:
    """What a row's key says of the code that made it; another machine must have the same."""
    from neurodecode.results.provenance import library_versions, package_digest

    return {**library_versions(), "source": package_digest()}


def _check(facts: Mapping[str, str]) -> None:
    import platform

    mine = _facts()
    other = [name for name in facts if mine.get(name) != facts[name]]
    if other:
        words = (
            f"{name} {mine.get(name)} instead of {facts[name]}"
            if name != "source"
            else "another neurodecode"
            for name in other
        )
        raise ConfigError(
            f"A worker on {platform.node()} has {', '.join(words)}, so its rows would be kept "
            f"under a wrong name. Start workers in an environment like this one."
        )


@contextmanager
def _cluster(n_workers: int, folder: Path) -> Iterator["SpecCluster"]:
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
        "allowed_failures": TRIES - 1,
    }
    gpus = _gpus()
    workers = {
        i: {"cls": Nanny, "options": {**options, "env": gpu_environment(i, gpus)}}
        for i in range(n_workers)
    }
    with dask.config.set(LOCAL), _nameless():
        cluster = SpecCluster(workers, scheduler={"cls": Scheduler, "options": scheduler})
        try:
            yield cluster
        finally:
            cluster.close()


def _end(cluster: "SpecCluster") -> None:
    """End the processes of a cluster; what they compute is not waited for."""
    for nanny in cluster.workers.values():
        nanny.close_gracefully()  # it is not replaced
        if nanny.pid:
            os.kill(nanny.pid, signal.SIGKILL)


def dask_setup(worker: Any) -> None:
    """What Dask calls in a worker of ours: Ctrl+C reaches a whole terminal, and we end workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _client(where: Any) -> Iterator["Client"]:
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
def _silence() -> Iterator[None]:
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
