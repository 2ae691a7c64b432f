import pytest
import torch
from torch import nn

from neurodecode.core.errors import ConfigError
from neurodecode.nn.transformer import CrissCrossLayer, TransformerLayer


def test_layer_has_the_published_size() -> None:
    """Table II of arXiv:2506.21140: 19,720 parameters at width 40."""
    assert sum(p.numel() for p in TransformerLayer(40, n_heads=2).parameters()) == 19_720


def test_layer_is_the_pre_norm_layer_of_torch() -> None:
    torch.manual_seed(0)
    ours = TransformerLayer(12, n_heads=3)
    theirs = nn.TransformerEncoderLayer(
        12, 3, 48, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    pairs = {
        "self_attn.in_proj_weight": ours.query_key_value.weight,
        "self_attn.in_proj_bias": ours.query_key_value.bias,
        "self_attn.out_proj.weight": ours.output.weight,
        "self_attn.out_proj.bias": ours.output.bias,
        "norm1.weight": ours.attention_norm.weight,
        "norm1.bias": ours.attention_norm.bias,
    }
    for name, i in (("norm2", 0), ("linear1", 1), ("linear2", 4)):
        pairs |= {f"{name}.weight": ours.feedforward[i].weight}
        pairs |= {f"{name}.bias": ours.feedforward[i].bias}
    theirs.load_state_dict(pairs)
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(x), theirs(x))


def test_order_of_tokens_does_not_matter() -> None:
    torch.manual_seed(0)
    layer, x, order = TransformerLayer(8, n_heads=2), torch.randn(2, 6, 8), torch.randperm(6)
    torch.testing.assert_close(layer(x)[:, order], layer(x[:, order]))


def test_absent_tokens_change_no_other() -> None:
    torch.manual_seed(0)
    layer, x = TransformerLayer(8, n_heads=2), torch.randn(2, 6, 8)
    present = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    y = layer(x, present)
    torch.testing.assert_close(y[:1], layer(x[:1]))
    torch.testing.assert_close(y[1:, :4], layer(x[1:, :4]))
    assert layer(x, torch.zeros(2, 6, dtype=torch.bool)).isfinite().all()


def test_attention_alone_can_be_without_dropout() -> None:
    torch.manual_seed(0)
    layer, x = (
        TransformerLayer(8, n_heads=2, dropout=0.9, attention_dropout=0.0),
        torch.randn(1, 6, 8),
    )
    torch.testing.assert_close(layer.attend(x), layer.eval().attend(x))


def criss_cross(layer: CrissCrossLayer, x: torch.Tensor) -> torch.Tensor:
    """By its definition: a token sees its row with some heads, and its column with the others."""
    batch, n_segments, n_chans, width = x.shape
    n_heads = layer.n_heads
    q, k, v = layer.query_key_value(x).view(*x.shape[:3], 3, n_heads, -1).unbind(3)
    mixed = torch.zeros(batch, n_segments, n_chans, n_heads, width // n_heads)
    for t in range(n_segments):
        for c in range(n_chans):
            for h in range(n_heads):
                keys, values = (
                    a[:, :, c, h] if h < n_heads // 2 else a[:, t, :, h] for a in (k, v)
                )
                score = (keys * q[:, t, c, h, None].squeeze(1)[:, None]).sum(-1)
                weight = (score / (width // n_heads) ** 0.5).softmax(dim=1)
                mixed[:, t, c, h] = (weight[..., None] * values).sum(dim=1)
    return layer.output(mixed.flatten(3))  # type: ignore[no-any-return]


def test_criss_cross_is_attention_along_rows_and_columns() -> None:
    torch.manual_seed(0)
    layer, x = CrissCrossLayer(8, n_heads=4), torch.randn(2, 3, 5, 8)
    torch.testing.assert_close(layer.attend(x), criss_cross(layer, x))
    assert layer(x).shape == x.shape


def test_criss_cross_leaves_out_absent_channels() -> None:
    torch.manual_seed(0)
    layer, x = CrissCrossLayer(8, n_heads=4), torch.randn(2, 3, 5, 8)
    present = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    y = layer(x, present)
    torch.testing.assert_close(y[:1], layer(x[:1]))
    torch.testing.assert_close(y[1:, :, :3], layer(x[1:, :, :3]))


def test_criss_cross_needs_two_halves() -> None:
    with pytest.raises(ConfigError, match="halves its heads, and 3 is odd"):
        CrissCrossLayer(9, n_heads=3)
