"""What simulated depth electrodes record: background, rhythms, spikes, seizures, and what is none.

Arrays are (n_chans, n_samples) float32, V. Events are added in place to the stretch they last.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

from neurodecode.recordings import head
from neurodecode.recordings.implant import Patient
from neurodecode.recordings.waveforms import Signal, Timeline, coloured, frequencies, one_over_f

Array = NDArray[np.float64]


class Rhythm(NamedTuple):
    """A rhythm of the healthy brain."""

    name: str
    under: str  # electrode of the cap above its middle
    volts: float  # rms in the middle while it lasts
    freq: float  # Hz
    width: float  # standard deviation of the spectral peak, Hz
    spread: float  # distance over which it falls to 0.6, m
    sleep: float  # 1 in sleep only, -1 awake only, 0 in both
    per_minute: float = 0.0  # bursts; 0 for one that waxes and wanes


RHYTHMS = (
    Rhythm("delta", "Fz", 45e-6, 1.3, 0.5, 0.06, 1),
    Rhythm("spindle", "Cz", 40e-6, 13.0, 0.6, 0.04, 1, 6.0),
    Rhythm("alpha_left", "O1", 45e-6, 9.8, 0.8, 0.03, -1),
    Rhythm("alpha_right", "O2", 45e-6, 9.8, 0.8, 0.03, -1),
    Rhythm("theta_left", "T7", 30e-6, 6.0, 0.8, 0.025, 0),
    Rhythm("theta_right", "T8", 30e-6, 6.0, 0.8, 0.025, 0),
    Rhythm("beta_left", "C3", 15e-6, 20.0, 2.0, 0.02, -1),
    Rhythm("beta_right", "C4", 15e-6, 20.0, 2.0, 0.02, -1),
)

MIMICS = ("rhythmic", "chewing", "movement")
"""Stretches that look like seizures and are none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """When things happen in one recording.

    Attributes
    ----------
    n_samples, sfreq
        Of the recording.
    onsets, durations
        Of the seizures, (n_seizures,), s.
    mimic_onsets, mimic_durations
        (n_mimics,), s; they know nothing of seizures, and may meet one.
    mimic_kinds
        Index into `MIMICS`, (n_mimics,).
    """

    n_samples: int
    sfreq: float
    onsets: Array
    durations: Array
    mimic_onsets: Array
    mimic_durations: Array
    mimic_kinds: NDArray[np.int64]

    def slice(self, onset: float, duration: float) -> slice:
        """Samples of a stretch given in seconds, as far as it lies in the recording."""
        first = max(0, round(onset * self.sfreq))
        return slice(first, min(self.n_samples, round((onset + duration) * self.sfreq)))


GAP, MARGIN = 60.0, 25.0  # between seizures, and before the first and after the last, s


def plan(
    duration: float, sfreq: float, seizures: tuple[int, int], rng: np.random.Generator
) -> Course:
    """When seizures (15 to 60 s) and what looks like them happen, as many as there is room for."""
    lengths = rng.uniform(15, 60, int(rng.integers(seizures[0], seizures[1] + 1)))
    while len(lengths) and lengths.sum() + GAP * (len(lengths) - 1) > duration - 2 * MARGIN:
        lengths = lengths[:-1]
    free = duration - 2 * MARGIN - lengths.sum() - GAP * max(0, len(lengths) - 1)
    before = np.concatenate([[0], np.cumsum(lengths[:-1] + GAP)])[: len(lengths)]
    onsets = MARGIN + np.sort(rng.uniform(0, free, len(lengths))) + before
    n = rng.poisson(duration / 45)
    starts, lasting = np.sort(rng.uniform(1, duration - 6, n)), rng.uniform(5, 18, n)
    lasting = np.minimum(lasting, duration - 1 - starts)
    return Course(
        n_samples=round(duration * sfreq),
        sfreq=sfreq,
        onsets=onsets,
        durations=lengths,
        mimic_onsets=starts,
        mimic_durations=lasting,
        mimic_kinds=rng.choice(len(MIMICS), n, p=(0.5, 0.3, 0.2)),
    )


