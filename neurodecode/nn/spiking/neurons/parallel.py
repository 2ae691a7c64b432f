r"""Leaky neurons without a reset, whose steps need not wait for one another.

Without a reset the membrane is a sum over the past, :math:`h_t = \sum_{k \le t} d^{\,t-k} x_k`: a
product with a lower triangular matrix of powers of the decay. It is taken over chunks of steps,
each of which begins from the last membrane of the one before,

.. math::
    h_{c+i} = \sum_{j \le i} d^{\,i-j} x_{c+j} + d^{\,i+1} h_{c-1}

Reference for neurons without a reset: "Parallel spiking neurons with high efficiency and ability to
learn long-term dependencies", NeurIPS 2023, arXiv 2304.12760. Differences: its weights between
steps are free and belong to a number of steps; ours follow from one time constant in milliseconds
for each feature, so that windows may be of any length and may come in pieces. Written from the
idea; the text was not at hand.
"""

from typing import ClassVar

import torch
from torch import Tensor

from neurodecode.nn.spiking.kernel import is_compiled
from neurodecode.nn.spiking.neurons import NEURONS
from neurodecode.nn.spiking.neurons.lif import LIF
from neurodecode.nn.spiking.stateful import State
from neurodecode.nn.spiking.surrogates import spikes

CHUNK = 32
"""Steps of a chunk: a product grows with its square, and a launch costs as much for any number."""


@NEURONS.add("parallel")
class ParallelLIF(LIF):
    """Reset-free LIF: all steps at once, by products with powers of the decay.

    Parameters
    ----------
    n_features, dt, tau, learn_tau, threshold, learn_threshold, surrogate, sharpness, weigh
        As for `LIF`.
    """

    waits: ClassVar[bool] = False

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        tau: float | tuple[float, float] = 20.0,
        learn_tau: bool = False,
        threshold: float = 1.0,
        learn_threshold: bool = False,
        surrogate: str = "atan",
        sharpness: float | None = None,
        weigh: bool = False,
    ) -> None:
        super().__init__(
            n_features,
            dt=dt,
            tau=tau,
            learn_tau=learn_tau,
            threshold=threshold,
            learn_threshold=learn_threshold,
            reset="none",
            surrogate=surrogate,
            sharpness=sharpness,
            weigh=weigh,
        )

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps: compiled where that is possible, which is faster still, otherwise chunks."""
        graph = torch.compiler.is_compiling()
        if not graph and is_compiled(x, self.decay(), self.threshold()):
            return super().run(x, state)
        return self.run_chunks(x, state)

    def run_chunks(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps by products, on any device and in any precision."""
        if len(x) == 0:
            return x, state
        if self.weigh:
            x = (1 - self.decay()) * x
        h, threshold = leaky_sums(x, state, self.leak()), self.threshold()
        self.note(h)
        if self.surrogate.relative:
            return threshold * spikes(h / threshold - 1, self.surrogate), h[-1]
        return spikes(h - threshold, self.surrogate), h[-1]


def leaky_sums(x: Tensor, before: Tensor | None, leak: Tensor) -> Tensor:
    """Leaky sums of all steps, by products.

    Parameters
    ----------
    x
        (n_steps, batch, ..., n_features).
    before
        The sum before the first step, (batch, ..., n_features); None for 0.
    leak
        Time constants that pass in a step, (1,) or (n_features,).

    Returns
    -------
    Tensor
        Like `x`.
    """
    lag = torch.arange(CHUNK, device=x.device, dtype=leak.dtype)
    lags = lag[:, None] - lag  #                                              (step, earlier step)
    powers = torch.exp(-leak[:, None, None] * lags.clamp(min=0)).tril()  #    (features, ..., ...)
    onward = torch.exp(-leak * (lag[:, None] + 1))  #                         (step, features)
    last = before
    chunks = []
    for chunk in x.split(CHUNK):  # type: ignore[no-untyped-call]
        n = len(chunk)
        flat = chunk.reshape(n, -1, x.shape[-1])  #                           (step, n, features)
        if len(leak) == 1:
            h = (powers[0, :n, :n] @ flat.flatten(1)).view_as(chunk)
        else:
            h = (powers[:, :n, :n] @ flat.permute(2, 0, 1)).permute(1, 2, 0).reshape(chunk.shape)
        if last is not None:
            h = h + onward[:n].view(n, *(1 for _ in last.shape[:-1]), -1) * last
        last = h[-1]
        chunks.append(h)
    return torch.cat(chunks)
