"""Recordings published as columns of text: one column a channel, with or without a header."""

import re
from collections.abc import Sequence
from pathlib import Path

import mne
import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.core.errors import RecordingError
from neurodecode.recordings.arrays import logger, no_samples, raw_from_array, volts_in

TIME = re.compile(r"^(t|times?|timestamps?|seconds|time ?[(\[]s[)\]])$", re.IGNORECASE)
MARKER = re.compile(r"^(marker|stim|sti|trigger|event)s?[ _]?\d*$", re.IGNORECASE)
COMMENTS = ("#", "%")


def read_columns(
    path: Path,
    *,
    sfreq: float | None = None,
    ch_names: Sequence[str] | None = None,
    unit: str | None = None,
) -> BaseRaw:
    """Raw of a text file with one column a channel; see `read.read_raw` for the arguments.

    A column called like a time ("timestamps") gives the sampling rate where `sfreq` does not; one
    called like a marker ("Marker0") becomes annotations, one where its value changes to a code
    other than 0; one without a name is a row number. Columns are split at commas, semicolons, tabs
    or blanks, whichever the first line has; lines that begin with # or % are comments.
    """
    if unit is None:
        raise RecordingError(
            f"{path} is text, which does not say its unit. Give unit: V, mV, uV or nV."
        )
    header, x = _load_table(path)
    names = _column_names(path, header, ch_names, n_columns=x.shape[1])
    time = [i for i, name in enumerate(names) if TIME.match(name)]
    markers = [i for i, name in enumerate(names) if MARKER.match(name)]
    signal = [i for i, name in enumerate(names) if name and i not in (*time, *markers)]
    if sfreq is None:
        if not time:
            raise RecordingError(
                f"{path} is text, which does not say its sampling rate. Give sfreq, in Hz."
            )
        sfreq = _rate(path, x[:, time[0]])
    if time:
        _look_for_gaps(path, x[:, time[0]], sfreq)
    volts = np.ascontiguousarray(x[:, signal].T) * volts_in(unit)
    raw = raw_from_array(volts, sfreq=sfreq, ch_names=[names[i] for i in signal], path=path)
    onsets, codes = [], []
    for i in markers:
        onset, code = _changes(x[:, i])
        onsets += list(onset / sfreq)
        codes += [f"{value:g}" for value in code]
    return raw.set_annotations(mne.Annotations(onsets, 0.0, codes), verbose="ERROR")


def _load_table(path: Path) -> tuple[list[str] | None, NDArray[np.float64]]:
    """Header, if there is one, and the numbers, (n_rows, n_columns)."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = [line for line in lines if line.strip() and line.lstrip()[0] not in COMMENTS]
        first = rows[0] if rows else ""
        delimiter = next((mark for mark in ",;\t" if mark in first), None)
        cells = [cell.strip().strip('"') for cell in first.split(delimiter)]
        header = None if all(map(_is_number, cells)) else cells
        numbers = rows if header is None else rows[1:]
        if not numbers:
            raise no_samples(path)
        x = np.loadtxt(numbers, delimiter=delimiter, comments=None, ndmin=2)
    except ValueError as error:  # a cell that is no number, or bytes that are no text
        reason = str(error).split("\n")[0].rstrip(".")
        raise RecordingError(
            f"{path} is not columns of numbers ({reason}). Open it in an editor: every line needs "
            f"the same number of columns, decimals with a point."
        ) from error
    return header, np.asarray(x, dtype=float)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _column_names(
    path: Path, header: list[str] | None, ch_names: Sequence[str] | None, *, n_columns: int
) -> list[str]:
    names = list(ch_names) if ch_names is not None else header
    if names is None:
        raise RecordingError(
            f"{path} is text without a header. Give ch_names, one for each of its {n_columns} "
            f"columns."
        )
    if len(names) != n_columns:
        raise RecordingError(
            f"{path} has {n_columns} columns, but {len(names)} names ({', '.join(names)}). Give "
            f"ch_names, one for each column."
        )
    return names


def _rate(path: Path, time: NDArray[np.float64]) -> float:
    """Sampling rate that time stamps tell, Hz, to a hundredth."""
    duration = float(time[-1] - time[0])
    if not duration > 0:
        raise RecordingError(f"{path}: its time stamps do not advance. Give sfreq, in Hz.")
    return round((len(time) - 1) / duration, 2)


def _look_for_gaps(path: Path, time: NDArray[np.float64], sfreq: float) -> None:
    """Say so where the time stamps jump; the samples stay as they are."""
    steps = np.diff(time)
    gaps = np.flatnonzero(steps > max(0.1, 5 / sfreq))
    if gaps.size:
        logger.warning(
            "%s: %d gaps in the time stamps, the longest %.2f s; samples are joined across them",
            path, gaps.size, steps[gaps].max(),
        )  # fmt: skip


def _changes(marker: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Samples at which a marker column takes a value other than 0, and that value."""
    before = np.concatenate([[0.0], marker[:-1]])
    onset = np.flatnonzero((marker != 0) & (marker != before) & np.isfinite(marker))
    return onset, marker[onset]
