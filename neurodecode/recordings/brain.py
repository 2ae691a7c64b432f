"""What a simulated person's brain, eyes and muscles do during a task.

Each paradigm is a short list of sources and a function that gives their time courses; people
and sessions differ in where the sources lie, how fast the rhythms are and how deep a class goes.
Sizes follow textbook figures (rhythms of 2 to 10 µV on the scalp, a P300 of 10 to 15 µV, blinks
of about 120 µV at the forehead); nothing here was fitted to a recording.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodecode.recordings.people import Person, Source
from neurodecode.recordings.waveforms import Signal, Timeline, coloured, frequencies, one_over_f

Courses = dict[str, Signal]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# What every brain does, whatever the task.
RHYTHMS = (
    Source("mu_left", "C3", 4.5e-6, 10.8, 0.9),
    Source("mu_right", "C4", 4.5e-6, 10.8, 0.9),
    Source("mu_feet", "Cz", 2.5e-6, 10.8, 0.9, 0.3),
    Source("beta_left", "C3", 2.0e-6, 20.5, 2.0),
    Source("beta_right", "C4", 2.0e-6, 20.5, 2.0),
    Source("beta_feet", "Cz", 1.5e-6, 22.0, 2.0, 0.3),
    Source("alpha_left", "O1", 8e-6, 10.0, 0.8),
    Source("alpha_right", "O2", 8e-6, 10.0, 0.8),
    Source("alpha_middle", "Pz", 3e-6, 9.6, 0.8, 0.3),
    Source("theta", "Fz", 2.5e-6, 6.0, 0.8, 0.3),
)


def peak_of(source: Source, person: Person) -> float:
    """Frequency of a rhythm in this person, Hz."""
    return source.freq * person.tempo * person.factor(0.015, source.name, "tempo")


def oscillate(source: Source, person: Person, trials: Timeline, rng: np.random.Generator) -> Signal:
    """A rhythm's waveform at rest, (n_samples,), unit variance."""
    freqs = frequencies(trials.n_samples, trials.sfreq)
    amplitude = np.exp(-0.5 * ((freqs - peak_of(source, person)) / source.width) ** 2)
    x: Signal = coloured(1, trials.n_samples, amplitude, rng)[0]
    return x


def imagery(trials: Timeline, person: Person, rng: np.random.Generator) -> Courses:
    """Rhythms over the imagined limb's half of the motor strip fall, 0.5 s after the cue."""
    fall = {  # fraction of the amplitude that goes, for left, right and middle of the strip
        "left_hand": (0.15, 0.55, 0.1),
        "right_hand": (0.55, 0.15, 0.1),
        "feet": (-0.1, -0.1, 0.5),
        "rest": (0.0, 0.0, 0.0),
    }
    mean = np.array([fall[label] for label in trials.labels])
    lasting = np.clip(rng.normal(1, 0.35, (len(mean), 1)), 0, 2)  # attention comes and goes
    courses: Courses = {}
    for side, part in zip(("left", "right", "feet"), mean.T, strict=True):
        for rhythm, share in (("mu", 1.0), ("beta", 0.8)):
            own = person.factor(0.2, rhythm, side, "fall")
            height = np.clip(share * own * person.effect * part * lasting[:, 0], -1, 0.9)
            delay = 0.5 + person.lag
            courses[f"{rhythm}_{side}"] = 1 - trials.plateau(height, delay=delay, ramp=0.6)
    return courses


def p300(trials: Timeline, person: Person, rng: np.random.Generator) -> Courses:
    """Every flash makes an N1 and a P2; a target also makes a P300."""
    n = len(trials.labels)

    def response(
        size: NDArray[np.floating] | float, at: float, jitter: float, width: float
    ) -> Signal:
        heights = size * np.clip(rng.normal(1, 0.3, n), 0, 2)
        return trials.bumps(heights, np.clip(rng.normal(at, jitter, n), 0.02, None), width)

    target = np.where(trials.labels == "Target", person.effect, 0.08 * person.effect)
    late = 0.35 + 2 * person.lag
    return {
        "n1": -response(1.0, 0.11 + 0.5 * person.lag, 0.008, 0.02),
        "p2": response(1.0, 0.20 + 0.5 * person.lag, 0.01, 0.03),
        "p300": response(target, late, 0.025, 0.08),
        "p3a": response(target, late - 0.06, 0.025, 0.05),
    }


