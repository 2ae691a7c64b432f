"""Everything that a decoder was evaluated with, causal, as it is needed to go live."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurodecode.alignment import ALIGNERS
from neurodecode.alignment.align import AlignState, align_start
from neurodecode.artifacts import StreamingCleaner
from neurodecode.artifacts.apply import LiveCleaning
from neurodecode.online.engine import Alignment, Engine, Repair
from neurodecode.online.evidence import ACCUMULATORS
from neurodecode.online.policy import Policy
from neurodecode.online.score import Scorer
from neurodecode.preprocess.bad_channels import repair_matrix
from neurodecode.preprocess.stream import CausalStream


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LivePipeline:
    """A fitted decoder with its causal steps.

    Attributes
    ----------
    ch_names
        Channels of the windows, in order.
    classes
        Names, in the order of the probabilities.
    sfreq, n_times
        Of windows: Hz, samples.
    offset
        Where windows begin after cues, s.
    scorer
        The decoder.
    notch, band, reference
        See `neurodecode.preprocess.chain.preprocess`.
    bad_channels
        With "interpolate" and known `positions`, a few bad channels are filled in from the others;
        otherwise decisions are withheld while one is bad.
    reject
        Largest peak-to-peak amplitude in a window, microvolts.
    cleaner
        Fitted; None for none.
    drift
        Whether drift is kept from the cleaner; see `neurodecode.artifacts.apply.LiveCleaning`.
    align
        "none", or "NAME:causal".
    start
        What the alignment knows of the person: a calibration, or nothing.
    settled
        Whether the alignment stays what a calibration made it.
    gain
        What aligned windows are multiplied by.
    positions
        Of the channels, (n_chans, 3), m; NaN where unknown.
    """

    ch_names: tuple[str, ...]
    classes: tuple[str, ...]
    sfreq: float
    n_times: int
    scorer: Scorer
    offset: float = 0.0
    notch: float | None = None
    band: tuple[float | None, float | None] | None = None
    reference: Literal["none", "average"] | Sequence[str] = "none"
    bad_channels: str = "stop"
    reject: float | None = None
    cleaner: StreamingCleaner | None = None
    drift: bool = True
    align: str = "none"
    start: AlignState = field(default_factory=align_start)
    settled: bool = False
    gain: float = 1.0
    positions: NDArray[np.float64] | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Channels that a stream must have, in the order of what is pushed."""
        told = () if self.cleaner is None else self.cleaner.ch_names_  # type: ignore[attr-defined]
        return (*self.ch_names, *(name for name in told if name not in self.ch_names))

    def engine(
        self,
        sfreq: float,
        *,
        hop: float = 0.1,
        policy: Policy | None = None,
        cued: bool = False,
        adapt: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        max_age: float = 1.0,
        max_ahead: float = math.inf,
        max_gap: float | None = None,
    ) -> Engine:
        """An engine for a stream.

        Parameters
        ----------
        sfreq
            Rate of the stream, Hz: that of the windows or a whole multiple.
        hop
            Time between decisions, s.
        policy
            From probabilities to commands; by default each window decides for itself.
        cued
            Whether to decide on windows that cues begin, and on no others.
        adapt
            Time over which alignment and a bias of the classes follow the person, s; by default
            alignment does what it did when the decoder was evaluated, and there is no bias.
        clock, max_age, max_ahead, max_gap
            See `Engine`.

        Raises
        ------
        SignalError
            If the rate does not suit.
        """
        inputs = self.inputs
        between = None
        if self.cleaner is not None:
            between = LiveCleaning(
                self.cleaner, inputs, self.ch_names, sfreq=sfreq, drift=self.drift
            )
        stream = CausalStream(
            inputs,
            self.ch_names,
            sfreq=sfreq,
            notch=self.notch,
            band=self.band,
            reference=self.reference,
            out_sfreq=self.sfreq,
            between=between,
        )
        alignment = None
        if self.align != "none":
            alignment = Alignment(
                aligner=ALIGNERS.get(self.align.partition(":")[0])(),
                start=self.start,
                memory=math.inf if adapt is None else adapt * self.sfreq / self.n_times,
                frozen=self.settled and adapt is None,
            )
        return Engine(
            stream,
            self.scorer,
            policy or Policy(accumulator=ACCUMULATORS.get("none")(), refractory=0.0),
            classes=self.classes,
            sfreq=self.sfreq,
            n_times=self.n_times,
            hop=hop,
            alignment=alignment,
            gain=self.gain,
            reject=self.reject,
            repair=self._repair(),
            cue_offset=self.offset if cued else None,
            adapt=adapt,
            clock=clock,
            max_age=max_age,
            max_ahead=max_ahead,
            max_gap=max_gap,
        )

    def _repair(self) -> Repair | None:
        """How bad channels are filled in; None where they cannot be."""
        places = self.positions
        known = places is not None and bool(np.isfinite(places).all())
        # A cleaner mixes channels, so that a bad one is in all of them before it could be mended.
        if self.bad_channels != "interpolate" or not known or self.cleaner is not None:
            return None
        assert places is not None, "they are known"

        @lru_cache(maxsize=64)
        def repair(rows: tuple[int, ...]) -> NDArray[np.float64]:
            return repair_matrix(self.ch_names, places, rows)

        return repair
