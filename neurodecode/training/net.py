"""Training of a net: the options of ``[train]`` in a pipeline file are those of `fit_net`."""

import logging
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.core.seeding import derive_seed
from neurodecode.epochs.view import View
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.neurons import is_spiking
from neurodecode.training.augment import choose_augmentations
from neurodecode.training.batches import Batches, Streamed
from neurodecode.training.objective import Loss, Objective, Teacher
from neurodecode.training.penalties import choose_penalties
from neurodecode.training.schemes import History, choose_scheme

if TYPE_CHECKING:
    import lightning.pytorch as pl

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
VALIDATION = 256
"""Windows that are looked at together when an epoch is judged."""

Data = tuple[Tensor | Streamed, Tensor, Tensor | Streamed, Tensor]


class Lesson(NamedTuple):
    """What a net is trained with, see `fit_net`."""

    x: FloatArray | View
    y: IntArray
    x_val: FloatArray | View
    y_val: IntArray
    seed: int


def fit_net(
    net: nn.Module,
    x: FloatArray | View,
    y: IntArray,
    x_val: FloatArray | View | None = None,
    y_val: IntArray | None = None,
    seed: int = 0,
    *,
    epochs: int = 100,
    batch_size: int = 32,
    lr: float | None = None,
    weight_decay: float = 0.01,
    schedule: Literal["cosine", "onecycle", "constant"] = "cosine",
    warmup: float = 0.0,
    patience: int = 30,
    class_weights: Literal["balanced", "none"] = "balanced",
    label_smoothing: float = 0.0,
    augment: Sequence[str] | Mapping[str, Any] = (),
    loss: Loss = "mean",
    penalties: Sequence[str] | Mapping[str, Any] = (),
    scheme: str | Mapping[str, Any] = "direct",
    precision: Literal["auto", "32", "bf16"] = "auto",
    device: str = "auto",
) -> History:
    """Train a net in place and leave it in evaluation mode, with its best weights.

    The same seed gives the same weights on a CPU, and the caller's random state is left alone.

    Parameters
    ----------
    net
        Maps windows (batch, n_chans, n_times) to logits (batch, n_outputs).
    x, y
        Training windows (n_epochs, n_chans, n_times), normalised, and their classes as integers;
        a `View` is read batch by batch.
    x_val, y_val
        Windows of other subjects, which choose the epoch; without them the last one stands.
    seed
        Of everything random here.
    epochs
        Passes over the training windows, at most.
    batch_size
        Windows in a batch, about: batches are made equal.
    lr
        Learning rate at its highest; by default 1e-3, and 4e-3 for spiking decoders and their
        twins, because gradients through surrogates are small.
    weight_decay
        Of AdamW.
    schedule
        Course of the learning rate.
    warmup
        Part of the steps over which the learning rate rises, in [0, 1).
    patience
        Epochs without a lower validation loss before training stops.
    class_weights
        "balanced" lets every class count alike, however many windows it has.
    label_smoothing
        Probability given to all classes alike, in [0, 1).
    augment
        Names of augmentations, or a table of options for each.
    loss
        Of spiking decoders: "mean" looks at the mean of their steps, "tet" at each.
    penalties
        What is added to the loss of spiking decoders: names, or a table of options for each.
    scheme
        How spiking decoders come to their weights: a name, or a table with one name and its
        options. Its stages share the epochs. Other nets are trained directly.
    precision
        "bf16" computes in 16 bits; "auto" does on a GPU, and not elsewhere.
    device
        "cpu", "cuda", "mps", or "auto" for the fastest there is.

    Returns
    -------
    dict
        Per epoch: train_loss, val_loss, val_accuracy; and best_epoch, a list of one, from 1.

    Raises
    ------
    FitError
        If the loss becomes infinite or not a number.
    """
    from neurodecode.training.decoder import DecoderModule, KeepBest

    _check_ranges(epochs=epochs, batch_size=batch_size, patience=patience)
    on = choose_device(device)
    net.to(on)
    if x_val is None or y_val is None:
        x_val, y_val = x[:0], y[:0]
    data = _to_device(on, Lesson(x, y, x_val, y_val, seed))
    half = in_bf16(precision, on)
    balanced = balance(net, *data[:2], even=class_weights == "balanced")
    rate = lr if lr is not None else default_lr(net)
    augmentations, added = choose_augmentations(augment), choose_penalties(penalties)

    def train(net: nn.Module, share: float, stage: str, teacher: Teacher | None = None) -> History:
        words = () if stage == "direct" else (stage,)
        torch.manual_seed(derive_seed(seed, "train", *words))
        module = DecoderModule(
            net,
            Objective(class_weights=balanced, loss=loss, penalties=added, teacher=teacher),
            lr=rate,
            weight_decay=weight_decay,
            schedule=schedule,
            warmup=warmup,
            label_smoothing=label_smoothing,
            augmentations=augmentations,
            generator=Generator(on).manual_seed(derive_seed(seed, "augment", *words)),
        )
        keep = KeepBest(patience)
        order = derive_seed(seed, "order", *words)
        n_epochs = max(1, round(share * epochs))
        net.train()
        with quiet_lightning():
            _run(module, keep, data, on, half=half, epochs=n_epochs, batch_size=batch_size,
                 order=order)  # fmt: skip
        if keep.weights:
            net.load_state_dict(keep.weights)
        net.eval()
        best = keep.best_epoch or len(module.history["train_loss"])
        return {**module.history, "best_epoch": [float(best)]}

    with own_random_state(on):
        chosen = choose_scheme(scheme)
        if isinstance(net, SpikingDecoder) and is_spiking(net):
            return chosen(net, train)
        return train(net, 1.0, "direct")


