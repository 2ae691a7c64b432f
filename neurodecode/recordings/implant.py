"""Simulated patients with depth electrodes: where the contacts are, and what makes each their own.

A shaft is a straight row of contacts, 3.5 to 5 mm apart, from inside the brain out to its
surface. Sizes and rates follow textbook figures; nothing here was fitted to a recording.
"""

from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.seeding import generator
from neurodecode.recordings import head

Array = NDArray[np.float64]

SPACING = (3.5e-3, 5e-3)  # between neighbouring contacts of a shaft, m
ROWS = (8, 10, 12, 15)  # contacts that a shaft can have
MID = 0.004  # contacts keep off the plane between the halves of the brain, m
NEAR = 0.012  # over which the background's correlation falls to 1/e, m
COMMON = 0.1  # share of the background that all contacts have in common
FOCI = 3  # places of interictal spikes; the first is the onset zone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patient:
    """One implanted head.

    Attributes
    ----------
    seed, subject
        Draws for one purpose are made from these, so a patient is the same whoever else is there.
    ch_names
        Shaft and number, from the deepest contact out: "A1", "A2", ...
    positions
        (n_chans, 3), m, head coordinates.
    depth
        Of each contact below the surface of the brain, (n_chans,), m.
    zone
        Contacts where every seizure begins.
    foci
        Where interictal spikes come from, (n_foci, 3), m; the first is the middle of the zone.
    slope
        Exponent of the 1/f power spectrum.
    background
        Rms of the background, mean over contacts, V.
    gain
        Of each contact, (n_chans,), about 1: grey matter is louder than white.
    size
        Factor on what seizures add.
    speed
        With which they spread, m/s.
    reach
        How far they spread, m.
    rates
        Of the spike-and-wave rhythm, at its beginning and its end, Hz.
    fast
        Frequency of the fast activity at the onset, Hz.
    spike_rate
        Interictal spikes per minute of each focus.
    tempo
        Factor on the frequency of every rhythm.
    line
        Rms of what is left of the power line, V.
    dead, noisy
        Contacts without brain signal, and those with broadband noise on it.
    """

    seed: int
    subject: int
    ch_names: tuple[str, ...]
    positions: Array
    depth: Array
    zone: NDArray[np.int64]
    foci: Array
    slope: float
    background: float
    gain: Array
    size: float
    speed: float
    reach: float
    rates: tuple[float, float]
    fast: float
    spike_rate: Array
    tempo: float
    line: float
    dead: NDArray[np.int64]
    noisy: NDArray[np.int64]

    def rng(self, *words: object) -> np.random.Generator:
        """Generator for one purpose, the same whatever else was drawn."""
        return generator(self.seed, "intracranial", self.subject, *words)

    def distance(self, point: Array) -> Array:
        """From each contact to a point (3,), (n_chans,), m."""
        return np.asarray(np.linalg.norm(self.positions - point, axis=1))

    def mixing(self) -> Array:
        """Mixing (n_chans, n_chans) of white noise into background of unit variance.

        Its correlation falls with distance as ``exp(-d / NEAR)``, to `COMMON`.
        """
        apart = np.linalg.norm(self.positions[:, None] - self.positions[None], axis=2)
        covariance = COMMON + (1 - COMMON) * np.exp(-apart / NEAR)
        return np.asarray(np.linalg.cholesky(covariance + 1e-9 * np.eye(len(apart))))


