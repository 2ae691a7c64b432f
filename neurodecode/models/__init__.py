"""Networks and other decoders, one architecture per file.

A decoder (`MODELS`) is built from a `TaskSpec` and keyword-only choices. It is either a
`torch.nn.Module` that maps windows (batch, n_chans, n_times) to logits (batch, n_outputs), or a
scikit-learn classifier over windows (n_epochs, n_chans, n_times) with `predict_proba`.

A denoiser (`DENOISERS`) is built from keyword-only choices alone, because it must take any montage.
It is a `torch.nn.Module` that maps windows (batch, n_chans, n_times), in units of the usual
amplitude of the brain's signal and sampled at its `sfreq`, and directions of the electrodes
(n_chans, 3), to cleaned windows of the same shape.

A backbone (`BACKBONES`) is what pretraining trains, built from keyword-only choices alone: a
`neurodecode.nn.foundation.Backbone`. The decoder of the same name takes the same choices.

A word such as ``mvpformer+probe`` is a decoder and the way its weights come about, see `MODES`.
"""

from collections.abc import Callable
from typing import Any

from neurodecode.core.errors import UnknownName
from neurodecode.core.registry import Registry

MODELS: Registry[Callable[..., Any]] = Registry("model", package=__name__)
DENOISERS: Registry[Callable[..., Any]] = Registry("denoiser", package=__name__)
BACKBONES: Registry[Callable[..., Any]] = Registry("backbone", package=__name__)

MODES = {
    "scratch": "all weights from random ones",
    "random": "a linear head on a random backbone that stays as it is",
    "probe": "a linear head on a pretrained backbone that stays as it is",
    "lora": "adapters of low rank in a pretrained backbone, and a head",
    "finetune": "all weights from pretrained ones",
}
"""How the weights of a decoder with a backbone come about."""

PRETRAINED = ("probe", "lora", "finetune")
"""Modes that start from a pretrained backbone."""

FROZEN = ("random", "probe")
"""Modes that fit the head alone, in the end to the windows too that chose its penalty."""


def split_mode(word: str) -> tuple[str, str]:
    """Name and mode of a decoder: "mvpformer+probe" to ("mvpformer", "probe").

    Raises
    ------
    UnknownName
        If there is no such mode.
    """
    name, plus, mode = word.partition("+")
    if plus and mode not in MODES:
        raise UnknownName("mode of a decoder", mode, MODES)
    return name, mode or "scratch"
