"""AT-AT: an autoencoder decides where a transformer removes artifact.

Reference: "Autoencoder-targeted adversarial transformers for single-channel EEG", arXiv 2502.05332
(2025). Its layers, losses and threshold are not published; these are ours.
Differences: the transformer sees all channels and where they lie, so that it can tell a blink from
a slow wave by its map; a patch that the autoencoder reproduces is left exactly as it was; the net
predicts the artifact.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.models import DENOISERS
from neurodecode.nn.harmonics import spherical_harmonics
from neurodecode.nn.transformer import TransformerLayer

GATE = 64  # samples of a patch whose agreement is measured: 250 ms


@DENOISERS.add("atat")
class Atat(nn.Module):
    """Convolutional autoencoder, gate, transformer over time and channels; positions optional.

    Parameters
    ----------
    width
        Features of a token.
    depth
        Pairs of a layer over time and a layer over channels.
    n_heads
        Attention heads.
    patch
        Samples of a token, a divisor of 64.
    threshold
        Correlation between a patch and the autoencoder's copy of it below which the transformer
        is applied, in (0, 1].
    dropout
        In the transformer, in [0, 1).
    """

    sfreq = 256.0
    n_times = 512

    def __init__(
        self,
        *,
        width: int = 64,
        depth: int = 3,
        n_heads: int = 4,
        patch: int = 16,
        threshold: float = 0.95,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.patch, self.threshold = patch, threshold
        self.autoencoder = _autoencoder()
        self.embed = nn.Linear(2 * patch, width)
        self.where = nn.Linear(16, width)
        self.nowhere = nn.Parameter(torch.zeros(width))
        self.when = nn.Parameter(0.02 * torch.randn(self.n_times // patch, width))
        layers = [
            TransformerLayer(width, n_heads=n_heads, expansion=e, dropout=dropout)
            for _ in range(depth)
            for e in (1, 2)
        ]
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width)
        self.artifact = nn.Linear(width, patch)
        nn.init.zeros_(self.artifact.weight)
        nn.init.zeros_(self.artifact.bias)

    def critic(self) -> "Critic":
        """A new critic to be trained against."""
        return Critic()

    def copy(self, x: Tensor) -> Tensor:
        """The autoencoder's idea of the clean signal, (batch, n_chans, n_times)."""
        copied: Tensor = self.autoencoder(x.reshape(-1, 1, x.shape[-1])).view(x.shape)
        return copied

    def agreement(self, x: Tensor, copied: Tensor) -> Tensor:
        """Correlation of patches with their copies, (batch, n_chans, n_times / 64)."""
        patches = (*x.shape[:2], -1, GATE)
        x, copied = x.reshape(patches), copied.reshape(patches)
        return functional.cosine_similarity(x, copied, dim=-1, eps=1e-4)

    def gate(self, agreement: Tensor) -> Tensor:
        """How much of the artifact is removed, 0 to 1, (batch, n_chans, n_times).

        While training it is smooth; later it is 0 or 1 in a patch, with a linear fade of one
        patch between them.
        """
        if self.training:
            wanted = torch.sigmoid((self.threshold - agreement) / 0.02)
        else:
            wanted = (agreement < self.threshold).to(agreement.dtype)
        spread = functional.max_pool1d(wanted.flatten(0, 1), 3, 1, 1)  # and its neighbours' edges
        gate = functional.interpolate(
            spread.unsqueeze(1), scale_factor=GATE, mode="linear", align_corners=False
        )
        return gate.view(*agreement.shape[:2], -1)

    def transform(self, x: Tensor, copied: Tensor, positions: Tensor | None) -> Tensor:
        """The artifact as the transformer sees it, (batch, n_chans, n_times)."""
        batch, n_chans, n_times = x.shape
        pairs = torch.stack([x, copied], dim=2).view(batch, n_chans, 2, -1, self.patch)
        tokens = self.embed(pairs.transpose(2, 3).flatten(3))  #  (batch, n_chans, n_tokens, width)
        place = self.nowhere if positions is None else self.where(spherical_harmonics(positions))
        tokens = tokens + self.when + place.reshape(1, -1, 1, place.shape[-1])
        for over_time, over_channels in zip(self.layers[::2], self.layers[1::2], strict=True):
            tokens = over_time(tokens.flatten(0, 1)).view(tokens.shape)
            swapped = tokens.transpose(1, 2)
            tokens = over_channels(swapped.flatten(0, 1)).view(swapped.shape).transpose(1, 2)
        artifact: Tensor = self.artifact(self.norm(tokens)).reshape(batch, n_chans, n_times)
        return artifact

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Cleaned windows (batch, n_chans, n_times)."""
        copied = self.copy(x)
        gate = self.gate(self.agreement(x, copied))
        if self.training:
            return x - gate * self.transform(x, copied.detach(), positions)
        needed = gate.flatten(1).amax(dim=1) > 0
        if not bool(needed.any()):
            return x
        if bool(needed.all()):
            return x - gate * self.transform(x, copied, positions)
        cleaned = x.clone()
        artifact = self.transform(x[needed], copied[needed], positions)
        cleaned[needed] -= gate[needed] * artifact
        return cleaned


def _autoencoder() -> nn.Sequential:
    sizes = (1, 16, 24, 32)
    layers: list[nn.Module] = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Conv1d(n_in, n_out, 9, 2, 4, bias=False), nn.BatchNorm1d(n_out), nn.GELU()]
    for n_in, n_out in zip(sizes[:1:-1], sizes[-2:0:-1], strict=True):
        up = nn.ConvTranspose1d(n_in, n_out, 8, 2, 3, bias=False)
        layers += [up, nn.BatchNorm1d(n_out), nn.GELU()]
    return nn.Sequential(*layers, nn.ConvTranspose1d(16, 1, 8, 2, 3))


class Critic(nn.Module):
    """Tells cleaned signals from clean ones while `Atat` is trained; it is not part of the net.

    Reference: least-squares adversarial training, Mao et al., ICCV 2017, arXiv 1611.04076.
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = (1, 16, 32, 64, 64)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv1d(n_in, n_out, 9, 4, 4), nn.LeakyReLU(0.2))
            for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.score = nn.Linear(sizes[-1], 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Score of each signal (n, n_times): 1 is clean; and the features behind it."""
        x = x.unsqueeze(1)
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return self.score(x.mean(dim=2)).squeeze(1), features
