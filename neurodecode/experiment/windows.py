"""Windows of the chosen subjects, from the cache where they are, and into it where they are not."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache as once
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neurodecode.core.places import cache_folder
from neurodecode.epochs.cache import Entry, WindowCache
from neurodecode.epochs.epochset import EpochSet, join
from neurodecode.epochs.view import small
from neurodecode.experiment.subjects import classes_of, load_subject, subjects_of
from neurodecode.recordings.cards import Card, local_files, open_dataset
from neurodecode.recordings.sources import (
    Stamp,
    local_stamps,
    root_of,
    stamps,
    stamps_by_subject,
    unchanged,
)
from neurodecode.results.provenance import library_versions, windows_digest

logger = logging.getLogger(__name__)

VERSIONS = ("mne", "moabb", "numpy", "scipy")
"""Libraries that windows pass through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """What there is to know of a data set before its recordings are read.

    Attributes
    ----------
    code, event_id, interval, subject_list
        As of MOABB's object.
    files
        Of a person's own data set, stamps of the files that each subject's recordings depend on.
    """

    code: str
    event_id: Mapping[str, Any]
    interval: Sequence[float]
    subject_list: Sequence[Any]
    files: Sequence[Sequence[Stamp]]


def open_cache(choices: Mapping[str, Any]) -> WindowCache | None:
    """Where windows are kept; None where the choices say that they are not."""
    return WindowCache(windows_folder()) if choices["data"].get("cache", True) else None


def windows_folder() -> Path:
    """The folder of kept windows."""
    return cache_folder() / "windows"


def roll_of(card: Card, choices: Mapping[str, Any], cache: WindowCache | None) -> Roll:
    """The roll of a data set, which is opened if it has changed or was never opened.

    Raises
    ------
    NeurodecodeError
        As of `open_dataset`.
    """
    data_dir = choices["data"]["data_dir"]
    # The whole of the card: its texts name files and classes.
    key = digest_of("roll", asdict(card), data_dir, local_stamps(card, data_dir), *_makers())
    if cache is not None and (kept := cache.find_document(key)) is not None:
        return Roll(**kept)
    dataset = open_dataset(card, data_dir=data_dir)
    files = stamps_by_subject(card, data_dir, dataset)
    roll = {
        "code": str(dataset.code),
        "event_id": dict(dataset.event_id),
        "interval": list(dataset.interval),
        "subject_list": list(dataset.subject_list),
        "files": [files.get(subject, []) for subject in dataset.subject_list],
    }
    roll = json.loads(json.dumps(roll, default=_plain))
    if cache is not None:
        cache.keep_document(key, roll)
    return Roll(**roll)


def kept_windows(
    card: Card,
    choices: Mapping[str, Any],
    cache: WindowCache | None,
    *,
    n_subjects: int | None,
    report: Callable[[str, int, int], None],
) -> Iterator[EpochSet]:
    """Windows of each recording of the chosen subjects, subject by subject.

    Those from the cache are mapped, so that what is yielded need not fit into memory together.
    What was said when they were made is said again.

    Raises
    ------
    NeurodecodeError
        As of `neurodecode.experiment.subjects.load_subject`.
    """
    roll = roll_of(card, choices, cache)
    subjects = subjects_of(roll, choices["data"]["subjects"])[:n_subjects]
    slide = choices["epochs"].get("slide", False)
    classes = classes_of(roll, card, choices["data"]["events"], slide=slide)
    opened = once(partial(open_dataset, card, data_dir=choices["data"]["data_dir"]))
    for i, subject in enumerate(subjects):
        report(f"reading {card.name}", i, len(subjects))
        if cache is None:
            yield from (pair[0] for pair in load_subject(opened(), subject, classes, choices))
            continue
        key = _entry_key(card, choices, roll, subject, classes)
        entry = cache.find(key)
        if entry is not None and unchanged(entry.notes["files"]):
            for words in entry.notes["said"]:
                logger.warning("%s", words)
        else:
            if entry is not None:
                cache.drop(key)
            entry = _make(cache, key, card, choices, opened(), subject, classes)
        yield from entry.sets
    report(f"reading {card.name}", len(subjects), len(subjects))


def _make(
    cache: WindowCache,
    key: str,
    card: Card,
    choices: Mapping[str, Any],
    dataset: Any,
    subject: Any,
    classes: Sequence[str],
) -> Entry:
    """Read one subject, and keep the windows."""
    with overheard() as said:
        sets = [pair[0] for pair in load_subject(dataset, subject, classes, choices)]
    return cache.keep(key, sets, {"said": said, "files": _files_of(card, dataset, subject)})


