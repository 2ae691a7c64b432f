import numpy as np
import pytest

from neurodecode.signal.robust import clean_distribution, geometric_median


def test_the_median_of_points_resists_outliers() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 2, 3)) + 5
    points[:150] += 1e4
    assert np.abs(geometric_median(points) - 5).max() < 1


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_the_median_changes_with_the_unit(unit: float) -> None:
    points = np.random.default_rng(0).exponential(size=(200, 4))
    np.testing.assert_allclose(geometric_median(unit * points), unit * geometric_median(points))


def test_the_median_has_the_smallest_sum_of_distances() -> None:
    points = np.random.default_rng(0).exponential(size=(200, 3))
    median = geometric_median(points, tolerance=1e-10)
    cost = np.linalg.norm(points - median, axis=1).sum()
    for nearby in median + 1e-3 * np.eye(3):
        assert np.linalg.norm(points - nearby, axis=1).sum() > cost


def test_points_that_are_all_zero_have_a_median_of_zero() -> None:
    np.testing.assert_array_equal(geometric_median(np.zeros((4, 2))), 0)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
def test_the_clean_part_is_found_under_artifacts(share: float) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(10, 1, size=4000)
    n = round(share * len(values))
    values[:n] += rng.exponential(50, size=n) + 3
    mean, deviation = clean_distribution(values)
    assert mean == pytest.approx(10, abs=0.4)
    assert deviation == pytest.approx(1, abs=0.3)


def test_equal_values_have_no_deviation() -> None:
    assert clean_distribution(np.full(50, 3.0)) == (3.0, 0.0)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_few_values_give_something_finite(n: int) -> None:
    values = np.random.default_rng(n).uniform(1, 2, size=n)
    assert np.isfinite(clean_distribution(values)).all()
