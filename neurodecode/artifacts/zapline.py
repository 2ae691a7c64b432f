"""Line noise by ZapLine: spatial filters find it, and only its directions are filtered in time.

Reference: "ZapLine: A simple and effective method to remove power line artifacts", NeuroImage 2020,
doi:10.1016/j.neuroimage.2019.116356. The spatial filters and their number are found by mne-denoise
(BSD, kept by the people of MNE; it brings no other package along, and meegkit, the alternative,
brings statsmodels). They are then frozen, and applied here, so that live and offline are the same:

    y = x - P F (x - h * x) / (1 - H(line))

with F the filters, P their patterns, and h an average over one period of the line, which has the
frequency response H. The divisor makes up for a period that is no whole number of samples.
"""

import logging
import warnings
from collections.abc import Sequence
from typing import Self

import numpy as np
from mne.io import BaseRaw
from scipy.signal import welch

from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.extra import extra
from neurodecode.artifacts.recording import Array, brain_channels, check_rate, signal_of
from neurodecode.artifacts.stepwise import Stepwise
from neurodecode.core.errors import ConfigError, SignalError

logger = logging.getLogger(__name__)

LINES = (50.0, 60.0)
"""Hz, of the world's power lines."""
PEAK = 3.0
"""Power of a line over that beside it, from which it is one."""
SHORTEST = 10.0
"""Signal that a line can be found in, s."""


