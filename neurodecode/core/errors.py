"""Every error this package raises on purpose.

NeurodecodeError
├── ConfigError          a pipeline file, a card or an option is wrong: edit it
│   └── UnknownName      no such model, dataset, option, ...: lists the nearest
├── RecordingError       a file or folder cannot be read, or does not hold what was asked for
├── SignalError          the recording cannot give what was asked of it
├── FitError             a model cannot be fitted to these windows
├── CheckpointError      the weights do not fit the model, or the file is not a checkpoint
└── StoreError           results cannot be written or read; what is finished stays

A message says what was asked, why it cannot be, and what to do next, on one line. The command
line prints it and exits with status 2; any other exception is a bug of ours.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Self

MANY = 80
"""More names than this are not all printed; the nearest are."""


class NeurodecodeError(Exception):
    """A mistake that the reader of the message can mend."""


class ConfigError(NeurodecodeError):
    """A pipeline file, a dataset card or an option is wrong."""


class UnknownName(ConfigError):
    """A name that nothing goes by.

    Parameters
    ----------
    kind
        What was looked for, in the singular: "model", "dataset".
    name
        The name as it was given.
    known
        Every name that would have done.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known, key=_natural)
        near = _nearest(name, names, n=1, cutoff=0.5)
        guess = f" Did you mean '{near[0]}'?" if near else ""
        listing = f"Known: {', '.join(names) or 'none'}"
        if len(names) > MANY:
            listing = f"Nearest of {len(names)}: {', '.join(_nearest(name, names, n=8, cutoff=0))}"
        self.asked = (kind, name, names)
        super().__init__(f"No {kind} is called '{name}'.{guess} {listing}.")

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, list[str]]]:
        return type(self), self.asked  # worker processes send errors home


def _natural(name: str) -> list[tuple[str, int]]:
    """Sorting key that puts "2" before "10"."""
    return [(word, int(number or 0)) for word, number in re.findall(r"(\D*)(\d*)", name)]


def _nearest(name: str, names: Sequence[str], *, n: int, cutoff: float) -> list[str]:
    lower = {known.lower(): known for known in reversed(names)}
    return [lower[near] for near in difflib.get_close_matches(name.lower(), lower, n, cutoff)]


class RecordingError(NeurodecodeError):
    """A file or folder cannot be read, or does not hold what was asked for."""


class SignalError(NeurodecodeError):
    """The recording cannot give what was asked of it."""


class FitError(NeurodecodeError):
    """A model cannot be fitted to these windows."""


class CheckpointError(NeurodecodeError):
    """The weights do not fit the model, or the file is not a checkpoint."""


class StoreError(NeurodecodeError):
    """Results cannot be written or read; what is finished stays."""
