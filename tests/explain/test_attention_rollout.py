"""Is it the attention that the layers use, followed through all of them?"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_decoders import N_CHANS, N_TIMES, SFREQ, Linear, axes, holding, noise, rhythm

from neurodecode.explain.attention_rollout import (
    attending,
    attention,
    attention_rollout,
    matrices,
    patches,
    rollout,
)
from neurodecode.explain.windows import Maps, Windows
from neurodecode.models import MODELS
from neurodecode.nn.transformer import TransformerLayer
from neurodecode.training.estimator import Decoder


def dbconformer(**options: object) -> Decoder:
    torch.manual_seed(0)
    return holding(MODELS.get("dbconformer")(holding(torch.nn.Identity()).spec_, **options))


def maps_of(decoder: Decoder, windows: Windows) -> Maps:
    maps = attention_rollout(decoder, windows)
    assert maps is not None
    return maps


def test_values_mixed_by_the_matrices_are_what_the_layer_mixes() -> None:
    torch.manual_seed(0)
    layer, x = TransformerLayer(12, n_heads=3).eval(), torch.randn(5, 7, 12)
    v = layer.query_key_value(x).view(5, 7, 3, 3, 4)[:, :, 2]
    mixed = torch.einsum("bhij,bjhf->bihf", matrices(layer, x), v).flatten(2)
    torch.testing.assert_close(layer.output(mixed), layer.attend(x))


def test_hooks_see_each_layer_once_and_are_gone_afterwards() -> None:
    layers = [TransformerLayer(4, n_heads=2).eval() for _ in range(3)]
    x = torch.randn(2, 5, 4)
    with attending(layers) as kept:
        for layer in layers:
            x = layer(x)
    assert [k.shape for k in kept] == [(2, 5, 5)] * 3
    layers[0](x)
    assert len(kept) == 3


def test_rollout_of_equal_attention_is_known() -> None:
    """Half stays at each layer; the rest is spread evenly: 2^-L I + (1 - 2^-L) / n."""
    n, depth = 5, 3
    found = rollout(np.full((2, depth, n, n), 1 / n))
    kept = 2.0**-depth
    np.testing.assert_allclose(found[0], kept * np.eye(n) + (1 - kept) / n)


def test_rollout_goes_from_the_last_layer_to_the_first() -> None:
    first, last = np.eye(3)[[1, 1, 1]], np.eye(3)[[2, 2, 2]]
    # Token 0 at the end holds what 2 holds after the first layer: half itself, half token 1.
    np.testing.assert_allclose(rollout(np.stack([first, last]))[0], [0.25, 0.5, 0.25])


@pytest.mark.parametrize("n_patches", [1, 4, 7])
def test_patches_and_bins_cover_each_other_whole(n_patches: int) -> None:
    of_bins, in_bins = patches(n_patches, axes())
    np.testing.assert_allclose(of_bins.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(in_bins.sum(axis=1), 1, rtol=1e-6)
    centre = in_bins @ axes().times
    middles = (np.arange(n_patches) + 0.5) * N_TIMES / SFREQ / n_patches
    np.testing.assert_allclose(centre, middles, atol=0.02)


def test_rows_add_up_to_one() -> None:
    kinds = maps_of(dbconformer(depth=3), noise()).kinds
    assert kinds["chan_chan"].shape == (2, N_CHANS, N_CHANS)
    for kind in ("chan", "time", "chan_chan", "time_time"):
        np.testing.assert_allclose(kinds[kind].sum(axis=-1), 1, rtol=1e-5)


def test_the_first_layer_attends_by_the_tokens_that_it_is_given() -> None:
    decoder, windows = dbconformer(), noise()
    net = decoder.model_
    found = attention(decoder, windows.x, "chan_layers")
    assert found is not None
    given: list[torch.Tensor] = []
    handle = net.chan_layers[0].register_forward_pre_hook(lambda part, x: given.append(x[0]))
    with torch.no_grad():
        net(torch.from_numpy(decoder.normalized(windows.x)))
        wanted = matrices(net.chan_layers[0], net.chan_layers[0].attention_norm(given[0]))
    handle.remove()
    np.testing.assert_allclose(found[:, 0], wanted.mean(dim=1).numpy(), atol=1e-5)


def test_all_eyes_are_on_the_moment_whose_key_is_large() -> None:
    decoder = dbconformer(depth=1)
    layer = decoder.model_.time_layers[0]
    position = decoder.model_.patch_position
    with torch.no_grad():
        layer.query_key_value.weight.zero_()
        layer.query_key_value.bias.fill_(1.0)  # queries of ones; keys read the first feature
        layer.query_key_value.weight[40:80, 0] = 20.0
        position.zero_()
        position[2, 0] = 1e3
    kinds = maps_of(decoder, noise()).kinds
    there = (axes().times > 1.0) & (axes().times < 1.5)  # the third of four patches
    assert (kinds["time_time"][:, :, there].sum(axis=2) > 0.99).all()
    # Rolled out, a token is half itself, and a quarter of the tokens are the third.
    np.testing.assert_allclose(kinds["time"][:, there].sum(axis=1), 0.5 + 0.5 / 4, rtol=0.01)


def test_a_permutation_of_channels_permutes_the_map() -> None:
    decoder, windows, order = dbconformer(), noise(), np.array([2, 0, 3, 1])
    kinds = maps_of(decoder, windows).kinds
    net = decoder.model_
    with torch.no_grad():
        net.chan_position.copy_(net.chan_position[torch.from_numpy(order)].clone())
        net.mix.weight.copy_(net.mix.weight[:, torch.from_numpy(order)].clone())
    moved = maps_of(decoder, replace(windows, x=windows.x[:, order])).kinds
    np.testing.assert_allclose(moved["chan"], kinds["chan"][:, order], rtol=1e-4)
    wanted = kinds["chan_chan"][:, order][:, :, order]
    np.testing.assert_allclose(moved["chan_chan"], wanted, rtol=1e-4)
    np.testing.assert_allclose(moved["time_time"], kinds["time_time"], rtol=1e-4)


def test_without_weights_electrodes_count_alike() -> None:
    decoder, windows = dbconformer(channel_attention=False), noise()
    over_chans = attention(decoder, windows.x, "chan_layers")
    assert over_chans is not None
    wanted = windows.by_class(rollout(over_chans).mean(axis=1))
    np.testing.assert_allclose(maps_of(decoder, windows).kinds["chan"], wanted, rtol=1e-5)


def test_attention_without_a_softmax_and_no_attention_have_no_maps() -> None:
    windows = rhythm()
    spiking = MODELS.get("spiking_dbconformer")(holding(torch.nn.Identity()).spec_)
    classical = Decoder("csp_lda", sfreq=SFREQ).fit(windows.x_train, windows.y_train)
    for decoder in (holding(spiking), holding(Linear(np.ones((N_CHANS, N_TIMES)))), classical):
        assert attention_rollout(decoder, windows) is None
