"""Training of a net of braindecode: `fit_net` here, a plain loop or braindecode's classifier there.

python benchmarks/train_braindecode.py --net eegnet --against skorch [--rounds N] [--json FILE]

Both train the same architecture on the same 288 windows of 22 channels x 1000 samples for as many
epochs, in batches of 32, with AdamW at a constant rate, and score no windows. "lightning" is
braindecode's own class in a plain LightningModule with a DataLoader and a Trainer that logs
nothing; "skorch" is braindecode's EEGClassifier without a validation split. Nets are built
beforehand on both sides.
"""

import logging
import warnings
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from side_by_side import finish, parser, side_by_side
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.models.braindecode import import_braindecode
from neurodecode.training.net import fit_net

NETS = {"eegnet": "EEGNet", "shallow": "ShallowFBCSPNet", "eegconformer": "EEGConformer"}
OTHERS = ("lightning", "skorch")
ARGUMENTS = (  # read without running
    "--net eegnet --against lightning", "--net eegnet --against skorch",
    "--net shallow --against lightning", "--net shallow --against skorch",
    "--net eegconformer --against lightning", "--net eegconformer --against skorch",
)  # fmt: skip
N_WINDOWS, N_CHANS, N_TIMES, N_OUTPUTS, SFREQ = 288, 22, 1000, 4, 250.0
BATCH, LR, WEIGHT_DECAY = 32, 1e-3, 0.01


def main() -> None:
    """One line."""
    made = parser(__doc__)
    made.add_argument("--net", choices=NETS, default="eegnet")
    made.add_argument("--against", choices=OTHERS, default="lightning")
    made.add_argument("--epochs", type=int, default=2)
    options = made.parse_args()
    torch.set_num_threads(options.threads)
    silence()
    other = lightning if options.against == "lightning" else skorch
    finish(
        side_by_side(
            ours(options.net, options.epochs),
            other(options.net, options.epochs),
            name="train_braindecode",
            what=f"Training of {NETS[options.net]} for {options.epochs} epochs of {N_WINDOWS} "
            f"windows, {N_CHANS} channels x {N_TIMES} samples, against braindecode's class under "
            f"{options.against}.",
            rounds=options.rounds,
            amount=N_WINDOWS * options.epochs,
            unit="trials/s",
            details={"net": options.net, "against": options.against, "epochs": options.epochs},
        ),
        options.json,
    )


def silence() -> None:
    """No greetings of Lightning, none of braindecode's warnings of what is to change in it."""
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)


def windows() -> tuple[np.ndarray, np.ndarray]:
    """Windows of four classes, each with a channel that is louder."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N_WINDOWS, N_CHANS, N_TIMES)).astype(np.float32)
    y = np.arange(N_WINDOWS) % N_OUTPUTS
    x[np.arange(N_WINDOWS), y] *= 2
    return x, y


def ours(name: str, epochs: int) -> Callable[[], object]:
    """`fit_net` with the net of that name."""
    x, y = windows()
    spec = TaskSpec(
        ch_names=tuple(f"E{i}" for i in range(N_CHANS)),
        n_times=N_TIMES,
        sfreq=SFREQ,
        n_outputs=N_OUTPUTS,
    )
    net = MODELS.get(name)(spec)
    return lambda: fit_net(
        net, x, y, epochs=epochs, batch_size=BATCH, lr=LR, weight_decay=WEIGHT_DECAY,
        schedule="constant", class_weights="none", device="cpu",
    )  # fmt: skip


def theirs(name: str) -> nn.Module:
    """Braindecode's own class."""
    net: nn.Module = getattr(import_braindecode(), NETS[name])(
        n_chans=N_CHANS, n_times=N_TIMES, n_outputs=N_OUTPUTS, sfreq=SFREQ
    )
    return net


class Plain(pl.LightningModule):
    """A net and its loss."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        """Cross-entropy of a batch."""
        x, y = batch
        return functional.cross_entropy(self.net(x), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over everything."""
        return torch.optim.AdamW(self.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)


def lightning(name: str, epochs: int) -> Callable[[], object]:
    """Braindecode's class in a plain LightningModule."""
    x, y = windows()
    data = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    module = Plain(theirs(name))

    def train() -> None:
        trainer = pl.Trainer(
            max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(module, DataLoader(data, batch_size=BATCH, shuffle=True))

    return train


def skorch(name: str, epochs: int) -> Callable[[], object]:
    """Braindecode's class in its EEGClassifier."""
    from braindecode import EEGClassifier

    x, y = windows()
    options: dict[str, Any] = {"optimizer__weight_decay": WEIGHT_DECAY, "verbose": 0}
    classifier = EEGClassifier(
        theirs(name), criterion=nn.CrossEntropyLoss, optimizer=torch.optim.AdamW, lr=LR,
        train_split=None, batch_size=BATCH, max_epochs=epochs, classes=list(range(N_OUTPUTS)),
        iterator_train__shuffle=True, **options,
    )  # fmt: skip
    return lambda: classifier.fit(x, y)


if __name__ == "__main__":
    main()
