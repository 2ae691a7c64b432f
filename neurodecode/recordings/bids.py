"""A BIDS folder as a MOABB data set.

Standard: "EEG-BIDS, an extension to the brain imaging data structure for
electroencephalography", Scientific Data 2019, doi:10.1038/s41597-019-0104-8.
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import mne
import mne_bids
import numpy as np
import pandas as pd
from mne.io import BaseRaw
from moabb.datasets.base import LocalBIDSDataset

from neurodecode.core.errors import RecordingError, UnknownName
from neurodecode.recordings.events import (
    is_boundary,
    name_events,
    replace_annotations,
    without_stim,
)
from neurodecode.recordings.files import MOABB_PARADIGMS
from neurodecode.recordings.montage import add_positions, tidy_channel_names
from neurodecode.recordings.patterns import natural, order_names
from neurodecode.recordings.read import reading

logger = logging.getLogger(__name__)

# What BIDS allows for EEG and iEEG, and MNE reads.
SEARCH = {"datatypes": ["eeg", "ieeg"], "extensions": [".edf", ".bdf", ".vhdr", ".set"]}

BACKGROUND = "background"
SEIZURE_MARKERS = {"seizure": ["seizure*", "sz", "sz_*"], BACKGROUND: [BACKGROUND, "bckg"]}
"""What events of seizures are called: plainly, or as in SzCORE's BIDS (arXiv:2402.13005)."""


class BidsDataset(LocalBIDSDataset):  # type: ignore[misc]  # MOABB carries no types
    """MOABB's local BIDS data set, under session and run names that MOABB accepts.

    BIDS allows sessions called by a word, and tells recordings apart by task as well as by run;
    MOABB refuses the first, and of the second keeps the last recording only.
    """

    markers: Mapping[str, str]
    """Class for each description in the events files."""

    def _get_single_subject_data(self, subject: str) -> dict[str, dict[str, BaseRaw]]:
        """Recordings of one subject by session and run."""
        paths = self.bids_paths(subject)
        sessions = order_names([p.session or "0" for p in paths])
        data: dict[str, dict[str, BaseRaw]] = {}
        for session, key in sessions.items():
            here = [p for p in paths if (p.session or "0") == session]
            runs = [p.run or "0" for p in here]
            if len(set(runs)) < len(runs):
                runs = ["".join(filter(None, (p.task, p.acquisition, p.run))) for p in here]
            names = order_names(runs)
            data[key] = {names[run]: self._read(p) for run, p in zip(runs, here, strict=True)}
        return data

    def _read(self, path: Any) -> BaseRaw:
        with reading(Path(path.fpath), "BIDS"):
            extra = {"verbose": "WARNING"}
            raw = mne_bids.read_raw_bids(path, **extra).load_data(**extra)
        raw = add_positions(tidy_channel_names(without_stim(raw)))
        marks = _read_marks(path)
        if marks is not None and "eventType" in marks:  # a column that mne-bids passes over
            notes = mne.Annotations(marks["onset"], marks["duration"], marks["eventType"])
            raw = replace_annotations(raw, notes)
        return name_events(raw, self.markers)


def bids_dataset(
    root: str | Path,
    *,
    paradigm: str,
    events: Sequence[str] | None = None,
    interval: tuple[float, float] | None = None,
    subjects: Sequence[int | str] | None = None,
    markers: Mapping[str, Any] | None = None,
) -> BidsDataset:
    """The EEG (or iEEG) recordings of a BIDS folder.

    Parameters
    ----------
    root
        Folder that holds ``dataset_description.json``.
    paradigm
        "mi", "p300", "ssvep", "state" or "seizure".
    events
        Classes: values of ``trial_type`` in the events files (without it, of ``eventType``, as
        SzCORE has it), or those that `markers` makes of them; by default all that occur. An empty
        list takes recordings without any. "background" may be one that nothing is called, where
        windows slide.
    interval
        Start and end of the task relative to its event, seconds. By default from 0 to the shortest
        duration in the events files; for P300, where events have none, to 1 s.
    subjects
        Labels, as "01" or 1; by default all.
    markers
        For a class, what marks it in the events files, or a list of that; "*" and "?" stand for
        any text and any character. What none of them fits keeps its own name. For seizures, by
        default `SEIZURE_MARKERS`.

    Raises
    ------
    RecordingError
        If `root` is no BIDS folder, holds no EEG or no events, or not those asked for.
    """
    if paradigm not in MOABB_PARADIGMS:
        raise UnknownName("paradigm", paradigm, MOABB_PARADIGMS)
    root = Path(root)
    paths = _find_recordings(root)
    labels = sorted({p.subject for p in paths}, key=natural)
    chosen = _choose_subjects(root, labels, subjects)
    if events is None or len(events):
        lengths = _event_durations(root, [p for p in paths if p.subject in chosen])
    else:
        lengths, interval = {}, (0.0, 0.0)
    classes = _classes_of(lengths, paradigm, markers)
    durations = {
        name: min(lengths[d] for d, other in classes.items() if other == name)
        for name in classes.values()
    }
    names = sorted(durations, key=natural) if events is None else list(events)
    for name in names:
        if name not in durations and name != BACKGROUND:
            raise UnknownName(f"event of {root}", name, durations)
    dataset = BidsDataset(
        root,
        SEARCH,
        subjects=chosen,
        sessions_per_subject=min(
            len({p.session for p in paths if p.subject == subject}) for subject in chosen
        ),
        events={name: code for code, name in enumerate(names, start=1)},
        interval=list(
            interval or _interval(root, paradigm, [durations[n] for n in names if n in durations])
        ),
        paradigm=MOABB_PARADIGMS[paradigm],
        code="BidsDataset",
    )
    # MOABB wants codes that spell out the class name; this one is seen beside every score.
    dataset.code = re.sub("[^a-zA-Z0-9]+", "-", root.resolve().name).strip("-") or "bids"
    dataset.markers = {d: name for d, name in classes.items() if name in names}
    return dataset


