"""What a window's rhythms are like, in some twenty numbers: targets of a pretraining.

Reference: DeeperBrain, arXiv 2601.06134: relative power of five bands, phase locking in each, three
couplings of phase and amplitude, and complexity. What its summaries over channels are is not
published; here they are the mean over channels, and over pairs the mean and the standard
deviation.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.signal.bands import BANDS, band_fits, baseband, relative_power, top_frequency
from neurodecode.signal.connectivity import MEASURES, Connectivity
from neurodecode.signal.coupling import PAIRS, Coupling, phase_amplitude_coupling
from neurodecode.signal.entropy import sample_entropy

Array = NDArray[Any]

PIECE = 2.0
"""Sample entropy is that of pieces of this length, s: its time grows with their square."""


def statistic_names(
    *,
    connectivity: Connectivity | None = "plv",
    coupling: Coupling | None = None,
    entropy: bool = True,
) -> tuple[str, ...]:
    """What `statistics` gives, in order; the word before the first point names the group."""
    names = [f"power.{band}" for band in BANDS]
    if connectivity:
        names += [f"{connectivity}.{band}.{part}" for band in BANDS for part in ("mean", "sd")]
    if coupling:
        names += [f"coupling.{pair}" for pair in PAIRS]
    return (*names, "entropy") if entropy else tuple(names)


def statistics(
    x: Array,
    sfreq: float,
    *,
    highest: float | None = None,
    connectivity: Connectivity | None = "plv",
    coupling: Coupling | None = None,
    entropy: bool = True,
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Statistics of windows, and their names.

    Parameters
    ----------
    x
        Windows (n_windows, n_chans, n_times), any unit. Channels that are NaN throughout a window,
        or flat, are left out of it.
    sfreq
        Sampling rate, Hz.
    highest
        Low-pass of the recordings, Hz. Statistics of bands that reach past it, or past half the
        sampling rate, are NaN: gamma, unless `highest` is at least 80 Hz.
    connectivity
        Measure of pairs of channels: "plv"; "wpli" or "imaginary_coherence", which do not count
        one source seen by two electrodes; None for none.
    coupling
        Measure of coupling; None, the default, for none. A net that sees half of the patches
        hardly predicts it (0.01, against 0.8 of alpha power).
    entropy
        Sample entropy of pieces of `PIECE` s, mean over pieces and channels. Rhythms slower than
        a piece are no regularity to it.

    Returns
    -------
    values
        (n_windows, n_statistics), without unit, entropy in nats. NaN where there is nothing to
        measure: a band that is not there, pairs of one channel, the deviation of a single pair, a
        window without channels.
    names
        As `statistic_names`.

    Notes
    -----
    8 windows of 64 channels x 8 s at 128 Hz take 0.11 s on one core, four fifths of it entropy;
    0.17 s with "wpli", 0.13 s with coupling.
    """
    x = np.asarray(x, dtype=np.float32)
    there: Array = np.asarray(np.isfinite(x).all(axis=2))
    x = np.where(there[:, :, None], x, np.float32(0))
    there &= np.ptp(x, axis=2) > 0
    fits = {
        name: band_fits(band, n_times=x.shape[2], sfreq=sfreq, highest=highest)
        for name, band in BANDS.items()
    }
    columns = list(_mean_there(relative_power(x, sfreq, highest=highest), there).T)
    if connectivity:
        held = [band for name, band in BANDS.items() if fits[name]]
        signals = iter(baseband(x, held, sfreq=sfreq))
        for name in BANDS:
            pair = np.full((2, len(x)), np.nan)
            if fits[name]:
                pair = _mean_and_sd_of_pairs(MEASURES[connectivity](next(signals)), there)
            columns += list(pair)
    if coupling:
        top = top_frequency(sfreq, highest)
        for phase, amplitude in PAIRS.values():
            value = np.full(x.shape[:2], np.nan)
            if amplitude[1] <= top and (x.shape[2] / sfreq) * (phase[1] - phase[0]) >= 2:
                value = phase_amplitude_coupling(x, phase, amplitude, sfreq=sfreq, measure=coupling)
            columns.append(_mean_there(value[..., None], there)[:, 0])
    if entropy:
        columns.append(_mean_entropy(x, there, sfreq))
    names = statistic_names(connectivity=connectivity, coupling=coupling, entropy=entropy)
    return np.stack(columns, axis=1).astype(np.float64), names


def _mean_there(values: Array, there: Array) -> Array:
    """Mean over the channels that are there: (n_windows, n_chans, n) to (n_windows, n)."""
    n_there = there.sum(axis=1)[:, None]
    total = np.where(there[..., None], values, 0).sum(axis=1)
    return np.asarray(np.where(n_there > 0, total / np.maximum(n_there, 1), np.nan))


def _mean_and_sd_of_pairs(values: Array, there: Array) -> Array:
    """Mean and standard deviation over pairs of channels, (2, n_windows)."""
    pairs = there[:, :, None] & there[:, None, :]
    pairs &= ~np.eye(there.shape[1], dtype=bool)
    n_pairs = pairs.sum(axis=(1, 2))  # each of them twice
    n = np.maximum(n_pairs, 1)
    mean = np.where(pairs, values, 0).sum(axis=(1, 2)) / n
    away = np.where(pairs, values - mean[:, None, None], 0)
    both = np.stack([mean, np.sqrt((away**2).sum(axis=(1, 2)) / n)])
    return np.asarray(np.where(n_pairs > [[0], [2]], both, np.nan))


def _mean_entropy(x: Array, there: Array, sfreq: float) -> Array:
    """Mean sample entropy of pieces of the channels that are there, (n_windows,)."""
    n_times = x.shape[2]
    n_pieces = max(1, math.floor(n_times / (PIECE * sfreq)))
    length = n_times // n_pieces
    pieces = x[there][:, : n_pieces * length].reshape(-1, n_pieces, length)
    values = np.zeros(there.shape)
    values[there] = sample_entropy(pieces).mean(axis=1)
    return _mean_there(values[..., None], there)[:, 0]
