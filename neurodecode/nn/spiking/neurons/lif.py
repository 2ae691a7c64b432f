r"""Leaky integrate-and-fire neurons and their simplest kin, on the fused kernel.

Between spikes the membrane decays with its time constant and adds up what comes in,
:math:`h_t = d\,v_{t-1} + x_t` with :math:`d = e^{-dt / \tau}`; see `neurodecode.nn.spiking.kernel`.
Membranes are in units of the threshold, time constants in milliseconds.

References: "Incorporating learnable membrane time constant to enhance learning of spiking neural
networks", ICCV 2021, arXiv 2007.05785 (PLIF); MP-Init and TrSG as in
`neurodecode.nn.spiking.surrogates`.
Differences: PLIF has a time constant for each feature, not one for a layer, and they begin spread
out, because rhythms differ in speed.
"""

import math
from functools import wraps
from typing import Any, Literal

import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.kernel import RESETS, Reset, membrane
from neurodecode.nn.spiking.neurons import NEURONS
from neurodecode.nn.spiking.neurons.leaky import Leaky
from neurodecode.nn.spiking.stateful import State

Start = Literal["rest", "half", "mean"]


@NEURONS.add("lif")
class LIF(Leaky):
    """Leaky integrate-and-fire: forgets, adds up, spikes, resets.

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
    reset
        "soft" subtracts the threshold, "hard" empties the membrane, "none" does nothing.
    detach_reset
        Leave the way through the reset out of gradients.
    surrogate, sharpness
        Slope of a spike, by name; see `neurodecode list surrogates`.
    weigh
        Weigh currents by what the membrane forgets, ``1 - d``, so that it settles at the mean
        current; otherwise by 1.
    start
        Membrane before the first step: at "rest", "half" the threshold, or at the running "mean" of
        where membranes of neurons that spiked ended in training (MP-Init).

    Raises
    ------
    ConfigError
        For a time constant or threshold that is not positive.
    """

    started: Tensor

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        tau: float | tuple[float, float] = 20.0,
        learn_tau: bool = False,
        threshold: float = 1.0,
        learn_threshold: bool = False,
        reset: Reset = "soft",
        detach_reset: bool = True,
        surrogate: str = "atan",
        sharpness: float | None = None,
        weigh: bool = False,
        start: Start = "rest",
    ) -> None:
        super().__init__(
            n_features,
            dt=dt,
            tau=tau,
            learn_tau=learn_tau,
            threshold=threshold,
            learn_threshold=learn_threshold,
            detach_reset=detach_reset,
            surrogate=surrogate,
            sharpness=sharpness,
        )
        if reset not in RESETS:
            raise ConfigError(f"reset='{reset}' is not one of {', '.join(RESETS)}.")
        self.reset: Reset = reset
        self.weigh, self.start = weigh, start
        if start == "mean":
            self.register_buffer("started", torch.zeros(1))

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps, in the fused kernel."""
        decay, threshold = self.decay(), self.threshold()
        if self.weigh:
            x = (1 - decay) * x
        relative = self.surrogate.relative
        fresh = state is None
        state = self._begin(x, threshold) if fresh else state
        if relative:
            x, state = x / threshold, None if state is None else state / threshold
        spikes, last, h = membrane(
            x,
            state,
            decay=decay,
            threshold=torch.ones_like(threshold) if relative else threshold,
            reset=self.reset,
            surrogate=self.surrogate,
            detach_reset=self.detach_reset,
            keep=self.notes is not None,
        )
        if relative:
            spikes, last = threshold * spikes, threshold * last
            h = h if h is None else threshold * h
        if h is not None:
            self.note(h)
        if fresh and self.training and self.start == "mean":
            self._remember(spikes, last)
        return spikes, last

    def _begin(self, x: Tensor, threshold: Tensor) -> Tensor | None:
        if self.start == "half":
            return (threshold / 2).expand(x.shape[1:])
        if self.start == "mean":
            return self.started.expand(x.shape[1:]).clone()
        return None

    def _remember(self, spikes: Tensor, last: Tensor) -> None:
        with torch.no_grad():
            active = spikes.amax(dim=0) > 0
            mean = last[active].mean() if bool(active.any()) else last.new_zeros(())
            self.started.lerp_(mean.clamp(min=0), 0.1)


@NEURONS.add("if")
@wraps(LIF, assigned=(), updated=())
def integrate_and_fire(n_features: int, *, dt: float, **options: Any) -> LIF:
    """Integrate-and-fire: as lif, and never forgets."""
    return LIF(n_features, dt=dt, **{"tau": math.inf, **options})


@NEURONS.add("plif")
@wraps(LIF, assigned=(), updated=())
def parametric(n_features: int, *, dt: float, **options: Any) -> LIF:
    """Parametric LIF: a time constant for each feature is learned; they begin from 5 to 500 ms."""
    shortest = max(5.0, 500 * dt)  # shorter than half a step, a membrane forgets all, and its slope
    spread = (shortest, max(500.0, 10 * shortest))
    return LIF(n_features, dt=dt, **{"tau": spread, "learn_tau": True, **options})
