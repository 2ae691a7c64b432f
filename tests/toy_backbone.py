"""A backbone of a few numbers, with a pretext that can be learned: for tests of what trains one."""

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from neurodecode.core.registry import Listing
from neurodecode.epochs.stretches import Stretch
from neurodecode.models import BACKBONES
from neurodecode.nn.foundation import Backbone
from neurodecode.training.draws import Pool


class ToyBackbone(Backbone):
    """Root mean square of each segment, and what two linear layers make of its samples."""

    def __init__(
        self, *, width: int = 8, sfreq: float = 64.0, max_chans: int | None = None
    ) -> None:
        super().__init__()
        self.sfreq, self.n_segment, self.width = sfreq, round(sfreq / 4), width
        self.max_chans = max_chans
        self.mix = nn.Linear(self.n_segment, width)
        self.dropout = nn.Dropout(0.1)

    def forward(
        self, x: Tensor, present: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        segments = self.segments(x)
        scale = segments.square().mean(dim=-1, keepdim=True).add(1e-6).sqrt()
        tokens = self.dropout(self.mix(segments / scale).tanh())
        return tokens if present is None else tokens * present[:, None, :, None]

    def pretext(self) -> nn.Module:
        return ToyPretext(self)


class ToyPretext(nn.Module):
    """Predicts the samples of a segment from its token, some of them hidden by noise."""

    def __init__(self, backbone: ToyBackbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.width, backbone.n_segment)

    def forward(
        self,
        x: Tensor,
        present: Tensor | None = None,
        positions: Tensor | None = None,
        generator: Generator | None = None,
    ) -> dict[str, Tensor]:
        target = self.backbone.segments(x)
        target = target / target.square().mean(dim=-1, keepdim=True).add(1e-6).sqrt()
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        error = (self.head(self.backbone(x + noise, present, positions)) - target).square()
        weight = (
            torch.ones_like(error) if present is None else present[:, None, :, None] + 0 * error
        )
        loss = (error * weight).sum() / weight.sum()
        nothing = (target.square() * weight).sum() / weight.sum()
        return {"loss": loss, "of_nothing": nothing}


def add_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register it as "toy" while a test runs."""
    monkeypatch.setitem(BACKBONES._listings, "toy", Listing(__name__, "A backbone for tests."))
    monkeypatch.setitem(BACKBONES._parts, "toy", ToyBackbone)


def toy_pool(seed: int, *, n_people: int = 3, n_chans: tuple[int, ...] = (4, 7)) -> Pool:
    """Sines of 8 Hz in noise at 64 Hz, 20 s of each person, in data sets of so many channels."""
    rng = np.random.default_rng(seed)
    t = np.arange(1280) / 64
    return {
        name: [
            Stretch(
                x=np.asarray(
                    10 * np.sin(2 * np.pi * 8 * t + rng.uniform(0, 6, (n, 1)))
                    + rng.standard_normal((n, len(t))),
                    dtype=np.float32,
                ),
                positions=np.full((n, 3), np.nan, dtype=np.float32),
                dataset=name,
                subject=str(i),
            )
            for i in range(n_people)
        ]
        for name, n in zip("abc", n_chans, strict=False)
    }
