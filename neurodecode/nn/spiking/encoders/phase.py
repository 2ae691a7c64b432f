r"""Phase: the binary digits of a value, one in each step of a frame.

An event in step :math:`j` of a frame, counted from 0, is worth :math:`2^{-(j + 1)}` of full scale,
as if an oscillation told what events weigh. Values are rounded to the nearest that digits can tell.

Reference: "Deep neural networks with weighted spikes", Neurocomputing 2018,
doi:10.1016/j.neucom.2018.05.087. Differences: a sign, and any number of steps.
"""

import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.encoders import ENCODERS
from neurodecode.nn.spiking.encoders.frames import FrameEncoder


@ENCODERS.add("phase")
class Phase(FrameEncoder):
    """Phase code: binary digits of each sample, the largest first, one in each step of a frame.

    The gradient is straight through: digits share it by what they are worth.

    Parameters
    ----------
    n_features
        Size of the last axis.
    dt
        Length of a sample, seconds.
    n_steps
        Steps of a frame, for each sample: the digits, 1 to 20.
    full
        Full scale, in units of the signal; it is told as itself less one last digit.
    """

    def __init__(self, n_features: int, *, dt: float, n_steps: int = 4, full: float = 3.0) -> None:
        if not 1 <= n_steps <= 20:
            raise ConfigError(f"n_steps={n_steps} binary digits: give 1 to 20.")
        weights = 0.5 ** torch.arange(1, n_steps + 1)
        super().__init__(n_features, dt=dt, weights=weights, full=full)

    def frames(self, size: Tensor) -> Tensor:
        """Digits, (n_times, n_steps, ...)."""
        n_levels = 2**self.steps_per_sample
        whole = (size * n_levels).round().clamp(max=n_levels - 1)
        digits = [(whole / 2**j).floor() % 2 for j in reversed(range(self.steps_per_sample))]
        return torch.stack(digits, dim=1)
