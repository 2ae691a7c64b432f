"""DeeperBrain: tokens that know where on the head and when they are, and what rhythms are like.

Reference: "DeeperBrain", arXiv 2601.06134. No code was published when this was written; where the
paper leaves something open, CBraMod (ICLR 2025, arXiv 2412.07236, of the same group) fills it in:
``deeperbrain:base`` has its rate, patch, width and depth. ``deeperbrain`` is a size for a CPU.
Differences: a patch's log power is a feature of its own, and nothing is normalised before the
transformer, so that amplitude is kept. Attention is criss-cross by default: a training step of 8
windows of 64 channels takes 0.5 s on one core, against 0.6 s of joint attention, for 8 s; and
2.0 s against 3.9 s for 30 s. Codes of place and time: `nn.place_and_time` says what differs there.
"""

import logging
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError
from neurodecode.core.spec import TaskSpec
from neurodecode.models import BACKBONES, MODELS
from neurodecode.nn.foundation import Backbone, FoundationDecoder, Pool
from neurodecode.nn.place_and_time import Reference, TimeCode, VolumeConductionCode
from neurodecode.nn.running import RunningMoments
from neurodecode.nn.transformer import CrissCrossLayer, TransformerLayer
from neurodecode.signal.connectivity import Connectivity
from neurodecode.signal.coupling import Coupling
from neurodecode.signal.neurodynamics import statistic_names, statistics

logger = logging.getLogger(__name__)

Attention = Literal["joint", "criss-cross"]

SIZES: dict[str, tuple[float, int, int, int]] = {
    "tiny": (128.0, 128, 4, 4),
    "base": (200.0, 200, 12, 8),
}
"""Sampling rate (Hz), width, layers and heads of a variant."""

UNIT = 20.0  # µV: about the deviation of a scalp EEG; windows are divided by it
LEAST = 0.05  # of a unit: less than 1 µV is noise of the amplifier


