"""Training of our DBConformer against one written from the paper in plain modules.

`python benchmarks/train_dbconformer.py [--rounds N] [--threads N] [--json FILE]`. Both take the
same steps (forward, backward, AdamW) with the same windows, 32 of 22 channels x 1000 samples, in
turn; with dropout as in the paper. Before, without dropout, both start from the same weights and
must give the same losses for 20 steps.
"""

from collections.abc import Callable

import torch
from reference_dbconformer import ReferenceDBConformer, carry
from side_by_side import finish, parser, side_by_side
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.spec import TaskSpec
from neurodecode.models.dbconformer import DBConformer

BATCH, N_CHANS, N_TIMES = 32, 22, 1000
STEPS = 10  # in a round
SPEC = TaskSpec(
    ch_names=tuple(f"E{i}" for i in range(N_CHANS)), n_times=N_TIMES, sfreq=250.0, n_outputs=2
)


def main() -> None:
    """One line."""
    options = parser(__doc__, rounds=15).parse_args()
    torch.set_num_threads(options.threads)
    gap = loss_gap()
    if gap > 1e-3:
        raise SystemExit(f"train_dbconformer: losses differ by {gap:.1e}, nothing to compare")
    torch.manual_seed(0)
    x, y = windows()
    ours, theirs = DBConformer(SPEC), ReferenceDBConformer(N_CHANS, N_TIMES)
    finish(
        side_by_side(
            trainer(ours, x, y),
            trainer(theirs, x, y),
            name="train_dbconformer",
            what="Training of DBConformer (forward, backward and AdamW, batches of 32 windows of "
            "22 channels x 1000 samples) against the paper's network in plain modules.",
            rounds=options.rounds,
            amount=BATCH * STEPS,
            unit="trials/s",
            details={"largest_difference_of_losses": gap},
        ),
        options.json,
    )


def trainer(net: nn.Module, x: Tensor, y: Tensor) -> Callable[[], list[float]]:
    """A callable that takes `STEPS` steps and returns their losses."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)

    def train() -> list[float]:
        losses = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return train


def loss_gap() -> float:
    """Largest difference between the losses of both over 20 steps without dropout."""
    torch.manual_seed(0)
    ours = DBConformer(SPEC, dropout=0.0, head_dropout=(0.0, 0.0))
    theirs = ReferenceDBConformer(N_CHANS, N_TIMES, dropout=0.0, head_dropout=(0.0, 0.0))
    carry(ours, theirs)
    x, y = windows()
    curves = []
    for net in (ours, theirs):
        train = trainer(net, x, y)
        curves.append(train() + train())
    return max(abs(a - b) for a, b in zip(*curves, strict=True))


def windows() -> tuple[Tensor, Tensor]:
    """A batch, and what to learn of it: one channel is louder in a class."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(BATCH, N_CHANS, N_TIMES, generator=draw), torch.arange(BATCH) % 2
    x[y == 1, 3] *= 2
    return x, y


if __name__ == "__main__":
    main()
