"""Common spatial patterns: where the sources lie whose power a decoder weighs.

The log power of a component enters the linear discriminant with a weight; times the spread of that
log power over the training windows, it says how much the component moves the decision, and its
sign says for which class more power speaks. The map of a class is the sum of the components that
speak for it, each with the share of every channel in its pattern's power. A component that falls
silent for a class, as the hand area's rhythm does, speaks for the other class.

By frequency, a component has for each bin the share of its power there times the difference of its
mean log power there between the class and the others: in first order, what the bin contributes
to the difference of its log power. A band without power, or one that is alike in all classes,
contributes nothing.

Filters are not patterns: a filter may weigh a channel to cancel noise that has nothing to do with
the source ("On the interpretation of weight vectors of linear models in multivariate
neuroimaging", NeuroImage 2014, doi:10.1016/j.neuroimage.2013.10.067).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from neurodecode.explain import EXPLAINERS
from neurodecode.explain.power import TINY, bin_power
from neurodecode.explain.windows import Array, Axes, Maps, Windows
from neurodecode.models.fbcsp import BankCSP
from neurodecode.signal.covariance import band_covariances
from neurodecode.training.estimator import Decoder


class Components(NamedTuple):
    """Spatial components whose log power a linear classifier weighs.

    Attributes
    ----------
    filters, patterns
        (n_components, n_chans) each.
    bands
        Where the power of each is taken, Hz, (n_components, 2).
    features
        Log power in each training window, (n_epochs, n_components).
    """

    filters: Array
    patterns: Array
    bands: Array
    features: Array

    @property
    def shares(self) -> Array:
        """Share of each channel in the power of a component, (n_components, n_chans)."""
        power = self.patterns**2
        return np.asarray(power / power.sum(axis=1, keepdims=True))


@EXPLAINERS.add("csp_patterns")
def csp_patterns(decoder: Decoder, windows: Windows) -> Maps | None:
    """Patterns, and by class the channels and frequencies of those that speak for it.

    Kinds: "patterns" (signed, as large as the sources' signal on the scalp), chan, freq and
    chan_freq, which are sizes in log-odds: the weight of a component times the spread of its log
    power for chan, times the class's own change for freq and chan_freq. All of the training
    windows, in the space that they are given to the decoder: patterns of aligned windows are of
    whitened channels.

    None for decoders without common spatial patterns.
    """
    components = find_components(decoder, windows)
    if components is None:
        return None
    weights = class_weights(decoder, windows.axes)
    speaks = np.maximum(weights, 0)  # (n_classes, n_components)
    change = class_change(components, windows)  # (n_classes, n_components, n_freqs)
    shares = components.shares
    chan_freq = np.einsum("kp,pc,kpf->kcf", speaks, shares, change)
    kinds = {
        "patterns": components.patterns,
        "chan": (speaks * components.features.std(axis=0)) @ shares,
        "freq": chan_freq.sum(axis=1),
        "chan_freq": chan_freq,
    }
    return Maps(
        kinds={k: v.astype(np.float32) for k, v in kinds.items()},
        unit="log-odds",
        facts={"n_patterns": float(len(shares))},
    )


def find_components(decoder: Decoder, windows: Windows) -> Components | None:
    """The spatial components of a decoder, with their features; None if it has none."""
    from pyriemann.spatialfilters import CSP

    if not isinstance(decoder.model_, Pipeline):
        return None
    steps = [step for _, step in decoder.model_.steps]
    if len(steps) != 3 or not hasattr(steps[-1], "coef_"):
        return None
    covariances, csp, _ = steps
    if isinstance(csp, CSP):
        features = csp.transform(covariances.transform(windows.x_train.astype(np.float64)))
        bands = np.tile([0.0, windows.axes.sfreq], (len(csp.filters_), 1))
        return Components(csp.filters_, csp.patterns_, bands, features)
    if isinstance(csp, BankCSP):
        return _of_bank(covariances.bands, csp, windows)
    return None


def _of_bank(limits: Any, csp: BankCSP, windows: Windows) -> Components:
    """The components that a filter bank kept; a pattern is the covariance with the component."""
    covs = band_covariances(windows.x_train, limits, sfreq=windows.axes.sfreq)
    band, which = np.divmod(csp.kept_, csp.filters_.shape[1])
    filters = csp.filters_[band, which]
    with_channels = np.einsum("pc,pcd->pd", filters, covs.mean(axis=0)[band])
    patterns = with_channels / np.einsum("pd,pd->p", with_channels, filters)[:, None]
    return Components(filters, patterns, np.asarray(limits)[band], csp.transform(covs))


def class_weights(decoder: Decoder, axes: Axes) -> Array:
    """Weight of each feature in the margin of each class, (n_classes, n_features).

    The margin is a class's score less the mean of the others'. NaN for a class that the decoder
    was not fitted to.
    """
    coef = np.asarray(decoder.model_.steps[-1][1].coef_, dtype=np.float64)
    if len(coef) == 1:
        coef = np.concatenate([-coef, coef])
    else:
        n = len(coef)
        coef = (coef - coef.mean(axis=0)) * n / (n - 1)
    out = np.full((len(axes.classes), coef.shape[1]), np.nan)
    out[np.asarray(decoder.classes_, dtype=int)] = coef
    return out


def class_change(components: Components, windows: Windows) -> Array:
    """What each bin contributes to the change of a component's log power, by class.

    (n_classes, n_components, n_freqs), at least 0: between the class and the others.
    """
    power = bin_power(np.matmul(components.filters, windows.x_train), windows.axes)
    low, high = components.bands[:, :1], components.bands[:, 1:]
    inside = (windows.axes.freqs >= low) & (windows.axes.freqs < high)
    mean = np.where(inside, power.mean(axis=0), 0)
    share = mean / np.maximum(mean.sum(axis=1, keepdims=True), TINY)
    log_power = np.log(power + TINY)
    change = np.full((len(windows.axes.classes), *share.shape), np.nan)
    for c in np.unique(windows.y_train):
        own = windows.y_train == c
        change[c] = share * np.abs(log_power[own].mean(axis=0) - log_power[~own].mean(axis=0))
    return change


def spread(values: Array, bands: NDArray[np.floating], freqs: Array) -> Array:
    """Values of bands in bins of one hertz: (..., n_bands) to (..., n_freqs); 0 outside all.

    A bin is of the first band that its middle lies in.
    """
    out = np.zeros((*values.shape[:-1], len(freqs)))
    for i in range(len(bands) - 1, -1, -1):
        out[..., (freqs >= bands[i][0]) & (freqs < bands[i][1])] = values[..., i : i + 1]
    return out
