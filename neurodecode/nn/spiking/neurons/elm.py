r"""Expressive leaky memory: branches, memories of many speeds, and a small net between them.

.. math::
    b_t &= \kappa_b\, b_{t-1} + \textstyle\sum_{\text{branch}} w_s x_t \quad (w_s \ge 0) \\
    m_t &= \kappa_m\, m_{t-1} + (1 - \kappa_\lambda)\,
        f(\mathrm{MLP}([b_t, \kappa_m\, m_{t-1}])), \qquad y_t = W m_t

with :math:`\kappa = e^{-dt/\tau}`, :math:`\kappa_\lambda = e^{-\lambda\, dt / \tau_m}`, time
constants of the memories spread evenly in their logarithm, and
:math:`f(u) = 1.7159 \tanh(2u/3)`. What it gives are numbers, not spikes: it is a recurrent cell, to
read out what spiking layers send. All features share the memories.

Reference: "The ELM neuron: an efficient and expressive cortical neuron model can solve long-horizon
tasks", ICLR 2024, arXiv 2306.16922. All of the above and its numbers (5 ms for branches, 1 to
1000 ms for memories, lambda 5, weights of 0.5, twice as many hidden units as memories) were checked
in the authors' code (github.com/AaronSpieler/elmneuron, second version).
Differences: 32 memories, not 100; learned time constants are not bounded; as many outputs as
inputs, because that is what a population has.
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.neurons import NEURONS, Neuron
from neurodecode.nn.spiking.neurons.culif import integrated
from neurodecode.nn.spiking.neurons.leaky import time_constants
from neurodecode.nn.spiking.stateful import State


@NEURONS.add("elm")
class ExpressiveLeakyMemory(Neuron):
    """Expressive leaky memory cell: continuous output, memories from 1 ms to 1 s (ELM).

    Parameters
    ----------
    n_features
        Size of the last axis, in and out.
    dt
        Length of a step, seconds.
    tau
        Time constants of the memories, ms: one for all, or the first and the last.
    learn_tau
        Learn them.
    tau_branch
        Time constant of the branches, ms.
    n_memories
        Memories.
    n_branches
        Branches, each with as many neighbouring features; by default one for each feature.
    n_hidden
        Hidden units of the net; by default twice as many as memories.
    gain
        How much faster memories take in than they forget, lambda.

    Raises
    ------
    ConfigError
        For sizes or times that are not positive, or branches that do not share the features evenly.
    """

    is_spiking: ClassVar[bool] = False

    log_tau: Tensor

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        tau: float | tuple[float, float] = (1.0, 1000.0),
        learn_tau: bool = False,
        tau_branch: float = 5.0,
        n_memories: int = 32,
        n_branches: int | None = None,
        n_hidden: int | None = None,
        gain: float = 5.0,
    ) -> None:
        super().__init__(n_features, dt=dt)
        n_branches = n_features if n_branches is None else n_branches
        n_hidden = 2 * n_memories if n_hidden is None else n_hidden
        if min(n_memories, n_branches, n_hidden, tau_branch, gain) <= 0:
            raise ConfigError("Sizes, times and the gain of an ELM must be positive.")
        if n_features % n_branches:
            raise ConfigError(
                f"n_branches={n_branches} do not share {n_features} features evenly. "
                f"Give a divisor of {n_features}."
            )
        taus = time_constants(tau, n_memories, n_memories)
        if not bool((taus > 0).all()) or math.isinf(float(taus.max())):
            raise ConfigError(f"tau={tau} ms must be positive and finite.")
        self.tau_branch, self.gain, self.n_branches = tau_branch, gain, n_branches
        if learn_tau:
            self.log_tau = nn.Parameter(taus.log())
        else:
            self.register_buffer("log_tau", taus.log())
        self.synapses = nn.Parameter(torch.full((n_features,), 0.5))
        self.from_branches = nn.Linear(n_branches, n_hidden)
        self.from_memories = nn.Linear(n_memories, n_hidden, bias=False)
        self.to_memories = nn.Linear(n_hidden, n_memories)
        self.readout = nn.Linear(n_memories, n_features)

    def leak(self) -> Tensor:
        """How many time constants of each memory a step takes, (n_memories,)."""
        return self.dt * 1e3 * (-self.log_tau).exp()

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step."""
        y, state = self.run(x.unsqueeze(0), state)
        return y.squeeze(0), state

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps; only what memories do to each other waits for the step before."""
        if len(x) == 0:
            return x, state
        branches, m = state or (None, None)
        traces, branches = self.traces(x, branches)
        driven = self.from_branches(traces)  # (n_steps, batch, ..., n_hidden)
        m = x.new_zeros(*x.shape[1:-1], len(self.log_tau)) if m is None else m
        kept, taken = (-self.leak()).exp(), -(-self.gain * self.leak()).expm1()
        memories = []
        for drive in driven.unbind(0):
            left = kept * m
            change = self.to_memories((drive + self.from_memories(left)).relu())
            m = left + taken * 1.7159 * torch.tanh(change * (2 / 3))
            memories.append(m)
        return self.readout(torch.stack(memories)), (branches, m)

    def traces(self, x: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the branches make of currents, (n_steps, batch, ..., n_branches), and its last."""
        weighed = self.synapses.relu() * x
        inputs = weighed.reshape(*x.shape[:-1], self.n_branches, -1).sum(-1)
        return integrated(
            inputs, before, x.new_full((1,), math.exp(-self.dt * 1e3 / self.tau_branch))
        )
