"""What every method is given, and what it gives back."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neurodecode.signal.bands import top_frequency

BIN = 0.125
"""Width of a bin of time, s."""
TOP = 45.0
"""Highest frequency of a map, Hz."""

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Axes:
    """What the axes of all maps of a run are.

    Attributes
    ----------
    classes, ch_names
        In the order of the maps.
    sfreq
        Hz, of the windows.
    n_times
        Samples of a window.
    tmin
        Its first sample, s from the event.
    """

    classes: tuple[str, ...]
    ch_names: tuple[str, ...]
    sfreq: float
    n_times: int
    tmin: float = 0.0

    @cached_property
    def time_edges(self) -> NDArray[np.int64]:
        """First sample of each bin of time, and the end of the last, (n_bins + 1,)."""
        n_bins = max(1, round(self.n_times / self.sfreq / BIN))
        n_bins = min(n_bins, self.n_times)
        return np.round(np.linspace(0, self.n_times, n_bins + 1)).astype(np.int64)

    @cached_property
    def times(self) -> Array:
        """Middle of each bin of time, s from the event, (n_bins,)."""
        return np.asarray(self.tmin + (self.time_edges[1:] + self.time_edges[:-1]) / 2 / self.sfreq)

    @cached_property
    def freqs(self) -> Array:
        """Middle of each bin of frequency, Hz, (n_freqs,); one Hz apart where windows allow it."""
        step = max(1.0, self.sfreq / self.n_times)
        top = min(TOP, top_frequency(self.sfreq, None) - step / 2)
        return np.arange(step, top + 1e-9, step)

    def in_time(self, x: NDArray[np.floating]) -> Array:
        """Mean of samples in each bin: (..., n_times) to (..., n_bins)."""
        sums = np.add.reduceat(np.asarray(x, dtype=np.float64), self.time_edges[:-1], axis=-1)
        return np.asarray(sums / np.diff(self.time_edges))

    def in_freq(self, x: NDArray[np.floating]) -> Array:
        """Sum over bins of a real Fourier transform: (..., n_times // 2 + 1) to (..., n_freqs)."""
        found = np.fft.rfftfreq(self.n_times, 1 / self.sfreq)
        step = self.freqs[1] - self.freqs[0] if len(self.freqs) > 1 else self.freqs[0]
        nearest = np.round(found / step).astype(int) - 1
        out = np.zeros((*x.shape[:-1], len(self.freqs)))
        for i in range(len(self.freqs)):
            out[..., i] = x[..., nearest == i].sum(axis=-1)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows of one fold as its decoder is given them: aligned and cleaned, microvolts.

    Attributes
    ----------
    x, y
        Of the test side: (n_epochs, n_chans, n_times), and classes (n_epochs,) as indices into
        ``axes.classes``.
    x_train, y_train
        Of the training side.
    axes
        Of every map.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    axes: Axes

    def by_class(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Mean over the test windows of each class: (n_epochs, ...) to (n_classes, ...).

        NaN for a class without a window.
        """
        return mean_by_class(values, self.y, len(self.axes.classes)).astype(np.float32)


def mean_by_class(values: NDArray[np.floating], y: NDArray[np.int64], n_classes: int) -> Array:
    """Mean over the windows of each class, (n_epochs, ...) to (n_classes, ...); NaN without one."""
    out = np.full((n_classes, *values.shape[1:]), np.nan)
    for c in np.unique(y):
        out[c] = values[y == c].mean(axis=0)
    return out


KINDS = {
    "chan": ("ch_names",),
    "time": ("times",),
    "freq": ("freqs",),
    "chan_time": ("ch_names", "times"),
    "chan_freq": ("ch_names", "freqs"),
    "chan_chan": ("ch_names", "ch_names"),
    "time_time": ("times", "times"),
}
"""Kinds of map, and their axes behind that of the classes.

Beside these, "patterns" is (n_patterns, n_chans): spatial patterns that belong to no class.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """What a method says of a decoder on one fold.

    Attributes
    ----------
    kinds
        Arrays by kind, see `KINDS`; float32, the first axis is that of the classes. NaN for a
        class without a window.
    unit
        Of the values, in words for an axis: "share", "logit", "dB".
    signed
        Whether the sign means something; otherwise nothing is below 0.
    facts
        Numbers that belong to the maps and fit no axis, for JSON.
    """

    kinds: dict[str, NDArray[np.float32]]
    unit: str
    signed: bool = False
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def main(self) -> NDArray[np.float32]:
        """The map that checks look at: over channels where there is one."""
        return next(self.kinds[kind] for kind in ("chan", "freq", "time") if kind in self.kinds)