def ssvep(trials: Timeline, person: Person, rng: np.random.Generator) -> Courses:
    """The visual cortex follows the flicker and its second harmonic."""
    n = len(trials.labels)
    time = np.arange(trials.n_samples) / trials.sfreq
    courses: Courses = {}
    for name in ("visual_left", "visual_middle", "visual_right"):
        total = np.zeros(trials.n_samples, np.float32)
        for label in sorted(set(trials.labels)):
            for harmonic, share in ((1, 1.0), (2, 0.4)):
                freq = harmonic * float(label)
                if freq >= 0.45 * trials.sfreq:
                    continue
                own = share * person.factor(0.25, name, label, harmonic)
                heights = (trials.labels == label) * np.clip(rng.normal(1, 0.4, n), 0, 2)
                level = trials.plateau(heights * own * person.effect, delay=0.15, ramp=0.2)
                # Phase wanders, as attention and fixation do.
                slow = one_over_f(frequencies(trials.n_samples, trials.sfreq), 2.0)
                phase = coloured(1, trials.n_samples, slow, rng)[0]
                start = np.log(person.factor(1.0, name, label, harmonic, "phase"))
                total += level * np.sin(2 * np.pi * freq * time + start + 0.5 * phase)
        courses[name] = total
    return courses


POSTERIOR = ("left", "right", "middle")


def state(trials: Timeline, person: Person, rng: np.random.Generator) -> Courses:
    """A task raises frontal theta and lowers posterior alpha; both wander by themselves too."""
    n = len(trials.labels)
    task = (trials.labels == "task") * person.effect
    courses: Courses = {}
    for name, change in (("theta", 0.65), *((f"alpha_{s}", -0.5) for s in POSTERIOR)):
        own = change * person.factor(0.25, name, "change")
        heights = np.clip(own * task * rng.normal(1, 0.35, n) + rng.normal(0, 0.12, n), -0.85, 2)
        courses[name] = 1 + trials.plateau(heights, delay=0.5, ramp=1.0)
    return courses


SPREADING = (  # place, when it joins as a fraction of the seizure, share of the size
    ("focus", 0.0, 1.0),
    ("near", 0.15, 0.7),
    ("across", 0.45, 0.5),
)


def seizure(trials: Timeline, person: Person, rng: np.random.Generator) -> Courses:
    """Spikes and waves that slow from 4 to 2.5 Hz, grow, and spread from a focus."""
    rate = np.zeros(trials.n_samples)  # Hz
    courses: Courses = {name: np.zeros(trials.n_samples, np.float32) for name, *_ in SPREADING}
    for onset, duration in zip(
        *(a[trials.labels == "seizure"] for a in (trials.onsets, trials.durations)), strict=True
    ):
        ictal = np.linspace(0, 1, duration)
        rate[onset : onset + duration] = person.tempo * (4 - 1.5 * ictal)
        size = person.effect * np.clip(rng.normal(1, 0.3), 0.4, 1.6)
        for name, start, share in SPREADING:
            late = np.clip((ictal - start) / 0.25, 0, 1)  # recruited over a quarter of the seizure
            end = np.clip((1 - ictal) / 0.05, 0, 1)
            courses[name][onset : onset + duration] = (
                share * size * (0.3 + 0.7 * ictal) * late * end
            )
    phase = np.cumsum(rate) / trials.sfreq
    for k, name in enumerate(courses):
        cycle = (phase - 0.02 * k) % 1  # each place follows the focus by 2 % of a cycle
        spike = np.exp(-0.5 * ((cycle - 0.15) / 0.035) ** 2)
        wave = np.exp(-0.5 * ((cycle - 0.55) / 0.16) ** 2)
        courses[name] *= (spike - 0.8 * wave + 0.25).astype(np.float32)
    return courses


