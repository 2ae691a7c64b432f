"""The state of a training as a file, so that one which was killed goes on where it was.

What Lightning puts in a checkpoint (weights, moments of the optimiser, what the module adds) is
written as safetensors with a JSON header by `SafetensorsIO`: no pickle. A digest of all of it finds
a damaged file. The newest two files are kept, so that a damaged one costs the time between them.
"""

import hashlib
import json
import logging
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.plugins.io import CheckpointIO
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from neurodecode.core.errors import CheckpointError
from neurodecode.results.store import writing
from neurodecode.training.checkpoint import Tensors, decode, encode
from neurodecode.training.pretrained import copy_tensors, reading_tensors

logger = logging.getLogger(__name__)

FORMAT = 1
N_KEPT = 2

State = dict[str, Any]


class SafetensorsIO(CheckpointIO):
    """Lightning's checkpoints as safetensors with a JSON header."""

    def save_checkpoint(
        self, checkpoint: State, path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint, whole or not at all."""
        save_state(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> State:
        """The checkpoint that was saved to `path`, its tensors on the CPU."""
        return load_state(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove the file."""
        Path(path).unlink(missing_ok=True)


def save_state(state: State, path: Path) -> None:
    """Write a state of numbers, texts, arrays, tensors, and lists and tables of those.

    Raises
    ------
    CheckpointError
        If it holds anything else.
    StoreError
        If the file cannot be written.
    """
    tensors: Tensors = {}
    tree = encode(state, "state", tensors)
    whole = {
        name: torch.as_tensor(value).contiguous().clone()  # tied weights share memory
        for name, value in tensors.items()
    }
    header = {"format": FORMAT, "kind": "training", "state": tree}
    header["digest"] = _digest(header, whole)
    with writing(path) as file:
        save_file(whole, file, metadata={"neurodecode": json.dumps(header)})


def load_state(path: Path) -> State:
    """The state that was saved to `path`, to the last bit.

    Raises
    ------
    CheckpointError
        If there is no such file, it is damaged, or it is something else.
    """
    then = "The training goes on from an earlier one, or starts again."
    with reading_tensors(path, then), safe_open(path, framework="pt") as file:
        header = json.loads((file.metadata() or {}).get("neurodecode", "{}"))
        if not isinstance(header, dict) or header.get("kind") != "training":
            raise CheckpointError(f"{path} is not the state of a training. {then}")
        tensors = copy_tensors(file)
        if header.pop("digest", "") != _digest(header, tensors):
            raise ValueError("its digest is another")
        state: State = decode(header["state"], tensors)
    return state


def _digest(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    sha = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        raw = tensors[name].reshape(-1).view(torch.uint8)
        sha.update(name.encode() + np.ascontiguousarray(raw.numpy()).tobytes())
    return sha.hexdigest()


def newest_state(folder: Path) -> tuple[Path, State] | None:
    """The newest whole state in a folder, and its file; damaged ones are reported and set aside."""
    for path in sorted(folder.glob("step-*.safetensors"), reverse=True):
        try:
            return path, load_state(path)
        except CheckpointError as error:
            logger.warning("%s", error)
            path.replace(path.with_suffix(".damaged"))
    return None


class KeepState(pl.Callback):
    """Keeps the newest states of a training, at most so many seconds apart.

    A state is taken before a step, when everything of the steps before it is over.

    Parameters
    ----------
    folder
        Of the states.
    every
        Seconds between two; 0 keeps one at every step.
    """

    def __init__(self, folder: Path, every: float) -> None:
        self.folder, self.every = folder, every
        self.last = time.monotonic()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep a state, if it is time."""
        due = time.monotonic() - self.last >= self.every
        if trainer.world_size > 1:  # all processes take part in it, or none
            due = trainer.strategy.broadcast(due)
        if not due or not pl_module.step:
            return
        trainer.save_checkpoint(self.folder / f"step-{pl_module.step:09d}.safetensors")
        if trainer.is_global_zero:
            for old in sorted(self.folder.glob("step-*.safetensors"))[:-N_KEPT]:
                old.unlink(missing_ok=True)
        self.last = time.monotonic()
