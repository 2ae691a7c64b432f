"""Encoders: signals to events, and back, by name.

An encoder is built from the number of features and the length of a sample, and from keyword-only
choices. It is `Stateful`; signals are standardised, so that 1 is the usual amplitude of a feature:

    encoder = ENCODERS.get("send_on_delta")(n_features, dt=0.004, theta=0.5)
    events, state = encoder(x)              # (n_times, batch, ..., n_features), from rest
    more, state = encoder(later, state)     # goes on where it stopped
    rebuilt, _ = encoder.decode(events)     # the shape of x

Events are counts, 0, 1 and sometimes a few more, in twice as many features: first what goes up or
is positive ("on"), of every feature, then what goes down or is negative ("off"). Instead of -1, 0
and 1 in one feature: weights then only ever meet events that are there or not, an addition each,
which is what energy is counted in and what hardware has; and a layer may treat rise and fall
differently. `signed` gives the other view.

=================  ===============================  ======================  =====================
name               steps per sample                 state                   gradient to the input
=================  ===============================  ======================  =====================
`direct`           1                                membranes               surrogate
`learnable`        1                                samples, membranes      surrogate
`send_on_delta`    1                                last sample, rest       straight through
`sigma_delta`      1                                rest                    straight through
`adaptive_count`   1                                running mean            straight through
`latency`          a frame of `n_steps`             none                    straight through
`phase`            a frame of `n_steps`             none                    straight through
`rate`             a frame of `n_steps`             rest, or the generator  straight through
=================  ===============================  ======================  =====================

Straight through means: as if events were the numbers, not whole, of least squares from which
`decode` would give the signal back, so that the gradient through encoder and decoder is that of
the identity. It points the right way for layers that read events as `decode` does, and is no slope
of anything. No encoder blocks gradients. Only `direct` and `learnable` have parameters that learn.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neurodecode.core.errors import SignalError
from neurodecode.core.registry import Registry
from neurodecode.nn.spiking.stateful import State, Stateful


class Encoder(Stateful):
    """Signals to events: `run` and its inverse `decode`.

    Parameters
    ----------
    n_features
        Size of the signal's last axis.
    dt
        Length of a sample, seconds.

    Attributes
    ----------
    steps_per_sample
        Steps of events for each sample: events are (n_times * steps_per_sample, ...).
    """

    steps_per_sample: int = 1

    def __init__(self, n_features: int, *, dt: float) -> None:
        super().__init__()
        self.n_features, self.dt = n_features, dt

    @property
    def n_outputs(self) -> int:
        """Features of the events."""
        return 2 * self.n_features

    @property
    def dt_events(self) -> float:
        """Length of a step of the events, seconds."""
        return self.dt / self.steps_per_sample

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Events of a signal whose shape is right, one sample or more."""
        raise NotImplementedError

    def decode(self, events: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The signal again, as well as events tell it, and what decoding remembers.

        Parameters
        ----------
        events
            (n_times * steps_per_sample, batch, ..., n_outputs), in whole samples.
        state
            Of an earlier `decode`, None at first; it is not that of the encoder.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Events of (n_times, batch, ..., n_features), and what is remembered.

        Raises
        ------
        SignalError
            If the signal has another number of features.
        """
        if x.shape[-1] != self.n_features:
            raise SignalError(
                f"This encoder has {self.n_features} features and got {x.shape[-1]}. Features come "
                f"last: (n_times, batch, ..., n_features)."
            )
        if not len(x):
            return x.new_empty(0, *x.shape[1:-1], self.n_outputs), state
        return self.run(x, state)

    def extra_repr(self) -> str:
        """Sizes, for ``print(net)``."""
        return f"{self.n_features}, dt={self.dt:g}"


ENCODERS: Registry[Callable[..., Encoder]] = Registry("encoder", package=__name__)


def signed(events: Tensor) -> Tensor:
    """On less off: (..., 2 n_features) to (..., n_features)."""
    on, off = events.chunk(2, dim=-1)
    return on - off


def on_off(counts: Tensor, meant: Tensor) -> Tensor:
    """Events from signed counts: (..., n_features) to (..., 2 n_features).

    Parameters
    ----------
    counts
        Whole numbers, without a gradient.
    meant
        Numbers that they stand for, same shape: the gradient goes to them, half through on and
        half, negative, through off, so that that of ``signed(events)`` is theirs.
    """
    events: Tensor = _OnOff.apply(counts, meant)  # type: ignore[no-untyped-call]
    return events


class _OnOff(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, counts: Tensor, meant: Tensor) -> Tensor:
        return torch.cat([counts.clamp(min=0), counts.clamp(max=0).neg_()], dim=-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, signed(gradients[0]) / 2
