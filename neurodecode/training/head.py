"""Fine-tuning of a decoder's last linear layer to a few windows of one person.

The rest stays as it was trained, so that windows become features once, and what is left is convex:
mean cross-entropy plus `lam` times the squared distance from the trained weights, the maximum a
posteriori under a Gaussian prior around them ("Explicit Inductive Bias for Transfer Learning with
Convolutional Networks", ICML 2018, arXiv 1802.01483). Features are centred and scaled to unit
deviation first, so that `lam` means the same for every decoder; the bias moves like a weight.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.utils.hooks import RemovableHandle

from neurodecode.core.errors import ConfigError
from neurodecode.training.estimator import Decoder

Array = NDArray[np.float64]

GRID = (math.inf, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Strengths of the prior to choose from, strongest first; with infinity nothing changes."""

N_FOLDS = 5
SAME = 1e-4  # by which logits from features may differ from those of the decoder
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)  # a convolution over all that there is, is linear


def _as_it_is(weight: Array) -> Array:
    return weight


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearHead:
    """The layer whose output is the logits.

    Attributes
    ----------
    weight
        (n_rows, n_features). One row means two classes, and the log-odds of the second.
    bias
        (n_rows,); None for a layer without.
    hold
        What the layer does to its weights before it uses them, such as limiting their norm.
    """

    weight: Array
    bias: Array | None
    hold: Callable[[Array], Array] = _as_it_is

    def logits(self, features: Array) -> Array:
        """Of features (n_epochs, n_features): (n_epochs, n_outputs)."""
        out = features @ self.weight.T + (0.0 if self.bias is None else self.bias)
        return _for_each_class(out)

    def proba(self, features: Array) -> Array:
        """Probabilities of features (n_epochs, n_features): (n_epochs, n_outputs)."""
        return np.asarray(softmax(self.logits(features), axis=1))


def read_head(decoder: Decoder) -> LinearHead:
    """The last linear layer of a fitted decoder.

    Raises
    ------
    ConfigError
        If it has none that gives its logits.
    """
    if not isinstance(decoder.model_, nn.Module):
        last = _last_step(decoder)
        return LinearHead(weight=np.array(last.coef_), bias=np.array(last.intercept_))
    layer = _last_layer(decoder)
    head = _read_layer(layer)
    _net_features(decoder, _noise(decoder), layer, head)  # refuses what is not its head
    return head


def features_of(decoder: Decoder, x: NDArray[np.floating]) -> Array:
    """What the last linear layer sees of windows, (n_epochs, n_features).

    Spiking decoders have features at every step, whose mean this is.

    Parameters
    ----------
    decoder
        Fitted.
    x
        Windows as it takes them, (n_epochs, n_chans, n_times).

    Raises
    ------
    ConfigError
        If the layer does not make its logits of them.
    """
    if isinstance(decoder.model_, nn.Module):
        layer = _last_layer(decoder)
        return _net_features(decoder, x, layer, _read_layer(layer))
    head, model = read_head(decoder), decoder.model_
    features = np.asarray(x, dtype=np.float64)
    if hasattr(model, "steps"):
        features = np.asarray(model[:-1].transform(features), dtype=np.float64)
    if not np.allclose(head.proba(features), decoder.predict_proba(x), atol=SAME):
        raise _no_head(decoder)
    return features


def with_head(decoder: Decoder, head: LinearHead) -> Decoder:
    """A copy of a decoder with other weights in its last linear layer."""
    new: Decoder = copy.deepcopy(decoder)
    if not isinstance(new.model_, nn.Module):
        last = _last_step(new)
        last.coef_, last.intercept_ = head.weight.copy(), np.array(head.bias)
        return new
    layer: Any = _last_layer(new)
    held = _limits(layer)
    weight = held.original if held else layer.weight
    with torch.no_grad():
        weight.copy_(torch.from_numpy(head.weight).reshape(weight.shape))
        if head.bias is not None:
            layer.bias.copy_(torch.from_numpy(head.bias))
    return new


def move_head(head: LinearHead, features: Array, y: NDArray[np.integer], lam: float) -> LinearHead:
    """The head after it has learned from some windows.

    Parameters
    ----------
    head
        As it was trained.
    features
        What it sees of the windows, (n_epochs, n_features).
    y
        Their classes, 0 to n_outputs - 1, (n_epochs,).
    lam
        Strength of the prior, > 0; with infinity nothing changes.
    """
    if math.isinf(lam):
        return head
    centre = np.zeros(features.shape[1]) if head.bias is None else features.mean(axis=0)
    scale = features.std(axis=0)
    scale = np.where(scale > 1e-9 * np.abs(centre), scale, 1.0)  # one that is constant stays
    z = (features - centre) / scale
    trained = head.weight * scale
    if head.bias is not None:
        z = np.column_stack([z, np.ones(len(z))])
        trained = np.column_stack([trained, head.bias + head.weight @ centre])
    found = minimize(
        _objective,
        trained.ravel(),
        args=(z, y, trained, lam),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "ftol": 1e-13, "gtol": 1e-8},
    ).x.reshape(trained.shape)
    weight = head.hold(found[:, : len(scale)] / scale)
    if head.bias is None:
        return replace(head, weight=weight)
    return replace(head, weight=weight, bias=found[:, -1] - found[:, :-1] / scale @ centre)


