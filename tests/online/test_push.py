"""Part by part, a net stops where it stops offline, and says the same."""

from typing import Any

import numpy as np
import pytest
import torch

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.core.stopping import StopRule
from neurodecode.models import MODELS
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.online.early_exit import EarlyExit

SPEC = TaskSpec(ch_names=("C3", "Cz", "C4"), n_times=128, sfreq=64.0, n_outputs=2)


def net_of(name: str, **options: Any) -> SpikingDecoder:
    torch.manual_seed(0)
    net = MODELS.get(name)(SPEC, neuron_options={"threshold": 0.05}, **options)
    assert isinstance(net, SpikingDecoder)
    with torch.no_grad():
        for _ in range(10):  # batch norms learn what size currents have, so that neurons spike
            net(torch.from_numpy(windows()))
    return net.eval()


def windows() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((8, 3, 128)).astype(np.float32)


def steps_of(net: SpikingDecoder, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return net.steps(torch.from_numpy(x)).double().numpy()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("spiking_eegnet", {"time": "window", "n_steps": 4}),
        ("spiking_eegnet", {"time": "stream"}),
        ("spiking_dbconformer", {"time": "window", "n_steps": 3}),
    ],
)
@pytest.mark.parametrize("rule_name", ["confidence", "gap", "fixed"])
def test_pushing_parts_is_the_rule_on_whole_windows(
    name: str, options: dict[str, Any], rule_name: str
) -> None:
    net, x = net_of(name, **options), windows()
    steps = steps_of(net, x)
    n, bounds = len(steps), [-1.0] * len(steps)
    if rule_name == "fixed":
        bounds[: n // 2] = [np.inf] * (n // 2)
    else:  # such that some stop at each step, whatever the weights
        one = StopRule(name="gap", bounds=(np.inf,) * n, temperatures=(0.1,) * n)
        seen = np.cumsum(steps, axis=0) / np.arange(1, n + 1)[:, None, None]
        found = np.abs(np.diff(seen, axis=2))[..., 0]
        if rule_name == "confidence":
            found = np.stack([one.proba(s, i).max(axis=1) for i, s in enumerate(seen)])
        bounds = np.quantile(found, 0.7, axis=1).tolist()
    rule = StopRule(name=rule_name, bounds=tuple(bounds), temperatures=(0.1,) * n)
    expected, proba = rule.apply(steps)
    assert rule_name == "fixed" or len(set(expected.tolist())) > 1
    exit_ = EarlyExit(net, rule)
    for i, window in enumerate(x):
        state, decision, n_parts = None, None, 0
        while decision is None:
            part = window[:, net.time.parts[n_parts]]
            decision, said, state = exit_.push(part, state)
            n_parts += 1
        assert n_parts == expected[i] + 1
        assert decision == proba[i].argmax()
        np.testing.assert_allclose(said, proba[i], atol=1e-4)


def test_streams_do_not_disturb_each_other() -> None:
    net, (a, b, *_) = net_of("spiking_eegnet", n_steps=2), windows()
    exit_ = EarlyExit(net, StopRule(name="fixed", bounds=(np.inf, -1.0), temperatures=(1.0, 1.0)))
    first, second = net.time.parts
    alone = exit_.push(a[:, second], exit_.push(a[:, first])[2])[1]
    state = exit_.push(a[:, first])[2]
    exit_.push(b[:, first])
    np.testing.assert_array_equal(exit_.push(a[:, second], state)[1], alone)


def test_what_cannot_be_heard_is_told() -> None:
    rule = StopRule(name="gap", bounds=(0.0,) * 4, temperatures=(1.0,) * 4)
    with pytest.raises(ConfigError, match="sees the whole window at every step cannot decide"):
        EarlyExit(net_of("spiking_eegnet", time="repeat", n_steps=4), rule)
    with pytest.raises(ConfigError, match="A rule for 4 steps cannot stop a net of 3"):
        EarlyExit(net_of("spiking_eegnet", n_steps=3), rule)
    exit_ = EarlyExit(net_of("spiking_eegnet", n_steps=4), rule)
    with pytest.raises(SignalError, match="Part 1 of 4 is 3 channels x 32 samples; got 3 x 31"):
        exit_.push(windows()[0][:, :31])
    state = None
    for part in exit_.net.time.parts:
        state = exit_.push(windows()[0][:, part], state)[2]
    with pytest.raises(SignalError, match="This window is over"):
        exit_.push(windows()[0][:, :32], state)
