"""Power before the cue: what the task's own power is compared with."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurodecode.core.errors import NeurodecodeError
from neurodecode.experiment.data import Report, load_epochs
from neurodecode.explain.power import segment_power
from neurodecode.recordings.cards import find_card, local_files, open_dataset

BEFORE = (-1.5, -0.5)
"""Stretch before the event, s; the last half second may already expect it."""
ENOUGH = 0.5
"""Least share of a subject's events that have such a stretch."""


def baselines(
    choices: Mapping[str, Any], report: Report
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Mean power from 1.5 to 0.5 s before the event, by data set and subject.

    The recordings are read again, with the same channels, reference, band and rate. A stretch that
    the task before it still reaches into is left out; tasks last as long as the data set says. It
    is the event that counts, not where the windows of the run start.

    Parameters
    ----------
    choices
        Of the run, as `resolve` returns them.
    report
        Called while reading.

    Returns
    -------
    power
        By (data set, subject), (n_chans, n_freqs), uV^2/Hz, at the frequencies of
        `neurodecode.explain.power.segment_freqs`; channels as in the windows of the run. Subjects
        are missing of whom fewer than half of the events have rest before them, and everybody is
        where windows slide or the recordings cannot be cut so.
    """
    if choices["epochs"].get("slide"):
        return {}
    chosen = before_the_cue(choices)
    try:
        epochs = load_epochs(chosen, report=report)
        tasks = task_lengths(chosen)
    except NeurodecodeError:  # there is nothing before the events, as in recordings cut into tasks
        return {}
    rests = at_rest(epochs.table, tasks)
    power = {}
    for (dataset, subject), own in epochs.table.groupby(["dataset", "subject"], sort=False):
        index = own.index.to_numpy()
        resting = index[rests[index]]
        if len(resting) >= max(1, ENOUGH * len(index)):
            x = epochs.x[resting]
            n_times = _window_length(choices, epochs.sfreq)
            own_power = segment_power(x, epochs.sfreq, n_times=n_times)
            power[str(dataset), str(subject)] = np.asarray(own_power.mean(axis=0))
    return power


def before_the_cue(choices: Mapping[str, Any]) -> dict[str, Any]:
    """Choices whose windows are the stretch before each event, cleaned and aligned by nothing."""
    chosen = copy.deepcopy(dict(choices))
    chosen["epochs"] |= {
        "window": BEFORE,
        "outside": "drop",
        "stride": None,
        "endpoint": False,
        "reject": None,
        "baseline": None,
    }
    chosen["evaluation"] |= {"clean": ["none"], "protocol": "cross-subject"}
    return chosen


def task_lengths(choices: Mapping[str, Any]) -> dict[str, float]:
    """How long a task lasts in each data set, s, by the code of the data set."""
    lengths = {}
    for name in choices["data"]["dataset"]:
        card = find_card(name, paradigm=choices["paradigm"])
        with local_files(card, choices["data"]["data_dir"]):
            dataset = open_dataset(card, data_dir=choices["data"]["data_dir"])
            lengths[str(dataset.code)] = float(dataset.interval[1]) - float(dataset.interval[0])
    return lengths


def at_rest(table: pd.DataFrame, tasks: Mapping[str, float]) -> NDArray[np.bool_]:
    """Whether the task before has ended where each window begins, (n_epochs,).

    Parameters
    ----------
    table
        Of windows that are the stretch `BEFORE` each event, see `EpochSet`.
    tasks
        Length of a task by data set, s.
    """
    onset = table["onset"] - BEFORE[0]
    recordings = table[["dataset", "subject", "session", "run"]].agg("/".join, axis=1)
    last = onset.groupby(recordings, sort=False).shift()
    ended = last + table["dataset"].map(tasks)
    return np.asarray(last.isna() | (ended <= table["onset"] + 1e-6), dtype=bool)


def _window_length(choices: Mapping[str, Any], sfreq: float) -> int | None:
    """Samples of the windows of the run; None for the whole task, which lasts long enough."""
    if choices["epochs"]["window"] is None:
        return None
    start, end = choices["epochs"]["window"]
    n_times: int = round((end - start) * sfreq) + int(choices["epochs"]["endpoint"])
    return n_times
