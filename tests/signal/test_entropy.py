"""Sample entropy: the definition, and signals whose entropy is known."""

import math
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError
from neurodecode.signal.entropy import sample_entropy


def by_definition(x: NDArray[np.float64], m: int, r: float) -> float:
    tolerance, n = r * x.std(), len(x)
    pieces = np.stack([x[i : i + m + 1] for i in range(n - m)])
    apart = np.abs(pieces[:, None] - pieces[None])
    pairs = np.triu(np.ones((n - m, n - m), dtype=bool), 1)
    alike = int(((apart[..., :m].max(axis=-1) <= tolerance) & pairs).sum())
    longer = int(((apart.max(axis=-1) <= tolerance) & pairs).sum())
    if longer == 0:
        return math.log((n - m) * (n - m - 1) / 2)
    return -math.log(longer / alike)


@pytest.mark.parametrize(("m", "r"), [(2, 0.2), (1, 0.15), (3, 0.5)])
def test_it_is_that_of_the_definition(m: int, r: float) -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.standard_normal(90), np.cumsum(rng.standard_normal(90))])
    expected = [by_definition(row, m, r) for row in x]
    np.testing.assert_allclose(sample_entropy(x, m=m, r=r), expected, rtol=1e-12)


@pytest.mark.parametrize("r", [0.2, 0.5])
def test_white_noise(r: float) -> None:
    x = np.random.default_rng(0).standard_normal((40, 1000))
    expected = -math.log(math.erf(r / 2))
    assert sample_entropy(x, r=r).mean() == pytest.approx(expected, abs=0.02)


def test_the_past_of_a_sine_tells_its_future() -> None:
    t = np.arange(1000)
    sine = np.sin(2 * np.pi * t / 31.7)
    noisy = sine + 0.5 * np.random.default_rng(0).standard_normal(1000)
    values = sample_entropy(np.stack([sine, noisy]))
    assert values[0] < 0.25
    assert values[1] > 1


def test_a_constant_has_none() -> None:
    values = sample_entropy(np.full((2, 100), 3.0))
    np.testing.assert_array_equal(values, 0)
    assert not np.signbit(values).any()


def test_unit_and_offset_do_not_matter() -> None:
    x = np.random.default_rng(0).standard_normal(300)
    assert sample_entropy(1e-6 * x + 1) == pytest.approx(sample_entropy(x))


def test_where_nothing_is_alike_it_is_the_most_that_could_be_seen() -> None:
    x = 2.0 ** np.arange(12)
    x[::2] *= -1
    assert sample_entropy(x, r=1e-6) == pytest.approx(math.log(10 * 9 / 2))


def test_counts_do_not_overflow_a_byte() -> None:
    """Each sample of a slow square wave is alike hundreds of others."""
    x = np.tile(np.repeat([0.0, 1.0], 300), 2)
    assert sample_entropy(x) == pytest.approx(by_definition(x, 2, 0.2), rel=1e-9)


def test_shape_is_kept() -> None:
    x = np.random.default_rng(0).standard_normal((2, 70, 3, 64))
    values = sample_entropy(x)
    assert values.shape == (2, 70, 3)
    assert values[1, 5, 2] == sample_entropy(x[1, 5, 2])


def test_too_short_is_refused() -> None:
    with pytest.raises(SignalError, match="pieces of 2 samples needs 4; these windows have 3"):
        sample_entropy(np.zeros((2, 3)))


def test_many_at_once_are_fast() -> None:
    x = np.random.default_rng(0).standard_normal((256, 128))
    start = time.process_time()
    sample_entropy(x)
    assert time.process_time() - start < 0.5  # 0.03 s; one by one, in plain numpy, 1.6 s