def admit(seed: int, subject: int, *, n_chans: tuple[int, int]) -> Patient:
    """The patient called `subject`, with a number of contacts in a range, log-uniform."""
    rng = generator(seed, "intracranial", subject, "patient")
    low, high = np.log(n_chans[0]), np.log(n_chans[1] + 1)
    count = min(n_chans[1], int(np.exp(rng.uniform(low, high))))
    names, positions, depth = _implant(count, rng)
    middle = int(rng.choice(np.flatnonzero(depth > np.quantile(depth, 0.3))))
    near = np.argsort(np.linalg.norm(positions - positions[middle], axis=1), kind="stable")
    zone = np.sort(near[: int(rng.integers(3, 7))])
    centre = positions[zone].mean(axis=0)
    others = rng.choice(np.setdiff1d(np.arange(count), zone), FOCI - 1, replace=False)
    spoiled = rng.permutation(np.setdiff1d(np.arange(count), zone))
    n_dead, n_noisy = rng.binomial(count, 0.02), rng.binomial(count, 0.03)
    return Patient(
        seed=seed,
        subject=subject,
        ch_names=names,
        positions=positions,
        depth=depth,
        zone=zone,
        foci=np.stack([centre, *positions[others]]),
        slope=float(rng.uniform(1.5, 2.1)),
        background=45e-6 * float(np.exp(0.3 * rng.standard_normal())),
        gain=np.exp(0.35 * rng.standard_normal(count)),
        size=float(np.exp(0.35 * np.clip(rng.standard_normal(), -2, 2))),
        speed=4e-3 * float(np.exp(0.5 * rng.standard_normal())),
        reach=float(np.exp(rng.uniform(np.log(0.02), np.log(0.08)))),
        rates=(float(rng.uniform(4.5, 8)), float(rng.uniform(2, 3.5))),
        fast=float(rng.uniform(20, 40)),
        spike_rate=rng.uniform(2, 12, FOCI),
        tempo=float(np.exp(0.08 * rng.standard_normal())),
        line=float(rng.uniform(0.5e-6, 4e-6)),
        dead=np.sort(spoiled[:n_dead]),
        noisy=np.sort(spoiled[n_dead : n_dead + n_noisy]),
    )


def _implant(count: int, rng: np.random.Generator) -> tuple[tuple[str, ...], Array, Array]:
    """Names, positions (n_chans, 3) m and depth (n_chans,) m of `count` contacts on shafts."""
    radius = float(np.linalg.norm(head.below("Cz", depth=0.12) - head.centre()))
    side = rng.choice((-1.0, 1.0))  # most shafts are in the half that is suspected
    names: list[str] = []
    positions: list[NDArray[np.floating]] = []
    depth: list[NDArray[np.floating]] = []
    entries = np.zeros((0, 3))
    while len(names) < count:
        spacing, row = rng.uniform(*SPACING), int(rng.choice(ROWS))
        half = side if rng.random() < 0.75 else -side
        entry = _entry(half, entries, rng)
        entries = np.vstack([entries, entry])
        target = rng.normal((0.25 * half, 0, -0.1), (0.1, 0.25, 0.15))  # fractions of the radius
        inward = (target - entry) / np.linalg.norm(target - entry)
        # A shaft ends before the other half of the brain, which is another surgeon's matter.
        room = (abs(entry[0]) * radius - MID) / max(-half * inward[0], 1e-3)
        row = max(2, min(row, int(room / spacing) + 1, count - len(names)))
        below = spacing * np.arange(row)[::-1]  # the deepest first
        letter = ascii_uppercase[(len(entries) - 1) % 26] * (1 + (len(entries) - 1) // 26)
        names += [f"{letter}{i}" for i in range(1, row + 1)]
        positions.append(head.centre() + radius * entry + below[:, None] * inward)
        depth.append(below)
    return tuple(names[:count]), np.concatenate(positions)[:count], np.concatenate(depth)[:count]


def _entry(half: float, others: Array, rng: np.random.Generator) -> Array:
    """Where a shaft enters one half of the brain, (3,), unit length: far from the others."""
    ways = rng.standard_normal((12, 3))
    ways[:, 0] = half * (np.abs(ways[:, 0]) + 0.6)
    ways[:, 2] = 0.7 * ways[:, 2] + 0.1
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    if not len(others):
        return np.asarray(ways[0])
    apart = np.linalg.norm(ways[:, None] - others[None], axis=2).min(axis=1)
    return np.asarray(ways[np.argmax(apart)])
