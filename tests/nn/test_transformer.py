import torch
from torch import nn

from neurodecode.nn.transformer import TransformerLayer


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
