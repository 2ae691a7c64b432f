"""What artifact subspace reconstruction learns: how large each direction of calm signal gets.

Arrays in, arrays out. The steps and their settings are those of EEGLAB's clean_rawdata (Mullen et
al., "Real-time neuroimaging and cognitive monitoring using wearable dry EEG", IEEE TBME 2015,
doi:10.1109/TBME.2015.2481482; Chang et al., IEEE TBME 2020, doi:10.1109/TBME.2019.2930186).
Differences: everything happens in the directions that the signal has, so an average reference or an
interpolated channel leaves no division by zero; nothing depends on the unit; and short signals,
of fewer than 300 windows (102 s when calm is looked for, 51 s when amplitudes are), are judged by
median and median absolute deviation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError
from neurodecode.signal.filters import filter_step
from neurodecode.signal.robust import clean_distribution, geometric_median
from neurodecode.signal.yulewalk import yulewalk_sos

Array = NDArray[np.float64]

FREQS = (0.0, 2.0, 3.0, 13.0, 16.0, 40.0, 80.0)
GAINS = (3.0, 0.75, 0.33, 0.33, 1.0, 1.0, 3.0)  # roughly the inverse of the spectrum of a brain
LOWEST_RATE = 40.0
"""Sampling rate below which the weighting has no room above 16 Hz, Hz."""
OVERLAP = 0.66  # of windows
CALM_WINDOW = 1.0  # s
CALM_LIMITS = (-3.5, 5.5)  # standard deviations of a channel's amplitude in a window
CALM_CHANNELS = 0.075  # share of channels that may lie outside them
BLOCK = 10  # samples per covariance matrix, at least
BLOCKS_MEMORY = 64 * 2**21 / 6  # bytes for these matrices; blocks grow to stay below
NO_VARIANCE = 1e-10  # of the largest: below it, a direction has no signal


@dataclass(frozen=True, slots=True)
class Calibration:
    """What calm signal looks like after `weighting`.

    Attributes
    ----------
    basis
        Directions of calm signal, orthonormal, smallest first, (n_chans, rank).
    spread
        Standard deviation along each, V, (rank,).
    means, deviations
        Of the amplitude (rms) in windows along each, V, (rank,).
    """

    basis: Array
    spread: Array
    means: Array
    deviations: Array


def weighting(sfreq: float) -> Array:
    """Filter that makes blinks and muscles stand out, (n_sections, 6).

    Raises
    ------
    SignalError
        If the sampling rate is below 40 Hz.
    """
    if sfreq < LOWEST_RATE:
        raise SignalError(
            f"ASR needs a sampling rate of {LOWEST_RATE:g} Hz or more to tell muscles from brain, "
            f"and the recording has {sfreq:g} Hz. Use another cleaner."
        )
    top = sfreq / 2 - 1
    points = [(f, g) for f, g in zip(FREQS[:-1], GAINS[:-1], strict=True) if f < top]
    muscle = GAINS[-1] if top > FREQS[-2] else GAINS[-2]
    points += [(min(FREQS[-1], top), muscle), (sfreq / 2, GAINS[-1])]
    return yulewalk_sos(8, [f for f, _ in points], [g for _, g in points], sfreq=sfreq)


def calm_samples(x: Array, sfreq: float) -> NDArray[np.bool_]:
    """Which samples (n_times,) are calm: in no window are many channels unusually loud or still.

    Parameters
    ----------
    x
        Signal (n_chans, n_times), any unit.
    sfreq
        Sampling rate, Hz.
    """
    n_window = _rounded(CALM_WINDOW * sfreq)
    starts = _starts(x.shape[1], n_window)
    amplitudes = _amplitudes(x, starts, n_window)
    fits = np.array([clean_distribution(v) for v in amplitudes])
    scores = (amplitudes - fits[:, :1]) / np.maximum(fits[:, 1:], np.finfo(float).tiny)
    n_most = _rounded(CALM_CHANNELS * len(x))
    low, high = CALM_LIMITS
    wild = ((scores > high).sum(axis=0) > n_most) | ((scores < low).sum(axis=0) > n_most)
    calm = np.ones(x.shape[1], dtype=bool)
    for start in starts[wild]:
        calm[start : start + n_window] = False
    return calm


def calibrate(x: Array, sos: Array, *, sfreq: float, window: float) -> Calibration:
    """Directions of calm signal, and their usual amplitudes.

    Parameters
    ----------
    x
        Calm signal (n_chans, n_times), V.
    sos
        From `weighting`.
    sfreq
        Sampling rate, Hz.
    window
        Length of the windows in which amplitudes are measured, s.

    Raises
    ------
    SignalError
        If all channels hold the same signal.
    """
    n_chans, n_times = x.shape
    x, _ = filter_step(x, np.zeros((len(sos), n_chans, 2)), sos)
    n_block = max(BLOCK, int(np.ceil(8 * n_chans**2 * n_times / BLOCKS_MEMORY)))
    variances, directions = np.linalg.eigh(geometric_median(_block_covariances(x, n_block)))
    there = variances > NO_VARIANCE * variances[-1]
    if there.sum() < 2:
        raise SignalError(
            f"ASR rebuilds what an artifact covers from other channels, and the {n_chans} that "
            f"were given hold a single signal. Record more channels, or use another cleaner."
        )
    basis = directions[:, there]
    # Signs of eigenvectors are arbitrary; a fixed one makes two machines store the same.
    basis = basis * np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])])
    n_window = _rounded(window * sfreq)
    amplitudes = _amplitudes(basis.T @ x, _starts(n_times, n_window), n_window)
    fits = np.array([clean_distribution(v) for v in amplitudes])
    return Calibration(
        basis=basis, spread=np.sqrt(variances[there]), means=fits[:, 0], deviations=fits[:, 1]
    )


def _rounded(x: float) -> int:
    return int(np.floor(x + 0.5))


def _starts(n_times: int, n_window: int) -> NDArray[np.int64]:
    starts = np.arange(0, max(n_times - n_window, 1), n_window * (1 - OVERLAP))
    return np.floor(starts + 0.5).astype(int)


def _amplitudes(x: Array, starts: NDArray[np.int64], n_window: int) -> Array:
    """Root mean square of windows, (n_chans, n_windows)."""
    sums = np.concatenate([np.zeros((len(x), 1)), np.cumsum(x**2, axis=1)], axis=1)
    stops = np.minimum(starts + n_window, x.shape[1])
    return np.asarray(np.sqrt(np.maximum(sums[:, stops] - sums[:, starts], 0) / (stops - starts)))


def _block_covariances(x: Array, n_block: int) -> Array:
    """Second moments of consecutive blocks, (n_blocks, n_chans, n_chans)."""
    n_blocks = max(1, x.shape[1] // n_block)
    blocks = x[:, : n_blocks * n_block].reshape(len(x), n_blocks, -1).swapaxes(0, 1)
    return np.asarray(blocks @ blocks.swapaxes(1, 2) / blocks.shape[2])
