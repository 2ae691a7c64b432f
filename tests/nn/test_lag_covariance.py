import pytest
import torch

from neurodecode.nn.lag_covariance import tap_moments


def of_windows(x: torch.Tensor, n_taps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same moments from every window, written out."""
    seen = x.double().unfold(2, n_taps, 1).reshape(-1, n_taps)
    return seen.mean(dim=0), torch.cov(seen.T, correction=0).reshape(n_taps, n_taps)


@pytest.mark.parametrize(
    ("n_times", "n_taps"), [(100, 8), (101, 7), (64, 64), (70, 64), (20, 1), (127, 63)]
)
def test_moments_are_those_of_all_windows(n_times: int, n_taps: int) -> None:
    x = 3 + torch.randn(4, 3, n_times, generator=torch.Generator().manual_seed(0)).double()
    if n_times == n_taps:
        x = torch.cat([x, x.roll(1, 2)])  # one window a signal
    for found, expected in zip(tap_moments(x, n_taps), of_windows(x, n_taps), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_weak_power_beside_strong_is_not_lost_in_single_precision() -> None:
    """A filter that stops a wave of amplitude 100 passes noise of amplitude 0.1."""
    t = torch.arange(1000) / 250
    draw = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(8, 4, 1000, generator=draw)
    x = noise + 100 * torch.sin(2 * torch.pi * 10 * t)
    w = torch.tensor([1.0, -2 * torch.cos(torch.tensor(2 * torch.pi * 10 / 250)), 1.0]).double()
    _, covariance = tap_moments(x, 3)
    expected = (of_windows(x, 3)[1] @ w) @ w
    assert float((covariance @ w) @ w / expected) == pytest.approx(1, rel=1e-3)
