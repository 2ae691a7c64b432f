"""Decoders, one architecture per file.

A builder takes a `TaskSpec` and keyword-only choices. It returns either a `torch.nn.Module` that
maps windows (batch, n_chans, n_times) to logits (batch, n_outputs), or a scikit-learn classifier
over windows (n_epochs, n_chans, n_times) with `predict_proba`.
"""

from collections.abc import Callable
from typing import Any

from neurodecode.core.registry import Registry

MODELS: Registry[Callable[..., Any]] = Registry("model", package=__name__)
