"""Dataset cards: `datasets/<name>.toml` says where recordings come from and what they hold."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurodecode.core.errors import ConfigError, RecordingError, UnknownName
from neurodecode.core.options import check_options, read_toml
from neurodecode.core.places import shared_folder

PARADIGMS = ("mi", "p300", "ssvep", "seizure", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card says.

    Attributes
    ----------
    name, description, licence, doi
        For people. A licence that nobody states is written so.
    paradigm
        One of `PARADIGMS`.
    events
        Class names that are decoded unless others are asked for; empty: all there are.
    simulated
        Whether the recordings are simulated.
    source
        ``kind`` ("moabb", "files", "bids", "swec") and what that kind needs; see `open_dataset`.
    choices
        Sections of a pipeline file that suit these recordings, such as ``preprocess``.
    """

    name: str
    description: str
    paradigm: str
    source: Mapping[str, Any]
    licence: str = "not stated"
    doi: str = ""
    events: Sequence[str] = ()
    simulated: bool = False
    choices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def population(card: Card, code: str) -> str:
    """Where the people of a data set come from: the same number there is the same person.

    Simulators make the same people for every paradigm.

    Parameters
    ----------
    card
        Of the data set.
    code
        Of the data set, as MOABB's objects have it.
    """
    kind = card.source.get("kind")
    if kind in ("synthetic", "synthetic_ieeg"):
        return f"{kind}, seed {card.source.get('arguments', {}).get('seed', 0)}"
    return code


def card_names() -> list[str]:
    """Names of the cards that come with the package."""
    return sorted(path.stem for path in shared_folder("datasets").glob("*.toml"))


def read_card(path: Path) -> Card:
    """The card in a file.

    Raises
    ------
    ConfigError
        If it is not TOML, or lacks or misnames an entry.
    """
    entries = read_toml(path, kind="dataset card")
    known = Card.__dataclass_fields__
    for name in entries:
        if name not in known:
            raise UnknownName(f"entry of the card {path}", name, known)
    check_options(Card, entries, where=f"{path}:")
    lacking = {"name", "description", "paradigm", "source"} - set(entries)
    if lacking or entries["paradigm"] not in PARADIGMS:
        raise ConfigError(
            f"{path} must say {', '.join(sorted(lacking)) or f'a paradigm of {PARADIGMS}'}. "
            f"datasets/synthetic.toml is an example."
        )
    return Card(**entries)


def find_card(name: str, *, paradigm: str) -> Card:
    """The card for what a person wrote after ``--dataset``.

    Parameters
    ----------
    name
        Name of a card, path to one, ``bids:FOLDER``, or the name of a MOABB class.
    paradigm
        For a folder or class without a card.

    Raises
    ------
    UnknownName
        If it is none of these; the message names the nearest card.
    """
    if name.startswith("bids:"):
        root = name.removeprefix("bids:")
        source = {"kind": "bids", "root": root}
        return Card(
            name=Path(root).resolve().name,
            description=f"BIDS folder {root}",
            paradigm=paradigm,
            source=source,
        )
    if name.endswith(".toml") or "/" in name:
        if Path(name).is_dir():
            raise ConfigError(
                f"--dataset {name} is a folder. Give the name of a card and "
                f"--data-dir {name}, or bids:{name} for a BIDS folder."
            )
        return read_card(Path(name))
    path = shared_folder("datasets") / f"{name.lower()}.toml"
    if path.is_file():
        return read_card(path)
    if name in _moabb_classes():
        source = {"kind": "moabb", "class": name}
        return Card(name=name, description=f"MOABB {name}", paradigm=paradigm, source=source)
    raise UnknownName(
        "dataset (`neurodecode list datasets`)", name, [*card_names(), *_moabb_classes()]
    )


def _moabb_classes() -> list[str]:
    import moabb.datasets as datasets
    from moabb.datasets.base import BaseDataset

    return [
        name
        for name in dir(datasets)
        if isinstance(kind := getattr(datasets, name), type)
        and issubclass(kind, BaseDataset)
        and not name.startswith("Fake")  # noise, with which MOABB tests itself
    ]


