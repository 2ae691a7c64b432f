r"""Daubechies-4 wavelet coefficients of whole segments.

A level turns a signal into :math:`a_j = \sum_k h_k x_{2j+4-k}`, its coarse course, and
:math:`d_j = \sum_k g_k x_{2j+4-k}`, what that leaves out, with
:math:`g_k = (-1)^{k+1} h_{7-k}`; the next level takes :math:`a` for its signal. All levels together
are one linear map, which is computed as one: at the lengths of EEG tokens, a product with a matrix
takes less time than a cascade of strided convolutions (1600 segments, one thread: 128 samples 0.3
instead of 2.3 ms, 512 samples 5 instead of 8 ms; 2560 samples 129 instead of 102 ms).

Reference: "Ten lectures on wavelets", 1992, doi:10.1137/1.9781611970104, table 6.1.
"""

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError

LOW = (
    -0.010597401785069032, 0.0328830116668852, 0.030841381835560763, -0.18703481171909309,
    -0.027983769416859854, 0.6308807679298589, 0.7148465705529157, 0.2303778133088965,
)  # fmt: skip
"""Low-pass filter h of the analysis; its taps add up to the root of 2, their squares to 1."""

HIGH = tuple((-1) ** (k + 1) * tap for k, tap in enumerate(reversed(LOW)))
"""High-pass filter g; it answers no polynomial of degree 3 or below."""

Boundary = Literal["circular", "padded"]


def wavelet_depth(n_times: int) -> int:
    """Most levels that a signal of `n_times` samples has: the last one is as long as a filter.

    ``floor(log2(n_times / 7))``; 0 below 8 samples, where the coefficients are the signal.
    """
    return max(0, math.floor(math.log2(n_times / (len(LOW) - 1)))) if n_times >= len(LOW) else 0


def wavelet_matrix(n_times: int, *, boundary: Boundary = "circular") -> NDArray[np.float64]:
    """Matrix from a signal to its coefficients, coarsest first, (n_coefficients, n_times).

    Parameters
    ----------
    n_times
        Samples of the signal.
    boundary
        "circular" takes the signal for one period: a level of an even length is orthogonal and
        as long as the signal, and one of an odd length repeats the last sample first. So a length
        that 2 to the power of the depth divides has that many coefficients and keeps its energy;
        others have a few more (200: 201, 250: 252). "padded" lays 6 samples of the period on both
        sides of each level: 3 more coefficients a level (2560: 2610), which repeat what is there.
        So does the published net (PyWavelets and ptwt call these "periodization" and "periodic").

    Raises
    ------
    ConfigError
        Without a sample.
    """
    if n_times < 1:
        raise ConfigError(f"A wavelet transform of {n_times} samples is none. Ask for at least 1.")
    approximation, details = np.eye(n_times), []
    for _ in range(wavelet_depth(n_times)):
        approximation, detail = _level(approximation, boundary)
        details.append(detail)
    return np.concatenate([approximation, *reversed(details)])


def _level(
    x: NDArray[np.float64], boundary: Boundary
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coarse course and detail, each about (n_times / 2, ...), of a signal (n_times, ...)."""
    n_taps, n_times = len(LOW), len(x)
    if boundary == "circular":
        x = np.concatenate([x, x[-1:]]) if n_times % 2 else x
        first, n_out = -(n_taps // 2 - 1), len(x) // 2
    else:
        first, n_out = -(n_taps - 2), (n_times + n_taps - 1) // 2
    index = first + 2 * np.arange(n_out)[:, None] + np.arange(n_taps)
    windows = np.take(x, index, axis=0, mode="wrap")  #     (n_out, n_taps, ...)
    low, high = (np.array(taps[::-1]) for taps in (LOW, HIGH))
    return np.einsum("k,jk...->j...", low, windows), np.einsum("k,jk...->j...", high, windows)


class WaveletTransform(nn.Module):
    """Coefficients of segments: (..., n_times) to (..., n_coefficients); nothing is learned.

    No gradient passes to the signal, which is nobody's parameter.

    Parameters
    ----------
    n_times
        Samples of a segment.
    boundary
        As for `wavelet_matrix`.
    """

    matrix: Tensor  # (n_times, n_coefficients)

    def __init__(self, n_times: int, *, boundary: Boundary = "circular") -> None:
        super().__init__()
        matrix = wavelet_matrix(n_times, boundary=boundary).T
        self.n_coefficients = matrix.shape[1]
        columns = torch.tensor(matrix, dtype=torch.float32).contiguous()
        self.register_buffer("matrix", columns, persistent=False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Coefficients, coarsest first, in the type of the matrix."""
        # Before the offset of a recording is taken apart, bfloat16 would round away all the rest.
        with torch.autocast(x.device.type, enabled=False):
            return x.to(self.matrix.dtype) @ self.matrix
