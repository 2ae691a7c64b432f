"""Simulated recordings with a known answer, as a MOABB data set.

People are simulated, never measured: dipoles in a spherical head (`head`) follow the rhythms and
responses of a task (`brain`), and blinks, saccades and muscle bursts are added with their truth
kept. Any score on these recordings is a simulated score, and must be called so.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mne
import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, SignalError, UnknownName
from neurodecode.core.seeding import generator
from neurodecode.recordings import brain, head, people, waveforms
from neurodecode.recordings.brain import ARTIFACTS, PARADIGMS, RHYTHMS, Paradigm
from neurodecode.recordings.kept import Simulated, Tensors, kept_path
from neurodecode.recordings.people import Fitting, Person, Source, meet
from neurodecode.recordings.waveforms import Signal, coloured, frequencies, one_over_f

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceTruth:
    """A dipole that tells the classes apart.

    Attributes
    ----------
    name
        "mu_left" is the source in the left half of the motor strip.
    electrode
        Recorded electrode nearest to it.
    position
        (3,), m, head coordinates.
    pattern
        Scalp pattern, (n_chans,), V.
    band
        Where its power lies, Hz.
    """

    name: str
    electrode: str
    position: Array
    pattern: Array
    band: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """What one simulated run is made of: the recording is ``clean + artifact``.

    Attributes
    ----------
    ch_names, sfreq
        As in the recording.
    clean
        Brain and sensor noise, (n_chans, n_samples), V.
    artifact_patterns
        Scalp pattern of each of `ARTIFACTS`, (n_chans, n_artifacts), V.
    artifact_courses
        Their time courses, (n_artifacts, n_samples), without unit.
    onsets, durations
        Of each trial, (n_trials,), s.
    labels
        Class of each trial.
    sources
        Those that tell the classes apart.
    """

    ch_names: tuple[str, ...]
    sfreq: float
    clean: Signal
    artifact_patterns: Signal
    artifact_courses: Signal
    onsets: Array
    durations: Array
    labels: tuple[str, ...]
    sources: tuple[SourceTruth, ...]

    @property
    def artifact(self) -> Signal:
        """Eyes and muscles, (n_chans, n_samples), V."""
        return self.artifact_patterns @ self.artifact_courses

    def raw(self) -> Any:
        """The recording, a new MNE Raw with annotated trials."""
        info = head.cap_info(self.ch_names, self.sfreq)
        data = np.add(self.clean, self.artifact, dtype=np.float64)
        raw = mne.io.RawArray(data, info, verbose="error")
        raw.set_annotations(mne.Annotations(self.onsets, self.durations, list(self.labels)))
        return raw


class Synthetic(Simulated[Truth]):
    """Simulated EEG whose sources, artifacts and labels are known.

    Subject 1 is the same person in every paradigm, and the same whatever other subjects are asked
    for, as long as `seed` is the same.

    Parameters
    ----------
    paradigm
        "imagery": one hand or the feet are imagined; "p300": rare targets among flashes; "ssvep":
        flickers; "state": blocks of rest and of task; "seizure": background and seizures.
    n_subjects, n_sessions
        People, and sessions of each. A session is one run.
    n_trials
        Trials in a session; by default the paradigm's.
    duration
        Of a trial, s; by default the paradigm's. Seizures last half of it to all of it.
    classes
        For imagery, two or more of left_hand, right_hand, feet and rest; for ssvep, frequencies.
        By default, and in the other paradigms always, the paradigm's.
    sfreq
        Sampling rate, Hz.
    ch_names
        10-10 names; by default the paradigm's (for imagery the 22 channels of BNCI2014_001).
    contrast
        Factor on what tells the classes apart; at 0 the labels mean nothing.
    variability
        How much people and sessions differ: 0 not at all, 1 as people do.
    artifacts
        Whether eyes and muscles are recorded too.
    seed
        Another seed is another set of people.
    cache
        Whether what was simulated is kept on disk, under the folder named by NEURODECODE_CACHE or
        the user's cache folder. A folder that cannot be written is not an error.

    Raises
    ------
    ConfigError
        For a choice that no paradigm offers.
    SignalError
        For a channel that is not on the cap, or a sampling rate too low for the paradigm.
    """

    def __init__(
        self,
        *,
        paradigm: str = "imagery",
        n_subjects: int = 8,
        n_sessions: int = 2,
        n_trials: int | None = None,
        duration: float | None = None,
        classes: Sequence[str] | None = None,
        sfreq: float = 128.0,
        ch_names: Sequence[str] | None = None,
        contrast: float = 1.0,
        variability: float = 1.0,
        artifacts: bool = True,
        seed: int = 0,
        cache: bool = True,
    ) -> None:
        if paradigm not in PARADIGMS:
            raise UnknownName("simulated paradigm", paradigm, PARADIGMS)
        self.design = PARADIGMS[paradigm]
        self.classes = tuple(map(str, classes or self.design.classes))
        self.n_trials = self.design.n_trials if n_trials is None else n_trials
        self.duration = self.design.duration if duration is None else float(duration)
        self.sfreq = float(sfreq)
        self.ch_names = tuple(ch_names or self.design.ch_names)
        self.contrast = float(contrast)
        self.variability = float(variability)
        self.artifacts = bool(artifacts)
        self.seed = int(seed)
        self.cache = cache
        counts = {"n_subjects": n_subjects, "n_sessions": n_sessions}
        _check_counts(counts, self.n_trials, len(self.classes))
        _check_sizes(self.contrast, self.variability, self.duration)
        events = _events(self.design, paradigm, self.classes)
        _check_rate(self.sfreq, paradigm, self.classes)
        head.cap_info(self.ch_names, self.sfreq)
        choices = [paradigm, self.classes, n_sessions, self.n_trials, self.duration, self.sfreq]
        choices += [self.ch_names, self.contrast, self.variability, self.artifacts, self.seed]
        self._choices = json.dumps(choices)
        whole = 1.0 if paradigm == "p300" else self.duration
        super().__init__(
            subjects=list(range(1, n_subjects + 1)),
            sessions_per_subject=n_sessions,
            events=events,
            code=f"Synthetic-{paradigm}-{hashlib.sha256(self._choices.encode()).hexdigest()[:8]}",
            # Every annotated stretch lasts at least this long.
            interval=[0, whole / 2 if paradigm == "seizure" else whole],
            paradigm=self.design.moabb,
        )

    def _path(self, subject: int) -> Path:
        code = [__file__, brain.__file__, head.__file__, people.__file__, waveforms.__file__]
        return kept_path("synthetic", self._choices, code, subject)

    def _carriers(self) -> tuple[Source, ...]:
        names = self.design.carriers
        if "feet" in self.classes:
            names += ("mu_feet", "beta_feet")
        return tuple(s for s in (*RHYTHMS, *self.design.sources) if s.name in names)

    def _simulate(self, subject: int) -> Tensors:
        person = meet(self.seed, subject, variability=self.variability, contrast=self.contrast)
        tensors: Tensors = {}
        for session in range(self.n_sessions):
            rng = generator(self.seed, "synthetic", subject, "session", session)
            for name, tensor in self._record(person, session, rng).items():
                tensors[f"{session}/0/{name}"] = np.ascontiguousarray(tensor)
        return tensors

    def _record(self, person: Person, session: int, rng: np.random.Generator) -> Tensors:
        """Everything about one run that `_part` reads back."""
        sources = (*RHYTHMS, *self.design.sources)
        wearing = Fitting(person=person, session=session, ch_names=self.ch_names)
        positions, patterns = wearing.patterns(sources)
        trials = brain.schedule(
            self.design, self.classes, self.n_trials, self.duration, self.sfreq, rng
        )
        courses = self.design.play(trials, person, rng)
        activity = np.zeros((len(sources), trials.n_samples), np.float32)
        for row, source in zip(activity, sources, strict=True):
            row += courses.get(source.name, np.float32(1))
            if source.freq:
                row *= brain.oscillate(source, person, trials, rng)
        clean = patterns.astype(np.float32) @ activity
        freqs = frequencies(trials.n_samples, self.sfreq)
        spectrum = one_over_f(freqs, person.slope)
        mixing = wearing.background().astype(np.float32)
        clean += mixing @ coloured(len(mixing), trials.n_samples, spectrum, rng)
        noise = rng.standard_normal(clean.shape, np.float32)
        noise *= wearing.noise()[:, None].astype(np.float32)
        clean += noise
        clean *= wearing.gain()[:, None].astype(np.float32)
        courses = brain.artifacts(trials.n_samples, self.sfreq, person, rng)
        _, eyes_and_muscles = wearing.patterns(ARTIFACTS)
        carriers = [sources.index(source) for source in self._carriers()]
        return {
            "clean": clean,
            "artifact_patterns": (eyes_and_muscles * self.artifacts).astype(np.float32),
            "artifact_courses": np.stack([courses[source.name] for source in ARTIFACTS]),
            "onsets": trials.onsets / self.sfreq,
            "durations": trials.durations / self.sfreq,
            "labels": np.array([self.classes.index(label) for label in trials.labels]),
            "positions": positions[carriers],
            "patterns": patterns[:, carriers],
        }

    def _part(self, subject: int, tensors: Tensors, key: str) -> Truth:
        person = meet(self.seed, subject, variability=self.variability, contrast=1)
        positions, patterns = tensors[key + "positions"], tensors[key + "patterns"]
        electrodes = head.nearest(positions, self.ch_names)
        return Truth(
            ch_names=self.ch_names,
            sfreq=self.sfreq,
            clean=tensors[key + "clean"],
            artifact_patterns=tensors[key + "artifact_patterns"],
            artifact_courses=tensors[key + "artifact_courses"],
            onsets=tensors[key + "onsets"],
            durations=tensors[key + "durations"],
            labels=tuple(self.classes[i] for i in tensors[key + "labels"]),
            sources=tuple(
                SourceTruth(
                    name=source.name,
                    electrode=electrodes[i],
                    position=positions[i],
                    pattern=patterns[:, i],
                    band=brain.band_of(source, person, self.classes),
                )
                for i, source in enumerate(self._carriers())
            ),
        )


def _events(design: Paradigm, paradigm: str, classes: tuple[str, ...]) -> dict[str, int]:
    """Codes of the classes, or an error if the paradigm does not have them."""
    if paradigm == "ssvep":
        if not all(_is_frequency(label) for label in classes):
            raise ConfigError(
                f"Classes of ssvep are frequencies in Hz, such as '13'; got {', '.join(classes)}."
            )
        known = {label: i for i, label in enumerate(classes, 1)}
    else:
        known = design.events
    for label in classes:
        if label not in known:
            raise UnknownName(f"class of simulated {paradigm}", label, known)
    fixed = paradigm not in ("imagery", "ssvep")
    if len(set(classes)) != len(classes) or len(classes) < 2 or (fixed and len(classes) != 2):
        raise ConfigError(
            f"Simulated {paradigm} needs two or more different classes; got {', '.join(classes)}."
        )
    return {label: known[label] for label in classes}


def _is_frequency(label: str) -> bool:
    return label.replace(".", "", 1).isdigit() and float(label) > 0


def _check_counts(counts: dict[str, int], n_trials: int, n_classes: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ConfigError(f"{name} = {value}, but a data set needs at least one.")
    if n_trials < n_classes:
        raise ConfigError(
            f"n_trials = {n_trials} cannot show {n_classes} classes. Ask for {n_classes} or more."
        )


def _check_sizes(contrast: float, variability: float, duration: float) -> None:
    for name, value in {"contrast": contrast, "variability": variability}.items():
        if not 0 <= value <= 3:
            raise ConfigError(f"{name} = {value:g} is not in [0, 3]; 1 is ordinary.")
    if not 0.05 <= duration <= 3600:
        raise ConfigError(f"duration = {duration:g} s is not a trial; ask for 0.05 s to an hour.")


def _check_rate(sfreq: float, paradigm: str, classes: Sequence[str]) -> None:
    needed = 64.0  # holds the beta rhythm of the fastest person
    if paradigm == "ssvep":
        needed = max(needed, *(2.5 * float(label) for label in classes))
    if not sfreq >= needed:
        raise SignalError(
            f"sfreq = {sfreq:g} Hz cannot hold the rhythms of simulated {paradigm}. "
            f"Ask for {needed:g} Hz or more."
        )
