"""Cleaners that are trained nets: art, atat, tinyconv.

A net sees windows of 2 s (``art:paper`` of 4 s) at its own rate, scaled by the usual amplitude of
the recordings it was fitted to, and its estimate of the artifact is brought back to the rate and
scale of the recording and subtracted there. What the net does not take for an artifact is therefore
kept to the last bit, at any rate. Windows follow each other on a fixed grid and fade into one
another; each is computed once, when its last sample is there, so live and offline are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from mne.io import BaseRaw
from torch import nn

from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.recording import Array, brain_channels, check_rate, signal_of
from neurodecode.artifacts.stepwise import Stepwise
from neurodecode.artifacts.trained import digest, load_denoiser, shipped
from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.nn.threads import torch_threads
from neurodecode.recordings.montage import electrode_directions
from neurodecode.signal.resampling import resampling_matrix

SHORTEST = 1.0
"""Of a recording that the usual amplitude can be told from, s."""


class Learned(Stepwise):
    """A trained net at work.

    Parameters
    ----------
    name
        Of the denoiser.
    weights
        Path to its weights; by default those that come with the package.
    hop
        Time between windows, s. A shorter one costs more and waits less.
    lookahead
        How much of what follows the net sees beyond what it cleans, s.
    fade
        Time over which one window takes over from the last, s.
    """

    def __init__(
        self, name: str, *, weights: str | None, hop: float, lookahead: float, fade: float
    ) -> None:
        self.name = name
        self.weights = weights
        self.hop = hop
        self.lookahead = lookahead
        self.fade = fade

    def fit(self, raws: Sequence[BaseRaw]) -> Self:
        """Learn the usual amplitude; the net itself learns nothing here.

        Raises
        ------
        SignalError
            If a recording is shorter than 1 s, or channels or rates differ.
        CheckpointError
            If the weights cannot be read.
        """
        self.ch_names_ = tuple(brain_channels(raws[0]))
        self.sfreq_ = float(raws[0].info["sfreq"])
        levels = []
        for raw in raws:
            check_rate(raw, self.sfreq_)
            x = signal_of(raw, self.ch_names_, skip_bad=True)
            levels.append(_levels(x, self.sfreq_))
        # The quietest quarter of the seconds is the brain alone, however much else is there.
        self.scale_ = float(np.quantile(np.concatenate(levels), 0.25))
        self._grid()  # refuses weights that cannot be read, and a hop that does not fit
        self.weights_sha256_ = digest(self._path())
        self.directions_ = self._directions(raws[0])
        return self

    def _directions(self, raw: BaseRaw) -> Array:
        """Where the electrodes are, (n_chans, 3); (0, 3) if that is not known, and not needed."""
        placed = [n for n in self.ch_names_ if electrode_directions(raw.info, [n]) is not None]
        if len(placed) == len(self.ch_names_):
            return np.asarray(electrode_directions(raw.info, self.ch_names_))
        if getattr(_load(self._path()), "needs_positions", False):
            lost = [name for name in self.ch_names_ if name not in placed]
            raise SignalError(
                f"{self.name} needs to know where electrodes are, and {', '.join(lost[:8])} have "
                f"no position. Name them by the 10-20 system, mark them bad, or use atat."
            )
        return np.zeros((0, 3))

    def _path(self) -> Path:
        return shipped(self.name) if self.weights is None else Path(self.weights)

    def _net(self) -> nn.Module:
        net = _load(self._path())
        if digest(self._path()) != self.weights_sha256_:
            raise ConfigError(
                f"The weights in {self._path()} have changed since the fit. Fit again."
            )
        return net

    def _grid(self) -> "_Grid":
        spans = (self.hop, self.lookahead, self.fade)
        if not (np.isfinite(spans).all() and min(spans) >= 0):
            raise ConfigError(
                f"{self.name} with hop={self.hop:g}, lookahead={self.lookahead:g} and "
                f"fade={self.fade:g} cannot be: they are times, in s, of 0 or more."
            )
        net = _load(self._path())
        rate, n_times = float(net.sfreq), int(net.n_times)  # type: ignore[arg-type]
        grid = _Grid(
            n_window=int((n_times - 1) * self.sfreq_ / rate) + 1,
            n_hop=round(self.hop * self.sfreq_),
            n_ahead=round(self.lookahead * self.sfreq_),
            n_fade=round(self.fade * self.sfreq_),
            n_net=n_times,
            rate=rate,
            sfreq=self.sfreq_,
        )
        if grid.n_hop < 1 or grid.n_fade > grid.n_hop or grid.n_reach > grid.n_window:
            raise ConfigError(
                f"hop + fade + lookahead = {self.hop + self.fade + self.lookahead:g} s must fit "
                f"into a window of {n_times / rate:g} s, with hop > 0 and fade <= hop."
            )
        return grid

    @property
    def delay(self) -> float:
        """Longest time between a sample's going in and its coming out cleaned, s."""
        return self._grid().n_reach / self.sfreq_

    def start(self) -> "_State":
        """State of a stream that has not begun."""
        empty = np.zeros((len(self.ch_names_), 0))
        return _State(held=empty, tail=empty, n_gone=0, n_windows=0)

    def step(self, x: Array, state: "_State") -> tuple[Array, "_State"]:
        """The samples that are ready after a chunk (n_chans, n_samples), V; and the state."""
        grid = self._grid()
        held = np.concatenate([state.held, x], axis=1)
        n_in, n_windows, tail = state.n_gone + held.shape[1], state.n_windows, state.tail
        ready = []
        while grid.end(n_windows) <= n_in:
            y, tail = self._window(held, state.n_gone, n_windows, tail, grid)
            ready.append(y)
            n_windows += 1
        keep = max(state.n_gone, min(n_windows * grid.n_hop, grid.begin(n_windows)))
        out = np.concatenate([held[:, :0], *ready], axis=1)
        return out, _State(
            held=held[:, keep - state.n_gone :].copy(), tail=tail, n_gone=keep, n_windows=n_windows
        )

    def finish(self, state: "_State") -> Array:
        """What was still waiting when the stream ended, (n_chans, n_left), V.

        Raises
        ------
        SignalError
            If the whole stream was shorter than 1 s.
        """
        grid, tail = self._grid(), state.tail
        n_in = state.n_gone + state.held.shape[1]
        n_left = n_in - state.n_windows * grid.n_hop
        if n_in < SHORTEST * self.sfreq_:
            raise SignalError(
                f"The recording is {n_in / self.sfreq_:.2f} s long, and {self.name} needs "
                f"{SHORTEST:g} s. Clean a longer one."
            )
        if not n_left:
            return state.held[:, :0]
        last = -(-n_in // grid.n_hop)  # windows in all
        missing = grid.end(last) - n_in
        held = np.pad(state.held, ((0, 0), (0, missing)), mode="symmetric")
        ready = []
        for i in range(state.n_windows, last):
            y, tail = self._window(held, state.n_gone, i, tail, grid)
            ready.append(y)
        return np.concatenate(ready, axis=1)[:, :n_left]

    def _window(
        self, held: Array, n_gone: int, i: int, tail: Array, grid: "_Grid"
    ) -> tuple[Array, Array]:
        """Cleaned samples of the i-th hop, and the artifact of the fade after it.

        Parameters
        ----------
        held
            Samples from the stream's sample `n_gone` on, V.
        n_gone
            Samples that are no longer held.
        i
            Number of the window.
        tail
            Artifact that the last window saw where this one takes over, V.
        grid
            Sizes.
        """
        begin, end = grid.begin(i), grid.end(i)
        x = held[:, max(0, begin - n_gone) : end - n_gone]
        if begin < 0:  # before the stream began it is taken to be mirrored
            x = np.pad(x, ((0, 0), (-begin, 0)), mode="symmetric")
        into, back = _matrices(grid)
        windows = torch.from_numpy(np.asarray(x / self.scale_, np.float32))
        directions = torch.from_numpy(self.directions_.astype(np.float32))
        # A window is small, and on a busy machine two threads wait for each other: a minute of 30
        # channels took 18 s instead of 3.4.
        with torch.inference_mode(), torch_threads(1):
            scaled = windows @ into.T
            cleaned = self._net()(scaled[None], directions if len(directions) else None)[0]
            artifact = ((scaled - cleaned) @ back.T).numpy() * self.scale_
        first = grid.n_window - grid.n_reach
        artifact = artifact[:, first : first + grid.n_hop + grid.n_fade].astype(np.float64)
        if tail.shape[1]:
            rise = (np.arange(grid.n_fade) + 0.5) / grid.n_fade
            artifact[:, : grid.n_fade] = rise * artifact[:, : grid.n_fade] + (1 - rise) * tail
        now = held[:, i * grid.n_hop - n_gone :][:, : grid.n_hop]
        return now - artifact[:, : grid.n_hop], artifact[:, grid.n_hop :]


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    held: Array  # samples that are still needed, V
    tail: Array  # artifact that the last window saw beyond its hop, V
    n_gone: int  # samples before `held`
    n_windows: int  # done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Sizes in samples of the recording; window i cleans hop i."""

    n_window: int
    n_hop: int
    n_ahead: int
    n_fade: int
    n_net: int
    rate: float
    sfreq: float

    @property
    def n_reach(self) -> int:
        """From the first sample that a window cleans to its end."""
        return self.n_hop + self.n_fade + self.n_ahead

    def begin(self, i: int) -> int:
        """First sample of window i; negative at the beginning of a stream."""
        return self.end(i) - self.n_window

    def end(self, i: int) -> int:
        """Sample after window i."""
        return i * self.n_hop + self.n_reach


@lru_cache(maxsize=8)
def _load(path: Path) -> nn.Module:
    return load_denoiser(path)[0]


@lru_cache(maxsize=16)
def _matrices(grid: _Grid) -> tuple[torch.Tensor, torch.Tensor]:
    """To the net's samples and back."""
    into = resampling_matrix(grid.n_window, grid.sfreq, grid.n_net, grid.rate)
    back = resampling_matrix(grid.n_net, grid.rate, grid.n_window, grid.sfreq)
    return torch.from_numpy(into.astype(np.float32)), torch.from_numpy(back.astype(np.float32))


def _levels(x: Array, sfreq: float) -> Array:
    """Rms over channels of each second, V."""
    n = round(SHORTEST * sfreq)
    if x.shape[1] < n:
        raise SignalError(
            f"The recording has {x.shape[1] / sfreq:.2f} s that are not annotated as bad; it takes "
            f"{SHORTEST:g} s to tell its usual amplitude. Clean a longer one."
        )
    seconds = x[:, : x.shape[1] // n * n].reshape(len(x), -1, n)
    return np.asarray(np.sqrt(np.mean(np.square(seconds), axis=(0, 2))))


@CLEANERS.add("art")
def art(
    *,
    variant: Literal["patch", "paper"] = "patch",
    weights: str | None = None,
    hop: float = 1.0,
    lookahead: float = 0.25,
    fade: float = 0.125,
) -> Learned:
    """Artifact removal transformer over time; channels laid onto thirty places by position.

    Parameters
    ----------
    variant
        "patch", or "paper", for which no weights come with the package.
    weights, hop, lookahead, fade
        See `Learned`.
    """
    name = "art" if variant == "patch" else "art:paper"
    return Learned(name, weights=weights, hop=hop, lookahead=lookahead, fade=fade)


@CLEANERS.add("atat")
def atat(
    *,
    weights: str | None = None,
    hop: float = 1.0,
    lookahead: float = 0.25,
    fade: float = 0.125,
) -> Learned:
    """Transformer over time and channels where an autoencoder finds artifact; else untouched.

    Parameters
    ----------
    weights, hop, lookahead, fade
        See `Learned`.
    """
    return Learned("atat", weights=weights, hop=hop, lookahead=lookahead, fade=fade)


@CLEANERS.add("tinyconv")
def tinyconv(
    *,
    weights: str | None = None,
    hop: float = 1.0,
    lookahead: float = 0.25,
    fade: float = 0.125,
) -> Learned:
    """Five thousand parameters, one channel at a time: the floor for large nets.

    Parameters
    ----------
    weights, hop, lookahead, fade
        See `Learned`.
    """
    return Learned("tinyconv", weights=weights, hop=hop, lookahead=lookahead, fade=fade)
