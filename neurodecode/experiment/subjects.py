"""Of one subject: recordings read, preprocessed and cut into windows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from neurodecode.artifacts.contaminate import Origin, contaminate
from neurodecode.core.errors import SignalError, UnknownName
from neurodecode.core.options import keywords
from neurodecode.epochs.cut import BACKGROUND, cut_epochs
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.cleaning import Part
from neurodecode.evaluation.command_scores import Timeline
from neurodecode.evaluation.splits import PSEUDO_ONLINE
from neurodecode.preprocess.chain import finish, prepare, preprocess, with_eog
from neurodecode.recordings.cards import Card
from neurodecode.recordings.load import Recording, load_recordings


class Kept(NamedTuple):
    """A recording before its band, and what happened in it."""

    part: Part
    timeline: Timeline


def plays(choices: Mapping[str, Any]) -> bool:
    """Whether test recordings are played as if live."""
    return bool(choices["evaluation"]["protocol"] == PSEUDO_ONLINE)


def keeps(choices: Mapping[str, Any]) -> bool:
    """Whether recordings are needed once their windows are cut."""
    return set(choices["evaluation"]["clean"]) != {"none"} or plays(choices)


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


def classes_of(
    dataset: Any, card: Card, wanted: Sequence[str] | None, *, slide: bool = False
) -> list[str]:
    """The classes to decode.

    Where windows slide, "background" is a class that no event of the data set need be called.

    Raises
    ------
    UnknownName
        For a class that the data set does not have.
    SignalError
        For fewer than two.
    """
    known = list(dict.fromkeys([BACKGROUND, *dataset.event_id])) if slide else dataset.event_id
    classes = list(wanted or card.events or known)
    for name in classes:
        if name not in known:
            raise UnknownName(f"event of {card.name}", name, known)
    if len(classes) < 2:
        raise SignalError(
            f"Decoding takes two classes; data.events = {classes}. {card.name} has "
            f"{', '.join(dataset.event_id)}."
        )
    return classes


def load_subject(
    dataset: Any, subject: Any, classes: Sequence[str], choices: Mapping[str, Any]
) -> list[tuple[EpochSet, Kept | None]]:
    """Windows of each recording of one subject; recordings without an event are passed over.

    Where windows slide, a recording without an event is background throughout, and is kept. With
    each, the recording before its band, where it will be cleaned or played.

    Raises
    ------
    SignalError
        If no recording of the subject holds an event, or one cannot give what is asked.
    """
    pairs = []
    slide = choices["epochs"].get("slide", False)
    events = [name for name in classes if name in dataset.event_id]
    for recording in load_recordings(dataset, subject, events=events):
        if not recording.label and not slide:
            continue
        try:
            raw, part = _ready(recording, choices)
        except (SignalError, UnknownName) as error:
            raise SignalError(f"{recording.name}: {error}") from None
        epochs = cut_epochs(replace(recording, raw=raw), classes, **choices["epochs"])
        if len(epochs):
            kept = None
            if part is not None:
                part = replace(part, index=np.arange(len(epochs)))
                kept = Kept(part, _timeline(recording, classes))
            pairs.append((epochs, kept))
    if not pairs:
        raise SignalError(
            f"Subject {subject} of {dataset.code} has no window of {', '.join(classes)} that is "
            f"kept. Check data.events and epochs.reject, or leave the subject out with --subjects."
        )
    return pairs


def _timeline(recording: Recording, classes: Sequence[str]) -> Timeline:
    """Events of the classes, by their place in `classes`."""
    chosen = [i for i, label in enumerate(recording.label) if label in classes]
    return Timeline(
        onset=recording.onset[chosen],
        duration=recording.duration[chosen],
        label=np.array([classes.index(recording.label[i]) for i in chosen], dtype=np.int64),
    )


def _ready(recording: Recording, choices: Mapping[str, Any]) -> tuple[Any, Part | None]:
    """The preprocessed recording; and, where it will be needed, what it was before its band.

    Artifacts are added before anything could clean them.
    """
    options, added = choices["preprocess"], choices["contaminate"]
    keep = keeps(choices)
    if not keep and not added:
        return preprocess(recording.raw, **options), None
    raw = prepare(recording.raw, **options_for(prepare, options))
    names = tuple(raw.ch_names)
    if keep:
        raw = with_eog(raw, recording.raw, **options_for(with_eog, options))
    if added:
        origin = Origin(recording.dataset, recording.subject, recording.session, recording.run)
        raw = contaminate(raw, names, origin, filter=options["filter"], **added)
    ready = finish(raw.copy().pick(list(names)), **options_for(finish, options))
    if not keep:
        return ready, None
    marks = raw.annotations.description
    neutral = [str(text).lower().startswith(("bad", "edge")) for text in marks]
    raw.set_annotations(raw.annotations[neutral])  # the others are the labels
    return ready, Part(name=recording.name, raw=raw, ch_names=names, index=np.arange(0))


def options_for(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that a function takes."""
    return {name: options[name] for name in keywords(function) if name in options}
