r"""UltraLIF and UltraDLIF: soft maxima in place of sums, smooth spikes in both passes.

With :math:`\mathrm{LSE}_\epsilon(a, b) = \epsilon \log(e^{a/\epsilon} + e^{b/\epsilon})`,

.. math::
    \tilde v_t &= \mathrm{LSE}_\epsilon(v_{t-1} + \log d,\; x_t) \quad\text{(UltraLIF)} \\
    \tilde v_{i,t} &= \epsilon \log \textstyle\sum_j p_{ij}\, e^{d\,v_{j,t-1}/\epsilon} + x_{i,t}
    \quad\text{(UltraDLIF)} \\
    s_t &= \sigma((\tilde v_t - \theta) / \epsilon), \qquad v_t = (1 - s_t)\, \tilde v_t

so no surrogate is needed: what is differentiated is what was computed. The temperature
:math:`\epsilon` is learned. As it falls, spikes become 0 or 1; UltraDLIF without neighbours becomes
the LIF with a hard reset, and UltraLIF becomes :math:`\max(v + \log d, x)`, which is a neuron of
its own: the paper's Proposition 5.2 calls that limit LIF, but it does not add up currents.

Reference: "UltraLIF: fully differentiable spiking neural networks via ultradiscretization and
max-plus algebra", arXiv 2602.11206 (definitions 4.1 and 4.2), checked in the text; temperature 1
and a decay of 0.9 at the beginning, in the authors' code.
Differences: a temperature for each feature, not for a layer. Neighbours are tokens, electrodes for
instance, and not features in a circle. :math:`p = 1 - \alpha L` with the graph's Laplacian
:math:`L`, so its rows sum to 1; the paper leaves out these weights (its 1/3), and its membranes
grow by :math:`\epsilon \log 3` at every step without any input. UltraDLIF forgets, which the
paper's equation 19 does not and the authors' code does. Fitted nets fire exact spikes by default.
"""

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.neurons import NEURONS
from neurodecode.nn.spiking.neurons.leaky import Leaky
from neurodecode.nn.spiking.stateful import State

Neighbours = Literal["line", "none"]


def binarity(spikes: Tensor) -> Tensor:
    """How close spikes in [0, 1] are to 0 or 1: 1 where all are, 0 where all are a half."""
    return 1 - 4 * (spikes * (1 - spikes)).mean()


