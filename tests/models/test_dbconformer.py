import pytest
import torch
from torch.nn import functional

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.models.dbconformer import DBConformer


def spec(n_chans: int = 22, n_times: int = 1000, sfreq: float = 250.0) -> TaskSpec:
    names = tuple(f"E{i}" for i in range(n_chans))
    return TaskSpec(ch_names=names, n_times=n_times, sfreq=sfreq, n_outputs=2)


def n_params(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def test_sizes_are_those_of_the_paper() -> None:
    """Table II adds up to 93,747; the 92,066 of Table VIII is without channel attention."""
    assert n_params(DBConformer(spec())) == 93_747
    assert n_params(DBConformer(spec(), channel_attention=False)) == 92_066


@pytest.mark.parametrize(
    ("n_chans", "n_times", "sfreq", "n_patches"),
    [(22, 1001, 250.0, 8), (1, 512, 128.0, 8), (3, 333, 100.0, 7), (2, 40, 128.0, 1)],
)
def test_any_window_that_holds_the_filters_works(
    n_chans: int, n_times: int, sfreq: float, n_patches: int
) -> None:
    net = DBConformer(spec(n_chans, n_times, sfreq)).eval()
    x = torch.randn(3, n_chans, n_times)
    assert net.time_tokens(x).shape == (3, n_patches, 40)
    assert net.features(x).shape == (3, 80)
    assert net(x).shape == (3, 2)


def test_filters_cover_the_same_time_at_any_rate() -> None:
    for sfreq in (100.0, 128.0, 250.0, 512.0):
        net = DBConformer(spec(n_times=round(4 * sfreq), sfreq=sfreq))
        assert abs(net.filters.weight.shape[1] / sfreq - 0.252) <= 1 / sfreq
        assert net.patch_position.shape[0] == 8


def test_every_sample_counts_in_exactly_one_unit_of_patches() -> None:
    """Averages of averages are the mean of the window where patches divide it."""
    net = DBConformer(spec())
    torch.testing.assert_close(net.pool.sum(dim=1), torch.ones(8))
    assert (net.pool > 0).any(dim=0).all()
    x = torch.randn(2, 5, 333)
    pool = DBConformer(spec(n_times=333)).pool
    torch.testing.assert_close(x @ pool.T, functional.adaptive_avg_pool1d(x, len(pool)))


def test_attention_over_electrodes_adds_up_to_one() -> None:
    net, x = DBConformer(spec(5, 400, 100.0)).eval(), torch.randn(4, 5, 400)
    weights = net.channel_weights(x)
    assert weights.shape == (4, 5)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))
    alike = DBConformer(spec(5, 400, 100.0), channel_attention=False)
    torch.testing.assert_close(alike.channel_weights(x), torch.full((4, 5), 0.2))


def test_attention_finds_the_electrode_that_tells_the_classes_apart() -> None:
    torch.manual_seed(1)
    net = DBConformer(spec(6, 200, 100.0), dropout=0.1, head_dropout=(0.0, 0.0))
    x, y = torch.randn(48, 6, 200), torch.arange(48) % 2
    x[y == 1, 4] *= 3
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    net.eval()
    assert (net(x).argmax(dim=1) == y).float().mean() > 0.95
    assert net.channel_weights(x[y == 1]).mean(dim=0).argmax() == 4


def test_stem_is_the_plain_one_of_the_paper() -> None:
    """Convolutions over channels-first tensors, pooled by torch: the same numbers."""
    torch.manual_seed(0)
    net, x = DBConformer(spec(), depth=0, dropout=0.0), torch.randn(4, 22, 1000)
    z = net.mix_norm(functional.conv1d(x, net.mix.weight.unsqueeze(2)))
    z = functional.conv1d(z, net.filters.weight.unsqueeze(1), padding=31, groups=40)
    z = functional.avg_pool1d(functional.gelu(net.filters_norm(z)), 125)
    torch.testing.assert_close(net.time_tokens(x), z.mT + net.patch_position, atol=1e-4, rtol=1e-4)


def test_input_gradients_are_there_for_maps() -> None:
    net = DBConformer(spec(3, 200, 100.0)).eval()
    x = torch.randn(2, 3, 200, requires_grad=True)
    net(x)[:, 0].sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(dim=2) > 0).all()


def test_a_filter_longer_than_the_window_is_refused() -> None:
    with pytest.raises(SignalError, match=r"kernel=0.252 s is longer than the 0.1 s window"):
        DBConformer(spec(n_times=25))


def test_heads_must_share_the_width() -> None:
    with pytest.raises(ConfigError, match="width=40 cannot be shared among n_heads=3"):
        DBConformer(spec(), n_heads=3)
