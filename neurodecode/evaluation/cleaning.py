"""Cleaning as a compared choice: what a cleaner may see in a fold, and the windows it leaves.

``NAME`` is fitted to the recordings of the training side alone, and frozen. ``NAME:own`` is fitted
to each recording itself, without labels: a test recording as a whole, later samples included.
``:removed`` behind either decodes what was taken out instead of what is left, a control: where it
scores above chance, artifacts tell the classes apart or the cleaner takes the brain along.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from neurodecode.artifacts import CLEANERS, Cleaner
from neurodecode.artifacts.apply import HIGHPASS, clean, fit_cleaner
from neurodecode.core.errors import ConfigError, NeurodecodeError, SignalError, UnknownName
from neurodecode.core.options import check_options, keywords
from neurodecode.core.seeding import generator
from neurodecode.epochs.cut import cut_again
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.command_scores import Timeline
from neurodecode.evaluation.splits import Fold
from neurodecode.evaluation.workers import Here, Pool
from neurodecode.preprocess.chain import finish

FLOOR = 1e-9
"""Rms of white noise under what was removed, V: where nothing was, a covariance still exists."""


@dataclass(frozen=True, slots=True)
class CleanWord:
    """``NAME[:own][:removed]``, taken apart; a name may be FAMILY:VARIANT."""

    name: str
    own: bool = False
    removed: bool = False

    @classmethod
    def parse(cls, word: str) -> Self:
        """The parts of a word.

        Raises
        ------
        ConfigError
            If there is no such cleaner, or it is followed by anything else.
        """
        name, *more = word.split(":")
        if name == "none" and more:
            raise ConfigError(f"clean = '{word}': nothing is fitted or removed. Write 'none'.")
        if name != "none" and name not in CLEANERS.names():
            raise UnknownName("cleaner", name, ["none", *CLEANERS.names()])
        if more and more[0] not in ("own", "removed") and "variant" in keywords(CLEANERS.get(name)):
            check_options(CLEANERS.get(name), {"variant": more[0]}, where=f"clean = '{word}':")
            name = f"{name}:{more.pop(0)}"
        for part in more:
            if part not in ("own", "removed"):
                raise UnknownName(f"word behind the cleaner '{name}:'", part, ["own", "removed"])
        if more not in ([], ["own"], ["removed"], ["own", "removed"]):
            raise ConfigError(f"clean = '{word}': write {name}, {name}:own or {name}:own:removed.")
        return cls(name, "own" in more, "removed" in more)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """A recording up to the notch, and its windows. No label is in it.

    Attributes
    ----------
    name
        Where it comes from, in words.
    raw
        Channels of the brain, then EOG channels; of annotations, only those of bad stretches and
        edges.
    ch_names
        Channels of the brain.
    index
        Its windows among those of all recordings, (n_windows,).
    """

    name: str
    raw: Any  # mne.io.BaseRaw
    ch_names: tuple[str, ...]
    index: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Continuous:
    """All recordings as cleaners see them, and the way from there to windows.

    Attributes
    ----------
    parts
        In the order of their windows.
    options
        Of each cleaner, by name.
    finish
        Options of `neurodecode.preprocess.chain.finish`.
    cut
        Options of `neurodecode.epochs.cut.cut_again`: window and baseline.
    timelines
        What happened in each of `parts`, to compare decisions with; nothing is fitted to it. Empty
        where recordings are only cleaned.
    """

    parts: Sequence[Part]
    options: Mapping[str, Mapping[str, Any]]
    finish: Mapping[str, Any]
    cut: Mapping[str, Any]
    timelines: Sequence[Timeline] = ()

    @property
    def filter(self) -> Any:
        """Zero-phase or causal."""
        return self.finish.get("filter", "zero-phase")

    def digest(self) -> str:
        """Fingerprint of everything that a cleaner could learn from."""
        sha = hashlib.sha256()
        for part in self.parts:
            sha.update(np.ascontiguousarray(part.raw.get_data()).tobytes())
            marks = [[a["onset"], a["duration"], a["description"]] for a in part.raw.annotations]
            kinds = part.raw.get_channel_types()
            facts = (part.raw.ch_names, kinds, part.raw.info["sfreq"], part.raw.info["bads"], marks)
            sha.update(repr(facts).encode() + part.index.tobytes())
        return sha.hexdigest()

    def build(self, name: str) -> Cleaner:
        """The cleaner of that name with its options, not fitted."""
        return CLEANERS.get(name)(**self.options.get(name, {}))


def training_parts(source: Continuous, fold: Fold, word: str) -> list[Part]:
    """The recordings that a frozen cleaner may be fitted to: of training windows alone.

    Raises
    ------
    SignalError
        If there is none, or recordings differ in channels or rate, which no cleaner survives.
    """
    found = [
        part
        for part in source.parts
        if np.isin(part.index, fold.train).any() and not np.isin(part.index, fold.test).any()
    ]
    if not found:
        name = CleanWord.parse(word).name
        own = word.replace(name, f"{name}:own", 1)
        raise SignalError(
            f"clean = '{word}' is fitted to recordings of the training side, and in fold "
            f"{fold.name} every one of them has test windows too. Write '{own}' to fit it to each "
            f"recording itself without labels, or choose another protocol, such as cross-subject."
        )
    first = found[0]
    for part in _used(source, fold):
        same = set(part.ch_names) == set(first.ch_names)
        rate, usual = (float(p.raw.info["sfreq"]) for p in (part, first))
        if not same or rate != usual:
            raise SignalError(
                f"clean = '{word}' cannot be fitted to {first.name} ({len(first.ch_names)} "
                f"channels at {usual:g} Hz) and clean {part.name} ({len(part.ch_names)} channels "
                f"at {rate:g} Hz). Keep common channels with preprocess.channels, or write "
                f"'{CleanWord.parse(word).name}:own'."
            )
    return found


def _used(source: Continuous, fold: Fold) -> list[Part]:
    """Recordings with a window in the fold, on either side."""
    both = np.concatenate([fold.train, fold.test])
    return [part for part in source.parts if np.isin(part.index, both).any()]


class Cleaned(NamedTuple):
    """Windows of a fold, and what cleaned them.

    Attributes
    ----------
    x
        (n_epochs, n_chans, n_times), microvolts; not a number outside the fold.
    cleaner
        Fitted to the training side.
    drift
        Whether drift was kept from it, because recordings had not been high-passed.
    """

    x: NDArray[np.float32]
    cleaner: Cleaner
    drift: bool


def fold_windows(epochs: EpochSet, source: Continuous, word: str, fold: Fold) -> Cleaned:
    """Windows of a fold, cleaned by what its training recordings teach."""
    how, onset = CleanWord.parse(word), epochs.table["onset"].to_numpy()
    x = np.full(epochs.x.shape, np.nan, dtype=epochs.x.dtype)
    cleaner = source.build(how.name)
    raws = [part.raw for part in training_parts(source, fold, word)]
    with _saying(f"clean = '{word}', fold {fold.name}"):
        cleaner = fit_cleaner(cleaner, raws, filter=source.filter)
    for part in _used(source, fold):
        with _saying(f"clean = '{word}', fold {fold.name}, {part.name}"):
            x[part.index] = _windows(epochs, source, part, onset[part.index], cleaner, how)
    return Cleaned(x, cleaner, drift=any(raw.info["highpass"] < HIGHPASS for raw in raws))


def own_windows(
    epochs: EpochSet, source: Continuous, word: str, pool: Pool | None = None
) -> NDArray[np.float32]:
    """All windows, each recording cleaned by what it teaches itself; a worker takes a recording."""
    pool = pool or Here()
    x = np.full(epochs.x.shape, np.nan, dtype=epochs.x.dtype)
    facts = replace(epochs, x=np.asarray(epochs.x[:0]), y=epochs.y[:0], table=epochs.table[:0])
    how = replace(source, parts=(), timelines=())
    onset = epochs.table["onset"].to_numpy()
    calls = ((facts, how, part, onset[part.index], word) for part in source.parts)
    for i, windows in pool.map(_own, calls, called=_called):
        x[source.parts[i].index] = windows
    return x


def _called(facts: EpochSet, source: Continuous, part: Part, *_: object) -> str:
    return f"Cleaning {part.name}"


def _own(
    facts: EpochSet, source: Continuous, part: Part, onset: NDArray[np.float64], word: str
) -> NDArray[np.float32]:
    how = CleanWord.parse(word)
    with threadpool_limits(1, user_api="blas"), _saying(f"clean = '{word}', {part.name}"):
        cleaner = fit_cleaner(source.build(how.name), [part.raw], filter=source.filter)
        return _windows(facts, source, part, onset, cleaner, how)


def _windows(
    epochs: EpochSet,
    source: Continuous,
    part: Part,
    onset: NDArray[np.float64],
    cleaner: Cleaner,
    how: CleanWord,
) -> NDArray[np.float32]:
    """Windows of one recording, (n_windows, n_chans, n_times), by a fitted cleaner.

    Of `epochs` nothing matters but channels and length; `onset` is that of the windows, s.
    """
    raw = clean(cleaner, part.raw, filter=source.filter).pick(list(part.ch_names))
    if how.removed:
        index = [part.raw.ch_names.index(name) for name in raw.ch_names]
        noise = generator(0, "removed", part.name).standard_normal((len(index), raw.n_times))
        raw._data = part.raw.get_data(index) - raw.get_data() + FLOOR * noise
    raw = finish(raw, **source.finish)
    x = cut_again(
        raw,
        onset,
        n_times=epochs.x.shape[2],
        name=part.name,
        **source.cut,
    )
    return x[:, [raw.ch_names.index(name) for name in epochs.ch_names]]


@contextmanager
def _saying(where: str) -> Iterator[None]:
    """Errors within say where they happened."""
    try:
        yield
    except NeurodecodeError as error:
        raise SignalError(f"{where}: {error}") from error
