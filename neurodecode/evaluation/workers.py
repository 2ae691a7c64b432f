"""Calls spread over processes: this one, several of this machine, or those of a Dask scheduler.

Dask carries the calls, and its processes live in `neurodecode.evaluation.cluster`.
"""

import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, FitError
from neurodecode.evaluation import cluster
from neurodecode.evaluation.mapped import Mapped, in_file, scratch

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
Called = Callable[..., str]

TRIES = 3
"""A call that kills its process so often is given up."""
GONE = (
    "The Dask scheduler has gone. Start it and give the same command again: finished folds are "
    "kept."
)
LOOK = 0.5
"""How often workers are counted while all are busy, s: more may come, and some may go."""


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
        stack.enter_context(cluster.silence())
        if scheduler is None:
            ours = stack.enter_context(cluster.started(n_workers, scratch_folder))
            n_threads = max(1, (os.cpu_count() or 1) // n_workers)
            client = stack.enter_context(cluster.connected(ours))
            stack.callback(cluster.end, ours)
            yield Workers(client, scratch_folder, n_workers=n_workers, n_threads=n_threads)
        else:
            client = stack.enter_context(cluster.connected(scheduler))
            yield Workers(client, scratch_folder)


def check_scheduler(scheduler: str) -> None:
    """Raise what `open_pool` would, before time is spent on what its workers should do."""
    with cluster.silence(), cluster.connected(scheduler):
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
        return self._n_workers or len(self._places())

    def _places(self) -> set[str]:
        try:
            return set(self._client.nthreads())
        except OSError as error:
            raise FitError(GONE) from error

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

        None is left to Dask to place: it would wait for the worker that has what it shares, while
        others are idle.
        """
        turns = (Turn(i, call) for i, call in enumerate(calls))
        waiting = deque(islice(turns, 1))
        running: dict[Future, tuple[Turn, str]] = {}
        ended: Queue[Future] = Queue()
        while waiting or running:
            alive = self._places()
            for future in [f for f, (_, place) in running.items() if place not in alive]:
                waiting.appendleft(_once_more(running.pop(future)[0], called))
                future.cancel()
            free = alive.difference(place for _, place in running.values())
            if waiting and free:
                turn, place = waiting.popleft(), free.pop()
                running[self._begin(function, turn.call, place, ended)] = turn, place
                waiting.extend(islice(turns, not waiting))
                continue
            future = _next(ended)
            if future in running:
                turn, _ = running.pop(future)
                try:
                    yield turn.i, _result(future)
                except LostError:
                    waiting.appendleft(_once_more(turn, called))

    def _begin(
        self,
        function: Callable[..., Any],
        call: tuple[Any, ...],
        place: str,
        ended: "Queue[Future]",
    ) -> "Future":
        with warnings.catch_warnings():  # of arguments that are large
            warnings.simplefilter("ignore")
            future = self._client.submit(
                _call, self._facts, function, *call, workers=[place], pure=False
            )
        future.add_done_callback(ended.put)
        return future


class Turn(NamedTuple):
    """A call, its number, and how many processes were killed that did it."""

    i: int
    call: tuple[Any, ...]
    killed: int = 0


class LostError(Exception):
    """What a worker has done is gone with it."""


def _once_more(turn: Turn, called: Called) -> Turn:
    """The same call, unless it is too much."""
    if turn.killed + 1 == TRIES:  # the system kills whoever takes too much memory
        raise FitError(
            f"{called(*turn.call)} is given up: its worker was killed {TRIES} times, most likely "
            f"for want of memory. Give workers more, or the same command with fewer --jobs: "
            f"finished folds are kept."
        )
    return turn._replace(killed=turn.killed + 1)


def _next(ended: "Queue[Future]") -> "Future | None":
    with suppress(Empty):
        return ended.get(timeout=LOOK)
    return None


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
    _send_places()
    if facts is not None:
        _check(facts)
    with _ONE:
        return function(*call)


def slot_threads() -> int:
    """Threads that Dask gives the worker which this is called in."""
    from distributed import get_worker

    return int(get_worker().state.nthreads)


def _result(future: "Future") -> Any:
    """What a call returned, or raised."""
    from distributed import KilledWorker

    try:
        return future.result(timeout=cluster.ANSWER if future.status == "finished" else None)
    except TimeoutError as error:
        if future.status == "error":  # of the call
            raise
        raise LostError from error
    except KilledWorker as error:
        raise LostError from error
    except CancelledError as error:
        raise FitError(GONE) from error
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
