r"""Spiking nets as NIR, the format that neuromorphic simulators and hardware read.

Graphs run one way. What becomes of a layer:

=====================  ==========================================================================
linear                 `Affine` or `Linear`
causal filters         a copy of each map for each tap (`Linear`), as many samples late (`Delay`),
                       weighed and added up (`Linear`): NIR has no convolution over time
batch norm             folded into the weights before it, with its running statistics
lif, plif              `LIF`; `IF` where it never forgets
if                     `IF`
culif                  `CubaLIF`
spikes of height θ     `Scale` after the neuron (surrogate "trsg")
mean over the window   `I` that adds up a share of each sample: it is the mean at the last one
dropout                nothing
=====================  ==========================================================================

NIR's neurons are differential equations and ours are updates, :math:`h = d\,v + x`. Time constants
are chosen so that :math:`e^{-dt / \tau} = d`, and resistances so that a current held over a step
adds just `x`: :math:`R = 1 / (1 - d)`, :math:`w_{in} = 1 / (1 - a)` in `CubaLIF`, and
:math:`1 / dt` in `IF`. Ours spike at the threshold and NIR's above it, so thresholds are the next
lower number of single precision. Whoever reads the file must hold currents over a step, as
`neurodecode.export.reference` does; with Euler's rule it becomes another net.
All numbers of a file are of double precision. No file of ours was tested on hardware, or in
another simulator.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.export.parts import Mean, Parts, parts_of
from neurodecode.nn.spiking.neurons import Neuron
from neurodecode.nn.spiking.neurons.culif import CurrentLIF
from neurodecode.nn.spiking.neurons.lif import LIF
from neurodecode.nn.spiking.stateful import FeatureNorm
from neurodecode.nn.spiking.stem import CausalFilters

Array = NDArray[np.float64]
Nodes = dict[str, Any]


def library() -> Any:
    """The library nir.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        import nir
    except ImportError:
        raise ConfigError(
            "Export needs nir, which is not installed. In the repository: pip install -c "
            'constraints.txt ".[export]"'
        ) from None
    return nir


def to_graph(
    net: Any,
    *,
    mean: NDArray[Any] | None = None,
    scale: NDArray[Any] | None = None,
    facts: Mapping[str, str | float] | None = None,
) -> Any:
    """A `nir.NIRGraph` that computes what a net computes, a step for each sample.

    Parameters
    ----------
    net
        A `SpikingEEGNet`, or a `Chain` of linear layers, batch norms, dropout and neurons, as it
        is in evaluation.
    mean, scale
        What was subtracted from each channel and what it was divided by before the net saw it,
        (n_chans, 1); they are folded into the first layer, so that the graph takes what comes
        before, microvolts.
    facts
        Go into the graph's metadata, beside ``dt``, the length of a step in seconds.

    Returns
    -------
    nir.NIRGraph
        Nodes are called as modules in the net, with underscores for dots.

    Raises
    ------
    ConfigError
        If NIR cannot express it, or is not installed.
    """
    nir = library()
    parts = parts_of(deepcopy(net).cpu() if isinstance(net, nn.Module) else net)
    dt = _step(parts)
    nodes: Nodes = {}
    for name, part in parts:
        name = node_name(name)
        if isinstance(part, FeatureNorm):
            _fold_norm(nir, nodes, name, part)
        elif type(part) in LAYERS:
            nodes |= LAYERS[type(part)](nir, name, part, dt)
        else:
            raise ConfigError(
                f"{name} is a {type(part).__name__}, which NIR export does not know. Known: "
                f"{', '.join(sorted(kind.__name__ for kind in LAYERS))}, FeatureNorm."
            )
    if not nodes:
        raise ConfigError("The net has no layer that does anything; there is nothing to export.")
    if mean is not None and scale is not None:
        _fold_scale(nir, nodes, np.ravel(mean), np.ravel(scale))
    first, last = next(iter(nodes.values())), next(reversed(nodes.values()))
    nodes = {
        "input": nir.Input(input_type=np.array(first.input_type["input"])),
        **nodes,
        "output": nir.Output(output_type=np.array(last.output_type["output"])),
    }
    names = list(nodes)
    edges = list(zip(names, names[1:], strict=False))
    return nir.NIRGraph(nodes=nodes, edges=edges, metadata={**(facts or {}), "dt": dt})


def node_name(module: str) -> str:
    """The node of a module: importers take dots for folders."""
    return module.replace(".", "_")


def write(graph: Any, path: Path) -> None:
    """Write a graph to a file (HDF5)."""
    library().write(path, graph)


def read(path: Path) -> Any:
    """The graph of a file."""
    return library().read(path)


def count_weights(graph: Any) -> int:
    """Weights and biases of a graph that are not 0; copies of a map for its taps count too."""
    arrays = (
        getattr(node, name, None)
        for node in graph.nodes.values()
        for name in ("weight", "bias", "scale")
    )
    return sum(int(np.count_nonzero(a)) for a in arrays if a is not None)