class PatchEmbedding(nn.Module):
    """Three convolutions over a patch and a linear map; and the log of its power.

    Parameters
    ----------
    n_segment
        Samples of a patch.
    width
        Features of a token; an eighth of them are filters.
    """

    def __init__(self, n_segment: int, width: int) -> None:
        super().__init__()
        stride, n_filters = max(1, n_segment // 8), max(1, width // 8)
        n_steps = (n_segment - 1) // stride + 1
        self.filters = nn.Sequential(
            nn.Conv1d(1, n_filters, 2 * stride - 1, stride, padding=stride - 1),
            nn.GELU(),
            nn.Conv1d(n_filters, n_filters, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(n_filters, n_filters, 3, padding=1),
            nn.GELU(),
            nn.Flatten(),
        )
        self.project = nn.Linear(n_filters * n_steps, width)
        self.power = nn.Linear(1, width, bias=False)

    def forward(self, patches: Tensor) -> Tensor:
        """Tokens (..., width) of patches (..., n_segment), in `UNIT`."""
        flat = patches.flatten(0, -2)
        power = flat.square().mean(dim=1, keepdim=True)
        level = (power + LEAST**2).log() / 2
        tokens: Tensor = self.project(self.filters(flat[:, None])) + self.power(level)
        return tokens.view(*patches.shape[:-1], -1)


@BACKBONES.add("deeperbrain")
class DeeperBrainBackbone(Backbone):
    """Transformer over all channels and segments, in both directions, any montage.

    Parameters
    ----------
    variant
        "tiny" (128 Hz, 128 features, 4 layers, 4 heads), or "base" (200 Hz, 200, 12, 8).
    segment
        Length of a token, s.
    width, depth, n_heads
        Features of a token, layers, and attention heads; by default the variant's.
    attention
        "criss-cross": half of the heads along time in a channel, half across channels in a
        segment. "joint": all over all tokens, which costs the square of their number.
    reference, tau
        Of the channel code; see `VolumeConductionCode`.
    dropout
        In [0, 1).

    Raises
    ------
    ConfigError
        If the heads do not share the width, or are odd where criss-cross attention halves them.

    Notes
    -----
    Channels without a position have a learned code for "somewhere", which is said once in the log.
    They can only be told apart by their signals.
    """

    lora_targets = ("query_key_value",)

    def __init__(
        self,
        *,
        variant: Literal["tiny", "base"] = "tiny",
        segment: float = 1.0,
        width: int | None = None,
        depth: int | None = None,
        n_heads: int | None = None,
        attention: Attention = "criss-cross",
        reference: Reference = "montage",
        tau: float = 0.03,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.sfreq, own_width, own_depth, own_heads = SIZES[variant]
        self.width, n_heads = width or own_width, n_heads or own_heads
        if self.width % n_heads:
            raise ConfigError(f"width={self.width} cannot be shared among n_heads={n_heads}.")
        self.n_segment = round(segment * self.sfreq)
        if self.n_segment < 8:
            raise ConfigError(
                f"segment = {segment} s is {self.n_segment} samples at {self.sfreq:g} Hz. "
                f"Choose at least {8 / self.sfreq:g} s."
            )
        self.embedding = PatchEmbedding(self.n_segment, self.width)
        self.channel_code = VolumeConductionCode(self.width, reference=reference, tau=tau)
        self.time_code = TimeCode(self.width)
        self.is_joint = attention == "joint"
        layer = TransformerLayer if self.is_joint else CrissCrossLayer
        self.layers = nn.ModuleList(
            layer(self.width, n_heads=n_heads, dropout=dropout, attention_dropout=0.0)
            for _ in range(depth or own_depth)
        )
        self.norm = nn.LayerNorm(self.width)
        self._told = False

    def embed(self, patches: Tensor) -> Tensor:
        """Tokens of patches alone, (batch, T, n_chans, width), of (batch, T, n_chans, samples)."""
        tokens: Tensor = self.embedding(patches / UNIT)
        return tokens

    def encode(
        self, tokens: Tensor, present: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        """Tokens that have seen each other, of tokens without codes; same shape."""
        batch, n_segments, n_chans, width = tokens.shape
        there = tokens.new_ones(1, n_chans, dtype=torch.bool) if present is None else present
        if positions is None:
            positions = tokens.new_full((1, n_chans, 3), torch.nan)
        elif positions.ndim == 2:
            positions = positions[None]
        rows = max(len(there), len(positions))
        there, positions = there.expand(rows, -1), positions.to(tokens).expand(rows, -1, -1)
        self._tell(positions, there)
        times = (torch.arange(n_segments, device=tokens.device) + 0.5) * (
            self.n_segment / self.sfreq
        )
        tokens = tokens + self.channel_code(positions, there)[:, None]
        tokens = tokens + self.time_code(times)[:, None]
        mask = present
        if self.is_joint:
            tokens = tokens.flatten(1, 2)
            mask = None if present is None else present.repeat(1, n_segments)
        for layer in self.layers:
            tokens = layer(tokens, mask)
        tokens = self.norm(tokens).view(batch, n_segments, n_chans, width)
        return tokens if present is None else tokens * present[:, None, :, None]

    def forward(
        self, x: Tensor, present: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        """Tokens, (batch, n_segments, n_chans, width), of windows; as `Backbone.forward`."""
        return self.encode(self.embed(self.segments(x)), present, positions)

    def pretext(
        self,
        *,
        mask_ratio: float = 0.5,
        statistics_weight: float = 1.0,
        connectivity: Connectivity | None = "plv",
        coupling: Coupling | None = None,
        highest: float | None = None,
    ) -> "DeeperBrainPretext":
        """Masked patches and statistics; see `DeeperBrainPretext`."""
        return DeeperBrainPretext(
            self,
            mask_ratio=mask_ratio,
            statistics_weight=statistics_weight,
            connectivity=connectivity,
            coupling=coupling,
            highest=highest,
        )

    def _tell(self, positions: Tensor, there: Tensor) -> None:
        if self._told or torch.compiler.is_exporting():
            return
        unknown = (~positions.isfinite().all(dim=-1) & there).any(dim=0)
        if bool(unknown.any()):
            self._told = True
            logger.warning(
                "deeperbrain: %d of %d channels have no position; they share one learned code.",
                int(unknown.sum()), positions.shape[1],
            )  # fmt: skip


class DeeperBrainPretext(nn.Module):
    """Reconstruct masked patches; predict statistics of the whole window from what is left.

    Both losses are Smooth-L1 with beta 1. Patches are normalised, each by its own mean and
    deviation; statistics by their running mean and deviation, buffers that training updates.

    Parameters
    ----------
    backbone
        What is pretrained.
    mask_ratio
        Share of the patches of a window that are masked, in (0, 1); at least one is.
    statistics_weight
        Lambda: what the loss of the statistics is multiplied by.
    connectivity, coupling, highest
        Of `neurodecode.signal.neurodynamics.statistics`. At 128 Hz there are no statistics of
        gamma: it ends at 80 Hz, past half the rate.

    Raises
    ------
    ConfigError
        If `mask_ratio` is not in (0, 1).
    """

    def __init__(
        self,
        backbone: DeeperBrainBackbone,
        *,
        mask_ratio: float = 0.5,
        statistics_weight: float = 1.0,
        connectivity: Connectivity | None = "plv",
        coupling: Coupling | None = None,
        highest: float | None = None,
    ) -> None:
        super().__init__()
        if not 0 < mask_ratio < 1:
            raise ConfigError(f"mask_ratio = {mask_ratio} is a share of patches, in (0, 1).")
        self.backbone = backbone
        self.mask_ratio, self.statistics_weight, self.highest = (
            mask_ratio, statistics_weight, highest,
        )  # fmt: skip
        self.connectivity, self.coupling = connectivity, coupling
        self.names = statistic_names(connectivity=connectivity, coupling=coupling)
        self.mask = nn.Parameter(0.02 * torch.randn(backbone.width))
        self.reconstruct = nn.Linear(backbone.width, backbone.n_segment)
        self.predict = nn.Linear(backbone.width, len(self.names))
        self.moments = RunningMoments(len(self.names))

    def forward(
        self,
        x: Tensor,
        present: Tensor | None = None,
        positions: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Losses of windows (batch, n_chans, n_times), microvolts.

        Returns
        -------
        scalars
            "loss" = "mer" + lambda "nsp"; "explained", the share of the variance of masked patches
            that is reconstructed; and "corr_power", "corr_plv", "corr_entropy", ...: between
            predicted and true statistics, over the windows of the batch, mean over a group. It is
            0 where nothing can be said: fewer than three windows, or statistics that are missing.
        """
        patches = self.backbone.segments(x)
        masked = self._draw(patches, present, generator)
        encoded = self._encode(patches, masked, present, positions)
        truth = _normalized(patches[masked])
        guess = self.reconstruct(encoded[masked])
        mer = functional.smooth_l1_loss(guess, truth)
        explained = 1 - (guess - truth).square().mean() / truth.square().mean().clamp(min=1e-6)
        predicted, target = self.predict(_mean_token(encoded, present)), self._targets(x, present)
        measured = target.isfinite()
        target = target.nan_to_num(0.0)
        nsp = functional.smooth_l1_loss(predicted, target, reduction="none")
        nsp = (nsp * measured).sum() / measured.sum().clamp(min=1)
        scalars = {
            "loss": mer + self.statistics_weight * nsp,
            "mer": mer,
            "nsp": nsp,
            "explained": explained,
        }
        return scalars | self._correlations(predicted.detach(), target, measured)

    def _encode(
        self, patches: Tensor, masked: Tensor, present: Tensor | None, positions: Tensor | None
    ) -> Tensor:
        """Tokens of windows whose masked patches (batch, T, n_chans) are not seen."""
        tokens = torch.where(masked[..., None], self.mask, self.backbone.embed(patches))
        return self.backbone.encode(tokens, present, positions)

    def _draw(
        self, patches: Tensor, present: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """Patches to mask, (batch, T, n_chans) bool: so many of those that are there."""
        shape = patches.shape[:3]
        device = patches.device if generator is None else generator.device
        score = torch.rand(shape, generator=generator, device=device).to(patches.device)
        n_there = torch.full((shape[0], 1), shape[1] * shape[2], device=patches.device)
        if present is not None:
            score = score.masked_fill(~present[:, None, :], 2.0)
            n_there = present.sum(dim=1, keepdim=True) * shape[1]
        n_masked = (self.mask_ratio * n_there).round().clamp(min=1)
        rank = score.flatten(1).argsort(dim=1).argsort(dim=1)
        return ((rank < n_masked) & (score.flatten(1) < 2)).view(shape)

    @torch.no_grad()
    def _targets(self, x: Tensor, present: Tensor | None) -> Tensor:
        """Normalised statistics of windows, (batch, n_statistics); NaN where there are none."""
        windows = x.detach().float()
        if present is not None:
            windows = windows.masked_fill(~present[..., None], torch.nan)
        values, _ = statistics(
            windows.cpu().numpy(),
            self.backbone.sfreq,
            highest=self.highest,
            connectivity=self.connectivity,
            coupling=self.coupling,
        )
        found = torch.from_numpy(values).to(x)
        if self.training:
            self.moments.update(found)
        return self.moments.normalize(found)

    def _correlations(self, guess: Tensor, truth: Tensor, measured: Tensor) -> dict[str, Tensor]:
        """Mean correlation of each group of statistics."""
        n = measured.sum(dim=0)
        a, b = (
            torch.where(measured, v - (v * measured).sum(dim=0) / n.clamp(min=1), 0.0)
            for v in (guess, truth)
        )
        size = (a.square().sum(dim=0) * b.square().sum(dim=0)).sqrt()
        valid = (n > 2) & (size > 1e-9)
        r = torch.where(valid, (a * b).sum(dim=0) / size.clamp(min=1e-9), 0.0)
        groups: dict[str, list[int]] = {}
        for i, name in enumerate(self.names):
            groups.setdefault(name.partition(".")[0], []).append(i)
        return {
            f"corr_{group}": r[own].sum() / valid[own].sum().clamp(min=1)
            for group, own in groups.items()
        }


def _normalized(patches: Tensor) -> Tensor:
    """Patches (n, n_segment), microvolts, with mean 0 and deviation 1; a flat one stays near 0."""
    away = patches - patches.mean(dim=-1, keepdim=True)
    return away / (away.square().mean(dim=-1, keepdim=True) + (LEAST * UNIT) ** 2).sqrt()


def _mean_token(tokens: Tensor, present: Tensor | None) -> Tensor:
    """Mean over the tokens that are there, (batch, width)."""
    if present is None:
        return tokens.mean(dim=(1, 2))
    n_there = present.sum(dim=1, keepdim=True).clamp(min=1)
    return tokens.mean(dim=1).sum(dim=1) / n_there


@MODELS.add("deeperbrain")
def deeperbrain(
    spec: TaskSpec,
    *,
    variant: Literal["tiny", "base"] = "tiny",
    segment: float = 1.0,
    width: int | None = None,
    depth: int | None = None,
    n_heads: int | None = None,
    attention: Attention = "criss-cross",
    reference: Reference = "montage",
    tau: float = 0.03,
    dropout: float = 0.1,
    pool: Pool = "mean",
) -> FoundationDecoder:
    """DeeperBrain: codes of place and time, a transformer over all channels (arXiv 2601.06134).

    Parameters
    ----------
    spec
        What the data fixes.
    variant, segment, width, depth, n_heads, attention, reference, tau, dropout
        Of `DeeperBrainBackbone`.
    pool
        What the head sees of the tokens; see `FoundationDecoder`.
    """
    backbone = DeeperBrainBackbone(
        variant=variant,
        segment=segment,
        width=width,
        depth=depth,
        n_heads=n_heads,
        attention=attention,
        reference=reference,
        tau=tau,
        dropout=dropout,
    )
    return FoundationDecoder(backbone, spec, pool=pool)
