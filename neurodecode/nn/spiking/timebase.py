"""How EEG is laid on the steps of spiking neurons.

=========  ================================================================  ==================
base       what a step is                                                    an early exit saves
=========  ================================================================  ==================
`repeat`   the whole window again: steps buy precision, time is space        computation
`window`   a part of the window: neurons remember from one to the next       recording time
`stream`   one hop of the signal: neurons see time as the electrodes do      recording time
=========  ================================================================  ==================

Time constants are in milliseconds everywhere; a step knows how long it is.
"""

import math
from dataclasses import dataclass
from typing import Literal, Self, get_args

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.spec import TaskSpec

Mode = Literal["repeat", "window", "stream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBase:
    """Steps of a window of EEG.

    Attributes
    ----------
    mode
        What a step is.
    edges
        First sample of each part of the window, and one past the last sample; parts follow one
        another. With "repeat" there is one part.
    n_steps
        Steps: as many as parts, or with "repeat" how often the one part is given.
    dt
        Length of a step, seconds. With "repeat" no time passes in the signal, and a step counts as
        a millisecond.
    """

    mode: Mode
    edges: tuple[int, ...]
    n_steps: int
    dt: float

    @classmethod
    def of(cls, spec: TaskSpec, mode: Mode, n_steps: int, *, hop: int = 1) -> Self:
        """The steps of a window.

        Parameters
        ----------
        spec
            Facts of the window.
        mode
            What a step is.
        n_steps
            How many; "stream" has one for each hop, whatever this says.
        hop
            Samples that belong together: parts begin at multiples of it.

        Raises
        ------
        ConfigError
            For another mode, or no step.
        SignalError
            If the window has fewer hops than steps.
        """
        if mode not in get_args(Mode):
            raise ConfigError(f"time='{mode}' is not one of {', '.join(get_args(Mode))}.")
        if n_steps < 1:
            raise ConfigError(f"n_steps={n_steps} leaves nothing to compute. Give 1 or more.")
        if mode == "repeat":
            return cls(mode=mode, edges=(0, spec.n_times), n_steps=n_steps, dt=1e-3)
        n_hops = math.ceil(spec.n_times / hop)
        n = n_hops if mode == "stream" else n_steps
        if n > n_hops:
            raise SignalError(
                f"n_steps={n_steps} parts of {hop} samples or more do not fit into a window of "
                f"{spec.n_times} samples. Give fewer steps, or cut longer windows."
            )
        edges = tuple(min(n_hops * i // n * hop, spec.n_times) for i in range(n + 1))
        return cls(mode=mode, edges=edges, n_steps=n, dt=spec.duration / n)

    @property
    def n_repeats(self) -> int:
        """How often the window is given; 0 where it is cut into parts."""
        return self.n_steps if self.mode == "repeat" else 0

    @property
    def lengths(self) -> list[int]:
        """Samples of each part of the window, in order."""
        return [part.stop - part.start for part in self.parts]

    @property
    def parts(self) -> list[slice]:
        """Samples of each part of the window, in order."""
        return [slice(a, b) for a, b in zip(self.edges, self.edges[1:], strict=False)]


def decay_of(tau: float, dt: float) -> float:
    """What is left of a membrane after `dt` seconds, with a time constant of `tau` ms."""
    return math.exp(-dt / (tau * 1e-3)) if tau > 0 else 0.0
