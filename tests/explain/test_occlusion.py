"""Does a decoder lose only by what it reads?"""

from dataclasses import replace

import numpy as np
import pytest
from toy_decoders import N_CHANS, N_TIMES, SFREQ, Linear, Power, axes, holding, noise, rhythm

from neurodecode.explain.occlusion import occlusion
from neurodecode.explain.windows import Maps, Windows
from neurodecode.training.estimator import Decoder


def maps_of(decoder: Decoder, windows: Windows) -> Maps:
    maps = occlusion(decoder, windows)
    assert maps is not None
    return maps


@pytest.mark.parametrize("model", ["csp_lda", "ts_lr"])
def test_a_classical_decoder_loses_by_the_channel_and_band_of_the_rhythm(model: str) -> None:
    windows = rhythm(16, chan=2, hz=10.0)
    decoder = Decoder(model, sfreq=SFREQ).fit(windows.x_train, windows.y_train)
    maps = maps_of(decoder, windows)
    assert maps.unit == "log-odds"
    for kind, at in (("chan", 2), ("freq", int(np.argmin(np.abs(axes().freqs - 10))))):
        loss = maps.kinds[kind]
        assert (loss[:, at] == loss.max(axis=1)).all()
        assert (loss[:, at] > 0).all()


def test_what_a_net_does_not_read_costs_nothing() -> None:
    kinds = maps_of(holding(Power(chan=2, samples=slice(50, 100))), rhythm()).kinds
    assert np.abs(np.delete(kinds["chan"], 2, axis=1)).max() < 1e-6
    outside = (axes().times < 0.5) | (axes().times > 1.0)
    assert np.abs(kinds["time"][:, outside]).max() < 1e-6
    assert (kinds["time"][1, ~outside] > 0).all()
    assert kinds["chan"][1, 2] == pytest.approx(kinds["time"][1].sum(), rel=1e-4)


def test_a_stretch_and_a_band_share_their_loss_among_their_bins() -> None:
    kinds = maps_of(holding(Power(chan=2, hz=10.0)), rhythm()).kinds
    # Bins of 9 to 12 Hz are one band, and the net reads nothing else.
    band = (axes().freqs >= 9) & (axes().freqs <= 12)
    assert len(set(kinds["freq"][1, band].tolist())) == 1
    assert np.abs(kinds["freq"][:, ~band]).max() < 1e-3 * kinds["freq"][1, band].max()
    assert kinds["freq"][1].sum() == pytest.approx(kinds["chan"][1, 2], rel=1e-3)


def test_a_linear_net_loses_what_the_parts_differ_by() -> None:
    """Channels are all of a window: what they lose adds up to the margin less that of others."""
    windows = noise()
    weight = np.random.default_rng(0).standard_normal((N_CHANS, N_TIMES))
    kinds = maps_of(holding(Linear(weight)), windows).kinds
    np.testing.assert_allclose(
        kinds["chan"].sum(axis=1), kinds["time"].sum(axis=1), rtol=1e-3, atol=1e-3
    )


def test_a_permutation_of_channels_permutes_the_map() -> None:
    windows, order = noise(), np.array([2, 0, 3, 1])
    weight = np.random.default_rng(0).standard_normal((N_CHANS, N_TIMES))
    chan = maps_of(holding(Linear(weight)), windows).kinds["chan"]
    moved = maps_of(holding(Linear(weight[order])), replace(windows, x=windows.x[:, order]))
    np.testing.assert_allclose(moved.kinds["chan"], chan[:, order], rtol=1e-3, atol=1e-4)


def test_one_window_has_no_other() -> None:
    assert occlusion(holding(Power()), noise(1)) is None
