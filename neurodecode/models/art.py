"""ART: a transformer from noisy to clean windows of thirty channels.

Reference: "ART: Artifact Removal Transformer for reconstructing noise-free multichannel EEG",
NeuroImage 310:121123 (2025), arXiv 2409.07326. ``art:paper`` is its encoder-decoder: 2 + 2 pre-norm
blocks, 128 features, 8 heads, 2048 hidden features, a token per sample. ``art`` has a token per
16 samples, 62.5 ms, for which a decoder that is shown the same window as the encoder adds nothing:
four encoder blocks.
Differences: the decoder is never given the clean window, in training or later (given it, it learns
to copy), and looks at all of its input instead of the past. The net predicts the artifact, and an
untrained one changes nothing. Any montage is laid onto the thirty channels: each channel takes the
place nearest to it, in several passes if there are more than thirty; places that are left empty are
interpolated; and each channel gets back the artifact of its own place.
"""

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from neurodecode.core.errors import SignalError
from neurodecode.models import DENOISERS
from neurodecode.nn.transformer import TransformerLayer
from neurodecode.signal.sphere import Array, on_sphere, spline_matrix

PLACES = {  # directions from the middle of the head: right, front, up
    "Fp1": (-0.283, 0.953, -0.106), "Fp2": (0.277, 0.955, -0.107), "F7": (-0.760, 0.634, -0.143),
    "F3": (-0.523, 0.749, 0.408), "Fz": (-0.002, 0.781, 0.625), "F4": (0.526, 0.755, 0.392),
    "F8": (0.759, 0.634, -0.147), "FT7": (-0.927, 0.352, -0.130), "FC3": (-0.658, 0.467, 0.591),
    "FCz": (-0.003, 0.493, 0.870), "FC4": (0.661, 0.469, 0.586), "FT8": (0.923, 0.360, -0.133),
    "T7": (-0.996, 0.011, -0.093), "C3": (-0.707, 0.101, 0.700), "Cz": (-0.004, 0.134, 0.991),
    "C4": (0.713, 0.103, 0.694), "T8": (0.995, 0.016, -0.096), "TP7": (-0.947, -0.319, -0.044),
    "CP3": (-0.660, -0.265, 0.703), "CPz": (-0.005, -0.232, 0.973), "CP4": (0.667, -0.263, 0.697),
    "TP8": (0.945, -0.324, -0.045), "P7": (-0.795, -0.607, 0.023), "P3": (-0.540, -0.582, 0.608),
    "Pz": (-0.007, -0.560, 0.829), "P4": (0.542, -0.578, 0.609), "P8": (0.788, -0.615, 0.023),
    "O1": (-0.304, -0.940, 0.156), "Oz": (-0.011, -0.976, 0.218), "O2": (0.287, -0.945, 0.156),
}  # fmt: skip


