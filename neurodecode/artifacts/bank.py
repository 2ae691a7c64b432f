"""Sources that denoisers are trained and tested on: brains, eyes and muscles, and their mixtures.

A window is mixed from a brain, and from the eyes and muscles of others, at a stated ratio. People
are split, not windows: no brain, eye or muscle of a person on one side of a split is on another.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from neurodecode.artifacts.mixing import Convention, mixing_scale
from neurodecode.core.errors import SignalError
from neurodecode.core.seeding import generator

Signal = NDArray[np.float32]

KINDS = ("none", "eog", "emg", "both")


PIECE = 256
"""Samples over which the level of a source is measured, about a second."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """One recording of one kind of signal.

    Attributes
    ----------
    subject
        Whose.
    courses
        Time courses, (n_courses, n_samples), without unit, or those of the channels, uV.
    patterns
        Channels by courses, (n_chans, n_courses), uV; nothing where courses are channels.
    segment
        Samples of a piece, where the courses are pieces that were put one after the other and no
        window may reach across.
    recording
        What brain, eyes and muscles of one moment have in common; empty where they have nothing.
    """

    subject: str
    courses: Signal
    patterns: Signal | None = None
    segment: int | None = None
    recording: str = ""

    @property
    def n_chans(self) -> int:
        """Number of channels."""
        return len(self.courses if self.patterns is None else self.patterns)

    @cached_property
    def _powers(self) -> Signal:
        """Mean square of each channel in each piece, (n_chans, n_pieces)."""
        n = min(PIECE, self.courses.shape[1])
        x = self.courses[:, : self.courses.shape[1] // n * n].reshape(len(self.courses), -1, n)
        return np.asarray(np.mean(np.square(x), axis=2))

    def level(self, channels: NDArray[np.int64]) -> float:
        """Usual amplitude of some channels of a recording, uV rms: the 25th percentile of pieces.

        It is what `neurodecode.artifacts.learned` measures on a recording that is cleaned.
        """
        return float(np.quantile(np.sqrt(self._powers[channels].mean(axis=0)), 0.25))

    def start(self, n_times: int, rng: np.random.Generator) -> int:
        """First sample of a window drawn at random.

        Raises
        ------
        SignalError
            If the source is shorter than a window.
        """
        n_samples = self.courses.shape[1]
        longest = n_samples if self.segment is None else self.segment
        if n_times > longest:
            raise SignalError(
                f"The source of {self.subject} has pieces of {longest} samples, and windows of "
                f"{n_times} were asked for. Ask for shorter ones."
            )
        if self.segment is None:
            return int(rng.integers(n_samples - n_times + 1))
        within = rng.integers(self.segment - n_times + 1)
        return int(rng.integers(n_samples // self.segment) * self.segment + within)

    def cut(self, channels: NDArray[np.int64], start: int, n_times: int) -> Signal:
        """Window of some channels, (n_chans, n_times), uV."""
        courses = self.courses[:, start : start + n_times]
        if self.patterns is None:
            return courses[channels]
        return np.asarray(self.patterns[channels] @ courses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """Brains, eyes and muscles of many people, all on the same channels at one rate.

    Attributes
    ----------
    brains, eyes, muscles
        Sources.
    sfreq
        Sampling rate, Hz.
    directions
        Of the electrodes, unit vectors (n_chans, 3); nothing where they are not known.
    """

    brains: Sequence[Source]
    eyes: Sequence[Source]
    muscles: Sequence[Source]
    sfreq: float
    directions: NDArray[np.float64] | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """Everybody, in the order in which they come."""
        everybody = [s.subject for s in (*self.brains, *self.eyes, *self.muscles)]
        return tuple(dict.fromkeys(everybody))

    def of(self, subjects: Sequence[str]) -> Self:
        """What some people gave."""
        wanted = set(subjects)

        def theirs(sources: Sequence[Source]) -> tuple[Source, ...]:
            return tuple(source for source in sources if source.subject in wanted)

        return replace(
            self,
            brains=theirs(self.brains),
            eyes=theirs(self.eyes),
            muscles=theirs(self.muscles),
        )

    def digest(self) -> str:
        """Fingerprint of everything that could be mixed."""
        sha = hashlib.sha256(f"{self.sfreq:g}".encode())
        if self.directions is not None:
            sha.update(np.ascontiguousarray(self.directions).tobytes())
        for name in ("brains", "eyes", "muscles"):
            for source in getattr(self, name):
                facts = (name, source.subject, source.segment, source.recording, source.n_chans)
                sha.update(repr(facts).encode())
                for x in (source.courses, source.patterns):
                    sha.update(b"/" if x is None else np.ascontiguousarray(x).tobytes())
        return sha.hexdigest()


def split_people(bank: Bank, *, n_parts: int, seed: int = 0) -> list[Bank]:
    """Parts of about equal size with nobody in two of them.

    Raises
    ------
    SignalError
        If there are too few people for a brain, eyes and muscles in every part.
    """
    rng = generator(seed, "split people")
    parts: list[list[str]] = [[] for _ in range(n_parts)]
    dealt: dict[str, int] = {}
    kinds = [list(dict.fromkeys(s.subject for s in sources))
             for sources in (bank.brains, bank.eyes, bank.muscles)]  # fmt: skip
    for names in sorted(kinds, key=len):  # who has what is rare is dealt first
        new = [name for name in rng.permutation(names) if name not in dealt]
        counts = [sum(dealt.get(n) == i for n in names) for i in range(n_parts)]
        for name in new:
            i = int(np.argmin(counts))
            dealt[name], counts[i] = i, counts[i] + 1
        if names and min(counts) == 0:
            raise SignalError(
                f"{len(names)} people cannot be split into {n_parts} parts with nobody in two of "
                f"them. Give more people, or ask for fewer parts."
            )
    for name, i in dealt.items():
        parts[i].append(name)
    return [bank.of(names) for names in parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Windows of one montage, in units of the usual amplitude of the brain's signal.

    Attributes
    ----------
    noisy, clean
        (n_windows, n_chans, n_times).
    directions
        Of the electrodes, unit vectors (n_chans, 3), or nothing.
    """

    noisy: Signal
    clean: Signal
    directions: Signal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How windows are mixed.

    Attributes
    ----------
    convention
        Of the decibels, see `mixing_scale`.
    snr
        Lowest and highest ratio of brain to artifact over a window, dB.
    shares
        How often each of `KINDS` is drawn.
    n_times
        Samples of a window.
    n_chans
        Fewest and most channels of a montage.
    pairing
        "people": artifacts are anybody's, at the ratio asked for. "instant": those of the brain's
        own recording at the same moment, as strong as they were there; `snr` is not used.
    """

    convention: Convention
    snr: tuple[float, float] = (-10.0, 5.0)
    shares: Mapping[str, float]
    n_times: int = 512
    n_chans: tuple[int, int] = (8, 24)
    pairing: Literal["people", "instant"] = "people"


def draw(bank: Bank, recipe: Recipe, n_windows: int, rng: np.random.Generator) -> Mixture:
    """Windows of random people on one random montage, referenced at random, with artifacts."""
    channels = _montage(bank, recipe, rng)
    rereference = _reference(len(channels), rng)
    clean = np.empty((n_windows, len(channels), recipe.n_times), np.float32)
    noisy = np.empty_like(clean)
    kinds = rng.choice(list(recipe.shares), n_windows, p=_normed(list(recipe.shares.values())))
    for i, kind in enumerate(kinds):
        brains = _with_twins(bank, kind) if recipe.pairing == "instant" else bank.brains
        source = brains[int(rng.integers(len(brains)))]
        start = source.start(recipe.n_times, rng)
        plain = source.cut(channels, start, recipe.n_times)
        brain = rereference @ plain
        artifact = np.zeros_like(brain)
        for sources in _sources(bank, kind):
            if recipe.pairing == "instant":
                twin = _twin(source, sources)
                artifact += rereference @ twin.cut(channels, start, recipe.n_times)
                continue
            part = rereference @ _window(sources, channels, recipe.n_times, rng)
            if power := _rms(part):
                snr = rng.uniform(*recipe.snr)
                scale = mixing_scale(_rms(brain), power, snr, convention=recipe.convention)
                artifact += np.float32(scale) * part
        unit = source.level(channels) * _rms(brain) / _rms(plain)
        unit *= np.exp(0.2 * rng.standard_normal())
        clean[i], noisy[i] = brain / unit, (brain + artifact) / unit
    directions = None
    if bank.directions is not None:
        directions = bank.directions[channels].astype(np.float32)
    return Mixture(noisy=noisy, clean=clean, directions=directions)


def batches(
    bank: Bank, recipe: Recipe, *, n_signals: int, rng: np.random.Generator
) -> Iterator[Mixture]:
    """Endless mixtures, each of about `n_signals` channels in all."""
    while True:
        low, high = recipe.n_chans
        n_chans = int(rng.integers(low, high + 1))
        one = replace(recipe, n_chans=(n_chans, n_chans))
        yield draw(bank, one, max(2, n_signals // n_chans), rng)


def _montage(bank: Bank, recipe: Recipe, rng: np.random.Generator) -> NDArray[np.int64]:
    n_all = bank.brains[0].n_chans
    n_chans = int(rng.integers(recipe.n_chans[0], recipe.n_chans[1] + 1))
    return np.sort(rng.choice(n_all, min(n_all, n_chans), replace=False))


def _reference(n_chans: int, rng: np.random.Generator) -> Signal:
    """Matrix of an average reference half of the time, else of none."""
    matrix = np.eye(n_chans, dtype=np.float32)
    return matrix - np.float32(1 / n_chans) if n_chans > 4 and rng.random() < 0.5 else matrix


def _sources(bank: Bank, kind: str) -> list[Sequence[Source]]:
    wanted = {"none": [], "eog": [bank.eyes], "emg": [bank.muscles]}
    return wanted.get(kind, [bank.eyes, bank.muscles])


def _with_twins(bank: Bank, kind: str) -> Sequence[Source]:
    """Brains in whose recording there were such artifacts too."""
    kinds = [{s.recording for s in sources} for sources in _sources(bank, kind)]
    known = [s for s in bank.brains if s.recording]
    found = [s for s in known if all(s.recording in there for there in kinds)]
    if not found:
        raise SignalError(
            f"No recording has '{kind}' artifacts beside its brain. Set that share to 0, or mix "
            f"across people."
        )
    return found


def _twin(brain: Source, sources: Sequence[Source]) -> Source:
    return next(s for s in sources if s.recording == brain.recording)


def _window(
    sources: Sequence[Source], channels: NDArray[np.int64], n_times: int, rng: np.random.Generator
) -> Signal:
    source = sources[int(rng.integers(len(sources)))]
    return source.cut(channels, source.start(n_times, rng), n_times)


def _rms(x: Signal) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def _normed(shares: Sequence[float]) -> NDArray[np.float64]:
    return np.asarray(shares, dtype=float) / sum(shares)
