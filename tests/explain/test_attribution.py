"""Is an attribution the same number, read along time or along frequency?"""

import numpy as np
import pytest
import torch
from toy_decoders import N_CHANS, N_TIMES, Linear, axes, noise

from neurodecode.explain.attribution import as_array, by_frequency, gradient, size_by_axis


@pytest.mark.parametrize("n_times", [1, 2, 7, 200, 201])
def test_the_sum_over_frequencies_is_the_sum_over_time(n_times: int) -> None:
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 5, 3, n_times)) + 0.5
    found = by_frequency(x, g)
    assert found.shape == (5, 3, n_times // 2 + 1)
    np.testing.assert_allclose(found.sum(axis=2), (x * g).sum(axis=2), atol=1e-10)


def test_a_sine_read_by_a_sine_counts_at_its_frequency_alone() -> None:
    t = np.arange(N_TIMES) / 100
    x, g = 3 * np.sin(2 * np.pi * 10 * t), 2 * np.sin(2 * np.pi * 10 * t)
    size = size_by_axis(x[None, None], g[None, None], axes(n_chans=1))
    at = int(np.argmin(np.abs(axes().freqs - 10)))
    assert size["freq"][0, at] == pytest.approx(3 * N_TIMES)  # 3 * 2 / 2 for each sample
    assert np.delete(size["freq"][0], at).max() < 1e-9


def test_all_kinds_are_parts_of_the_same_sum() -> None:
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 5, N_CHANS, N_TIMES))
    size = size_by_axis(x, g, axes())
    whole = np.abs(x * g).sum(axis=(1, 2))
    for kind in ("chan", "time"):
        np.testing.assert_allclose(size[kind].sum(axis=1), whole)
    np.testing.assert_allclose(size["chan_time"].sum(axis=2), size["chan"])
    np.testing.assert_allclose(size["chan_time"].sum(axis=1), size["time"])
    np.testing.assert_allclose(size["chan_freq"].sum(axis=1), size["freq"])


def test_the_gradient_of_a_linear_net_is_its_weights() -> None:
    weight = np.random.default_rng(0).standard_normal((N_CHANS, N_TIMES))
    net = Linear(weight)
    found = gradient(net, torch.from_numpy(noise(4).x), torch.tensor([0, 1, 0, 1]))
    sign = np.array([-1, 1, -1, 1])[:, None, None]
    np.testing.assert_allclose(as_array(found), 2 * sign * weight, rtol=1e-5)
    assert net.weight.grad is None


def test_an_absent_channel_has_no_part() -> None:
    assert as_array(torch.tensor([1.0, torch.nan])).tolist() == [1, 0]
