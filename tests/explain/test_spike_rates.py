"""Are spikes counted for the electrode and the moment that they belong to?"""

from typing import Any

import numpy as np
import pytest
import torch
from toy_decoders import N_CHANS, N_TIMES, SFREQ, Linear, axes, holding, noise, rhythm

from neurodecode.explain.spike_rates import in_kinds, layouts_of, spike_rates, spikes_of
from neurodecode.models import MODELS
from neurodecode.nn.spiking.neurons import in_form, neurons_of
from neurodecode.training.estimator import Decoder

SPIKING = ("maxformer_eeg", "sdt_eeg", "spikformer_eeg", "spiking_dbconformer", "spiking_eegnet",
           "spiking_lmu")  # fmt: skip


def spiking(name: str = "spiking_dbconformer", **options: Any) -> Decoder:
    """A net whose norms know white noise, so that its neurons spike."""
    torch.manual_seed(0)
    net = MODELS.get(name)(holding(torch.nn.Identity()).spec_, **options)
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            part.momentum = 1.0
    with torch.no_grad():
        net(torch.randn(16, N_CHANS, N_TIMES))
    return holding(net)


def test_the_electrode_with_the_rhythm_spikes_more() -> None:
    maps = spike_rates(spiking(), rhythm(chan=2, size=30.0))
    assert maps is not None
    assert maps.signed
    assert maps.kinds["chan"][1].argmax() == 2
    np.testing.assert_allclose(maps.kinds["chan"][0], -maps.kinds["chan"][1], atol=1e-6)


def test_before_electrodes_are_mixed_each_spikes_for_itself() -> None:
    decoder, windows = spiking(), rhythm(chan=2, size=30.0)
    with torch.no_grad():  # so that noise brings no spikes
        decoder.model_.electrode_norm.bias.fill_(-2.0)
    layout = layouts_of(decoder.model_, decoder, windows)["electrode_spikes"]
    x = torch.from_numpy(decoder.normalized(windows.x))
    spikes = spikes_of(decoder.model_, x)["electrode_spikes"]
    chan = windows.by_class(in_kinds([(spikes, layout)], axes())["chan"])
    assert chan[1, 2] > 0.05
    assert np.delete(chan[1], 2).max() < 0.01 * chan[1, 2]
    assert chan[0].max() < 0.01 * chan[1, 2]


def test_more_spikes_come_when_something_happens() -> None:
    decoder, windows = spiking("spiking_eegnet"), noise(40)
    with torch.no_grad():
        decoder.model_.temporal_norm.bias.fill_(-1.0)
    later = np.arange(N_TIMES) >= N_TIMES // 2
    windows.x[windows.y == 1] *= np.where(later, 6, 1).astype(np.float32)
    maps = spike_rates(decoder, windows)
    assert maps is not None
    assert "chan" not in maps.kinds
    time = maps.kinds["time"][1]
    assert time[axes().times > 1.1].mean() > 5 * abs(time[axes().times < 0.9].mean())


def test_a_spike_counts_as_one_whatever_it_stands_for() -> None:
    as_high_as_the_threshold = {"threshold": 0.7, "surrogate": "trsg"}
    decoder = spiking("spiking_eegnet", neuron_options=as_high_as_the_threshold)
    x = torch.from_numpy(decoder.normalized(noise().x))
    found = spikes_of(decoder.model_, x)
    assert found
    for counts in found.values():
        assert counts.any()
        np.testing.assert_allclose(counts, counts.round(), atol=1e-6)


@pytest.mark.parametrize("mode", ["repeat", "window", "stream"])
@pytest.mark.parametrize("name", SPIKING)
def test_layouts_are_those_of_the_net(name: str, mode: str) -> None:
    options = {} if name == "spiking_lmu" else {"time": mode, "n_steps": 3}
    try:
        decoder = spiking(name, **options)
    except TypeError:
        pytest.skip(f"{name} has no such choice")
    windows = noise(7)
    layouts = layouts_of(decoder.model_, decoder, windows)
    assert len(layouts) == len(neurons_of(decoder.model_))
    x = torch.from_numpy(decoder.normalized(windows.x))
    for population, spikes in spikes_of(decoder.model_, x).items():
        layout = layouts[population]
        assert spikes.shape[layout.windows] == 7
        if layout.electrodes is not None:
            assert spikes.shape[layout.electrodes] == N_CHANS
        if layout.moments is not None:
            assert spikes.shape[layout.moments] > 1
    has_electrodes = any(layout.electrodes is not None for layout in layouts.values())
    assert has_electrodes == (name == "spiking_dbconformer")
    maps = spike_rates(decoder, windows)
    assert maps is not None
    assert set(maps.kinds) == {"time"} | ({"chan"} if has_electrodes else set())


def test_as_many_moments_as_electrodes_are_not_taken_for_them() -> None:
    decoder = spiking(patch=N_TIMES / SFREQ / N_CHANS)
    layouts = layouts_of(decoder.model_, decoder, noise())
    on_electrodes = {name for name, layout in layouts.items() if layout.electrodes is not None}
    assert on_electrodes
    assert all(name.startswith(("electrode", "chan_layers")) for name in on_electrodes)


def test_steps_that_see_the_whole_window_again_are_no_moments() -> None:
    decoder = spiking("spiking_dbconformer", time="repeat", n_steps=3)
    layouts = layouts_of(decoder.model_, decoder, noise())
    with_moments = {name for name, layout in layouts.items() if layout.moments is not None}
    assert with_moments == {"stem.spikes", "electrode_spikes"}


def test_a_silent_net_has_empty_maps() -> None:
    decoder = spiking("spiking_eegnet")
    with torch.no_grad():
        decoder.model_.temporal_norm.bias.fill_(-1e6)
        decoder.model_.pointwise_norm.bias.fill_(-1e6)
    maps = spike_rates(decoder, noise())
    assert maps is not None
    assert maps.facts["mean_rate"] == 0
    assert not maps.kinds["time"].any()


def test_nets_whose_neurons_do_not_spike_have_none() -> None:
    windows = rhythm()
    twin, net = spiking("spiking_eegnet", variant="twin"), spiking("spiking_eegnet")
    classical = Decoder("csp_lda", sfreq=SFREQ).fit(windows.x_train, windows.y_train)
    for decoder in (twin, holding(Linear(np.ones((N_CHANS, N_TIMES)))), classical):
        assert spike_rates(decoder, windows) is None
    with in_form(net.model_, "relu"):
        assert spike_rates(net, windows) is None
