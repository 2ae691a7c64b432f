"""Windows of which a part comes from another window: how a part is taken out.

A channel, a band or a stretch of time cannot simply be set to zero: covariances become singular,
and no decoder has seen such a signal. Here the same part of another window takes its place, so
that the signal keeps its usual form and loses only what the part said of this window.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Order = NDArray[np.int64]


def derangement(n: int, rng: np.random.Generator) -> Order:
    """Which window gives its part to each of `n`, (n,): a permutation that leaves none in place.

    Drawn evenly from the permutations that are one cycle. A single window can only give to
    itself.
    """
    cycle = rng.permutation(n)
    order = np.empty(n, dtype=np.int64)
    order[cycle] = np.roll(cycle, 1)
    return order


def swap_channels(x: Array, chans: NDArray[np.integer] | list[int] | int, order: Order) -> Array:
    """Windows whose channels `chans` come from the windows `order`.

    Parameters
    ----------
    x
        (n_epochs, n_chans, n_times); it is left as it was. A channel that is absent from its own
        window stays so, and one that is absent from the other keeps its samples.
    chans
        One index or several.
    order
        Which window gives to each, (n_epochs,); see `derangement`.
    """
    chans = np.atleast_1d(chans)
    out = x.copy()
    out[:, chans] = _given(x[:, chans], x[order][:, chans])
    return out


def swap_band(x: Array, band: tuple[float, float], order: Order, *, sfreq: float) -> Array:
    """Windows whose frequencies in ``[low, high)`` Hz come from the windows `order`.

    Parameters
    ----------
    x
        (n_epochs, n_chans, n_times); it is left as it was. A channel that is absent from its own
        window stays so, and one that is absent from the other keeps its band.
    band
        Edges, Hz; nothing is swapped where windows hold no frequency of the band.
    order
        Which window gives to each, (n_epochs,).
    sfreq
        Sampling rate, Hz.
    """
    freqs = np.fft.rfftfreq(x.shape[-1], 1 / sfreq)
    outside = (freqs < band[0]) | (freqs >= band[1])
    spectrum = np.fft.rfft(x, axis=-1)
    spectrum[..., outside] = 0  # so that only what changes is rounded
    alone = np.fft.irfft(spectrum, n=x.shape[-1], axis=-1)
    change = alone[order] - alone
    absent = np.isnan(change) & ~np.isnan(x)
    return (x + np.where(absent, 0, change)).astype(x.dtype)


def swap_times(x: Array, samples: slice, order: Order) -> Array:
    """Windows whose samples `samples` come from the windows `order`.

    Parameters
    ----------
    x
        (n_epochs, n_chans, n_times); it is left as it was. A channel that is absent from its own
        window stays so, and one that is absent from the other keeps its samples.
    samples
        The stretch.
    order
        Which window gives to each, (n_epochs,).
    """
    out = x.copy()
    out[..., samples] = _given(x[..., samples], x[order][..., samples])
    return out


def _given(own: Array, given: Array) -> Array:
    """What is given, and its own where one of the two is absent."""
    return np.where(np.isnan(own) | np.isnan(given), own, given)