@dataclass(frozen=True, slots=True, kw_only=True)
class Paradigm:
    """What a task asks, and which sources answer.

    Attributes
    ----------
    moabb
        MOABB's word for it.
    events
        Codes of every class it can show.
    classes
        Those it shows unless asked otherwise.
    ch_names
        Channels recorded unless asked otherwise.
    n_trials
        Trials in a session.
    duration
        Of a trial, seconds.
    gap
        Shortest and longest time between trials, seconds.
    sources
        Those that are silent outside this task.
    carriers
        Names of the sources that tell the classes apart.
    play
        Gives the course of each source: a factor for a rhythm, the waveform for another.
    """

    moabb: str
    events: dict[str, int]
    classes: tuple[str, ...]
    ch_names: tuple[str, ...]
    n_trials: int
    duration: float
    gap: tuple[float, float]
    sources: tuple[Source, ...] = ()
    carriers: tuple[str, ...]
    play: Callable[[Timeline, Person, np.random.Generator], Courses]


MOTOR = _names("Fz FC3 FC1 FCz FC2 FC4 C5 C3 C1 Cz C2 C4 C6 CP3 CP1 CPz CP2 CP4 P1 Pz P2 POz")
TEN_TWENTY = _names("Fp1 Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2")

PARADIGMS: dict[str, Paradigm] = {
    "imagery": Paradigm(
        moabb="imagery",
        events={"left_hand": 1, "right_hand": 2, "feet": 3, "rest": 4},
        classes=("left_hand", "right_hand"),
        ch_names=MOTOR,
        n_trials=48,
        duration=4.0,
        gap=(2.0, 3.0),
        carriers=_names("mu_left mu_right beta_left beta_right"),
        play=imagery,
    ),
    "p300": Paradigm(
        moabb="p300",
        events={"Target": 2, "NonTarget": 1},
        classes=("Target", "NonTarget"),
        ch_names=_names("Fz FCz C3 Cz C4 CP1 CP2 P7 P3 Pz P4 P8 PO7 POz PO8 Oz"),
        n_trials=300,
        duration=0.1,
        gap=(0.2, 0.3),
        sources=(
            Source("n1", "Oz", 4e-6),
            Source("p2", "FCz", 4e-6, depth=0.3),
            Source("p300", "Pz", 13e-6, depth=0.35),
            Source("p3a", "FCz", 3e-6, depth=0.35),
        ),
        carriers=("p300", "p3a"),
        play=p300,
    ),
    "ssvep": Paradigm(
        moabb="ssvep",
        events={},
        classes=("13", "17", "21"),
        ch_names=_names("Fz C3 Cz C4 P7 P3 Pz P4 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2"),
        n_trials=45,
        duration=4.0,
        gap=(1.0, 2.0),
        sources=(
            Source("visual_left", "O1", 1.5e-6),
            Source("visual_middle", "Oz", 1.9e-6),
            Source("visual_right", "O2", 1.5e-6),
        ),
        carriers=_names("visual_left visual_middle visual_right"),
        play=ssvep,
    ),
    "state": Paradigm(
        moabb="rstate",
        events={"rest": 1, "task": 2},
        classes=("rest", "task"),
        ch_names=TEN_TWENTY,
        n_trials=16,
        duration=20.0,
        gap=(2.0, 3.0),
        carriers=("theta", *(f"alpha_{s}" for s in POSTERIOR)),
        play=state,
    ),
    "seizure": Paradigm(
        moabb="rstate",
        events={"background": 1, "seizure": 2},
        classes=("background", "seizure"),
        ch_names=TEN_TWENTY,
        n_trials=12,
        duration=30.0,
        gap=(0.0, 0.0),
        sources=(
            Source("focus", "T7", 60e-6, depth=0.25),
            Source("near", "F3", 60e-6, depth=0.25),
            Source("across", "T8", 60e-6, depth=0.25),
        ),
        carriers=_names("focus near across"),
        play=seizure,
    ),
}


