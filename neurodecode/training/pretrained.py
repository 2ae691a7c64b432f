"""Pretrained backbones as files: safetensors, and in their header what they are and whom they saw.

A file holds the weights of a backbone (tensors ``backbone.*``), without what its pretraining alone
needed; and as JSON the model and its options, people seen, and how it was trained. No pickle.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from neurodecode.core.errors import CheckpointError, ConfigError
from neurodecode.core.options import check_options, keywords
from neurodecode.core.seeding import derive_seed
from neurodecode.models import BACKBONES
from neurodecode.nn.foundation import Backbone
from neurodecode.results.provenance import library_versions
from neurodecode.results.store import writing
from neurodecode.training.net import own_random_state

FORMAT = 1
LIBRARIES = ("neurodecode-eeg", "torch", "lightning")
KIND = "pretrained"
PREFIX = "backbone."
AGAIN = "Pretrain again, or name another file."


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """What a checkpoint of a backbone says.

    Attributes
    ----------
    path
        Where it was read.
    model, options
        Name in `BACKBONES`, and all its options.
    seen
        People whose recordings were used: a table for each with ``dataset`` and ``subject`` as in
        the table of an `EpochSet`, ``card``, and ``role``: "train", or "validation" of those whose
        loss was watched.
    weights
        Of the backbone, by the names of its ``state_dict``.
    header
        Everything the file says.
    """

    path: Path
    model: str
    options: dict[str, Any]
    seen: list[dict[str, str]]
    weights: dict[str, Tensor]
    header: dict[str, Any]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what a decoder is given: model, options and weights."""
        sha = hashlib.sha256(json.dumps([self.model, self.options], sort_keys=True).encode())
        for name, value in sorted(self.weights.items()):
            sha.update(name.encode())
            sha.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return sha.hexdigest()

    def __str__(self) -> str:
        left_out = self.header.get("left_out", [])
        rest = f"; left out: {', '.join(left_out)}" if left_out else ""
        n_params = sum(value.numel() for value in self.weights.values())
        return (
            f"{self.model} starts from {self.path}: all {len(self.weights)} tensors, "
            f"{n_params:,} parameters{rest}. {self.header.get('terms', '')}"
        ).rstrip()

    def into(self, backbone: Backbone) -> None:
        """Give a backbone these weights, all of them.

        Raises
        ------
        CheckpointError
            As `check`; the backbone is left as it was.
        """
        self.check(backbone)
        backbone.load_state_dict(self.weights)

    def check(self, backbone: Backbone) -> None:
        """Refuse weights that a backbone would not take whole.

        Raises
        ------
        CheckpointError
            If one is missing, left over, or of another shape.
        """
        expected = backbone.state_dict()
        wrong = [
            f"{name} is {tuple(self.weights[name].shape)}, not {tuple(value.shape)}"
            for name, value in expected.items()
            if name in self.weights and self.weights[name].shape != value.shape
        ]
        wrong += [f"{name} is missing" for name in expected if name not in self.weights]
        wrong += [f"{name} has no place" for name in self.weights if name not in expected]
        if wrong:
            raise CheckpointError(
                f"The weights in {self.path} do not fit {self.model} as it is built here: "
                f"{wrong[0]}{f', and {len(wrong) - 1} more' if len(wrong) > 1 else ''}. Build it "
                f"with the options of the file, or use the version it was made with."
            )


def build_backbone(model: str, options: Mapping[str, Any], seed: int) -> Backbone:
    """A backbone with random weights, the same for the same seed.

    Raises
    ------
    ConfigError
        If there is none of that name, or it does not take the options.
    """
    with own_random_state(torch.device("cpu")):
        torch.manual_seed(derive_seed(seed, "weights"))
        backbone: Backbone = BACKBONES.get(model)(**options)
    return backbone


