"""From data sets to stretches of continuous signal, for pretraining; no label is read."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurodecode.core.errors import ConfigError, SignalError, UnknownName
from neurodecode.core.seeding import derive_seed
from neurodecode.epochs.stretches import Stretch, cut_stretches
from neurodecode.experiment.choices import Tree
from neurodecode.experiment.data import Report
from neurodecode.experiment.pretrain_choices import PARADIGM
from neurodecode.experiment.subjects import subjects_of
from neurodecode.preprocess.bad_channels import find_bad_channels
from neurodecode.preprocess.chain import preprocess
from neurodecode.recordings.bids import bids_dataset
from neurodecode.recordings.cards import Card, find_card, local_files, open_dataset, population
from neurodecode.recordings.load import Recording, load_recordings
from neurodecode.recordings.montage import add_positions

BRAIN = ("eeg", "seeg", "ecog", "dbs")
OF_CARDS = ("channels", "drop", "notch")
"""Options of ``[preprocess]`` that a card may choose for its recordings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A data set and its people.

    Attributes
    ----------
    card, dataset
        What it is, and the MOABB object that reads it.
    data_dir
        Where its files lie.
    subjects
        Those to use, as the data set spells them.
    held_out
        Those of them that nothing is learned from.
    """

    card: Card
    dataset: Any
    data_dir: str | None
    subjects: tuple[Any, ...]
    held_out: frozenset[Any]

    @property
    def seen(self) -> list[dict[str, str]]:
        """A table for each of its people, as a checkpoint lists them."""
        return [
            {
                "dataset": str(self.dataset.code),
                "population": population(self.card, str(self.dataset.code)),
                "card": self.card.name,
                "subject": str(subject),
                "role": "validation" if subject in self.held_out else "train",
            }
            for subject in self.subjects
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Stretches to learn from, and those of other people; by the name of their data set.

    Attributes
    ----------
    train, held_out
        At the backbone's rate.
    notes
        What was done to each data set, and what it lacks: a line each.
    digest
        Fingerprint of everything a backbone could learn from.
    """

    train: dict[str, list[Stretch]]
    held_out: dict[str, list[Stretch]]
    notes: list[str]
    digest: str


def find_sources(choices: Tree) -> list[Source]:
    """The data sets and who of their people is held out; no recording is read.

    One person may be in several data sets: of the simulator, the same number is the same person.
    Whoever is held out of one is held out of all.

    Raises
    ------
    NeurodecodeError
        If one is not there, or nobody is left to learn from.
    """
    data, seed = choices["data"], choices["train"]["seed"]
    opened: list[tuple[Card, Any, str | None, list[Any]]] = []
    for name, folder, wanted in zip(
        data["dataset"], data["data_dir"], data["subjects"], strict=True
    ):
        card = find_card(name, paradigm=PARADIGM)
        with local_files(card, folder or None):
            dataset = _open(card, folder or None)
            opened.append((card, dataset, folder or None, subjects_of(dataset, wanted or None)))
    names = [card.name for card, *_ in opened]
    if len(set(names)) < len(names):
        raise ConfigError(f"Two of these cards have the same name ({', '.join(names)}). Rename.")
    people = [
        (population(card, str(dataset.code)), subjects) for card, dataset, _, subjects in opened
    ]
    chosen = choose_people(people, data["hold_out"], seed)
    sources = [
        Source(
            card=card,
            dataset=dataset,
            data_dir=folder,
            subjects=tuple(subjects),
            held_out=frozenset(s for s in subjects if (pool, str(s)) in chosen),
        )
        for (card, dataset, folder, subjects), (pool, _) in zip(opened, people, strict=True)
    ]
    if all(len(s.held_out) == len(s.subjects) for s in sources):
        raise SignalError(
            f"Nobody is left to learn from: {sum(len(s.subjects) for s in sources)} people, and "
            f"all are held out. Take more with --subjects, or lower data.hold_out."
        )
    return sources


def choose_people(
    people: Sequence[tuple[str, Sequence[Any]]], hold_out: float, seed: int
) -> set[tuple[str, str]]:
    """Who is held out: (pool, subject) of each.

    Parameters
    ----------
    people
        For each data set, the pool its people come from, and which they are. The same subject of
        the same pool is one person.
    hold_out
        Part of the people of each data set, rounded; at least one of two or more people, never
        all, and none if it is 0.
    seed
        Of the choice.
    """
    chosen: set[tuple[str, str]] = set()
    for pool, subjects in people:
        n = min(max(1, round(hold_out * len(subjects))), len(subjects) - 1) if hold_out > 0 else 0
        order = sorted(map(str, subjects), key=lambda s: derive_seed(seed, "hold-out", pool, s))
        chosen |= {(pool, subject) for subject in order[:n]}
    return chosen


def _open(card: Card, data_dir: str | None) -> Any:
    """The data set; recordings of a BIDS folder need no events here."""
    source = dict(card.source)
    if source.pop("kind", None) == "bids" and (root := source.pop("root", data_dir)) is not None:
        return bids_dataset(root, events=(), paradigm=card.paradigm, **source)
    return open_dataset(card, data_dir=data_dir)