def resting(patient: Patient, course: Course, rng: np.random.Generator) -> Signal:
    """Background and rhythms, asleep and awake by turns."""
    n, sfreq = course.n_samples, course.sfreq
    freqs = frequencies(n, sfreq)
    spectrum = one_over_f(freqs, patient.slope)
    mixing = (patient.background * patient.mixing()).astype(np.float32)
    x: Signal = mixing @ coloured(len(mixing), n, spectrum, rng)
    slow = np.exp(-0.5 * (freqs / 0.008) ** 2)
    asleep = 1 / (1 + np.exp(-3 * coloured(1, n, slow, rng)[0] - rng.normal(0, 1.5)))
    for rhythm in RHYTHMS:
        own = patient.rng(rhythm.name)
        peak = rhythm.freq * patient.tempo * float(np.exp(0.05 * own.standard_normal()))
        wave = coloured(1, n, np.exp(-0.5 * ((freqs - peak) / rhythm.width) ** 2), rng)[0]
        wave *= np.float32(rhythm.volts * np.exp(0.4 * own.standard_normal()))
        if rhythm.sleep:
            wave *= asleep if rhythm.sleep > 0 else 1 - asleep
        if rhythm.per_minute:
            wave *= _bursts(course, rhythm.per_minute, rng)
        place = head.below(rhythm.under, depth=0.25) + 0.008 * own.standard_normal(3)
        pattern = np.exp(-0.5 * (patient.distance(place) / rhythm.spread) ** 2)
        x += pattern.astype(np.float32)[:, None] * wave
    x *= patient.gain[:, None].astype(np.float32)
    return x


def _bursts(course: Course, per_minute: float, rng: np.random.Generator) -> Signal:
    """Course (n_samples,), 1 in bursts of 0.5 to 2 s and 0 between."""
    n = int(rng.poisson(per_minute * course.n_samples / course.sfreq / 60))
    bursts = Timeline(
        onsets=rng.integers(0, course.n_samples, n),
        durations=np.rint(rng.uniform(0.5, 2, n) * course.sfreq).astype(np.int64),
        labels=np.full(n, ""),
        n_samples=course.n_samples,
        sfreq=course.sfreq,
    )
    return bursts.plateau(np.ones(n), delay=0, ramp=0.4)


def add_spikes(
    x: Signal, patient: Patient, course: Course, rng: np.random.Generator
) -> tuple[Array, NDArray[np.int64]]:
    """Interictal spikes with their slow waves, single and in short runs, in and out of the zone.

    Returns
    -------
    times, foci
        When, s, and from which of ``patient.foci``, (n_spikes,) each.
    """
    sfreq, times, foci = course.sfreq, [], []
    lag = np.arange(-0.1, 0.6, 1 / sfreq)
    shape = np.exp(-0.5 * (lag / 0.014) ** 2) - 0.45 * np.exp(-0.5 * ((lag - 0.2) / 0.08) ** 2)
    for i, (focus, rate) in enumerate(zip(patient.foci, patient.spike_rate, strict=True)):
        n = int(rng.poisson(rate * course.n_samples / sfreq / 60))
        start, run = rng.uniform(0, course.n_samples / sfreq, n), rng.geometric(0.6, n)
        nth = np.arange(run.sum()) - np.repeat(np.cumsum(run) - run, run)
        at = np.repeat(start, run) + nth * rng.uniform(0.25, 0.4)
        at = np.sort(at[at < course.n_samples / sfreq - 0.7])
        impulses = np.zeros(course.n_samples)
        np.add.at(impulses, (at * sfreq).astype(np.int64), rng.lognormal(0, 0.4, len(at)))
        wave = fftconvolve(impulses, shape)[: course.n_samples]
        pattern = 220e-6 * patient.gain * np.exp(-0.5 * (patient.distance(focus) / 0.008) ** 2)
        x -= pattern.astype(np.float32)[:, None] * wave.astype(np.float32)
        times.append(at)
        foci.append(np.full(len(at), i))
    order = np.argsort(np.concatenate(times), kind="stable")
    return np.concatenate(times)[order], np.concatenate(foci)[order]