def open_dataset(card: Card, *, data_dir: str | None = None) -> Any:
    """The MOABB data set object of a card. Nothing is read or downloaded yet.

    ``kind = "moabb"``: ``class``, ``arguments`` of its constructor, ``attributes`` set on the
    object. ``kind = "synthetic"`` or ``"synthetic_ieeg"``: ``arguments`` of the simulator.
    ``kind = "files"``: see `neurodecode.recordings.files`. ``kind = "bids"``: ``root``,
    ``interval``, ``markers``. ``kind = "swec"``: see `neurodecode.recordings.swec`.

    Raises
    ------
    RecordingError
        If the folder is missing or holds nothing of the kind.
    ConfigError
        If the source cannot be built as the card says.
    """
    source = dict(card.source)
    kind = source.pop("kind", None)
    if kind in ("synthetic", "synthetic_ieeg"):
        simulator = _simulator(kind)
        arguments = source.get("arguments", {})
        check_options(simulator, arguments, where=f"[source.arguments] of the card {card.name}")
        return simulator(**arguments)
    if kind == "swec":
        from neurodecode.recordings.swec import SWEC

        check_options(SWEC, source, where=f"[source] of the card {card.name}")
        return SWEC(data_dir, **source)
    if kind == "files":
        from neurodecode.recordings.files import FilesDataset

        if data_dir is None:
            raise RecordingError(
                f"The recordings of {card.name} are files that you have: say where with "
                f"--data-dir FOLDER (expected there: {source.get('pattern')})."
            )
        check_options(FilesDataset, source, where=f"[source] of the card {card.name}")
        return FilesDataset(
            data_dir, name=card.name, paradigm=card.paradigm, classes=card.events, **source
        )
    if kind == "bids":
        from neurodecode.recordings.bids import bids_dataset

        root = source.pop("root", data_dir)
        if root is None:
            raise RecordingError(
                f"{card.name} is a BIDS folder that you have: say where with --data-dir FOLDER."
            )
        check_options(bids_dataset, source, where=f"[source] of the card {card.name}")
        return bids_dataset(root, events=card.events or None, paradigm=card.paradigm, **source)
    if kind == "moabb":
        return _moabb_dataset(card, source)
    raise ConfigError(
        f"The card {card.name} has a source of kind {kind!r}; it must be moabb, synthetic, "
        f"synthetic_ieeg, files, bids or swec."
    )


def _simulator(kind: str) -> Any:
    if kind == "synthetic":
        from neurodecode.recordings.synthetic import Synthetic

        return Synthetic
    from neurodecode.recordings.intracranial import SyntheticIEEG

    return SyntheticIEEG


def _moabb_dataset(card: Card, source: Mapping[str, Any]) -> Any:
    import moabb.datasets as datasets

    name = source.get("class", "")
    if name not in _moabb_classes():
        raise UnknownName(f"MOABB data set (card {card.name})", name, _moabb_classes())
    try:
        dataset = getattr(datasets, name)(**source.get("arguments", {}))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"MOABB's {name} cannot be built as card {card.name} says: {error}."
        ) from None
    for attribute, value in source.get("attributes", {}).items():
        if not hasattr(dataset, attribute):
            raise UnknownName(f"attribute of MOABB's {name}", attribute, vars(dataset))
        setattr(dataset, attribute, value)
    return dataset


@contextmanager
def local_files(card: Card, data_dir: str | None) -> Iterator[None]:
    """Within the block, MOABB and MNE look for files in `data_dir` first, and without delay.

    MOABB asks a mirror on the network before it looks at local files, and tries again for minutes
    where there is none; unless the user has chosen a provider, it is told to use the data set's
    own source, which looks at the files first.
    """
    changes = {"MOABB_DOWNLOAD_PROVIDER": os.environ.get("MOABB_DOWNLOAD_PROVIDER", "upstream")}
    if data_dir is not None:
        if not Path(data_dir).is_dir():
            raise RecordingError(f"--data-dir {data_dir} is not a folder. Check the path.")
        changes["MNE_DATA"] = str(Path(data_dir).resolve())
        if sign := card.source.get("sign"):
            changes[f"MNE_DATASETS_{sign}_PATH"] = changes["MNE_DATA"]
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
