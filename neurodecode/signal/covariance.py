"""Covariances of windows and the whitening that undoes them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft, rfftfreq
from scipy.signal.windows import tukey

from neurodecode.core.errors import SignalError

Array = NDArray[np.float64]

RIDGE = 1e-6
"""Ridge, in units of the mean variance of a channel.

Relative to the trace, so volts and microvolts whiten alike: a ridge of fixed size fails in volts,
where variances are about 1e-10. A direction without variance (after an average reference there is
one) is divided by the square root of the ridge instead of by zero.
"""

TAPER = 0.25
"""Part of a window that rises and falls before its spectrum is taken (Tukey)."""


def covariances(x: NDArray[np.floating]) -> Array:
    """Covariance of each window, with a trace-relative ridge, (n_epochs, n_chans, n_chans).

    Parameters
    ----------
    x
        Windows (n_epochs, n_chans, n_times), any unit; the result is in that unit squared.

    Raises
    ------
    SignalError
        If a window has no variance at all.
    """
    x = np.asarray(x, dtype=np.float64)
    x = x - x.mean(axis=-1, keepdims=True)
    return ridged(x @ x.swapaxes(-1, -2) / x.shape[-1])


def ridged(covs: Array) -> Array:
    """Covariances (n_epochs, n_chans, n_chans) with the ridge of `covariances`.

    Raises
    ------
    SignalError
        If one has no variance at all.
    """
    n_chans = covs.shape[1]
    power = np.trace(covs, axis1=1, axis2=2) / n_chans
    if not (power > 0).all():
        silent = np.flatnonzero(~(power > 0))
        raise SignalError(
            f"{silent.size} of {power.size} windows are flat or not finite in every channel "
            f"(first: window {silent[0]}), so they have no covariance. Drop those windows."
        )
    return np.asarray(covs + RIDGE * power[:, None, None] * np.eye(n_chans))


def inverse_sqrt(cov: Array) -> Array:
    """Symmetric inverse square root of a positive definite matrix (n_chans, n_chans)."""
    values, vectors = np.linalg.eigh(cov)
    # eigh may return a tiny negative for a zero; the ridge says how small a direction can be
    values = np.maximum(values, RIDGE * values.mean() * 0.5)
    return np.asarray((vectors / np.sqrt(values)) @ vectors.T)


def band_covariances(
    x: NDArray[np.floating], bands: Sequence[tuple[float, float]], *, sfreq: float
) -> Array:
    """Covariance of each window in each band, (n_epochs, n_bands, n_chans, n_chans).

    By Parseval's theorem the covariance of an ideally filtered signal is the sum of its
    cross-spectrum over the band, so one Fourier transform serves all bands and nothing is
    filtered. Each matrix is shrunk towards a multiple of the identity by as much as its few
    degrees of freedom ask for ("Shrinkage Algorithms for MMSE Covariance Estimation", IEEE TSP
    2010, doi:10.1109/TSP.2010.2053029, equation 23).

    Parameters
    ----------
    x
        Windows (n_epochs, n_chans, n_times), any unit; the result is in that unit squared.
    bands
        Limits of each band, Hz, half-open.
    sfreq
        Sampling rate, Hz.

    Raises
    ------
    SignalError
        If no frequency of the window's Fourier transform lies in a band.
    """
    n_times = x.shape[-1]
    centred = x - x.mean(axis=-1, keepdims=True, dtype=np.float64)
    spectrum = rfft(centred * tukey(n_times, TAPER), axis=-1)
    freqs = rfftfreq(n_times, 1 / sfreq)
    covs = []
    for low, high in bands:
        part = spectrum[..., (freqs >= low) & (freqs < high)]
        if not part.shape[-1]:
            raise SignalError(
                f"A window of {n_times / sfreq:g} s tells frequencies {sfreq / n_times:g} Hz "
                f"apart, and none lies in {low}-{high} Hz. Cut longer windows, or widen the band."
            )
        cov = 2 * (part @ part.conj().swapaxes(-1, -2)).real / n_times**2
        covs.append(_shrunk(cov, 2 * part.shape[-1]))
    return np.stack(covs, axis=1)


def _shrunk(cov: Array, n: int) -> Array:
    """Covariances from `n` real observations, with the oracle-approximating shrinkage."""
    p = cov.shape[-1]
    trace = np.trace(cov, axis1=-2, axis2=-1)
    square = (cov * cov).sum(axis=(-2, -1))
    excess = (n + 1 - 2 / p) * (square - trace**2 / p)
    wanted = (1 - 2 / p) * square + trace**2
    rho = np.where(excess > wanted, wanted / np.maximum(excess, np.finfo(float).tiny), 1.0)
    rho = np.maximum(rho if p > 1 else np.zeros_like(rho), RIDGE)[..., None, None]
    return np.asarray((1 - rho) * cov + rho * (trace / p)[..., None, None] * np.eye(p))
