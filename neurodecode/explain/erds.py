r"""Event-related desynchronisation and synchronisation: what the recordings themselves do.

.. math:: 10 \log_{10} (P_\mathrm{class} / P_\mathrm{before})

in dB: of the mean power over the windows of a class, to that before the cue. A rhythm that the
task silences is below 0 (Pfurtscheller & Lopes da Silva, "Event-related EEG/MEG synchronization
and desynchronization: basic principles", Clinical Neurophysiology 1999,
doi:10.1016/S1388-2457(99)00141-8). Difference: decibels instead of percent, so that a halving and
a doubling are equally large, and means over channels and bins mean something.

No decoder is in it, so it is not in the registry of explainers.
"""

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError
from neurodecode.explain.power import segment_freqs, segment_power
from neurodecode.explain.windows import Array, Axes, Maps, mean_by_class
from neurodecode.results.maps import mean_of_known
from neurodecode.signal.bands import analytic, band_fits

BAND = (8.0, 30.0)
"""Mu and beta, Hz."""
BATCH = 64


def desynchronisation(
    x: NDArray[np.float32], y: NDArray[np.int64], before: Array | None, axes: Axes
) -> Maps:
    """Change of power of each class against before the cue, dB.

    Spectra are means of the periodograms of segments of a second under a Hann window, the same for
    both, so that a narrow rhythm leaks alike into its neighbours. Powers are averaged over windows
    first and become dB then.

    Parameters
    ----------
    x
        Windows of one subject, (n_epochs, n_chans, n_times), microvolts, not aligned.
    y
        Their classes, (n_epochs,).
    before
        Mean power density before the cue, (n_chans, n_freqs), uV^2/Hz, of segments as long as
        those of the windows, as `neurodecode.experiment.baseline.baselines` gives it. None: there
        is nothing before the cue, and the mean over the classes takes its place; they are then
        seen against each other.
    axes
        Of the maps.

    Returns
    -------
    maps
        Signed, dB. chan_freq; freq, its mean over channels; and of 8 to 30 Hz, where the windows
        hold that band: chan; chan_time, from the amplitude of the band; time, its mean over
        channels. ``facts["before_cue"]`` is 1 where `before` was given and 0 where it was not.

    Raises
    ------
    SignalError
        If `before` is of other channels, or of windows of another length.
    """
    power = mean_by_class(segment_power(x, axes.sfreq), y, len(axes.classes))
    freqs = segment_freqs(axes.n_times, axes.sfreq)
    reference = mean_of_known(power) if before is None else before
    if reference.shape != power.shape[1:]:
        raise SignalError(
            f"Power before the cue is of {' x '.join(map(str, reference.shape))} channels and "
            f"frequencies, and that of the windows of {' x '.join(map(str, power.shape[1:]))}. "
            f"Give the power of the same recordings in segments of the same length."
        )
    n = len(axes.freqs)
    chan_freq = decibels(power[..., :n], reference[:, :n])
    kinds = {"chan_freq": chan_freq, "freq": mean_of_known(chan_freq, axis=1)}
    if band_fits(BAND, n_times=axes.n_times, sfreq=axes.sfreq):
        inside = (freqs >= BAND[0]) & (freqs < BAND[1])
        chan = decibels(power[..., inside].sum(axis=-1), reference[:, inside].sum(axis=-1))
        course = mean_by_class(band_course(x, axes), y, len(axes.classes))
        within = decibels(course, course.mean(axis=-1, keepdims=True))
        chan_time = chan[:, :, None] + within
        kinds |= {"chan": chan, "chan_time": chan_time, "time": mean_of_known(chan_time, axis=1)}
    order = ("chan", "time", "freq", "chan_time", "chan_freq")
    return Maps(
        kinds={kind: kinds[kind].astype(np.float32) for kind in order if kind in kinds},
        unit="dB",
        signed=True,
        facts={"before_cue": float(before is not None), "n_windows": float(len(x))},
    )


def decibels(power: Array, reference: Array) -> Array:
    """10 log10 of a ratio; NaN where either is 0."""
    known = (power > 0) & (reference > 0)
    ratio = np.where(known, power, np.nan) / np.where(known, reference, np.nan)
    return np.asarray(10 * np.log10(ratio))


def band_course(x: NDArray[np.float32], axes: Axes) -> Array:
    """Power of 8 to 30 Hz by bin of time, (n_epochs, n_chans, n_bins), uV^2."""
    courses = []
    for i in range(0, len(x), BATCH):
        signal = analytic(x[i : i + BATCH], BAND, sfreq=axes.sfreq)
        courses.append(axes.in_time((signal.real**2 + signal.imag**2) / 2))
    return np.concatenate(courses)
