"""Tiny convolutional denoiser: the floor that large nets must beat.

References: "Denoising EEG with a thousand parameters" is the finding of arXiv 2606.08594, that the
quality of convolutional denoisers of one channel saturates at 3 to 6.5 thousand parameters.
Differences: dilated convolutions instead of a U-Net; the net predicts the artifact, and an
untrained one changes nothing.
"""

from torch import Tensor, nn

from neurodecode.models import DENOISERS


@DENOISERS.add("tinyconv")
class TinyConv(nn.Module):
    """Five dilated convolutions, the same for every channel; about five thousand parameters.

    Parameters
    ----------
    n_maps
        Feature maps.
    kernel
        Taps of the inner convolutions.
    """

    sfreq = 256.0
    n_times = 512

    def __init__(self, *, n_maps: int = 12, kernel: int = 9) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv1d(1, n_maps, 31, padding="same"), nn.GELU()]
        for dilation in (2, 6, 18):
            conv = nn.Conv1d(n_maps, n_maps, kernel, padding="same", dilation=dilation)
            layers += [conv, nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.artifact = nn.Conv1d(n_maps, 1, 31, padding="same")
        nn.init.zeros_(self.artifact.weight)
        nn.init.zeros_(self.artifact.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Cleaned windows (batch, n_chans, n_times); positions are not used."""
        single = x.reshape(-1, 1, x.shape[-1])
        cleaned: Tensor = single - self.artifact(self.layers(single))
        return cleaned.view(x.shape)
