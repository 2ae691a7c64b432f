"""Pretraining of a backbone; its choices are the options of ``[train]`` for pretraining."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.seeding import derive_seed
from neurodecode.nn.foundation import Backbone
from neurodecode.training.draws import Batches, Draws, Pool, Sampling, held_out_windows
from neurodecode.training.net import (
    choose_device,
    interruptible,
    own_random_state,
    quiet_lightning,
)

if TYPE_CHECKING:
    import lightning.pytorch as pl

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a training is over: whichever comes first.

    Attributes
    ----------
    n_steps
        Steps; None for any number.
    seconds
        Of training, those before an interruption included; None for any time.
    """

    n_steps: int | None
    seconds: float | None

    def share(self, step: float, seconds: float) -> float:
        """How much of the training is over, from 0 to 1."""
        shares = [0.0]
        if self.n_steps is not None:
            shares.append(step / self.n_steps)
        if self.seconds is not None:
            shares.append(seconds / self.seconds)
        return min(1.0, max(shares))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Where a training is: step, of how many (None: as many as fit), mean loss, seconds left."""

    step: int
    n_steps: int | None
    loss: float
    left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a pretraining gave.

    Attributes
    ----------
    weights
        Of the backbone, that are kept.
    step, n_steps
        Where those were taken, and how many there were in all.
    seconds
        Of training.
    rows
        The loss curve: every ``log_every`` steps a row of ``part`` "train", and at every validation
        a row for each data set and for "all", with every diagnostic of the pretext.
    """

    weights: dict[str, Tensor]
    step: int
    n_steps: int
    seconds: float
    rows: list[Row]


def pretrain_backbone(
    backbone: Backbone,
    train: Pool,
    held_out: Pool,
    folder: Path,
    on_start: Callable[[int], None] = lambda step: None,
    on_moment: Callable[[Moment], None] = lambda moment: None,
    on_validation: Callable[[Sequence[Row]], None] = lambda rows: None,
    pretext: Mapping[str, Any] | None = None,
    *,
    steps: int | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    window: float = 10.0,
    batch_size: int = 32,
    batches: Batches = "one",
    sampling: Sampling = "duration",
    max_chans: int | None = None,
    lr: float = 1e-3,
    weight_decay: float = 0.01,
    warmup: float = 0.1,
    clip: float = 1.0,
    keep: Literal["best", "last"] = "best",
    validate_every: int = 200,
    validation_windows: int = 64,
    save_every: float = 60.0,
    log_every: int = 10,
    workers: int = 0,
    precision: Literal["auto", "32", "bf16"] = "auto",
    device: str = "auto",
    strategy: str = "auto",
    devices: int = 1,
    seed: int = 0,
) -> Trained:
    """Train a backbone on its pretext, from the newest state in a folder if there is one.

    The backbone is trained in place, but may be left with other weights than those that are kept.

    Parameters
    ----------
    backbone
        With random weights, or others.
    train, held_out
        Stretches of each data set, at the backbone's rate; the second are of other people, and may
        be none.
    folder
        Where states are kept while it trains. Whoever has the result may remove it.
    on_start, on_moment, on_validation
        Called with the step at which it begins or goes on; every `log_every` steps; and after each
        validation with all rows so far.
    pretext
        Options of the backbone's own task, such as ``mask_ratio`` of deeperbrain.
    steps, epochs, minutes
        When it is over, whichever comes first; the learning rate falls towards it. An epoch is as
        many windows as fit into the training recordings. Minutes are of training, before and after
        an interruption.
    window
        Length of a window, s; shortened to whole segments of the backbone.
    batch_size
        Windows in a batch, of each device.
    batches
        "one": each batch is of one data set, so that little is padded; "mixed": of all.
    sampling
        How often a data set is drawn: by its "duration", or all "equal".
    max_chans
        Windows of more channels keep so many neighbours, drawn anew each time.
    lr
        Learning rate at its highest.
    weight_decay
        Of AdamW.
    warmup
        Share of the training over which the rate rises, in [0, 1).
    clip
        Largest norm of the gradient.
    keep
        The weights of the "best" validation, or the "last" ones.
    validate_every
        Steps between two validations.
    validation_windows
        Of each data set.
    save_every
        Seconds of training that an interruption may cost.
    log_every
        Steps whose mean loss is a row of the curve.
    workers
        Processes that draw windows ahead, for each device.
    precision
        "bf16" computes in 16 bits; "auto" does on a GPU, and not elsewhere.
    device
        "cpu", "cuda", "mps", or "auto" for the fastest there is.
    strategy, devices
        Lightning's: "auto", "ddp", "fsdp", ...; and on how many devices.
    seed
        Of everything random.

    Raises
    ------
    ConfigError
        If nothing says when it is over, or Lightning does not take the strategy.
    SignalError
        If there is nothing to train on.
    FitError
        If the loss becomes infinite or not a number.
    """
    from neurodecode.training.pretraining import PretrainData, PretrainModule
    from neurodecode.training.resume import KeepState, SafetensorsIO, newest_state

    n_times = window_samples(backbone, window)
    most = [n for n in (max_chans, backbone.max_chans) if n is not None]
    cut: dict[str, Any] = {"n_times": n_times, "max_chans": min(most, default=None)}
    if not any(train.values()):
        raise SignalError("There is no recording to train on. Hold fewer people out.")
    limits = _limits(train, n_times, batch_size * devices, steps, epochs, minutes)
    on = choose_device(device)
    half = precision == "bf16" or (precision == "auto" and on.type == "cuda")
    found = newest_state(folder)
    if found is not None and "fsdp" in strategy:
        raise ConfigError(
            "A training cannot go on under fsdp, whose loading takes pickles. Go on with --strategy"
            " ddp or auto, or remove its state (the folder resume/ of the run) to start again."
        )
    on_start(0 if found is None else found[1]["pretraining"]["step"])
    with own_random_state(on):
        torch.manual_seed(derive_seed(seed, "pretext"))
        module = PretrainModule(
            cast(Any, backbone).pretext(**(pretext or {})).train(),
            limits,
            lr=lr,
            weight_decay=weight_decay,
            warmup=warmup,
            clip=clip,
            log_every=log_every,
            on_moment=on_moment,
            on_validation=on_validation,
        )
        draw = partial(
            Draws,
            train,
            **cut,
            batch_size=batch_size,
            n_batches=limits.n_steps or 2**62,
            seed=seed,
            batches=batches,
            sampling=sampling,
        )
        windows = held_out_windows(
            held_out, **cut, batch_size=batch_size, n_windows=validation_windows, seed=seed
        )
        data = PretrainData(
            module,
            lambda rank: draw(rank=rank),
            windows,
            validate_every=validate_every,
            workers=workers,
        )
        with quiet_lightning(), interruptible():
            # Batches are drawn by this process unless train.workers says otherwise.
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            trainer = _trainer(
                on,
                strategy,
                devices,
                precision="bf16-mixed" if half else "32-true",
                callbacks=[KeepState(folder, save_every)],
                plugins=[SafetensorsIO()],
                limit_val_batches=1.0 if windows else 0,
            )
            trainer.fit(module, datamodule=data, ckpt_path=None if found is None else found[0])
    best = keep == "best" and bool(module.best)
    return Trained(
        weights=module.best if best else module.last,
        step=module.best_step if best else module.step,
        n_steps=module.step,
        seconds=module.seconds,
        rows=module.rows,
    )


