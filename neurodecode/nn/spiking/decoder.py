"""What all spiking decoders do: windows to steps to logits, whole or part by part."""

from abc import abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.core.spec import TaskSpec
from neurodecode.nn.spiking.encoders import Encoder
from neurodecode.nn.spiking.stateful import State
from neurodecode.nn.spiking.timebase import Mode, TimeBase


class SpikingDecoder(nn.Module):
    """A decoder that gives logits at every step; those of a window are their mean.

    `forward` and `steps` take whole windows. `step` takes the parts of a window one after the
    other and gives the same logits, with a memory in the caller's hands, so that a decision can be
    made before the window is over.

    Parameters
    ----------
    spec
        What the data fixes.
    mode, n_steps
        How the window is laid on steps; see `TimeBase`.
    hop
        Samples that belong together.
    """

    def __init__(self, spec: TaskSpec, mode: Mode, n_steps: int, *, hop: int = 1) -> None:
        super().__init__()
        self.spec, self.hop = spec, hop
        self.time = TimeBase.of(spec, mode, n_steps, hop=hop)

    @abstractmethod
    def advance(self, x: Tensor, lengths: list[int], state: State) -> tuple[Tensor, State]:
        """Logits of successive parts.

        Parameters
        ----------
        x
            The parts in one piece, (batch, n_chans, sum of lengths).
        lengths
            Samples of each.
        state
            What came before; None at the beginning of a window.

        Returns
        -------
        logits
            (n_steps, batch, n_outputs); each step's own.
        state
            For the part that follows.
        """

    def steps(self, x: Tensor) -> Tensor:
        """Logits of each step, (n_steps, batch, n_outputs): of (batch, n_chans, n_times)."""
        return self.advance(x, self.time.lengths, None)[0]

    def step(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Logits of the next part of a window, (batch, n_outputs), and the memory.

        Parameters
        ----------
        x
            The samples of that part, (batch, n_chans, n_samples), see ``time.parts``.
        state
            None at the beginning of a window.

        Raises
        ------
        ConfigError
            With "repeat", where a window has no parts.
        """
        if self.time.mode == "repeat":
            raise ConfigError(
                "A net that sees the whole window at every step cannot take it in parts. Fit it "
                "with time='window' or 'stream'."
            )
        logits, state = self.advance(x, [x.shape[2]], state)
        return logits[0], state

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, n_outputs)."""
        return self.steps(x).mean(dim=0)

    def set_steps(self, n_steps: int) -> None:
        """Lay windows on another number of steps; the weights stay, and so do times in ms.

        Raises
        ------
        NeurodecodeError
            If the window cannot be cut like that.
        """
        self.time = TimeBase.of(self.spec, self.time.mode, n_steps, hop=self.hop)
        encoders = [part for part in self.modules() if isinstance(part, Encoder)]
        of_samples = {part for encoder in encoders for part in encoder.modules()}
        for part in self.modules():
            samples = part in of_samples or getattr(part, "counts_samples", False)
            set_dt: Callable[[float], None] | None = getattr(part, "set_dt", None)
            if set_dt is not None and not samples:
                set_dt(self.time.dt)
