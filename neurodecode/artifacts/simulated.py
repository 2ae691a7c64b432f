"""A bank of simulated people: brains of the simulator, and more kinds of eyes and muscles than it.

Eyes and muscles vary from person to person in place, reach, shape and rate, far beyond what
`neurodecode.recordings.brain` plays, so that a denoiser cannot learn one blink by heart. All of it
is simulated; nothing was fitted to a recording.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft, rfftfreq
from scipy.signal import fftconvolve, sosfilt, sosfiltfilt

from neurodecode.artifacts.bank import Bank, Signal, Source
from neurodecode.core.seeding import generator
from neurodecode.recordings import head
from neurodecode.recordings.synthetic import Synthetic
from neurodecode.recordings.waveforms import coloured, frequencies
from neurodecode.signal.filters import bandpass_sos
from neurodecode.signal.sphere import on_sphere

Array = NDArray[np.float64]
Report = Callable[[str, int, int], None]

OLD_NAMES = ("T3", "T4", "T5", "T6", "M1", "M2", "A1", "A2")  # of places that have a newer one
BRAINS = {"imagery": 6.0, "state": 21.0, "ssvep": 5.0, "p300": 0.3, "seizure": 30.0}  # s per trial


def simulated_bank(
    n_people: int,
    *,
    seed: int = 0,
    sfreq: float = 256.0,
    duration: float = 60.0,
    report: Report = lambda words, done, total: None,
) -> Bank:
    """People on the whole 10-10 cap, each with a brain, eyes and muscles.

    Parameters
    ----------
    n_people
        How many.
    seed
        Another seed is other people.
    sfreq
        Sampling rate, Hz.
    duration
        Of each source, s.
    report
        Called with words, people done and people in all.
    """
    names = [name for name in head.cap().ch_names if name not in OLD_NAMES]
    places = {ch["ch_name"]: ch["loc"][:3] for ch in head.cap_info(names, sfreq)["chs"]}
    directions = on_sphere(np.array([places[name] for name in names]), head.centre())
    brains, eyes, muscles = [], [], []
    for i in range(n_people):
        report("simulating people", i, n_people)
        rng = generator(seed, "bank", i)
        subject = f"simulated-{seed}-{i}"
        drift = _drift_filter(sfreq, rng)
        brain = drift(_brain(seed, i, names, sfreq, duration, rng))
        eye_patterns, eye_courses = _eyes(names, directions, sfreq, duration, rng)
        patterns, courses = _muscles(names, sfreq, duration, rng)
        brains.append(Source(subject=subject, courses=brain))
        eyes.append(Source(subject=subject, courses=drift(eye_courses), patterns=eye_patterns))
        muscles.append(Source(subject=subject, courses=drift(courses), patterns=patterns))
    report("simulating people", n_people, n_people)
    return Bank(brains=brains, eyes=eyes, muscles=muscles, sfreq=sfreq, directions=directions)


def _drift_filter(sfreq: float, rng: np.random.Generator) -> Callable[[Signal], Signal]:
    """The high-pass of a recording: forward and back, or forward only."""
    sos = bandpass_sos(float(rng.uniform(0.3, 1.0)), None, sfreq=sfreq)
    run = sosfilt if rng.random() < 0.5 else sosfiltfilt
    return lambda x: np.asarray(run(sos, x, axis=1), np.float32)


def _brain(
    seed: int, i: int, names: list[str], sfreq: float, duration: float, rng: np.random.Generator
) -> Signal:
    """Clean signal (n_chans, n_samples), uV; its spectrum is tilted more than people differ."""
    paradigm = list(BRAINS)[i % len(BRAINS)]
    n_trials = int(np.ceil(duration / BRAINS[paradigm]))
    people = Synthetic(
        paradigm=paradigm,
        n_subjects=i + 1,
        n_sessions=1,
        n_trials=max(n_trials, 6),
        sfreq=sfreq,
        ch_names=names,
        seed=1000 + seed,
        variability=1.5,
        cache=False,
    )
    x = people.truth(i + 1)["0"]["0"].clean * np.float32(1e6)
    x = x[:, : round(duration * sfreq)]
    freqs = rfftfreq(x.shape[1], 1 / sfreq)
    tilt = np.maximum(freqs, 1.0) ** (-0.5 * rng.uniform(-0.6, 1.0))
    tilt *= 1 / np.sqrt(1 + (freqs / rng.uniform(40, 200)) ** 8)  # an amplifier's low-pass
    y = irfft(rfft(x, axis=1) * tilt.astype(np.float32), x.shape[1], axis=1)
    y *= x.std() / y.std()
    if rng.random() < 0.3:  # the power line is no artifact of the body, and is left to a notch
        line = rng.choice((50.0, 60.0)) * np.arange(y.shape[1]) / sfreq
        size = np.exp(rng.normal(0.0, 0.7, (len(names), 1)))
        y += size * np.sin(2 * np.pi * line + rng.normal(0, 0.3, (len(names), 1)))
    return np.asarray(y, np.float32)


def _eyes(
    names: list[str], directions: Array, sfreq: float, duration: float, rng: np.random.Generator
) -> tuple[Signal, Signal]:
    """Patterns (n_chans, 3), uV at the peak, of blinks, level looks and raised looks; courses."""
    n = round(duration * sfreq)
    left, right = (_eye_pattern(names, directions, side, rng) for side in ("Fp1", "Fp2"))
    balance = rng.normal(1, 0.1, 3)
    patterns = np.stack(
        [
            100 * (left + balance[0] * right),
            35 * (left - balance[1] * right),
            30 * (left + balance[2] * right),
        ],
        axis=1,
    )
    courses = np.stack([_blinks(n, sfreq, rng), _looks(n, sfreq, rng), _looks(n, sfreq, rng)])
    return patterns.astype(np.float32), courses.astype(np.float32)


def _eye_pattern(
    names: list[str], directions: Array, under: str, rng: np.random.Generator
) -> Array:
    """Map of one eye, (n_chans,), 1 at its peak: a dipole's mixed with one that reaches far."""
    depth = rng.uniform(0.1, 0.35)
    point = head.turned(head.below(under, depth=depth)[None], rng.normal(0, 0.12, (1, 3)))
    outward = point - head.centre()
    aim = outward / np.linalg.norm(outward) + rng.normal(0, 0.3, (1, 3))
    dipole = head.spread(point, aim, names)[:, 0]
    eye = np.array([np.sign(directions[names.index(under), 0]) * 0.3, 0.93, -0.25])
    away = np.linalg.norm(directions - eye / np.linalg.norm(eye), axis=1)
    smooth = np.exp(-away / rng.uniform(0.25, 0.7))
    smooth /= smooth.max()
    share = rng.uniform()
    mixed = share * np.sign(dipole[np.abs(dipole).argmax()]) * dipole + (1 - share) * smooth
    return np.asarray(mixed / np.abs(mixed).max())


