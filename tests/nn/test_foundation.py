"""A backbone with a head: any rate, any montage, nothing from channels that are absent."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neurodecode.core.errors import SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.nn.foundation import Backbone, FoundationDecoder, Head


class Powers(Backbone):
    """Tokens are the log power of a segment, times learned numbers."""

    sfreq, n_segment, width, max_chans = 100.0, 50, 6, 16

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, self.width))

    def forward(
        self, x: Tensor, present: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        power = self.segments(x).square().mean(dim=-1, keepdim=True)
        tokens = (power + 1).log() * self.weight
        return tokens if present is None else tokens * present[:, None, :, None]


def spec(n_chans: int = 4, n_times: int = 200, sfreq: float = 100.0) -> TaskSpec:
    names = tuple(f"E{i}" for i in range(n_chans))
    return TaskSpec(ch_names=names, n_times=n_times, sfreq=sfreq, n_outputs=3)


@pytest.mark.parametrize("pool", ["last", "mean"])
def test_absent_channels_change_nothing(pool: str) -> None:
    net = FoundationDecoder(Powers(), spec(), pool=pool)  # type: ignore[arg-type]
    x = torch.randn(5, 4, 200)
    x[1:, 2:] = torch.nan
    alone = net(x[1:2])
    torch.testing.assert_close(net(x)[1:2], alone)
    more = torch.cat([x, torch.full((5, 3, 200), torch.nan)], dim=1)
    torch.testing.assert_close(net(more), net(x))
    assert torch.isfinite(net(x)).all()


def test_a_pool_over_channels_needs_all_of_them() -> None:
    net = FoundationDecoder(Powers(), spec(), pool="channels")
    x = torch.randn(2, 4, 200)
    assert net(x).shape == (2, 3)
    x[0, 3] = torch.nan
    with pytest.raises(SignalError, match="needs the same channels in all windows"):
        net(x)


def test_pools_are_means_over_channels_that_are_there() -> None:
    net = FoundationDecoder(Powers(), spec(), pool="mean")
    x = torch.randn(2, 4, 200)
    x[0, 3] = torch.nan
    tokens = net.backbone(x[:1, :3])
    torch.testing.assert_close(net.features(x)[:1], tokens.mean(dim=(1, 2)))
    last = FoundationDecoder(Powers(), spec(), pool="last")
    torch.testing.assert_close(last.features(x)[:1], tokens[:, -1].mean(dim=1))


def test_another_rate_is_resampled() -> None:
    at_100 = FoundationDecoder(Powers(), spec(n_times=200, sfreq=100))
    at_250 = FoundationDecoder(Powers(), spec(n_times=500, sfreq=250))

    def wave(sfreq: float) -> Tensor:
        t = np.arange(round(2 * sfreq)) / sfreq
        return torch.tensor(20 * np.sin(2 * np.pi * 11 * t), dtype=torch.float32).expand(1, 4, -1)

    torch.testing.assert_close(
        at_250.features(wave(250)), at_100.features(wave(100)), rtol=2e-3, atol=2e-3
    )


def test_odd_lengths_keep_the_end() -> None:
    net = FoundationDecoder(Powers(), spec(n_times=217))
    x = torch.randn(1, 4, 217)
    other = x.clone()
    other[..., :17] = 100.0
    torch.testing.assert_close(net(x), net(other))


def test_a_window_shorter_than_a_segment_is_refused_when_built() -> None:
    with pytest.raises(SignalError, match=r"A window of 0\.3 s holds no segment of 0\.5 s"):
        FoundationDecoder(Powers(), spec(n_times=30))


def test_too_many_channels_are_refused_when_built() -> None:
    with pytest.raises(SignalError, match="17 channels are more than the 16 that Powers takes"):
        FoundationDecoder(Powers(), spec(n_chans=17))


def test_the_head_sees_standardised_features() -> None:
    head = Head(3, 2)
    features = torch.randn(50, 3) * torch.tensor([1.0, 100.0, 0.0]) + 5
    head.standardize(features)
    seen = (features - head.mean) / head.scale
    torch.testing.assert_close(seen[:, :2].std(dim=0, correction=0), torch.ones(2))
    torch.testing.assert_close(seen.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)


def test_absent_channels_may_stand_anywhere() -> None:
    net = FoundationDecoder(Powers(), spec())
    x = torch.randn(3, 4, 200)
    x[0, 1] = torch.nan
    torch.testing.assert_close(net(x)[:1], net(x[:1, [0, 2, 3]]))
