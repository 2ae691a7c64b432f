"""Codes of where a channel is and of when a moment is.

Reference: DeeperBrain, arXiv 2601.06134. Differences: frequencies of the time code are in the
middle of their intervals, because at the highest that the paper names, 0.5 Hz, one of sine and
cosine is zero at the centre of every patch of one second; positions can be smoothed over a fixed
head instead of over the electrodes that happen to be there; and electrodes without a position have
a code of their own.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError

Reference = Literal["montage", "template"]

TAU = (0.01, 0.06)  # m; at 8 cm the smoothed positions are already half collapsed
HEAD = ((0.0, 0.014, 0.039), 0.095)  # centre and radius of the standard cap, m, head coordinates


class VolumeConductionCode(nn.Module):
    r"""Code of a channel: its position, smoothed as the head smooths potentials.

    .. math:: \tilde p_i = \sum_j \bar K_{ij} \, p_j, \quad K_{ij} = e^{-|p_i - p_j| / \tau}

    with rows of K normalised to 1, then a linear map; section 2.2 of the reference page. A channel
    without a position gets a learned code instead, and smooths no other.

    Parameters
    ----------
    width
        Features of a token.
    reference
        What is smoothed over: "montage", the channels that are there, as published, where leaving
        out one moves the others; or "template", points of a cap on a sphere, where it does not.
    tau
        Length at the start, m. It is learned, between 1 and 6 cm.

    Raises
    ------
    ConfigError
        If `tau` is not between 1 and 6 cm.
    """

    template: Tensor  # (n_points, 3), m

    def __init__(self, width: int, *, reference: Reference, tau: float) -> None:
        super().__init__()
        if not TAU[0] <= tau <= TAU[1]:
            raise ConfigError(
                f"tau = {tau} is a length in metres between {TAU[0]} and {TAU[1]}: beyond, "
                f"electrodes are smoothed into one place. Start near 0.03."
            )
        self.reference = reference
        self.alpha = nn.Parameter(torch.tensor(math.log(math.expm1(tau))))
        self.project = nn.Linear(3, width)
        self.unknown = nn.Parameter(0.02 * torch.randn(width))
        self.register_buffer("template", cap_points(256), persistent=False)

    @property
    def tau(self) -> Tensor:
        """Length over which positions are smoothed, m."""
        return functional.softplus(self.alpha).clamp(*TAU)

    def smooth(self, positions: Tensor, known: Tensor) -> Tensor:
        """Smoothed positions, (batch, n_chans, 3) m, of those that are `known` (batch, n_chans)."""
        if self.reference == "template":
            return smooth_positions(positions, self.template.expand(len(positions), -1, -1),
                                    self.tau)  # fmt: skip
        return smooth_positions(positions, positions, self.tau, known)

    def forward(self, positions: Tensor, present: Tensor) -> Tensor:
        """Codes (batch, n_chans, width) of positions (batch, n_chans, 3), m, NaN where unknown."""
        known = positions.isfinite().all(dim=-1) & present
        smoothed = self.smooth(positions.nan_to_num(0.0), known)
        code: Tensor = self.project(10 * smoothed)  # decimetres: a head has about one
        return torch.where(known[..., None], code, self.unknown)


def smooth_positions(
    positions: Tensor, others: Tensor, tau: Tensor | float, known: Tensor | None = None
) -> Tensor:
    """Means of `others` that weigh exp(-distance / tau), (batch, n_chans, 3), m.

    Parameters
    ----------
    positions
        (batch, n_chans, 3), m.
    others
        (batch, n_points, 3), m.
    tau
        Length, m.
    known
        Which of the others count, (batch, n_points); all by default.
    """
    distance = torch.cdist(positions, others, compute_mode="donot_use_mm_for_euclid_dist")
    log_kernel = -distance / tau
    if known is not None:
        log_kernel = log_kernel.masked_fill(~known[:, None, :], -1e9)
    return log_kernel.softmax(dim=-1) @ others


def cap_points(n_points: int) -> Tensor:
    """Points spread evenly over the part of the head that caps cover, (n_points, 3), m."""
    z = torch.linspace(1.0, -0.35, n_points, dtype=torch.float64)  # of the radius; ears at -0.1
    angle = torch.arange(n_points) * math.pi * (3 - math.sqrt(5))
    flat = (1 - z**2).sqrt()
    unit = torch.stack([flat * angle.cos(), flat * angle.sin(), z], dim=1)
    centre, radius = HEAD
    return (torch.tensor(centre) + radius * unit).float()


class TimeCode(nn.Module):
    r"""Code of a moment: slow oscillations and decays, then a linear map.

    .. math:: \psi(t) = [\sin 2 \pi f_k t, \cos 2 \pi f_k t]_{k \le K} \oplus [e^{-t/\tau_m}]_{m
        \le M}

    with K = 8 frequencies in 0.01-0.5 Hz and M = 4 time constants in 1-100 s, spread evenly over
    the logarithm and not learned. t is the centre of a patch, s from the start of the window.

    Parameters
    ----------
    width
        Features of a token.
    """

    frequencies: Tensor
    decays: Tensor

    def __init__(self, width: int, *, n_frequencies: int = 8, n_decays: int = 4) -> None:
        super().__init__()
        self.register_buffer("frequencies", _between(0.01, 0.5, n_frequencies), persistent=False)
        self.register_buffer("decays", _between(1.0, 100.0, n_decays), persistent=False)
        self.project = nn.Linear(2 * n_frequencies + n_decays, width)

    def features(self, times: Tensor) -> Tensor:
        """The functions above, (n_times, 2 K + M), of times (n_times,), s."""
        angle = 2 * math.pi * times[:, None] * self.frequencies
        return torch.cat([angle.sin(), angle.cos(), (-times[:, None] / self.decays).exp()], dim=1)

    def forward(self, times: Tensor) -> Tensor:
        """Codes (n_times, width)."""
        code: Tensor = self.project(self.features(times))
        return code


def _between(low: float, high: float, n: int) -> Tensor:
    """Middles of `n` intervals that share a range evenly on a logarithmic scale."""
    return low * (high / low) ** ((torch.arange(n) + 0.5) / n)