def _blinks(n: int, sfreq: float, rng: np.random.Generator) -> Array:
    """Course of blinks, 1 at a usual peak."""
    x = np.zeros(n)
    usual = rng.uniform(0.06, 0.14)  # s, from start to peak
    for at in _onsets(n, sfreq, rng.uniform(8, 35), rng):
        rise = usual * np.exp(0.2 * rng.standard_normal())
        fall = rise * rng.uniform(1.0, 2.2)
        shape = np.concatenate([
            np.sin(np.linspace(0, np.pi / 2, max(3, round(rise * sfreq)))) ** 2,
            np.cos(np.linspace(0, np.pi / 2, max(3, round(fall * sfreq)))) ** 2,
        ])  # fmt: skip
        height = np.exp(0.3 * rng.standard_normal())
        _add(x, at, height * shape)
        if rng.random() < 0.3:  # the lid settles
            _add(
                x,
                at + len(shape),
                -rng.uniform(0.05, 0.2) * height * np.hanning(round(0.3 * sfreq)),
            )
    return x


def _looks(n: int, sfreq: float, rng: np.random.Generator) -> Array:
    """Course of saccades: the gaze jumps, rests and comes back; slow rolls now and then."""
    steps = np.zeros(n)
    for at in _onsets(n, sfreq, rng.uniform(8, 60), rng):
        size = rng.normal()
        steps[at] += size
        back = at + round(rng.uniform(0.2, 1.5) * sfreq)
        if back < n:
            steps[back] -= size * rng.uniform(0.5, 1.2)
    ramp = np.hanning(max(3, round(rng.uniform(0.03, 0.08) * sfreq)))
    gaze = fftconvolve(np.cumsum(steps), ramp / ramp.sum(), mode="same")
    if rng.random() < 0.3:
        freqs = frequencies(n, sfreq)
        gaze += 1.5 * coloured(1, n, np.exp(-0.5 * ((freqs - 0.7) / 0.3) ** 2), rng)[0]
    return np.asarray(gaze)


