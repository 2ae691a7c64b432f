"""Ways from a backbone to a decoder: a linear probe, adapters, or all weights.

The probe is a logistic regression on the backbone's features; people who are held out choose the
strength of its penalty. Adapters and fine-tuning begin with the head of that probe, so that random
gradients of a random head do not spoil what was pretrained ("Fine-tuning can distort pretrained
features and underperform out-of-distribution", ICLR 2022, arXiv 2202.10054).
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import nn

from neurodecode.core.errors import CheckpointError
from neurodecode.models import FROZEN
from neurodecode.nn.foundation import FoundationDecoder, Head
from neurodecode.nn.lora import add_lora, merge_lora
from neurodecode.training.net import Lesson, choose_device, fit_net
from neurodecode.training.pretrained import Pretrained, load_pretrained, refuse_unfit
from neurodecode.training.schemes import History

BATCH = 64  # windows whose features are computed at a time
STRENGTHS = tuple(10.0**k for k in range(-6, 2))
"""Inverse strengths of the probe's penalty that are tried."""

LR = {"finetune": 3e-4, "lora": 1e-3}
"""Learning rates where none is chosen."""

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def fit_transfer(
    net: FoundationDecoder,
    mode: str,
    lesson: Lesson,
    train: Mapping[str, Any],
    *,
    rank: int = 8,
    alpha: float = 16.0,
) -> tuple[History, int]:
    """Fit a decoder whose backbone has its first weights, in place.

    Parameters
    ----------
    net
        The decoder.
    mode
        "probe" and "random" fit the head alone; "lora" the head and adapters, which are merged
        into the backbone at the end; "finetune" everything.
    lesson
        Windows, which are in memory, and classes.
    train
        Options of `fit_net`; the probe uses ``device`` alone.
    rank, alpha
        Of the adapters; see `neurodecode.nn.lora.add_lora`.

    Returns
    -------
    history, n_params
        As `fit_net` gives it; and how many numbers were trained.
    """
    device = choose_device(train.get("device", "auto"))
    x, y, x_val, y_val = (np.asarray(part) for part in lesson[:4])
    probe = fit_probe(net, x, y, x_val, y_val, device, final=mode in FROZEN)
    if mode in FROZEN:
        return probe, sum(p.numel() for p in net.head.parameters())
    options = {**train, "lr": train.get("lr") or LR[mode]}
    if mode == "lora":
        add_lora(net.backbone, net.backbone.lora_targets, rank=rank, alpha=alpha)
    n_params = sum(p.numel() for p in net.parameters() if p.requires_grad)
    history = fit_net(net, *lesson, **options)
    if mode == "lora":
        merge_lora(net.backbone)
    return history, n_params


def read_start(source: str) -> Pretrained:
    """What a decoder can start from: a pretrained backbone of ours, or a published one.

    Parameters
    ----------
    source
        A file of `neurodecode pretrain`, a safetensors file of published weights of mvpformer, or
        the name of such on the Hugging Face hub.

    Raises
    ------
    CheckpointError
        If it cannot be read, or is neither.
    """
    path = Path(source)
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    return _read_start(source, changed)


@lru_cache(maxsize=1)  # one for all folds: a large one takes seconds to read
def _read_start(source: str, changed: int) -> Pretrained:
    path = Path(source)
    published = _is_published(path) if path.is_file() else not path.suffix and "/" in source
    start = _published(source) if published and not path.is_dir() else load_pretrained(path)
    refuse_unfit(start)  # now, and not when all recordings have been read
    return start


def _published(source: str) -> Pretrained:
    from neurodecode.models.mvpformer_weights import TERMS, load_published, published_options

    weights, left_out = load_published(source)
    options = published_options(weights)
    if options is None:
        raise CheckpointError(
            f"{source} holds weights of no size of mvpformer that is known. Name another file."
        )
    return Pretrained(
        path=Path(source),
        model="mvpformer",
        options=options,
        seen=[],
        weights=weights,
        header={"left_out": list(left_out), "terms": TERMS},
    )


