"""EEGdenoiseNet's arrays as a bank of single channels.

Reference: Zhang et al., "EEGdenoiseNet: a benchmark dataset for deep learning solutions of EEG
denoising", J. Neural Eng. 18:056057, 2021. Its arrays hold segments of 2 s of one channel, in
microvolts: 4514 of EEG, 3400 of EOG and 5598 of EMG, 512 samples each at 256 Hz; EEG and EMG come
at 512 Hz too, with 1024 samples.

Nobody published whose the segments are, and neighbours may be the same instant in other channels.
A split of single segments would put such twins on both sides. So each array is cut into blocks of
neighbours, blocks are split as if they were people, and segments at the borders between blocks are
left out. It is a split of BLOCKS, NOT PEOPLE: a person whose segments fill several blocks may still
be on both sides, and scores may be too good for a new person. The clean segments are themselves
what ICA and a labeller of components took for brain.
"""

import os
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from scipy.signal import resample_poly

from neurodecode.artifacts.bank import Bank, Signal, Source
from neurodecode.core.errors import RecordingError

KINDS = {"brains": "EEG", "eyes": "EOG", "muscles": "EMG"}
SFREQ = 256.0
N_TIMES = 512
USUAL = (0.1, 1e4)
"""Typical amplitudes that a segment can have, uV rms."""


def denoisenet_bank(folder: Path, *, n_blocks: int = 30, gap: int = 4) -> Bank:
    """The three arrays of a folder, one source per block.

    Parameters
    ----------
    folder
        Holds ``EEG_all_epochs.npy``, ``EOG_all_epochs.npy`` and ``EMG_all_epochs.npy``, or those
        that end in ``_512hz.npy``, which are brought to 256 Hz.
    n_blocks
        Blocks that each array is cut into; they stand for people.
    gap
        Segments left out on either side of a border between blocks.

    Raises
    ------
    RecordingError
        If a file is missing, holds no such array, or values are not microvolts.
    """
    files = {kind: _file(folder, word) for kind, word in KINDS.items()}
    parts = {kind: _blocks(path, n_blocks=n_blocks, gap=gap) for kind, path in files.items()}
    return Bank(**parts, sfreq=SFREQ)  # type: ignore[arg-type]


def _file(folder: Path, word: str) -> Path:
    for name in (f"{word}_all_epochs.npy", f"{word}_all_epochs_512hz.npy"):
        if (folder / name).is_file():
            return folder / name
    names = ", ".join(f"{w}_all_epochs.npy" for w in KINDS.values())
    raise RecordingError(
        f"{folder} has no {word}_all_epochs.npy. EEGdenoiseNet is three files in one folder: "
        f"{names} (or those that end in _512hz.npy). Check bank.folder."
    )


def _blocks(path: Path, *, n_blocks: int, gap: int) -> list[Source]:
    """Sources of single channels, one per block."""
    segments = read_segments(path)
    edges = np.linspace(0, len(segments), n_blocks + 1).astype(int)
    word = path.name.split("_")[0]
    found = []
    for i, (first, stop) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        inner = slice(first + (gap if i else 0), stop - (gap if i < n_blocks - 1 else 0))
        block = segments[inner]
        if not len(block):
            raise RecordingError(
                f"{path.name} has {len(segments)} segments, too few for {n_blocks} blocks with "
                f"{gap} left out at each border. Take fewer blocks."
            )
        name = f"{word}-block-{i}"
        found.append(Source(subject=name, courses=block.reshape(1, -1), segment=N_TIMES))
    return found


def read_segments(path: Path) -> Signal:
    """Segments of one array at 256 Hz, (n_segments, 512), uV.

    Raises
    ------
    RecordingError
        If the file is no array of numbers of that shape, or values are not microvolts.
    """
    try:
        with path.open("rb") as file:
            x = npy.read_array(file, allow_pickle=False)
    except (OSError, ValueError) as error:  # arrays of Python objects end here too
        reason = " ".join(str(error).split())
        raise RecordingError(
            f"{path} is not an array of numbers ({reason}). Fetch it again from EEGdenoiseNet."
        ) from None
    if x.ndim != 2 or x.shape[1] not in (N_TIMES, 2 * N_TIMES) or x.dtype.kind not in "fi":
        raise RecordingError(
            f"{path} holds {x.dtype} of shape {x.shape}; EEGdenoiseNet's arrays are numbers of "
            f"shape (n_segments, {N_TIMES}) at 256 Hz or (n_segments, {2 * N_TIMES}) at 512 Hz."
        )
    if not len(x) or not np.isfinite(x).all():
        raise RecordingError(f"{path} is empty or has values that are not finite. Fetch it again.")
    usual = float(np.median(np.std(x, axis=1)))
    if not USUAL[0] < usual < USUAL[1]:
        raise RecordingError(
            f"The segments of {os.fspath(path)} vary by {usual:.3g}, and should be microvolts "
            f"({USUAL[0]:g} to {USUAL[1]:g}). Multiply volts by a million, and undo any scaling."
        )
    x = x.astype(np.float32)
    return x if x.shape[1] == N_TIMES else np.asarray(resample_poly(x, 1, 2, axis=1), np.float32)
