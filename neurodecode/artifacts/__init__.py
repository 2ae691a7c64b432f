"""Artifact removal: one cleaner per file, all with `fit` and `transform`, some with `step`.

A cleaner is a scikit-learn estimator of recordings. It is fitted to recordings that may be used
for training, never to labels, and what it learned (numbers, texts and arrays in attributes whose
names end in an underscore) goes into a checkpoint like that of a decoder. `apply` puts a cleaner to
work on a recording as it was made.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, runtime_checkable

from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.core.registry import Registry


class Cleaner(Protocol):
    """Removes artifacts from recordings.

    Recordings are MNE Raws in volts, loaded, without an electrode's offset or slow drift (high-pass
    at 0.5 Hz or above). The channels that are cleaned are those of the brain (EEG, sEEG, ECoG, DBS)
    that are not marked bad; every other channel stays as it is. No window and no sample is
    dropped, and the recording that was given is never changed.
    """

    def fit(self, raws: Sequence[BaseRaw]) -> Self:
        """Learn from recordings; stretches annotated as bad are passed over.

        Raises
        ------
        SignalError
            If the recordings cannot give what is needed.
        """
        ...

    def transform(self, raw: BaseRaw) -> BaseRaw:
        """A cleaned copy of a recording with the channels and the rate of those fitted to.

        Raises
        ------
        SignalError
            If channels or rate differ, or a value is not finite.
        """
        ...


@runtime_checkable
class StreamingCleaner(Cleaner, Protocol):
    """A cleaner that works chunk by chunk; `transform` is one long step and a `finish`."""

    @property
    def delay(self) -> float:
        """Longest time between a sample's going in and its coming out cleaned, s."""
        ...

    def start(self) -> Any:
        """State of a stream that has not begun."""
        ...

    def step(self, x: NDArray[Any], state: Any) -> tuple[NDArray[Any], Any]:
        """The samples that are ready after a chunk.

        Parameters
        ----------
        x
            Next samples of all channels that were fitted, in that order, (n_chans, n_samples), V;
            any number of samples.
        state
            What `start` or the last step returned. It is not changed.

        Returns
        -------
        y
            (n_chans, n_ready), V; it follows the y of the last step without a gap.
        state
            For the next step.
        """
        ...

    def finish(self, state: Any) -> NDArray[Any]:
        """What was still waiting when the stream ended, (n_chans, n_left), V."""
        ...


CLEANERS: Registry[Callable[..., Cleaner]] = Registry("cleaner", package=__name__)
