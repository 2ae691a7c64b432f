"""Cleaners that remember: `transform` is one long `step` and a `finish`."""

from typing import Any

import numpy as np
from mne.io import BaseRaw
from sklearn.base import BaseEstimator

from neurodecode.artifacts.recording import Array, check_rate, put_back, signal_of


class Stepwise(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Base of the cleaners of which live and offline cleaning are the same code.

    `fit` sets ``ch_names_`` (a tuple of the channels that are cleaned) and ``sfreq_`` (Hz).
    """

    ch_names_: tuple[str, ...]
    sfreq_: float

    @property
    def delay(self) -> float:
        """Longest time between a sample's going in and its coming out cleaned, s."""
        return 0.0

    def start(self) -> Any:
        """State of a stream that has not begun."""
        return None

    def step(self, x: Array, state: Any) -> tuple[Array, Any]:
        """The samples that are ready after a chunk (n_chans, n_samples), V; and the state."""
        raise NotImplementedError

    def finish(self, state: Any) -> Array:
        """What was still waiting when the stream ended, (n_chans, n_left), V."""
        return np.zeros((len(self.ch_names_), 0))

    def transform(self, raw: BaseRaw) -> BaseRaw:
        """A cleaned copy of a recording.

        Raises
        ------
        SignalError
            If channels or rate are not those fitted to, or a value is not finite.
        """
        check_rate(raw, self.sfreq_)
        x = signal_of(raw, self.ch_names_)
        y, state = self.step(x, self.start())
        return put_back(raw, self.ch_names_, np.concatenate([y, self.finish(state)], axis=1))
