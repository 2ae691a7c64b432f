"""Thresholds of encoders, and which of them gives how many events.

Deviations are robust, 1.4826 times the median distance from the median, so that an artifact does
not set the threshold of what is not one. Whatever is fitted here is fitted to recordings of the
training side only: a threshold that has seen the test side's amplitude has seen the test side.
"""

import math
from typing import Any

import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.options import keywords
from neurodecode.nn.spiking.encoders import ENCODERS, Encoder


class Thresholded(Encoder):
    """An encoder with a threshold for each feature, kept in its state dict.

    Parameters
    ----------
    n_features
        Size of the last axis.
    dt
        Length of a sample, seconds.
    theta
        What an event stands for, in units of the signal: one, or one for each feature.
    limit
        Most events of a feature in a sample; by default as many as it takes.

    Raises
    ------
    ConfigError
        For thresholds that are not positive, or not as many as features.
    """

    theta: Tensor

    def __init__(
        self, n_features: int, *, dt: float, theta: float | tuple[float, ...], limit: int | None
    ) -> None:
        super().__init__(n_features, dt=dt)
        thetas = torch.as_tensor(theta, dtype=torch.float32).reshape(-1)
        if thetas.numel() not in (1, n_features) or not bool((thetas > 0).all()):
            raise ConfigError(
                f"theta must be one positive number, or one for each of {n_features} features; got "
                f"{theta}."
            )
        if limit is not None and limit < 1:
            raise ConfigError(f"limit={limit} leaves no events. Give 1 or more, or leave it out.")
        self.register_buffer("theta", thetas.expand(n_features).clone())
        self.limit = math.inf if limit is None else float(limit)

    def fit(self, x: Tensor, rate: float) -> None:
        """Set the thresholds to those with about `rate` events a sample in `x`, training data.

        Parameters
        ----------
        x
            (n_times, batch, ..., n_features).
        rate
            Events of each feature a sample.

        Raises
        ------
        SignalError
            For a feature that is flat.
        ConfigError
            For a rate that is not positive or that `limit` forbids.
        """
        self.theta.copy_(_searched(self, x, rate))

    def extra_repr(self) -> str:
        """Sizes and thresholds, for ``print(net)``."""
        return f"{super().extra_repr()}, theta={self.theta.mean():.3g}"


def robust_deviation(x: Tensor) -> Tensor:
    """Deviation of each feature by its median distance: (..., n_features) to (n_features,).

    Raises
    ------
    SignalError
        For a feature that is flat more than half the time.
    """
    flat = x.detach().reshape(-1, x.shape[-1])
    distance = (flat - flat.median(dim=0).values).abs()
    deviation = 1.4826 * distance.median(dim=0).values
    dead = [i for i, d in enumerate(deviation.tolist()) if not d > 0]
    if dead:
        raise SignalError(
            f"{len(dead)} of {len(deviation)} features are flat or not numbers (first: {dead[0]}), "
            f"so no threshold suits them. Leave them out."
        )
    return deviation


def rate_for(x: Tensor, theta: float | Tensor, *, code: str = "send_on_delta") -> Tensor:
    """Events of each feature a sample, (n_features,), with a threshold.

    Parameters
    ----------
    x
        Training data, (n_times, batch, ..., n_features), any unit.
    theta
        One, or (n_features,), in robust deviations of each feature.
    code
        An encoder with a threshold.

    Raises
    ------
    ConfigError
        If the encoder has no `theta`.
    SignalError
        For a feature that is flat.
    """
    return _rate(_encoder(code, x.shape[-1]), x, robust_deviation(x) * theta)


def theta_for(x: Tensor, rate: float, *, code: str = "send_on_delta") -> Tensor:
    """Threshold of each feature, (n_features,), that gives about `rate` events a sample.

    Parameters
    ----------
    x
        Training data, (n_times, batch, ..., n_features), any unit.
    rate
        Events of each feature a sample.
    code
        An encoder with a threshold.

    Returns
    -------
    Tensor
        In robust deviations of each feature; times ``robust_deviation(x)`` it is the `theta` of an
        encoder of `x`.

    Raises
    ------
    ConfigError
        If the encoder has no `theta`, or the rate is not positive.
    SignalError
        For a feature that is flat.
    """
    return _searched(_encoder(code, x.shape[-1]), x, rate) / robust_deviation(x)


def _encoder(code: str, n_features: int) -> Thresholded:
    builder: Any = ENCODERS.get(code)
    if "theta" not in keywords(builder):
        raise ConfigError(
            f"The encoder '{code}' has no theta to choose. Ask for send_on_delta or sigma_delta."
        )
    found: Thresholded = builder(n_features, dt=1.0)
    return found


@torch.no_grad()
def _rate(encoder: Thresholded, x: Tensor, theta: Tensor) -> Tensor:
    before = encoder.theta.clone()
    encoder.theta.copy_(theta)
    events, _ = encoder(x)
    encoder.theta.copy_(before)
    total = events.reshape(-1, 2, encoder.n_features).sum(dim=(0, 1))
    return total / (x.numel() // encoder.n_features)


WIDEST, N_HALVINGS = 1e4, 25  # a ratio of 1e8, halved in its logarithm to 1 + 5e-7


def _searched(encoder: Thresholded, x: Tensor, rate: float) -> Tensor:
    """Bisection for all features at once, in units of `x`; more events, larger threshold."""
    if not 0 < rate <= encoder.limit:
        raise ConfigError(f"rate={rate} events a sample must lie in (0, {encoder.limit}].")
    x = x.detach()
    unit = robust_deviation(x)
    low, high = unit / WIDEST, unit * WIDEST
    for _ in range(N_HALVINGS):
        middle = (low * high).sqrt()
        many = _rate(encoder, x, middle) > rate
        low, high = torch.where(many, middle, low), torch.where(many, high, middle)
    return (low * high).sqrt()
