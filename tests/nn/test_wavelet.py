"""Wavelet coefficients against their definition, braindecode's, and what an orthogonal map owes."""

import math
import warnings
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError
from neurodecode.nn.wavelet import HIGH, LOW, WaveletTransform, wavelet_depth, wavelet_matrix

LENGTHS = [1, 7, 8, 9, 15, 31, 64, 100, 125, 128, 200, 250, 256, 333, 1000, 2560]

Array = NDArray[np.float64]


def by_definition(x: Array, boundary: str) -> Array:
    """a_j = sum_k h_k x_{2j+s-k}, sample by sample, on a signal that is periodic."""
    details: list[list[float]] = []
    course = list(x)
    for _ in range(wavelet_depth(len(x))):
        if boundary == "circular":
            course += course[-1:] if len(course) % 2 else []
            n, shift = len(course) // 2, 4
        else:
            n, shift = (len(course) + 7) // 2, 1
        period = len(course)

        index = [[(2 * j + shift - k) % period for k in range(8)] for j in range(n)]
        details.append(
            [sum(g * course[i] for g, i in zip(HIGH, row, strict=True)) for row in index]
        )
        course = [sum(h * course[i] for h, i in zip(LOW, row, strict=True)) for row in index]
    return np.array([*course, *(value for detail in reversed(details) for value in detail)])


def draw(n_times: int) -> Array:
    return np.random.default_rng(n_times).standard_normal(n_times)


def test_filters_are_daubechies() -> None:
    """Unit energy, orthogonal to their even shifts, and blind to polynomials of degree 3."""
    low, high = np.array(LOW), np.array(HIGH)
    assert math.isclose(low.sum(), math.sqrt(2), abs_tol=1e-12)
    for shift in (0, 2, 4, 6):
        expected = float(shift == 0)
        assert math.isclose(low[shift:] @ low[: 8 - shift], expected, abs_tol=1e-12)
        assert math.isclose(high[shift:] @ high[: 8 - shift], expected, abs_tol=1e-12)
    for degree in range(4):
        assert abs(high @ np.arange(8.0) ** degree) < 1e-8


@pytest.mark.parametrize(
    ("n_times", "depth"), [(1, 0), (7, 0), (8, 0), (14, 1), (200, 4), (256, 5), (2560, 8)]
)
def test_depth(n_times: int, depth: int) -> None:
    assert wavelet_depth(n_times) == depth


@pytest.mark.parametrize("boundary", ["circular", "padded"])
@pytest.mark.parametrize("n_times", LENGTHS)
def test_coefficients_are_those_of_the_definition(
    n_times: int, boundary: Literal["circular", "padded"]
) -> None:
    x = draw(n_times)
    matrix = wavelet_matrix(n_times, boundary=boundary)
    np.testing.assert_allclose(matrix @ x, by_definition(x, boundary), atol=1e-10)


@pytest.mark.parametrize(
    ("n_times", "n_coefficients"), [(128, 128), (200, 201), (250, 252), (1000, 1002), (2560, 2560)]
)
def test_lengths_that_are_not_halved_evenly_give_a_few_more(
    n_times: int, n_coefficients: int
) -> None:
    assert len(wavelet_matrix(n_times)) == n_coefficients


@pytest.mark.parametrize("n_times", [8, 16, 64, 128, 256, 384, 1280, 2560])
def test_even_lengths_keep_their_energy(n_times: int) -> None:
    x = torch.randn(5, n_times, generator=torch.Generator().manual_seed(0))
    energy = WaveletTransform(n_times)(x).square().sum(dim=1)
    torch.testing.assert_close(energy, x.square().sum(dim=1))
    matrix = wavelet_matrix(n_times)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(n_times), atol=1e-12)


def test_a_slow_wave_is_coarse_and_a_fast_one_is_fine() -> None:
    t = np.arange(256) / 256
    for frequency, level in ((2, 0), (100, -1)):
        energy = (wavelet_matrix(256) @ np.sin(2 * np.pi * frequency * t)) ** 2
        bounds = [0, 8, 16, 32, 64, 128, 256]  # course, then details from coarse to fine
        by_level = np.add.reduceat(energy, bounds[:-1])
        assert by_level[level] > 0.8 * energy.sum()


@pytest.mark.parametrize("n_times", [8, 33, 128, 200, 250, 2560])
def test_padded_is_what_braindecode_computes(n_times: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports
        from braindecode.functional import daubechies_filters, wavelet_decomposition
    x = torch.tensor(draw(n_times)[None], dtype=torch.float32)
    peer = wavelet_decomposition(x, daubechies_filters(4))
    ours = WaveletTransform(n_times, boundary="padded")(x)
    torch.testing.assert_close(ours, peer, atol=2e-6, rtol=1e-5)


def test_no_gradient_and_no_parameters() -> None:
    transform = WaveletTransform(64)
    x = torch.randn(2, 64, requires_grad=True)
    assert not transform(x).requires_grad
    assert list(transform.parameters()) == []
    assert transform.state_dict() == {}


def test_small_details_on_a_large_offset_survive_mixed_precision() -> None:
    transform = WaveletTransform(128)
    x = 500 + torch.randn(3, 128, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = transform(x)
    assert torch.equal(mixed, transform(x))


def test_no_sample_is_no_signal() -> None:
    with pytest.raises(ConfigError, match="transform of 0 samples is none"):
        wavelet_matrix(0)
