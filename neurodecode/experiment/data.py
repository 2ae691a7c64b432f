"""From the chosen data sets to one EpochSet, and to the recordings that cleaners need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from neurodecode.core.errors import ConfigError, RecordingError
from neurodecode.epochs.cache import WindowCache
from neurodecode.epochs.cut import cut_again
from neurodecode.epochs.epochset import EpochSet, join
from neurodecode.evaluation.cleaning import Continuous
from neurodecode.experiment.live_choices import is_live
from neurodecode.experiment.subjects import (
    Kept,
    classes_of,
    keeps,
    load_subject,
    options_for,
    plays,
    subjects_of,
)
from neurodecode.experiment.windows import join_sets, kept_windows, open_cache, roll_of
from neurodecode.preprocess.chain import finish
from neurodecode.recordings.cards import Card, find_card, local_files, open_dataset

Report = Callable[[str, int, int], None]


def load_epochs(
    choices: Mapping[str, Any],
    *,
    n_subjects: int | None = None,
    report: Report = lambda words, done, total: None,
    in_memory: int | None = None,
) -> EpochSet:
    """Preprocessed windows of every chosen subject.

    Parameters
    ----------
    choices
        As `resolve` returns them.
    n_subjects
        Load no more than the first few of each data set.
    report
        Called with words, subjects done and subjects in all.
    in_memory
        Bytes of windows up to which they are an array in memory; larger ones are a file that is
        mapped. By default a quarter of the memory that is available.
    """
    return load_data(choices, n_subjects=n_subjects, report=report, in_memory=in_memory)[0]


def load_data(
    choices: Mapping[str, Any],
    *,
    n_subjects: int | None = None,
    report: Report = lambda words, done, total: None,
    in_memory: int | None = None,
) -> tuple[EpochSet, Continuous | None]:
    """As `load_epochs`, and the recordings themselves where they are cleaned or played.

    The windows are those of recordings that were not cleaned, whatever `choices` say. Where
    recordings are not needed, windows come from the cache, and go there.

    Raises
    ------
    ConfigError
        If recordings with different channels were to be cleaned, or referenced as live.
    """
    data = choices["data"]
    cards = [find_card(name, paradigm=choices["paradigm"]) for name in data["dataset"]]
    alike = "common" if len(cards) > 1 else "same"
    channels = "any" if data["montage"] == "any" else alike
    if not keeps(choices):
        cache = open_cache(choices)
        groups = [
            _windows_of(card, choices, cache, n_subjects=n_subjects, report=report)
            for card in cards
        ]
        if is_live(choices):
            _check_reference(choices, groups)
        return join_sets(groups, data["montage"], channels, cache, in_memory), None
    pairs = [_load_one(card, choices, n_subjects, report) for card in cards]
    epochs = join([windows for windows, _ in pairs], channels=channels)
    if is_live(choices):
        _check_reference(choices, [[windows] for windows, _ in pairs])
    kept = [one for _, parts in pairs for one in parts]
    kinds = {frozenset(one.part.ch_names) for one in kept}
    if channels == "any" and len(kinds) > 1:
        raise ConfigError(
            f"evaluation.clean takes recordings of the same channels, and data.montage=any joined "
            f"{len(kinds)} different sets of them. Leave cleaning out, or keep the channels that "
            f"all have with preprocess.channels."
        )
    ends = np.cumsum([len(one.part.index) for one in kept])
    return epochs, Continuous(
        parts=[
            replace(one.part, index=one.part.index + end - len(one.part.index))
            for one, end in zip(kept, ends, strict=True)
        ],
        timelines=[one.timeline for one in kept] if plays(choices) else (),
        options=choices["clean"],
        finish=options_for(finish, choices["preprocess"]),
        cut=options_for(cut_again, choices["epochs"]),
    )


def _check_reference(choices: Mapping[str, Any], groups: Sequence[Sequence[EpochSet]]) -> None:
    """Refuse a reference of channels that are not common to all: a stream would lack them."""
    if choices["preprocess"]["reference"] == "none":
        return
    if len({frozenset(windows[0].ch_names) for windows in groups}) > 1:
        raise ConfigError(
            "preprocess.reference was taken over channels that not all data sets have, and live "
            "there are the common ones only. Name those with preprocess.channels."
        )


def find_people(choices: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Data set and subject of everybody, as in the table of the windows; nothing is read."""
    data = choices["data"]
    people: list[tuple[str, str]] = []
    for name in data["dataset"]:
        card = find_card(name, paradigm=choices["paradigm"])
        with local_files(card, data["data_dir"]):
            roll = roll_of(card, choices, open_cache(choices))
            people += [(roll.code, str(s)) for s in subjects_of(roll, data["subjects"])]
    return people


def _windows_of(
    card: Card, choices: Mapping[str, Any], cache: WindowCache | None, **which: Any
) -> list[EpochSet]:
    """Windows of each recording of a data set."""
    with local_files(card, choices["data"]["data_dir"]):
        sets = list(kept_windows(card, choices, cache, **which))
    if not sets:
        raise RecordingError(f"{card.name} has no subject to load.")
    return sets


def _load_one(
    card: Card, choices: Mapping[str, Any], n_subjects: int | None, report: Report
) -> tuple[EpochSet, list[Kept]]:
    data = choices["data"]
    with local_files(card, data["data_dir"]):
        dataset = open_dataset(card, data_dir=data["data_dir"])
        subjects = subjects_of(dataset, data["subjects"])[:n_subjects]
        classes = classes_of(
            dataset, card, data["events"], slide=choices["epochs"].get("slide", False)
        )
        pairs: list[tuple[EpochSet, Kept | None]] = []
        for i, subject in enumerate(subjects):
            report(f"reading {card.name}", i, len(subjects))
            pairs += load_subject(dataset, subject, classes, choices)
        report(f"reading {card.name}", len(subjects), len(subjects))
    if not pairs:
        raise RecordingError(f"{card.name} has no subject to load.")
    epochs = join([epochs for epochs, _ in pairs], channels=data["montage"])
    return epochs, [kept for _, kept in pairs if kept is not None]