def recruitment(patient: Patient, onset: float, duration: float, rng: np.random.Generator) -> Array:
    """When each contact joins a seizure, (n_chans,), s; NaN for those it never reaches."""
    away = np.maximum(0, patient.distance(patient.foci[0]) - 0.006)
    delay = away / patient.speed * np.exp(0.15 * rng.standard_normal(len(away)))
    delay[patient.zone] = rng.uniform(0, 0.5, len(patient.zone))
    delay[patient.zone[rng.integers(len(patient.zone))]] = 0
    never = (away > patient.reach) | (delay > 0.7 * duration)
    never[patient.zone] = False
    return np.where(never, np.nan, onset + delay)


def add_seizure(
    x: Signal,
    patient: Patient,
    course: Course,
    onset: float,
    duration: float,
    joins: Array,
    contrast: float,
    rng: np.random.Generator,
) -> None:
    """A seizure from its fast onset to what follows it, in place.

    Low-voltage fast activity over a background that falls, then spikes and waves that slow and
    grow; all contacts stop within a second, and the background comes back over half a minute.
    """
    reached = np.flatnonzero(np.isfinite(joins))
    span = course.slice(onset, duration + 60)
    t = np.arange(span.stop - span.start) / course.sfreq  # since the onset, s
    since = t - (joins[reached, None] - onset)  # since each contact joined, s
    away = patient.distance(patient.foci[0])[reached, None]
    stop = np.clip((duration - t) / 1.0, 0, 1)
    fast = 0.15 * duration * np.where(away > 0.015, 0.5, 1)  # how long the fast part lasts, s
    progress = np.clip(t / duration, 0, 1)

    high = min(patient.fast, 0.35 * course.sfreq)
    chirp = 2 * np.pi * np.cumsum(high * (1 - 0.45 * progress)) / course.sfreq
    level = np.clip(since / 1.0, 0, 1) * np.clip((fast + 2 - since) / 2, 0, 1) * stop
    own = rng.uniform(0, 2 * np.pi, (len(reached), 1))
    ictal = 35e-6 * level * (0.4 + np.clip(since / fast, 0, 1)) * np.sin(chirp + own)

    first, last = (rate * np.exp(0.1 * rng.standard_normal()) for rate in patient.rates)
    rate = last + (first - last) * (1 - progress) ** 1.3
    wander = 0.15 * np.cumsum(rng.standard_normal(len(t))) / np.sqrt(course.sfreq)
    phase = np.cumsum(rate) / course.sfreq + wander * 0.2
    cycle = (phase - rate * away / 0.4) % 1  # 0.4 m/s along the cortex
    shape = np.exp(-0.5 * ((cycle - 0.15) / 0.05) ** 2)
    shape -= 0.7 * np.exp(-0.5 * ((cycle - 0.55) / 0.16) ** 2) - 0.2
    level = np.clip((since - fast) / 3, 0, 1) * stop * (0.45 + 0.55 * progress)
    swing = np.exp(0.3 * coloured(1, len(t), _below(len(t), course.sfreq, 1.0), rng)[0])
    ictal += 280e-6 * level * swing * shape

    share = np.exp(-away / 0.06) * np.exp(0.25 * rng.standard_normal((len(reached), 1)))
    share *= patient.gain[reached, None] * patient.size * contrast
    ended = np.clip((t - duration) / 1.0, 0, 1)
    during = 0.5 * np.clip(since / 1.0, 0, 1) * (1 - ended)
    after = 0.7 * ended * np.exp(-np.maximum(0, t - duration) / rng.uniform(8, 20))
    depth = np.exp(-away / 0.05) * min(contrast, 1.0)
    view = x[reached, span]
    view *= 1 - depth * (during + after)
    view += share * ictal
    x[reached, span] = view