def _muscles(
    names: list[str], sfreq: float, duration: float, rng: np.random.Generator
) -> tuple[Signal, Signal]:
    """Patterns (n_chans, n_sources), uV, of muscles of three motor units each; their courses."""
    n = round(duration * sfreq)
    rim = [name for name in names if name[:2] in ("Fp", "AF", "FT", "TP", "PO")
           or name in ("F7", "F8", "F9", "F10", "T7", "T8", "T9", "T10", "P9", "P10", "O1", "O2",
                       "Oz", "Iz", "O9", "O10", "FC5", "FC6", "C5", "C6")]  # fmt: skip
    sides = [name for name in rim if name.startswith(("FT", "T7", "T8", "F7", "F8", "T9", "T10"))]
    points, aims, courses = [], [], []
    for _ in range(int(rng.integers(2, 6))):
        site = str(rng.choice(sides if rng.random() < 0.5 else rim))
        envelope = _bursts(n, sfreq, rng)
        for _ in range(3):
            point = head.below(site, depth=float(rng.uniform(0.1, 0.25)))
            point = head.turned(point[None], rng.normal(0, 0.1, (1, 3)))[0]
            outward = point - head.centre()
            points.append(point)
            aims.append(outward / np.linalg.norm(outward) + rng.normal(0, 0.6, 3))
            courses.append(envelope * _firing(n, sfreq, rng))
    patterns = head.spread(np.array(points), np.array(aims), names)
    volts = 15 * np.exp(0.5 * rng.standard_normal(len(points)))
    return (patterns * volts).astype(np.float32), np.stack(courses).astype(np.float32)


def _bursts(n: int, sfreq: float, rng: np.random.Generator) -> Array:
    """Envelope of contractions: short and long ones, sometimes over a weak lasting one."""
    level = np.full(n, rng.uniform(0.02, 0.3) if rng.random() < 0.3 else 0.0)
    for at in _onsets(n, sfreq, rng.uniform(4, 30), rng):
        length = round(float(np.exp(rng.uniform(np.log(0.1), np.log(3.0)))) * sfreq)
        _add(level, at, np.full(length, rng.uniform(0.3, 1.5)))
    ramp = np.hanning(max(3, round(rng.uniform(0.03, 0.3) * sfreq)))
    return np.asarray(np.maximum(fftconvolve(level, ramp / ramp.sum(), mode="same"), 0))


def _firing(n: int, sfreq: float, rng: np.random.Generator) -> Signal:
    """Muscle noise of unit variance: broad-band, with a peak of its own, more or less spiky."""
    freqs = frequencies(n, sfreq)
    peak = rng.uniform(30, 90)
    rise = 1 / (1 + (rng.uniform(12, 25) / np.maximum(freqs, 0.1)) ** 4)
    fall = 1 / (1 + (freqs / peak) ** rng.uniform(1, 4))
    noise = coloured(1, n, rise * fall, rng)[0]
    if rng.random() < 0.5:  # single units stand out
        noise = noise * np.abs(coloured(1, n, np.exp(-freqs / rng.uniform(5, 30)), rng)[0])
        noise = noise / noise.std()
    return np.asarray(noise, np.float32)


def _onsets(n: int, sfreq: float, per_minute: float, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(rng.integers(0, n, rng.poisson(per_minute * n / sfreq / 60)))


def _add(x: Array, at: int, shape: Array) -> None:
    """Add a shape from a sample on, as far as there are samples."""
    stop = min(len(x), at + len(shape))
    if stop > at:
        x[at:stop] += shape[: stop - at]
