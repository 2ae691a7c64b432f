r"""Latency: one event in a frame, and the larger the value, the earlier it comes.

With :math:`m = |x| / \mathit{full}` in :math:`[0, 1]` and :math:`k` steps in a frame, the event
comes in step :math:`k - \mathrm{round}(m k)`, counted from 0; values below half a level make none.

Reference: "Spike-based strategies for rapid processing", Neural Networks 2001,
doi:10.1016/S0893-6080(01)00083-1. Differences: when an event comes is what counts, not in which
order features come, and it is linear in the value, which is then known alike at all sizes.
"""

import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.encoders import ENCODERS
from neurodecode.nn.spiking.encoders.frames import FrameEncoder


@ENCODERS.add("latency")
class Latency(FrameEncoder):
    """Latency code: at most one event in a frame for each sample; larger is earlier.

    The gradient is straight through, and does not move events: it is that of the decoder's weights.

    Parameters
    ----------
    n_features
        Size of the last axis.
    dt
        Length of a sample, seconds.
    n_steps
        Steps of a frame, for each sample: as many levels as steps, and silence.
    full
        Value that comes at once, in units of the signal; larger ones do too.
    """

    def __init__(self, n_features: int, *, dt: float, n_steps: int = 8, full: float = 3.0) -> None:
        if n_steps < 1:
            raise ConfigError(f"n_steps={n_steps} leaves no time for an event. Give 1 or more.")
        weights = torch.arange(n_steps, 0, -1) / n_steps
        super().__init__(n_features, dt=dt, weights=weights, full=full)

    def frames(self, size: Tensor) -> Tensor:
        """1 in the step of the event, (n_times, n_steps, ...)."""
        level = (size * self.steps_per_sample).round()
        worth = torch.arange(self.steps_per_sample, 0, -1, device=size.device, dtype=size.dtype)
        return (level.unsqueeze(1) == worth.view(-1, *(1,) * (size.ndim - 1))).to(size.dtype)
