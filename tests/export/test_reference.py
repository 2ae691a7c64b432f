"""Nodes of NIR in discrete time, against their closed forms."""

import math
from typing import Any

import nir
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError
from neurodecode.export.reference import run

DT = 0.001
Array = NDArray[Any]


def of(*values: float) -> Array:
    return np.array(values)


def through(node: Any, x: Array) -> Array:
    """What one node makes of (n_steps, n_features); in a batch of one."""
    graph = nir.NIRGraph.from_list(node)
    return run(graph, x[:, None], dt=DT)["output"][:, 0]


def constant(current: float, n_steps: int = 200) -> Array:
    return np.full((n_steps, 1), current)


@pytest.mark.parametrize("current", [1.1, 2.0, 10.0])
@pytest.mark.parametrize("tau", [0.010, 0.050])
def test_lif_spikes_first_when_the_equation_says(current: float, tau: float) -> None:
    """Under a constant current v(t) = R i (1 - exp(-t / tau)); a step ends at its end."""
    node = nir.LIF(tau=of(tau), r=of(2.0), v_leak=of(0.0), v_threshold=of(1.0))
    spikes = through(node, constant(current / 2))
    assert np.flatnonzero(spikes)[0] == math.ceil(tau * math.log(current / (current - 1)) / DT) - 1


def test_lif_begins_again_from_its_reset() -> None:
    """From v_reset to the threshold it takes as long each time: tau ln((i - v_r) / (i - 1))."""
    node = nir.LIF(tau=of(0.02), r=of(1.0), v_leak=of(0.0), v_threshold=of(1.0), v_reset=of(-0.5))
    every = np.diff(np.flatnonzero(through(node, constant(1.5, 400))))
    assert set(every) == {math.ceil(0.02 * math.log(2.0 / 0.5) / DT)}


def test_li_settles_at_its_leak_and_what_comes_in() -> None:
    node = nir.LI(tau=of(0.02), r=of(3.0), v_leak=of(-0.25))
    t = DT * np.arange(1, 101)
    expected = (3 * 0.5 - 0.25) * (1 - np.exp(-t / 0.02))
    np.testing.assert_allclose(through(node, constant(0.5, 100))[:, 0], expected, atol=1e-5)


def test_if_spikes_above_its_threshold_not_at_it() -> None:
    node = nir.IF(r=of(0.25 / DT), v_threshold=of(1.0), v_reset=of(0.0))
    assert np.flatnonzero(through(node, constant(1.0, 20))).tolist() == [4, 9, 14, 19]


def test_an_integrator_adds_up_time() -> None:
    out = through(nir.I(r=of(2.0)), constant(3.0, 50))
    np.testing.assert_allclose(out[:, 0], 2 * 3 * DT * np.arange(1, 51), rtol=1e-5)


def test_cubalif_smooths_a_pulse_twice() -> None:
    """The membrane after a pulse is a sum of products of powers of both decays."""
    tau_syn, tau_mem, w_in, r = 0.005, 0.020, 3.0, 1.5
    node = nir.CubaLIF(
        tau_syn=of(tau_syn), tau_mem=of(tau_mem), r=of(r), v_leak=of(0.0), v_threshold=of(0.06),
        w_in=of(w_in),
    )  # fmt: skip
    a, b, t = math.exp(-DT / tau_syn), math.exp(-DT / tau_mem), np.arange(60)
    membrane = [(1 - a) * w_in * (1 - b) * r * sum(b ** (n - k) * a**k for k in t[: n + 1])
                for n in t]  # fmt: skip
    pulse = np.zeros((60, 1))
    pulse[0] = 1
    first = int(np.flatnonzero(np.array(membrane) > 0.06)[0])
    assert first > 0
    assert np.flatnonzero(through(node, pulse))[0] == first


def test_every_feature_has_its_own_delay() -> None:
    x = np.arange(1.0, 6)[:, None] * of(1, 10, 100, 1000)
    out = through(nir.Delay(delay=of(0, 2 * DT, 4 * DT, 9 * DT)), x)
    assert out.T.tolist() == [[1, 2, 3, 4, 5], [0, 0, 10, 20, 30], [0, 0, 0, 0, 100], [0] * 5]


def test_edges_into_a_node_add_up() -> None:
    nodes = {
        "input": nir.Input(input_type=np.array([2])),
        "direct": nir.Scale(scale=of(1, -1)),
        "mixed": nir.Affine(weight=np.array([[1.0, 2], [3, 4]]), bias=of(5, 6)),
        "output": nir.Output(output_type=np.array([2])),
    }
    edges = [("input", "direct"), ("input", "mixed"), ("direct", "output"), ("mixed", "output")]
    made = run(nir.NIRGraph(nodes=nodes, edges=edges), of(1, 1).reshape(1, 1, 2), dt=DT)
    assert made["output"].ravel().tolist() == [1 + 8, -1 + 13]


@pytest.mark.parametrize("padding", [0, 2, "same", "valid"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 2), (2, 1)])
def test_a_convolution_is_over_places_of_a_step(
    padding: int | str, stride: int, dilation: int
) -> None:
    if padding == "same" and stride > 1:
        pytest.skip("torch has no such convolution")
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(3, 2, 4, 9)), rng.normal(size=(6, 2, 3)), rng.normal(size=6)
    node = nir.Conv1d(None, weight, stride, padding, dilation, 2, bias)
    nodes = {"input": nir.Input(input_type=np.array([4, 9])), "conv": node}
    graph = nir.NIRGraph(nodes=nodes, edges=[("input", "conv")], type_check=False)
    expected = torch.nn.functional.conv1d(
        *map(torch.from_numpy, (x.reshape(6, 4, 9), weight, bias)),
        stride=stride, padding=padding, dilation=dilation, groups=2,
    )  # fmt: skip
    found = run(graph, x, dt=DT)["conv"]
    np.testing.assert_allclose(found.reshape(expected.shape), expected.numpy(), atol=1e-12)


def test_flatten_keeps_steps_and_batch() -> None:
    x = np.arange(24.0).reshape(2, 2, 2, 3)
    graph = nir.NIRGraph.from_list(nir.Flatten({"input": np.array([2, 3])}, 0))
    assert run(graph, x, dt=DT)["output"].tolist() == x.reshape(2, 2, 6).tolist()


def test_what_cannot_be_computed_is_told() -> None:
    x = np.zeros((3, 1, 1))
    with pytest.raises(ConfigError, match="threshold is a Threshold, which is not computed here"):
        run(nir.NIRGraph.from_list(nir.Threshold(threshold=of(1.0))), x, dt=DT)
    with pytest.raises(ConfigError, match="A delay is not a whole number of steps of 1 ms"):
        run(nir.NIRGraph.from_list(nir.Delay(delay=of(0.0015))), x, dt=DT)
    nodes = {name: nir.Scale(scale=of(1.0)) for name in ("a", "b")}
    loop = nir.NIRGraph(nodes=nodes, edges=[("a", "b"), ("b", "a")], type_check=False)
    with pytest.raises(ConfigError, match="The graph has a loop through a, b"):
        run(loop, x, dt=DT)
