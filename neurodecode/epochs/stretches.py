"""Stretches: pieces of a recording from which a window may be taken anywhere."""

from dataclasses import dataclass

import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError
from neurodecode.recordings.montage import channel_positions


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A piece of a recording without a break or a bad span.

    Attributes
    ----------
    x
        (n_chans, n_samples), microvolts.
    positions
        Of the channels, (n_chans, 3), m, head coordinates; NaN where unknown.
    dataset, subject
        Whose it is, as in the table of an `EpochSet`.
    """

    x: NDArray[np.float32]
    positions: NDArray[np.float32]
    dataset: str
    subject: str


def cut_stretches(raw: BaseRaw, *, n_times: int, dataset: str, subject: str) -> list[Stretch]:
    """The stretches of a preprocessed recording that hold a window.

    What an annotation that starts with "bad" or "edge" covers is left out, and no stretch runs
    across one without length. The others are left out because they are too short.

    Parameters
    ----------
    raw
        In volts.
    n_times
        Samples of a window.
    dataset, subject
        Whose recording it is.

    Raises
    ------
    SignalError
        If a value is not finite.
    """
    x = (raw.get_data() * 1e6).astype(np.float32)
    if not np.isfinite(x.sum(axis=1)).all():
        broken = np.flatnonzero(~np.isfinite(x).all(axis=1))
        names = ", ".join(raw.ch_names[i] for i in broken[:8])
        raise SignalError(
            f"Subject {subject} of {dataset} has values that are not finite, in {names}. Leave "
            f"those channels out with preprocess.drop, or the subject with --subjects."
        )
    positions = channel_positions(raw).astype(np.float32)
    return [
        Stretch(x=x[:, start:stop], positions=positions, dataset=dataset, subject=subject)
        for start, stop in good_spans(raw)
        if stop - start >= n_times
    ]


def good_spans(raw: BaseRaw) -> list[tuple[int, int]]:
    """Sample ranges ``[start, stop)`` between annotations that start with "bad" or "edge"."""
    sfreq, n_samples = float(raw.info["sfreq"]), int(raw.n_times)
    bad = []
    for mark in raw.annotations:
        if str(mark["description"]).lower().startswith(("bad", "edge")):
            first = (mark["onset"] - raw.first_time) * sfreq
            ends = np.floor(first), np.ceil(first + mark["duration"] * sfreq)
            bad.append(tuple(int(end) for end in np.clip(ends, 0, n_samples)))
    spans, start = [], 0
    for begin, end in sorted(bad):
        if begin > start:
            spans.append((start, begin))
        start = max(start, end)
    return [*spans, (start, n_samples)] if start < n_samples else spans
