"""What every backbone owes: any montage, absent channels, a task to learn from, and clear lines."""

import math

import pytest
import torch
from torch import Tensor, nn

from neurodecode.core.errors import SignalError
from neurodecode.core.options import keywords
from neurodecode.core.spec import TaskSpec
from neurodecode.models import BACKBONES, MODELS
from neurodecode.nn.foundation import Backbone, FoundationDecoder
from neurodecode.nn.lora import adapters, add_lora


def windows(net: Backbone, n_chans: int, n_segments: float = 3, n: int = 2) -> Tensor:
    """Rhythms that go on from segment to segment, in noise, microvolts."""
    draw = torch.Generator().manual_seed(0)
    n_times = round(n_segments * net.n_segment)
    t = torch.arange(n_times) / net.sfreq
    frequency = 4 + 20 * torch.rand(n, n_chans, 1, generator=draw)
    phase = 6.3 * torch.rand(n, n_chans, 1, generator=draw)
    noise = torch.randn(n, n_chans, n_times, generator=draw)
    return 20 * (2 * math.pi * frequency * t + phase).sin() + 5 * noise


def places(n_chans: int, *, n_unknown: int = 0) -> Tensor:
    """Electrodes on a sphere of 9.5 cm; the last ones of unknown position."""
    draw = torch.Generator().manual_seed(1)
    positions = 0.095 * nn.functional.normalize(torch.randn(n_chans, 3, generator=draw), dim=1)
    positions[n_chans - n_unknown :] = torch.nan
    return positions


