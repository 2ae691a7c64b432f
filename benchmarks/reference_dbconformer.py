"""DBConformer written from the paper in plain modules of torch: what ours is measured against.

Reference: "DBConformer: dual-branch convolutional transformer for EEG decoding", IEEE Journal of
Biomedical and Health Informatics 30(5), 2026, arXiv:2506.21140 (Section III, Table II). One module
for each box of its figures, one line for each operation, and no thought of speed. Sizes are those
of `neurodecode.models.dbconformer` at its defaults; so is the scale of attention scores, by the
width of a head. `carry` moves weights between the two.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention with a projection for each of queries, keys and values."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.queries = nn.Linear(width, width)
        self.keys = nn.Linear(width, width)
        self.values = nn.Linear(width, width)
        self.projection = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def split(self, x: Tensor) -> Tensor:
        """(batch, n_tokens, width) to (batch, n_heads, n_tokens, width / n_heads)."""
        return x.unflatten(2, (self.n_heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens, mixed."""
        q, k, v = self.split(self.queries(x)), self.split(self.keys(x)), self.split(self.values(x))
        scores = torch.matmul(q, k.transpose(2, 3)) / math.sqrt(q.shape[-1])
        weights = self.dropout(torch.softmax(scores, dim=-1))
        mixed: Tensor = self.projection(torch.matmul(weights, v).transpose(1, 2).flatten(2))
        return mixed


class Residual(nn.Module):
    """What a block makes of its input, added to it."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return x + self.block(x)


def encoder(width: int, depth: int, n_heads: int, dropout: float) -> nn.Sequential:
    """Pre-norm transformer layers."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        attention = nn.Sequential(
            nn.LayerNorm(width), Attention(width, n_heads, dropout), nn.Dropout(dropout)
        )
        feedforward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )
        layers += [Residual(attention), Residual(feedforward)]
    return nn.Sequential(*layers)


class ReferenceDBConformer(nn.Module):
    """The paper's network: (batch, n_chans, n_times) to logits (batch, n_outputs)."""

    def __init__(
        self,
        n_chans: int = 22,
        n_times: int = 1000,
        n_outputs: int = 2,
        *,
        width: int = 40,
        depth: int = 2,
        n_heads: int = 2,
        patch: int = 125,
        dropout: float = 0.5,
        head_dropout: tuple[float, float] = (0.5, 0.3),
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(n_chans, width, 1, bias=False),
            nn.BatchNorm1d(width),
            nn.Conv1d(width, width, 63, padding=31, groups=width, bias=False),
            nn.BatchNorm1d(width),
            nn.GELU(),
            nn.AvgPool1d(patch, patch),
            nn.Dropout(dropout),
        )
        self.time_position = nn.Parameter(torch.empty(n_times // patch, width))
        self.time_encoder = encoder(width, depth, n_heads, dropout)

        self.electrode = nn.Sequential(
            nn.Conv1d(1, 16, 25, stride=5, padding=12), nn.ELU(), nn.AdaptiveAvgPool1d(1)
        )
        self.embed = nn.Linear(16, width)
        self.chan_position = nn.Parameter(torch.empty(n_chans, width))
        self.chan_encoder = encoder(width, depth, n_heads, dropout)
        self.attend = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))

        self.head = nn.Sequential(
            nn.Linear(2 * width, 64),
            nn.ELU(),
            nn.Dropout(head_dropout[0]),
            nn.Linear(64, 32),
            nn.ELU(),
            nn.Dropout(head_dropout[1]),
            nn.Linear(32, n_outputs),
        )
        nn.init.trunc_normal_(self.stem[0].weight, std=0.01)
        nn.init.trunc_normal_(self.stem[2].weight, std=0.01)
        nn.init.trunc_normal_(self.time_position, std=0.02)
        nn.init.trunc_normal_(self.chan_position, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        batch, n_chans, n_times = x.shape
        moments = self.stem(x).transpose(1, 2)  #              (batch, n_patches, width)
        moments = self.time_encoder(moments + self.time_position).mean(dim=1)
        places = self.electrode(x.reshape(batch * n_chans, 1, n_times)).flatten(1)
        places = self.embed(places).reshape(batch, n_chans, -1) + self.chan_position
        places = self.chan_encoder(places)
        weights = torch.softmax(self.attend(places), dim=1)
        logits: Tensor = self.head(torch.cat([moments, (weights * places).sum(dim=1)], dim=1))
        return logits


def carry(net: nn.Module, reference: ReferenceDBConformer, *, back: bool = False) -> None:
    """Copy weights and running statistics of our net into the reference; or the other way.

    Raises
    ------
    ValueError
        If a weight of either is left over.
    """
    state, copied = net.state_dict(), reference.state_dict()
    pairs = list(_pairs(state, copied))
    ours, theirs = ({pair[i] for pair in pairs} for i in (0, 1))
    if ours != set(state) or theirs != set(copied):
        raise ValueError(f"Not carried: {(set(state) - ours) | (set(copied) - theirs)}.")
    with torch.no_grad():
        for mine, other, part in pairs:
            a = state[mine] if part is None else state[mine].chunk(3)[part]
            b = copied[other]
            if back:
                a.copy_(b.view_as(a))
            else:
                b.copy_(a.view_as(b))


def _pairs(
    ours: dict[str, Tensor], theirs: dict[str, Tensor]
) -> Iterator[tuple[str, str, int | None]]:
    """Names that hold the same weight, and which third of ours it is."""
    yield "patch_position", "time_position", None
    yield "chan_position", "chan_position", None
    parts = {
        "mix": "stem.0", "mix_norm": "stem.1", "filters": "stem.2", "filters_norm": "stem.3",
        "electrode_filters": "electrode.0", "electrode_token": "embed",
        "channel_score.0": "attend.0", "channel_score.2": "attend.2",
        "head.0": "head.0", "head.3": "head.3", "head.6": "head.6",
    }  # fmt: skip
    for branch in ("time", "chan"):
        for i in range(sum(name.startswith(f"{branch}_encoder") for name in theirs) // 32 * 2):
            layer, first = f"{branch}_layers.{i}", f"{branch}_encoder.{2 * i}.block"
            second = f"{branch}_encoder.{2 * i + 1}.block"
            parts |= {
                f"{layer}.attention_norm": f"{first}.0",
                f"{layer}.output": f"{first}.1.projection",
                f"{layer}.feedforward.0": f"{second}.0",
                f"{layer}.feedforward.1": f"{second}.1",
                f"{layer}.feedforward.4": f"{second}.4",
            }
            for part, name in enumerate(("queries", "keys", "values")):
                for kind in ("weight", "bias"):
                    yield f"{layer}.query_key_value.{kind}", f"{first}.1.{name}.{kind}", part
    for mine, other in parts.items():
        for name in ours:
            stem, _, kind = name.rpartition(".")
            if stem == mine:
                yield name, f"{other}.{kind}", None
