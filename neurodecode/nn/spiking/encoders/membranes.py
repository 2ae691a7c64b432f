"""What encoders share whose events are spikes of neurons that learn."""

import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.encoders import Encoder
from neurodecode.nn.spiking.encoders.leaky import running_mean
from neurodecode.nn.spiking.neurons.lif import LIF
from neurodecode.nn.spiking.stateful import State
from neurodecode.nn.spiking.surrogates import surrogate as surrogate_of


class MembraneEncoder(Encoder):
    """Currents into leaky neurons, one for what is up and one for what is down in each feature.

    Parameters
    ----------
    n_features
        Size of the signal's last axis.
    dt
        Length of a sample, seconds.
    tau
        Time constant of membranes, ms.
    learn_tau
        Learn one for each neuron.
    threshold
        Where they spike at first; each learns its own.
    surrogate, sharpness
        Slope of a spike, by name.

    Raises
    ------
    ConfigError
        For a surrogate whose spikes are as high as their thresholds: events are 0 or 1.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        tau: float,
        learn_tau: bool,
        threshold: float,
        surrogate: str,
        sharpness: float | None,
    ) -> None:
        super().__init__(n_features, dt=dt)
        if surrogate_of(surrogate, sharpness).relative:
            raise ConfigError(
                f"surrogate='{surrogate}' makes spikes as high as thresholds, and events are 0 or "
                f"1. Take another one, such as atan."
            )
        self.neurons = LIF(
            self.n_outputs,
            dt=dt,
            tau=tau,
            learn_tau=learn_tau,
            threshold=threshold,
            learn_threshold=True,
            surrogate=surrogate,
            sharpness=sharpness,
        )

    def gain(self) -> Tensor:
        """Current for a constant signal of 1, (n_outputs,)."""
        raise NotImplementedError

    def decode(self, events: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Events at the height of thresholds over gains, through the membranes' own low-pass.

        What the leak forgot does not come back, and after training it is a reading, no inverse.
        Remembers the low-pass.
        """
        on, off = self.gain().chunk(2)
        share = torch.cat([on, off]) / ((on.square() + off.square()) / 2).clamp(min=1e-6).repeat(2)
        currents, state = running_mean(
            events * (self.neurons.threshold() * share), state, self.neurons.decay()
        )
        return torch.stack(currents.chunk(2, dim=-1)).sum(0), state
