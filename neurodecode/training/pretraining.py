"""Lightning module and data of self-supervised pretraining, which can stop and go on at any step.

Step k is a function of the weights, the optimiser's moments and k: its batch, its learning rate and
everything random in it come from the number. So a state holds no generator, no schedule and no
loop, and a training that was killed and goes on ends with the same weights to the last bit (on the
same CPU, unless its length is in minutes).
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Generator, Tensor, nn
from torch.utils.data import DataLoader

from neurodecode.core.errors import FitError
from neurodecode.training.draws import Draws, Windows
from neurodecode.training.pretrain import Limits, Moment, Row

BACKBONE = "pretext.backbone."


class PretrainModule(pl.LightningModule):
    """A backbone that learns from windows without labels.

    Parameters
    ----------
    pretext
        Its task: see `neurodecode.nn.foundation.Backbone.pretext`.
    limits
        When it is over.
    lr
        Learning rate at its highest: it rises over the share `warmup` of the training, then falls
        along a cosine.
    weight_decay
        Of AdamW; biases, norms and other vectors are left out.
    warmup
        In [0, 1).
    clip
        Largest norm of the gradient.
    log_every
        Steps whose mean loss is kept.
    on_moment, on_validation
        Called every `log_every` steps, and after each validation with all rows so far.
    """

    def __init__(
        self,
        pretext: nn.Module,
        limits: Limits,
        *,
        lr: float,
        weight_decay: float,
        warmup: float,
        clip: float,
        log_every: int,
        on_moment: Callable[[Moment], None],
        on_validation: Callable[[Sequence[Row]], None],
    ) -> None:
        super().__init__()
        self.pretext, self.limits = pretext, limits
        self.lr, self.weight_decay, self.warmup, self.clip = lr, weight_decay, warmup, clip
        self.log_every = log_every
        self.on_moment, self.on_validation = on_moment, on_validation
        self.step, self.seconds = 0, 0.0
        self.rows: list[Row] = []
        self.best: dict[str, Tensor] = {}
        self.best_step, self.best_loss = 0, math.inf
        self.last: dict[str, Tensor] = {}
        self._recent: list[Tensor | float] = []
        self._sums: dict[str, dict[str, float]] = {}

    def rate(self) -> float:
        """Learning rate of the next step."""
        n = self.limits.n_steps
        # As if there were a step more, so that neither the first nor the last is of no use.
        step = 0.0 if n is None else (self.step + 1) * n / (n + 1)
        share = self.limits.share(step, self.seconds)
        if share < self.warmup:
            return self.lr * max(share, 1e-3) / self.warmup
        return self.lr * 0.5 * (1 + math.cos(math.pi * (share - self.warmup) / (1 - self.warmup)))

    def configure_optimizers(self) -> Any:
        """AdamW; `rate` sets its learning rate at every step."""
        trained = [p for p in self.pretext.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([g for g in groups if g["params"]], lr=self.lr)

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of the whole gradient, also where it is spread over devices (FSDP)."""
        sharded = getattr(self.trainer.model, "clip_grad_norm_", None)
        if sharded is not None:
            sharded(self.clip)
        else:
            self.clip_gradients(optimizer, self.clip, "norm")

    def on_train_start(self) -> None:
        """Start the clock."""
        self._clock = time.monotonic()
        self._began = self.limits.share(self.step, self.seconds), self._clock

    def on_train_batch_start(self, batch: Windows, batch_idx: int) -> None:
        """Set what the step's number decides."""
        for group in cast(Any, self.optimizers()).param_groups:
            group["lr"] = self.rate()
        torch.manual_seed(batch.seed)

    def training_step(self, batch: Windows, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        loss = self._measure(batch)["loss"]
        self._recent.append(loss.detach())
        return loss

    def _measure(self, batch: Windows) -> dict[str, Tensor]:
        draw = Generator(self.device).manual_seed(batch.seed)
        found: dict[str, Tensor] = self.pretext(batch.x, batch.present, batch.positions, draw)
        return found

    def on_train_batch_end(self, outputs: Any, batch: Windows, batch_idx: int) -> None:
        """Count the step.

        Raises
        ------
        FitError
            If the loss is not a number.
        """
        self.step += 1
        now = time.monotonic()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        if self.trainer.world_size > 1:  # all processes must agree on when it is over
            self.seconds = self.trainer.strategy.broadcast(self.seconds)
        share = self.limits.share(self.step, self.seconds)
        if self.step % self.log_every == 0 or share >= 1:
            self._log(share)
        if share >= 1:
            self.trainer.should_stop = True

    def _log(self, share: float) -> None:
        loss = sum(map(float, self._recent)) / len(self._recent)
        self._recent.clear()
        if not math.isfinite(loss):
            raise FitError(
                f"The loss became {loss} at step {self.step}. Lower train.lr (now {self.lr:g}), or "
                f"look for recordings with huge amplitudes."
            )
        row = {"part": "train", "dataset": "all", "step": self.step}
        self.rows.append({**row, "seconds": self.seconds, "lr": self.rate(), "loss": loss})
        share_then, clock_then = self._began
        gone = max(share - share_then, 1e-9)
        left = (time.monotonic() - clock_then) * (1 - share) / gone
        n_steps = self.limits.n_steps
        self.on_moment(Moment(step=self.step, n_steps=n_steps, loss=loss, left=left))

    def on_validation_epoch_start(self) -> None:
        """Begin new sums."""
        self._sums = {}

    def validation_step(self, batch: Windows, batch_idx: int) -> None:
        """Add up the loss and all diagnostics of a batch."""
        n = len(batch.x)
        for name in (batch.dataset, "all"):
            sums = self._sums.setdefault(name, {"n_windows": 0})
            sums["n_windows"] += n
        for key, value in self._measure(batch).items():
            for name in (batch.dataset, "all"):
                self._sums[name][key] = self._sums[name].get(key, 0.0) + n * float(value)

    def on_validation_epoch_end(self) -> None:
        """Keep their means, and the weights if they are the best so far."""
        start = {"part": "validation", "step": self.step, "seconds": self.seconds}
        rows: list[Row] = []
        for name, sums in self._sums.items():
            n = sums.pop("n_windows")
            means = {key: total / n for key, total in sums.items()}
            rows.append({**start, "dataset": name, "n_windows": n, **means})
        self.rows += rows
        loss = next(row["loss"] for row in rows if row["dataset"] == "all")
        if loss < self.best_loss:
            self.best_loss, self.best_step = loss, self.step
            self.best = self.weights()
        self.on_validation(self.rows)

    def on_train_end(self) -> None:
        """Take the weights out, from wherever they are."""
        self.last = self.weights()

    def weights(self) -> dict[str, Tensor]:
        """The backbone's, on the CPU."""
        state = self.trainer.strategy.lightning_module_state_dict()
        return {
            name.removeprefix(BACKBONE): value.detach().cpu().clone()
            for name, value in state.items()
            if name.startswith(BACKBONE)
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add where the training is; Lightning's loops start anew from there."""
        checkpoint.pop("loops")
        checkpoint["pretraining"] = {
            "step": self.step,
            "seconds": self.seconds,
            "rows": self.rows,
            "recent": [float(loss) for loss in self._recent],
            "best": self.best,
            "best_step": self.best_step,
            "best_loss": self.best_loss,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from there."""
        there = checkpoint["pretraining"]
        self.step, self.seconds = there["step"], there["seconds"]
        self.rows, self._recent = list(there["rows"]), list(there["recent"])
        self.best = there["best"]
        self.best_step, self.best_loss = there["best_step"], there["best_loss"]


class PretrainData(pl.LightningDataModule):
    """Batches from the module's step up to the next validation, and those of validation.

    Parameters
    ----------
    module
        Whose step says where to go on.
    draw
        Builds the training batches of a process, by its rank.
    held_out
        Validation batches.
    validate_every
        Steps between two validations.
    workers
        Processes that draw ahead; 0 draws in this one.
    """

    def __init__(
        self,
        module: PretrainModule,
        draw: Callable[[int], Draws],
        held_out: Sequence[Windows],
        *,
        validate_every: int,
        workers: int,
    ) -> None:
        super().__init__()
        self.module, self.draw, self.held_out = module, draw, held_out
        self.validate_every, self.workers = validate_every, workers

    def train_dataloader(self) -> Any:
        """The steps up to the next validation."""
        step = self.module.step
        end = (step // self.validate_every + 1) * self.validate_every
        if self.module.limits.n_steps is not None:
            end = min(end, self.module.limits.n_steps)
        assert self.trainer is not None
        draws = self.draw(self.trainer.global_rank)
        return DataLoader(
            draws,
            batch_size=None,
            sampler=range(step, end),
            num_workers=self.workers,
            collate_fn=_as_it_is,
        )

    def val_dataloader(self) -> Any:
        """The same batches every time."""
        return DataLoader(cast(Any, self.held_out), batch_size=None, collate_fn=_as_it_is)


def _as_it_is(batch: Any) -> Any:
    return batch
