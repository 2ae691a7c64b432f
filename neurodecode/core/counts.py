"""What a net does with a window, layer by layer: the words in which it is counted."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["matrix", "convolution", "product", "neurons"]


@dataclass(slots=True, kw_only=True)
class LayerCount:
    """What one layer does with one window; means over windows.

    Attributes
    ----------
    layer
        Name in the net: of whose weights are multiplied, else of the module that multiplies.
    kind
        "matrix" or "convolution" by weights, "product" of two activations, or "neurons".
    steps
        How often the layer is applied to a window: once, or at every step.
    macs
        Multiply-accumulates.
    acs
        Accumulates: spikes times the numbers that they meet.
    acs_both
        Those of them where a spike met a spike.
    spared, spared_both
        Multiply-accumulates that there would be instead, of one operand that is spikes, and of two.
    inputs, outputs
        Numbers that come in and go out.
    spike_inputs, spike_outputs
        Places where a spike may come in or go out, at every step.
    spikes
        Spikes that came in; of neurons, that went out.
    weights
        Distinct weights that are multiplied.
    membranes
        Membranes, at every step.
    """

    layer: str
    kind: Kind
    steps: int = 1
    macs: float = 0.0
    acs: float = 0.0
    acs_both: float = 0.0
    spared: float = 0.0
    spared_both: float = 0.0
    inputs: float = 0.0
    outputs: float = 0.0
    spike_inputs: float = 0.0
    spike_outputs: float = 0.0
    spikes: float = 0.0
    weights: float = 0.0
    membranes: float = 0.0

    @property
    def rate(self) -> float | None:
        """Spikes for each place and step; None where none can be."""
        places = self.spike_inputs or self.spike_outputs
        return self.spikes / places if places else None


TOTALS = (
    "macs", "acs", "acs_both", "spared", "spared_both", "inputs", "outputs", "spike_inputs",
    "spike_outputs", "spikes", "weights", "membranes",
)  # fmt: skip
"""What adds up over windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a net does with one window.

    Attributes
    ----------
    layers
        In the order in which they first ran.
    n_steps
        Steps of the net: what its `time` says, else the most of any population; 1 without one.
    repeats
        Whether every step sees the whole window again, or a part of its own.
    unseen
        Operations that hide products and are not counted.
    """

    layers: list[LayerCount] = field(default_factory=list)
    n_steps: int = 1
    repeats: bool = True
    unseen: tuple[str, ...] = ()

    @property
    def macs(self) -> float:
        """Multiply-accumulates of a window."""
        return sum(layer.macs for layer in self.layers)

    @property
    def acs(self) -> float:
        """Accumulates of a window."""
        return sum(layer.acs for layer in self.layers)

    @property
    def rate(self) -> float | None:
        """Spikes per neuron and step; None where nothing spikes."""
        spiking = [layer for layer in self.layers if layer.kind == "neurons"]
        places = sum(layer.membranes for layer in spiking)
        return sum(layer.spikes for layer in spiking) / places if places else None
