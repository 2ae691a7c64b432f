r"""Rate: the share of a frame's steps with an event is the value.

Evenly, by default: the value is added up in each step and an event takes full scale off, so events
are spread out, a frame of :math:`k` steps is off by less than one event, and what is left over goes
on to the next frame. At random: each step has an event with probability
:math:`|x| / \mathit{full}`, and a frame is off by :math:`\sqrt{p (1 - p) / k}` of full scale.
"""

import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.encoders import ENCODERS
from neurodecode.nn.spiking.encoders.carry import carry
from neurodecode.nn.spiking.encoders.frames import FrameEncoder, in_frames
from neurodecode.nn.spiking.stateful import State


@ENCODERS.add("rate")
class Rate(FrameEncoder):
    """Rate code: as many events in a frame as the sample is large, spread evenly or at random.

    The gradient is straight through: each step shares it alike.

    Parameters
    ----------
    n_features
        Size of the last axis.
    dt
        Length of a sample, seconds.
    n_steps
        Steps of a frame, for each sample.
    full
        Value with an event in every step, in units of the signal; larger ones have that too.
    random
        Draw events. The generator is the state, and a fresh one begins with `seed`: without a state
        handed on, the same draws come every time. They are made on the CPU, alike for all devices.
    seed
        Of the draws.
    """

    def __init__(
        self,
        n_features: int,
        *,
        dt: float,
        n_steps: int = 8,
        full: float = 3.0,
        random: bool = False,
        seed: int = 0,
    ) -> None:
        if n_steps < 1:
            raise ConfigError(f"n_steps={n_steps} leaves no time for an event. Give 1 or more.")
        weights = torch.full((n_steps,), 1 / n_steps)
        super().__init__(n_features, dt=dt, weights=weights, full=full)
        self.random, self.seed = random, seed

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Events; remembers what was left over, in full scales, or the generator."""
        share = (x / self.full).clamp(-1, 1)
        steps = share.detach().repeat_interleave(self.steps_per_sample, dim=0)
        if self.random:
            counts, state = self._drawn(steps, state)
        else:
            counts, state = carry(steps, state, torch.ones_like(self.weights[:1]))
        return self.events(in_frames(counts, self.steps_per_sample), share), state

    def _drawn(self, steps: Tensor, state: State) -> tuple[Tensor, State]:
        generator = torch.Generator()
        if state is None:
            generator.manual_seed(self.seed)
        else:
            generator.set_state(state)
        draws = torch.rand(steps.shape, generator=generator).to(steps.device)
        return (draws < steps.abs()) * steps.sign(), generator.get_state()
