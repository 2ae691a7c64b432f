"""What every denoiser owes, whatever is inside."""

import pytest
import torch
from torch import Tensor, nn

from neurodecode.core.errors import SignalError
from neurodecode.models import DENOISERS
from neurodecode.models.art import PLACES, Art, arrange

SMALL = {"art": {"width": 32, "n_heads": 2, "depth": 1}, "atat": {"width": 16, "depth": 1}}
SIZES = {"tinyconv": (3_000, 6_000), "atat": (100_000, 600_000), "art": (500_000, 750_000)}


def directions(n_chans: int) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return nn.functional.normalize(torch.randn(n_chans, 3, generator=draw), dim=1)


def windows(n: int, n_chans: int, n_times: int) -> Tensor:
    return torch.randn(n, n_chans, n_times, generator=torch.Generator().manual_seed(0))


def awake(net: nn.Module) -> nn.Module:
    """The net with a last layer that is not zero any more."""
    for weight in net.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.1)
    return net


@pytest.fixture(params=DENOISERS.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def net(name: str) -> nn.Module:
    torch.manual_seed(0)
    built: nn.Module = DENOISERS.get(name)(**SMALL.get(name, {}))
    return built


def test_there_are_denoisers() -> None:
    assert set(SIZES) <= set(DENOISERS.names())


def test_size(name: str) -> None:
    n = sum(p.numel() for p in DENOISERS.get(name)().parameters())
    low, high = SIZES[name]
    assert low < n < high


def test_untrained_it_changes_nothing(net: nn.Module) -> None:
    x = windows(2, 5, int(net.n_times))
    torch.testing.assert_close(net.eval()(x, directions(5)), x, atol=0, rtol=0)


def test_shape_and_finite(net: nn.Module) -> None:
    x = windows(2, 5, int(net.n_times))
    y = awake(net).eval()(x, directions(5))
    assert y.shape == x.shape
    assert y.isfinite().all()
    assert not torch.equal(x, y)


def test_a_window_is_cleaned_alike_alone_and_in_a_batch(net: nn.Module) -> None:
    x = windows(3, 5, int(net.n_times))
    awake(net).eval()
    alone = net(x[1:2], directions(5))
    torch.testing.assert_close(alone, net(x, directions(5))[1:2], atol=1e-5, rtol=1e-5)


def test_the_order_of_channels_means_nothing(net: nn.Module) -> None:
    x, where = windows(2, 6, int(net.n_times)), directions(6)
    turn = torch.tensor([3, 1, 5, 0, 2, 4])
    awake(net).eval()
    torch.testing.assert_close(
        net(x, where)[:, turn], net(x[:, turn], where[turn]), atol=1e-5, rtol=1e-4
    )


def test_every_parameter_is_reached_by_the_gradient(net: nn.Module) -> None:
    x = windows(2, 6, int(net.n_times))
    awake(net).train()
    loss = net(x, directions(6)).square().mean()
    if hasattr(net, "copy"):
        loss = loss + net.copy(x).square().mean()
    if hasattr(net, "nowhere"):
        loss = loss + net(x, None).square().mean()
    loss.backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_paper_size_of_art() -> None:
    """The same layers in stock modules have 2,517,022 parameters at 30 channels."""
    assert sum(p.numel() for p in Art(variant="paper").parameters()) == 2_517_022


def test_art_needs_positions() -> None:
    with pytest.raises(SignalError, match="positions"):
        Art()(windows(1, 3, 512), None)


def test_art_is_never_given_the_clean_window() -> None:
    """The published training fed the target to the decoder; here there is no way to pass it."""
    net = awake(Art(variant="paper", width=16, n_heads=2, hidden=16)).eval()
    x = windows(1, 4, 1024)
    later = x.clone()
    later[..., 600:] += 1
    changed = (net(x, directions(4)) - net(later, directions(4)))[..., :600]
    assert changed.abs().max() > 0  # it sees the whole noisy window, not only the past


@pytest.mark.parametrize("n_chans", [1, 2, 19, 30, 64])
def test_every_channel_has_a_place_of_its_own(n_chans: int) -> None:
    layout, passes, places = arrange(directions(n_chans).double().numpy())
    assert len(set(zip(passes, places, strict=True))) == n_chans
    assert len(layout) == -(-n_chans // len(PLACES))
    for channel in range(n_chans):
        row = layout[passes[channel], places[channel]]
        assert row[channel] == 1
        assert abs(row).sum() == 1


def test_atat_leaves_alone_what_its_autoencoder_reproduces() -> None:
    net = awake(DENOISERS.get("atat")(**SMALL["atat"])).eval()
    net.autoencoder = nn.Identity()  # a perfect copy
    x = windows(2, 5, 512)
    torch.testing.assert_close(net(x, directions(5)), x, atol=0, rtol=0)


def test_atat_works_where_the_copy_fails_and_fades() -> None:
    net = awake(DENOISERS.get("atat")(**SMALL["atat"])).eval()
    x = windows(1, 2, 512)
    spoiled = x.clone()
    spoiled[0, 0, 256:320] *= -1
    gate = net.gate(net.agreement(x, spoiled))
    assert (gate[0, 0, 256:320] == 1).all()
    assert (gate[0, 0, :160] == 0).all()
    assert (gate[0, 1] == 0).all()
    assert gate[0, 0].diff().abs().max() < 0.05
