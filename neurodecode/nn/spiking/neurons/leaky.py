"""What leaky neurons share: time constants in milliseconds, thresholds, and a surrogate."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.neurons import Neuron
from neurodecode.nn.spiking.stateful import State
from neurodecode.nn.spiking.surrogates import surrogate as surrogate_of


class Leaky(Neuron):
    """A population whose membranes forget; its kinds say what it does at every step.

    Parameters
    ----------
    n_features
        Size of the last axis.
    dt
        Length of a step, seconds.
    tau
        Time constant, ms, or two: the features' are then spread between them, evenly in the
        logarithm. 20 ms are a cortical neuron's; infinite never forgets.
    learn_tau
        Learn a time constant for each feature.
    threshold
        Where it spikes.
    learn_threshold
        Learn one for each feature.
    detach_reset
        Leave the way through the reset out of gradients.
    surrogate, sharpness
        Slope of a spike, by name; see `neurodecode list surrogates`.

    Raises
    ------
    ConfigError
        For a time constant or threshold that is not positive.
    """

    log_tau: Tensor
    raw_threshold: Tensor | None

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        tau: float | tuple[float, float] = 20.0,
        learn_tau: bool = False,
        threshold: float = 1.0,
        learn_threshold: bool = False,
        detach_reset: bool = True,
        surrogate: str = "atan",
        sharpness: float | None = None,
    ) -> None:
        super().__init__(n_features, dt=dt)
        taus = time_constants(tau, n_features if learn_tau else 1, n_features)
        if threshold <= 0 or not bool((taus > 0).all()):
            raise ConfigError(
                f"Thresholds and time constants must be positive; got threshold={threshold}, "
                f"tau={tau} ms."
            )
        if learn_tau and not bool(taus.isfinite().all()):
            raise ConfigError("An infinite time constant cannot be learned. Give it in ms.")
        self.detach_reset = detach_reset
        self.surrogate = surrogate_of(surrogate, sharpness)
        if learn_tau:
            self.log_tau = nn.Parameter(taus.log())
        else:
            self.register_buffer("log_tau", taus.log())
        raw = threshold + math.log(-math.expm1(-threshold))  # what softplus makes the threshold of
        learned = nn.Parameter(torch.full((n_features,), raw)) if learn_threshold else None
        self.register_parameter("raw_threshold", learned)
        self.fixed_threshold = threshold

    @property
    def tau(self) -> Tensor:
        """Time constants, ms, (1,) or (n_features,)."""
        return self.log_tau.exp()

    def leak(self) -> Tensor:
        """How many time constants a step takes, (1,) or (n_features,)."""
        return self.dt * 1e3 * (-self.log_tau).exp()

    def decay(self) -> Tensor:
        """What is left of a membrane after a step, (1,) or (n_features,)."""
        return (-self.leak()).exp()

    def threshold(self) -> Tensor:
        """Thresholds, (1,) or (n_features,)."""
        if self.raw_threshold is None:
            return self.log_tau.new_full((1,), self.fixed_threshold)
        return functional.softplus(self.raw_threshold)

    def height(self) -> Tensor:
        """The threshold: what spikes as high as it, one at every step, stand for."""
        return self.threshold()

    def worth(self) -> Tensor:
        """The threshold where the surrogate says so, else 1."""
        return self.threshold() if self.surrogate.relative else torch.ones(1)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step."""
        spikes, state = self.run(x.unsqueeze(0), state)
        return spikes.squeeze(0), state


def time_constants(tau: float | tuple[float, float], n_learned: int, n_features: int) -> Tensor:
    """Time constants in ms: one, or one for each feature."""
    if isinstance(tau, int | float):
        return torch.full((n_learned,), float(tau))
    first, last = tau
    if not 0 < first <= last:
        raise ConfigError(f"tau={tau} ms must be two positive numbers, the smaller first.")
    return torch.logspace(math.log10(first), math.log10(last), n_features)
