"""A folder of recordings as a MOABB data set, described by a card."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mne
from mne.io import BaseRaw
from moabb.datasets.base import BaseDataset

from neurodecode.core.errors import ConfigError, RecordingError, UnknownName
from neurodecode.recordings.events import (
    name_events,
    replace_annotations,
    stim_to_annotations,
    without_stim,
)
from neurodecode.recordings.patterns import FIELD, Found, find_files, natural, order_names
from neurodecode.recordings.read import read_raw

logger = logging.getLogger(__name__)

# MOABB's word for each kind of task; it knows none for states that last.
MOABB_PARADIGMS = {
    "mi": "imagery", "p300": "p300", "ssvep": "ssvep", "state": "rstate", "seizure": "rstate",
}  # fmt: skip


class FilesDataset(BaseDataset):  # type: ignore[misc]  # MOABB carries no types
    """Recordings of any format under one folder; the names of the files say whose they are.

    The keyword arguments from `pattern` on are the ``[source]`` table of a card. Subjects are those
    that the folder holds, numbers where all their names are. A session or run called by a number
    keeps it ("1"); others are numbered in order, their letters behind the number ("0baseline"),
    which is how MOABB wants them. Files of one subject and session that no ``{run}`` tells apart
    are its runs "0", "1", ... in order of their names.

    Parameters
    ----------
    root
        Folder of the recordings.
    name
        Name of the card; becomes MOABB's code.
    paradigm
        "mi", "p300", "ssvep", "state" or "seizure".
    classes
        Class names of the card. Needed only where neither `label` nor `events` names any.
    pattern
        Path of a recording below `root`, with a name in braces for each part that varies:
        ``"s{subject}/{session}_{run}.edf"``. ``{subject}`` is needed, ``{session}`` and ``{run}``
        mean what they say, ``{_}`` is anything, and other names are for `label`. What stands for
        a name never contains a slash. Upper and lower case are alike.
    interval
        Start and end of the task relative to its marker, seconds.
    label
        For recordings of one class each: ``field``, a name in the pattern, and ``values``, the
        class that each of its values means. Files with another value are left out. The class is
        an annotation over the whole recording.
    events
        For recordings with markers: for each class, the description (or list of them) that marks
        it; by default the class names themselves. Codes of a stimulus channel count as
        descriptions where no annotation fits.
    subjects
        Subjects to use, as the file names spell them or as numbers; by default all.
    drop
        Channels to leave out, as `read_raw` spells them ("Cz", "T7"). One that a file lacks is
        no mistake.
    ch_types
        MNE's type for channels whose names do not tell it, spelled likewise.
    sfreq, ch_names, unit, stream
        See `read_raw`.
    doi
        Of the recordings.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        name: str,
        paradigm: str,
        classes: Sequence[str] = (),
        pattern: str = "",
        interval: tuple[float, float] | None = None,
        label: Mapping[str, Any] | None = None,
        events: Mapping[str, Any] | None = None,
        subjects: Sequence[int | str] | None = None,
        drop: Sequence[str] = (),
        ch_types: Mapping[str, str] | None = None,
        sfreq: float | None = None,
        ch_names: Sequence[str] | None = None,
        unit: str | None = None,
        stream: str | None = None,
        doi: str | None = None,
    ) -> None:
        if paradigm not in MOABB_PARADIGMS:
            raise UnknownName("paradigm", paradigm, MOABB_PARADIGMS)
        if not pattern or interval is None:
            raise ConfigError(
                f"[source] of '{name}' has no {'interval' if pattern else 'pattern'}. Add it to "
                f"the card; datasets/eegmat.toml is an example."
            )
        self.label = _label(label, pattern)
        self.markers = _markers(events, label, classes)
        self.drop = tuple(drop)
        self.ch_types = dict(ch_types or {})
        self.reader: dict[str, Any] = {
            "sfreq": sfreq, "ch_names": ch_names, "unit": unit, "stream": stream,
        }  # fmt: skip
        known = list(dict.fromkeys([*self.label[1].values(), *self.markers.values()]))
        for word in classes:
            if word not in known:
                raise UnknownName(f"class in [source] of '{name}'", word, known)
        found = find_files(Path(root), pattern)
        labelled = [file for file in found if self._is_labelled(file)]
        if not labelled:
            raise RecordingError(
                f"No file under {root} that matches '{pattern}' has a {self.label[0]} of "
                f"{', '.join(self.label[1])}. Correct [source.label] in the card."
            )
        self.files = _restrict(_by_subject(labelled), subjects, Path(root))
        super().__init__(
            subjects=list(self.files),
            sessions_per_subject=min(
                len(set(map(_session, files))) for files in self.files.values()
            ),
            events={word: code for code, word in enumerate(known, start=1)},
            code="FilesDataset",
            interval=list(interval),
            paradigm=MOABB_PARADIGMS[paradigm],
            doi=doi,
        )
        # MOABB wants codes that spell out the class name; this one is seen beside every score.
        self.code = re.sub("[^a-zA-Z0-9]+", "-", name)

    def _is_labelled(self, file: Found) -> bool:
        key, values = self.label
        return not key or file.fields[key] in values

    def _get_single_subject_data(self, subject: int | str) -> dict[str, dict[str, BaseRaw]]:
        """Recordings of one subject by session and run, annotated with class names."""
        files = self.files[subject]
        seen: set[str] = set()
        data = {
            key: {
                run: self._read(file, seen)
                for run, file in _runs([f for f in files if _session(f) == session]).items()
            }
            for session, key in order_names([_session(f) for f in files]).items()
        }
        raws = [raw for runs in data.values() for raw in runs.values()]
        if not any(d in self.event_id for raw in raws for d in raw.annotations.description):
            raise RecordingError(
                f"Subject {subject} of {self.code} has no event of {', '.join(self.event_id)}; its "
                f"files hold {', '.join(sorted(seen)) or 'no event at all'}. Correct "
                f"[source.events] in the card."
            )
        return data

    def _read(self, file: Found, seen: set[str]) -> BaseRaw:
        """One file, annotated with class names; `seen` gathers what its markers were called."""
        raw = read_raw(file.path, **self.reader)
        types = {name: kind for name, kind in self.ch_types.items() if name in raw.ch_names}
        raw.set_channel_types(types, on_unit_change="ignore", verbose="ERROR")
        raw.drop_channels(self.drop, on_missing="ignore")
        key, values = self.label
        if key:
            length = raw.n_times / raw.info["sfreq"]
            whole = mne.Annotations(0.0, length, values[file.fields[key]])
            return without_stim(replace_annotations(raw, whole))
        if not any(d in self.markers for d in raw.annotations.description):
            raw = stim_to_annotations(raw)
        seen |= set(map(str, raw.annotations.description))
        return without_stim(name_events(raw, self.markers))

    def data_path(
        self,
        subject: int | str,
        path: str | None = None,
        force_update: bool = False,
        update_path: bool | None = None,
        verbose: bool | str | None = None,
    ) -> list[str | Path]:
        """Files of one subject."""
        return [file.path for file in self.files[subject]]