def _trainer(on: torch.device, strategy: str, devices: int, **how: Any) -> "pl.Trainer":
    """Lightning's trainer, without end: the module says when it is over."""
    import lightning.pytorch as pl

    one = devices == 1 and on.type != "cpu" and on.index is not None
    try:
        return pl.Trainer(
            max_epochs=-1,
            accelerator=on.type,
            devices=[on.index] if one else devices,
            strategy=strategy,
            reload_dataloaders_every_n_epochs=1,  # from the step at hand to the next validation
            use_distributed_sampler=False,  # batches differ by rank already
            barebones=True,  # no logger, bar, summary or sanity check
            **how,
        )
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(". ")
        raise ConfigError(
            f"strategy='{strategy}' with {devices} devices cannot be used here: {reason}. Use "
            f"--strategy auto --devices 1."
        ) from None


def window_samples(backbone: Backbone, window: float) -> int:
    """Samples of a window: whole segments, two or more, because one cannot predict the next.

    Raises
    ------
    ConfigError
        If it is too short for two.
    """
    n_segments = math.floor(window * backbone.sfreq / backbone.n_segment + 1e-6)
    if n_segments < 2:
        raise ConfigError(
            f"train.window = {window:g} s holds fewer than two segments of "
            f"{backbone.n_segment / backbone.sfreq:g} s. Give a longer one, or shorter segments."
        )
    return n_segments * backbone.n_segment


def is_leader() -> bool:
    """Whether this process is the first of those that train together; only it writes and speaks."""
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    return bool(getattr(rank_zero_only, "rank", 0) == 0)


def _limits(
    pool: Pool,
    n_times: int,
    batch_size: int,
    steps: int | None,
    epochs: float | None,
    minutes: float | None,
) -> Limits:
    counts = [] if steps is None else [steps]
    if epochs is not None:
        n_windows = sum(s.x.shape[1] // n_times for stretches in pool.values() for s in stretches)
        counts.append(max(1, math.ceil(epochs * n_windows / batch_size)))
    if not counts and minutes is None:
        raise ConfigError("Nothing says when to stop. Give --steps, --epochs or --minutes.")
    return Limits(
        n_steps=min(counts, default=None), seconds=None if minutes is None else 60 * minutes
    )
