"""Causal preprocessing as a step: notch, what removes artifacts, band, rate, reference.

The order and the mathematics are those of `neurodecode.preprocess.chain` with ``filter="causal"``;
here they take a recording chunk by chunk, and the chunks give what the whole would.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, SignalError, UnknownName
from neurodecode.signal.filters import (
    bandpass_sos,
    filter_start,
    filter_step,
    group_delay,
    notch_sos,
)

Array = NDArray[np.float64]

SETTLED = 0.01
"""Part of the energy of an impulse that may still be to come when a filter counts as settled."""


class Step(Protocol):
    """What stands between the notch and the band, such as a cleaner."""

    def start(self) -> Any:
        """State of a stream that has not begun."""
        ...

    def step(self, x: Array, state: Any) -> tuple[Array, Any]:
        """Samples that are ready after a chunk (n_chans, n_samples), V, in order; and the state."""
        ...


class StreamState(NamedTuple):
    """What is remembered between chunks; None where a filter has not seen its first sample."""

    notch: Array | None
    between: Any
    band: Array | None
    skip: int  # samples to pass over before the next one that is kept


class CausalStream:
    """Preprocessing of a stream of channels, chunk by chunk.

    Parameters
    ----------
    ch_names
        Channels that come in, in order.
    keep
        Those that go out, in order; the others serve `between` only.
    sfreq
        Rate of what comes in, Hz.
    notch, band, reference
        See `neurodecode.preprocess.chain.preprocess`.
    out_sfreq
        Rate of what goes out, Hz.
    between
        Applied to all channels after the notch; it may hold samples back.

    Raises
    ------
    SignalError
        If the rates do not divide, or the band cannot be had.
    UnknownName
        For a reference channel that does not go out.
    """

    def __init__(
        self,
        ch_names: Sequence[str],
        keep: Sequence[str],
        *,
        sfreq: float,
        notch: float | None = None,
        band: tuple[float | None, float | None] | None = None,
        reference: Literal["none", "average"] | Sequence[str] = "none",
        out_sfreq: float | None = None,
        between: Step | None = None,
    ) -> None:
        self.ch_names, self.sfreq, self.between = tuple(ch_names), sfreq, between
        self.keep = [self.ch_names.index(name) for name in keep]
        self.factor = thinning(sfreq, out_sfreq or sfreq, band)
        self.notch = None if notch is None else notch_sos(notch, sfreq=sfreq)
        self.band = None if band is None else bandpass_sos(*band, sfreq=sfreq)
        # Of a low-pass or high-pass filter there is no middle.
        edges = [edge for edge in band or () if edge is not None]
        self.middle = math.sqrt(edges[0] * edges[1]) if len(edges) == 2 else None
        self.reference: slice | list[int] | None = None
        if reference == "average":
            self.reference = slice(None)
        elif reference != "none":
            for name in reference:
                if name not in keep:
                    raise UnknownName("reference channel of this stream", name, keep)
            self.reference = [list(keep).index(name) for name in reference]

    @property
    def settling(self) -> float:
        """Time after its first sample from which on the output can be trusted, s."""
        return settling(self.band, self.sfreq)

    @property
    def delay(self) -> float:
        """By how much a rhythm in the middle of the band is late behind the band's filter, s."""
        if self.band is None or self.middle is None:
            return 0.0
        return group_delay(self.band, self.middle, sfreq=self.sfreq)

    def start(self) -> StreamState:
        """State of a stream that has not begun."""
        between = None if self.between is None else self.between.start()
        return StreamState(None, between, None, 0)

    def step(self, x: Array, state: StreamState) -> tuple[Array, StreamState]:
        """The samples that are ready after a chunk.

        Parameters
        ----------
        x
            Next samples, (n_chans, n_samples), V, finite.
        state
            What `start` or the last step returned.

        Returns
        -------
        y
            (n_kept, n_ready), V, at the outgoing rate.
        state
            For the next step.
        """
        notch, between, band, skip = state
        x, notch = _filter(x, notch, self.notch)
        if self.between is not None:
            x, between = self.between.step(x, between)
        x = x[self.keep] if len(self.keep) != len(x) or self.keep != list(range(len(x))) else x
        x, band = _filter(x, band, self.band)
        if self.factor > 1:
            n = x.shape[1]
            x = x[:, skip :: self.factor]
            skip = (skip - n) % self.factor
        return self.referenced(x), StreamState(notch, between, band, skip)

    def referenced(self, x: Array) -> Array:
        """Channels that go out, (n_kept, n_samples), less their reference."""
        if self.reference is None:
            return x
        return np.asarray(x - x[self.reference].mean(axis=0))


def _filter(x: Array, state: Array | None, sos: Array | None) -> tuple[Array, Array | None]:
    if sos is None or not x.shape[1]:
        return x, state
    return filter_step(x, filter_start(sos, x[:, 0]) if state is None else state, sos)


def thinning(sfreq: float, out_sfreq: float, band: tuple[float | None, float | None] | None) -> int:
    """Every how manieth sample is kept to come from one rate to another.

    Raises
    ------
    SignalError
        If that is no whole number, or nothing protects from aliasing.
    """
    factor = sfreq / out_sfreq
    if factor < 1 or abs(factor - round(factor)) > 1e-6 * factor:
        raise SignalError(
            f"The decoder takes {out_sfreq:g} Hz and the stream has {sfreq:g} Hz, which is no "
            f"whole multiple of it. Set the amplifier to {out_sfreq:g} Hz or a multiple, or fit "
            f"with --set preprocess.resample at a rate that divides {sfreq:g} Hz."
        )
    high = band[1] if band else None
    if round(factor) > 1 and (high is None or high >= out_sfreq / 2):
        raise SignalError(
            f"Going from {sfreq:g} to {out_sfreq:g} Hz needs a band that ends below "
            f"{out_sfreq / 2:g} Hz, and the decoder's is {band}. Set the amplifier to "
            f"{out_sfreq:g} Hz, or fit with another preprocess.band."
        )
    return round(factor)


def settling(sos: Array | None, sfreq: float) -> float:
    """Time in which all but a hundredth of the energy of an impulse has come out, s."""
    if sos is None:
        return 0.0
    n = round(20 * sfreq)
    impulse = np.zeros((1, n))
    impulse[0, 0] = 1.0
    y, _ = filter_step(impulse, np.zeros((len(sos), 1, 2)), sos)
    energy = np.cumsum(y[0, ::-1] ** 2)[::-1]
    if not np.isfinite(energy[0]) or energy[0] <= 0:
        raise ConfigError("This band-pass filter cannot be computed. Choose a wider band.")
    return float(np.argmax(energy <= SETTLED * energy[0]) / sfreq)
