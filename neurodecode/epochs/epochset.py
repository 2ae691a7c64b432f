"""EpochSet: windows, labels, and one table of who, when and which run."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError
from neurodecode.core.spec import TaskSpec

FAR = 0.02  # m: caps shift by less
TABLE = ("dataset", "subject", "session", "run", "onset", "block")
CHUNK = 2**25
"""Bytes of windows that are worked on at a time, where they may be more than memory holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSet:
    """Windows of many recordings, ready for a decoder.

    Attributes
    ----------
    x
        Windows, (n_epochs, n_chans, n_times), microvolts. It may be a read-only `numpy.memmap`, a
        file larger than memory: index it with the windows that are needed.
    y
        Class of each window, (n_epochs,): an index into `classes`.
    classes
        Class names.
    table
        A row per window: dataset, subject, session, run, onset (seconds in its recording) and
        block (windows of one event share it, so that a split does not tear them apart).
    ch_names
        Channel names in array order.
    sfreq
        Sampling rate, Hz.
    positions
        Of the channels, (n_chans, 3), m, in head coordinates; NaN where one is unknown. None where
        recordings of several montages are one set.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    classes: tuple[str, ...]
    table: pd.DataFrame
    ch_names: tuple[str, ...]
    sfreq: float
    positions: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.x.ndim != 3 or len(self.x) != len(self.y) or len(self.x) != len(self.table):
            raise SignalError(
                f"Windows {self.x.shape}, {len(self.y)} labels and {len(self.table)} rows of the "
                f"table do not belong together."
            )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def spec(self) -> TaskSpec:
        """The facts a decoder is built from."""
        return TaskSpec(
            ch_names=self.ch_names,
            n_times=self.x.shape[2],
            sfreq=self.sfreq,
            n_outputs=len(self.classes),
            positions=as_places(self.positions),
        )

    def take_channels(self, ch_names: Sequence[str]) -> Self:
        """The same windows with these channels, in this order."""
        index = [self.ch_names.index(name) for name in ch_names]
        positions = None if self.positions is None else self.positions[index]
        return replace(self, x=self.x[:, index], ch_names=tuple(ch_names), positions=positions)

    def digest(self) -> str:
        """Fingerprint of everything a decoder could learn from: signal, labels, who and when."""
        sha = hashlib.sha256()
        for part in chunks(self.x):
            sha.update(np.ascontiguousarray(part).data)
        sha.update(self.y.tobytes())
        sha.update(repr((self.classes, self.ch_names, self.sfreq)).encode())
        if self.positions is not None:
            sha.update(np.round(self.positions, 6).tobytes())
        sha.update(self.table[list(TABLE)].to_csv(index=False).encode())
        return sha.hexdigest()


def spans(x: Any) -> Iterator[slice]:
    """Consecutive windows, about `CHUNK` bytes each, of an array or a `View`."""
    step = max(1, CHUNK * len(x) // max(1, x.nbytes))
    for start in range(0, len(x), step):
        yield slice(start, start + step)


def chunks(x: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Windows a few at a time, in order."""
    return (x[rows] for rows in spans(x))


def as_places(
    positions: NDArray[np.floating] | None,
) -> tuple[tuple[float, float, float], ...] | None:
    """Positions as a `TaskSpec` holds them; None where none is known."""
    if positions is None or not np.isfinite(positions).any():
        return None
    return tuple((float(x), float(y), float(z)) for x, y, z in positions)


Empty = Callable[[tuple[int, int, int]], NDArray[np.float32]]
"""Makes room for windows of that shape: an array in memory, or a file."""


