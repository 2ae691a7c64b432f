"""TaskSpec: the facts that a decoder is built from."""

from dataclasses import dataclass

from neurodecode.core.errors import SignalError


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """Facts a model is built from. They are measured on data, never written in a config.

    Attributes
    ----------
    ch_names
        Channel names in array order, 10-05 spelling ("Cz", "FCz").
    n_times
        Samples per window.
    sfreq
        Sampling rate, Hz.
    n_outputs
        Number of classes.
    positions
        Of the channels, m, in head coordinates; NaN where one is unknown. None where all are, or
        where recordings of several montages are one set.
    """

    ch_names: tuple[str, ...]
    n_times: int
    sfreq: float
    n_outputs: int
    positions: tuple[tuple[float, float, float], ...] | None = None

    def __post_init__(self) -> None:
        if len(set(self.ch_names)) != len(self.ch_names):
            raise SignalError(f"Channel names repeat: {', '.join(self.ch_names)}.")
        if not self.ch_names or self.n_times < 1 or self.sfreq <= 0:
            raise SignalError(
                f"A window needs channels, samples and a sampling rate; got {self.n_chans} "
                f"channels, {self.n_times} samples, {self.sfreq} Hz."
            )
        if self.positions is not None and len(self.positions) != self.n_chans:
            raise SignalError(f"{len(self.positions)} positions for {self.n_chans} channels.")

    @property
    def n_chans(self) -> int:
        """Number of channels."""
        return len(self.ch_names)

    @property
    def duration(self) -> float:
        """Window length, seconds."""
        return self.n_times / self.sfreq

    def samples(self, seconds: float) -> int:
        """Samples in a duration, at least one."""
        return max(1, round(seconds * self.sfreq))