def choose_lam(head: LinearHead, features: Array, y: NDArray[np.integer]) -> float:
    """The strength of the prior that cross-validation prefers, of `GRID`.

    The one whose cross-entropy on windows left out is least; then the strongest that is worse by
    no more than the standard error of the difference, so that nothing changes without evidence.

    Parameters
    ----------
    head, features, y
        See `move_head`; windows in order of time. With a single window of a class nothing can be
        left out, and nothing changes.
    """
    if np.bincount(y)[np.unique(y)].min() < 2:
        return math.inf
    losses = np.zeros((len(GRID), len(y)))
    for train, test in folds_of(y):
        for i, lam in enumerate(GRID):
            moved = move_head(head, features[train], y[train], lam)
            logs = log_softmax(moved.logits(features[test]), axis=1)
            losses[i, test] = -logs[np.arange(len(test)), y[test]]
    excess = losses - losses[losses.mean(axis=1).argmin()]
    error = excess.std(axis=1, ddof=1) / math.sqrt(len(y))
    return GRID[int(np.flatnonzero(excess.mean(axis=1) <= error)[0])]


def folds_of(y: NDArray[np.integer]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Indices of training and test windows: five folds, fewer where a class has fewer windows.

    A fold is a stretch of time in each class, so that a slow drift cannot help.

    Parameters
    ----------
    y
        Classes in order of time, (n_epochs,), at least two of each.
    """
    n_folds = min(N_FOLDS, int(np.bincount(y)[np.unique(y)].min()))
    for train, test in StratifiedKFold(n_folds).split(np.zeros(len(y)), y):
        yield np.asarray(train), np.asarray(test)


def _objective(
    theta: Array, z: Array, y: NDArray[np.integer], trained: Array, lam: float
) -> tuple[float, Array]:
    """Value and gradient at `theta`, (n_rows * n_columns,)."""
    weight = theta.reshape(trained.shape)
    logs = log_softmax(_for_each_class(z @ weight.T), axis=1)
    value = -logs[np.arange(len(y)), y].mean() + lam * np.square(weight - trained).sum()
    error = np.exp(logs)
    error[np.arange(len(y)), y] -= 1.0
    slope = error[:, -len(trained) :].T @ z / len(y) + 2 * lam * (weight - trained)
    return float(value), slope.ravel()


def _for_each_class(out: Array) -> Array:
    """Logits of each class, where a single column is the log-odds of the second of two."""
    if out.shape[1] > 1:
        return out
    return np.column_stack([np.zeros(len(out)), out])


def _last_step(decoder: Decoder) -> Any:
    """The linear classifier at the end of a scikit-learn pipeline."""
    model = decoder.model_
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    if not isinstance(last, LinearDiscriminantAnalysis | LogisticRegression):
        raise _no_head(decoder)
    return last


def _no_head(decoder: Decoder) -> ConfigError:
    return ConfigError(
        f"The head of {decoder.model} cannot be fine-tuned: its probabilities do not come from a "
        f"linear layer at its end. Calibrate its alignment alone, or choose another decoder, such "
        f"as ts_lr or dbconformer."
    )


def _last_layer(decoder: Decoder) -> nn.Module:
    """The layer of a net that is used last, of those that could be its head."""
    seen: list[nn.Module] = []
    hooks = [
        part.register_forward_hook(lambda layer, given, out: seen.append(layer))
        for part in decoder.model_.modules()
        if isinstance(part, LAYERS)
    ]
    _ask(decoder, _noise(decoder), hooks)
    if not seen or (_limits(seen[-1]) and not hasattr(_limits(seen[-1]), "original")):
        raise _no_head(decoder)
    return seen[-1]


def _net_features(
    decoder: Decoder, x: NDArray[np.floating], layer: nn.Module, head: LinearHead
) -> Array:
    """What a layer sees of windows, if that is what the logits are made of."""
    given: list[Tensor] = []
    logits: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda layer, args, out: given.append(_flat(layer, args[0]))),
        decoder.model_.register_forward_hook(lambda net, args, out: logits.append(out)),
    ]
    _ask(decoder, x, hooks)
    if [one.shape for one in given] != [(len(out), head.weight.shape[1]) for out in logits]:
        raise _no_head(decoder)
    features = np.asarray(torch.cat(given).double().cpu().numpy())
    wanted = torch.cat(logits).double().cpu().numpy()
    found = head.logits(features)
    if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=1e-5, atol=SAME):
        raise _no_head(decoder)
    return features


def _ask(decoder: Decoder, x: NDArray[np.floating], hooks: Iterable[RemovableHandle]) -> None:
    """Let a net see windows, with hooks that are taken off afterwards."""
    try:
        decoder.predict_proba(x)
    finally:
        for hook in hooks:
            hook.remove()


def _flat(layer: nn.Module, seen: Tensor) -> Tensor:
    """What a layer has seen of a batch, (batch, n_features); of steps, which come first, a mean."""
    steps = isinstance(layer, nn.Linear) and seen.ndim == 3
    return seen.mean(dim=0) if steps else seen.flatten(1)


def _read_layer(layer: nn.Module) -> LinearHead:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)

    def hold(new: Array) -> Array:
        value = torch.from_numpy(new).to(weight).reshape(weight.shape)
        with torch.no_grad():
            for limit in _limits(layer):
                value = limit(value)
        return np.asarray(value.double().cpu().numpy().reshape(new.shape))

    return LinearHead(
        weight=weight.detach().double().cpu().numpy().reshape(len(weight), -1),
        bias=bias.detach().double().cpu().numpy() if isinstance(bias, Tensor) else None,
        hold=hold if _limits(layer) else _as_it_is,
    )


def _limits(layer: Any) -> Any:
    """What a layer does to its weights before it uses them; nothing for most."""
    return layer.parametrizations["weight"] if is_parametrized(layer, "weight") else ()


def _noise(decoder: Decoder) -> NDArray[np.float32]:
    """Some windows of the size of those that a net was trained on."""
    spec = decoder.spec_
    x = np.random.default_rng(0).standard_normal((4, spec.n_chans, spec.n_times))
    return np.asarray(decoder.mean_ + decoder.scale_ * x, dtype=np.float32)