def _session(file: Found) -> str:
    return file.fields.get("session", "0")


def _by_subject(found: Sequence[Found]) -> dict[int | str, list[Found]]:
    """Files of each subject; subjects are numbers where all their names are."""
    names = sorted({f.fields["subject"] for f in found}, key=natural)
    numbers = {int(name) for name in names if name.isascii() and name.isdigit()}
    files: dict[int | str, list[Found]] = {}
    for name in names:
        key = int(name) if len(numbers) == len(names) else name
        files[key] = [f for f in found if f.fields["subject"] == name]
    return files


def _restrict(
    files: Mapping[int | str, list[Found]], subjects: Sequence[int | str] | None, root: Path
) -> dict[int | str, list[Found]]:
    """Files of the subjects that a card names; of all, where it names none."""
    if subjects is None:
        return dict(files)
    numeric = all(isinstance(subject, int) for subject in files)
    wanted = {int(s) if numeric and str(s).isdigit() else str(s) for s in subjects}
    kept = {subject: files[subject] for subject in files if subject in wanted}
    if not kept:
        raise RecordingError(
            f"None of the subjects {', '.join(map(str, subjects))} is under {root}; it holds "
            f"{', '.join(map(str, files))}. Correct subjects in the card."
        )
    return kept


def _runs(files: Sequence[Found]) -> dict[str, Found]:
    """MOABB's run name for each file of one session."""
    values = [f.fields.get("run", "") for f in files]
    if len(set(values)) == len(values) and all(values):
        names = order_names(values)
        return {names[value]: file for value, file in zip(values, files, strict=True)}
    return {str(i): file for i, file in enumerate(files)}


def _label(label: Mapping[str, Any] | None, pattern: str) -> tuple[str, dict[str, str]]:
    """Field and class of each of its values; an empty field where files have no label."""
    if label is None:
        return "", {}
    key, values = str(label.get("field", "")), label.get("values")
    fields = [name for name in FIELD.findall(pattern) if name != "_"]
    if key not in fields:
        raise UnknownName("field of the pattern", key, fields)
    if not isinstance(values, Mapping) or not values:
        raise ConfigError(
            f"[source.label] lacks values, the class that each value of '{key}' means. Add them: "
            f"values = {{ 1 = 'rest', 2 = 'task' }}."
        )
    return key, {str(value): str(name) for value, name in values.items()}


def _markers(
    events: Mapping[str, Any] | None, label: Mapping[str, Any] | None, classes: Sequence[str]
) -> dict[str, str]:
    """Class of each description; none where files have a label."""
    if label is not None:
        if events is not None:
            raise ConfigError(
                "[source.label] says that a recording has one class, [source.events] that it has "
                "markers. Keep one of the two."
            )
        return {}
    if events is None:
        if not classes:
            raise ConfigError(
                "The card names no class: neither events nor [source.events] nor [source.label]. "
                "Add one of them."
            )
        return {name: name for name in classes}
    return {
        str(description): name
        for name, marks in events.items()
        for description in (marks if isinstance(marks, list | tuple) else [marks])
    }
