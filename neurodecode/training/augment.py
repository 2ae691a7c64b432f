"""Augmentations of training windows, by name.

Each takes a batch of windows (batch, n_chans, n_times), the probability of each class per window
(batch, n_outputs) and a generator, and returns both anew; the arguments are left as they were.
Windows are normalised by then, so amplitudes are in standard deviations.

Reference for the choice: "Data augmentation for learning predictive models on EEG: a systematic
comparison", J. Neural Eng. 2022, doi:10.1088/1741-2552/aca220.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.core.options import check_options
from neurodecode.core.registry import Registry

Augmentation = Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]

AUGMENTATIONS: Registry[Callable[..., tuple[Tensor, Tensor]]] = Registry(
    "augmentation", package="neurodecode.training"
)


def choose_augmentations(choice: Sequence[str] | Mapping[str, Any]) -> list[Augmentation]:
    """Augmentations in the order they are named, each with its options.

    Parameters
    ----------
    choice
        Names, or a table of options for each name.

    Raises
    ------
    UnknownName
        For an augmentation or an option that does not exist.
    """
    table = choice if isinstance(choice, Mapping) else dict.fromkeys(choice, {})
    chosen: list[Augmentation] = []
    for name, options in table.items():
        augment = AUGMENTATIONS.get(name)
        if not isinstance(options, Mapping):
            raise ConfigError(f"augment.{name} = {options!r}: write augment.{name}.OPTION = value.")
        check_options(augment, options, where=f"[train.augment.{name}]")
        chosen.append(partial(augment, **options))
    return chosen


@AUGMENTATIONS.add("time_shift")
def time_shift(
    x: Tensor, y: Tensor, generator: Generator, *, largest: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Each window moved in time, zeros coming in.

    Parameters
    ----------
    x, y, generator
        See the module.
    largest
        Limit of the shift to either side, as a fraction of the window.
    """
    n_times = x.shape[2]
    shift = (2 * _uniform(x, generator, 1) - 1) * largest * n_times
    source = torch.arange(n_times, device=x.device) - shift.round().long()  # (batch, 1, n_times)
    inside = (source >= 0) & (source < n_times)
    return x.gather(2, source.clamp(0, n_times - 1).expand_as(x)) * inside, y


@AUGMENTATIONS.add("channel_dropout")
def channel_dropout(
    x: Tensor, y: Tensor, generator: Generator, *, p: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Whole channels of each window set to zero.

    Parameters
    ----------
    x, y, generator
        See the module.
    p
        Probability that a channel is dropped, in [0, 1).
    """
    return x * (_uniform(x, generator, x.shape[1]) >= p), y


@AUGMENTATIONS.add("gaussian_noise")
def gaussian_noise(
    x: Tensor, y: Tensor, generator: Generator, *, sd: float = 0.1
) -> tuple[Tensor, Tensor]:
    """White noise added to every sample.

    Parameters
    ----------
    x, y, generator
        See the module.
    sd
        Standard deviation of the noise, in those of the windows.
    """
    noise = torch.randn(x.shape, generator=generator, device=generator.device)
    return x + sd * noise.to(x), y


@AUGMENTATIONS.add("sign_flip")
def sign_flip(
    x: Tensor, y: Tensor, generator: Generator, *, p: float = 0.5
) -> tuple[Tensor, Tensor]:
    """All channels of a window turned upside down: power and covariance stay.

    Parameters
    ----------
    x, y, generator
        See the module.
    p
        Probability that a window is flipped.
    """
    return x * (1 - 2 * (_uniform(x, generator, 1) < p).to(x.dtype)), y


@AUGMENTATIONS.add("ft_surrogate")
def ft_surrogate(
    x: Tensor, y: Tensor, generator: Generator, *, p: float = 0.5, largest: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Phases turned at random, alike in all channels: spectra and covariances stay.

    Parameters
    ----------
    x, y, generator
        See the module.
    p
        Probability that a window is changed.
    largest
        Limit of the phase added to a frequency, as a fraction of a full turn.
    """
    spectrum = torch.fft.rfft(x)
    turn = _uniform(x, generator, 1, spectrum.shape[2]) * largest
    turn = turn * (_uniform(x, generator, 1) < p)
    turn[..., 0] = 0  # the mean has no phase
    return torch.fft.irfft(spectrum * torch.exp(2j * torch.pi * turn), n=x.shape[2]), y


@AUGMENTATIONS.add("mixup")
def mixup(
    x: Tensor, y: Tensor, generator: Generator, *, alpha: float = 0.2
) -> tuple[Tensor, Tensor]:
    """Weighted means of pairs of windows and of their labels.

    Reference: "mixup: beyond empirical risk minimization", ICLR 2018, arXiv:1710.09412.

    Parameters
    ----------
    x, y, generator
        See the module.
    alpha
        Both parameters of the beta distribution of the weight; larger mixes more evenly.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
    weight = np.random.default_rng(seed).beta(alpha, alpha, len(x)).astype(np.float32)
    w = torch.from_numpy(weight).to(x)[:, None]
    other = torch.randperm(len(x), generator=generator, device=generator.device).to(x.device)
    return w[..., None] * x + (1 - w[..., None]) * x[other], w * y + (1 - w) * y[other]


def _uniform(x: Tensor, generator: Generator, *shape: int) -> Tensor:
    """Numbers in [0, 1) for each window, (batch, *shape) with at least three axes."""
    full = (len(x), *shape, 1)[:3]
    return torch.rand(full, generator=generator, device=generator.device).to(x)
