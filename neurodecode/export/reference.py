r"""NIR graphs in discrete time, in numpy: what an exported graph means, step by step.

NIR writes neurons as differential equations and says nothing of steps. Here, with a step `dt`:

============  =====================================================================================
`LIF`, `LI`   :math:`v \leftarrow d\,v + (1 - d)(v_{leak} + R I)`, :math:`d = e^{-dt / \tau}`: exact
              for a current that is held over the step (zero-order hold)
`CubaLIF`     the current first, :math:`I \leftarrow a\,I + (1 - a)\,w_{in} S` with
              :math:`a = e^{-dt / \tau_{syn}}`, then the membrane as above, with the new current
              held over the step; exact for each of the two, not for both at once
`IF`, `I`     :math:`v \leftarrow v + dt\,R\,I`: exact for a current that is held
`Delay`       whole steps; zeros come out first
============  =====================================================================================

After that a neuron spikes if :math:`v > v_{threshold}`, at the same step, and :math:`v` becomes
:math:`v_{reset}`. Everything is 0 before the first step. The other nodes have no memory, and edges
into a node add up. Weighted sums are in double precision, so that their order does not matter;
membranes are in single precision, in the order of `neurodecode.nn.spiking.kernel`.

Reference: "Neuromorphic intermediate representation: a unified instruction set for interoperable
brain-inspired computing", Nature Communications 2024, doi:10.1038/s41467-024-52259-9 (the
equations; the steps are ours).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError

Node = Any  # of the library nir, which need not be there
Array = NDArray[Any]


def run(graph: Node, x: Array, *, dt: float) -> dict[str, Array]:
    """What every node of a graph gives, by name.

    Parameters
    ----------
    graph
        A `nir.NIRGraph` without loops.
    x
        What goes into it, (n_steps, batch, ..., n_features).
    dt
        Length of a step, seconds.

    Returns
    -------
    dict
        (n_steps, batch, ..., n_features) for each node; spikes, 0 or 1, of neurons that spike.

    Raises
    ------
    ConfigError
        For a node that is not known here, a loop, or a delay that is no number of steps.
    """
    made: dict[str, Array] = {}
    waiting = dict(graph.nodes)
    while waiting:
        ready = [n for n in waiting if all(a in made for a, b in graph.edges if b == n)]
        if not ready:
            raise ConfigError(
                f"The graph has a loop through {', '.join(sorted(waiting))}. Only graphs that run "
                f"one way can be computed here."
            )
        for name in ready:
            node, kind = waiting[name], type(waiting[name]).__name__
            if kind not in NODES:
                raise ConfigError(
                    f"The node {name} is a {kind}, which is not computed here. Known: "
                    f"{', '.join(sorted(NODES))}."
                )
            # In the order of edges, so that sums are the same each time.
            given = [made[a] for a, b in graph.edges if b == name]
            made[name] = NODES[kind](node, sum(given[1:], given[0]) if given else x, dt)
            del waiting[name]
    return made


def _same(node: Node, x: Array, dt: float) -> Array:
    return x


def _affine(node: Node, x: Array, dt: float) -> Array:
    out: Array = x.astype(np.float64) @ np.asarray(node.weight, np.float64).T
    return out + getattr(node, "bias", 0.0)


def _scale(node: Node, x: Array, dt: float) -> Array:
    return np.asarray(x * np.asarray(node.scale, np.float64))


def _flatten(node: Node, x: Array, dt: float) -> Array:
    return x.reshape(*x.shape[:2], *np.ravel(node.output_type["output"]))


def _conv1d(node: Node, x: Array, dt: float) -> Array:
    """Over the last axis of each step, (n_steps, batch, n_maps, n_places); never over time."""
    n_out, n_in, n_taps = node.weight.shape
    stride, dilation = int(np.ravel(node.stride)[0]), int(np.ravel(node.dilation)[0])
    span = dilation * (n_taps - 1)
    around = {"same": (span // 2, span - span // 2), "valid": (0, 0)}
    word = node.padding
    pad = around[word] if isinstance(word, str) else (int(np.ravel(word)[0]),) * 2
    x = np.pad(x.astype(np.float64), [(0, 0)] * 3 + [pad])
    seen = np.lib.stride_tricks.sliding_window_view(x, span + 1, axis=-1)
    seen = seen[..., ::stride, ::dilation]  #  (n_steps, batch, n_maps, n_places, n_taps)
    groups = int(node.groups)
    out = np.einsum(
        "tbgilk,goik->tbgol",
        seen.reshape(*x.shape[:2], groups, n_in, *seen.shape[3:]),
        np.asarray(node.weight, np.float64).reshape(groups, n_out // groups, n_in, n_taps),
    )
    return np.asarray(out.reshape(*x.shape[:2], n_out, -1) + np.asarray(node.bias)[:, None])


def _delay(node: Node, x: Array, dt: float) -> Array:
    steps = np.rint(node.delay / dt).astype(int)
    if np.abs(node.delay - steps * dt).max() > 1e-6 * dt or steps.min() < 0:
        raise ConfigError(f"A delay is not a whole number of steps of {dt * 1e3:g} ms.")
    out = np.zeros_like(x)
    for n in np.unique(steps[steps < len(x)]):
        out[n:, :, steps == n] = x[: len(x) - n, :, steps == n]
    return out


def _lif(node: Node, x: Array, dt: float) -> Array:
    return _membrane(_held(node.tau, node.r, node.v_leak, dt), x, node)


def _li(node: Node, x: Array, dt: float) -> Array:
    return _membrane(_held(node.tau, node.r, node.v_leak, dt), x)


def _cubalif(node: Node, x: Array, dt: float) -> Array:
    current = _membrane(_held(node.tau_syn, node.w_in, 0.0, dt), x)
    return _membrane(_held(node.tau_mem, node.r, node.v_leak, dt), current, node)


def _if(node: Node, x: Array, dt: float) -> Array:
    return _membrane((1.0, dt * node.r, 0.0), x, node)


def _i(node: Node, x: Array, dt: float) -> Array:
    return _membrane((1.0, dt * node.r, 0.0), x)


Update = tuple[Any, Any, Any]  # d, gain and drift of  v <- d v + (gain I + drift)


def _held(tau: Array, r: Array, v_leak: Array | float, dt: float) -> Update:
    rest = -np.expm1(-dt / np.asarray(tau, np.float64))  # 1 - d
    return np.exp(-dt / np.asarray(tau, np.float64)), rest * r, rest * v_leak


def _membrane(update: Update, x: Array, spiking: Node | None = None) -> Array:
    """Spikes of a membrane, or without a threshold the membrane itself."""
    decay, gain, drift = (np.asarray(p, np.float32) for p in update)
    currents = gain * x.astype(np.float32) + drift
    out = np.empty_like(currents)
    v = np.zeros_like(currents[0])
    threshold, reset = (
        (np.asarray(p, np.float32) for p in (spiking.v_threshold, spiking.v_reset))
        if spiking is not None
        else (np.float32(np.inf), np.float32(0))
    )
    for t, current in enumerate(currents):
        h = decay * v + current
        fired = h > threshold
        v = np.where(fired, reset, h)
        out[t] = h if spiking is None else fired
    return out


NODES: dict[str, Callable[[Node, Array, float], Array]] = {
    "Input": _same,
    "Output": _same,
    "Affine": _affine,
    "Linear": _affine,
    "Scale": _scale,
    "Flatten": _flatten,
    "Conv1d": _conv1d,
    "Delay": _delay,
    "LIF": _lif,
    "LI": _li,
    "CubaLIF": _cubalif,
    "IF": _if,
    "I": _i,
}
