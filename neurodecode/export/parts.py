"""What a net that can be exported is made of, in order; other nets are refused with a reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from neurodecode.core.errors import ConfigError
from neurodecode.models.spiking_eegnet import SpikingEEGNet
from neurodecode.nn.spiking import mixers
from neurodecode.nn.spiking.neurons import NEURONS, Neuron
from neurodecode.nn.spiking.neurons.culif import CurrentLIF
from neurodecode.nn.spiking.neurons.lif import LIF
from neurodecode.nn.spiking.stateful import Chain


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over all steps of a window, complete after its last step.

    Attributes
    ----------
    n_features
        Of the last axis.
    n_steps
        Of a window.
    """

    n_features: int
    n_steps: int


Parts = list[tuple[str, Any]]
"""Names and modules, or a `Mean`; the names of modules are those in the net."""


def parts_of(net: Any) -> Parts:
    """The parts of a net, one after the other.

    Parameters
    ----------
    net
        A `SpikingEEGNet`, or a `Chain`.

    Raises
    ------
    ConfigError
        If NIR cannot express it.
    """
    if isinstance(net, SpikingEEGNet):
        parts = _eegnet(net)
    elif isinstance(net, Chain):
        parts = list(_chain(net, ""))
    else:
        raise ConfigError(_why_not(net))
    for name, part in parts:
        if isinstance(part, Neuron):
            _check_neuron(name, part)
    return parts


def _eegnet(net: SpikingEEGNet) -> Parts:
    if net.time.mode == "repeat":
        raise ConfigError(
            "time='repeat' gives a whole window at every step, and in NIR a step is a moment. Fit "
            "it with time='stream'."
        )
    if net.spatial.encoder is not None:
        raise ConfigError(
            f"The encoder {type(net.spatial.encoder).__name__} makes events before the first "
            f"weights, which is not NIR's. Fit it without an encoder."
        )
    if net.stride > 1:
        raise ConfigError(
            f"stride={net.stride} makes the second part of the net step every {net.stride} "
            f"samples, and NIR has one clock. Fit it with stride=1."
        )
    if len(set(net.time.lengths)) > 1:
        raise ConfigError(
            f"{net.time.n_steps} steps cut {net.spec.n_times} samples into unequal parts, which "
            f"weigh samples unequally. Fit it with time='stream', or n_steps that divides "
            f"{net.spec.n_times}."
        )
    names = (
        "temporal", "temporal_norm", "temporal_spikes", "dropout", "depthwise", "pointwise",
        "pointwise_norm", "pointwise_spikes", "dropout", "readout",
    )  # fmt: skip
    middle = [(name, getattr(net, name)) for name in names]
    last = Mean(net.spec.n_outputs, net.spec.n_times)
    return [("spatial", net.spatial.mix), *middle, ("mean", last)]


def _chain(net: Chain, before: str) -> Iterator[tuple[str, nn.Module]]:
    for i, part in enumerate(net.parts):
        name = f"{before}parts.{i}"
        if isinstance(part, Chain):
            yield from _chain(part, f"{name}.")
        else:
            yield name, part


def _why_not(net: Any) -> str:
    kind = type(net).__name__
    if not isinstance(net, nn.Module):
        return f"{kind} is not a net, and NIR describes nets. Export spiking_eegnet."
    found = (type(part) for part in net.modules())
    mixer = next((t.__name__ for t in found if t.__module__.startswith(mixers.__name__)), "")
    if mixer:
        return (
            f"{kind} mixes tokens ({mixer}): NIR has no tokens, and no product of two activations, "
            f"which attention is. Export spiking_eegnet."
        )
    return f"{kind} is a net of which nobody has said how NIR expresses it. Export spiking_eegnet."


def _check_neuron(name: str, neuron: Neuron) -> None:
    if type(neuron) not in (LIF, CurrentLIF):  # what is derived from them steps otherwise
        raise ConfigError(
            f"NIR has no neuron like '{_registered(neuron)}' ({name}). Fit it with neuron='lif', "
            f"'if', 'plif' or 'culif'."
        )
    assert isinstance(neuron, LIF)
    if neuron.form != "spiking":
        raise ConfigError(f"{name} is in the form '{neuron.form}' and does not spike. Set it back.")
    if neuron.reset != "hard":
        raise ConfigError(
            f"{name} has reset='{neuron.reset}', and in NIR a spike sets the membrane to a value, "
            f"so that spikes would be lost or added. Fit it with reset='hard' in neuron_options."
        )
    if neuron.start != "rest":
        raise ConfigError(
            f"{name} has start='{neuron.start}', and in NIR membranes begin at rest. Fit it with "
            f"start='rest' in neuron_options."
        )


def _registered(neuron: Neuron) -> str:
    """What a person calls this kind of neuron."""
    names = (name for name in NEURONS.names() if NEURONS.get(name) is type(neuron))
    return next(names, type(neuron).__name__)
