"""No neuron at all: the activation of the conventional twin."""

from typing import ClassVar

from torch import Tensor

from neurodecode.nn.spiking.neurons import NEURONS, Neuron
from neurodecode.nn.spiking.stateful import State


@NEURONS.add("relu")
class Relu(Neuron):
    """Rectified linear unit: what stands in a conventional twin where a neuron would spike."""

    is_spiking: ClassVar[bool] = False
    waits: ClassVar[bool] = False

    def __init__(self, n_features: int, *, dt: float) -> None:
        super().__init__(n_features, dt=dt)
        self.form = "relu"

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step; nothing is remembered."""
        return x.relu(), state

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps; nothing is remembered."""
        return x.relu(), state
