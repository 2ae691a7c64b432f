"""Simulated intracranial recordings with seizures, as a MOABB data set.

Patients are simulated, never measured: contacts on shafts (`implant`) record background, rhythms
and seizures (`ictal`) whose place and time are kept. Any score on these recordings is a simulated
score, and must be called so.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mne
import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.seeding import generator
from neurodecode.recordings import head, ictal, implant, waveforms
from neurodecode.recordings.ictal import MIMICS, Course
from neurodecode.recordings.implant import Patient, admit
from neurodecode.recordings.kept import Simulated, Tensors, kept_path
from neurodecode.recordings.waveforms import Signal

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seizure:
    """What is known of one simulated seizure.

    Attributes
    ----------
    onset, duration
        s, from the first sample of the recording.
    joins
        When each contact is recruited, (n_chans,), s from the first sample; NaN for never.
    """

    onset: float
    duration: float
    joins: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Mimic:
    """A stretch that looks like a seizure and is none: one of `ictal.MIMICS`, times in s."""

    kind: str
    onset: float
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IntracranialTruth:
    """What one simulated recording is made of.

    Attributes
    ----------
    patient
        Contacts, onset zone, dead and noisy contacts, and what makes this patient their own.
    sfreq
        Hz.
    signal
        The recording, (n_chans, n_samples), V.
    seizures
        In order of time.
    mimics
        In order of time.
    spike_times, spike_foci
        Of interictal spikes: s, and an index into ``patient.foci``, (n_spikes,) each.
    """

    patient: Patient
    sfreq: float
    signal: Signal
    seizures: tuple[Seizure, ...]
    mimics: tuple[Mimic, ...]
    spike_times: Array
    spike_foci: NDArray[np.int64]

    @property
    def ch_names(self) -> tuple[str, ...]:
        """As in the recording."""
        return self.patient.ch_names

    @property
    def zone(self) -> tuple[str, ...]:
        """Contacts where every seizure begins."""
        return tuple(self.ch_names[i] for i in self.patient.zone)

    def raw(self) -> Any:
        """The recording, a new MNE Raw with positions and annotated seizures."""
        info = mne.create_info(list(self.ch_names), self.sfreq, "seeg", verbose="error")
        info["description"] = "simulated by neurodecode"
        for channel, place in zip(info["chs"], self.patient.positions, strict=True):
            channel["loc"][:3] = place  # head coordinates
        raw = mne.io.RawArray(self.signal.astype(np.float64), info, verbose="error")
        onsets, durations = [s.onset for s in self.seizures], [s.duration for s in self.seizures]
        raw.set_annotations(mne.Annotations(onsets, durations, ["seizure"] * len(onsets)))
        return raw


class SyntheticIEEG(Simulated[IntracranialTruth]):
    """Simulated recordings from inside the head, continuous, with seizures.

    Patients have different numbers of contacts in different places. Only seizures are annotated;
    everything else is background, and holds interictal spikes, sleep rhythms, rhythmic bursts,
    chewing, movement and bad contacts. A subject is the same whatever other subjects are asked
    for, as long as the other options are.

    Parameters
    ----------
    n_subjects, n_sessions
        Patients, and recordings of each. A session is one run.
    duration
        Of a recording, s.
    n_chans
        Fewest and most contacts; drawn log-uniformly for each patient.
    sfreq
        Sampling rate, Hz.
    seizures
        Fewest and most seizures of a recording, 15 to 60 s each; as many as there is room for, a
        minute apart.
    contrast
        Factor on what seizures change; at 0 the annotations mean nothing, 1 is ordinary.
    seed
        Another seed is another set of patients.
    cache
        Whether what was simulated is kept on disk, under the folder named by NEURODECODE_CACHE or
        the user's cache folder. A folder that cannot be written is not an error.

    Raises
    ------
    ConfigError
        For a choice that cannot be simulated.
    SignalError
        For a sampling rate too low for the onsets of seizures.
    """

    def __init__(
        self,
        *,
        n_subjects: int = 8,
        n_sessions: int = 2,
        duration: float = 360.0,
        n_chans: tuple[int, int] = (16, 128),
        sfreq: float = 128.0,
        seizures: tuple[int, int] = (1, 3),
        contrast: float = 1.0,
        seed: int = 0,
        cache: bool = True,
    ) -> None:
        self.duration, self.sfreq = float(duration), float(sfreq)
        self.n_chans = (int(n_chans[0]), int(n_chans[1]))
        self.seizures = (int(seizures[0]), int(seizures[1]))
        self.contrast, self.seed, self.cache = float(contrast), int(seed), cache
        _check({"n_subjects": n_subjects, "n_sessions": n_sessions}, self)
        choices = [n_sessions, self.duration, self.n_chans, self.sfreq, self.seizures]
        self._choices = json.dumps([*choices, self.contrast, self.seed])
        super().__init__(
            subjects=list(range(1, n_subjects + 1)),
            sessions_per_subject=n_sessions,
            events={"background": 1, "seizure": 2},
            code=f"SyntheticIEEG-{hashlib.sha256(self._choices.encode()).hexdigest()[:8]}",
            interval=[0, 15],
            paradigm="rstate",
        )

    def _path(self, subject: int) -> Path:
        code = [__file__, ictal.__file__, implant.__file__, head.__file__, waveforms.__file__]
        return kept_path("synthetic_ieeg", self._choices, code, subject)

    def _simulate(self, subject: int) -> Tensors:
        patient = self._admit(subject)
        return {
            f"{session}/0/{name}": np.ascontiguousarray(tensor)
            for session in range(self.n_sessions)
            for name, tensor in self._record(patient, session).items()
        }

    def _part(self, subject: int, tensors: Tensors, key: str) -> IntracranialTruth:
        return _truth(self._admit(subject), self.sfreq, tensors, key)

    def _admit(self, subject: int) -> Patient:
        return admit(self.seed, subject, n_chans=self.n_chans)

    def _record(self, patient: Patient, session: int) -> Tensors:
        """Everything about one recording that `_part` reads back."""
        rng = generator(self.seed, "intracranial", patient.subject, "session", session)
        course = ictal.plan(self.duration, self.sfreq, self.seizures, rng)
        x = ictal.resting(patient, course, rng)
        times, foci = ictal.add_spikes(x, patient, course, rng)
        joins = np.zeros((len(course.onsets), len(x)))
        for i, (onset, duration) in enumerate(zip(course.onsets, course.durations, strict=True)):
            joins[i] = ictal.recruitment(patient, onset, duration, rng)
            ictal.add_seizure(x, patient, course, onset, duration, joins[i], self.contrast, rng)
        ictal.add_mimics(x, patient, course, rng)
        ictal.add_electrodes(x, patient, course, rng)
        return {"signal": x, "joins": joins, "times": times, "foci": foci, **_times(course)}


def _times(course: Course) -> Tensors:
    return {
        "onsets": course.onsets,
        "durations": course.durations,
        "mimic_onsets": course.mimic_onsets,
        "mimic_durations": course.mimic_durations,
        "mimic_kinds": course.mimic_kinds,
    }


def _truth(patient: Patient, sfreq: float, tensors: Tensors, key: str) -> IntracranialTruth:
    part = {name.removeprefix(key): t for name, t in tensors.items() if name.startswith(key)}
    mimics = zip(part["mimic_kinds"], part["mimic_onsets"], part["mimic_durations"], strict=True)
    events = zip(part["onsets"], part["durations"], part["joins"], strict=True)
    return IntracranialTruth(
        patient=patient,
        sfreq=sfreq,
        signal=part["signal"],
        seizures=tuple(Seizure(onset=float(o), duration=float(d), joins=j) for o, d, j in events),
        mimics=tuple(
            Mimic(kind=MIMICS[k], onset=float(o), duration=float(d)) for k, o, d in mimics
        ),
        spike_times=part["times"],
        spike_foci=part["foci"],
    )


def _check(counts: dict[str, int], asked: SyntheticIEEG) -> None:
    """Refuse what cannot be simulated."""
    for name, value in counts.items():
        if value < 1:
            raise ConfigError(f"{name} = {value}, but a data set needs at least one.")
    if not 8 <= asked.n_chans[0] <= asked.n_chans[1] <= 512:
        raise ConfigError(
            f"n_chans = {list(asked.n_chans)} is not a range of contacts between 8 and 512. "
            f"Write the fewest and the most: [16, 128]."
        )
    if not 0 <= asked.seizures[0] <= asked.seizures[1]:
        raise ConfigError(
            f"seizures = {list(asked.seizures)} is not a range. Write the fewest and the most of "
            f"a recording: [1, 3]."
        )
    if not 120 <= asked.duration <= 7200:
        raise ConfigError(
            f"duration = {asked.duration:g} s is not a recording with room for a seizure that "
            f"fits in memory; ask for 120 s to two hours."
        )
    if not 0 <= asked.contrast <= 3:
        raise ConfigError(f"contrast = {asked.contrast:g} is not in [0, 3]; 1 is ordinary.")
    if not asked.sfreq >= 100:
        raise SignalError(
            f"sfreq = {asked.sfreq:g} Hz cannot hold the fast activity at the onset of simulated "
            f"seizures. Ask for 100 Hz or more."
        )