@CLEANERS.add("zapline")
class ZapLine(Stepwise):
    """Line noise by ZapLine, with frozen spatial filters.

    Parameters
    ----------
    line
        Frequency of the power line, Hz; by default 50 or 60, whichever stands out of the spectrum,
        and nothing is removed where neither does.
    n_remove
        How many directions are filtered; by default as many as stand out.

    Attributes
    ----------
    line_
        Frequency, Hz; 0 if none was found.
    filters_
        (n_remove, n_chans).
    patterns_
        (n_chans, n_remove).
    kernel_
        Average over one period, (n_taps,), odd.
    """

    def __init__(self, *, line: float | None = None, n_remove: int | None = None) -> None:
        self.line = line
        self.n_remove = n_remove

    def fit(self, raws: Sequence[BaseRaw]) -> Self:
        """Find the line, and the directions that it comes from.

        Raises
        ------
        SignalError
            If there are fewer than 3 channels or 10 s, the line is at or above half the sampling
            rate, or channels or rates differ.
        ConfigError
            If mne-denoise is not installed, the line is below 1 Hz, or `n_remove` below 1.
        """
        if (self.n_remove is not None and self.n_remove < 1) or (
            self.line is not None and self.line < 1
        ):
            raise ConfigError(
                f"zapline with line={self.line} Hz and n_remove={self.n_remove} cannot be: both "
                f"are 1 or more. Leave them out to have them found."
            )
        module = extra("mne_denoise.zapline", "zapline")
        self.ch_names_ = tuple(brain_channels(raws[0]))
        self.sfreq_ = float(raws[0].info["sfreq"])
        for raw in raws:
            check_rate(raw, self.sfreq_)
        x = np.concatenate([signal_of(r, self.ch_names_, skip_bad=True) for r in raws], axis=1)
        if len(x) < 3 or x.shape[1] < SHORTEST * self.sfreq_:
            raise SignalError(
                f"ZapLine was given {len(x)} channels and {x.shape[1] / self.sfreq_:.1f} s, and "
                f"needs 3 and {SHORTEST:g} s. Take a notch filter (preprocess.notch)."
            )
        if self.line is not None and not 0 < self.line < self.sfreq_ / 2:
            raise SignalError(
                f"zapline.line = {self.line:g} Hz is not below {self.sfreq_ / 2:g} Hz, half the "
                f"sampling rate. Leave zapline out, or keep a higher sampling rate."
            )
        self.line_ = float(self.line if self.line is not None else _find_line(x, self.sfreq_))
        self.filters_, self.patterns_ = np.zeros((0, len(x))), np.zeros((len(x), 0))
        self.kernel_ = np.ones(1)
        if self.line_:
            self._find_directions(module, x)
        else:
            logger.warning("Neither 50 nor 60 Hz stands out: no line noise will be removed.")
        return self

    @property
    def delay(self) -> float:
        """Half a period of the line, s."""
        return len(self.kernel_) // 2 / self.sfreq_

    def start(self) -> Array:
        """State of a stream that has not begun: no samples."""
        return np.zeros((len(self.ch_names_), 0))

    def step(self, x: Array, state: Array) -> tuple[Array, Array]:
        """The samples that are ready after a chunk (n_chans, n_samples), V; and the state."""
        half = len(self.kernel_) // 2
        if not state.shape[1]:  # before the first sample, the signal is taken to have been there
            state = np.repeat(x[:, :1], half, axis=1)
        held = np.concatenate([state, x], axis=1)
        n_ready = max(0, held.shape[1] - 2 * half)
        return self._clean(held)[:, :n_ready], held[:, n_ready:].copy()

    def finish(self, state: Array) -> Array:
        """What was still waiting when the stream ended, (n_chans, n_left), V."""
        half = len(self.kernel_) // 2
        return self.step(np.repeat(state[:, -1:], half, axis=1), state)[0]

    def _clean(self, held: Array) -> Array:
        """Cleaned samples but the first and last half period, (n_chans, n_samples)."""
        half = len(self.kernel_) // 2
        middle = held[:, half : held.shape[1] - half]
        if not middle.shape[1]:
            return middle
        sources = self.filters_ @ held
        n = middle.shape[1]
        smooth = sum(tap * sources[:, i : i + n] for i, tap in enumerate(self.kernel_))
        noise = sources[:, half : half + n] - smooth
        return np.asarray(middle - self.patterns_ @ noise)

    def _find_directions(self, module: object, x: Array) -> None:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            # In microvolts: its thresholds were made for numbers of that size.
            model = module.ZapLine(  # type: ignore[attr-defined]
                self.sfreq_,
                self.line_,
                n_select="auto" if self.n_remove is None else self.n_remove,
                nfft=min(1024, x.shape[1]),
                verbose="ERROR",
            ).fit(1e6 * (x - x.mean(axis=1, keepdims=True)))
        if any("remains" in str(warning.message) for warning in said):
            logger.warning("Some of the line at %g Hz will remain.", self.line_)
        self.filters_ = np.asarray(model.filters_, dtype=np.float64)
        self.patterns_ = np.asarray(model.patterns_, dtype=np.float64)
        self.kernel_ = _one_period(self.sfreq_ / self.line_)
        half = len(self.kernel_) // 2
        turns = np.cos(2 * np.pi * self.line_ / self.sfreq_ * np.arange(-half, half + 1))
        self.patterns_ /= 1 - self.kernel_ @ turns


def _one_period(n: float) -> Array:
    """Average over `n` samples, not always a whole number, about the one in the middle."""
    half = int(np.ceil((n - 1) / 2))
    kernel = np.ones(2 * half + 1)
    kernel[[0, -1]] = (n - (2 * half - 1)) / 2
    return kernel / n


def _find_line(x: Array, sfreq: float) -> float:
    """Frequency of the line that stands out most, Hz; 0 if none does."""
    freqs, power = welch(x, sfreq, nperseg=min(x.shape[1], round(4 * sfreq)), axis=1)
    heights = {0.0: PEAK}
    for line in LINES:
        away = np.abs(freqs - line)
        if line + 1 < sfreq / 2:
            beside = np.median(power[:, (away > 1.5) & (away < 5)], axis=1)
            heights[line] = float(np.median(power[:, away <= 0.5].max(axis=1) / beside))
    return max(heights, key=lambda line: heights[line])
