"""Covariances of windows and the whitening that undoes them."""

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError

Array = NDArray[np.float64]

RIDGE = 1e-6
"""Ridge, in units of the mean variance of a channel.

Relative to the trace, so volts and microvolts whiten alike: a ridge of fixed size fails in volts,
where variances are about 1e-10. A direction without variance (after an average reference there is
one) is divided by the square root of the ridge instead of by zero.
"""


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
    covs = x @ x.swapaxes(-1, -2) / x.shape[-1]
    power = np.trace(covs, axis1=1, axis2=2) / x.shape[1]
    if not (power > 0).all():
        silent = np.flatnonzero(~(power > 0))
        raise SignalError(
            f"{silent.size} of {power.size} windows are flat or not finite in every channel "
            f"(first: window {silent[0]}), so they have no covariance. Drop those windows."
        )
    return np.asarray(covs + RIDGE * power[:, None, None] * np.eye(x.shape[1]))


def inverse_sqrt(cov: Array) -> Array:
    """Symmetric inverse square root of a positive definite matrix (n_chans, n_chans)."""
    values, vectors = np.linalg.eigh(cov)
    # eigh may return a tiny negative for a zero; the ridge says how small a direction can be
    values = np.maximum(values, RIDGE * values.mean() * 0.5)
    return np.asarray((vectors / np.sqrt(values)) @ vectors.T)