def choose_device(device: str) -> torch.device:
    """The device of that name; "auto" is the accelerator if there is one, else the CPU.

    Raises
    ------
    ConfigError
        If this machine has none of that name.
    """
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        return found or torch.device("cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device='{device}' cannot be used here: {str(error).splitlines()[0].rstrip('. ')}. "
            f"Use --device auto, or cpu."
        ) from None
    return torch.device(device)


def own_random_state(on: torch.device) -> AbstractContextManager[None]:
    """Inside, torch draws as it likes on that device; after it, nobody notices."""
    if on.type == "cpu":
        return torch.random.fork_rng(devices=[])
    return torch.random.fork_rng(devices=[on.index or 0], device_type=on.type)


def _run(
    module: "pl.LightningModule",
    keep: "pl.Callback",
    data: Data,
    on: torch.device,
    *,
    half: bool,
    epochs: int,
    batch_size: int,
    order: int,
) -> None:
    import lightning.pytorch as pl

    x, y, x_val, y_val = data
    training = Batches(x, y, batch_size, Generator().manual_seed(order))
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator=on.type,
        devices=1 if on.index is None or on.type == "cpu" else [on.index],
        precision="bf16-mixed" if half else "32-true",
        callbacks=[keep],
        barebones=True,  # no logger, bar, summary, checkpoints or sanity check
        limit_val_batches=1.0 if len(x_val) else 0,
    )
    with interruptible():
        trainer.fit(module, training, Batches(x_val, y_val, VALIDATION))


@contextmanager
def interruptible() -> Iterator[None]:
    """Lightning's training, in which Ctrl+C is a KeyboardInterrupt as it is elsewhere."""
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:  # what Lightning makes of Ctrl+C, after it has switched Ctrl+C off
        signal.signal(signal.SIGINT, interrupt)
        raise KeyboardInterrupt from None


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning without its greetings, and without two warnings that mean nothing here."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Training on the CPU of a machine with a GPU is a choice.
            warnings.filterwarnings("ignore", ".*GPU available but not used.*")
            # Lightning 2.6 builds a tree specification in a way that torch 2.11 deprecates.
            warnings.filterwarnings("ignore", ".*isinstance\\(treespec, LeafSpec\\).*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _to_device(on: torch.device, lesson: Lesson) -> Data:
    y, y_val = (torch.as_tensor(y, dtype=torch.long, device=on) for y in (lesson.y, lesson.y_val))
    return windows_on(on, lesson.x), y, windows_on(on, lesson.x_val), y_val


def windows_on(on: torch.device, x: FloatArray | View) -> Tensor | Streamed:
    """Windows on a device; those that memory may not hold come when they are asked for."""
    if isinstance(x, View):
        return Streamed(x, on)
    return torch.as_tensor(x, dtype=torch.float32, device=on)


def in_bf16(precision: str, on: torch.device) -> bool:
    """Whether a net computes in 16 bits on that device."""
    return precision == "bf16" or (precision == "auto" and on.type == "cuda")


def default_lr(net: nn.Module) -> float:
    """Learning rate where none is chosen; that of twins is that of the nets they are beside."""
    return 4e-3 if isinstance(net, SpikingDecoder) else 1e-3


def balance(net: nn.Module, x: Tensor | Streamed, y: Tensor, *, even: bool) -> Tensor:
    """Weight of each class, (n_outputs,).

    Where classes count alike, `even`, their mean over the windows is 1, and a class without windows
    weighs 1; otherwise all are 1. The net ends in training mode.
    """
    with torch.inference_mode():
        first = x[:1]
        n_outputs = net.eval()(first).shape[1]
    net.train()
    counts = torch.bincount(y, minlength=n_outputs).to(first.dtype)
    weights = len(y) / (n_outputs * counts)
    return torch.where(counts > 0, weights, 1.0) if even else torch.ones_like(counts)


def _check_ranges(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ConfigError(f"train.{name} = {value} must be at least 1.")
