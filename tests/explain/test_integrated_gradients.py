"""Do attributions add up, and lie where the net looks?"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_decoders import N_CHANS, N_TIMES, SFREQ, Linear, Power, axes, holding, noise, rhythm

from neurodecode.explain.integrated_gradients import integrated_gradients, paths
from neurodecode.explain.margin import margins
from neurodecode.explain.windows import Maps, Windows
from neurodecode.models import MODELS
from neurodecode.training.estimator import Decoder


def maps_of(net: torch.nn.Module, windows: Windows) -> Maps:
    maps = integrated_gradients(holding(net), windows)
    assert maps is not None
    return maps


def test_attributions_of_a_window_add_up_to_its_margin_less_that_of_silence() -> None:
    windows = noise()
    decoder = holding(MODELS.get("dbconformer")(holding(Linear(np.ones((1, 1)))).spec_))
    silent = margins(decoder, 0 * windows.x, windows.y)
    owed = margins(decoder, windows.x, windows.y) - silent
    x, g, rise = (np.concatenate(a) for a in zip(*paths(decoder, windows), strict=True))
    np.testing.assert_allclose(rise, owed, atol=1e-5)
    np.testing.assert_allclose((x * g).sum(axis=(1, 2)), owed, atol=0.02 * np.abs(owed).mean())


def test_the_error_of_completeness_is_told() -> None:
    square = maps_of(Power(), rhythm())
    assert square.facts["completeness_error"] < 1e-4  # a quadrature of 24 points is exact here

    class Step(torch.nn.Module):
        """A slope that is not that of the function, as in spiking nets."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            total = x.sum(dim=(1, 2))
            logit = torch.sign(total) + 0.01 * (total - total.detach())
            return torch.stack([-logit, logit], dim=1)

    assert maps_of(Step(), noise()).facts["completeness_error"] > 0.1


def test_of_a_linear_net_it_is_weight_times_input() -> None:
    weight = np.random.default_rng(0).standard_normal((N_CHANS, N_TIMES))
    windows = noise()
    maps = maps_of(Linear(weight), windows)
    size = np.abs(2 * weight * windows.x / 5).sum(axis=2)
    np.testing.assert_allclose(maps.kinds["chan"], windows.by_class(size), rtol=1e-4)


def test_all_of_it_lies_in_the_channel_and_the_band_that_the_net_reads() -> None:
    kinds = maps_of(Power(chan=2, hz=10.0), rhythm(chan=2, hz=10.0)).kinds
    assert (kinds["chan"].argmax(axis=1) == 2).all()
    assert np.delete(kinds["chan"], 2, axis=1).max() == 0
    at = int(np.argmin(np.abs(axes().freqs - 10)))
    share = kinds["freq"][:, at] / kinds["freq"].sum(axis=1)
    assert (share > 0.999).all()


def test_all_of_it_lies_in_the_stretch_that_the_net_reads() -> None:
    time = maps_of(Power(samples=slice(50, 100)), rhythm()).kinds["time"]
    inside = (axes().times > 0.5) & (axes().times < 1.0)
    assert (time[:, inside].sum(axis=1) / time.sum(axis=1) > 0.999).all()


def test_the_class_with_the_rhythm_has_more_of_it() -> None:
    chan = maps_of(Power(), rhythm()).kinds["chan"]
    assert chan[1, 2] > 10 * chan[0, 2]


def test_a_permutation_of_channels_permutes_the_map() -> None:
    windows, order = noise(), np.array([2, 0, 3, 1])
    weight = np.random.default_rng(0).standard_normal((N_CHANS, N_TIMES))
    maps = maps_of(Linear(weight), windows)
    moved = maps_of(Linear(weight[order]), replace(windows, x=windows.x[:, order]))
    for kind in ("chan", "chan_time", "chan_freq"):
        np.testing.assert_allclose(moved.kinds[kind], maps.kinds[kind][:, order], rtol=1e-5)


@pytest.mark.parametrize("n_classes", [3])
def test_a_class_without_a_window_is_not_a_number(n_classes: int) -> None:
    windows = replace(noise(6), axes=axes(n_classes))
    chan = maps_of(Linear(np.ones((N_CHANS, N_TIMES))), windows).kinds["chan"]
    assert np.isfinite(chan[:2]).all()
    assert np.isnan(chan[2]).all()


def test_classical_decoders_have_no_gradients() -> None:
    windows = rhythm()
    decoder = Decoder("csp_lda", sfreq=SFREQ).fit(windows.x_train, windows.y_train)
    assert integrated_gradients(decoder, windows) is None
