"""Which windows to keep; repair belongs to artifacts/."""

from collections.abc import Sequence

import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError


def outside_bad_spans(raw: BaseRaw, starts: NDArray[np.integer], n_times: int) -> NDArray[np.bool_]:
    """Whether each window is clear of annotations that start with "bad" or "edge", (n_epochs,)."""
    clear = np.ones(len(starts), dtype=bool)
    sfreq = float(raw.info["sfreq"])
    for mark in raw.annotations:
        if str(mark["description"]).lower().startswith(("bad", "edge")):
            first = round((mark["onset"] - raw.first_time) * sfreq)
            last = first + round(mark["duration"] * sfreq)
            # a mark without length still spoils a window that runs across it
            clear &= (np.asarray(starts) >= last) | (np.asarray(starts) + n_times <= first)
    return clear


def finite_windows(x: NDArray[np.floating], ch_names: Sequence[str], *, where: str) -> None:
    """Refuse windows that hold a value which is not finite.

    Raises
    ------
    SignalError
        Naming the channels and the number of windows.
    """
    broken = ~np.isfinite(x).all(axis=2)
    if broken.any():
        names = [name for name, b in zip(ch_names, broken.any(axis=0), strict=True) if b]
        raise SignalError(
            f"{where}: {int(broken.any(axis=1).sum())} of {len(x)} windows hold values that are "
            f"not finite, in {', '.join(names[:8])}. Drop those channels with preprocess.drop, or "
            f"mark the span with an annotation that starts with 'BAD'."
        )


def quiet_windows(x: NDArray[np.floating], limit: float | None) -> NDArray[np.bool_]:
    """Whether the peak-to-peak amplitude stays under `limit` in every channel, (n_epochs,)."""
    if limit is None:
        return np.ones(len(x), dtype=bool)
    return np.asarray((np.ptp(x, axis=2) <= limit).all(axis=1))
