"""Published weights of MVPFormer: from a safetensors file, or through braindecode from the hub.

Two layouts are known: braindecode's (``blocks.0.attn.q_attn.weight``), in which the weights are
hosted as ``braindecode/mvpformer-s-pretrained`` and others, and the authors' own
(``mvpformer.h.0.attn.q_attn.weight``), whose files must be made safetensors first.
"""

import re
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from neurodecode.core.errors import CheckpointError
from neurodecode.models.mvpformer import SIZES

TERMS = (
    "MVPFormer's authors: this software may only be used for research; in particular, it must not "
    "be used for diagnostic purposes."
)

NAMES = {  # patterns of published names, and ours; attention's keys and values are one tensor
    r"(?:patch_embed|encoder)\.ln\.weight": "coefficients_norm.weight",
    r"(?:patch_embed|encoder)\.proj\.weight": "embed.weight",
    r"(?:mvpformer\.)?positional_embedding\.weight": "tables.time",
    r"(?:mvpformer\.)?channel_embedding\.weight": "tables.space",
    r"(?:mvpformer\.)?ln_f\.weight": "norm.weight",
    r"(?:blocks|mvpformer\.h)\.(\d+)\.ln_1\.weight": r"blocks.\1.norm.weight",
    r"(?:blocks|mvpformer\.h)\.(\d+)\.attn\.q_attn\.weight": r"blocks.\1.attention.query.weight",
    r"(?:blocks|mvpformer\.h)\.(\d+)\.attn\.c_attn\.weight": r"blocks.\1.attention.key.weight",
    r"(?:blocks|mvpformer\.h)\.(\d+)\.attn\.position_net\.weight": (
        r"blocks.\1.attention.time.weight"
    ),
    r"(?:blocks|mvpformer\.h)\.(\d+)\.attn\.channel_net\.weight": (
        r"blocks.\1.attention.space.weight"
    ),
    r"(?:blocks|mvpformer\.h)\.(\d+)\.attn\.c_proj\.weight": r"blocks.\1.attention.output.weight",
    r"(?:blocks|mvpformer\.h)\.(\d+)\.attn\.attn_bias": r"blocks.\1.attention.offsets",
    r"(?:blocks|mvpformer\.h)\.(\d+)\.mlp\.(gate|up|down)_proj\.weight": r"blocks.\1.\2.weight",
}
LEFT_OUT = re.compile(  # heads, and what the authors' net has and never uses
    r"final_layer\.weight|head\.head\.weight|class_loss\.weight|seizure_embeddings"
    r"|mvpformer\.h\.\d+\.(ln_2\.weight|attn\.time_bias|attn\.masked_bias)"
)


def load_published(source: str | Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Published weights under the names of `MVPFormerBackbone`, and names that were left out.

    Raises
    ------
    CheckpointError
        If the weights cannot be had, or a tensor among them is not known.
    """
    if Path(source).is_file():
        tensors = _read(Path(source))
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)) and not str(source).endswith(".safetensors"):
        tensors = _fetch(str(source))
    else:
        raise CheckpointError(f"There are no weights at {source}. Check the path.")
    weights: dict[str, Tensor] = {}
    left_out: list[str] = []
    strange: list[str] = []
    for name, value in tensors.items():
        ours = next((re.sub(p, n, name) for p, n in NAMES.items() if re.fullmatch(p, name)), None)
        if ours is None:
            (left_out if LEFT_OUT.fullmatch(name) else strange).append(name)
        elif ours.endswith("attention.key.weight"):
            key, value = value.chunk(2)
            weights[ours], weights[ours.replace(".key.", ".value.")] = key, value
        else:
            weights[ours] = value.view(3, -1) if ours.endswith("offsets") else value
    if strange:
        hint = " Merge its adapters first." if any("lora" in name for name in strange) else ""
        raise CheckpointError(
            f"{source} holds {len(strange)} tensors that are none of a published mvpformer, such "
            f"as {strange[0]}, so something would be lost.{hint} Name another file."
        )
    return weights, tuple(left_out)


def published_options(weights: dict[str, Tensor]) -> dict[str, object] | None:
    """Options that build the backbone of published weights; None if no size has their width."""
    width = weights["norm.weight"].numel() if "norm.weight" in weights else 0
    sizes = [size for size, dimensions in SIZES.items() if dimensions.width == width]
    return {"size": sizes[0], "published": True} if sizes else None


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors ({error}). Convert the weights, or name "
            f"another file; pickled files are not opened."
        ) from None


def _fetch(name: str) -> dict[str, Tensor]:
    """Weights from the hub, by braindecode's own loader."""
    from neurodecode.models.braindecode import import_braindecode  # here: it takes seconds

    peer = import_braindecode().MVPFormer
    try:
        tensors: dict[str, Tensor] = peer.from_pretrained(name).state_dict()
    except Exception as error:  # whatever the hub's client raises: it has dozens of kinds
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{name} cannot be fetched from the Hugging Face hub ({type(error).__name__}: "
            f"{reason}). Install huggingface_hub and go online, or name a safetensors file."
        ) from error
    return tensors