def _in_memory(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    return np.empty(shape, np.float32)


def join(
    sets: Sequence[EpochSet], *, channels: str = "same", empty: Empty = _in_memory
) -> EpochSet:
    """Windows of several recordings or data sets as one.

    Parameters
    ----------
    sets
        At least one; the order of the windows is theirs.
    channels
        "same": all must have the same channels (in any order). "common": those that all have.
        "any": where they differ, each set keeps its own, followed by channels of NaN up to the
        largest number: absent channels. Names are then numbers, and no position is kept. Where
        they do not differ, as "same". Implants may have the same names at other places: from 2 cm
        on, they differ.
    empty
        Where the windows of all go; they are copied there a few at a time.

    Raises
    ------
    SignalError
        If sampling rates, window lengths, classes or channels differ; the line says whose.
    """
    first = sets[0]
    for other in sets[1:]:
        who = _who(other)
        if other.sfreq != first.sfreq:
            raise SignalError(
                f"{who} is sampled at {other.sfreq:g} Hz and {_who(first)} at {first.sfreq:g} Hz. "
                f"Give --set preprocess.resample={min(other.sfreq, first.sfreq):g}, or leave one "
                f"out with --subjects."
            )
        if other.x.shape[2] != first.x.shape[2] or other.classes != first.classes:
            raise SignalError(
                f"{who} has windows of {other.x.shape[2]} samples and classes "
                f"{', '.join(other.classes)}; {_who(first)} has {first.x.shape[2]} and "
                f"{', '.join(first.classes)}. Set epochs.window and data.events for both."
            )
    if channels == "any" and not all(_same_montage(first, s) for s in sets[1:]):
        return _pad(sets, empty)
    names = _common_channels(sets) if channels == "common" else first.ch_names
    for other in sets:
        missing = sorted(set(names) ^ set(other.ch_names)) if channels == "same" else []
        if missing:
            raise SignalError(
                f"{_who(other)} and {_who(first)} differ in {len(missing)} channels "
                f"({', '.join(missing[:8])}). Keep the common ones with preprocess.channels, drop "
                f"the others with preprocess.drop, or keep all with data.montage=any, for decoders "
                f"that can do with absent channels."
            )
    orders = [[s.ch_names.index(name) for name in names] for s in sets]
    x = empty((sum(map(len, sets)), len(names), first.x.shape[2]))
    end = 0
    for part, order in zip(sets, orders, strict=True):
        whole = order == list(range(len(part.ch_names)))
        for some in chunks(part.x):
            x[end : end + len(some)] = some if whole else some[:, order]
            end += len(some)
    return replace(
        first,
        x=x,
        y=np.concatenate([s.y for s in sets]),
        table=pd.concat([s.table for s in sets], ignore_index=True),
        ch_names=tuple(names),
        positions=_mean_positions(
            [
                None if s.positions is None else s.positions[order]
                for s, order in zip(sets, orders, strict=True)
            ]
        ),
    )


def _same_montage(one: EpochSet, other: EpochSet) -> bool:
    """Whether channels have the same names, in any order, at about the same places."""
    if set(one.ch_names) != set(other.ch_names):
        return False
    if one.positions is None or other.positions is None:
        return True
    there = other.positions[[other.ch_names.index(name) for name in one.ch_names]]
    apart = np.linalg.norm(one.positions - there, axis=1)
    return not (apart >= FAR).any()


def _pad(sets: Sequence[EpochSet], empty: Empty) -> EpochSet:
    """Sets of different channels as one; channels that a set lacks are NaN, behind its own."""
    n_chans = max(s.x.shape[1] for s in sets)
    x = empty((sum(map(len, sets)), n_chans, sets[0].x.shape[2]))
    end = 0
    for part in sets:
        for some in chunks(part.x):
            x[end : end + len(some), : some.shape[1]] = some
            x[end : end + len(some), some.shape[1] :] = np.nan
            end += len(some)
    return replace(
        sets[0],
        x=x,
        y=np.concatenate([s.y for s in sets]),
        table=pd.concat([s.table for s in sets], ignore_index=True),
        ch_names=tuple(str(i) for i in range(1, n_chans + 1)),
        positions=None,
    )


def _mean_positions(
    positions: Sequence[NDArray[np.float64] | None],
) -> NDArray[np.float64] | None:
    """Where electrodes of the same names are on average: heads differ, and caps shift."""
    known = [p for p in positions if p is not None]
    if not known:
        return None
    stack = np.stack(known)
    n_known = np.isfinite(stack).sum(axis=0)
    mean = np.nansum(stack, axis=0) / np.maximum(n_known, 1)
    return np.where(n_known > 0, mean, np.nan)


def _common_channels(sets: Sequence[EpochSet]) -> tuple[str, ...]:
    names = tuple(n for n in sets[0].ch_names if all(n in s.ch_names for s in sets))
    if not names:
        raise SignalError(
            f"{_who(sets[0])} and {_who(sets[-1])} have no channel in common "
            f"({', '.join(sets[0].ch_names[:5])}... and {', '.join(sets[-1].ch_names[:5])}...). "
            f"Rename channels, or choose data sets with the same montage."
        )
    return names


def _who(epochs: EpochSet) -> str:
    row = epochs.table.iloc[0]
    return f"{row['dataset']} subject {row['subject']} run {row['run']}"
