"""Spiking neurons, by name, and what they owe.

A neuron is built from the number of features and the length of a step, and from keyword-only
choices; it maps currents (n_steps, batch, ..., n_features) to spikes of the same shape:

    neuron = NEURONS.get("lif")(n_features, dt=0.004, tau=20.0)
    spikes, state = neuron(currents)              # from rest
    more, state = neuron(more_currents, state)    # goes on where it stopped

`Neuron` gives all of them three forms. As "spiking" it spikes. As "relu" it is the activation of
its conventional twin, and as "qcfs" the staircase that a train of spikes can express exactly: nets
are trained in these forms and then spike with the same weights.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from neurodecode.core.errors import UnknownName
from neurodecode.core.options import check_options, keywords
from neurodecode.core.registry import Registry
from neurodecode.nn.spiking.stateful import State, Stateful, looped

Form = Literal["spiking", "relu", "qcfs"]


class Neuron(Stateful):
    """A population of neurons: at least `step`, better all steps at once in `run`.

    Parameters
    ----------
    n_features
        Size of the last axis; what a neuron learns, it learns for each feature.
    dt
        Length of a step, seconds.

    Attributes
    ----------
    is_spiking
        Whether a fitted population gives spikes, or small counts of them, in the form "spiking".
    waits
        Whether a step needs the one before, so that a graph has to loop over them.
    counts_samples
        Whether its steps are samples or hops of the signal, however the net lays a window on steps.
    form
        What stands in its place just now; see the package.
    levels
        Steps of the staircase of "qcfs".
    notes
        Where to put membranes before their spikes, if somebody wants them; see
        `neurodecode.nn.spiking.watch`.
    """

    is_spiking: ClassVar[bool] = True
    waits: ClassVar[bool] = True

    def __init__(self, n_features: int, *, dt: float) -> None:
        super().__init__()
        self.n_features, self.dt = n_features, dt
        self.counts_samples = False
        self.form: Form = "spiking"
        self.levels = 4
        self.notes: list[Tensor] | None = None

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: currents (batch, ..., n_features) and what it remembers, None at first."""
        raise NotImplementedError

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps; a loop over `step` unless a neuron has something better."""
        spikes = []
        for current in x.unbind(0):  # not x[t]: its gradient would be as large as x, at each step
            s, state = self.step(current, state)
            spikes.append(s)
        return (torch.stack(spikes) if spikes else x), state

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Spikes (n_steps, batch, ..., n_features), and what it remembers."""
        if self.form == "spiking":
            loops = self.waits and len(x) > 1 and torch.compiler.is_exporting()
            return looped(self.run, x, state) if loops else self.run(x, state)
        if self.form == "relu":
            return x.relu(), state
        height = self.height()
        return height * staircase(x / height, self.levels), state

    def height(self) -> Tensor:
        """The largest value of the staircase: what a spike at every step stands for."""
        return torch.ones(())

    def set_dt(self, dt: float) -> None:
        """Make steps another length; time constants stay what they are in ms."""
        self.dt = dt

    def worth(self) -> Tensor:
        """The value of one spike, (1,) or (n_features,); several in a step are multiples of it."""
        return torch.ones(1)

    def note(self, membrane: Tensor) -> None:
        """Hand over membranes before their spikes, (n_steps, ...) or one step's."""
        if self.notes is not None:
            self.notes.append(membrane)

    def extra_repr(self) -> str:
        """Sizes, for ``print(net)``."""
        return f"{self.n_features}, dt={self.dt:g}"


NEURONS: Registry[Callable[..., Neuron]] = Registry("neuron", package=__name__)


def staircase(x: Tensor, levels: int) -> Tensor:
    """``clip(floor(levels x + 1/2) / levels, 0, 1)``, with the slope of ``clip(x, 0, 1)``.

    Reference: "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural
    networks", ICLR 2022, arXiv 2303.04347 (its activation and its shift of a half).
    """
    steps = torch.floor(x * levels + 0.5) / levels
    clipped = x.clamp(0, 1)
    return clipped + (steps.clamp(0, 1) - clipped).detach()


def neurons_of(net: nn.Module) -> list[tuple[str, Neuron]]:
    """Every population of a net, with its name in it."""
    return [(name, part) for name, part in net.named_modules() if isinstance(part, Neuron)]


def is_spiking(net: nn.Module) -> bool:
    """Whether a net spikes in the form that it has; its twin does not."""
    return any(neuron.is_spiking and neuron.form == "spiking" for _, neuron in neurons_of(net))


def set_form(net: nn.Module, form: Form, *, levels: int = 4) -> None:
    """Put every population of a net into a form."""
    for _, neuron in neurons_of(net):
        neuron.form, neuron.levels = form, levels


@contextmanager
def in_form(net: nn.Module, form: Form, *, levels: int = 4) -> Iterator[None]:
    """Within the block, every population of a net is in a form."""
    before: list[tuple[Neuron, Any]] = [(n, (n.form, n.levels)) for _, n in neurons_of(net)]
    set_form(net, form, levels=levels)
    try:
        yield
    finally:
        for neuron, (was, steps) in before:
            neuron.form, neuron.levels = was, steps


@dataclass(frozen=True, slots=True)
class Population:
    """How to make the populations of a net: one kind of neuron, with its options.

    Attributes
    ----------
    name
        In the registry.
    options
        Its keyword-only choices.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, options: Mapping[str, Any] | None, variant: str) -> Self:
        """The neurons of a decoder; its variant "twin" has rectified linear units instead.

        Raises
        ------
        ConfigError
            For another variant.
        """
        if variant not in ("", "twin"):
            raise UnknownName("variant of a spiking decoder", variant, ["twin"])
        return cls("relu") if variant else cls(name, options or {})

    def make(self, n_features: int, *, dt: float, **wanted: Any) -> Neuron:
        """A population of `n_features` with steps of `dt` seconds.

        `wanted` are choices of the net that uses it; neurons without such a choice go without, and
        a person's own options win.

        Raises
        ------
        ConfigError
            For a neuron or an option that there is not.
        """
        builder = NEURONS.get(self.name)
        check_options(builder, self.options, where=f"neuron_options of {self.name}")
        taken = {name: v for name, v in wanted.items() if name in keywords(builder)}
        options = {**taken, **self.options}
        return builder(n_features, dt=dt, **options)