def files_read(card: Card, choices: Mapping[str, Any]) -> list[Stamp]:
    """Stamps of the files of a downloaded data set that windows were made from; after reading."""
    if card.source.get("kind") != "moabb":
        return []
    data, cache = choices["data"], open_cache(choices)
    with local_files(card, data["data_dir"]):
        roll = roll_of(card, choices, cache)
        opened = once(partial(open_dataset, card, data_dir=data["data_dir"]))
        classes = classes_of(
            roll, card, data["events"], slide=choices["epochs"].get("slide", False)
        )
        found: list[Stamp] = []
        for subject in subjects_of(roll, data["subjects"]):
            key = _entry_key(card, choices, roll, subject, classes)
            notes = None if cache is None else cache.notes(key)
            found += notes["files"] if notes else _files_of(card, opened(), subject)
    return found


def _files_of(card: Card, dataset: Any, subject: Any) -> list[Stamp]:
    """Those of one subject; none for data sets whose files are part of the key."""
    if card.source.get("kind") != "moabb":
        return []
    try:
        return stamps(map(Path, dataset.data_path(subject)))
    except Exception:  # a data set need not be able to say
        logger.debug("no paths of %s", dataset.code, exc_info=True)
        return []


def join_sets(
    groups: Sequence[Sequence[EpochSet]],
    montage: str,
    channels: str,
    cache: WindowCache | None,
    in_memory: int | None,
) -> EpochSet:
    """Recordings of several data sets as one set; a mapped file where they are large.

    Parameters
    ----------
    groups
        Recordings of each data set.
    montage, channels
        How recordings of a data set are joined, and how data sets are; see `join`.
    cache
        Where the file is kept.
    in_memory
        As of `neurodecode.experiment.data.load_epochs`.
    """
    n_bytes = sum(one.x.nbytes for group in groups for one in group)
    held = small(n_bytes) if in_memory is None else n_bytes <= in_memory
    put = join if held or cache is None else partial(_join_kept, cache)
    joined = [put(group, channels=montage) for group in groups]
    return joined[0] if len(joined) == 1 else put(joined, channels=channels)


def _join_kept(cache: WindowCache, sets: Sequence[EpochSet], *, channels: str) -> EpochSet:
    """As `join`, into an entry of the cache; in memory where that cannot be written."""
    if len(sets) == 1:
        return sets[0]
    maps = [one.x for one in sets if isinstance(one.x, np.memmap)]
    if len(maps) < len(sets):
        return join(sets, channels=channels)
    parts = [(Path(str(x.filename)).parent.name, x.offset) for x in maps]
    key = digest_of("joined", parts, channels, windows_digest())
    if (entry := cache.find(key)) is not None:
        return entry.sets[0]
    fill = partial(join, sets, channels=channels)
    n_bytes = sum(one.x.nbytes for one in sets)
    kept = cache.keep_large(key, lambda empty: fill(empty=empty), n_bytes)
    return kept or fill()


def _entry_key(
    card: Card, choices: Mapping[str, Any], roll: Roll, subject: Any, classes: Sequence[str]
) -> str:
    """Key of one subject's windows: it changes with anything that could change them."""
    data_dir = choices["data"]["data_dir"]
    own = root_of(card, data_dir) is not None
    return digest_of(
        "windows",
        {name: value for name, value in card.source.items() if name != "root"},
        (card.name, card.paradigm, card.events),
        None if own else data_dir,  # own files are known by their stamps, wherever they lie
        (roll.code, roll.event_id, roll.interval),
        (subject, roll.files[list(roll.subject_list).index(subject)]),
        list(classes),
        {name: choices[name] for name in ("preprocess", "epochs", "contaminate")},
        *_makers(),
    )


def _makers() -> tuple[str, dict[str, str]]:
    """What makes windows: our source, and the libraries."""
    return windows_digest(), {name: library_versions()[name] for name in VERSIONS}


def _plain(value: Any) -> Any:
    """What JSON does not know: NumPy's numbers are numbers, anything else is its text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def digest_of(*words: Any) -> str:
    """Key of what depends on these words alone, which JSON can hold."""
    text = json.dumps(words, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Within the block, a list of what the package warns of, which is said as well."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    ear, ours = Ear(logging.WARNING), logging.getLogger("neurodecode")
    ours.addHandler(ear)
    try:
        yield said
    finally:
        ours.removeHandler(ear)