def _below(n_samples: int, sfreq: float, cut: float) -> Array:
    """Amplitude spectrum of noise below a frequency, Hz."""
    return np.asarray(np.exp(-0.5 * (frequencies(n_samples, sfreq) / cut) ** 2))


def add_mimics(x: Signal, patient: Patient, course: Course, rng: np.random.Generator) -> None:
    """Rhythmic bursts, chewing and movement, in place."""
    for kind, onset, duration in zip(
        course.mimic_kinds, course.mimic_onsets, course.mimic_durations, strict=True
    ):
        span = course.slice(onset, duration)
        t = np.arange(span.stop - span.start) / course.sfreq
        level = np.clip(np.minimum(t, duration - t) / 1.5, 0, 1)
        if MIMICS[kind] == "rhythmic":
            wave, pattern = _rhythmic(patient, t, rng)
        elif MIMICS[kind] == "chewing":
            beat = np.sin(np.pi * rng.uniform(1.2, 2.0) * t) ** 4  # bites, about 1.6 a second
            wave = _muscle(x.shape[0], len(t), course.sfreq, rng) * beat
            pattern = rng.uniform(25e-6, 80e-6) * np.exp(-patient.depth / 0.012)
        else:
            slow = coloured(x.shape[0], len(t), _below(len(t), course.sfreq, 1.5), rng)
            wave = slow + 0.3 * _muscle(x.shape[0], len(t), course.sfreq, rng)
            pattern = rng.uniform(60e-6, 160e-6) * np.exp(-patient.depth / 0.04)
        x[:, span] += (pattern[:, None] * level * wave).astype(np.float32)


def _rhythmic(patient: Patient, t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Rhythm of one frequency somewhere in the implant: its course (n_times,) and pattern, V."""
    phase = 2 * np.pi * (rng.uniform(2, 6) * t + 0.03 * np.cumsum(rng.standard_normal(len(t))))
    wave = np.sin(phase) + 0.4 * np.sin(2 * phase + rng.uniform(0, 2 * np.pi))
    middle = patient.positions[rng.integers(len(patient.positions))]
    fall = np.exp(-0.5 * (patient.distance(middle) / rng.uniform(0.01, 0.03)) ** 2)
    return wave, rng.uniform(60e-6, 200e-6) * patient.gain * fall


def _muscle(n: int, n_times: int, sfreq: float, rng: np.random.Generator) -> Signal:
    """Noise above 15 Hz, (n, n_times), unit variance."""
    freqs = frequencies(n_times, sfreq)
    return coloured(n, n_times, ((freqs > 15) & (freqs < 0.45 * sfreq)).astype(float), rng)


def add_electrodes(x: Signal, patient: Patient, course: Course, rng: np.random.Generator) -> None:
    """What is no brain at all: noise, the power line, pops, dead and noisy contacts, in place."""
    x[patient.dead] = 0
    rms = np.full(len(x), 1e-6, np.float32)
    rms[patient.noisy] = rng.uniform(20e-6, 60e-6, len(patient.noisy))
    noise = rng.standard_normal(x.shape, np.float32)
    noise *= rms[:, None]
    x += noise
    if 0.45 * course.sfreq > 50:
        hum = np.sin(2 * np.pi * 50 * np.arange(x.shape[1]) / course.sfreq)
        share = patient.line * np.sqrt(2) * patient.rng("line").lognormal(0, 0.5, len(x))
        x += (share[:, None] * hum).astype(np.float32)
    high_pass = butter(1, 0.5, "highpass", fs=course.sfreq, output="sos")
    for _ in range(int(rng.poisson(0.5 * x.shape[1] / course.sfreq / 60))):
        contact, at = int(rng.integers(len(x))), int(rng.integers(x.shape[1]))
        step = np.ones(min(x.shape[1] - at, round(4 * course.sfreq)))
        size = rng.choice((-1, 1)) * rng.uniform(150e-6, 700e-6)
        x[contact, at : at + len(step)] += size * sosfilt(high_pass, step).astype(np.float32)
