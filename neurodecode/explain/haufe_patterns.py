r"""Haufe patterns: what in the signal goes with the margin of a linear decoder.

Weights of a linear decoder are a filter: they may be large where there is only noise to cancel.
What rises and falls with the decision is the pattern

.. math:: a = \mathrm{Cov}(z, m) / \mathrm{Var}(m)

of features z with the margin m of a class: how much a feature changes where the margin grows by
one ("On the interpretation of weight vectors of linear models in multivariate neuroimaging",
NeuroImage 2014, doi:10.1016/j.neuroimage.2013.10.067). For a linear classifier m is linear in the
features, and a is its forward model. For the distances of `mdm` it is a regression of features on
the margin, no more.

Differences: features are carried back to the power of channels, so that all decoders speak of dB.
A tangent vector is a symmetric matrix S; moving from the mean covariance C by S gives
:math:`C + C^{1/2} S C^{1/2}`, whose diagonal is the power of channels. The log power of a spatial
component counts for a channel with the component's share of the channel's power.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from neurodecode.explain import EXPLAINERS
from neurodecode.explain.csp_patterns import Components, find_components, spread
from neurodecode.explain.margin import all_margins
from neurodecode.explain.power import TINY, bin_power
from neurodecode.explain.windows import Array, Axes, Maps, Windows
from neurodecode.models.bandpower_lr import BandPower, ChannelPool
from neurodecode.models.fb_ts_lr import BankTangent
from neurodecode.models.line_length_lr import LineLength
from neurodecode.training.estimator import Decoder

DB = 10 / np.log(10)
"""dB in one unit of a natural logarithm of power."""
CHANCE = 1e-12
"""A margin with less variance does not move."""


@EXPLAINERS.add("haufe_patterns")
def haufe_patterns(decoder: Decoder, windows: Windows) -> Maps | None:
    """Change of power where the margin of a class grows by one, dB per log-odds, signed.

    Over the training windows, in the space that they are given to the decoder. Kinds by decoder:

    - tangent vectors of covariances (`ts_lr`, `fb_ts_lr`): chan, the power of channels by the
      pattern of the tangent vectors; chan_chan, the same with the covariances of channels, each
      over the geometric mean of their two powers.
    - spatial components (`csp_lda`, `fbcsp`): chan, the power of channels through the components.
    - `mdm`, and `acm_ts_svm`, whose features are of delayed copies: chan is the sum of chan_freq.
    - all of these but banks: chan_freq, the log power of a channel in a bin regressed on the
      margin, times the share of the bin in the channel's power, so that bins without power, which
      no covariance holds, do not count.
    - banks (`fb_ts_lr`, `fbcsp`) and `bandpower_lr`: chan_freq is the pattern of each band's
      feature itself; chan is its mean over bands (its sum in `fbcsp`, which keeps few).
    - `line_length_lr`: chan_time and time, of the line length (twice its logarithm, as for power)
      of each part; chan is its mean over parts, and there is no frequency in it.
    - `xdawn_ts_lr`, which reads the course of a response: chan_time of the signal itself, unit
      "uV per log-odds" (aligned windows have no uV); chan is the mean of its size over time.

    freq and time are means of the size (without its sign) over channels.

    None for nets, and where channels were pooled or are absent.
    """
    if not isinstance(decoder.model_, Pipeline) or np.isnan(windows.x_train).any():
        return None
    steps = [step for _, step in decoder.model_.steps]
    reader = _reader(steps)
    if reader is None:
        return None
    axes = windows.axes
    found = reader(steps, decoder, windows, class_margins(decoder, windows.x_train, axes))
    if found is None:
        return None
    kinds, unit = found
    for kind in ("freq", "time"):
        if f"chan_{kind}" in kinds:
            kinds[kind] = np.abs(kinds[f"chan_{kind}"]).mean(axis=1)
    return Maps(
        kinds={kind: kinds[kind].astype(np.float32) for kind in ORDER if kind in kinds},
        unit=unit,
        signed=True,
    )


ORDER = ("chan", "time", "freq", "chan_time", "chan_freq", "chan_chan")
DECIBELS = "dB per log-odds"
Found = tuple[dict[str, Array], str]


def class_margins(decoder: Decoder, x: NDArray[np.float32], axes: Axes) -> Array:
    """Margin of each class in each window, (n_epochs, n_classes), by a classical decoder.

    NaN for a class that the decoder was not fitted to.
    """
    out = np.full((len(x), len(axes.classes)), np.nan)
    out[:, np.asarray(decoder.classes_, dtype=int)] = all_margins(decoder, x)
    return out


def pattern(z: Array, margin: Array) -> Array:
    """Cov(z, m) / Var(m): features (n_epochs, ...) and margins (n_epochs, n_classes).

    (n_classes, ...); 0 throughout where a margin does not move.
    """
    moved = margin - margin.mean(axis=0)
    variance = np.square(moved).mean(axis=0)
    moved = np.where(variance > CHANCE, moved / np.maximum(variance, CHANCE), 0 * moved)
    flat = (z - z.mean(axis=0)).reshape(len(z), -1)
    return np.asarray(moved.T @ flat / len(z)).reshape(margin.shape[1], *z.shape[1:])


def _reader(steps: list[Any]) -> Any:
    """What carries the features of such a pipeline back to channels; None for others."""
    from pyriemann.classification import MDM
    from pyriemann.estimation import Covariances, TimeDelayCovariances, XdawnCovariances
    from pyriemann.spatialfilters import CSP
    from pyriemann.tangentspace import TangentSpace

    from neurodecode.models.fbcsp import BankCSP

    known = (
        ((XdawnCovariances,), _potentials),
        ((Covariances, TangentSpace), _tangent),
        ((TimeDelayCovariances,), _power),
        ((Covariances, MDM), _power),
        ((Covariances, CSP), _components),
        ((object, BankCSP), _bank_components),
        ((object, BankTangent), _bank_tangent),
        ((BandPower, ChannelPool), _band_power),
        ((LineLength, ChannelPool), _line_length),
    )
    for kinds, reader in known:
        if len(steps) > len(kinds) - 1 and all(map(isinstance, steps, kinds)):
            return reader
    return None


def power_pattern(windows: Windows, margin: Array) -> Array:
    """Change of a channel's log power by bin, dB per log-odds, (n_classes, n_chans, n_freqs).

    Its sum over bins is, in first order, the change of the channel's whole log power.
    """
    power = bin_power(windows.x_train, windows.axes)
    mean = power.mean(axis=0)
    share = mean / np.maximum(mean.sum(axis=1, keepdims=True), TINY)
    return np.asarray(DB * share * pattern(np.log(power + TINY), margin))


def _power(steps: list[Any], decoder: Decoder, windows: Windows, margin: Array) -> Found:
    chan_freq = power_pattern(windows, margin)
    return {"chan": chan_freq.sum(axis=2), "chan_freq": chan_freq}, DECIBELS


def _tangent(steps: list[Any], decoder: Decoder, windows: Windows, margin: Array) -> Found:
    covariances, space, *_ = steps
    if space.metric != "riemann":  # tangent vectors of other geometries are of other matrices
        return _power(steps, decoder, windows, margin)
    vectors = space.transform(covariances.transform(windows.x_train.astype(np.float64)))
    change = carried_back(pattern(vectors, margin), space.reference_)
    return {
        "chan": np.diagonal(change, axis1=1, axis2=2),
        "chan_chan": change,
        "chan_freq": power_pattern(windows, margin),
    }, DECIBELS


def carried_back(vectors: Array, mean: Array) -> Array:
    """Change of covariances that tangent vectors at `mean` stand for, dB.

    Parameters
    ----------
    vectors
        (..., n_chans * (n_chans + 1) / 2), as of pyRiemann.
    mean
        (n_chans, n_chans).

    Returns
    -------
    change
        (..., n_chans, n_chans), relative to the geometric mean of the two channels' powers; on the
        diagonal, of a channel's log power.
    """
    from pyriemann.geometry.base import sqrtm
    from pyriemann.geometry.tangentspace import unupper

    root = sqrtm(mean)
    scale = np.sqrt(np.diag(mean))
    return np.asarray(DB * (root @ unupper(vectors) @ root) / np.outer(scale, scale))


def _components(steps: list[Any], decoder: Decoder, windows: Windows, margin: Array) -> Found:
    components = find_components(decoder, windows)
    assert components is not None, "the reader knows such pipelines"
    whole = np.square(windows.x_train, dtype=np.float64).mean(axis=(0, 2))
    share = _shares_of_channels(components, whole)
    return {
        "chan": DB * pattern(components.features, margin) @ share,
        "chan_freq": power_pattern(windows, margin),
    }, DECIBELS


def _shares_of_channels(components: Components, whole: Array) -> Array:
    """Share of each component in the power of channels, (n_components, n_chans)."""
    power = np.exp(components.features).mean(axis=0)
    return np.asarray(components.patterns**2 * power[:, None] / np.maximum(whole, TINY))


def _bank_components(steps: list[Any], decoder: Decoder, windows: Windows, margin: Array) -> Found:
    components = find_components(decoder, windows)
    assert components is not None, "the reader knows such pipelines"
    limits = [tuple(band) for band in steps[0].bands]
    mean = steps[0].transform(windows.x_train).mean(axis=0)
    whole = np.diagonal(mean, axis1=1, axis2=2)  # (n_bands, n_chans)
    band = np.array([limits.index(tuple(own)) for own in components.bands])
    share = _shares_of_channels(components, whole[band])
    by_component = DB * pattern(components.features, margin)[:, :, None] * share
    by_band = np.stack([by_component[:, band == i].sum(axis=1) for i in range(len(limits))], -1)
    return _by_band(by_band, limits, windows.axes, np.sum)


def _bank_tangent(steps: list[Any], decoder: Decoder, windows: Windows, margin: Array) -> Found:
    bank, tangent, *_ = steps
    n_bands = len(tangent.means_)
    vectors = tangent.transform(bank.transform(windows.x_train))
    patterns = pattern(vectors.reshape(len(vectors), n_bands, -1), margin)
    change = np.stack(
        [carried_back(patterns[:, i], mean) for i, mean in enumerate(tangent.means_)], axis=-1
    )
    kinds, unit = _by_band(np.diagonal(change, axis1=1, axis2=2).swapaxes(1, 2), bank.bands,
                           windows.axes, np.mean)  # fmt: skip
    return kinds | {"chan_chan": change.mean(axis=-1)}, unit


def _band_power(
    steps: list[Any], decoder: Decoder, windows: Windows, margin: Array
) -> Found | None:
    features, pool, *_ = steps
    if pool.pooled_:
        return None
    powers = features.transform(windows.x_train.astype(np.float64))
    n = min(windows.axes.n_times, round(2 * features.sfreq))
    freqs = np.fft.rfftfreq(n, 1 / features.sfreq)
    held = [(low, high) for low, high in features.bands if ((freqs >= low) & (freqs < high)).any()]
    return _by_band(DB * pattern(powers, margin), held, windows.axes, np.mean)


def _by_band(by_band: Array, bands: Any, axes: Axes, over_bands: Any) -> Found:
    """Kinds of a pattern over channels and bands, (n_classes, n_chans, n_bands), dB."""
    chan_freq = spread(by_band, np.asarray(bands), axes.freqs)
    return {"chan": over_bands(by_band, axis=2), "chan_freq": chan_freq}, DECIBELS


def _line_length(
    steps: list[Any], decoder: Decoder, windows: Windows, margin: Array
) -> Found | None:
    features, pool, *_ = steps
    if pool.pooled_:
        return None
    lengths = features.transform(windows.x_train.astype(np.float64))
    by_part = 2 * DB * pattern(lengths, margin)  # amplitude, as power
    parts = np.array_split(np.arange(windows.axes.n_times - 1), features.n_parts)
    samples = np.concatenate([np.full(len(part), i) for i, part in enumerate(parts)])
    course = by_part[:, :, np.append(samples, samples[-1])]
    return {"chan": by_part.mean(axis=2), "chan_time": windows.axes.in_time(course)}, DECIBELS


def _potentials(steps: list[Any], decoder: Decoder, windows: Windows, margin: Array) -> Found:
    course = pattern(windows.axes.in_time(windows.x_train), margin)
    return {"chan": np.abs(course).mean(axis=2), "chan_time": course}, "uV per log-odds"
