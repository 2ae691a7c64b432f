"""Ways from a backbone to a decoder: a linear probe, adapters, or all weights.

The probe is a logistic regression on the backbone's features; people who are held out choose the
strength of its penalty. Adapters and fine-tuning begin with the head of that probe, so that random
gradients of a random head do not spoil what was pretrained ("Fine-tuning can distort pretrained
features and underperform out-of-distribution", ICLR 2022, arXiv 2202.10054).
"""

import warnings
from collections.abc import Mapping
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
from neurodecode.nn.foundation import FoundationDecoder
from neurodecode.nn.lora import add_lora, merge_lora
from neurodecode.training.net import choose_device, fit_net
from neurodecode.training.pretrained import Pretrained, load_pretrained
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
    x: FloatArray,
    y: IntArray,
    x_val: FloatArray,
    y_val: IntArray,
    seed: int,
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
    x, y, x_val, y_val
        Windows and classes, as for `fit_net`.
    seed
        Of everything random.
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
    probe = fit_probe(net, x, y, x_val, y_val, device, final=mode in FROZEN)
    if mode in FROZEN:
        return probe, sum(p.numel() for p in net.head.parameters())
    options = {**train, "lr": train.get("lr") or LR[mode]}
    if mode == "lora":
        add_lora(net.backbone, net.backbone.lora_targets, rank=rank, alpha=alpha)
    n_params = sum(p.numel() for p in net.parameters() if p.requires_grad)
    history = fit_net(net, x, y, x_val, y_val, seed, **options)
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
    if not published or path.is_dir():
        return load_pretrained(path)
    from neurodecode.models.mvpformer_weights import load_published, published_options

    weights, left_out = load_published(source)
    options = published_options(weights)
    if options is None:
        raise CheckpointError(
            f"{source} holds weights of no size of mvpformer that is known. Name another file."
        )
    return Pretrained(
        path=path,
        model="mvpformer",
        options=options,
        seen=[],
        weights=weights,
        header={"published": True, "left_out": list(left_out)},
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
    net.head.to("cpu").standardize(torch.from_numpy(features))
    z, z_val = (_standardized(net, part) for part in (features, held_out))
    strengths = STRENGTHS if len(z_val) and len(np.unique(y_val)) > 1 else (1e-3,)
    losses = []
    for c in strengths:
        regression = _regression(c, z, y)
        losses.append(_loss(regression, z_val, y_val) if len(strengths) > 1 else 0.0)
    best = strengths[int(np.argmin(losses))]
    if final and len(z_val):
        net.head.standardize(torch.from_numpy(np.concatenate([features, held_out])))
        z, z_val = (_standardized(net, part) for part in (features, held_out))
        regression = _regression(best, np.concatenate([z, z_val]), np.concatenate([y, y_val]))
    else:
        regression = _regression(best, z, y)
    _write_head(net.head.linear, regression)
    net.to(device).eval()
    loss = _loss(regression, z, y)
    return {
        "train_loss": [loss],
        "val_loss": [float(min(losses))] if len(strengths) > 1 else [],
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


def _standardized(net: FoundationDecoder, features: FloatArray) -> FloatArray:
    mean, scale = (t.cpu().numpy() for t in (net.head.mean, net.head.scale))
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