def save_pretrained(
    path: Path,
    *,
    model: str,
    options: Mapping[str, Any],
    backbone: Backbone,
    seen: Sequence[Mapping[str, str]],
    history: Sequence[Mapping[str, Any]],
    more: Mapping[str, Any],
) -> None:
    """Write a pretrained backbone, whole or not at all.

    Parameters
    ----------
    path
        File to write; its folder is made.
    model, options
        Name in `BACKBONES`, and the options it was built with; defaults are written out, so that
        they may change.
    backbone
        With its weights.
    seen
        As in `Pretrained`.
    history
        Rows of the loss curve that shall stay with the weights.
    more
        Anything else worth knowing, as JSON can hold it.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    usual = {
        name: p.default
        for name, p in keywords(BACKBONES.get(model)).items()
        if p.default is not p.empty
    }
    header = {
        **more,
        "format": FORMAT,
        "kind": KIND,
        "model": model,
        "options": {**usual, **options},
        "seen": [dict(person) for person in seen],
        "sfreq": backbone.sfreq,
        "history": [dict(row) for row in history],
        "versions": library_versions(),
    }
    weights = {
        f"{PREFIX}{name}": value.detach().cpu().contiguous().clone()  # tied weights share memory
        for name, value in backbone.state_dict().items()
    }
    with writing(path) as file:
        save_file(weights, file, metadata={"neurodecode": json.dumps(header)})


def load_pretrained(path: Path) -> Pretrained:
    """The checkpoint at `path`; nothing in it is executed.

    Raises
    ------
    CheckpointError
        If there is no such file, it is damaged, or not one of a pretrained backbone.
    """
    path = Path(path)
    header, tensors = _read(path)
    seen = header.get("seen")
    try:
        people = [{str(k): str(v) for k, v in person.items()} for person in cast(Any, seen)]
        if not all({"dataset", "subject"} <= set(person) for person in people):
            raise ValueError("people without a name")
        model, options = str(header["model"]), dict(header["options"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged (its header: {error}). {AGAIN}") from None
    return Pretrained(
        path=path,
        model=model,
        options=options,
        seen=people,
        weights={
            name.removeprefix(PREFIX): value
            for name, value in tensors.items()
            if name.startswith(PREFIX)
        },
        header=header,
    )


def restore_backbone(pretrained: Pretrained) -> Backbone:
    """The backbone of a checkpoint, built anew with its weights, in evaluation mode.

    Raises
    ------
    CheckpointError
        If this version cannot build it, or the weights do not fit.
    """
    backbone = _build(pretrained)
    pretrained.into(backbone)
    return backbone.eval()


def refuse_unfit(pretrained: Pretrained) -> None:
    """Refuse what `restore_backbone` would, without the memory of a backbone.

    Raises
    ------
    CheckpointError
        As there.
    """
    with torch.device("meta"):
        backbone = _build(pretrained)
    pretrained.check(backbone)


def _build(pretrained: Pretrained) -> Backbone:
    try:
        check_options(
            BACKBONES.get(pretrained.model),
            pretrained.options,
            where=f"the options in {pretrained.path}:",
        )
        return build_backbone(pretrained.model, pretrained.options, seed=0)
    except ConfigError as error:
        raise CheckpointError(f"{pretrained.path} cannot be rebuilt: {error}") from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    with reading_tensors(path, AGAIN), safe_open(path, framework="pt") as file:
        header = json.loads((file.metadata() or {}).get("neurodecode", "{}"))
        if not isinstance(header, dict) or header.get("kind") != KIND:
            raise CheckpointError(
                f"{path} is no pretrained backbone of neurodecode. `neurodecode pretrain` makes "
                f"one: runs/ID/checkpoints/backbone.safetensors."
            )
        if header.get("format", 0) > FORMAT:
            raise CheckpointError(
                f"{path} has format {header['format']}; this version reads up to {FORMAT}. Update "
                f"neurodecode."
            )
        return header, copy_tensors(file)


def copy_tensors(file: Any) -> dict[str, Tensor]:
    """All tensors of an open file, by name.

    Copied, because safetensors maps the file into memory: a file that shrinks later would take the
    process with it.
    """
    return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118


@contextmanager
def reading_tensors(path: Path, then: str) -> Iterator[None]:
    """Inside, what a file of tensors raises is a `CheckpointError`; `then` says what to do."""
    try:
        yield
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint at {path}. Check the path.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a whole checkpoint ({error}). {then}") from None
