r"""Spiking Legendre memory units: each place remembers a window of its own past.

A memory of order :math:`q` holds the coefficients of the last :math:`\theta` of its input in
Legendre polynomials, :math:`u(t - r\theta) \approx \sum_i P_i(2r - 1)\, m_i(t)`, and is linear:

.. math::
    \theta \dot m = A m + B u, \quad B_i = (2i + 1)(-1)^i, \quad
    A_{ij} = (2i + 1) \begin{cases} -1 & i < j \\ (-1)^{i - j + 1} & i \ge j \end{cases}

With the input held over a step this is exactly :math:`m_t = \bar A m_{t-1} + \bar B u_t`.

References: "Legendre memory units: continuous-time representation in recurrent neural networks",
NeurIPS 2019 (equations 1 to 4); "LMUFormer: low complexity yet powerful spiking model with Legendre
memory units", ICLR 2024, arXiv 2402.04882 (u, m and h as spikes of batch norms); "L2MU" (every
signal of the cell is a population of neurons).
Differences: several memories, one for each head, instead of one, and a short window instead of the
whole sequence; the output h is added to the membrane and spikes after that; all steps are found by
products with blocks of the impulse response, not by a Fourier transform, which is slower on a CPU.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.mixers import MIXERS
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.stateful import FeatureNorm, State, Stateful

BLOCK = 32
"""Steps that one product finds; the memory goes from one block to the next."""


@MIXERS.add("lmu")
class SpikingLMU(Stateful):
    """Spiking Legendre memory units over steps, each token for itself (LMUFormer, L2MU).

    Parameters
    ----------
    width
        Features of a token.
    n_heads
        Memories of a token; each is written to by one neuron, which sees all features.
    dt
        Length of a step, seconds.
    population
        Makes its neurons.
    order
        Polynomials of a memory.
    theta
        Window of a memory, ms. By default 16 steps: a longer window blurs more, as `order`
        coefficients describe all of it, and fewer steps than that fill the beginning of it.

    Raises
    ------
    ConfigError
        For no memory, no polynomial, or a window shorter than a step.
    """

    def __init__(
        self,
        width: int,
        *,
        n_heads: int = 2,
        dt: float,
        population: Population,
        order: int = 8,
        theta: float | None = None,
    ) -> None:
        super().__init__()
        if n_heads < 1:
            raise ConfigError(f"n_heads={n_heads} leaves no memory. Give 1 or more.")
        n_read = n_heads * order
        self.memory = LegendreMemory(order, theta=16e3 * dt if theta is None else theta, dt=dt)
        self.spikes = population.make(width, dt=dt)
        self.write = nn.Linear(width, n_heads, bias=False)
        self.write_norm = FeatureNorm(n_heads)
        self.write_spikes = population.make(n_heads, dt=dt)
        self.read_norm = FeatureNorm(n_read)
        self.read_spikes = population.make(n_read, dt=dt)
        self.output = nn.Linear(n_read + width, width, bias=False)
        self.output_norm = FeatureNorm(width)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Membranes (n_steps, batch, n_tokens, width) to currents of the same shape."""
        before, written, memory, read = state or (None, None, None, None)
        x, before = self.spikes(x, before)
        u, written = self.write_spikes(self.write_norm(self.write(x)), written)
        m, memory = self.memory(u, memory)  # (n_steps, batch, n_tokens, n_heads, order)
        m, read = self.read_spikes(self.read_norm(m.flatten(3)), read)
        x = self.output_norm(self.output(torch.cat([m, x], dim=-1)))
        return x, (before, written, memory, read)


class LegendreMemory(Stateful):
    """Coefficients of a sliding window in Legendre polynomials; nothing is learned.

    Parameters
    ----------
    order
        Polynomials.
    theta
        Window, ms.
    dt
        Length of a step, seconds.
    """

    response: Tensor
    powers: Tensor

    def __init__(self, order: int, *, theta: float, dt: float) -> None:
        super().__init__()
        if order < 1:
            raise ConfigError(f"order={order} leaves no polynomial. Give 1 or more.")
        if theta < dt * 1e3:
            raise ConfigError(f"theta={theta} ms is shorter than a step of {dt * 1e3:g} ms.")
        self.order, self.theta = order, theta
        self.set_dt(dt)

    def set_dt(self, dt: float) -> None:
        """Make steps another length; the window stays what it is in ms, at least one step."""
        order, theta = self.order, max(self.theta, dt * 1e3)
        self.dt = dt
        step, write = legendre(order, theta / (dt * 1e3))
        powers = [step]
        for _ in range(BLOCK - 1):
            powers.append(step @ powers[-1])
        impulse = torch.stack([write, *(power @ write for power in powers[:-1])])
        lag = torch.arange(BLOCK)[:, None] - torch.arange(BLOCK)  # later step less earlier step
        response = impulse[lag.clamp(min=0)] * (lag >= 0)[..., None]  # (later, earlier, order)
        response = response.transpose(1, 2).reshape(-1, BLOCK)
        self.register_buffer("response", response.float(), persistent=False)
        self.register_buffer("powers", torch.cat(powers).float(), persistent=False)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Inputs (n_steps, ...) to coefficients (n_steps, ..., order) after each of them."""
        n_steps, places = len(x), x.shape[1:]
        if n_steps == 0:
            return x.unsqueeze(-1).expand(*x.shape, self.order), state
        size = min(n_steps, BLOCK)
        response = self.response[: size * self.order, :size]
        powers = self.powers[: size * self.order]  # of the step, times the memory before a block
        x = functional.pad(x.reshape(n_steps, -1), (0, 0, 0, -n_steps % size))
        local = response @ x.view(-1, size, x.shape[1])  # (n_blocks, size * order, n_places)
        m = local.new_zeros(self.order, x.shape[1])
        m = m if state is None else state.reshape(-1, self.order).T
        starts: list[Any] = []
        for ends in local[:, -self.order :].unbind(0):
            starts.append(m)
            m = powers[-self.order :] @ m + ends
        whole = local + powers @ torch.stack(starts)
        whole = whole.view(-1, self.order, x.shape[1])[:n_steps].mT
        whole = whole.reshape(n_steps, *places, self.order)
        return whole, whole[-1]


def legendre(order: int, n_steps: float) -> tuple[Tensor, Tensor]:
    """What one step does to the memory, (order, order), and what it writes, (order,).

    `n_steps` is the window in steps. In double precision; inputs are held over a step.
    """
    i = torch.arange(order, dtype=torch.float64)
    sign = (-1.0) ** i
    above = i[:, None] < i
    a = (2 * i + 1)[:, None] * torch.where(above, -1.0, -sign[:, None] * sign)
    both = torch.zeros(order + 1, order + 1, dtype=torch.float64)
    both[:order, :order], both[:order, order] = a / n_steps, (2 * i + 1) * sign / n_steps
    exact = torch.linalg.matrix_exp(both)
    return exact[:order, :order], exact[:order, order]
