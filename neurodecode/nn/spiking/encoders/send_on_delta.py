r"""Send-on-delta: an event each time the signal has moved a threshold away from a reference.

.. math::
    k_t = \mathrm{trunc}((x_t - r_{t-1}) / \theta), \qquad r_t = r_{t-1} + \theta k_t

The reference remembers what was sent, so slow rhythms get through: it follows the signal within a
threshold, and a receiver has it too, by adding up events. An encoder that compares each sample
with the one before and forgets (snnTorch's `delta`) loses whatever is slow.

Reference: "Send-on-delta concept: an event-based data reporting strategy", Sensors 2006,
doi:10.3390/s6010049. Differences: several events in a sample, as a count, where it moved by several
thresholds, so that it never falls behind (`limit` for at most so many); the reference begins at 0,
the mean of a standardised signal, so that nothing but events has to be sent.
"""

import torch
from torch import Tensor

from neurodecode.nn.spiking.encoders import ENCODERS, on_off, signed
from neurodecode.nn.spiking.encoders.carry import carry
from neurodecode.nn.spiking.encoders.thresholds import Thresholded
from neurodecode.nn.spiking.stateful import State


@ENCODERS.add("send_on_delta")
class SendOnDelta(Thresholded):
    """Send-on-delta: events where the signal leaves a reference, which follows it.

    The gradient is straight through: as if each event were the change of the signal in thresholds.

    Parameters
    ----------
    n_features
        Size of the last axis.
    dt
        Length of a sample, seconds.
    theta
        Move that makes an event, in units of the signal: one, or one for each feature; see
        `neurodecode.nn.spiking.encoders.thresholds`.
    limit
        Most events of a feature in a sample; the rest follows in later ones. By default as many as
        it takes, and the signal is known within a threshold at all times.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        theta: float | tuple[float, ...] = 0.5,
        limit: int | None = None,
    ) -> None:
        super().__init__(n_features, dt=dt, theta=theta, limit=limit)

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Events; remembers the last sample and how far it was from the reference.

        The distance from the reference is a running sum of changes less what was sent, so this is
        sigma-delta of the changes.
        """
        before, rest = (torch.zeros_like(x[0]), None) if state is None else state
        change = torch.diff(x, dim=0, prepend=before.unsqueeze(0))
        counts, rest = carry(change, rest, self.theta, limit=self.limit)
        return on_off(counts, change / self.theta), (x[-1].detach(), rest)

    def decode(self, events: Tensor, state: State = None) -> tuple[Tensor, State]:
        """The reference, within a threshold of the signal; remembers the events added up."""
        total = signed(events).cumsum(0)  # whole numbers: exact up to 2^24
        if state is not None:
            total = total + state
        last = total[-1].detach() if len(total) else state
        return total * self.theta, last
