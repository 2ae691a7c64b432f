"""How a spiking decoder comes to its weights, by name.

A scheme is given a net, which it leaves fitted, and a way to train a net as ``[train]`` says. Its
stages share the epochs of the training, one at least for each, so that schemes can be compared. A
net that does not spike, such as a twin, is trained directly, whatever the scheme.
"""

import copy
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from torch import nn

from neurodecode.core.errors import ConfigError
from neurodecode.core.options import check_options
from neurodecode.core.registry import Registry
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.neurons import in_form, neurons_of
from neurodecode.nn.spiking.neurons.lif import LIF
from neurodecode.training.objective import Teacher

History = dict[str, list[float]]


class Train(Protocol):
    """Trains a net in place for part of the epochs, and leaves it with its best weights."""

    def __call__(
        self, net: nn.Module, share: float, stage: str, teacher: Teacher | None = None
    ) -> History:
        """Losses by epoch."""
        ...


Scheme = Callable[[SpikingDecoder, Train], History]

SCHEMES: Registry[Callable[..., History]] = Registry("scheme", package="neurodecode.training")


def choose_scheme(choice: str | Mapping[str, Any]) -> Scheme:
    """A scheme with its options.

    Parameters
    ----------
    choice
        A name, or a table with one name and its options.

    Raises
    ------
    ConfigError
        For a scheme or an option that does not exist, or several schemes.
    """
    table = choice if isinstance(choice, Mapping) else {choice: {}}
    if len(table) != 1:
        raise ConfigError(f"train.scheme names {', '.join(table) or 'nothing'}. Name one scheme.")
    ((name, options),) = table.items()
    scheme = SCHEMES.get(name)
    if not isinstance(options, Mapping):
        raise ConfigError(f"scheme.{name} = {options!r}: write scheme.{name}.OPTION = value.")
    check_options(scheme, options, where=f"[train.scheme.{name}]")
    return partial(scheme, **options)


@SCHEMES.add("direct")
def direct(net: SpikingDecoder, train: Train) -> History:
    """Surrogate gradients from the first epoch."""
    return train(net, 1.0, "direct")


@SCHEMES.add("ann")
def ann(net: SpikingDecoder, train: Train, *, share: float = 0.5) -> History:
    """First as its conventional twin, then spiking from the twin's weights.

    Parameters
    ----------
    net, train
        See the module.
    share
        Part of the epochs for the twin, in (0, 1).
    """
    _check(share=(share, 0, 1))
    with in_form(net, "relu"):
        first = train(net, share, "twin")
    return _joined(first, train(net, 1 - share, "spiking"))


@SCHEMES.add("convert")
def convert(net: SpikingDecoder, train: Train, *, levels: int = 4, share: float = 1.0) -> History:
    """As a twin whose activations are staircases, then spiking, with the same weights and heights.

    Reference: "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural
    networks", ICLR 2022, arXiv 2303.04347: neurons that never forget begin at half the threshold
    and are reset by subtraction, and spikes are as high as the step that they stand for.
    Differences: products of spikes in attention are converted as they are, although their mean is
    not the product of the means.

    Parameters
    ----------
    net, train
        See the module. Its neurons are "if" with ``start = "half"``, and it takes the window
        "repeat"edly, as many times as there are levels.
    levels
        Steps of the staircase.
    share
        Part of the epochs for the twin, in (0, 1]; the rest goes to the spiking net.

    Raises
    ------
    ConfigError
        For a net that cannot be converted.
    """
    fit_for_it = all(
        isinstance(n, LIF)
        and n.start == "half"
        and n.reset == "soft"
        and bool(n.tau.isinf().all())
        and not n.weigh
        and n.surrogate.relative
        for _, n in neurons_of(net)
    )
    if net.time.mode != "repeat" or not fit_for_it:
        raise ConfigError(
            "Conversion needs a constant input, and neurons that never forget, begin half charged "
            'and spike as high as their threshold: set time = "repeat", neuron = "if" and '
            'neuron_options = { start = "half", surrogate = "trsg" } of the model, the same for '
            "stem_neuron where it has one, or another train.scheme."
        )
    _check(share=(share, 0, 1), levels=(levels, 1, math.inf))
    with in_form(net, "qcfs", levels=levels):
        first = train(net, share, "twin")
    return first if share >= 1 else _joined(first, train(net, 1 - share, "spiking"))


@SCHEMES.add("reduce")
def reduce(net: SpikingDecoder, train: Train, *, start: int = 4, share: float = 0.5) -> History:
    """First with more steps, then with one less at a time, down to the net's own number.

    Reference: "One timestep is all you need: training spiking neural networks with ultra low
    latency", arXiv 2110.05929 (IIR-SNN): each net begins with the weights of the one before, and
    thresholds and leaks may learn along (``neuron_options``). Differences: the first net is trained
    directly, not converted; combine with ``neuron = "plif"`` for learned leaks.

    Parameters
    ----------
    net, train
        See the module.
    start
        Steps of the first net.
    share
        Part of the epochs for it, in (0, 1); the rest is shared by the others.

    Raises
    ------
    ConfigError
        If the net has as many steps, or is a stream.
    """
    _check(share=(share, 0, 1))
    last = net.time.n_steps
    if net.time.mode == "stream" or start <= last:
        raise ConfigError(
            f"train.scheme.reduce starts with {start} steps, and the net has {last} in "
            f"'{net.time.mode}'. Give a larger start, a smaller n_steps, and time = 'window' or "
            f"'repeat'."
        )
    net.set_steps(start)
    histories = [train(net, share, f"{start} steps")]
    for n in range(start - 1, last - 1, -1):
        net.set_steps(n)
        histories.append(train(net, (1 - share) / (start - last), f"{n} steps"))
    return _joined(*histories)


@SCHEMES.add("distil")
def distil(
    net: SpikingDecoder,
    train: Train,
    *,
    share: float = 0.5,
    weight: float = 0.5,
    temperature: float = 2.0,
    init: bool = True,
) -> History:
    """From its conventional twin: the twin is trained first, then the spiking net learns from it.

    Parameters
    ----------
    net, train
        See the module.
    share
        Part of the epochs for the twin, in (0, 1).
    weight, temperature
        See `neurodecode.training.objective.Teacher`.
    init
        Begin with the twin's weights.
    """
    _check(share=(share, 0, 1), weight=(weight, 0, 1), temperature=(temperature, 0, math.inf))
    twin = copy.deepcopy(net)
    with in_form(twin, "relu"):
        first = train(twin, share, "twin")
        if init:
            net.load_state_dict(twin.state_dict())
        teacher = Teacher(net=twin.eval(), weight=weight, temperature=temperature)
        return _joined(first, train(net, 1 - share, "spiking", teacher))


def _check(**ranges: tuple[float, float, float]) -> None:
    """Refuse a value that is not above the first and up to the second limit."""
    for name, (value, low, high) in ranges.items():
        if not (low < value <= high or value == low == 1):
            raise ConfigError(
                f"{name} = {value} of the scheme must be above {low:g} and at most {high:g}."
            )


def _joined(*histories: History) -> History:
    """Losses one after the other; the best epoch is that of the last stage."""
    joined = {
        name: [value for history in histories for value in history[name]]
        for name in histories[0]
        if name != "best_epoch"
    }
    before = sum(len(history["train_loss"]) for history in histories[:-1])
    return {**joined, "best_epoch": [before + histories[-1]["best_epoch"][0]]}
