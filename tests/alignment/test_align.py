import numpy as np
import pytest

from neurodecode.alignment import ALIGNERS, Aligner
from neurodecode.alignment.align import Mode, align, align_start, align_step
from neurodecode.core.errors import SignalError
from neurodecode.signal.covariance import covariances, inverse_sqrt

NAMES = ALIGNERS.names()


@pytest.fixture
def x() -> np.ndarray:
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((5, 5))
    scale = rng.uniform(0.5, 2, (12, 1, 1))
    return (20 * scale * np.matmul(mixing, rng.standard_normal((12, 5, 200)))).astype(np.float32)


def aligned(x: np.ndarray, aligner: Aligner, mode: Mode) -> np.ndarray:
    """Windows of one domain, none of which is trained on."""
    _, test = align(x, ["a"] * len(x), np.arange(0), np.arange(len(x)), aligner, mode)
    return np.asarray(test)


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_covariance_after_alignment_is_the_identity(name: str, x: np.ndarray) -> None:
    aligner = ALIGNERS.get(name)()
    out = aligned(x, aligner, "batch")
    np.testing.assert_allclose(aligner.mean(covariances(out)), np.eye(5), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["batch", "causal"])
def test_volts_and_microvolts_give_the_same(name: str, mode: str, x: np.ndarray) -> None:
    aligner = ALIGNERS.get(name)()
    micro = aligned(x, aligner, mode)
    volts = aligned(x.astype(float) * 1e-6, aligner, mode)
    np.testing.assert_allclose(micro, volts, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["batch", "causal"])
def test_data_of_reduced_rank_stay_finite_and_small(name: str, mode: str, x: np.ndarray) -> None:
    referenced = x - x.mean(axis=1, keepdims=True)
    out = aligned(referenced, ALIGNERS.get(name)(), mode)
    assert np.isfinite(out).all()
    assert np.abs(out).max() < 20


@pytest.mark.parametrize("name", NAMES)
def test_a_mixing_of_the_sources_is_undone_up_to_a_rotation(name: str, x: np.ndarray) -> None:
    """Whitened covariances of two mixings of the same sources have the same eigenvalues."""
    mixing = np.random.default_rng(1).standard_normal((5, 5))
    aligner = ALIGNERS.get(name)()
    first = covariances(aligned(x, aligner, "batch"))
    second = covariances(aligned(np.matmul(mixing, x), aligner, "batch"))
    np.testing.assert_allclose(
        np.linalg.eigvalsh(first), np.linalg.eigvalsh(second), rtol=0.02, atol=1e-3
    )


@pytest.mark.parametrize("name", NAMES)
def test_causal_alignment_ignores_the_future(name: str, x: np.ndarray) -> None:
    aligner, changed = ALIGNERS.get(name)(), x.copy()
    changed[6:] *= 3
    before = aligned(x, aligner, "causal")
    after = aligned(changed, aligner, "causal")
    np.testing.assert_array_equal(before[:6], after[:6])
    batch = [aligned(z, aligner, "batch")[:6] for z in (x, changed)]
    assert (batch[0] != batch[1]).any()


@pytest.mark.parametrize("name", NAMES)
def test_steps_give_what_the_whole_domain_gives(name: str, x: np.ndarray) -> None:
    aligner, state = ALIGNERS.get(name)(), align_start()
    whole = aligned(x, aligner, "causal")
    for window, expected in zip(x, whole, strict=True):
        out, state = align_step(window, state, aligner)
        np.testing.assert_array_equal(out, expected)
    np.testing.assert_allclose(state.mean, aligner.mean(covariances(x)), rtol=0.2)


@pytest.mark.parametrize("mode", ["batch", "causal"])
def test_training_windows_never_see_another_domain(mode: str, x: np.ndarray) -> None:
    domains = ["a"] * 6 + ["b"] * 6
    train, test = np.arange(6), np.arange(6, 12)
    aligner, changed = ALIGNERS.get("euclidean")(), x.copy()
    changed[6:] *= 5
    before, _ = align(x, domains, train, test, aligner, mode)
    after, _ = align(changed, domains, train, test, aligner, mode)
    np.testing.assert_array_equal(before, after)


def test_in_causal_mode_training_windows_never_see_test_windows_of_their_domain(
    x: np.ndarray,
) -> None:
    train, test = np.arange(0, 12, 2), np.arange(1, 12, 2)
    aligner, changed = ALIGNERS.get("euclidean")(), x.copy()
    changed[test] *= 5
    before, _ = align(x, ["a"] * 12, train, test, aligner, "causal")
    after, _ = align(changed, ["a"] * 12, train, test, aligner, "causal")
    np.testing.assert_array_equal(before, after)


def test_a_flat_window_is_refused(x: np.ndarray) -> None:
    x[3] = 0
    with pytest.raises(SignalError, match=r"1 of 12 windows are flat .*first: window 3"):
        covariances(x)


def test_inverse_sqrt_is_what_it_says() -> None:
    a = np.random.default_rng(0).standard_normal((4, 9))
    cov = a @ a.T
    w = inverse_sqrt(cov)
    np.testing.assert_allclose(w @ cov @ w, np.eye(4), atol=1e-9)


def test_windows_that_overlap_count_for_what_is_new_in_them() -> None:
    """Hops of a stream give about the mean of windows that touch, not ten times their number."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4000)) * np.array([[1.0], [2.0], [3.0]])
    aligner, dense, sparse = ALIGNERS.get("euclidean")(), align_start(), align_start()
    for stop in range(200, 4001, 20):
        _, dense = align_step(x[:, stop - 200 : stop], dense, aligner, new=0.1)
    for stop in range(200, 4001, 200):
        _, sparse = align_step(x[:, stop - 200 : stop], sparse, aligner)
    assert dense.n == pytest.approx(sparse.n)
    assert dense.mean is not None
    np.testing.assert_allclose(dense.mean, sparse.mean, rtol=0.05, atol=0.05)


def test_a_mean_with_memory_follows_a_change_and_one_without_does_not() -> None:
    rng, aligner = np.random.default_rng(0), ALIGNERS.get("euclidean")()
    short, long = align_start(), align_start()
    for i in range(200):
        x = rng.standard_normal((2, 100)) * (1.0 if i < 100 else 3.0)
        _, short = align_step(x, short, aligner, memory=10.0)
        _, long = align_step(x, long, aligner)
    assert short.mean is not None
    assert long.mean is not None
    assert np.trace(short.mean) / 2 == pytest.approx(9.0, rel=0.1)
    assert np.trace(long.mean) / 2 == pytest.approx(5.0, rel=0.1)
