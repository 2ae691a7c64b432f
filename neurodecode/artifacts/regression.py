"""Eyes by regression: what EOG channels tell of the other channels is subtracted from them.

Reference: "A new method for off-line removal of ocular artifact", Electroencephalography and
Clinical Neurophysiology 1983, doi:10.1016/0013-4694(83)90135-9; coefficients are those of
`mne.preprocessing.EOGRegression`, learned below 7.5 Hz, where the eyes are largest.

Without EOG channels the forehead stands in for them, and there plain regression does harm: the
forehead also records brain, all of which would go, there and elsewhere. So three things differ.
Coefficients are learned from the forehead below 7.5 Hz, in stretches that stand out there, because
that is where the eyes are. How much of the eyes there is at an instant is estimated from all
channels, by the linear estimator of least mean square error (the Wiener filter), with the other
stretches as what is to be kept. And a gate, which opens while that estimate is beyond what it is
without eyes, leaves the rest of the time alone. Slow brain activity on the forehead that is larger
than blinks, as in deep sleep, is taken for eyes.
"""

import logging
from collections.abc import Sequence
from typing import Self

import mne
import numpy as np
from mne.io import BaseRaw
from scipy.ndimage import maximum_filter1d
from scipy.signal import sosfiltfilt
from scipy.special import expit

from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.recording import Array, brain_channels, check_rate, signal_of
from neurodecode.artifacts.stepwise import Stepwise
from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.recordings.montage import tidy_name
from neurodecode.signal.filters import bandpass_sos

logger = logging.getLogger(__name__)

FOREHEAD = (("Fp1", "Fpz", "Fp2"), ("AF7", "AF8"), ("AFz", "AF3", "AF4"))
"""Rows of electrodes, the nearest to the eyes first; one row is used, its mean sees blinks."""
SIDES = (("F9", "F10"), ("AF7", "AF8"), ("F7", "F8"))
"""Pairs whose difference sees looks to the side; the first that is there is used."""
SLOW = 7.5
"""Above it, Hz, the eyes have little power and the brain much."""
OUTLIER = 4.0
"""Robust standard deviations beyond which the forehead stands out."""
SHORTEST = 10.0
"""Signal from which stretches that stand out can be told, s."""
FEWEST = 0.5
"""Of them, s; less is taken for chance, and nothing is removed."""
HOLD = 0.3
"""How long the gate stays open after the eyes have come to rest, s."""
STEEPNESS = 6.0
"""Of the gate: the share that passes is ``1 / (1 + (amplitude / limit) ** -STEEPNESS)``."""