@pytest.fixture(params=BACKBONES.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def net(name: str) -> Backbone:
    torch.manual_seed(0)
    built: Backbone = BACKBONES.get(name)()
    return built.eval()


def test_there_are_backbones() -> None:
    assert "mvpformer" in BACKBONES.names()


def test_summary_is_a_line(name: str) -> None:
    assert BACKBONES.summary(name).endswith((".", "?"))


def test_the_decoder_of_the_same_name_takes_the_same_options(name: str) -> None:
    ours, decoders = keywords(BACKBONES.get(name)), keywords(MODELS.get(name))
    assert {k: p.default for k, p in ours.items()}.items() <= {
        k: p.default for k, p in decoders.items()
    }.items()


@pytest.mark.parametrize("n_chans", [1, 3, 128])
@pytest.mark.parametrize("known", ["all", "some", "none", "unasked"])
def test_tokens_of_any_montage(net: Backbone, n_chans: int, known: str) -> None:
    n_unknown = {"all": 0, "some": n_chans // 2 + 1, "none": n_chans}.get(known, 0)
    positions = None if known == "unasked" else places(n_chans, n_unknown=n_unknown)
    with torch.inference_mode():
        tokens = net(windows(net, n_chans, 2), None, positions)
    assert tokens.shape == (2, 2, n_chans, net.width)
    assert tokens.dtype == torch.float32
    assert tokens.isfinite().all()
    assert tokens.std() > 1e-3


def test_unknown_positions_are_no_positions(net: Backbone) -> None:
    x = windows(net, 4)
    nowhere = torch.full((4, 3), torch.nan)
    torch.testing.assert_close(net(x, None, nowhere), net(x, None, None), atol=1e-5, rtol=1e-5)


def test_positions_of_a_batch_are_those_of_each_window(net: Backbone) -> None:
    x, positions = windows(net, 4), places(4, n_unknown=1)
    each = torch.stack([positions, positions])
    torch.testing.assert_close(net(x, None, each), net(x, None, positions), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_segments", [1.0, 1.3, 2.9])
def test_odd_lengths_keep_whole_segments_of_the_end(net: Backbone, n_segments: float) -> None:
    x = windows(net, 2, n_segments)
    whole = int(n_segments) * net.n_segment
    tokens = net(x)
    assert tokens.shape[1] == int(n_segments)
    torch.testing.assert_close(tokens, net(x[..., -whole:]))


def test_absent_channels_are_zero_and_change_nothing(net: Backbone) -> None:
    x, positions = windows(net, 5), places(5, n_unknown=1)
    present = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    x[0, 3:] = 1e4  # whatever stands there
    where = torch.stack([positions, positions])
    where[0, 3:] = torch.nan
    tokens = net(x, present, where)
    alone = net(x[:1, :3], None, positions[:3])
    torch.testing.assert_close(tokens[:1, :, :3], alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(tokens[1:], net(x[1:], None, positions), atol=1e-4, rtol=1e-4)
    assert not tokens[0, :, 3:].any()


def test_a_window_without_any_channel_is_zero(net: Backbone) -> None:
    tokens = net(windows(net, 2), torch.tensor([[False, False], [True, True]]), places(2))
    assert tokens.isfinite().all()
    assert not tokens[0].any()


def test_a_flat_channel_has_finite_tokens_and_gradients(net: Backbone) -> None:
    x = windows(net, 3)
    x[:, 1] = 0.0
    net.pretext()(x, None, None, torch.Generator().manual_seed(0))["loss"].backward()
    assert net(x).isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_it_says_the_same_again_and_alone(net: Backbone) -> None:
    x = windows(net, 3)
    assert torch.equal(net(x), net(x))
    torch.testing.assert_close(net(x[:1]), net(x)[:1], atol=1e-4, rtol=1e-4)


def test_amplitude_means_something(net: Backbone) -> None:
    x = windows(net, 2)
    assert not torch.allclose(net(x), net(10 * x), atol=1e-3)


def test_its_task_reaches_every_parameter(net: Backbone) -> None:
    task = net.pretext().train()
    for module in task.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    scalars = task(
        windows(net, 6, 4), None, places(6, n_unknown=2), torch.Generator().manual_seed(0)
    )
    assert getattr(task, "backbone", None) is net
    assert all(value.ndim == 0 and isinstance(value, Tensor) for value in scalars.values())
    assert scalars["loss"].isfinite()
    scalars["loss"].backward()
    learning = {n: p for n, p in task.named_parameters() if p.requires_grad}
    assert [n for n, p in learning.items() if p.grad is None or not p.grad.any()] == []


def test_its_task_draws_from_the_generator(net: Backbone) -> None:
    task = net.pretext().eval()
    x = windows(net, 4, 4)
    first, again, other = (
        task(x, None, None, torch.Generator().manual_seed(seed))["loss"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_its_task_ignores_absent_channels(net: Backbone) -> None:
    """Drawing may differ with the size of the batch, so what stands in their place is changed."""
    task = net.pretext().eval()
    x = windows(net, 5, 4)
    present = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    losses = []
    for filler in (0.0, 300.0):
        x[0, 3:] = filler
        losses.append(task(x, present, None, torch.Generator().manual_seed(0))["loss"])
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=1e-5)


def test_a_little_training_lowers_the_loss(net: Backbone) -> None:
    task = net.pretext().train()
    x, where = windows(net, 4, 5, n=6), places(4)
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-3)

    def loss() -> Tensor:
        value: Tensor = task(x, None, where, torch.Generator().manual_seed(0))["loss"]
        return value

    before = loss().item()
    for _ in range(15):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.95 * before


def test_adapters_fit(net: Backbone) -> None:
    x = windows(net, 2)
    before = net(x)
    add_lora(net, net.lora_targets)
    assert adapters(net)
    assert torch.equal(net(x), before)


def test_weights_go_from_one_to_another(net: Backbone, name: str) -> None:
    twin: Backbone = BACKBONES.get(name)().eval()
    twin.load_state_dict(net.state_dict())
    x = windows(net, 3)
    assert torch.equal(net(x), twin(x))
    memory = [value.data_ptr() for value in net.state_dict().values()]
    assert len(memory) == len(set(memory))  # safetensors holds no weights under two names


def test_a_window_shorter_than_a_segment_is_a_clear_line(net: Backbone) -> None:
    with pytest.raises(SignalError, match=r"A window of .* s holds no segment of .* s"):
        net(windows(net, 2, 0.9))


def test_more_channels_than_it_takes_is_a_clear_line(net: Backbone) -> None:
    if net.max_chans is None:
        assert net(windows(net, 129, 1, n=1)).isfinite().all()
        return
    with pytest.raises(SignalError, match=rf"{net.max_chans + 1} channels are more than the"):
        net(windows(net, net.max_chans + 1, 1, n=1))


def test_its_decoder_scores_windows_of_any_rate(name: str) -> None:
    spec = TaskSpec(
        ch_names=("C3", "Cz", "C4"),
        n_times=1501,
        sfreq=250.0,
        n_outputs=4,
        positions=tuple(tuple(p) for p in places(3).tolist()),
    )
    decoder = MODELS.get(name)(spec).eval()
    assert isinstance(decoder, FoundationDecoder)
    x = 20 * torch.randn(2, 3, 1501, generator=torch.Generator().manual_seed(0))
    x[1, 2] = torch.nan
    logits = decoder(x)
    assert logits.shape == (2, 4)
    assert logits.isfinite().all()
