"""Simulated eyes and muscles on real or simulated recordings: what they cost, cleaners may mend.

Blinks, saccades and bursts of temporal muscle are those of `neurodecode.recordings.brain`. Every
person has a topography of their own; the times know nothing of the task. The keyword-only
parameters of `contaminate` are the options of ``[contaminate]`` in a pipeline file.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label, maximum_filter1d

from neurodecode.artifacts.apply import Filter, without_drift
from neurodecode.artifacts.mixing import Convention, mixing_scale
from neurodecode.artifacts.recording import Array
from neurodecode.core.errors import ConfigError, SignalError, UnknownName
from neurodecode.core.seeding import derive_seed, generator
from neurodecode.recordings import brain, head
from neurodecode.recordings.brain import ARTIFACTS
from neurodecode.recordings.montage import tidy_name
from neurodecode.recordings.people import Fitting, Person, meet

KINDS = {"eog": ("blink", "saccade"), "emg": ("muscle_left", "muscle_right")}
MOST = 0.8  # of the time; more could take for ever to fill
EOG_GAIN = 2.5  # an electrode beside the eye sees it better than the forehead does


class Origin(NamedTuple):
    """Whose recording it is: the same words get the same artifacts."""

    dataset: str
    subject: str
    session: str
    run: str


def contaminate(
    raw: BaseRaw,
    ch_names: Sequence[str],
    origin: Origin,
    filter: Filter = "zero-phase",
    *,
    kind: Literal["eog", "emg", "both"],
    snr: float,
    snr_convention: Convention,
    share: float = 0.3,
    seed: int = 0,
) -> BaseRaw:
    """A copy of a recording with simulated artifacts added.

    Parameters
    ----------
    raw
        Recording in volts; it is left as it was. EOG channels get the eyes too, as they are nearer.
    ch_names
        Its channels of the brain, on the 10-10 cap.
    origin
        Person, cap and times are drawn from it and from `seed`.
    filter
        How drift is kept out of the measured power; the option of ``[preprocess]``.
    kind
        Eyes, muscles, or both.
    snr
        Signal to artifact, dB, of eyes and of muscles each. Both powers are means over `ch_names`
        and over the stretches in which that kind of artifact is present; that of the signal is
        measured without drift below 0.5 Hz, and includes the artifacts that it has already.
    snr_convention
        What dB are; see `neurodecode.artifacts.mixing`.
    share
        Part of the time in which each kind is present, 0 to 0.8.
    seed
        Another seed is other people.

    Raises
    ------
    SignalError
        If a channel is not on the cap, or the rate is too low for muscles.
    ConfigError
        If `share` is not in (0, 0.8].
    """
    if not 0 < share <= MOST:
        raise ConfigError(f"contaminate.share = {share:g} is not in (0, {MOST}]. Usual is 0.3.")
    sfreq = float(raw.info["sfreq"])
    if kind != "eog" and sfreq < 60:
        raise SignalError(
            f"Muscles are active above 20 Hz, and {sfreq:g} Hz hold too little of that. Take a "
            f"rate of 60 Hz or more, or contaminate.kind='eog'."
        )
    places = _places(ch_names)
    people = derive_seed(seed, "contaminate", origin.dataset, origin.subject)
    person = meet(people, 1, variability=1.0, contrast=1.0)
    cap = derive_seed(seed, "contaminate", "session", origin.session)
    _, patterns = Fitting(person=person, session=cap, ch_names=places).patterns(ARTIFACTS)
    sources = [source.name for source in ARTIFACTS]
    out = raw.copy().load_data()
    index = [raw.ch_names.index(name) for name in ch_names]
    signal = without_drift(raw.copy().pick(list(ch_names)), filter=filter).get_data()
    for part in KINDS if kind == "both" else (kind,):
        rng = generator(seed, "contaminate", *origin, part)
        courses, present = _courses(part, raw.n_times, sfreq, person, rng, share)
        pattern = patterns[:, [sources.index(name) for name in KINDS[part]]]
        artifact = pattern @ courses
        scale = mixing_scale(
            _rms(signal[:, present]), _rms(artifact[:, present]), snr, convention=snr_convention
        )
        out._data[index] += scale * artifact
        if part == "eog":
            _into_eog(out, set(ch_names), scale * courses, person)
    return out


def in_words(options: Mapping[str, Any]) -> str:
    """The options in a few words, for tables; empty where nothing was added."""
    if not options:
        return ""
    who = {"eog": "eyes", "emg": "muscles", "both": "eyes and muscles"}[options["kind"]]
    return (
        f"{who}, {options['snr']:g} dB ({options['snr_convention']}), "
        f"{options['share']:.0%} of the time"
    )


def _places(ch_names: Sequence[str]) -> list[str]:
    """Name on the cap of each channel."""
    places = [tidy_name(name) for name in ch_names]
    unknown = [name for name, place in zip(ch_names, places, strict=True)
               if place not in head.cap().ch_names]  # fmt: skip
    if unknown:
        raise SignalError(
            f"Artifacts are simulated on the 10-10 cap, which has no {', '.join(unknown[:8])}. "
            f"Leave those channels out with preprocess.drop, or leave [contaminate] out."
        )
    return places


def _courses(
    part: str,
    n_samples: int,
    sfreq: float,
    person: Person,
    rng: np.random.Generator,
    share: float,
) -> tuple[Array, Any]:
    """Courses (n_sources, n_samples) of one kind, and when it is present, (n_samples,).

    Events are taken one by one, in any order, until they fill the share of the time.
    """
    if part not in KINDS:
        raise UnknownName("kind of artifact", part, [*KINDS, "both"])
    out = np.zeros((len(KINDS[part]), n_samples))
    present = np.zeros(n_samples, dtype=bool)
    while present.mean() < share:
        drawn = brain.artifacts(n_samples, sfreq, person, rng)
        events = []
        for row, name in enumerate(KINDS[part]):
            events += [(row, name, span) for span in _events(drawn[name], round(0.1 * sfreq))]
        for i in rng.permutation(len(events)):
            row, name, span = events[i]
            out[row, span] += drawn[name][span]
            present[span] = True
            if present.mean() >= share:
                break
    return out, present


def _events(course: NDArray[np.floating], gap: int) -> list[slice]:
    """Where a course is above a thousandth of its peak; gaps up to `gap` samples are bridged."""
    loud = np.abs(course) > 1e-3 * np.abs(course).max()
    near = maximum_filter1d(loud, max(1, gap))  # a burst passes through zero many times
    spans = []
    for (span,) in find_objects(label(near)[0]):
        inside = span.start + np.flatnonzero(loud[span])
        spans.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return spans


def _into_eog(raw: BaseRaw, others: set[str], courses: Array, person: Person) -> None:
    """Add the eyes to the EOG channels, in place."""
    types = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    for name in [name for name, kind in types if kind == "eog" and name not in others]:
        rng = person.rng("contaminate", name)
        for source, course in zip(KINDS["eog"], courses, strict=True):
            volts = next(s.volts for s in ARTIFACTS if s.name == source)
            gain = EOG_GAIN * volts * np.exp(0.3 * rng.standard_normal()) * rng.choice((-1, 1))
            raw._data[raw.ch_names.index(name)] += gain * course


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(np.square(x))))