def _classes_of(
    descriptions: Iterable[str], paradigm: str, markers: Mapping[str, Any] | None
) -> dict[str, str]:
    """The class that each kind of event marks; its own name where no pattern fits."""
    usual = SEIZURE_MARKERS if paradigm == "seizure" else {}
    classes = {description: description for description in descriptions}
    for name, patterns in (usual if markers is None else markers).items():
        words = [patterns] if isinstance(patterns, str) else patterns
        for d in classes:
            if any(fnmatchcase(d, str(word)) for word in words):
                classes[d] = name
    return classes


def _find_recordings(root: Path) -> list[Any]:
    if not root.is_dir():
        raise RecordingError(f"There is no folder {root}. Check the path after 'bids:'.")
    if not (root / "dataset_description.json").exists():
        raise RecordingError(
            f"{root} is not a BIDS folder: it has no dataset_description.json. Name the top folder "
            f"of the data set, or describe other layouts in a card."
        )
    with reading(root, "BIDS"):
        paths: list[Any] = mne_bids.find_matching_paths(root, **SEARCH)
    if not paths:
        raise RecordingError(
            f"{root} holds no EEG recording (sub-*/eeg/*_eeg.edf and the like). Fetch the "
            f"recordings, or check that this is an EEG data set."
        )
    return paths


def _choose_subjects(
    root: Path, labels: Sequence[str], subjects: Sequence[int | str] | None
) -> list[str]:
    """BIDS labels of the subjects asked for; 1 finds "01"."""
    if subjects is None:
        return list(labels)
    numbers = {int(label): label for label in labels if label.isdigit()}
    chosen = [
        str(s) if str(s) in labels else numbers.get(int(s) if str(s).isdigit() else -1)
        for s in subjects
    ]
    for subject, label in zip(subjects, chosen, strict=True):
        if label is None:
            raise RecordingError(
                f"{root} has no subject {subject}. It has {', '.join(labels)}: choose among them."
            )
    return [str(label) for label in chosen]


def _event_durations(root: Path, paths: Sequence[Any]) -> dict[str, float]:
    """Shortest duration of each kind of event in the events files, seconds."""
    durations: dict[str, float] = {}
    for path in paths:
        marks = _read_marks(path)
        if marks is None:
            continue
        names = marks["eventType"] if "eventType" in marks else marks["description"]
        for name, duration in zip(names, marks["duration"], strict=True):
            if not is_boundary(name):
                before = durations.get(str(name), np.inf)
                durations[str(name)] = float(min(before, duration))
    if not durations:
        raise RecordingError(
            f"{root} has no events: no *_events.tsv beside its recordings names a trial_type. Add "
            f"them, or cut the recordings by another card."
        )
    return durations


def _read_marks(path: Any) -> Mapping[str, Any] | None:
    """Onset, duration (s) and description of the events beside a recording, if it has a file.

    Where the file has no ``trial_type`` but an ``eventType``, that is there too.
    """
    sidecar = path.find_matching_sidecar(suffix="events", extension=".tsv", on_error="ignore")
    if sidecar is None:
        return None
    with reading(Path(sidecar), "a BIDS events file"):
        table = pd.read_csv(sidecar, sep="\t", dtype=str, keep_default_na=False)
        if "eventType" in table and "trial_type" not in table:
            times = {n: pd.to_numeric(table[n]).to_numpy(float) for n in ("onset", "duration")}
            return {**times, "eventType": table["eventType"].to_numpy(str)}
        marks: Mapping[str, Any] = mne_bids.events_file_to_annotation_kwargs(
            sidecar, verbose="WARNING"
        )
        return marks


def _interval(root: Path, paradigm: str, durations: Sequence[float]) -> tuple[float, float]:
    shortest = min(durations, default=0.0)
    if shortest > 0:
        return 0.0, shortest
    if paradigm == "p300":
        return 0.0, 1.0
    raise RecordingError(
        f"The events of {root} have no duration, so nothing says how long a trial is. Give "
        f"interval, in seconds from the event."
    )