def read_corpus(
    choices: Tree,
    sources: Sequence[Source],
    *,
    sfreq: float,
    n_times: int,
    report: Report = lambda words, done, total: None,
) -> Corpus:
    """Read, preprocess and cut all recordings.

    Parameters
    ----------
    choices
        As `resolve_pretrain` returns them.
    sources
        As `find_sources` returns them.
    sfreq
        Rate of the backbone, Hz: recordings at another are resampled.
    n_times
        Samples of a window at that rate; shorter recordings are left out.
    report
        Called with words, people done and people in all.

    Raises
    ------
    NeurodecodeError
        If a recording cannot be read, or nothing is left.
    """
    train: dict[str, list[Stretch]] = {}
    held_out: dict[str, list[Stretch]] = {}
    notes = []
    for source in sources:
        name, n = source.card.name, len(source.subjects)
        tally = _Tally(source=source, sfreq=sfreq)
        train[name], held_out[name] = [], []
        with local_files(source.card, source.data_dir):
            for i, subject in enumerate(source.subjects):
                report(f"reading {name}", i, n)
                side = held_out if subject in source.held_out else train
                for recording in load_recordings(source.dataset, subject):
                    side[name] += _stretches(recording, choices["preprocess"], n_times, tally)
        report(f"reading {name}", n, n)
        notes += tally.words(train[name], held_out[name])
    if not any(train.values()):
        raise SignalError(
            f"No recording to learn from holds a window of {n_times / sfreq:g} s of the channels "
            f"asked for. Shorten train.window, or choose other channels or data sets."
        )
    return Corpus(train=train, held_out=held_out, notes=notes, digest=_digest(train, held_out))


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What happened to the recordings of a data set."""

    source: Source
    sfreq: float
    rates: set[float] = field(default_factory=set)
    dropped: dict[str, int] = field(default_factory=dict)  # channel: recordings
    cut_off: set[float] = field(default_factory=set)  # rates without the upper edge or the notch
    short: int = 0

    def words(self, train: Sequence[Stretch], held_out: Sequence[Stretch]) -> list[str]:
        """A line for each thing that is worth knowing."""
        name, both = self.source.card.name, [*train, *held_out]
        if not both:
            return [f"{name}: no recording is long enough for a window"]
        counts = sorted({len(s.x) for s in both})
        chans = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        hours = [sum(s.x.shape[1] for s in part) / self.sfreq / 3600 for part in (train, held_out)]
        n_held = len(self.source.held_out)
        lines = [
            f"{name}: {len(self.source.subjects) - n_held} people to learn from ({hours[0]:.2f} h)"
            f", {n_held} held out ({hours[1]:.2f} h), {chans} channels"
        ]
        if len(self.source.subjects) == 1 and not n_held:
            lines.append(f"{name}: one person, so nobody is held out")
        if other := sorted(self.rates - {self.sfreq}):
            rates = ", ".join(f"{rate:g}" for rate in other)
            lines.append(f"{name}: resampled from {rates} Hz to the backbone's {self.sfreq:g} Hz")
        if self.cut_off:
            lines.append(
                f"{name}: at {', '.join(f'{r:g}' for r in sorted(self.cut_off))} Hz nothing above "
                f"half of that is recorded; filters from there on are left out"
            )
        if self.dropped:
            names = ", ".join(list(self.dropped)[:8])
            lines.append(
                f"{name}: {len(self.dropped)} channels dropped from some recordings, being flat, "
                f"not finite or marked bad ({names})"
            )
        unknown = sum(bool(np.isnan(s.positions).any()) for s in both)
        if unknown:
            lines.append(
                f"{name}: positions of electrodes are unknown, all or some, in {unknown} of "
                f"{len(both)} stretches; the backbone is told so"
            )
        if self.short:
            lines.append(f"{name}: {self.short} recordings left out, too short or without channels")
        return lines


def _stretches(
    recording: Recording, options: Mapping[str, Any], n_times: int, tally: _Tally
) -> list[Stretch]:
    try:
        raw = _ready(recording, options, tally)
        if raw is None:
            tally.short += 1
            return []
        found = cut_stretches(
            raw, n_times=n_times, dataset=recording.dataset, subject=recording.subject
        )
    except (SignalError, UnknownName) as error:
        raise SignalError(f"{recording.name}: {error}") from None
    tally.short += not found
    return found


def _ready(recording: Recording, options: Mapping[str, Any], tally: _Tally) -> Any:
    """The preprocessed recording at the backbone's rate; None if no channel is left."""
    raw = add_positions(recording.raw)
    rate = float(raw.info["sfreq"])
    tally.rates.add(rate)
    own = dict(options)
    for name, value in tally.source.card.choices.get("preprocess", {}).items():
        if name in OF_CARDS and not own[name]:
            own[name] = value
    own["resample"] = tally.sfreq
    _fit_to_rate(own, rate, tally)
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    brain = [n for n in (own["channels"] or types) if types.get(n) in BRAIN or own["channels"]]
    brain = [n for n in brain if n in types and n not in own["drop"]]
    if own["bad_channels"] == "drop":
        bad = find_bad_channels(raw.copy().pick(brain).load_data()) if brain else {}
        for name in bad:
            tally.dropped[name] = tally.dropped.get(name, 0) + 1
        brain = [name for name in brain if name not in bad]
        own["bad_channels"] = "stop"
    if not brain:
        return None
    return preprocess(raw, **{**own, "channels": brain, "drop": ()})


def _fit_to_rate(options: dict[str, Any], rate: float, tally: _Tally) -> None:
    """Leave out an upper edge, or a notch, that a rate cannot hold."""
    low, high = options["band"] or (None, None)
    if high is not None and high >= rate / 2:
        options["band"] = None if low is None else (low, None)
        tally.cut_off.add(rate)
    if options["notch"] is not None and options["notch"] >= rate / 2:
        options["notch"] = None
        tally.cut_off.add(rate)


def _digest(*sides: Mapping[str, Sequence[Stretch]]) -> str:
    sha = hashlib.sha256()
    for side in sides:
        for name, stretches in side.items():
            sha.update(name.encode())
            for s in stretches:
                sha.update(repr((s.dataset, s.subject, s.x.shape)).encode())
                sha.update(np.ascontiguousarray(s.x).tobytes())
                sha.update(np.round(s.positions, 5).tobytes())
    return sha.hexdigest()
