"""Slopes that stand in for the slope of a step function, which is zero or infinite.

A surrogate has ``slope(u)``: the derivative of a spike with respect to the membrane, where `u`
(n_steps, ..., n_features) is the membrane less the threshold. All are one formula; `sharpness` is
an inverse width, and their integral over `u` is 1 (but for ``fast_sigmoid``, whose peak is 1).
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from neurodecode.nn.spiking import SURROGATES


class Surrogate(Protocol):
    """What a neuron needs to know of a surrogate."""

    code: ClassVar[int]  # of the compiled kernel; -1 where it is given the slopes
    relative: ClassVar[bool]  # whether `u` is counted in thresholds, and spikes are as high as one

    @property
    def sharpness(self) -> float:
        """Inverse width."""
        ...

    def slope(self, u: Tensor) -> Tensor:
        """Slope at a distance from the threshold; same shape."""
        ...


@SURROGATES.add("atan")
@dataclass(frozen=True, slots=True)
class Atan:
    """Slope of an arc tangent: wide tails, the usual choice (ICCV 2021, arXiv 2007.05785)."""

    sharpness: float = 2.0
    code: ClassVar[int] = 0
    relative: ClassVar[bool] = False

    def slope(self, u: Tensor) -> Tensor:
        """``a / 2 / (1 + (pi / 2 a u)^2)``."""
        z = (math.pi / 2 * self.sharpness) * u
        return z.square_().add_(1).reciprocal_().mul_(self.sharpness / 2)


@SURROGATES.add("rectangle")
@dataclass(frozen=True, slots=True)
class Rectangle:
    """A box one wide: the membranes within half of it learn (Front. Neurosci. 2018, STBP)."""

    sharpness: float = 1.0
    code: ClassVar[int] = 1
    relative: ClassVar[bool] = False

    def slope(self, u: Tensor) -> Tensor:
        """``a`` where ``|u| < 1 / (2 a)``, else 0."""
        return u.abs().lt_(0.5 / self.sharpness).mul_(self.sharpness)


@SURROGATES.add("triangle")
@dataclass(frozen=True, slots=True)
class Triangle:
    """A tent two wide (Bellec et al., NeurIPS 2018, arXiv 1803.09574)."""

    sharpness: float = 1.0
    code: ClassVar[int] = 2
    relative: ClassVar[bool] = False

    def slope(self, u: Tensor) -> Tensor:
        """``a max(0, 1 - a |u|)``."""
        return u.abs().mul_(-self.sharpness).add_(1).clamp_(min=0).mul_(self.sharpness)


@SURROGATES.add("fast_sigmoid")
@dataclass(frozen=True, slots=True)
class FastSigmoid:
    """SuperSpike's: a fast sigmoid with a peak of 1 (Neural Computation 2018)."""

    sharpness: float = 10.0
    code: ClassVar[int] = 3
    relative: ClassVar[bool] = False

    def slope(self, u: Tensor) -> Tensor:
        """``1 / (1 + a |u|)^2``."""
        return u.abs().mul_(self.sharpness).add_(1).square_().reciprocal_()


@SURROGATES.add("sigmoid")
@dataclass(frozen=True, slots=True)
class Sigmoid:
    """Slope of a logistic function."""

    sharpness: float = 4.0
    code: ClassVar[int] = -1
    relative: ClassVar[bool] = False

    def slope(self, u: Tensor) -> Tensor:
        """``a s (1 - s)`` with ``s = 1 / (1 + exp(-a u))``."""
        s = torch.sigmoid(self.sharpness * u)
        return (1 - s).mul_(s).mul_(self.sharpness)


@SURROGATES.add("trsg")
@dataclass(frozen=True, slots=True)
class ThresholdRobust:
    """TrSG: a box between a half and three halves of the threshold, of gain 1 at any threshold.

    Reference: "Stabilizing direct training of spiking neural networks: membrane potential
    initialization and threshold-robust surrogate gradient", WACV 2026, arXiv 2511.08708. Spikes
    are as high as the threshold, so that it can be learned without changing how strong gradients
    are; their height folds into the weights that follow.
    """

    sharpness: float = 1.0
    code: ClassVar[int] = 1
    relative: ClassVar[bool] = True

    def slope(self, u: Tensor) -> Tensor:
        """``a`` where ``|u| < 1 / (2 a)``, else 0, with `u` in thresholds."""
        return Rectangle(self.sharpness).slope(u)


@SURROGATES.add("pdsg")
@dataclass(frozen=True, slots=True)
class PotentialDependent:
    """PDSG: a bell whose width is the spread of the membrane so far, for each feature.

    The spread is taken over the steps up to each, the batch and all places.
    """

    sharpness: float = 1.0
    code: ClassVar[int] = -1
    relative: ClassVar[bool] = False

    def slope(self, u: Tensor) -> Tensor:
        """Normal density of `u` with mean ``sigma / 2`` and deviation ``sigma / a``."""
        places = tuple(range(1, u.ndim - 1))
        n = torch.arange(1, len(u) + 1, device=u.device, dtype=u.dtype)[:, None]
        mean = (u.mean(dim=places) if places else u).cumsum(0) / n
        square = (u.square().mean(dim=places) if places else u.square()).cumsum(0) / n
        sigma = (square - mean.square()).clamp(min=1e-4).sqrt() / self.sharpness
        shape = (len(u), *(1 for _ in places), u.shape[-1])
        sigma = sigma.view(shape)
        z = (u - sigma / 2) / sigma
        return torch.exp(-z * z / 2) / (sigma * math.sqrt(2 * math.pi))


def surrogate(name: str, sharpness: float | None = None) -> Surrogate:
    """The surrogate of that name, with its own sharpness unless one is given."""
    found: Surrogate = (
        SURROGATES.get(name)() if sharpness is None else SURROGATES.get(name)(sharpness=sharpness)
    )
    return found


def spike(u: Tensor, surrogate: Surrogate) -> Tensor:
    """One step of `spikes`; (batch, ..., n_features)."""
    return spikes(u.unsqueeze(0), surrogate).squeeze(0)


def spikes(u: Tensor, surrogate: Surrogate) -> Tensor:
    """1 where `u` >= 0, else 0, with the surrogate's slope; (n_steps, batch, ..., n_features)."""
    out: Tensor = _Spike.apply(u, surrogate)  # type: ignore[no-untyped-call]
    return out


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u: Tensor, surrogate: Surrogate) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(u)
        ctx.surrogate = surrogate
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        (u,) = ctx.saved_tensors
        return gradient * ctx.surrogate.slope(u), None
