"""What encoders share that tell one sample in a frame of several steps."""

import math

import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.nn.spiking.encoders import Encoder, on_off, signed
from neurodecode.nn.spiking.stateful import State


class FrameEncoder(Encoder):
    """One sample, one frame of steps, each of which weighs something.

    Time: x (n_times, ...) becomes events (n_times * n_steps, ...), frame after frame.

    Parameters
    ----------
    n_features
        Size of the last axis.
    dt
        Length of a sample, seconds.
    weights
        What an event is worth in each step of a frame, in shares of `full`, (n_steps,).
    full
        Largest value that can be told, in units of the signal; larger ones are told as this.

    Raises
    ------
    ConfigError
        For a full scale that is not positive.
    """

    weights: Tensor

    def __init__(self, n_features: int, *, dt: float, weights: Tensor, full: float) -> None:
        super().__init__(n_features, dt=dt)
        if not 0 < full < math.inf:
            raise ConfigError(f"full={full} is the largest value to be told: it must be positive.")
        self.full, self.steps_per_sample = full, len(weights)
        self.register_buffer("weights", weights, persistent=False)

    def frames(self, size: Tensor) -> Tensor:
        """Counts for sizes in [0, 1] of full scale: (n_times, ...) to (n_times, n_steps, ...)."""
        raise NotImplementedError

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Events; nothing is remembered."""
        share = (x / self.full).clamp(-1, 1)
        with torch.no_grad():
            counts = self.frames(share.abs()) * share.sign().unsqueeze(1)
        return self.events(counts, share), state

    def events(self, counts: Tensor, share: Tensor) -> Tensor:
        """Events from signed counts in frames, and the shares of full scale they stand for."""
        least_squares = self.weights / self.weights.square().sum()
        meant = share.unsqueeze(1) * _along_steps(least_squares, counts)
        return on_off(counts.flatten(0, 1), meant.flatten(0, 1))

    def decode(self, events: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Sum over each frame of events times what they are worth; nothing is remembered.

        Raises
        ------
        SignalError
            If frames are not whole.
        """
        n = self.steps_per_sample
        if len(events) % n:
            raise SignalError(
                f"{len(events)} steps are no whole number of frames of {n} steps. Cut at multiples."
            )
        counts = in_frames(signed(events), n)
        return (counts * _along_steps(self.full * self.weights, counts)).sum(dim=1), state

    def extra_repr(self) -> str:
        """Sizes, for ``print(net)``."""
        return f"{super().extra_repr()}, n_steps={self.steps_per_sample}, full={self.full:g}"


def in_frames(steps: Tensor, n_steps: int) -> Tensor:
    """(n_times * n_steps, ...) as (n_times, n_steps, ...)."""
    return steps.reshape(len(steps) // n_steps, n_steps, *steps.shape[1:])


def _along_steps(weights: Tensor, frames: Tensor) -> Tensor:
    """(n_steps,) as it multiplies (n_times, n_steps, batch, ..., n_features)."""
    return weights.to(frames.dtype).view(-1, *(1,) * (frames.ndim - 2))
