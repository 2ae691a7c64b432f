"""How close a cleaned signal is to the clean one, and what cleaning did to what it should keep.

Definitions follow EEGdenoiseNet (Zhang et al., J. Neural Eng. 18:056057, 2021, section 2.4) where
it has one. Signals are (n_chans, n_times) unless a docstring says otherwise; any unit.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import welch

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

SPECTRUM = 1.0
"""Length of a segment of Welch's method, s."""


def rms(x: Array) -> float:
    """Root mean square over everything."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def rrmse(cleaned: Array, clean: Array) -> float:
    """Root mean square of the error, relative to that of the clean signal; 0 is perfect."""
    return rms(cleaned - clean) / rms(clean)


def rrmse_spectrum(cleaned: Array, clean: Array, sfreq: float) -> float:
    """The same of power spectral densities (Welch, segments of 1 s)."""
    n = min(clean.shape[-1], round(SPECTRUM * sfreq))
    got, wanted = (welch(x, sfreq, nperseg=n, axis=-1)[1] for x in (cleaned, clean))
    return rrmse(got, wanted)


def correlation(cleaned: Array, clean: Array) -> float:
    """Pearson's correlation over time, mean over channels (any leading axes); 1 is perfect.

    A channel that was wiped out counts 0.
    """
    a = cleaned - cleaned.mean(axis=-1, keepdims=True)
    b = clean - clean.mean(axis=-1, keepdims=True)
    size = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    together = (a * b).sum(axis=-1)
    return float(np.mean(np.divide(together, size, out=np.zeros_like(together), where=size > 0)))


def snr(signal: Array, clean: Array) -> float:
    """Power of the clean signal over that of the error, dB of power."""
    error = rms(signal - clean)
    return float(np.inf) if error == 0 else 20 * float(np.log10(rms(clean) / error))


def snr_gain(cleaned: Array, noisy: Array, clean: Array) -> float:
    """What cleaning adds to the ratio of signal to error, dB of power."""
    return snr(cleaned, clean) - snr(noisy, clean)


def contaminated(artifact: Array, sfreq: float) -> Mask:
    """Samples at which there is an artifact, (n_times,).

    Where its root mean square over channels, smoothed over a quarter of a second, is above a
    twentieth of its 99th percentile.
    """
    power = np.mean(np.square(artifact, dtype=np.float64), axis=0)
    width = max(1, round(0.25 * sfreq))
    level = np.sqrt(np.convolve(power, np.full(width, 1 / width), mode="same").clip(min=0))
    return np.asarray(level > 0.05 * np.quantile(level, 0.99))


def band_change(cleaned: Array, clean: Array, sfreq: float, band: tuple[float, float]) -> float:
    """Change of the power in a band, dB, mean over channels; 0 is unchanged."""
    n = min(clean.shape[-1], round(2 * sfreq))
    freqs, got = welch(cleaned, sfreq, nperseg=n, axis=-1)
    _, wanted = welch(clean, sfreq, nperseg=n, axis=-1)
    inside = (freqs >= band[0]) & (freqs <= band[1])
    ratio = got[..., inside].sum(axis=-1) / wanted[..., inside].sum(axis=-1)
    return float(np.mean(10 * np.log10(np.maximum(ratio, 1e-12))))


def covariance_distance(cleaned: Array, clean: Array, *, ridge: float = 1e-3) -> float:
    """Log-Euclidean distance between spatial covariances, per channel.

    Reference: Arsigny et al., SIAM J. Matrix Anal. Appl. 29, 2007. Both matrices get `ridge` times
    the mean variance of the clean one, so that a rank that was lost costs much but not everything.
    """
    floor = ridge * float(np.mean(clean.var(axis=1))) * np.eye(len(clean))
    logs = []
    for x in (cleaned, clean):
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(x)) + floor)
        logs.append((vectors * np.log(values)) @ vectors.T)
    return float(np.linalg.norm(logs[0] - logs[1]) / np.sqrt(len(clean)))


def gain(with_source: Array, without: Array, source: Array) -> float:
    """How much of a known source is left: 1 is all of it, 0 nothing.

    Parameters
    ----------
    with_source, without
        What cleaning makes of the recording with the source, and without.
    source
        The source, as it was added.
    """
    left = np.asarray(with_source, dtype=np.float64) - without
    return float(np.sum(left * source) / np.sum(np.square(source, dtype=np.float64)))
