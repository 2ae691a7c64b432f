"""Lightning module of decoders: their objective, AdamW, a schedule, the best weights."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import Generator, Tensor, nn

from neurodecode.core.errors import FitError
from neurodecode.training.augment import Augmentation
from neurodecode.training.objective import Objective

Schedule = Literal["cosine", "onecycle", "constant"]


class DecoderModule(pl.LightningModule):
    """A net that learns classes of windows.

    Parameters
    ----------
    net
        Maps windows (batch, n_chans, n_times) to logits (batch, n_outputs).
    objective
        The loss.
    lr
        Learning rate at its highest.
    weight_decay
        Of AdamW; biases, norms and other vectors are left out.
    schedule
        "cosine" falls to zero along half a period; "onecycle" rises for 30 % of the steps and then
        falls, with momentum turning the other way; "constant" stays.
    warmup
        Part of the steps over which the rate rises from zero, in [0, 1); not with "onecycle",
        which has its own.
    label_smoothing
        Probability given to all classes alike, in [0, 1).
    augmentations
        Applied in turn to each training batch.
    generator
        Of the augmentations.
    """

    def __init__(
        self,
        net: nn.Module,
        objective: Objective,
        *,
        lr: float,
        weight_decay: float,
        schedule: Schedule,
        warmup: float,
        label_smoothing: float,
        augmentations: Sequence[Augmentation],
        generator: Generator,
    ) -> None:
        super().__init__()
        self.net = net
        self.objective = objective
        self.lr, self.weight_decay = lr, weight_decay
        self.schedule, self.warmup = schedule, warmup
        self.label_smoothing = label_smoothing
        self.augmentations, self.generator = augmentations, generator
        self.history = new_history()
        self._sums: list[Tensor] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of a batch."""
        x, classes = batch
        y = nn.functional.one_hot(classes, len(self.objective.class_weights)).to(x.dtype)
        for augment in self.augmentations:
            x, y = augment(x, y, self.generator)
        y = (1 - self.label_smoothing) * y + self.label_smoothing / y.shape[1]
        loss = self.objective(self.net, x, y)
        self._sums.append(loss.detach())
        return loss

    def on_train_epoch_end(self) -> None:
        """Keep the mean loss.

        Raises
        ------
        FitError
            If it is not a number: nothing after that could be learned.
        """
        loss = torch.stack(self._sums).mean().item()
        self._sums.clear()
        refuse_lost(loss, self.current_epoch, self.lr)
        self.history["train_loss"].append(loss)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Keep the loss and the hits of a batch; `KeepBest` sums them up."""
        x, classes = batch
        logits = self.net(x)
        y = nn.functional.one_hot(classes, logits.shape[1]).to(x.dtype)
        weight = (y * self.objective.class_weights).sum()
        hits = (logits.argmax(dim=1) == classes).sum()
        n = torch.tensor(len(x), device=x.device)
        self._val.append(torch.stack([self.objective.entropy(logits, y) * weight, weight, hits, n]))

    def on_validation_epoch_start(self) -> None:
        """Begin new sums."""
        self._val: list[Tensor] = []

    def on_validation_epoch_end(self) -> None:
        """Keep loss and accuracy of the held-out windows."""
        loss, weight, hits, n = torch.stack(self._val).sum(dim=0).tolist()
        self.history["val_loss"].append(loss / weight)
        self.history["val_accuracy"].append(hits / n)

    def configure_optimizers(self) -> Any:
        """AdamW, and its schedule by the step."""
        return make_optimizer(
            [(p, p.ndim > 1) for p in self.net.parameters() if p.requires_grad],
            int(self.trainer.estimated_stepping_batches),
            lr=self.lr,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            warmup=self.warmup,
        )


def new_history() -> dict[str, list[float]]:
    """What is kept of each epoch, before the first."""
    return {"train_loss": [], "val_loss": [], "val_accuracy": []}


def refuse_lost(loss: float, epoch: int, lr: float) -> None:
    """Refuse a mean loss that is not a number: nothing after that epoch could be learned.

    Raises
    ------
    FitError
        If it is not.
    """
    if not math.isfinite(loss):
        raise FitError(
            f"The loss became {loss} in epoch {epoch + 1}. Lower train.lr (now {lr:g}), or look "
            f"for windows with huge amplitudes."
        )


def make_optimizer(
    trained: Sequence[tuple[nn.Parameter, bool]],
    n_steps: int,
    *,
    lr: float,
    weight_decay: float,
    schedule: Schedule,
    warmup: float,
) -> Any:
    """AdamW and its schedule by the step, as Lightning takes them.

    Parameters
    ----------
    trained
        Parameters, and whether `weight_decay` is for them.
    n_steps
        Of the schedule.
    lr, weight_decay, schedule, warmup
        See `DecoderModule`.
    """
    groups = [
        {"params": [p for p, decays in trained if decays], "weight_decay": weight_decay},
        {"params": [p for p, decays in trained if not decays], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, fused=True)
    n_steps = max(2, n_steps)
    scheduler: Any
    if schedule == "onecycle":
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, n_steps)
    else:
        factor = _Factor(n_steps, warmup, cosine=schedule == "cosine")
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
    }


class _Factor:
    """Learning rate of a step, as a fraction of the highest."""

    def __init__(self, n_steps: int, warmup: float, *, cosine: bool) -> None:
        self.n_steps, self.n_warm, self.cosine = n_steps, round(warmup * n_steps), cosine

    def __call__(self, step: int) -> float:
        if step < self.n_warm:
            return (step + 1) / self.n_warm
        done = (step - self.n_warm) / max(1, self.n_steps - self.n_warm)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done))) if self.cosine else 1.0


class KeepBest(pl.Callback):
    """Keeps the weights with the lowest validation loss in memory, and stops when none follows.

    Parameters
    ----------
    patience
        Epochs without a lower loss before training stops.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best_loss = math.inf
        self.best_epoch = 0
        self.weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare the loss just measured."""
        assert isinstance(pl_module, DecoderModule)
        losses = pl_module.history["val_loss"]
        if losses[-1] < self.best_loss:
            self.best_loss, self.best_epoch = losses[-1], len(losses)
            state = pl_module.net.state_dict()
            self.weights = {name: value.detach().clone() for name, value in state.items()}
        elif len(losses) - self.best_epoch >= self.patience:
            trainer.should_stop = True
