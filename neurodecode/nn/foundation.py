"""What models that are pretrained have in common: a backbone for any montage, and a head.

A backbone knows nothing of a task: it takes windows of any number of channels at its own sampling
rate and gives a token for every segment of every channel. A decoder is a backbone, resampling
before it and a linear head behind it, so that a pretrained backbone fits any recording.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from neurodecode.core.errors import SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.nn.resample import Resample

Pool = Literal["last", "mean", "channels"]


class Backbone(nn.Module):
    """Tokens of recordings with any montage; the base class of backbones.

    Attributes
    ----------
    sfreq
        Sampling rate of the windows that it takes, Hz.
    n_segment
        Samples of a token.
    width
        Features of a token.
    max_chans
        Most channels that it takes; None for any number.
    lora_targets
        Last parts of the names of the linear layers that LoRA adapts.
    """

    sfreq: float
    n_segment: int
    width: int
    max_chans: int | None = None
    lora_targets: tuple[str, ...] = ()

    def forward(
        self, x: Tensor, present: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        """Tokens, (batch, n_segments, n_chans, width); those of absent channels are zero.

        Parameters
        ----------
        x
            Windows, (batch, n_chans, n_times), microvolts at `sfreq`, all of them finite.
        present
            Channels that are there, (batch, n_chans), bool; None means all.
        positions
            Of the channels, (batch, n_chans, 3) or (n_chans, 3), m; NaN where unknown.
        """
        raise NotImplementedError

    def pretext(self) -> nn.Module:
        """The task of its pretraining, a module that owns this one as ``backbone``.

        Its ``forward(x, present, positions, generator)`` takes what `forward` takes, and a
        generator for everything random, and returns scalars by name: "loss", and diagnostics.
        """
        raise NotImplementedError

    def segments(self, x: Tensor) -> Tensor:
        """Whole segments up to the end: (batch, n_chans, n_times) to (batch, T, n_chans, samples).

        Samples at the beginning that fill no segment are left out.

        Raises
        ------
        SignalError
            If there is no whole segment, or more channels than the backbone takes.
        """
        batch, n_chans, n_times = x.shape
        if self.max_chans is not None and n_chans > self.max_chans:
            raise SignalError(
                f"{n_chans} channels are more than the {self.max_chans} that "
                f"{type(self).__name__} takes. Choose some with preprocess.channels."
            )
        n_segments = n_times // self.n_segment
        if n_segments < 1:
            raise SignalError(
                f"A window of {n_times / self.sfreq:g} s holds no segment of "
                f"{self.n_segment / self.sfreq:g} s. Cut longer windows (epochs.window), or "
                f"choose shorter segments."
            )
        x = x[:, :, n_times - n_segments * self.n_segment :]
        return x.reshape(batch, n_chans, n_segments, self.n_segment).transpose(1, 2)


class FoundationDecoder(nn.Module):
    """A backbone with a linear head, for windows at any sampling rate.

    A channel that is NaN throughout a window is absent from it.

    Parameters
    ----------
    backbone
        Pretrained or not.
    spec
        What the data fixes.
    pool
        What the head sees of the tokens: "last" the last segment's mean over channels, as
        published for seizures; "mean" the mean over segments and channels; "channels" the mean
        over segments of each channel, which keeps where things happen and needs one montage.

    Attributes
    ----------
    notice
        What is done to windows that a person should know of; empty for nothing.
    """

    absent_chans: ClassVar[bool] = True
    normalize: ClassVar[str] = "none"  # microvolts, as in pretraining

    positions: Tensor | None  # (n_chans, 3), m

    def __init__(self, backbone: Backbone, spec: TaskSpec, *, pool: Pool = "mean") -> None:
        super().__init__()
        self.backbone, self.pool = backbone, pool
        n_out = round(spec.duration * backbone.sfreq)
        # A window of one sample too many (MNE's endpoint) is no reason to resample.
        same = abs(spec.sfreq - backbone.sfreq) < 1e-6
        self.notice = ""
        if not same:
            self.notice = (
                f"{type(backbone).__name__} takes {backbone.sfreq:g} Hz, so windows of "
                f"{spec.sfreq:g} Hz are resampled."
            )
        self.resample = (
            nn.Identity() if same else Resample(spec.n_times, spec.sfreq, n_out, backbone.sfreq)
        )
        places = None if spec.positions is None else torch.tensor(spec.positions)
        self.register_buffer("positions", places, persistent=False)
        # Refuses windows that are too short now, and not in the middle of a run.
        with torch.device("meta"):
            backbone.segments(torch.empty(1, spec.n_chans, spec.n_times if same else n_out))
        n_features = backbone.width * (spec.n_chans if pool == "channels" else 1)
        self.head = Head(n_features, spec.n_outputs)

    def tokens(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Tokens, (batch, n_segments, n_chans, width), of windows that are finite."""
        positions = None if self.positions is None else self.positions[: x.shape[1]]
        tokens: Tensor = self.backbone(self.resample(x), present, positions)
        return tokens

    def features(self, x: Tensor) -> Tensor:
        """What the head sees, (batch, n_features), before it is standardised."""
        here = ~x[:, :, 0].isnan()
        if torch.compiler.is_exporting() or bool(here.all()):  # a graph takes every channel
            return self._pooled(self.tokens(x))
        if self.pool == "channels":
            raise SignalError(
                "pool='channels' needs the same channels in all windows, and some are absent here. "
                "Take pool='mean' or 'last'."
            )
        n_here = here.sum(dim=1)
        first = here == (torch.arange(x.shape[1], device=x.device) < n_here[:, None])
        if not bool(first.all()):
            return self._pooled(self.tokens(x.nan_to_num(0.0), here), here)
        # Windows of a montage go together, so that nothing is computed for what is not there.
        features = x.new_empty(len(x), self.head.linear.in_features)
        for n in torch.unique(n_here).tolist():
            alike = n_here == n
            features[alike] = self._pooled(self.tokens(x[alike, :n])).to(x.dtype)
        return features

    def _pooled(self, tokens: Tensor, present: Tensor | None = None) -> Tensor:
        if self.pool == "channels":
            return tokens.mean(dim=1).flatten(1)
        tokens = tokens[:, -1] if self.pool == "last" else tokens.mean(dim=1)
        if present is None:
            return tokens.mean(dim=1)
        return tokens.sum(dim=1) / present.sum(dim=1, keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, n_outputs), of windows (batch, n_chans, n_times) in microvolts."""
        logits: Tensor = self.head(self.features(x))
        return logits


class Head(nn.Module):
    """A linear map of standardised features.

    Parameters
    ----------
    n_features, n_outputs
        In and out.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.linear = nn.Linear(n_features, n_outputs)

    def standardize(self, features: Tensor) -> None:
        """Learn mean and deviation from features of training windows, (n_epochs, n_features)."""
        scale = features.std(dim=0, correction=0)
        self.mean.copy_(features.mean(dim=0))
        self.scale.copy_(torch.where(scale > 1e-6 * self.mean.abs(), scale, 1.0))

    def forward(self, features: Tensor) -> Tensor:
        """Logits, (batch, n_outputs)."""
        logits: Tensor = self.linear((features - self.mean) / self.scale)
        return logits
