"""The scikit-learn edge of every registered model, nets and classical alike."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError, FitError, SignalError
from neurodecode.core.options import check_options
from neurodecode.core.seeding import derive_seed, generator
from neurodecode.core.spec import TaskSpec
from neurodecode.epochs.epochset import as_places, spans
from neurodecode.epochs.view import View
from neurodecode.models import MODELS, PRETRAINED, split_mode
from neurodecode.nn.foundation import FoundationDecoder
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.training.net import Lesson, choose_device, fit_net, own_random_state
from neurodecode.training.schemes import History
from neurodecode.training.transfer import fit_transfer, read_start

BATCH = 256  # windows scored at a time
HELD_OUT = 0.2  # part of the training side that chooses the epoch

FloatArray = NDArray[np.floating]
Windows = FloatArray | View


class Begun(NamedTuple):
    """A decoder's model, not yet trained, and what it is to learn."""

    model: Any
    x: Windows  # (n_epochs, n_chans, n_times), microvolts
    y: NDArray[np.intp]  # places in `classes_`
    groups: NDArray[Any] | None


class Decoder(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # no types in sklearn
    """A classifier of windows (n_epochs, n_chans, n_times) in microvolts, by model name.

    Nets see normalised windows, and part of the training side chooses the epoch: a fifth of the
    groups where `fit` is given three or more, otherwise a fifth of each class's windows. Classical
    models get the windows as they are, in double precision, all of them.

    Parameters
    ----------
    model
        Name in the registry: "dbconformer", "csp_lda", "braindecode:EEGNeX"; behind a "+" the way
        the weights come about, "mvpformer+probe" (`neurodecode.models.MODES`).
    sfreq
        Sampling rate of the windows, Hz.
    ch_names
        Channel names in array order; without them channels are numbered.
    options
        Choices of the model.
    train
        Choices of the training, see `fit_net`; classical models have none.
    normalize
        What nets see: "channel" makes each channel zero mean and unit variance over the training
        windows, "scale" divides everything by one root mean square, "none" leaves microvolts.
        Decoders with a backbone always see microvolts, as in pretraining.
    positions
        Of the channels, (n_chans, 3), m; NaN or None where unknown.
    pretrained
        Where "probe", "lora" and "finetune" start: ``checkpoint`` (a file of `neurodecode
        pretrain`, or published weights), ``lora_rank`` and ``lora_alpha``. Read by `fit` alone.
    seed
        Of everything random.

    Attributes
    ----------
    classes_
        Labels, sorted.
    model_
        The fitted `torch.nn.Module`, or scikit-learn estimator.
    spec_
        Facts that it was built from.
    history_
        Losses by epoch, see `fit_net`; empty for classical models.
    n_params_
        Trainable parameters; 0 for classical models.
    """

    def __init__(
        self,
        model: str = "dbconformer",
        *,
        sfreq: float,
        ch_names: Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        train: Mapping[str, Any] | None = None,
        normalize: Literal["channel", "scale", "none"] = "channel",
        positions: ArrayLike | None = None,
        pretrained: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.sfreq = sfreq
        self.ch_names = ch_names
        self.options = options
        self.train = train
        self.normalize = normalize
        self.positions = positions
        self.pretrained = pretrained
        self.seed = seed

    def fit(self, x: ArrayLike | View, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Learn from windows and their labels.

        Parameters
        ----------
        x
            Windows, (n_epochs, n_chans, n_times), microvolts; a `View` is read as it is needed, and
            classical models read all of it. A channel that is not a number
            throughout a window is absent from it; few models can take that.
        y
            Label of each window, (n_epochs,): texts or numbers.
        groups
            Who each window comes from, (n_epochs,), so that whole subjects choose the epoch.

        Raises
        ------
        FitError
            If nothing can be learned: no windows, a single class, a value that is not a number.
        SignalError
            If `x` has another shape than the channel names say.
        """
        begun = self.begin(x, y, groups)
        if not isinstance(begun.model, nn.Module):
            self._fit_classical(begun.model, begun.x, begun.y)
            return self.end(begun.model, {})
        return self.end(begun.model, self._fit_net(begun.model, self.lesson(begun)))

    def begin(self, x: ArrayLike | View, y: ArrayLike, groups: ArrayLike | None = None) -> Begun:
        """Check what `fit` is given and build the model: all of `fit` that precedes training."""
        windows, labels = _windows(x), np.asarray(y)
        if labels.shape != (len(windows),):
            raise FitError(f"{len(windows)} windows need as many labels; got {labels.shape}.")
        absent = _absent_channels(windows)
        _refuse_nonfinite(windows, FitError, absent)
        self.classes_, index = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise FitError(
                f"All {len(labels)} training windows are of one class ({self.classes_[0]}). "
                f"Check the events, or train on more runs."
            )
        self.spec_ = self._measure(windows)
        model = self.build(self.spec_)
        if absent is not None:
            _refuse_absent(model, self.model, absent)
        trained = model.parameters() if isinstance(model, nn.Module) else ()
        self.n_params_ = sum(p.numel() for p in trained if p.requires_grad)
        return Begun(model, windows, index, None if groups is None else np.asarray(groups))

    def lesson(self, begun: Begun) -> Lesson:
        """What a net is trained with: normalised windows, and those that choose the epoch."""
        train = dict(self.train or {})
        check_options(fit_net, train, where="[train]")
        held_out = choose_validation(begun.y, begun.groups, self.seed)
        fitted = _some(begun.x, ~held_out)
        how = "none" if isinstance(begun.model, FoundationDecoder) else self.normalize
        self.mean_, self.scale_ = _statistics(fitted, how)
        return Lesson(
            self.normalized(fitted),
            begun.y[~held_out],
            self.normalized(_some(begun.x, held_out)),
            begun.y[held_out],
            self.seed,
        )

    def end(self, model: Any, history: History) -> Self:
        """Take a model that was fitted, and how it came to be: what `fit` ends with."""
        self.model_, self.history_ = model, history
        return self

    def build(self, spec: TaskSpec) -> Any:
        """The model for these facts, untrained; the same seed gives the same weights."""
        options = dict(self.options or {})
        builder = MODELS.get(split_mode(self.model)[0])
        check_options(builder, options, where=f"[model.{self.model}]")
        with own_random_state(torch.device("cpu")):
            torch.manual_seed(derive_seed(self.seed, "weights"))
            return builder(spec, **options)

    def predict_proba(self, x: ArrayLike) -> FloatArray:
        """Probability of each class, (n_epochs, n_outputs), in the order of `classes_`."""
        windows = self._checked(x)
        if isinstance(self.model_, nn.Module):
            return np.asarray(_softmax(self._logits(windows)))
        return np.asarray(self.model_.predict_proba(windows.astype(np.float64)))

    def predict(self, x: ArrayLike) -> NDArray[Any]:
        """Most probable label of each window, (n_epochs,)."""
        proba = self.predict_proba(x)
        return np.asarray(self.classes_[proba.argmax(axis=1)])

    def decision_function(self, x: ArrayLike) -> FloatArray:
        """Log-odds of the second of two classes, (n_epochs,); of more, a score for each class."""
        if isinstance(self.model_, nn.Module):
            scores = self._logits(self._checked(x))
        else:
            proba = self.predict_proba(x)
            scores = np.log(np.maximum(proba, np.finfo(proba.dtype).tiny))
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def step_logits(self, x: ArrayLike) -> FloatArray:
        """Logits of a spiking decoder at each step, (n_steps, n_epochs, n_outputs).

        Raises
        ------
        ConfigError
            If the decoder has no steps.
        """
        windows = self._checked(x)
        if not isinstance(self.model_, SpikingDecoder):
            raise ConfigError(
                f"{self.model} decides once, at the end of a window. Spiking decoders have steps."
            )
        return np.concatenate(self._batches(windows, self.model_.steps), axis=1)

    def features(self, x: ArrayLike) -> NDArray[np.float32]:
        """What the head of a decoder with a backbone sees of windows, (n_epochs, n_features).

        Raises
        ------
        ConfigError
            If the decoder has no backbone.
        """
        windows = self._checked(x)
        if not isinstance(self.model_, FoundationDecoder):
            raise ConfigError(f"{self.model} has no backbone whose features could be asked for.")
        return np.concatenate(self._batches(windows, self.model_.features)).astype(np.float32)

    @overload
    def normalized(self, x: View) -> View: ...
    @overload
    def normalized(self, x: ArrayLike) -> NDArray[np.float32]: ...
    def normalized(self, x: ArrayLike | View) -> NDArray[np.float32] | View:
        """What a net sees of windows in microvolts: same shape."""
        if isinstance(x, View):
            return x.then(lambda part, _: self.normalized(part))
        return ((_windows(x) - self.mean_) / self.scale_).astype(np.float32)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if isinstance(state.get("model_"), nn.Module):  # some nets refuse to be pickled
            state["model_"] = {k: v.cpu() for k, v in state["model_"].state_dict().items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        weights = getattr(self, "model_", None)
        if isinstance(weights, dict):
            self.model_ = self.build(self.spec_).eval()
            self.model_.load_state_dict(weights)

    def _measure(self, x: Windows) -> TaskSpec:
        n_chans = x.shape[1]
        names = self.ch_names
        if names is not None and len(names) != n_chans:
            raise SignalError(f"{len(names)} channel names for windows of {n_chans} channels.")
        return TaskSpec(
            ch_names=tuple(names if names is not None else (f"E{i + 1}" for i in range(n_chans))),
            n_times=x.shape[2],
            sfreq=float(self.sfreq),
            n_outputs=len(self.classes_),
            positions=as_places(None if self.positions is None else np.asarray(self.positions)),
        )

    def _fit_net(self, net: nn.Module, lesson: Lesson) -> History:
        train = dict(self.train or {})
        mode = split_mode(self.model)[1]
        if mode == "scratch":
            return fit_net(net, *lesson, **train)
        if not isinstance(net, FoundationDecoder):
            raise ConfigError(
                f"{self.model}: only decoders with a backbone have modes. Drop +{mode}."
            )
        given = dict(self.pretrained or {})
        if mode in PRETRAINED:
            if "checkpoint" not in given:
                raise ConfigError(f"{self.model} starts from a checkpoint. Give --from CHECKPOINT.")
            read_start(str(given["checkpoint"])).into(net.backbone)
        adapters = {k.removeprefix("lora_"): given[k] for k in given if k.startswith("lora_")}
        # Features of all windows are made at once.
        lesson = lesson._replace(x=np.asarray(lesson.x), x_val=np.asarray(lesson.x_val))
        history, self.n_params_ = fit_transfer(net, mode, lesson, train, **adapters)
        return history

    def _fit_classical(self, model: Any, x: Windows, y: NDArray[np.intp]) -> None:
        try:
            model.fit(np.asarray(x, dtype=np.float64), y)
        except (ValueError, np.linalg.LinAlgError) as error:
            reason = " ".join(str(error).split())[:300].rstrip(".")
            raise FitError(
                f"{self.model} cannot be fitted to {x.shape[0]} windows of {x.shape[1]} channels x "
                f"{x.shape[2]} samples: {reason}. Give it more windows, or drop flat channels."
            ) from error

    def _checked(self, x: ArrayLike) -> FloatArray:
        check_is_fitted(self)
        windows = _windows(np.asarray(x))
        assert not isinstance(windows, View)
        expected = (self.spec_.n_chans, self.spec_.n_times)
        if windows.shape[1:] != expected:
            raise SignalError(
                f"Windows are {windows.shape[1]} channels x {windows.shape[2]} samples; this "
                f"decoder was fitted to {expected[0]} x {expected[1]}. Cut them alike."
            )
        absent = _absent_channels(windows)
        _refuse_nonfinite(windows, SignalError, absent)
        if absent is not None:
            _refuse_absent(self.model_, self.model, absent)
        return windows

    def _logits(self, x: FloatArray) -> FloatArray:
        return np.concatenate(self._batches(x, self.model_))

    def _batches(self, x: FloatArray, ask: Callable[[Tensor], Tensor]) -> list[FloatArray]:
        """What the net, or a method of it, says to windows in microvolts, a batch at a time."""
        device = choose_device((self.train or {}).get("device", "auto"))
        self.model_.to(device).eval()
        said = []
        with torch.inference_mode():
            for start in range(0, len(x), BATCH):
                batch = torch.from_numpy(self.normalized(x[start : start + BATCH]))
                said.append(ask(batch.to(device)).double().cpu().numpy())
        return said


def choose_validation(
    y: NDArray[np.intp], groups: NDArray[Any] | None, seed: int
) -> NDArray[np.bool_]:
    """Which training windows choose the epoch: whole groups, or a fifth of each class.

    Parameters
    ----------
    y
        Class of each window, (n_epochs,).
    groups
        Who each window comes from; with fewer than three, windows are drawn instead.
    seed
        Of the draw.

    Raises
    ------
    FitError
        If the groups left for training lack a class.
    """
    if groups is not None and len(groups) != len(y):
        raise FitError(f"{len(y)} windows need as many groups; got {len(groups)}.")
    rng = generator(seed, "validation")
    names = np.unique(groups) if groups is not None else np.empty(0)
    if groups is None or len(names) < 3:
        held_out = np.zeros(len(y), dtype=bool)
        for k in np.unique(y):
            index = rng.permutation(np.flatnonzero(y == k))
            held_out[index[: math.floor(HELD_OUT * len(index) + 0.5)]] = True
        return held_out
    picked = rng.permutation(names)[: max(1, round(HELD_OUT * len(names)))]
    held_out = np.isin(groups, picked)
    if len(np.unique(y[~held_out])) < len(np.unique(y)):
        raise FitError(
            f"Without {', '.join(map(str, picked))}, held out for early stopping, a class has no "
            f"training windows. Use another seed, or fit without groups."
        )
    return held_out


def _some(x: Windows, which: NDArray[np.bool_]) -> Windows:
    return x.take(which) if isinstance(x, View) else x[which]


def _windows(x: ArrayLike | View) -> Windows:
    windows = x if isinstance(x, View) else np.asarray(x)
    if windows.ndim != 3 or 0 in windows.shape or windows.dtype.kind not in "fiu":
        raise SignalError(
            f"Windows must be numbers (n_epochs, n_chans, n_times), none of them 0; got shape "
            f"{windows.shape} of {windows.dtype}."
        )
    if isinstance(windows, View) or windows.dtype.kind == "f":
        return windows
    return windows.astype(np.float32)


def _absent_channels(x: Windows) -> NDArray[np.bool_] | None:
    """Which channels are not a number throughout a window, (n_epochs, n_chans); None if none."""
    absent = np.empty(x.shape[:2], dtype=bool)
    for rows in spans(x):
        part = x[rows]
        absent[rows] = np.isnan(part[:, :, 0])
        if absent[rows].any():  # rarely, so the rest is rarely looked at
            absent[rows] &= np.isnan(part).all(axis=2)
    return absent if absent.any() else None


def _refuse_absent(model: Any, name: str, absent: NDArray[np.bool_]) -> None:
    if not getattr(model, "absent_chans", False):
        n_present = (~absent).sum(axis=1)
        raise FitError(
            f"{name} takes the same channels in every window, and these have {n_present.min()} to "
            f"{n_present.max()} of {absent.shape[1]}. Use a decoder for any montage, such as "
            f"mvpformer or bandpower_lr."
        )
    if absent.all(axis=1).any():
        raise SignalError(f"Window {absent.all(axis=1).argmax()} has no channel at all. Drop it.")


def _refuse_nonfinite(
    x: Windows,
    error: type[FitError] | type[SignalError],
    absent: NDArray[np.bool_] | None = None,
) -> None:
    good = np.ones(x.shape[:2], dtype=bool)
    for rows in spans(x):
        part = x[rows]
        if not np.isfinite(part.sum(dtype=np.float64)):  # far cheaper than looking at each
            good[rows] = np.isfinite(part).all(axis=2)
    bad = np.flatnonzero(~(good if absent is None else good | absent).all(axis=1))
    if bad.size:
        raise error(
            f"{bad.size} of {len(x)} windows hold values that are infinite or not a number "
            f"(first: window {bad[0]}). Drop them, or interpolate the channel."
        )


def _statistics(x: Windows, normalize: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What to subtract and to divide by, each (n_chans, 1); a flat channel is divided by 1."""
    if normalize not in ("channel", "scale", "none"):
        raise ConfigError(f"normalize='{normalize}' is not one of 'channel', 'scale', 'none'.")
    mean, scale = np.zeros((x.shape[1], 1)), np.ones((x.shape[1], 1))
    n = len(x) * x.shape[2]  # of values in a channel
    if normalize == "channel":
        mean = sum(x[rows].sum(axis=(0, 2), dtype=np.float64) for rows in spans(x))[:, None] / n
        scale = np.sqrt(_power(x, mean) / n)[:, None]
    elif normalize == "scale":
        scale *= np.sqrt(_power(x, mean).mean() / n)
    # Rounding leaves a constant channel a deviation of about its size times the resolution.
    flat = scale <= 1e-6 * np.abs(mean) if normalize == "channel" else scale == 0
    return mean.astype(np.float32), np.where(flat, 1, scale).astype(np.float32)


def _power(x: Windows, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of squares about a mean (n_chans, 1) of each channel, (n_chans,)."""
    total = np.zeros(x.shape[1])
    for rows in spans(x):
        about = x[rows] - mean
        total += np.einsum("nct,nct->c", about, about)
    return total


def _softmax(logits: FloatArray) -> FloatArray:
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))
