"""Statistics that part of the data may spoil without changing them much."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma, gammaincinv

Array = NDArray[np.float64]

SHAPES = np.arange(1.7, 3.6, 0.15)  # exponents of the generalised Gaussian; 2 is the normal one
QUANTILES = (0.022, 0.6)  # part of the clean distribution that is fitted
STEP = 0.01  # of the search, in quantiles
FEW = 300  # values; in fewer, the search often finds a chance peak that is much too narrow


def geometric_median(x: Array, *, tolerance: float = 1e-5, n_most: int = 500) -> Array:
    """The point with the smallest sum of distances to all others (Weiszfeld's algorithm).

    Parameters
    ----------
    x
        Points (n_points, ...), any unit: a change of unit changes the median alike.
    tolerance
        Relative change at which to stop.
    n_most
        Iterations at most.
    """
    points = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
    scale = np.abs(points).max()
    if scale == 0:
        return np.zeros(x.shape[1:])
    points = points / scale
    squares = np.einsum("ij,ij->i", points, points)
    median = np.median(points, axis=0)
    for _ in range(n_most):
        distances = squares - 2 * points @ median + median @ median
        weights = 1 / np.sqrt(np.maximum(distances, 1e-12 * squares.mean()))
        last, median = median, weights @ points / weights.sum()
        if np.linalg.norm(median - last) <= tolerance * np.linalg.norm(median):
            break
    return np.asarray(scale * median.reshape(x.shape[1:]))


def clean_distribution(
    values: Array, *, min_clean: float = 0.25, max_dropout: float = 0.1
) -> tuple[float, float]:
    """Mean and standard deviation of the clean part of amplitudes of which many are artifacts.

    A generalised Gaussian, of which only the middle of its lower half and a little more is looked
    at, is fitted by grid search over where that part begins, how wide it is and its exponent; the
    fit with the smallest Kullback-Leibler divergence is taken (the clean part is a peak, and
    artifacts are its long upper tail). As in EEGLAB's clean_rawdata (Mullen et al. 2015,
    doi:10.1109/TBME.2015.2481482, section II). Of fewer than 300 values, the median and 1.4826
    times the median absolute deviation are given instead.

    Parameters
    ----------
    values
        Amplitudes (n_values,), any unit.
    min_clean
        Share that is clean at least, in (0, 1).
    max_dropout
        Share that may be lower than clean values (loose electrodes), in [0, 0.4).
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    n = len(x)
    if n < FEW:
        return _middle(x)
    low, high = QUANTILES
    starts = _rounded(n * np.arange(low, low + max_dropout + 0.99 * STEP, STEP))
    widths = _rounded(n * np.arange(high - low, min_clean * (high - low), -STEP))
    inside = starts[:, None] + np.arange(widths[0])
    first = x[np.minimum(starts, n - 1)]
    shifted = x[np.minimum(inside, n - 1)] - first[:, None]

    bounds = np.array([[_quantile(q, shape) for q in QUANTILES] for shape in SHAPES])
    best, found = np.inf, (np.nan, np.nan, 2.0)
    for m in np.unique(widths[widths > 1])[::-1]:
        n_bins = int(_rounded(3 * np.log2(1 + m / 2)))
        span = shifted[:, m - 1]
        if n_bins < 1 or not (span > 0).any():
            continue
        counts = _histograms(shifted[:, :m], span, n_bins)
        at = bounds[:, :1] + (0.5 + np.arange(n_bins)) / n_bins * np.diff(bounds, axis=1)
        wanted = np.exp(-(np.abs(at) ** SHAPES[:, None]))
        wanted /= wanted.sum(axis=1, keepdims=True)
        entropy = (wanted * np.log(wanted)).sum(axis=1)
        divergence = entropy[:, None] - wanted @ np.log(counts + 0.01).T + np.log(m)
        divergence[:, span <= 0] = np.inf
        shape, start = np.unravel_index(int(np.argmin(divergence)), divergence.shape)
        if divergence[shape, start] < best:
            best = divergence[shape, start]
            scale = span[start] / (bounds[shape, 1] - bounds[shape, 0])
            found = (first[start] - bounds[shape, 0] * scale, scale, SHAPES[shape])
    mean, scale, exponent = found
    if not np.isfinite(mean):  # nearly all values are equal
        return _middle(x)
    return float(mean), float(scale * np.sqrt(gamma(3 / exponent) / gamma(1 / exponent)))


def _middle(x: Array) -> tuple[float, float]:
    middle = float(np.median(x))
    return middle, float(1.4826 * np.median(np.abs(x - middle)))


def _rounded(x: Array) -> NDArray[np.int64]:
    return np.floor(np.asarray(x) + 0.5).astype(int)  # halves go up, as in the reference


def _quantile(q: float, shape: float) -> float:
    """Quantile of the generalised Gaussian of scale 1."""
    size: float = gammaincinv(1 / shape, abs(2 * q - 1)) ** (1 / shape)
    return float(np.sign(q - 0.5) * size)


def _histograms(shifted: Array, span: Array, n_bins: int) -> Array:
    """Counts (n_starts, n_bins) of values between 0 and the span of each row."""
    n_rows = len(shifted)
    with np.errstate(divide="ignore", invalid="ignore"):
        bins = np.nan_to_num(shifted * (n_bins / span[:, None]), nan=0.0, posinf=0.0)
    bins = np.minimum(bins, n_bins - 1).astype(int) + n_bins * np.arange(n_rows)[:, None]
    counts = np.bincount(bins.ravel(), minlength=n_rows * n_bins).reshape(n_rows, n_bins)
    return np.asarray(counts, dtype=np.float64)
