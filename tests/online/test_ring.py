"""The newest samples are there in one piece, however they came."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurodecode.online.moments import Moments
from neurodecode.online.ring import Ring
from neurodecode.signal.covariance import covariances


@given(st.lists(st.integers(0, 70), min_size=1, max_size=40))
def test_the_last_samples_are_those_that_came_last(sizes: list[int]) -> None:
    x = np.arange(2 * sum(sizes), dtype=float).reshape(2, -1) * 1e-6
    ring, at = Ring(2, 20), 0
    for size in sizes:
        ring.append(x[:, at : at + size], np.arange(at, at + size) / 10)
        at += size
    assert ring.n == at
    n = min(20, at)
    np.testing.assert_allclose(ring.window(at, n), 1e6 * x[:, at - n : at], rtol=1e-6)
    np.testing.assert_allclose(ring.times()[-n:] if n else [], np.arange(at - n, at) / 10)
    if at:
        assert ring.time(at - 1) == (at - 1) / 10


def test_a_window_that_has_gone_is_not_made_up() -> None:
    ring = Ring(1, 10)
    ring.append(np.zeros((1, 25)), np.arange(25.0))
    with pytest.raises(AssertionError, match="not in the ring"):
        ring.window(5, 10)
    ring.clear()
    assert ring.n == 0
    assert not ring.times().size


@pytest.mark.parametrize(("n_times", "n_hop"), [(100, 10), (100, 7), (60, 60)])
def test_covariances_of_sliding_windows_are_those_of_the_windows(n_times: int, n_hop: int) -> None:
    x = (30 + np.random.default_rng(0).standard_normal((4, 500))).astype(np.float32)
    moments = Moments(4, n_times, n_hop)
    for stop in range(n_hop, 501, n_hop):
        moments.add(x[:, stop - n_hop : stop])
        if stop >= n_times:
            window = x[:, stop - n_times : stop]
            wanted = covariances(window[None])[0]
            np.testing.assert_allclose(moments.covariance(window), wanted, rtol=1e-9, atol=1e-9)
