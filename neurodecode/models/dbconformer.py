"""DBConformer: one transformer over moments, one over electrodes, side by side.

Reference: "DBConformer: dual-branch convolutional transformer for EEG decoding", IEEE Journal of
Biomedical and Health Informatics 30(5), 2026, arXiv:2506.21140 (Section III, Table II).
Differences: lengths are given in seconds, so that a filter covers the same time at any sampling
rate (at 250 Hz they are the paper's); every sample is used, where the paper drops the last ones
until patches divide the window; attention scores are scaled by the width of a head, not of the
model; 2 heads, the best in the paper's sensitivity study.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.nn.convolutions import DepthwiseTemporalConv, elu_conv_mean
from neurodecode.nn.dropout import Dropout
from neurodecode.nn.stem import fused_stem, is_fused
from neurodecode.nn.transformer import TransformerLayer


@MODELS.add("dbconformer")
class DBConformer(nn.Module):
    """Two convolutional transformers, over time and over electrodes, read out together.

    Parameters
    ----------
    spec
        What the data fixes.
    depth
        Transformer layers in each branch.
    width
        Features of a token, and spatial filters of the temporal branch.
    n_heads
        Attention heads; divides `width`.
    patch
        Time that one temporal token covers, seconds.
    kernel
        Length of the temporal filters, seconds.
    electrode_kernel, electrode_stride
        Length and step of the filters over a single electrode, seconds.
    channel_attention
        Weigh electrodes by learned attention; otherwise all alike.
    dropout
        Probability of dropping a feature in the branches, in [0, 1).
    head_dropout
        The same in the head, before its second and its third layer.
    """

    pool: Tensor  # (n_patches, n_times), the averages that make a patch

    def __init__(
        self,
        spec: TaskSpec,
        *,
        depth: int = 2,
        width: int = 40,
        n_heads: int = 2,
        patch: float = 0.5,
        kernel: float = 0.252,
        electrode_kernel: float = 0.1,
        electrode_stride: float = 0.02,
        channel_attention: bool = True,
        dropout: float = 0.5,
        head_dropout: tuple[float, float] = (0.5, 0.3),
    ) -> None:
        super().__init__()
        if width % n_heads:
            raise ConfigError(f"width={width} cannot be shared among n_heads={n_heads}.")

        def layers() -> nn.Sequential:
            return nn.Sequential(
                *(TransformerLayer(width, n_heads=n_heads, dropout=dropout) for _ in range(depth))
            )

        n_patches = max(1, round(spec.duration / patch))
        self.mix = nn.Linear(spec.n_chans, width, bias=False)
        self.mix_norm = nn.BatchNorm1d(width)
        self.filters = DepthwiseTemporalConv(width, _odd_taps("kernel", kernel, spec))
        self.filters_norm = nn.BatchNorm1d(width)
        self.dropout = Dropout(dropout)
        self.patch_position = nn.Parameter(torch.empty(n_patches, width))
        self.time_layers = layers()
        identity = torch.eye(spec.n_times).unsqueeze(0)
        pool = functional.adaptive_avg_pool1d(identity.mT, n_patches)[0].T
        self.register_buffer("pool", pool.contiguous(), persistent=False)

        n_taps = _odd_taps("electrode_kernel", electrode_kernel, spec)
        self.electrode_stride = spec.samples(electrode_stride)
        self.electrode_filters = nn.Linear(n_taps, 16)
        self.electrode_token = nn.Linear(16, width)
        self.chan_position = nn.Parameter(torch.empty(spec.n_chans, width))
        self.chan_layers = layers()
        self.channel_score = (
            nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
            if channel_attention
            else None
        )
        self.head = nn.Sequential(
            nn.Linear(2 * width, 64),
            nn.ELU(),
            Dropout(head_dropout[0]),
            nn.Linear(64, 32),
            nn.ELU(),
            Dropout(head_dropout[1]),
            nn.Linear(32, spec.n_outputs),
        )
        # Small filters under a batch norm turn quickly; 0.01 is the authors' choice for this stem.
        nn.init.trunc_normal_(self.mix.weight, std=0.01)
        nn.init.trunc_normal_(self.filters.weight, std=0.01)
        nn.init.trunc_normal_(self.patch_position, std=0.02)
        nn.init.trunc_normal_(self.chan_position, std=0.02)

    def time_tokens(self, x: Tensor) -> Tensor:
        """One token per patch of time: (batch, n_chans, n_times) to (batch, n_patches, width)."""
        tokens: Tensor = self.time_layers(self.dropout(self._stem(x)) + self.patch_position)
        return tokens

    def _stem(self, x: Tensor) -> Tensor:
        """Means over patches of filtered mixtures of channels, (batch, n_patches, width)."""
        if is_fused(x, self.mix, self.mix_norm, self.filters, self.filters_norm):
            return fused_stem(
                x, self.mix.weight, self.mix_norm, self.filters.weight, self.filters_norm,
                len(self.pool),
            )  # fmt: skip
        x = self.mix(x.mT)  #                              (batch, n_times, width)
        x = self.mix_norm(x.flatten(0, 1)).view_as(x)
        x = self.filters(x)
        x = self.filters_norm(x.flatten(0, 1)).view_as(x)
        return self.pool @ functional.gelu(x)

    def chan_tokens(self, x: Tensor) -> Tensor:
        """One token per electrode: (batch, n_chans, n_times) to (batch, n_chans, width)."""
        batch, n_chans, _ = x.shape
        filters = self.electrode_filters
        x = elu_conv_mean(
            x.flatten(0, 1), filters.weight, filters.bias, stride=self.electrode_stride
        )  #                                               (batch * n_chans, 16)
        x = self.electrode_token(x).view(batch, n_chans, -1)
        tokens: Tensor = self.chan_layers(x + self.chan_position)
        return tokens

    def channel_weights(self, x: Tensor) -> Tensor:
        """Attention over electrodes, (batch, n_chans), each row adding up to 1."""
        return self._weigh(self.chan_tokens(x))

    def _weigh(self, tokens: Tensor) -> Tensor:
        if self.channel_score is None:
            return tokens.new_full(tokens.shape[:2], 1 / tokens.shape[1])
        weights: Tensor = self.channel_score(tokens).squeeze(2).softmax(dim=1)
        return weights

    def features(self, x: Tensor) -> Tensor:
        """Both branches: (batch, n_chans, n_times) to (batch, 2 * width), temporal half first."""
        moment = self.time_tokens(x).mean(dim=1)
        tokens = self.chan_tokens(x)
        place = (self._weigh(tokens).unsqueeze(1) @ tokens).squeeze(1)
        return torch.cat([moment, place], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, n_outputs)."""
        logits: Tensor = self.head(self.features(x))
        return logits


def _odd_taps(option: str, seconds: float, spec: TaskSpec) -> int:
    """Samples in a filter, odd so that it has a centre."""
    n_taps = spec.samples(seconds) | 1
    if n_taps > spec.n_times:
        raise SignalError(
            f"{option}={seconds} s is longer than the {spec.duration:g} s window. "
            f"Shorten {option}, or cut longer windows."
        )
    return n_taps
