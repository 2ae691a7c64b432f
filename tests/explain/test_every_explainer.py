"""What every method owes: the shapes of its maps, their limits, and a decoder left alone."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from toy_decoders import SFREQ, axes, holding, noise, rhythm

from neurodecode.explain import EXPLAINERS
from neurodecode.explain.windows import KINDS, Maps, Windows
from neurodecode.models import MODELS
from neurodecode.training.estimator import Decoder

NETS = ("dbconformer", "spiking_eegnet", "spiking_dbconformer", "mvpformer", "braindecode:EEGNeX")
CLASSICAL = ("csp_lda", "ts_lr")
GRADIENTS = ("amplitude_gradient", "input_x_gradient", "integrated_gradients")
MADE_BY = {  # decoders for which a method has maps, among these; all of them for others
    **dict.fromkeys(GRADIENTS, NETS),
    "channel_attention": ("dbconformer", "spiking_dbconformer"),
    "channel_attention_mean": ("dbconformer", "spiking_dbconformer"),
    "attention_rollout": ("dbconformer",),
    "spike_rates": ("spiking_eegnet", "spiking_dbconformer"),
    "occlusion": NETS + CLASSICAL,
}


@cache
def windows() -> Windows:
    return rhythm(6)


@cache
def decoder_of(name: str) -> Decoder:
    """Untrained nets, whose norms have seen the windows; fitted classical decoders."""
    if name in CLASSICAL:
        return Decoder(name, sfreq=SFREQ).fit(windows().x_train, windows().y_train)
    torch.manual_seed(0)
    net = MODELS.get(name)(holding(torch.nn.Identity()).spec_)
    decoder = holding(net.train())
    net.train()
    with torch.no_grad():
        net(torch.from_numpy(decoder.normalized(windows().x_train)))
    net.eval()
    return decoder


@cache
def maps_of(method: str, name: str) -> Maps | None:
    maps: Maps | None = EXPLAINERS.get(method)(decoder_of(name), windows())
    return maps


@pytest.fixture(params=EXPLAINERS.names())
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=NETS + CLASSICAL)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_there_are_methods() -> None:
    assert set(MADE_BY) <= set(EXPLAINERS.names())


def test_summary_is_a_line(method: str) -> None:
    assert EXPLAINERS.summary(method).endswith((".", "?"))


def test_maps_are_there_for_the_decoders_that_they_speak_of(method: str, name: str) -> None:
    if method in MADE_BY:
        assert (maps_of(method, name) is not None) == (name in MADE_BY[method])


def test_maps_have_the_axes_of_their_kind(method: str, name: str) -> None:
    maps, of = maps_of(method, name), axes()
    for kind, values in maps.kinds.items() if maps else ():
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        if kind == "patterns":
            assert values.ndim == 2
            assert values.shape[1] == len(of.ch_names)
            continue
        sizes = tuple(len(getattr(of, axis)) for axis in KINDS[kind])
        assert values.shape == (len(of.classes), *sizes)
        assert maps is not None
        assert maps.signed or values.min() >= 0
    if maps:
        assert maps.kinds
        assert maps.unit
        assert all(isinstance(v, float) and np.isfinite(v) for v in maps.facts.values())
        assert maps.main is not None


def state(net: torch.nn.Module) -> dict[str, Any]:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "modes": [part.training for part in net.modules()],
        "hooks": [len(getattr(part, h)) for part in net.modules() for h in hooks],
        "notes": [getattr(part, "notes", None) for part in net.modules()],
        "wanted": [p.requires_grad for p in net.parameters()],
        "grads": [p.grad for p in net.parameters()],
        "types": [t.dtype for t in net.state_dict().values()],
    }


@pytest.mark.parametrize("name", NETS)
def test_the_net_is_left_as_it_was_and_says_the_same_again(method: str, name: str) -> None:
    first = maps_of(method, name)
    net = decoder_of(name).model_
    last, parameter = list(net.modules())[-1], next(net.parameters())
    last.training, parameter.requires_grad = True, False  # as somebody may have left it
    before, weights = state(net), {k: v.clone() for k, v in net.state_dict().items()}
    try:
        torch.manual_seed(5)
        assert_same(first, EXPLAINERS.get(method)(decoder_of(name), windows()))
        assert state(net) == before
        for key, value in net.state_dict().items():
            torch.testing.assert_close(value, weights[key], rtol=0, atol=0, equal_nan=True)
    finally:
        last.training, parameter.requires_grad = False, True


def assert_same(first: Maps | None, again: Maps | None) -> None:
    if first is None or again is None:
        assert first is again
        return
    assert first.kinds.keys() == again.kinds.keys()
    assert first.facts == again.facts
    for kind, values in first.kinds.items():
        np.testing.assert_array_equal(values, again.kinds[kind])


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_classical_decoder_says_the_same_again_and_windows_stay(method: str, name: str) -> None:
    first, before = maps_of(method, name), windows().x.copy()
    assert_same(first, EXPLAINERS.get(method)(decoder_of(name), windows()))
    np.testing.assert_array_equal(windows().x, before)


@pytest.mark.parametrize("name", ["dbconformer", "spiking_eegnet", "csp_lda"])
def test_a_class_without_a_window_is_not_a_number(method: str, name: str) -> None:
    """Of two classes, as a small test side may have it."""
    some = windows().y == 0
    alone = replace(windows(), x=windows().x[some], y=windows().y[some])
    maps = EXPLAINERS.get(method)(decoder_of(name), alone)
    for kind, values in maps.kinds.items() if maps and method in MADE_BY else ():
        if kind != "patterns":
            assert np.isfinite(values[0]).all()
            assert np.isnan(values[1]).all()


@pytest.mark.parametrize("method", GRADIENTS)
def test_a_channel_that_is_absent_has_no_part(method: str) -> None:
    some = noise(6)
    some.x[:, 1] = np.nan
    maps = EXPLAINERS.get(method)(decoder_of("mvpformer"), some)
    assert np.isfinite(maps.kinds["chan"]).all()
    assert not maps.kinds["chan"][:, 1].any()
    assert maps.kinds["chan"][:, 0].any()
