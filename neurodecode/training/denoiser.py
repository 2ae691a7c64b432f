"""Lightning modules of denoisers: cleaned windows must be the clean ones, and look like some."""

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.artifacts.bank import Mixture
from neurodecode.core.errors import FitError

Batch = tuple[Tensor, Tensor, Tensor | None]


class DenoiserModule(pl.LightningModule):
    """A net that learns to return clean windows.

    Parameters
    ----------
    net
        Maps windows (batch, n_chans, n_times) and directions (n_chans, 3) to cleaned windows.
    lr
        Learning rate at its highest: it rises over a twentieth of the steps, then falls along a
        cosine.
    weight_decay
        Of AdamW.
    n_steps
        Of the training.
    """

    def __init__(self, net: nn.Module, *, lr: float, weight_decay: float, n_steps: int) -> None:
        super().__init__()
        self.net = net
        self.lr, self.weight_decay, self.n_steps = lr, weight_decay, n_steps
        self.history: dict[str, list[float]] = {"train_loss": [], "val_rrmse": []}
        self._losses: list[Tensor] = []
        self._errors: list[Tensor] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Loss of a batch."""
        noisy, clean, directions = batch
        loss = distance(self.net(noisy, directions), clean)
        self._losses.append(loss.detach())
        return loss

    def on_train_epoch_end(self) -> None:
        """Keep the mean loss.

        Raises
        ------
        FitError
            If it is not a number.
        """
        loss = torch.stack(self._losses).mean().item()
        self._losses.clear()
        if not math.isfinite(loss):
            raise FitError(f"The loss became {loss}. Lower train.lr (now {self.lr:g}).")
        self.history["train_loss"].append(loss)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep the relative error of each window."""
        noisy, clean, directions = batch
        error = (self.net(noisy, directions) - clean).flatten(1).square().mean(dim=1)
        self._errors.append((error / clean.flatten(1).square().mean(dim=1)).sqrt())

    def on_validation_epoch_end(self) -> None:
        """Keep the mean over windows."""
        self.history["val_rrmse"].append(torch.cat(self._errors).mean().item())
        self._errors.clear()

    def configure_optimizers(self) -> Any:
        """AdamW, and its schedule by the step."""
        return schedule(self.net, lr=self.lr, weight_decay=self.weight_decay, n_steps=self.n_steps)


class AdversarialModule(DenoiserModule):
    """A net with an autoencoder, trained against a critic that must not tell cleaned from clean.

    The autoencoder learns to copy clean signals from noisy ones; the rest of the net learns on
    top of it, and its gradient stops there. The critic sees one channel at a time.

    Parameters
    ----------
    net
        As for `DenoiserModule`, with `copy`.
    critic
        Maps signals (n, n_times) to scores and features.
    weight
        Of what the critic says, and of the difference of its features, in the loss.
    lr, weight_decay, n_steps
        As for `DenoiserModule`.
    """

    def __init__(
        self,
        net: nn.Module,
        critic: nn.Module,
        *,
        weight: float,
        lr: float,
        weight_decay: float,
        n_steps: int,
    ) -> None:
        super().__init__(net, lr=lr, weight_decay=weight_decay, n_steps=n_steps)
        self.critic = critic
        self.weight = weight
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """A step of the net, and every other time one of the critic."""
        noisy, clean, directions = batch
        of_net, of_critic = cast(Any, self.optimizers())
        fall_net, fall_critic = cast(Any, self.lr_schedulers())
        cleaned = self.net(noisy, directions)
        copied: Callable[[Tensor], Tensor] = self.net.copy  # type: ignore[assignment]
        loss = distance(cleaned, clean) + 0.5 * distance(copied(noisy), clean)
        shown = slice(batch_idx % 4, None, 4)  # a quarter of the signals is enough for the critic
        false, true = cleaned.flatten(0, 1)[shown], clean.flatten(0, 1)[shown]
        if self.weight > 0:
            self.critic.requires_grad_(False)
            score, features = self.critic(false)
            with torch.no_grad():
                _, goal = self.critic(true)
            match = sum(functional.l1_loss(a, b) for a, b in zip(features, goal, strict=True))
            self.critic.requires_grad_(True)
            loss = loss + self.weight * ((score - 1).square().mean() + match)
        of_net.zero_grad()
        self.manual_backward(loss)
        self.clip_gradients(of_net, gradient_clip_val=1.0, gradient_clip_algorithm="norm")
        of_net.step()
        fall_net.step()
        if self.weight > 0 and batch_idx % 2 == 0:
            score, _ = self.critic(torch.cat([false.detach(), true]))
            wanted = torch.cat([torch.zeros(len(false)), torch.ones(len(true))]).to(score)
            of_critic.zero_grad()
            self.manual_backward(0.5 * functional.mse_loss(score, wanted))
            of_critic.step()
            fall_critic.step()
        self._losses.append(loss.detach())

    def configure_optimizers(self) -> Any:
        """An optimiser for the net and one for the critic."""
        of_net = schedule(
            self.net, lr=self.lr, weight_decay=self.weight_decay, n_steps=self.n_steps
        )
        of_critic = schedule(self.critic, lr=1e-3, weight_decay=0.0, n_steps=self.n_steps)
        return of_net, of_critic


def schedule(net: nn.Module, *, lr: float, weight_decay: float, n_steps: int) -> dict[str, Any]:
    """AdamW with a short rise and a cosine fall, as Lightning wants it."""
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98))
    n_warm = max(1, n_steps // 20)

    def factor(step: int) -> float:
        if step < n_warm:
            return (step + 1) / n_warm
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - n_warm) / max(1, n_steps - n_warm))))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def distance(cleaned: Tensor, clean: Tensor) -> Tensor:
    """Mean over windows of the root mean square error, of the signal and of its differences.

    The root lets every window count alike: a mean of squares would follow the few windows with the
    strongest artifacts. Differences weigh fast activity, which has little power in EEG.
    """
    error = cleaned - clean
    steps = error.diff(dim=-1)
    return _rms(error) + 0.5 * _rms(steps)


def _rms(x: Tensor) -> Tensor:
    return (x.flatten(1).square().mean(dim=1) + 1e-6).sqrt().mean()


class MixtureStream(torch.utils.data.IterableDataset[Batch]):
    """Mixtures as Lightning wants them.

    Parameters
    ----------
    source
        Endless mixtures.
    n_batches
        That make an epoch.
    """

    def __init__(self, source: Iterator[Mixture], n_batches: int) -> None:
        self.source, self.n_batches = source, n_batches

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self.n_batches):
            yield as_tensors(next(self.source))


def as_tensors(mixture: Mixture) -> Batch:
    """Noisy and clean windows, and directions."""
    directions = None if mixture.directions is None else torch.from_numpy(mixture.directions)
    return torch.from_numpy(mixture.noisy), torch.from_numpy(mixture.clean), directions
