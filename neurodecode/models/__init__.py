"""Networks and other decoders, one architecture per file.

A decoder (`MODELS`) is built from a `TaskSpec` and keyword-only choices. It is either a
`torch.nn.Module` that maps windows (batch, n_chans, n_times) to logits (batch, n_outputs), or a
scikit-learn classifier over windows (n_epochs, n_chans, n_times) with `predict_proba`.

A denoiser (`DENOISERS`) is built from keyword-only choices alone, because it must take any montage.
It is a `torch.nn.Module` that maps windows (batch, n_chans, n_times), in units of the usual
amplitude of the brain's signal and sampled at its `sfreq`, and directions of the electrodes
(n_chans, 3), to cleaned windows of the same shape.
"""

from collections.abc import Callable
from typing import Any

from neurodecode.core.registry import Registry

MODELS: Registry[Callable[..., Any]] = Registry("model", package=__name__)
DENOISERS: Registry[Callable[..., Any]] = Registry("denoiser", package=__name__)
