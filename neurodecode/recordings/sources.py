"""What recordings are made from, told without reading them: files, their sizes and their dates."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from neurodecode.core.errors import RecordingError
from neurodecode.recordings.cards import Card
from neurodecode.recordings.patterns import find_files

Stamp = tuple[str, int, int]
"""Path of a file, its size (bytes) and when it was changed (ns)."""

SIDECARS = {".json", ".tsv"}  # of all people of a BIDS folder


def stamps(paths: Iterable[Path], root: Path | None = None) -> list[Stamp]:
    """Stamps of files that exist, sorted; their paths below `root`, or absolute."""
    found = []
    for path in sorted(set(paths)):
        if path.is_file():
            facts = path.stat()
            name = str(path.relative_to(root)) if root else str(path.resolve())
            found.append((name, facts.st_size, facts.st_mtime_ns))
    return found


def unchanged(before: Iterable[Sequence[Any]]) -> bool:
    """Whether files of absolute stamps are there still, and as they were."""
    for name, size, changed in before:
        try:
            facts = os.stat(name)
        except OSError:
            return False
        if (facts.st_size, facts.st_mtime_ns) != (size, changed):
            return False
    return True


def root_of(card: Card, data_dir: str | None) -> Path | None:
    """Folder of a data set that consists of a person's own files; None for others."""
    kind, root = card.source.get("kind"), card.source.get("root", data_dir)
    if kind not in ("files", "bids", "swec") or root is None:
        return None
    return Path(root)


def local_stamps(card: Card, data_dir: str | None) -> list[Stamp]:
    """Stamps of all files that a person's own data set may be read from, below its folder.

    A new, changed or missing file is another list. It is empty for data sets that are downloaded or
    simulated.
    """
    root = root_of(card, data_dir)
    if root is None or not root.is_dir():
        return []
    return stamps(_own_files(card, root), root)


def _own_files(card: Card, root: Path) -> list[Path]:
    kind = card.source["kind"]
    if kind == "bids":
        shared = [path for path in root.iterdir() if path.suffix in SIDECARS]
        return shared + [path for folder in root.glob("sub-*") for path in folder.rglob("*")]
    if kind == "swec":
        return list(root.glob("ID*/*"))
    try:
        found = find_files(root, card.source.get("pattern", ""))
    except RecordingError:  # none: who opens the data set says so
        return []
    # A header may name other files beside it.
    return [path for folder in {file.path.parent for file in found} for path in folder.iterdir()]


def stamps_by_subject(card: Card, data_dir: str | None, dataset: Any) -> dict[Any, list[Stamp]]:
    """Those of `local_stamps` that each subject's recordings may depend on.

    Files that cannot be told to be another's count as everybody's.

    Parameters
    ----------
    card, data_dir
        Of the data set.
    dataset
        As `open_dataset` returns it.
    """
    root = root_of(card, data_dir)
    if root is None:
        return {}
    own = {subject: _files_of(card, dataset, subject) for subject in dataset.subject_list}
    shared = stamps(set(_own_files(card, root)) - set().union(*own.values()), root)
    return {subject: stamps(files, root) + shared for subject, files in own.items()}


def _files_of(card: Card, dataset: Any, subject: Any) -> set[Path]:
    """Files of a subject and of nobody else, as far as they can be told."""
    kind = card.source["kind"]
    if kind == "files":
        return {file.path for file in dataset.files[subject]}
    if kind == "bids":
        return set((Path(dataset.bids_root) / f"sub-{subject}").rglob("*"))
    return set(dataset.folders[f"ID{int(subject):02d}"].glob("*"))
