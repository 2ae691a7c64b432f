"""Another sampling rate for one window, as a matrix: any two rates, and no state."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HALF_WIDTH = 16  # zero crossings of the kernel on either side
BETA = 6.0  # of its Kaiser window: 63 dB


def resampling_taps(
    n_in: int, rate_in: float, n_out: int, rate_out: float
) -> tuple[NDArray[np.int64], Array]:
    """Old samples that a new one is made of, and their weights, (n_out, n_taps) each.

    A Kaiser-windowed sinc that keeps what both rates can hold; both windows begin at the same
    instant. Before and after the window the signal is taken to be mirrored, and a constant stays a
    constant.

    Parameters
    ----------
    n_in, n_out
        Samples.
    rate_in, rate_out
        Hz.
    """
    cutoff = min(1.0, rate_out / rate_in)  # relative to the old Nyquist frequency
    reach = int(np.ceil(HALF_WIDTH / cutoff))
    at = np.arange(n_out) * (rate_in / rate_out)  # in old samples
    taps = np.floor(at).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    distance = (at[:, None] - taps) * cutoff
    window = np.i0(BETA * np.sqrt(np.clip(1 - (distance / HALF_WIDTH) ** 2, 0, None))) / np.i0(BETA)
    values = np.sinc(distance) * np.where(np.abs(distance) <= HALF_WIDTH, window, 0.0)
    period = 2 * n_in  # the mirrored signal repeats
    folded = np.mod(taps, period)
    folded = np.where(folded < n_in, folded, period - 1 - folded)
    return folded, np.asarray(values / values.sum(axis=1, keepdims=True))


def resampling_matrix(n_in: int, rate_in: float, n_out: int, rate_out: float) -> Array:
    """The same as a matrix (n_out, n_in); see `resampling_taps`."""
    if rate_in == rate_out:
        return np.eye(n_out, n_in)
    taps, values = resampling_taps(n_in, rate_in, n_out, rate_out)
    matrix = np.zeros((n_out, n_in))
    np.add.at(matrix, (np.arange(n_out)[:, None], taps), values)
    return matrix
