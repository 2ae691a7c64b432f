"""Time courses on a recording's clock: smooth plateaus, bumps and coloured noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len
from scipy.signal import fftconvolve

Signal = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What happens when, and courses that follow it.

    Attributes
    ----------
    onsets, durations
        (n_events,), samples.
    labels
        What each event is, (n_events,).
    n_samples
        Length of the recording.
    sfreq
        Sampling rate, Hz.
    """

    onsets: NDArray[np.int64]
    durations: NDArray[np.int64]
    labels: NDArray[np.str_]
    n_samples: int
    sfreq: float

    def plateau(self, heights: NDArray[np.floating], *, delay: float, ramp: float) -> Signal:
        """Course (n_samples,) at ``heights[i]`` during event i and at 0 between, smooth.

        Parameters
        ----------
        heights
            (n_events,).
        delay
            From onset to half height, and from end to half height, seconds.
        ramp
            Time from 0 to full height, seconds.
        """
        steps = np.zeros(self.n_samples + 1)
        shift = round(delay * self.sfreq)
        np.add.at(steps, np.minimum(self.onsets + shift, self.n_samples), heights)
        np.add.at(steps, np.minimum(self.onsets + self.durations + shift, self.n_samples), -heights)
        window = np.hanning(max(3, round(ramp * self.sfreq) | 1))
        level = fftconvolve(np.cumsum(steps[:-1]), window / window.sum(), mode="same")
        return np.asarray(level, np.float32)

    def bumps(
        self, heights: NDArray[np.floating], delays: NDArray[np.floating], width: float
    ) -> Signal:
        """Course (n_samples,) with one Gaussian of ``heights[i]`` after each onset.

        Parameters
        ----------
        heights
            (n_events,).
        delays
            From onset to peak, (n_events,), seconds.
        width
            Standard deviation of the Gaussian, seconds.
        """
        peaks = np.zeros(self.n_samples)
        at = self.onsets + np.rint(delays * self.sfreq).astype(np.int64)
        np.add.at(peaks, np.minimum(at, self.n_samples - 1), heights)
        half = round(4 * width * self.sfreq)
        shape = np.exp(-0.5 * (np.arange(-half, half + 1) / (width * self.sfreq)) ** 2)
        return np.asarray(fftconvolve(peaks, shape, mode="same"), np.float32)


def coloured(
    n: int, n_samples: int, amplitude: NDArray[np.floating], rng: np.random.Generator
) -> Signal:
    """Gaussian noise (n, n_samples) of unit variance whose spectrum has a given shape.

    Parameters
    ----------
    n
        Independent signals.
    n_samples
        Their length.
    amplitude
        At ``rfftfreq(next_fast_len(n_samples, real=True))``; scale does not matter.
    rng
        Source of randomness.
    """
    # Only bins that matter are drawn: a rhythm fills a few per cent of the spectrum.
    bins = np.flatnonzero(amplitude > 1e-3 * amplitude.max())
    first, last = bins[0], bins[-1] + 1
    half = np.zeros((n, len(amplitude)), np.complex64)
    drawn = rng.standard_normal((n, last - first, 2), dtype=np.float32).view(np.complex64)[..., 0]
    half[:, first:last] = drawn * amplitude[first:last].astype(np.float32)
    length = next_fast_len(n_samples, real=True)
    x: Signal = irfft(half, length, axis=1, overwrite_x=True)[:, :n_samples]
    x *= np.float32(length / np.sqrt(4 * np.sum(np.square(amplitude[first:last]))))
    return x


def frequencies(n_samples: int, sfreq: float) -> NDArray[np.float64]:
    """Bins at which `coloured` wants the amplitude, Hz."""
    return np.asarray(np.fft.rfftfreq(next_fast_len(n_samples, real=True), 1 / sfreq), np.float64)


def one_over_f(freqs: NDArray[np.float64], slope: float) -> NDArray[np.float64]:
    """Amplitude spectrum of background activity, as an amplifier with a 0.5 Hz corner keeps it."""
    return np.asarray(np.maximum(freqs, 0.5) ** (-slope / 2) * np.minimum(freqs / 0.5, 1) ** 2)
