"""DeeperBrain: amplitude, places, absent channels, and what its pretraining learns."""

import logging
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.models import BACKBONES, MODELS
from neurodecode.models.deeperbrain import (
    DeeperBrainBackbone,
    DeeperBrainPretext,
    PatchEmbedding,
    deeperbrain,
)

SMALL: dict[str, Any] = {"width": 32, "depth": 2, "n_heads": 4}


def backbone(**options: Any) -> DeeperBrainBackbone:
    torch.manual_seed(0)
    return DeeperBrainBackbone(**{**SMALL, **options}).eval()


def places(n: int = 6) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return 0.095 * torch.nn.functional.normalize(torch.randn(n, 3, generator=draw), dim=1)


def noise(*shape: int) -> Tensor:
    return 20 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def rhythms(n: int, seed: int, *, n_chans: int = 6, n_times: int = 512) -> Tensor:
    """Windows of one rhythm, 6, 10 or 20 Hz and more or less strong, in noise."""
    draw = torch.Generator().manual_seed(seed)
    frequency = torch.tensor([6.0, 10.0, 20.0])[torch.randint(3, (n, 1, 1), generator=draw)]
    size = 40 * torch.rand(n, 1, 1, generator=draw)
    phase = 6.3 * torch.rand(n, 1, 1, generator=draw)
    t = torch.arange(n_times) / 128
    lag = 0.3 * torch.arange(n_chans)[:, None]
    wave = (2 * math.pi * frequency * t + phase - lag).sin()
    return size * wave + 10 * torch.randn(n, n_chans, n_times, generator=draw)


def test_sizes_are_those_of_the_variants() -> None:
    tiny, base = DeeperBrainBackbone(), BACKBONES.get("deeperbrain:base")()
    assert (tiny.sfreq, tiny.n_segment, tiny.width, len(tiny.layers)) == (128, 128, 128, 4)
    assert (base.sfreq, base.n_segment, base.width, len(base.layers)) == (200, 200, 200, 12)
    assert (
        sum(p.numel() for p in tiny.parameters()) < 1e6 < sum(p.numel() for p in base.parameters())
    )


@pytest.mark.parametrize("attention", ["joint", "criss-cross"])
@pytest.mark.parametrize("reference", ["montage", "template"])
def test_channels_may_come_in_any_order(attention: str, reference: str) -> None:
    net, x, p = backbone(attention=attention, reference=reference), noise(2, 6, 512), places()
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        net(x[:, order], None, p[order]), net(x, None, p)[:, :, order], atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("attention", ["joint", "criss-cross"])
@pytest.mark.parametrize("reference", ["montage", "template"])
def test_absent_channels_change_nothing(attention: str, reference: str) -> None:
    net, x, p = backbone(attention=attention, reference=reference), noise(2, 6, 512), places()
    present = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    tokens = net(x, present, p)
    torch.testing.assert_close(tokens[:1], net(x[:1], None, p), atol=1e-5, rtol=1e-5)
    alone = net(x[1:, :4], None, p[:4])
    torch.testing.assert_close(tokens[1:, :, :4], alone, atol=1e-5, rtol=1e-5)
    assert not tokens[1, :, 4:].any()
    assert net(x, torch.zeros(2, 6, dtype=torch.bool), p).eq(0).all()


def test_attentions_are_different_nets_of_the_same_parameters() -> None:
    joint, cross = backbone(attention="joint"), backbone(attention="criss-cross")
    cross.load_state_dict(joint.state_dict())
    x = noise(1, 3, 384)
    assert not torch.allclose(joint(x), cross(x), atol=1e-3)


def test_a_token_sees_other_channels_at_other_times() -> None:
    """Two layers of criss-cross attention reach everything."""
    net, x = backbone(), noise(1, 3, 512)
    other = x.clone()
    other[0, 2, :128] *= -2
    assert not torch.allclose(net(x)[0, 3, 0], net(other)[0, 3, 0], atol=1e-5)


def test_where_a_channel_is_matters() -> None:
    net, x, p = backbone(), noise(1, 6, 256), places()
    assert not torch.allclose(net(x, None, p), net(x, None, p.flip(0)), atol=1e-3)


def test_unknown_positions_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    net, p = backbone(), places()
    p[4:] = torch.nan
    with caplog.at_level(logging.WARNING):
        net(noise(1, 6, 128), None, places())
        assert caplog.text == ""
        net(noise(1, 6, 128), None, p)
        net(noise(1, 6, 128), None, p)
    assert caplog.text.count("2 of 6 channels have no position") == 1
    torch.testing.assert_close(net(noise(1, 6, 128)), net(noise(1, 6, 128), None, p * torch.nan))


@pytest.mark.parametrize("n_segment", [8, 50, 101, 128, 200])
def test_patches_of_any_length_are_embedded(n_segment: int) -> None:
    patches = torch.randn(2, 3, n_segment)
    net = PatchEmbedding(n_segment, 32)
    assert net(patches).shape == (2, 3, 32)
    torch.testing.assert_close(net(patches)[1, 2], net(patches[1:, 2:])[0, 0])