def _is_published(path: Path) -> bool:
    """Whether a file of tensors says nothing of us."""
    try:
        with safe_open(path, framework="pt") as file:
            return "neurodecode" not in (file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        return False  # `load_pretrained` will say what is wrong


def fit_probe(
    net: FoundationDecoder,
    x: FloatArray,
    y: IntArray,
    x_val: FloatArray,
    y_val: IntArray,
    device: torch.device,
    *,
    final: bool,
) -> History:
    """Fit the head of a decoder to the features of its backbone as they are.

    Parameters
    ----------
    net
        Changed in place: its head.
    x, y, x_val, y_val
        Windows and classes; the latter choose the strength of the penalty.
    device
        Where features are computed.
    final
        Whether the head is fitted to both sides in the end; otherwise the held-out windows stay
        unseen, to choose the epoch of what follows.
    """
    features, held_out = _features(net, x, device), _features(net, x_val, device)
    history = fit_head(net.head.to("cpu"), features, y, held_out, y_val, final=final)
    net.to(device).eval()
    return history


def fit_head(
    head: Head,
    features: FloatArray,
    y: IntArray,
    held_out: FloatArray,
    y_held_out: IntArray,
    *,
    final: bool,
) -> History:
    """Fit a head to features, (n_epochs, n_features), in place; otherwise as `fit_probe`."""
    head.standardize(torch.from_numpy(features))
    z, z_val = (_standardized(head, part) for part in (features, held_out))
    losses = [0.0]
    strengths: Sequence[float] = (1e-3,)
    if len(np.unique(y_held_out)) > 1:
        strengths = STRENGTHS
        losses = [_loss(_regression(c, z, y), z_val, y_held_out) for c in strengths]
    best = strengths[int(np.argmin(losses))]
    if final and len(held_out):
        features, y = np.concatenate([features, held_out]), np.concatenate([y, y_held_out])
        head.standardize(torch.from_numpy(features))
        z = _standardized(head, features)
    regression = _regression(best, z, y)
    _write_head(head.linear, regression)
    return {
        "train_loss": [_loss(regression, z, y)],
        "val_loss": [min(losses)] if len(losses) > 1 else [],
        "val_accuracy": [],
        "best_epoch": [1.0],
        "inverse_penalty": [best],
    }


def _features(net: FoundationDecoder, x: FloatArray, device: torch.device) -> FloatArray:
    net.to(device).eval()
    parts = [np.empty((0, net.head.linear.in_features), dtype=np.float32)]
    with torch.inference_mode():
        for start in range(0, len(x), BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(x[start : start + BATCH])).to(device)
            parts.append(net.features(batch).float().cpu().numpy())
    return np.concatenate(parts)


def _standardized(head: Head, features: FloatArray) -> FloatArray:
    mean, scale = head.mean.numpy(), head.scale.numpy()
    return np.asarray((features - mean) / scale)


def _regression(c: float, z: FloatArray, y: IntArray) -> LogisticRegression:
    """Logistic regression whose classes count alike; the penalty is relative to the windows."""
    regression = LogisticRegression(C=c, class_weight="balanced", max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly there is good enough
        return regression.fit(z, y)


def _loss(regression: LogisticRegression, z: FloatArray, y: IntArray) -> float:
    """Cross-entropy in which the classes count alike."""
    p = regression.predict_proba(z)[np.arange(len(y)), y]
    by_class = [-np.log(np.maximum(p[y == k], 1e-12)).mean() for k in np.unique(y)]
    return float(np.mean(by_class))


def _write_head(linear: nn.Linear, regression: LogisticRegression) -> None:
    """Coefficients as logits; of two classes, scikit-learn keeps the difference alone."""
    weight, bias = regression.coef_, regression.intercept_
    if len(weight) == 1 and linear.out_features == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    with torch.no_grad():
        linear.weight.copy_(torch.as_tensor(weight))
        linear.bias.copy_(torch.as_tensor(bias))
