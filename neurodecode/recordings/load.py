"""Recording: a Raw and its events, whatever data set it comes from."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import mne
import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray
from requests import RequestException

from neurodecode.core.errors import NeurodecodeError, RecordingError
from neurodecode.recordings.patterns import natural

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One uninterrupted recording with the events that a decoder may be asked about.

    Attributes
    ----------
    raw
        Signal in volts.
    onset
        Start of each event's task, seconds from the first sample, (n_events,).
    duration
        How long each event's task lasts, seconds, (n_events,).
    label
        Class name of each event.
    dataset, subject, session, run
        Where it comes from, as in BIDS and MOABB.
    """

    raw: BaseRaw
    onset: NDArray[np.float64]
    duration: NDArray[np.float64]
    label: list[str] = field(default_factory=list)
    dataset: str
    subject: str
    session: str
    run: str

    @property
    def name(self) -> str:
        """Where it comes from, in words."""
        return f"{self.dataset} subject {self.subject}, session {self.session}, run {self.run}"


def load_recordings(
    dataset: Any, subject: Any, *, events: Sequence[str] | None = None
) -> Iterator[Recording]:
    """Every recording of one subject, in order of session and run.

    Parameters
    ----------
    dataset
        MOABB data set object.
    subject
        One of ``dataset.subject_list``.
    events
        Class names to keep; by default all of the data set.

    Raises
    ------
    RecordingError
        If the files cannot be had, in one line that says which and from where.
    """
    from moabb.datasets.bids_interface import StepType
    from moabb.datasets.preprocessing import FixedPipeline, FixedTransformer

    class Untouched(FixedTransformer):  # type: ignore[misc]  # MOABB carries no types
        def transform(self, raw: BaseRaw, y: None = None) -> BaseRaw:
            return raw

    wanted = {name: dataset.event_id[name] for name in (events or dataset.event_id)}
    pipeline = FixedPipeline([(StepType.RAW, Untouched())])
    try:
        sessions = dataset.get_data([subject], process_pipeline=pipeline)[subject]
    except NeurodecodeError:
        raise
    except Exception as error:  # MOABB's loaders raise whatever their file formats raise
        logger.debug("loading failed", exc_info=True)
        reason = _reason(error)
        raise RecordingError(
            f"Subject {subject} of {dataset.code} cannot be loaded ({reason}). Put the files where "
            f"MNE_DATA or --data-dir points, leave the subject out with --subjects, or connect to "
            f"the network to download them."
        ) from error
    for session, runs in sorted(sessions.items(), key=_natural):
        for run, raw in sorted(runs.items(), key=_natural):
            onset, duration, label = find_events(raw, wanted, interval=dataset.interval)
            yield Recording(
                raw=raw,
                onset=onset,
                duration=duration,
                label=label,
                dataset=dataset.code,
                subject=str(subject),
                session=str(session),
                run=str(run),
            )


def _natural(item: tuple[str, Any]) -> Any:
    """Key that puts run "2" before run "10": causal alignment relies on the order of time."""
    return natural(str(item[0]))


def _reason(error: Exception) -> str:
    """Why a data set could not be loaded, in a few words."""
    if isinstance(error, RequestException):
        host = urlsplit(getattr(error.request, "url", None) or "").hostname
        return f"its files are not here, and {host or 'where they come from'} does not answer"
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__


def find_events(
    raw: BaseRaw, event_id: dict[str, Any], *, interval: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Onsets, durations (both seconds, (n_events,)) and class names of the events in `event_id`.

    A stimulus channel is read where there is one, annotations otherwise, as MOABB does. The onset
    is that of the task: the marker plus ``interval[0]``. An annotation longer than nothing keeps
    its own duration; a marker gets that of `interval`.
    """
    sfreq = float(raw.info["sfreq"])
    length = float(interval[1]) - float(interval[0])
    names = {int(code): name for name, value in event_id.items() for code in np.atleast_1d(value)}
    if "stim" in raw.get_channel_types():
        events = mne.find_events(raw, shortest_event=0, verbose="ERROR")
        kept = [event for event in events if int(event[2]) in names]
        onset = np.array([(event[0] - raw.first_samp) / sfreq for event in kept])
        duration = np.full(len(kept), length)
        label = [names[int(event[2])] for event in kept]
    else:
        marks = [a for a in raw.annotations if a["description"] in event_id]
        onset = np.array([a["onset"] - raw.first_time for a in marks], dtype=float)
        duration = np.array([a["duration"] or length for a in marks], dtype=float)
        label = [str(a["description"]) for a in marks]
    order = np.argsort(onset, kind="stable")
    return onset[order] + float(interval[0]), duration[order], [label[i] for i in order]
