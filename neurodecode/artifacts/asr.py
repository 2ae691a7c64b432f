"""Artifact subspace reconstruction: directions that grow too large are rebuilt from the others.

Reference: Mullen et al., "Real-time neuroimaging and cognitive monitoring using wearable dry EEG",
IEEE TBME 2015, doi:10.1109/TBME.2015.2481482, as in EEGLAB's clean_rawdata; how to choose the
cutoff: Chang et al., IEEE TBME 2020, doi:10.1109/TBME.2019.2930186. The cutoff is EEGLAB's: in
standard deviations of the amplitude (rms in windows of 0.5 s) of calm signal along each of its
principal directions, after a filter that weighs blinks and muscles more.
Differences: directions in which the calm signal has no variance are left alone, one direction at
least is always kept, and the points in time at which directions are judged count from the first
sample of the stream, however it is cut into chunks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from mne.io import BaseRaw
from numpy.lib.stride_tricks import sliding_window_view

from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.asr_calibration import calibrate, calm_samples, weighting
from neurodecode.artifacts.recording import Array, brain_channels, check_rate, signal_of
from neurodecode.artifacts.stepwise import Stepwise
from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.signal.filters import filter_step

SHORTEST = 5.0
"""Of calm signal that amplitudes can be told from, s."""
LONGEST = 1200.0
"""Of calm signal that is used, s: more takes memory and tells nothing new."""
WINDOWS = (0.05, 60.0)
"""Shortest and longest window that amplitudes are judged over, s."""
BATCH = 64  # judgements computed at once


class _Grid(NamedTuple):
    """Lengths in samples."""

    n_window: int
    n_ahead: int
    n_hop: int


@dataclass(frozen=True, slots=True)
class _State:
    held: Array  # (n_chans, n): samples that were not given out, and one before
    first: int  # where in the stream they begin
    n_done: int  # samples up to the last judgement
    filter: Array
    recent: Array  # (rank, n_window): weighted samples before the last judgement
    removal: Array  # (rank, rank): what the last judgement takes out


@CLEANERS.add("asr")
class Asr(Stepwise):
    """Artifact subspace reconstruction: rebuilds directions that are larger than in calm signal.

    Parameters
    ----------
    cutoff
        Amplitude above which a direction is an artifact, in standard deviations above the mean of
        calm signal, EEGLAB's convention. 20 to 30 keeps the brain (Chang et al.); 5 does not.
    window
        Time over which amplitudes are judged, s; at least 1.5 samples per channel are taken.
    lookahead
        How much of it lies after the sample that is cleaned, s; by default half the window.
    hop
        Time from one judgement to the next, s: 32 samples at 250 Hz.
    max_dims
        Share of directions that may be rebuilt at once, in (0, 1].
    """

    def __init__(
        self,
        *,
        cutoff: float = 20.0,
        window: float = 0.5,
        lookahead: float | None = None,
        hop: float = 0.128,
        max_dims: float = 0.66,
    ) -> None:
        self.cutoff = cutoff
        self.window = window
        self.lookahead = lookahead
        self.hop = hop
        self.max_dims = max_dims

    def fit(self, raws: Sequence[BaseRaw]) -> Self:
        """Learn from the calm stretches of recordings.

        Raises
        ------
        SignalError
            If less than 5 s are calm, fewer than two channels differ, channels or rates differ
            between recordings, a channel is flat or not finite, or the rate is below 40 Hz.
        ConfigError
            If an option cannot be.
        """
        self._check()
        names = brain_channels(raws[0])
        for raw in raws[1:]:
            good = brain_channels(raw)
            names = [name for name in names if name in good]
        self.ch_names_ = tuple(names)
        self.sfreq_ = float(raws[0].info["sfreq"])
        self.sos_ = weighting(self.sfreq_)
        calm = np.concatenate([self._calm(raw, LONGEST / len(raws)) for raw in raws], axis=1)
        if calm.shape[1] < SHORTEST * self.sfreq_:
            raise SignalError(
                f"ASR learns from at least {SHORTEST:g} s of calm signal, and "
                f"{calm.shape[1] / self.sfreq_:.1f} s were found. Give a longer recording."
            )
        found = calibrate(calm, self.sos_, sfreq=self.sfreq_, window=self.window)
        self.basis_ = found.basis
        self.spread_ = found.spread
        self.thresholds_ = found.means + self.cutoff * found.deviations
        return self

    def _check(self) -> None:
        ahead = self.window / 2 if self.lookahead is None else self.lookahead
        if not (self.cutoff > 0 and 0 < self.hop <= self.window and 0 <= ahead <= self.window):
            raise ConfigError(
                f"asr with cutoff={self.cutoff:g}, hop={self.hop:g}, lookahead={ahead:g} and "
                f"window={self.window:g} cannot be: cutoff > 0, 0 < hop <= window and "
                f"0 <= lookahead <= window are needed."
            )
        if not WINDOWS[0] <= self.window <= WINDOWS[1]:
            raise ConfigError(
                f"asr window={self.window:g} is not between {WINDOWS[0]:g} and {WINDOWS[1]:g} s. "
                f"Usual is 0.5."
            )
        if not 0 < self.max_dims <= 1:
            raise ConfigError(f"asr max_dims={self.max_dims:g} is a share: give one in (0, 1].")

    def _calm(self, raw: BaseRaw, most: float) -> Array:
        """Calm samples of a recording; of more than `most` s, pieces from all over it."""
        check_rate(raw, self.sfreq_)
        x = signal_of(raw, self.ch_names_, skip_bad=True)
        if x.shape[1] >= SHORTEST * self.sfreq_:  # else too short to tell what is usual in it
            x = x[:, calm_samples(x, self.sfreq_)]
        n_piece = round(SHORTEST * self.sfreq_)
        n_pieces, n_most = x.shape[1] // n_piece, max(1, int(most / SHORTEST))
        if n_pieces <= n_most:
            return x
        starts = n_piece * np.linspace(0, n_pieces - 1, n_most).astype(int)
        return np.concatenate([x[:, start : start + n_piece] for start in starts], axis=1)

    def _grid(self) -> _Grid:
        n_window = max(_rounded(self.window * self.sfreq_), int(np.ceil(1.5 * len(self.basis_))))
        window = max(self.window, 1.5 * len(self.basis_) / self.sfreq_)
        ahead = window / 2 if self.lookahead is None else self.lookahead
        n_hop = max(1, _rounded(self.hop * self.sfreq_))
        return _Grid(n_window=n_window, n_ahead=_rounded(ahead * self.sfreq_), n_hop=n_hop)

    @property
    def delay(self) -> float:
        """Longest time between a sample's going in and its coming out cleaned, s."""
        grid = self._grid()
        return (grid.n_ahead + grid.n_hop - 1) / self.sfreq_

    def start(self) -> _State:
        """State of a stream that has not begun."""
        n_chans, rank = self.basis_.shape
        return _State(
            held=np.zeros((n_chans, 0)),
            first=0,
            n_done=0,
            filter=np.zeros((len(self.sos_), rank, 2)),
            recent=np.zeros((rank, self._grid().n_window)),
            removal=np.zeros((rank, rank)),
        )

    def step(self, x: Array, state: _State) -> tuple[Array, _State]:
        """The samples that are ready after a chunk (n_chans, n_samples), V; and the state."""
        n_hop = self._grid().n_hop
        held = np.concatenate([state.held, x], axis=1)
        n_in = state.first + held.shape[1]
        ends = np.arange(state.n_done + n_hop, n_in + 1, n_hop)
        return self._through(replace(state, held=held), ends)

    def finish(self, state: _State) -> Array:
        """What was still waiting when the stream ended, (n_chans, n_left), V."""
        grid = self._grid()
        n_in = state.first + state.held.shape[1]
        if n_in == max(state.n_done - grid.n_ahead, 0):
            return state.held[:, :0].copy()
        # What would follow is taken to be the signal turned about its last sample; turned over and
        # over, a stream shorter than the lookahead would run away, so zeros follow.
        n_turned = min(grid.n_ahead, state.held.shape[1] - 1)
        after = ((0, 0), (0, n_turned))
        held = np.pad(state.held, after, mode="reflect", reflect_type="odd")
        held = np.pad(held, ((0, 0), (0, grid.n_ahead - n_turned)))
        n_last = n_in + grid.n_ahead
        ends = np.append(np.arange(state.n_done + grid.n_hop, n_last, grid.n_hop), n_last)
        return self._through(replace(state, held=held), ends)[0]

    def _through(self, state: _State, ends: Array) -> tuple[Array, _State]:
        """Signal up to the lookahead before the last of `ends`, where judgements are made."""
        ready = [state.held[:, :0]]
        for i in range(0, len(ends), BATCH):
            y, state = self._batch(state, ends[i : i + BATCH])
            ready.append(y)
        return np.concatenate(ready, axis=1), replace(state, held=state.held.copy())

    def _batch(self, state: _State, ends: Array) -> tuple[Array, _State]:
        n_window, n_ahead, _ = self._grid()
        last = int(ends[-1])
        new = state.held[:, state.n_done - state.first : last - state.first]
        weighted, filter_state = filter_step(self.basis_.T @ new, state.filter, self.sos_)
        weighted = np.concatenate([state.recent, weighted], axis=1)
        windows = sliding_window_view(weighted, n_window, axis=1)
        windows = windows[:, ends - state.n_done].swapaxes(0, 1)  # (n_ends, rank, n_window)
        removals = self._removals(windows @ windows.swapaxes(1, 2) / n_window)

        begin = max(state.n_done - n_ahead, 0)  # of what is given out
        y = state.held[:, begin - state.first : max(last - n_ahead, 0) - state.first].copy()
        before, removal = state.n_done, state.removal
        for end, following in zip(ends.tolist(), removals, strict=True):
            if removal.any() or following.any():
                blend = (1 - np.cos(np.pi * np.arange(1, end - before + 1) / (end - before))) / 2
                early = max(0, n_ahead - before)  # before the stream's first sample
                at = slice(before + early - n_ahead - begin, max(end - n_ahead - begin, 0))
                part, blend = self.basis_.T @ y[:, at], blend[early:]
                taken = (1 - blend) * (removal @ part) + blend * (following @ part)
                y[:, at] -= self.basis_ @ taken
            before, removal = end, following
        first = max(last - n_ahead - 1, 0)
        return y, _State(
            held=state.held[:, first - state.first :],
            first=first,
            n_done=last,
            filter=filter_state,
            recent=weighted[:, weighted.shape[1] - n_window :].copy(),
            removal=removal.copy(),
        )

    def _removals(self, covs: Array) -> Array:
        """What to take out (n, rank, rank), from covariances along the directions."""
        n, rank, _ = covs.shape
        removals = np.zeros_like(covs)
        # No direction whatever is over its threshold where the largest eigenvalue of the scaled
        # matrix is below 1, and it is below the norm: most calm windows need no eigenvectors.
        scaled = covs / np.outer(self.thresholds_, self.thresholds_)
        doubt = np.flatnonzero(np.linalg.norm(scaled, axis=(1, 2)) >= 1)
        squared = scaled[doubt] @ scaled[doubt]
        doubt = doubt[np.linalg.norm(squared, axis=(1, 2)) >= 1]
        if not len(doubt):
            return removals
        values, vectors = np.linalg.eigh(covs[doubt])
        limits = (self.thresholds_**2) @ vectors**2
        n_most = min(_rounded(self.max_dims * rank) + 1, rank - 1)
        bad = (values >= limits) & (np.arange(rank) >= rank - n_most)
        doubt, vectors, bad = doubt[bad.any(axis=1)], vectors[bad.any(axis=1)], bad[bad.any(axis=1)]
        # With B the bad directions and S the calm covariance, the reconstruction
        # M pinv(keep V'M) V' of the paper is I - B (B' inv(S) B)^-1 B' inv(S).
        bases = vectors * bad[:, None, :]
        scaled_bases = (bases / self.spread_[:, None] ** 2).swapaxes(1, 2)
        gram = scaled_bases @ bases + np.where(bad, 0.0, 1.0)[:, :, None] * np.eye(rank)
        removals[doubt] = bases @ np.linalg.solve(gram, scaled_bases)
        return removals


def _rounded(x: float) -> int:
    return int(np.floor(x + 0.5))  # halves go up, as in the reference
