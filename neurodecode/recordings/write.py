"""A recording to a file: FIF or EDF, with annotations, bad channels, date and subject."""

import warnings
from pathlib import Path

from mne.io import BaseRaw

from neurodecode.core.errors import ConfigError
from neurodecode.recordings.edf import check_edf, write_edf

SUFFIXES = (".fif", ".fif.gz", ".edf")


def suffix_of(path: Path) -> str:
    """Which of `SUFFIXES` a file name ends in.

    Raises
    ------
    ConfigError
        If it is none of them.
    """
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return suffix
    raise ConfigError(
        f"{path} cannot be written: recordings are written as {', '.join(SUFFIXES)}. Change the "
        f"end of its name."
    )


def check_writable(raw: BaseRaw, path: Path) -> None:
    """Refuse a recording that the format of `path` cannot hold, before anything is computed.

    Raises
    ------
    ConfigError
        If the format is not written here, or a channel's name does not fit into it.
    """
    if suffix_of(path) == ".edf":
        check_edf(raw, path)


def write_raw(raw: BaseRaw, path: Path) -> list[str]:
    """Write a recording, and say what the format could not keep.

    FIF keeps everything, samples as float32: an electrode with an offset of 0.1 V is kept to
    0.01 uV. What EDF keeps is said at `neurodecode.recordings.edf.write_edf`.

    Parameters
    ----------
    raw
        Recording, loaded, V.
    path
        Ends in one of `SUFFIXES`. A file that is there is replaced. FIF beyond 2 GB is written
        as several files, ``NAME.fif``, ``NAME-1.fif`` and so on.

    Returns
    -------
    list of str
        A sentence for each thing that could not be kept, or not exactly.
    """
    if suffix_of(path) == ".edf":
        return write_edf(raw, path)
    with warnings.catch_warnings():
        # MNE would have names end in _raw.fif; it reads any other.
        warnings.filterwarnings("ignore", message=".*does not conform to MNE naming conventions")
        raw.save(path, fmt="single", overwrite=True, verbose="ERROR")
    return []