def test_amplitude_reaches_the_tokens_evenly() -> None:
    """Each doubling moves a token alike: from 5 to 500 microvolts nothing saturates."""
    net, x = PatchEmbedding(128, 32), torch.randn(128)
    levels = [net.power((s * x).square().mean().log()[None] / 2) for s in (0.25, 0.5, 5.0, 10.0)]
    torch.testing.assert_close(levels[1] - levels[0], levels[3] - levels[2], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 30}, "width=30 cannot be shared among n_heads=4"),
        ({"width": 33, "n_heads": 3}, "n_heads, or attention = 'joint'"),
        ({"segment": 0.02}, r"segment = 0\.02 s is 3 samples at 128 Hz"),
        ({"tau": 0.3}, "between 0.01 and 0.06"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        backbone(**options)


@pytest.mark.parametrize("mask_ratio", [0.0, 1.0])
def test_a_mask_of_nothing_or_all_is_refused(mask_ratio: float) -> None:
    with pytest.raises(ConfigError, match="is a share of patches"):
        backbone().pretext(mask_ratio=mask_ratio)


def test_half_of_the_patches_that_are_there_are_masked() -> None:
    task = backbone().pretext()
    patches = torch.zeros(3, 4, 6, 128)
    present = torch.tensor([[True] * 6, [True] * 3 + [False] * 3, [True] + [False] * 5])
    masked = task._draw(patches, present, torch.Generator().manual_seed(0))
    assert masked.sum(dim=(1, 2)).tolist() == [12, 6, 2]
    assert not masked[1, :, 3:].any()
    assert not masked[2, :, 1:].any()
    one = task._draw(patches[:1, :1, :1], None, None)
    assert one.all()  # a single patch is masked


def test_a_masked_patch_is_not_seen() -> None:
    task = backbone().pretext().eval()
    patches = task.backbone.segments(noise(2, 4, 512))
    masked = task._draw(patches, None, torch.Generator().manual_seed(0))[..., None]
    tokens = task._encode(patches, masked[..., 0], None, None)
    hidden = torch.where(masked, -3 * patches, patches)
    torch.testing.assert_close(task._encode(hidden, masked[..., 0], None, None), tokens)
    shown = torch.where(masked, patches, -3 * patches)
    assert not torch.allclose(task._encode(shown, masked[..., 0], None, None), tokens)


def test_losses_add_up_and_drawing_can_be_repeated() -> None:
    task = backbone().pretext(statistics_weight=0.5).eval()
    x = noise(4, 6, 512)

    def losses(seed: int) -> dict[str, Tensor]:
        found: dict[str, Tensor] = task(x, None, places(), torch.Generator().manual_seed(seed))
        return found

    first = losses(0)
    torch.testing.assert_close(first["loss"], first["mer"] + 0.5 * first["nsp"])
    torch.testing.assert_close(first["loss"], losses(0)["loss"])
    assert first["mer"] != losses(1)["mer"]
    assert set(first) == {
        "loss", "mer", "nsp", "explained", "corr_power", "corr_plv", "corr_entropy",
    }  # fmt: skip
    assert all(value.ndim == 0 and value.isfinite() for value in first.values())


def test_targets_are_normalised_and_gamma_is_missing_at_128_hz() -> None:
    task = backbone().pretext().train()
    x = rhythms(40, 0)
    for batch in torch.split(x, 8):
        task(batch, None, places())
    z = task.eval()._targets(x, None)
    missing = {name for name, column in zip(task.names, z.T, strict=True) if column.isnan().all()}
    assert missing == {"power.gamma", "plv.gamma.mean", "plv.gamma.sd"}
    rest = z[:, ~z.isnan().all(dim=0)]
    torch.testing.assert_close(rest.mean(dim=0), torch.zeros(13), atol=1e-4, rtol=0)
    torch.testing.assert_close(rest.std(dim=0, correction=0), torch.ones(13), atol=1e-3, rtol=0)
    before = {name: value.clone() for name, value in task.moments.state_dict().items()}
    task(x[:8], None, places())
    for name, value in task.moments.state_dict().items():
        assert torch.equal(value, before[name])  # evaluation learns nothing


def test_coupling_and_connectivity_are_options() -> None:
    task = backbone(variant="base").pretext(connectivity="wpli", coupling="modulation_index")
    found = task(noise(3, 3, 800), None, None)
    assert {"corr_wpli", "corr_coupling"} <= set(found)
    assert found["loss"].isfinite()


def test_one_window_of_one_channel_and_one_patch_is_a_task() -> None:
    found = backbone().pretext()(noise(1, 1, 128))
    assert all(value.isfinite() for value in found.values())
    found["loss"].backward()


def test_it_learns_to_predict_statistics_of_what_it_has_not_seen() -> None:
    torch.manual_seed(0)
    task: DeeperBrainPretext = backbone(dropout=0.0, depth=1).pretext().train()
    size: dict[str, int] = {"n_chans": 3, "n_times": 384}
    x, where = rhythms(64, 0, **size), places(3)
    draw = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(task.parameters(), lr=5e-3)
    for _ in range(8):
        for batch in torch.split(x[torch.randperm(64, generator=draw)], 8):
            optimizer.zero_grad()
            task(batch, None, where, draw)["loss"].backward()
            optimizer.step()
    with torch.inference_mode():
        found = task.eval()(rhythms(64, 1, **size), None, where, draw)
    assert found["corr_power"] > 0.8
    assert found["corr_entropy"] > 0.6
    assert found["corr_plv"] > 0.3


def test_decoder_says_what_to_do_with_windows_that_are_too_short() -> None:
    spec = TaskSpec(ch_names=("Cz",), n_times=100, sfreq=250.0, n_outputs=2)
    with pytest.raises(SignalError, match="Cut longer windows"):
        deeperbrain(spec)


def test_decoder_resamples_and_reads_positions() -> None:
    names = ("C3", "Cz", "C4")
    where = tuple(tuple(float(v) for v in p) for p in places(3))
    spec = TaskSpec(ch_names=names, n_times=500, sfreq=125.0, n_outputs=3, positions=where)  # type: ignore[arg-type]
    net = MODELS.get("deeperbrain")(spec, **SMALL, pool="mean").eval()
    x = noise(2, 3, 500)
    x[1, 2] = torch.nan
    assert net(x).shape == (2, 3)
    assert net(x).isfinite().all()
