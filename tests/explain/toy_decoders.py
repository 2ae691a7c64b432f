"""Decoders whose answer is known, because somebody wrote down what they read."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from neurodecode.core.spec import TaskSpec
from neurodecode.explain.windows import Axes, Windows
from neurodecode.training.estimator import Decoder

SFREQ = 100.0
N_CHANS = 4
N_TIMES = 200
SCALE = 5.0


def axes(n_classes: int = 2, n_chans: int = N_CHANS, n_times: int = N_TIMES) -> Axes:
    return Axes(
        classes=tuple(f"class {i}" for i in range(n_classes)),
        ch_names=tuple(f"E{i}" for i in range(n_chans)),
        sfreq=SFREQ,
        n_times=n_times,
    )


def noise(n: int = 12, *, of: Axes | None = None, seed: int = 0) -> Windows:
    """White noise of about 5 uV; classes take turns."""
    of = of or axes()
    rng = np.random.default_rng(seed)
    shape = (2 * n, len(of.ch_names), of.n_times)
    x = (SCALE * rng.standard_normal(shape)).astype(np.float32)
    y = np.arange(2 * n) % len(of.classes)
    return Windows(x=x[:n], y=y[:n], x_train=x[n:], y_train=y[n:], axes=of)


def rhythm(n: int = 40, *, chan: int = 2, hz: float = 10.0, size: float = 10.0) -> Windows:
    """White noise; in class 1, one channel has a rhythm of any phase."""
    windows = noise(n)
    rng = np.random.default_rng(1)
    t = np.arange(N_TIMES) / SFREQ
    for x, y in ((windows.x, windows.y), (windows.x_train, windows.y_train)):
        phases = rng.uniform(0, 2 * np.pi, (len(x), 1))
        x[y == 1, chan] += (size * np.sin(2 * np.pi * hz * t + phases))[y == 1].astype(np.float32)
    return windows


def holding(net: nn.Module, *, n_classes: int = 2, n_chans: int = N_CHANS) -> Decoder:
    """A decoder that has been fitted, as far as anybody can tell; it divides windows by 5 uV."""
    decoder = Decoder("dbconformer", sfreq=SFREQ, train={"device": "cpu"})
    decoder.model_ = net.eval()
    decoder.classes_ = np.arange(n_classes)
    decoder.mean_ = np.zeros((n_chans, 1), dtype=np.float32)
    decoder.scale_ = np.full((n_chans, 1), SCALE, dtype=np.float32)
    decoder.spec_ = TaskSpec(
        ch_names=axes(n_chans=n_chans).ch_names,
        n_times=N_TIMES,
        sfreq=SFREQ,
        n_outputs=n_classes,
    )
    return decoder


class Linear(nn.Module):
    """The logit of class 1 is a weighted sum of all samples; that of class 0 its opposite.

    Its margin is twice the logit of the class.
    """

    def __init__(self, weight: np.ndarray) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(weight).float())

    def forward(self, x: Tensor) -> Tensor:
        logit = (x * self.weight).sum(dim=(1, 2))
        return torch.stack([-logit, logit], dim=1)


class Power(nn.Module):
    """The logit of class 1 is the power of one channel at one frequency, in some stretch."""

    def __init__(self, chan: int = 2, hz: float = 10.0, samples: slice = slice(0, N_TIMES)) -> None:
        super().__init__()
        angle = 2 * math.pi * hz * torch.arange(N_TIMES) / SFREQ
        inside = torch.zeros(N_TIMES)
        inside[samples] = 1 / N_TIMES
        self.register_buffer("waves", torch.stack([angle.cos(), angle.sin()]) * inside)
        self.chan = chan

    def forward(self, x: Tensor) -> Tensor:
        logit = (x[:, self.chan] @ self.waves.T).square().sum(dim=1)
        return torch.stack([-logit, logit], dim=1)