def schedule(
    design: Paradigm,
    classes: Sequence[str],
    n_trials: int,
    duration: float,
    sfreq: float,
    rng: np.random.Generator,
) -> Timeline:
    """Order and times of a session's trials, with 2 s before the first and after the last."""
    labels = _order(design, classes, n_trials, rng)
    durations = np.full(n_trials, duration)
    if "seizure" in classes:
        durations *= np.where(labels == "seizure", rng.uniform(0.5, 1, n_trials), 1)
    length = np.rint(durations * sfreq).astype(np.int64)
    gaps = np.rint(rng.uniform(*design.gap, n_trials) * sfreq).astype(np.int64)
    lead = round(2 * sfreq)
    ends = lead + np.cumsum(gaps + length)
    return Timeline(
        onsets=ends - length,
        durations=length,
        labels=labels,
        n_samples=int(ends[-1]) + lead,
        sfreq=sfreq,
    )


def _order(
    design: Paradigm, classes: Sequence[str], n_trials: int, rng: np.random.Generator
) -> NDArray[np.str_]:
    """Labels, as equal in number as they can be; one target in six flashes."""
    if "Target" in classes:
        flashes = np.array(["Target", *["NonTarget"] * 5])
        rounds = [rng.permutation(flashes) for _ in range(-(-n_trials // len(flashes)))]
        return np.concatenate(rounds)[:n_trials]
    labels = np.resize(np.array(classes), n_trials)
    # A seizure comes out of background and ends in it; everything else comes in any order.
    return labels if "seizure" in classes else rng.permutation(labels)


def band_of(source: Source, person: Person, classes: Sequence[str]) -> tuple[float, float]:
    """Where the power of a source lies, Hz."""
    if source.freq:
        peak = peak_of(source, person)
        return peak - 2 * source.width, peak + 2 * source.width
    if source.name.startswith("visual"):
        flicker = [float(label) for label in classes]
        return min(flicker) - 1, max(flicker) + 1
    return 0.5, 8.0


# Dipoles that stand for eyes and temporal muscles; volts are the peak of an event, or its rms.
ARTIFACTS = (
    Source("blink", "Fpz", 130e-6, depth=0.15),
    Source("saccade", "Fpz", 50e-6, depth=0.3),
    Source("muscle_left", "FT7", 25e-6, depth=0.12),
    Source("muscle_right", "FT8", 25e-6, depth=0.12),
)


def artifacts(n_samples: int, sfreq: float, person: Person, rng: np.random.Generator) -> Courses:
    """Course of each of `ARTIFACTS`, (n_samples,), at times that know nothing of the task."""

    def events(per_minute: float, shortest: float, longest: float, who: str) -> Timeline:
        rate = per_minute * person.factor(0.4, who, "rate")
        n = rng.poisson(rate * n_samples / sfreq / 60)
        return Timeline(
            onsets=np.sort(rng.integers(0, n_samples, n)),
            durations=np.rint(rng.uniform(shortest, longest, n) * sfreq).astype(np.int64),
            labels=np.full(n, who),
            n_samples=n_samples,
            sfreq=sfreq,
        )

    blinks = events(12, 0.3, 0.3, "blink")
    size = np.exp(rng.normal(0, 0.2, len(blinks.onsets)))
    late = np.full_like(size, 0.15)
    courses = {
        "blink": blinks.bumps(size, late, 0.055) - blinks.bumps(0.12 * size, late + 0.25, 0.12)
    }
    looks = events(8, 0.4, 1.5, "saccade")
    courses["saccade"] = looks.plateau(
        rng.choice((-1, 1), len(looks.onsets)) * rng.uniform(0.4, 1, len(looks.onsets)),
        delay=0,
        ramp=0.06,
    )
    freqs = frequencies(n_samples, sfreq)
    band = ((freqs > 20) & (freqs < min(100, 0.45 * sfreq))).astype(float)
    for name in ("muscle_left", "muscle_right"):
        bursts = events(2, 0.3, 1.5, name)
        level = bursts.plateau(rng.uniform(0.4, 1.2, len(bursts.onsets)), delay=0, ramp=0.15)
        courses[name] = level * coloured(1, n_samples, band, rng)[0]
    return courses
