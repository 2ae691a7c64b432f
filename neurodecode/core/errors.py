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
from collections.abc import Iterable
from typing import Self


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
        names = sorted(known)
        near = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
        hint = next((n for n in names if near and n.lower() == near[0]), None)
        guess = f" Did you mean '{hint}'?" if hint else ""
        self.asked = (kind, name, names)
        super().__init__(
            f"No {kind} is called '{name}'.{guess} Known: {', '.join(names) or 'none'}."
        )

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, list[str]]]:
        return type(self), self.asked  # worker processes send errors home


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
