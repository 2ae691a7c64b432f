"""Whitening every domain with what its windows may know."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurodecode.alignment import Aligner
from neurodecode.epochs.view import View
from neurodecode.signal.covariance import Array, covariances, inverse_sqrt

Mode = Literal["causal", "batch"]


class AlignState(NamedTuple):
    """What an aligner remembers of a domain from one window to the next."""

    mean: Array | None  # (n_chans, n_chans); None before the first window
    n: float  # windows' worth of signal that it is the mean of


def align_start() -> AlignState:
    """State of a domain of which nothing has been seen."""
    return AlignState(None, 0.0)


def align_step(
    x: NDArray[np.floating],
    state: AlignState,
    aligner: Aligner,
    *,
    new: float = 1.0,
    memory: float = math.inf,
) -> tuple[NDArray[np.float32], AlignState]:
    """Whiten one window (n_chans, n_times) with the mean of all windows up to and with it.

    Parameters
    ----------
    x
        The window, any unit.
    state
        What came before.
    aligner
        The kind of mean.
    new
        Part of the window that no window before it held: it enters the mean with that weight.
    memory
        Windows' worth of signal that the mean forgets over; by default it forgets nothing.
    """
    state = align_update(covariances(x[None])[0], state, aligner, new=new, memory=memory)
    return whiten(x, state), state


def align_update(
    cov: Array, state: AlignState, aligner: Aligner, *, new: float = 1.0, memory: float = math.inf
) -> AlignState:
    """What is remembered after a window of that covariance; see `align_step`."""
    if state.mean is None:
        return AlignState(cov, 1.0)
    n = min(state.n, memory)
    return AlignState(aligner.update(state.mean, n / new, cov), n + new)


def whiten(x: NDArray[np.floating], state: AlignState) -> NDArray[np.float32]:
    """A window (n_chans, n_times) whitened by what is remembered; itself before the first."""
    if state.mean is None:
        return np.asarray(x, dtype=np.float32)
    return _whiten(x, state.mean)


def _means(
    x: NDArray[np.floating], train: NDArray[np.bool_], aligner: Aligner, mode: Mode
) -> Iterator[tuple[NDArray[np.intp], Array]]:
    """Indices of windows of one domain, and the mean covariance that whitens them."""
    if mode == "batch":
        yield np.arange(len(x)), aligner.mean(covariances(x))
        return
    state = align_start()
    if train.any():
        mean = aligner.mean(covariances(x[train]))
        yield np.flatnonzero(train), mean
        state = AlignState(mean, float(train.sum()))
    for i in np.flatnonzero(~train):
        state = align_update(covariances(x[i : i + 1])[0], state, aligner)
        assert state.mean is not None, "it was just updated"
        yield np.array([i]), state.mean


def align(
    x: NDArray[np.float32],
    domains: Sequence[object],
    train: NDArray[np.integer],
    test: NDArray[np.integer],
    aligner: Aligner,
    mode: Mode,
) -> tuple[View, View]:
    """Training and test windows, each domain whitened when they are asked for.

    Parameters
    ----------
    x
        Windows of all domains, (n_epochs, n_chans, n_times), in order of time within each.
    domains
        Domain of each window, (n_epochs,).
    train, test
        Indices of the windows on either side of a fold.
    aligner
        The kind of mean.
    mode
        What the test windows may know of each other; see the package's docstring.
    """
    roots, which = whiteners(x, domains, train, test, aligner, mode)

    def whitened(windows: NDArray[np.float32], where: NDArray[np.intp]) -> NDArray[np.float32]:
        return np.asarray(np.matmul(roots[which[where]], windows), dtype=np.float32)

    return View(x, train, (whitened,)), View(x, test, (whitened,))


def whiteners(
    x: NDArray[np.float32],
    domains: Sequence[object],
    train: NDArray[np.integer],
    test: NDArray[np.integer],
    aligner: Aligner,
    mode: Mode,
) -> tuple[Array, NDArray[np.intp]]:
    """What `align` multiplies windows by: matrices (n, n_chans, n_chans), and which is for each.

    The second, (n_epochs,), is -1 for windows that are on neither side.
    """
    means, which = list[Array](), np.full(len(x), -1)
    for index, on_train in _by_domain(domains, train, test):
        for own, mean in _means(np.asarray(x[index]), on_train, aligner, mode):
            which[index[own]] = len(means)
            means.append(inverse_sqrt(mean))
    return np.array(means), which


def _by_domain(
    domains: Sequence[object], train: NDArray[np.integer], test: NDArray[np.integer]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
    """Windows of each domain that are on either side of a fold, and which are on the first."""
    names = np.asarray(domains)
    side = np.full(len(names), -1)
    side[train], side[test] = 1, 0
    for name in dict.fromkeys(domains):
        index = np.flatnonzero((names == name) & (side >= 0))
        if index.size:
            yield index, side[index] == 1


def _whiten(x: NDArray[np.floating], mean: Array) -> NDArray[np.float32]:
    return np.asarray(np.matmul(inverse_sqrt(mean), x), dtype=np.float32)
