"""A recording from a bare array, for formats that MNE does not read."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import mne
import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.core.errors import RecordingError, UnknownName

logger = logging.getLogger(__name__)

VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "nV": 1e-9}
WORDS = {"volt": "V", "millivolt": "mV", "microvolt": "uV", "nanovolt": "nV"}


def volts_in(unit: str) -> float:
    """Volts in one `unit`; "uV", "µV" and "microvolts" are alike.

    Raises
    ------
    UnknownName
        If it is not a unit of voltage.
    """
    text = unit.strip().lower().replace("µ", "u").replace("μ", "u")  # micro sign and Greek letter
    text = WORDS.get(text.removesuffix("s"), text).lower()
    scale = {name.lower(): volts for name, volts in VOLTS.items()}
    if text not in scale:
        raise UnknownName("unit of voltage", unit, VOLTS)
    return scale[text]


def raw_from_array(
    x: NDArray[np.float64],
    *,
    sfreq: float,
    ch_names: Sequence[str],
    path: Path,
    ch_types: Sequence[str] | str = "eeg",
) -> BaseRaw:
    """MNE Raw of (n_chans, n_samples) volts.

    Raises
    ------
    RecordingError
        If a name stands twice, there is no sample, or one is not a number.
    """
    repeated = sorted(name for name, n in Counter(ch_names).items() if n > 1)
    if repeated:
        raise duplicate_names(path, repeated)
    if not x.size:
        raise no_samples(path)
    if not sfreq > 0:
        raise RecordingError(f"{path}: a sampling rate of {sfreq} Hz cannot be. Correct sfreq.")
    bad = ~np.isfinite(x).all(axis=1)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        sample = int(np.flatnonzero(~np.isfinite(x[first]))[0])
        raise RecordingError(
            f"{path} holds values that are not numbers (first: channel '{ch_names[first]}', sample "
            f"{sample}). Cut that part out, or leave the channel out of the file."
        )
    info = mne.create_info(list(ch_names), sfreq, ch_types, verbose="ERROR")
    return mne.io.RawArray(x, info, verbose="ERROR")


def duplicate_names(path: Path, repeated: Sequence[str]) -> RecordingError:
    """The error for channels that share a name."""
    return RecordingError(
        f"{path} has more than one channel called {', '.join(map(repr, repeated))}. Give ch_names, "
        f"one name for each channel in file order, or rename them in the file."
    )


def no_samples(path: Path) -> RecordingError:
    """The error for a file without data."""
    return RecordingError(f"{path} holds no samples. Record again, or leave the file out.")
