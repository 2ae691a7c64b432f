"""From the chosen data sets to one EpochSet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from neurodecode.core.errors import RecordingError, SignalError, UnknownName
from neurodecode.epochs.cut import cut_epochs
from neurodecode.epochs.epochset import EpochSet, join
from neurodecode.preprocess.chain import preprocess
from neurodecode.recordings.cards import Card, find_card, local_files, open_dataset
from neurodecode.recordings.load import load_recordings

Report = Callable[[str, int, int], None]


def load_epochs(
    choices: Mapping[str, Any],
    *,
    n_subjects: int | None = None,
    report: Report = lambda words, done, total: None,
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
    """
    data = choices["data"]
    cards = [find_card(name, paradigm=choices["paradigm"]) for name in data["dataset"]]
    sets = [_load_one(card, choices, n_subjects, report) for card in cards]
    return join(sets, channels="common" if len(sets) > 1 else "same")


def count_subjects(choices: Mapping[str, Any]) -> int:
    """Subjects of all chosen data sets; no recording is read."""
    data, n = choices["data"], 0
    for name in data["dataset"]:
        card = find_card(name, paradigm=choices["paradigm"])
        with local_files(card, data["data_dir"]):
            dataset = open_dataset(card, data_dir=data["data_dir"])
            n += len(subjects_of(dataset, data["subjects"]))
    return n


def subjects_of(dataset: Any, wanted: Sequence[int | str] | None) -> list[Any]:
    """The subjects to use, as the data set spells them.

    Raises
    ------
    UnknownName
        For a subject that is not there.
    """
    if wanted is None:
        return list(dataset.subject_list)
    spelled = {str(subject): subject for subject in dataset.subject_list}
    numbers = {name.lstrip("0"): name for name in spelled if name.isdigit()}  # 1 finds "01"
    found = []
    for subject in map(str, wanted):
        name = subject if subject in spelled else numbers.get(subject.lstrip("0"), subject)
        if name not in spelled:
            raise UnknownName(f"subject of {dataset.code}", subject, spelled)
        found.append(spelled[name])
    return found


def classes_of(dataset: Any, card: Card, wanted: Sequence[str] | None) -> list[str]:
    """The classes to decode.

    Raises
    ------
    UnknownName
        For a class that the data set does not have.
    SignalError
        For fewer than two.
    """
    classes = list(wanted or card.events or dataset.event_id)
    for name in classes:
        if name not in dataset.event_id:
            raise UnknownName(f"event of {card.name}", name, dataset.event_id)
    if len(classes) < 2:
        raise SignalError(
            f"Decoding takes two classes; data.events = {classes}. {card.name} has "
            f"{', '.join(dataset.event_id)}."
        )
    return classes


def _load_one(
    card: Card, choices: Mapping[str, Any], n_subjects: int | None, report: Report
) -> EpochSet:
    data = choices["data"]
    with local_files(card, data["data_dir"]):
        dataset = open_dataset(card, data_dir=data["data_dir"])
        subjects = subjects_of(dataset, data["subjects"])[:n_subjects]
        classes = classes_of(dataset, card, data["events"])
        sets: list[EpochSet] = []
        for i, subject in enumerate(subjects):
            report(f"reading {card.name}", i, len(subjects))
            sets += load_subject(dataset, subject, classes, choices)
        report(f"reading {card.name}", len(subjects), len(subjects))
    if not sets:
        raise RecordingError(f"{card.name} has no subject to load.")
    return join(sets)


def load_subject(
    dataset: Any, subject: Any, classes: Sequence[str], choices: Mapping[str, Any]
) -> list[EpochSet]:
    """Windows of each recording of one subject; recordings without an event are passed over.

    Raises
    ------
    SignalError
        If no recording of the subject holds an event, or one cannot give what is asked.
    """
    sets = []
    for recording in load_recordings(dataset, subject, events=classes):
        if not recording.label:
            continue
        try:
            raw = preprocess(recording.raw, **choices["preprocess"])
        except (SignalError, UnknownName) as error:
            raise SignalError(f"{recording.name}: {error}") from None
        epochs = cut_epochs(replace(recording, raw=raw), classes, **choices["epochs"])
        if len(epochs):
            sets.append(epochs)
    if not sets:
        raise SignalError(
            f"Subject {subject} of {dataset.code} has no window of {', '.join(classes)} that is "
            f"kept. Check data.events and epochs.reject, or leave the subject out with --subjects."
        )
    return sets
