"""Training of a denoiser; its choices are the options of ``[train]`` for the denoise paradigm."""

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from neurodecode.artifacts.bank import Bank, Recipe, batches
from neurodecode.core.seeding import derive_seed, generator
from neurodecode.training.net import choose_device, own_random_state, quiet_lightning

History = dict[str, list[float]]
Report = Callable[[str, int, int], None]


def fit_denoiser(
    net: nn.Module,
    train: Bank,
    validation: Bank,
    recipe: Recipe,
    seed: int = 0,
    report: Report = lambda words, done, total: None,
    *,
    steps: int = 2000,
    batch_size: int = 256,
    lr: float = 2e-3,
    weight_decay: float = 0.01,
    adversarial: float = 0.02,
    validate_every: int = 200,
    device: str = "auto",
) -> History:
    """Train a denoiser in place and leave it in evaluation mode, with its best weights.

    Parameters
    ----------
    net
        Maps windows (batch, n_chans, n_times) and directions (n_chans, 3) to cleaned windows.
    train, validation
        People, different ones; the second choose the weights that are kept.
    recipe
        How windows are mixed.
    seed
        Of everything random here.
    report
        Called with words, steps done and steps in all.
    steps
        Batches to learn from, about: parts of equal length are made of them.
    batch_size
        Signals of one channel in a batch, about: windows times channels.
    lr
        Learning rate at its highest.
    weight_decay
        Of AdamW.
    adversarial
        Weight of the critic, for nets that have one; 0 trains without.
    validate_every
        Steps between two measurements on the validation people, about.
    device
        "cpu", "cuda", "mps", or "auto" for the fastest there is.

    Returns
    -------
    dict
        Every `validate_every` steps: train_loss, and val_rrmse, the mean relative error.

    Raises
    ------
    FitError
        If the loss becomes infinite or not a number.
    """
    import lightning.pytorch as pl

    from neurodecode.training.denoiser import AdversarialModule, DenoiserModule, MixtureStream

    on = choose_device(device)
    net.train()
    stream = batches(train, recipe, n_signals=batch_size, rng=generator(seed, "mixtures"))
    held = batches(validation, recipe, n_signals=batch_size, rng=generator(seed, "validation"))
    fixed = list(itertools.islice(held, 12))
    n_epochs = max(1, round(steps / validate_every))
    every = max(1, steps // n_epochs)
    steps = n_epochs * every  # so that the last epoch is as long as the others
    choices: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "n_steps": steps}
    with own_random_state(on):
        torch.manual_seed(derive_seed(seed, "denoise"))
        critic = getattr(net, "critic", None)
        module = (
            DenoiserModule(net, **choices)
            if critic is None
            else AdversarialModule(net, critic(), weight=adversarial, **choices)
        )
        keep = _keep_best()(net, report, every, steps)
        with quiet_lightning():
            # Mixtures are drawn in this process alone, so their number is what it says.
            warnings.filterwarnings("ignore", ".*`IterableDataset` has `__len__` defined.*")
            trainer = pl.Trainer(
                max_epochs=n_epochs,
                accelerator=on.type,
                devices=1 if on.index is None or on.type == "cpu" else [on.index],
                callbacks=[keep],
                barebones=True,
                gradient_clip_val=None if critic is not None else 1.0,
            )
            trainer.fit(
                module,
                DataLoader(MixtureStream(stream, every), batch_size=None),
                DataLoader(MixtureStream(itertools.cycle(fixed), len(fixed)), batch_size=None),
            )
    net.load_state_dict(keep.weights)
    net.eval()
    return module.history


def _keep_best() -> Any:
    """The callback's class: Lightning takes seconds to import."""
    import lightning.pytorch as pl

    class KeepBest(pl.Callback):
        def __init__(self, net: nn.Module, report: Report, every: int, steps: int) -> None:
            self.net, self.report, self.every, self.steps = net, report, every, steps
            self.best = float("inf")
            self.weights: dict[str, Tensor] = {}

        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            errors = pl_module.history["val_rrmse"]
            self.report(f"relative error {errors[-1]:.3f}", len(errors) * self.every, self.steps)
            if errors[-1] < self.best:
                self.best = errors[-1]
                state = self.net.state_dict()
                self.weights = {name: v.detach().cpu().clone() for name, v in state.items()}

    return KeepBest