@CLEANERS.add("regression")
class Regression(Stepwise):
    """Eyes by regression on EOG channels, or on the forehead where there are none.

    Parameters
    ----------
    gate
        Without EOG channels: standard deviations of the brain beyond which the estimate of the
        eyes is subtracted. A larger one leaves more as it is; at 0 it always is subtracted.

    Attributes
    ----------
    predictors_
        Channels that tell of the eyes, and how: "VEOG", "Fp1+Fp2", "F7-F8".
    coef_
        What one volt of each does in each channel, (n_chans, n_predictors).
    weights_
        How predictors are estimated from the channels, (n_predictors, n_chans).
    limit_
        Amplitude at which the gate is half open, V, (n_predictors,); 0 where it always is open.
    """

    def __init__(self, *, gate: float = 2.0) -> None:
        self.gate = gate

    def fit(self, raws: Sequence[BaseRaw]) -> Self:
        """Learn how much of the eyes is in each channel.

        Raises
        ------
        SignalError
            If there is neither an EOG channel nor one on the forehead, the signal is shorter than
            10 s, or channels or rates differ.
        ConfigError
            If `gate` is below 0 or not finite.
        """
        if not 0 <= self.gate < np.inf:
            raise ConfigError(
                f"regression gate={self.gate:g} is a number of standard deviations: give one of 0 "
                f"or more. Usual is 2."
            )
        self.sfreq_ = float(raws[0].info["sfreq"])
        brain = brain_channels(raws[0])
        eog = [raws[0].ch_names[i] for i in mne.pick_types(raws[0].info, eog=True, exclude="bads")]
        self.ch_names_ = (*brain, *eog)
        parts = []
        for raw in raws:
            check_rate(raw, self.sfreq_)
            x = signal_of(raw, self.ch_names_, skip_bad=True)
            parts.append(x - x.mean(axis=1, keepdims=True))
        x = np.concatenate(parts, axis=1)
        if x.shape[1] < SHORTEST * self.sfreq_:
            raise SignalError(
                f"Regression was given {x.shape[1] / self.sfreq_:.1f} s of signal to fit to, and "
                f"needs {SHORTEST:g} s to tell the eyes from the brain. Give longer recordings."
            )
        if eog:
            self._fit_eog(self._slow(parts), len(brain))
        else:
            self._fit_forehead(x, parts)
        return self

    def start(self) -> Array:
        """State of a stream that has not begun: log of the amplitude that the gate still holds."""
        return np.full(len(self.weights_), -np.inf)

    def step(self, x: Array, state: Array) -> tuple[Array, Array]:
        """All samples of a chunk (n_chans, n_samples), V, cleaned; and the state."""
        eyes = self.weights_ @ x
        if self.limit_.any() and x.shape[1]:
            gate, state = self._gate(eyes, state)
            eyes *= gate
        return x - self.coef_ @ eyes, state

    def _gate(self, eyes: Array, held: Array) -> tuple[Array, Array]:
        """Share of each sample that passes; and the log of the amplitude that is held."""
        fall = 1 / (HOLD * self.sfreq_)
        age = fall * np.arange(1, eyes.shape[1] + 1)
        # A predictor that tells of nothing has no amplitude, and no limit to divide by.
        limit = np.maximum(self.limit_, 1e-30)[:, None]
        level = np.log(np.maximum(np.abs(eyes), 1e-30) / limit)
        # The level that falls from its highest points is a running maximum, once tilted back.
        tilted = np.concatenate([held[:, None], level + age], axis=1)
        level = np.maximum.accumulate(tilted, axis=1)[:, 1:] - age
        return np.asarray(expit(STEEPNESS * level)), np.asarray(level[:, -1])

    def _slow(self, parts: Sequence[Array]) -> Array:
        """What is below the frequencies at which the brain is seen next to the eyes."""
        sos = bandpass_sos(None, SLOW, sfreq=self.sfreq_, order=2)
        return np.concatenate([sosfiltfilt(sos, part, axis=1) for part in parts], axis=1)

    def _fit_eog(self, x: Array, n_brain: int) -> None:
        n_chans = len(self.ch_names_)
        used: list[int] = []
        for i in range(n_brain, n_chans):  # bipolar channels beside their parts add nothing
            if np.linalg.cond(np.atleast_2d(np.corrcoef(x[[*used, i]]))) < 1e6:
                used.append(i)
        self.predictors_ = tuple(self.ch_names_[i] for i in used)
        self.coef_ = np.zeros((n_chans, len(used)))
        self.coef_[:n_brain] = _coefficients(x[:n_brain], x[used], self.sfreq_)
        self.weights_ = np.eye(n_chans)[used]
        self.limit_ = np.zeros(len(used))

    def _fit_forehead(self, x: Array, parts: Sequence[Array]) -> None:
        self.predictors_, mix = forehead(self.ch_names_)
        slow = self._slow(parts)
        stands_out = _outliers(mix @ slow, self.sfreq_)
        still = np.logical_not(stands_out)
        if stands_out.sum() < FEWEST * self.sfreq_:
            logger.warning("The forehead shows no blinks to learn from: nothing will be removed.")
            self.coef_ = np.zeros((len(x), len(mix)))
            self.weights_, self.limit_ = mix, np.zeros(len(mix))
            return
        coef = _coefficients(slow[:, stands_out], mix @ slow[:, stands_out], self.sfreq_)
        brain = np.cov(x[:, still]).reshape(len(x), len(x))
        # An average reference leaves a direction without variance, which noise must not fill.
        brain += 1e-3 * np.trace(brain) / len(x) * np.eye(len(x))
        gain = coef.T @ np.linalg.inv(brain)
        unbiased = np.linalg.pinv(gain @ coef) @ gain
        present, absent = ((unbiased @ slow[:, m]).var(axis=1) for m in (stands_out, still))
        power = np.diag(np.maximum(present - absent, 0))
        self.coef_ = coef
        self.weights_ = power @ coef.T @ np.linalg.inv(coef @ power @ coef.T + brain)
        self.limit_ = self.gate * (self.weights_ @ x[:, still]).std(axis=1)


def _coefficients(x: Array, predictors: Array, sfreq: float) -> Array:
    """Regression of channels on predictors, (n_chans, n_predictors)."""
    n = len(x)
    names = [str(i) for i in range(n + len(predictors))]
    # Of no type that MNE would ask a reference of: the recording has the one that it has.
    info = mne.create_info(names, sfreq, "bio")
    raw = mne.io.RawArray(np.concatenate([x, predictors]), info, verbose="ERROR")
    model = mne.preprocessing.EOGRegression(picks=names[:n], picks_artifact=names[n:])
    return np.asarray(model.fit(raw).coef_)


def forehead(ch_names: Sequence[str]) -> tuple[tuple[str, ...], Array]:
    """Names of the predictors on the forehead, and what they are made of, (n, n_chans)."""
    place = {tidy_name(name): i for i, name in enumerate(ch_names)}
    row = next((r for sites in FOREHEAD if (r := [s for s in sites if s in place])), None)
    if row is None:
        raise SignalError(
            f"There is no EOG channel and no channel on the forehead (Fp1, Fpz, Fp2, AF7, AF8, "
            f"AFz, AF3, AF4) among {', '.join(ch_names[:8])}..., so nothing tells of the eyes. Set "
            f"the type of a channel near them to eog, or use ica, asr, art or atat."
        )
    pair = next((p for p in SIDES if all(site in place for site in p)), None)
    mix = np.zeros((1 if pair is None else 2, len(ch_names)))
    mix[0, [place[site] for site in row]] = 1 / len(row)
    names = ["+".join(row)]
    if pair is not None:
        mix[1, [place[site] for site in pair]] = 1, -1
        names.append("-".join(pair))
    return tuple(names), mix


def _outliers(x: Array, sfreq: float) -> Array:
    """Whether a sample is in a stretch that stands out in any of some courses, (n_samples,)."""
    deviation = np.abs(x - np.median(x, axis=1, keepdims=True))
    limit = OUTLIER * 1.4826 * np.median(deviation, axis=1, keepdims=True)
    out = (deviation > limit).any(axis=0)
    return np.asarray(maximum_filter1d(out, 2 * round(0.1 * sfreq) + 1))