@DENOISERS.add("art")
class Art(nn.Module):
    """Transformer over time; channels are laid onto thirty places of the 10-20 cap.

    Parameters
    ----------
    variant
        "patch", or "paper" for a token per sample and an encoder-decoder.
    width
        Features of a token.
    n_heads
        Attention heads.
    depth
        Blocks of the patch variant; the paper's has two of each kind.
    patch
        Samples of a token of the patch variant.
    hidden
        Features of the paper variant's feed-forward networks.
    dropout
        In [0, 1).
    """

    sfreq = 256.0
    needs_positions = True

    def __init__(
        self,
        *,
        variant: Literal["patch", "paper"] = "patch",
        width: int = 128,
        n_heads: int = 8,
        depth: int = 4,
        patch: int = 16,
        hidden: int = 2048,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        paper = variant == "paper"
        self.n_times = 1024 if paper else 512
        self.net: nn.Module = (
            _EncoderDecoder(width, n_heads, hidden, dropout)
            if paper
            else _PatchEncoder(self.n_times // patch, patch, width, n_heads, depth, dropout)
        )

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Cleaned windows (batch, n_chans, n_times).

        Raises
        ------
        SignalError
            Without positions: nothing can be laid anywhere.
        """
        if positions is None:
            raise SignalError(
                "art lays channels onto a cap, and these have no positions. Name the channels by "
                "the 10-20 system, or use atat, which does without."
            )
        known = np.ascontiguousarray(positions.detach().cpu().numpy(), dtype=np.float64)
        layout, group, place = _arrange(known.tobytes())
        weights = torch.from_numpy(layout).to(x)  #           (n_passes, 30, n_chans)
        placed = torch.einsum("gsc,bct->bgst", weights, x)
        artifact: Tensor = self.net(placed.flatten(0, 1)).view(placed.shape)
        return x - artifact[:, group, place]


class _PatchEncoder(nn.Module):
    def __init__(
        self, n_tokens: int, patch: int, width: int, n_heads: int, depth: int, dropout: float
    ) -> None:
        super().__init__()
        n_places = len(PLACES)
        self.embed = nn.Conv1d(n_places, width, patch, patch)
        self.when = nn.Parameter(0.02 * torch.randn(n_tokens, width))
        self.layers = nn.Sequential(
            *(
                TransformerLayer(width, n_heads=n_heads, expansion=2, dropout=dropout)
                for _ in range(depth)
            )
        )
        self.norm = nn.LayerNorm(width)
        self.artifact = nn.ConvTranspose1d(width, n_places, patch, patch)
        nn.init.zeros_(self.artifact.weight)
        nn.init.zeros_(self.artifact.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).transpose(1, 2) + self.when
        artifact: Tensor = self.artifact(self.norm(self.layers(tokens)).transpose(1, 2))
        return artifact


class _EncoderDecoder(nn.Module):
    def __init__(self, width: int, n_heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        n_places = len(PLACES)
        self.width = width
        self.embed_noisy = nn.Linear(n_places, width)
        self.embed_output = nn.Linear(n_places, width)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                width, n_heads, hidden, dropout, batch_first=True, norm_first=True
            ),
            2,
            nn.LayerNorm(width),
            enable_nested_tensor=False,
        )
        self.decoder = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(
                width, n_heads, hidden, dropout, batch_first=True, norm_first=True
            ),
            2,
            nn.LayerNorm(width),
        )
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)
        self.artifact = nn.Linear(width, n_places)
        nn.init.zeros_(self.artifact.weight)
        nn.init.zeros_(self.artifact.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)  #                                (batch, n_times, 30)
        when = _sinusoids(x.shape[1], self.width).to(x)
        memory = self.encoder(self.embed_noisy(x) * math.sqrt(self.width) + when)
        tokens = self.decoder(self.embed_output(x) * math.sqrt(self.width) + when, memory)
        artifact: Tensor = self.artifact(tokens).transpose(1, 2)
        return artifact


def _sinusoids(n_times: int, width: int) -> Tensor:
    """Position code of "Attention is all you need" (2017), section 3.5, (n_times, width)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angles = torch.arange(n_times).unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


@lru_cache(maxsize=64)
def _arrange(positions: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return arrange(np.frombuffer(positions).reshape(-1, 3))


def arrange(directions: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How channels are laid onto the thirty places.

    Parameters
    ----------
    directions
        Of the electrodes, unit vectors (n_chans, 3).

    Returns
    -------
    layout
        (n_passes, 30, n_chans): the signal at each place as a mixture of channels.
    passes, places
        Which pass and which place holds each channel, (n_chans,).
    """
    goal = on_sphere(np.array(list(PLACES.values())))
    n_chans = len(directions)
    passes, places = np.full(n_chans, -1), np.full(n_chans, -1)
    filled = spline_matrix(directions, goal) if n_chans > 1 else np.ones((len(goal), 1))
    layouts: list[np.ndarray] = []
    left = np.arange(n_chans)
    while len(left):
        rows, columns = linear_sum_assignment(1 - directions[left] @ goal.T)
        chosen = left[rows]
        layout = filled.copy()
        layout[columns] = np.eye(n_chans)[chosen]
        passes[chosen], places[chosen] = len(layouts), columns
        layouts.append(layout)
        left = np.setdiff1d(left, chosen)
    return np.stack(layouts), passes, places