def _step(parts: Parts) -> float:
    steps = {part.dt for _, part in parts if isinstance(part, Neuron)}
    if len(steps) != 1:
        found = ", ".join(f"{dt * 1e3:g} ms" for dt in sorted(steps)) or "none"
        raise ConfigError(f"NIR has one clock, and the net's populations have steps of: {found}.")
    return float(steps.pop())


def _array(tensor: Tensor) -> Array:
    return tensor.detach().double().numpy()


def _linear(nir: Any, name: str, part: nn.Linear, dt: float) -> Nodes:
    if part.bias is None:
        return {name: nir.Linear(weight=_array(part.weight))}
    return {name: nir.Affine(weight=_array(part.weight), bias=_array(part.bias))}


def _filters(nir: Any, name: str, part: CausalFilters, dt: float) -> Nodes:
    taps = _array(part.weight).repeat(part.n_alike, axis=0)
    n_maps, n_taps = taps.shape
    weight = np.zeros((n_maps, n_maps, n_taps))
    weight[np.arange(n_maps), np.arange(n_maps)] = taps
    late = np.arange(n_taps)[::-1] * dt  # the newest sample is the last tap
    return {
        f"{name}_copies": nir.Linear(weight=np.eye(n_maps).repeat(n_taps, axis=0)),
        f"{name}_delays": nir.Delay(delay=np.tile(late, n_maps)),
        name: nir.Linear(weight=weight.reshape(n_maps, -1)),
    }


def _neurons(nir: Any, name: str, part: LIF, dt: float) -> Nodes:
    with torch.no_grad():
        threshold, decay = part.threshold(), part.decay()
        relative = part.surrogate.relative  # spikes and membranes are counted in thresholds
        gain = 1 - decay if part.weigh else torch.ones_like(decay)
        if relative:
            gain, height = gain / threshold, _full(threshold, part)
            threshold = torch.ones_like(threshold)
    below = np.nextafter(_full(threshold, part).astype(np.float32), np.float32(-np.inf))
    how = {"v_threshold": below.astype(np.float64), "v_reset": np.zeros(part.n_features)}
    d, g = _full(decay, part), _full(gain, part)
    node: Any
    if isinstance(part, CurrentLIF):
        a = _full(part.decay_current(), part)
        weighed = _full(1 - part.decay_current(), part) if part.weigh else np.ones_like(a)
        tau, tau_syn = _tau(name, d, dt), _tau(name, a, dt)
        how |= {"tau_syn": tau_syn, "tau_mem": tau, "w_in": weighed / (1 - a)}
        node = nir.CubaLIF(r=g / (1 - d), v_leak=np.zeros_like(d), **how)
    elif (d == 1).all():
        node = nir.IF(r=g / dt, **how)
    else:
        node = nir.LIF(tau=_tau(name, d, dt), r=g / (1 - d), v_leak=np.zeros_like(d), **how)
    return {name: node, **({f"{name}_height": nir.Scale(scale=height)} if relative else {})}


def _full(values: Tensor, part: Neuron) -> Array:
    return _array(values.expand(part.n_features).contiguous())


def _tau(name: str, decay: Array, dt: float) -> Array:
    """Seconds."""
    if not ((decay > 0) & (decay < 1)).all():
        raise ConfigError(
            f"{name} has membranes that keep {decay.min():g} to {decay.max():g} of themselves "
            f"over a step, and NIR takes no 0 and no 1 here. Fit it with a finite tau."
        )
    return np.asarray(-dt / np.log(decay))


def _mean(nir: Any, name: str, part: Mean, dt: float) -> Nodes:
    return {name: nir.I(r=np.full(part.n_features, 1 / (part.n_steps * dt)))}


def _nothing(nir: Any, name: str, part: nn.Module, dt: float) -> Nodes:
    return {}


LAYERS: dict[type, Callable[[Any, str, Any, float], Nodes]] = {
    nn.Linear: _linear,
    CausalFilters: _filters,
    LIF: _neurons,
    CurrentLIF: _neurons,
    Mean: _mean,
    nn.Dropout: _nothing,
}


def _fold_norm(nir: Any, nodes: Nodes, name: str, norm: FeatureNorm) -> None:
    """Weigh and shift what comes out of the last node, in it if it has weights."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
    shift = _array(norm.bias) - gain * _array(norm.running_mean)
    last = next(reversed(nodes), None)
    if last is None or not hasattr(nodes[last], "weight"):
        nodes[name] = nir.Affine(weight=np.diag(gain), bias=shift)
        return
    weight, bias = nodes[last].weight, getattr(nodes[last], "bias", 0.0)
    nodes[last] = nir.Affine(weight=gain[:, None] * weight, bias=gain * bias + shift)


def _fold_scale(nir: Any, nodes: Nodes, mean: NDArray[Any], scale: NDArray[Any]) -> None:
    """Let the first node take signals as they were before they were normalised."""
    name, first = next(iter(nodes.items()))
    if not hasattr(first, "weight"):
        raise ConfigError(f"{name}, the first layer, has no weights to take the channels' scale.")
    weight = first.weight / scale.astype(np.float64)
    # Here and not after the filters: what they see before the window is 0 in normalised signals.
    nodes[name] = nir.Affine(weight=weight, bias=getattr(first, "bias", 0.0) - weight @ mean)
