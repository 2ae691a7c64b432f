r"""How alike channels oscillate in a band.

With the analytic signals :math:`z_i(t)` of two channels in a band and their product
:math:`s_{ij} = z_i z_j^*`,

.. math::
    \mathrm{PLV} = |\langle s / |s| \rangle|, \quad
    \mathrm{wPLI} = \frac{|\langle \mathrm{Im}\, s \rangle|}{\langle |\mathrm{Im}\, s| \rangle},
    \quad
    \mathrm{iCoh} = \frac{|\langle \mathrm{Im}\, s \rangle|}
    {\sqrt{\langle |z_i|^2 \rangle \langle |z_j|^2 \rangle}}

over the samples of a window. All are without unit, between 0 and 1. PLV rewards two electrodes
that see the same source; the other two are blind to what arrives without a delay.

Sources: Lachaux, Rodriguez, Martinerie, Varela, "Measuring phase synchrony in brain signals", Human
Brain Mapping 8, 1999. Vinck et al., "An improved index of phase-synchronization for
electrophysiological data in the presence of volume-conduction, noise and sample-size bias",
NeuroImage 55, 2011. Nolte et al., "Identifying true brain interaction from EEG data using the
imaginary part of coherency", Clinical Neurophysiology 115, 2004. MNE-Connectivity has all three
across trials; its measures over the samples of one window take wavelets, pair by pair.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import hyp2f1

Array = NDArray[Any]

Connectivity = Literal["plv", "wpli", "imaginary_coherence"]


def phase_locking(z: Array) -> Array:
    """Phase locking value of every pair of channels, (..., n_chans, n_chans).

    Parameters
    ----------
    z
        Analytic signals of a band (..., n_chans, n_samples), as `bands.baseband` gives them.

    Notes
    -----
    A flat channel is locked to none: 0. Unrelated signals are not at 0: see `phase_locking_floor`.
    """
    size = np.abs(z)
    phasor = z / np.where(size > 0, size, 1)
    return np.asarray(np.abs(_products(phasor)) / z.shape[-1])


def phase_locking_floor(bandwidth: float, duration: float) -> float:
    r"""Mean phase locking value of unrelated Gaussian noise, between 0 and 1.

    The mean of n unit vectors has an expected length of :math:`\sqrt{\pi / 4n}`. A rectangular
    band of width B has :math:`n = B T / \int g^2(\mathrm{sinc}\, s)\, ds` independent ones in a
    window of T s, where :math:`g(\rho) = \frac{\pi}{4} \rho \, _2F_1(\frac12, \frac12; 2; \rho^2)`
    is the correlation of phases of signals that correlate by :math:`\rho`.

    Parameters
    ----------
    bandwidth
        Hz.
    duration
        Of the window, s.

    Notes
    -----
    Within 0.004 of what simulated noise gives, for B T of 6 and above.
    """
    return min(1.0, math.sqrt(math.pi * _phase_memory() / (4 * bandwidth * duration)))


@cache
def _phase_memory() -> float:
    """Samples at the rate of a band's width that one independent phase difference takes."""
    s = np.linspace(0, 200, 200_001)
    rho = np.sinc(s)
    g = math.pi / 4 * rho * hyp2f1(0.5, 0.5, 2.0, np.minimum(rho**2, 1.0))
    return float(2 * np.trapezoid(g**2, s))


def imaginary_coherence(z: Array) -> Array:
    """Magnitude of the imaginary part of coherency, (..., n_chans, n_chans).

    Parameters
    ----------
    z
        As for `phase_locking`.
    """
    products = _products(z)
    power = np.einsum("...ii->...i", products).real
    scale = np.sqrt(power[..., :, None] * power[..., None, :])
    return np.asarray(np.abs(products.imag) / np.where(scale > 0, scale, 1))


def weighted_phase_lag(z: Array) -> Array:
    """Weighted phase lag index of every pair of channels, (..., n_chans, n_chans).

    Unlike the other two it is no matrix product: memory and time grow with pairs times samples.

    Parameters
    ----------
    z
        As for `phase_locking`.

    Notes
    -----
    Signals that have no imaginary product at all have no lag: 0.
    """
    flat = z.reshape(-1, *z.shape[-2:])
    lag = np.zeros((*flat.shape[:2], flat.shape[1]))
    for window, out in zip(flat, lag, strict=True):
        for i in range(len(window) - 1):
            imaginary = (window[i] * window[i + 1 :].conj()).imag
            size = np.abs(imaginary).sum(axis=1)
            # Rounding alone leaves 1e-7 of the amplitudes where channels are equal.
            rounding = 4e-7 * (np.abs(window[i]) * np.abs(window[i + 1 :])).sum(axis=1)
            some = size > rounding
            index = np.abs(imaginary.sum(axis=1)) / np.where(some, size, 1) * some
            out[i, i + 1 :] = out[i + 1 :, i] = index
    return np.asarray(lag.reshape(*z.shape[:-1], z.shape[-2]))


MEASURES: dict[Connectivity, Callable[[Array], Array]] = {
    "plv": phase_locking,
    "wpli": weighted_phase_lag,
    "imaginary_coherence": imaginary_coherence,
}


def _products(z: Array) -> Array:
    """Sums over samples of z_i times the conjugate of z_j."""
    return np.asarray(z @ np.swapaxes(z, -1, -2).conj())
