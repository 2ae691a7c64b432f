"""Simulated people: what is theirs for life, and what a session adds.

A person has rhythms of their own frequency and size, in places and directions of their own; a
session turns the cap, changes the contact of each electrode and lets everything drift a little.
The spreads were set by hand so that common decoders of imagery reach about 0.8 on people left
out, and about 0.9 once people are aligned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.seeding import generator
from neurodecode.recordings import head

Array = NDArray[np.float64]


class Source(NamedTuple):
    """A dipole of the brain."""

    name: str
    under: str  # electrode above it
    volts: float  # under the electrode that sees it best; rms for a rhythm, else at 1
    freq: float = 0.0  # Hz; 0 for a source that follows its course instead of oscillating
    width: float = 0.0  # standard deviation of the spectral peak, Hz
    depth: float = 0.2  # below the scalp, fraction of the head's radius


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """How one person differs from another; `neutral` is the average person.

    Attributes
    ----------
    seed, subject
        Draws that belong to one source are made from these, so that a source is the same in
        every paradigm.
    variability
        0 for people who are all alike, 1 for ordinary ones.
    tempo
        Factor on the frequency of every rhythm.
    effect
        Factor on what tells the classes apart.
    lag
        Added to the latency of every response, seconds.
    slope
        Exponent of the 1/f power spectrum.
    background, noise
        Rms of the 1/f background (mean over the cap) and of a sensor's own noise, V.
    """

    seed: int
    subject: int
    variability: float
    tempo: float
    effect: float
    lag: float
    slope: float
    background: float
    noise: float

    def rng(self, *words: object) -> np.random.Generator:
        """Generator for one purpose, the same whatever else was drawn."""
        return generator(self.seed, "synthetic", self.subject, *words)

    def factor(self, spread: float, *words: object) -> float:
        """Log-normal factor about 1 for one purpose."""
        return float(np.exp(spread * self.variability * self.rng(*words).standard_normal()))


def meet(seed: int, subject: int, *, variability: float, contrast: float) -> Person:
    """The person called `subject`; `contrast` scales what tells the classes apart."""
    rng = generator(seed, "synthetic", subject, "person")
    tempo, effect, lag, slope, background, noise = variability * rng.standard_normal(6)
    return Person(
        seed=seed,
        subject=subject,
        variability=variability,
        tempo=float(np.exp(0.05 * np.clip(tempo, -2.5, 2.5))),
        effect=contrast * float(np.clip(1 + 0.25 * effect, 0.4, 1.6)),
        lag=0.02 * float(np.clip(lag, -2.5, 2.5)),
        slope=1.2 + 0.1 * float(np.clip(slope, -2.5, 2.5)),
        background=9e-6 * float(np.exp(0.15 * background)),
        noise=1.3e-6 * float(np.exp(0.1 * noise)),
    )


N_DIPOLES = 120  # of the background; more of them are spatially smoother


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """A person wearing the cap in one session.

    Attributes
    ----------
    person
        Who.
    session
        Which time.
    ch_names
        Recorded channels.
    """

    person: Person
    session: int
    ch_names: Sequence[str]

    def _drift(self, *words: object) -> np.random.Generator:
        return self.person.rng("session", self.session, *words)

    def _pattern(self, points: Array, directions: Array) -> tuple[Array, Array]:
        """Positions under the cap as it sits today, and their scalp patterns of peak 1."""
        turn = 0.02 * self.person.variability * self._drift("cap").standard_normal(3)
        placed = head.turned(points, turn)
        tips = head.turned(points + directions, turn)
        return placed, head.spread(placed, tips - placed, self.ch_names)

    def patterns(self, sources: Sequence[Source]) -> tuple[Array, Array]:
        """Positions (n_sources, 3), m, and scalp patterns (n_chans, n_sources), V."""
        v = self.person.variability
        points, directions, volts = [], [], []
        for source in sources:
            own, now = self.person.rng(source.name), self._drift(source.name)
            point = head.below(source.under, depth=source.depth)
            angle = v * (0.04 * own.standard_normal(3) + 0.02 * now.standard_normal(3))
            point = head.turned(point[None], angle)[0]
            outward = (point - head.centre()) / np.linalg.norm(point - head.centre())
            tilt = v * (0.12 * own.standard_normal(3) + 0.05 * now.standard_normal(3))
            points.append(point)
            directions.append(outward + np.clip(tilt, -0.6, 0.6))
            size = 0.08 * own.standard_normal() + 0.05 * now.standard_normal()
            volts.append(source.volts * np.exp(v * size) * self.person.factor(0.15, "size"))
        placed, pattern = self._pattern(np.array(points), np.array(directions))
        return placed, pattern * np.array(volts)

    def background(self) -> Array:
        """Mixing (n_chans, n_chans) of white noise into the background's covariance, V."""
        own, now = self.person.rng("background"), self._drift("background")
        v = self.person.variability
        common = generator(self.person.seed, "synthetic", "background")
        outward = common.standard_normal((N_DIPOLES, 3))
        outward[:, 2] = np.abs(outward[:, 2]) - 0.3  # few under the rim of the cap
        outward += 0.3 * v * own.standard_normal(outward.shape)
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        radius = np.linalg.norm(head.below("Cz", depth=0.2) - head.centre())
        directions = outward + 0.7 * common.standard_normal(outward.shape)
        _, pattern = self._pattern(head.centre() + radius * outward, directions)
        size = 0.25 * own.standard_normal(N_DIPOLES) + 0.08 * now.standard_normal(N_DIPOLES)
        pattern = pattern * np.exp(v * size)
        covariance = pattern @ pattern.T
        covariance *= self.person.background**2 / np.mean(np.diag(covariance))
        values, vectors = np.linalg.eigh(covariance)
        return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T)

    def noise(self) -> Array:
        """Rms of each sensor's own noise, (n_chans,), V."""
        spread = 0.1 * self._drift("noise").standard_normal(len(self.ch_names))
        return np.asarray(self.person.noise * np.exp(self.person.variability * spread))

    def gain(self) -> Array:
        """How well each electrode conducts today, (n_chans,), about 1."""
        spread = 0.02 * self._drift("gain").standard_normal(len(self.ch_names))
        return np.asarray(np.exp(self.person.variability * spread))
