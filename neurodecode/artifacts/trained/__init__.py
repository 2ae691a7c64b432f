"""Denoisers as files: weights in safetensors, and in their header what they are and come from."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from neurodecode.core.errors import CheckpointError
from neurodecode.core.options import check_options, keywords
from neurodecode.models import DENOISERS

FORMAT = 1


def shipped(name: str) -> Path:
    """File of the weights that come with the package."""
    return Path(__file__).with_name(f"{name.replace(':', '-')}.safetensors")


def save_denoiser(
    net: nn.Module,
    path: Path,
    *,
    name: str,
    options: Mapping[str, Any],
    training: Mapping[str, Any],
) -> None:
    """Write a denoiser.

    Parameters
    ----------
    net
        Trained.
    path
        File to write; its folder is made.
    name, options
        Of the denoiser, as it was built; defaults are written out, so that they may change.
    training
        What it was trained on and how, as JSON can hold it.
    """
    builder = DENOISERS.get(name)
    fixed = builder.keywords if isinstance(builder, partial) else {}
    usual = {key: p.default for key, p in keywords(builder).items() if key not in fixed}
    header = {
        "format": FORMAT,
        "denoiser": name,
        "options": {**usual, **options},
        "training": dict(training),
    }
    weights = {k: v.detach().cpu().contiguous() for k, v in net.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_file(weights, path, metadata={"neurodecode": json.dumps(header)})
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be written ({error}). Choose another place."
        ) from None


def load_denoiser(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """A denoiser in evaluation mode, and its header.

    Raises
    ------
    CheckpointError
        If there is no such file, it is not a denoiser's, or a weight is missing or left over.
    """
    header, weights = _read(path)
    name, options = str(header["denoiser"]), dict(header["options"])
    builder = DENOISERS.get(name)
    check_options(builder, options, where=f"the options in {path}")
    net: nn.Module = builder(**options)
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"The weights in {path} do not fit {name} as this version builds it ({reason}). Use "
            f"the version they were made with, or train again."
        ) from None
    return net.eval(), header


@lru_cache(maxsize=8)
def digest(path: Path) -> str:
    """Fingerprint of a file of weights."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, Any] = json.loads((file.metadata() or {}).get("neurodecode", "{}"))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(
            f"There are no weights at {path}. Train some with neurodecode fit --paradigm denoise, "
            f"or check the path."
        ) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a whole file of weights ({error}).") from None
    if "denoiser" not in header or "options" not in header:
        raise CheckpointError(f"{path} does not hold a denoiser's weights. Name one that does.")
    return header, weights
