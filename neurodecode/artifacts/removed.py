"""What a cleaner took out of a recording, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mne.io import BaseRaw
from scipy.signal import welch

from neurodecode.artifacts.recording import Array

BANDS = {
    "delta": (0.5, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 80.0),
}
"""Bands, Hz, ``[low, high)``; gamma ends at half the sampling rate where that is lower."""
LOWEST = 0.5
"""Below it nothing is cleaned, and drift would drown the rest, Hz."""
SEGMENT = 4.0
"""Of the spectra, s."""
CHANGED = 1.0
"""Root mean square over channels beyond which a sample counts as changed, uV."""

TINY = 1e-30
"""Power of a channel that holds nothing in a band, so that its share is 0 and not undefined."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Removed:
    """Spectra before and after, and how much was removed when.

    Attributes
    ----------
    ch_names
        Channels that were cleaned.
    sfreq
        Sampling rate, Hz.
    freqs
        Frequencies of the spectra, (n_freqs,), Hz.
    before, after, removed
        Power spectra, (n_chans, n_freqs), uV^2/Hz; removed is that of before - after.
    course
        Root mean square of what was removed over the channels, (n_times,), uV.
    """

    ch_names: tuple[str, ...]
    sfreq: float
    freqs: Array
    before: Array
    after: Array
    removed: Array
    course: Array

    def bands(self) -> dict[str, tuple[float, float]]:
        """Those of `BANDS` that the sampling rate holds, Hz."""
        nyquist = self.sfreq / 2
        return {k: (low, min(high, nyquist)) for k, (low, high) in BANDS.items() if low < nyquist}

    def shares(self, band: tuple[float, float] | None = None) -> Array:
        """Power removed / power before of each channel, (n_chans,); by default of all above 0.5 Hz.

        More than 1 where a cleaner put in more than was there.
        """
        return self._power(self.removed, band) / np.maximum(self._power(self.before, band), TINY)

    def share(self, band: tuple[float, float] | None = None) -> float:
        """Power removed / power before, both summed over channels."""
        whole = max(float(self._power(self.before, band).sum()), TINY)
        return float(self._power(self.removed, band).sum()) / whole

    def change(self, band: tuple[float, float] | None = None) -> float:
        """Power after over power before, median over channels, dB."""
        ratio = self._power(self.after, band) / np.maximum(self._power(self.before, band), TINY)
        return float(10 * np.log10(np.maximum(np.median(ratio), 1e-12)))

    @property
    def share_of_time(self) -> float:
        """Part of the samples that were changed by more than `CHANGED`."""
        return float(np.mean(self.course > CHANGED))

    def most_changed(self, n: int) -> list[tuple[str, float]]:
        """Channels of which the largest share was removed, with that share."""
        shares = self.shares()
        order = np.argsort(-shares, kind="stable")[:n]
        return [(self.ch_names[i], float(shares[i])) for i in order]

    def stretches(self, n_most: int, length: float) -> tuple[list[float], float]:
        """Where most was removed, and where least: starts of stretches of `length` s, s.

        Those where most was removed do not overlap; the first is that of the most.
        """
        n = min(max(1, round(length * self.sfreq)), len(self.course))
        energy = np.concatenate([[0.0], np.cumsum(self.course**2)])
        sums = energy[n:] - energy[:-n]
        least = int(np.argmin(sums)) / self.sfreq
        starts = []
        left = sums.copy()
        for _ in range(n_most):
            start = int(np.argmax(left))
            if left[start] <= 0:
                break
            starts.append(start / self.sfreq)
            left[max(0, start - n + 1) : start + n] = 0
        return starts, least

    def _power(self, spectrum: Array, band: tuple[float, float] | None) -> Array:
        low, high = band or (LOWEST, np.inf)
        inside = (self.freqs >= low) & (self.freqs < high)
        if not inside.any():  # a recording shorter than a period of the band
            inside[int(np.argmin(np.abs(self.freqs - low)))] = True
        return np.asarray(spectrum[:, inside].sum(axis=1))


def measure(before: BaseRaw, after: BaseRaw, ch_names: Sequence[str]) -> Removed:
    """What was removed from some channels; one channel at a time is held besides the recordings."""
    sfreq = float(before.info["sfreq"])
    n = min(round(SEGMENT * sfreq), before.n_times)
    spectra: list[list[Array]] = [[], [], []]
    energy = np.zeros(before.n_times)
    freqs = np.zeros(0)
    for name in ch_names:
        x = 1e6 * before.get_data([before.ch_names.index(name)])[0]
        y = 1e6 * after.get_data([after.ch_names.index(name)])[0]
        for signal, spectrum in zip((x, y, x - y), spectra, strict=True):
            freqs, power = welch(signal, sfreq, nperseg=n, detrend="linear")
            spectrum.append(power)
        energy += (x - y) ** 2
    return Removed(
        ch_names=tuple(ch_names),
        sfreq=sfreq,
        freqs=freqs,
        before=np.array(spectra[0]),
        after=np.array(spectra[1]),
        removed=np.array(spectra[2]),
        course=np.sqrt(energy / len(ch_names)),
    )