@NEURONS.add("ultra")
class UltraLIF(Leaky):
    """UltraLIF: a soft maximum of what is left and what comes in, and smooth spikes.

    Parameters
    ----------
    n_features, dt, tau, learn_tau, threshold, learn_threshold
        As for `Leaky`.
    epsilon
        Temperature at the beginning, in currents; one for each feature is learned.
    hard
        In evaluation, 0 or 1 in place of smooth spikes.

    Raises
    ------
    ConfigError
        For a temperature that is not positive.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        tau: float | tuple[float, float] = 20.0,
        learn_tau: bool = False,
        threshold: float = 1.0,
        learn_threshold: bool = False,
        epsilon: float = 1.0,
        hard: bool = True,
    ) -> None:
        super().__init__(
            n_features,
            dt=dt,
            tau=tau,
            learn_tau=learn_tau,
            threshold=threshold,
            learn_threshold=learn_threshold,
        )
        if epsilon <= 0:
            raise ConfigError(f"epsilon={epsilon} must be positive.")
        self.hard = hard
        self.log_epsilon = nn.Parameter(torch.full((n_features,), math.log(epsilon)))

    @property
    def epsilon(self) -> Tensor:
        """Temperatures, (n_features,)."""
        return self.log_epsilon.exp()

    def charging(self, x: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """What a step makes of membrane and current, both (batch, ..., n_features), all of `x`."""
        leak, epsilon = self.leak(), self.epsilon
        return lambda v, now: epsilon * torch.logaddexp((v - leak) / epsilon, now / epsilon)

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """All steps, one by one."""
        if len(x) == 0:
            return x, state
        v = torch.zeros_like(x[0]) if state is None else state
        charged, threshold, epsilon = self.charging(x), self.threshold(), self.epsilon
        exact = self.hard and not self.training
        spikes, membranes = [], []
        for current in x.unbind(0):
            h = charged(v, current)
            s = (h >= threshold).to(h.dtype) if exact else ((h - threshold) / epsilon).sigmoid()
            v = (1 - s) * h
            spikes.append(s)
            membranes.append(h)
        if self.notes is not None:
            self.note(torch.stack(membranes))
        return torch.stack(spikes), v


@NEURONS.add("ultra_diffusion")
class UltraDiffusionLIF(UltraLIF):
    """UltraDLIF: membranes spread to neighbouring tokens by a soft maximum, and add currents up.

    Currents are (n_steps, batch, ..., n_tokens, n_features); without a token axis there are no
    neighbours.

    Parameters
    ----------
    n_features, dt, tau, learn_tau, threshold, learn_threshold, epsilon, hard
        As for `UltraLIF`.
    neighbours
        Whose membranes spread to a token: those of the tokens beside it on a "line", or of "none".
    laplacian
        Of a graph of tokens in its place, degrees less weights, (n_tokens, n_tokens); for
        electrodes, of their neighbourhood.

    Raises
    ------
    ConfigError
        For neighbours or a Laplacian that are none.
    """

    laplacian: Tensor | None

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        tau: float | tuple[float, float] = 20.0,
        learn_tau: bool = False,
        threshold: float = 1.0,
        learn_threshold: bool = False,
        epsilon: float = 1.0,
        hard: bool = True,
        neighbours: Neighbours = "line",
        laplacian: Tensor | None = None,
    ) -> None:
        super().__init__(
            n_features,
            dt=dt,
            tau=tau,
            learn_tau=learn_tau,
            threshold=threshold,
            learn_threshold=learn_threshold,
            epsilon=epsilon,
            hard=hard,
        )
        if neighbours not in get_args(Neighbours):
            raise ConfigError(
                f"neighbours='{neighbours}' is not one of {', '.join(get_args(Neighbours))}."
            )
        if laplacian is not None and not _is_laplacian(laplacian):
            raise ConfigError(
                "A Laplacian is a square of degrees less weights, whose rows sum to 0 and whose "
                "entries beside the diagonal are not positive."
            )
        self.neighbours = neighbours
        self.register_buffer("laplacian", laplacian, persistent=False)

    def charging(self, x: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """What a step makes of membranes and currents."""
        decay, epsilon = self.decay(), self.epsilon
        if x.ndim < 4 or (self.laplacian is None and self.neighbours == "none"):
            return lambda v, now: decay * v + now
        index, log_weight = _nearest(self._laplacian(x.shape[-2]).to(x))

        def spread(v: Tensor, now: Tensor) -> Tensor:
            near = (decay * v / epsilon)[..., index, :]  # (..., n_tokens, n_near, n_features)
            return epsilon * (near + log_weight).logsumexp(-2) + now

        return spread

    def _laplacian(self, n_tokens: int) -> Tensor:
        if self.laplacian is None:
            beside = torch.ones(max(n_tokens - 1, 0))
            weights = beside.diag(1) + beside.diag(-1) if n_tokens > 1 else torch.zeros(1, 1)
            return weights.sum(1).diag() - weights
        if len(self.laplacian) != n_tokens:
            raise ConfigError(
                f"The Laplacian is one of {len(self.laplacian)} tokens, and there are {n_tokens}. "
                f"Give one of {n_tokens}."
            )
        return self.laplacian


def _is_laplacian(matrix: Tensor) -> bool:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        return False
    size = float(matrix.abs().max())
    beside = matrix - matrix.diag().diag()
    return float(matrix.sum(1).abs().max()) <= 1e-4 * size and float(beside.max()) <= 0


def _nearest(laplacian: Tensor) -> tuple[Tensor, Tensor]:
    """Who spreads to each token, and the logarithm of how much of it.

    A step goes as far as leaves no weight negative: by a third on a line, as in the paper.

    Returns
    -------
    index
        (n_tokens, n_near), the token itself among them.
    log_weight
        (n_tokens, n_near, 1); -inf where a token has fewer neighbours than others.
    """
    step = 1 / (laplacian.diag().max() + 1)
    weights = torch.eye(len(laplacian)).to(laplacian) - step * laplacian
    n_near = int((weights > 0).sum(1).max())
    weight, index = weights.topk(n_near, dim=1)
    return index, weight.clamp(min=0).log().unsqueeze(-1)
