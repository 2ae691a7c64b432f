"""Are the weights those with which the net adds up?"""

import numpy as np
import pytest
import torch
from toy_decoders import N_CHANS, N_TIMES, SFREQ, Linear, axes, holding, noise, rhythm

from neurodecode.explain.channel_attention import channel_attention, channel_attention_mean
from neurodecode.models import MODELS
from neurodecode.training.estimator import Decoder


class Weighing(torch.nn.Module):
    """Electrodes are weighed by their mean power."""

    channel_score = "power"

    def channel_weights(self, x: torch.Tensor) -> torch.Tensor:
        power = x.square().mean(dim=2)
        return power / power.sum(dim=1, keepdim=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.channel_weights(x)[:, :2]


def test_the_electrode_with_more_weight_for_a_class_stands_out_and_maps_mirror() -> None:
    maps = channel_attention(holding(Weighing()), rhythm(chan=2))
    assert maps is not None
    chan = maps.kinds["chan"]
    assert chan[1].argmax() == 2
    np.testing.assert_allclose(chan[0], -chan[1], atol=1e-6)
    np.testing.assert_allclose(chan.sum(axis=1), 0, atol=1e-6)


def test_weights_are_shares() -> None:
    maps = channel_attention_mean(holding(Weighing()), rhythm(chan=2))
    assert maps is not None
    np.testing.assert_allclose(maps.kinds["chan"].sum(axis=1), 1, rtol=1e-6)
    assert 1 < maps.facts["largest"] < N_CHANS
    assert maps.facts["flatness"] < 1


def test_equal_weights_are_flat() -> None:
    windows = noise()
    windows.x[:] = windows.x[:, :1]
    maps = channel_attention_mean(holding(Weighing()), windows)
    assert maps is not None
    assert maps.facts == pytest.approx({"flatness": 1, "largest": 1}, abs=1e-6)


@pytest.mark.parametrize("name", ["dbconformer", "spiking_dbconformer"])
def test_it_is_the_nets_own(name: str) -> None:
    torch.manual_seed(0)
    net, windows = MODELS.get(name)(holding(torch.nn.Identity()).spec_), noise()
    decoder = holding(net)
    maps = channel_attention_mean(decoder, windows)
    assert maps is not None
    with torch.no_grad():
        weights = net.channel_weights(torch.from_numpy(decoder.normalized(windows.x))).numpy()
    np.testing.assert_allclose(maps.kinds["chan"], windows.by_class(weights), rtol=1e-5)


def test_decoders_that_do_not_weigh_electrodes_have_none() -> None:
    windows = rhythm()
    alike = MODELS.get("dbconformer")(holding(torch.nn.Identity()).spec_, channel_attention=False)
    classical = Decoder("csp_lda", sfreq=SFREQ).fit(windows.x_train, windows.y_train)
    for decoder in (holding(alike), holding(Linear(np.ones((N_CHANS, N_TIMES)))), classical):
        assert channel_attention(decoder, windows) is None
        assert channel_attention_mean(decoder, windows) is None


def test_three_classes_are_held_against_their_mean() -> None:
    maps = channel_attention(holding(Weighing(), n_classes=3), noise(of=axes(3)))
    assert maps is not None
    np.testing.assert_allclose(maps.kinds["chan"].sum(axis=0), 0, atol=1e-6)
