"""The SWEC-ETHZ long-term intracranial recordings, as their authors publish them: HDF5 files.

A folder ``IDxx`` holds one patient. ``IDxx_part_1.h5``, ``IDxx_part_2.h5``, ... hold the signal in
``data/ieeg``, (n_chans, n_samples) float32 microvolts, without a gap between parts.
``IDxx_total.h5`` has the attribute ``sampling_rate`` and the table ``data/seizures`` with the
columns ``onsets`` and ``offsets``, seconds from the first sample of part 1. Its own ``data/ieeg``
is an index into part files, those of another patient, and is never read. Folders ID01 to ID18 are
second copies of other folders, and count as those.

Layout: the data set's card at huggingface.co/datasets/NeuroTec/SWEC_iEEG_Dataset, and the reader
in github.com/IBM/multi-variate-parallel-transformer. Copies, index files and the unit: NEMAR's card
of the same recordings, doi:10.82901/nemar.nm000276. Paper: arXiv:2506.20354.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import mne
import numpy as np
from mne.io import BaseRaw
from moabb.datasets.base import BaseDataset
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, RecordingError

logger = logging.getLogger(__name__)

SOURCE = (
    "https://huggingface.co/datasets/NeuroTec/SWEC_iEEG_Dataset (4.6 TB; CDLA-Permissive-2.0, for "
    "research only, not for diagnosis)"
)
_FIRST = (20, 21, 22, 24, 25, *range(27, 33), *range(34, 41))
COPIES = {f"ID{i:02d}": f"ID{first}" for i, first in enumerate(_FIRST, start=1)}
"""Folders that are second copies, and of which."""

ANONYMOUS = "iEEG{:03d}"
MICROVOLT = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What the folder of one patient holds, without its signal.

    Attributes
    ----------
    name
        Of the patient, "ID20", even where the folder is a copy.
    parts
        Files of the signal, in order of time.
    lengths
        Samples of each part.
    n_chans, sfreq
        Alike in all parts; Hz.
    onsets, offsets
        Of the seizures, (n_seizures,), s from the first sample of the first part.
    """

    name: str
    parts: tuple[Path, ...]
    lengths: tuple[int, ...]
    n_chans: int
    sfreq: float
    onsets: NDArray[np.float64]
    offsets: NDArray[np.float64]

    @property
    def duration(self) -> float:
        """Of all parts together, s."""
        return sum(self.lengths) / self.sfreq


class SWEC(BaseDataset):  # type: ignore[misc]  # MOABB carries no types
    """Stretches of the SWEC-ETHZ long-term recordings that are on this machine.

    Recordings last for days, so what is read is the time around each seizure, and stretches far
    from any. Each stretch is a session of one run, in order of time; its signal is read from the
    parts when it is asked for. Subjects are numbers: 20 is ID20.

    Parameters
    ----------
    root
        Folder with the folders IDxx. Nothing is downloaded.
    around
        Seconds before and after each seizure; stretches that meet become one. None for whole
        recordings, where each part is a session: 10 GB each, twice that once loaded.
    elsewhere
        Stretches of 2 * `around` seconds without a seizure, spread evenly over what is left.

    Raises
    ------
    RecordingError
        If the folder is missing or holds no patient, or a patient's files do not fit together.
    ConfigError
        If `around` or `elsewhere` is no length or number.
    """

    def __init__(
        self, root: str | Path | None, *, around: float | None = 300.0, elsewhere: int = 4
    ) -> None:
        if root is None or not Path(root).is_dir():
            where = "nobody said where" if root is None else f"there is no folder {root}"
            raise RecordingError(
                f"The SWEC recordings are files that you have, and {where}. Fetch folders IDxx "
                f"from {SOURCE}, and say --data-dir FOLDER."
            )
        if (around is not None and around <= 0) or elsewhere < 0:
            raise ConfigError(
                f"around = {around} s and elsewhere = {elsewhere} are no stretches to read. Give "
                f"seconds before and after a seizure, and a number of others, 0 or more."
            )
        self.around, self.elsewhere = around, elsewhere
        self.folders = _find_patients(Path(root))
        super().__init__(
            subjects=[int(name[2:]) for name in self.folders],
            sessions_per_subject=1,
            events={"background": 1, "seizure": 2},
            code="SWEC",
            interval=[0, 1],
            paradigm="rstate",
            doi="10.48550/arXiv.2506.20354",
        )

    def holding(self, subject: int) -> Holding:
        """What is there of one patient.

        Raises
        ------
        RecordingError
            If there is no such patient, or the files do not fit together.
        """
        name = f"ID{int(subject):02d}"
        if name not in self.folders:
            raise RecordingError(
                f"There is no patient {name} among {', '.join(self.folders)}. Fetch the folder "
                f"from {SOURCE}, or choose among those."
            )
        return read_holding(name, self.folders[name])

    def data_path(
        self,
        subject: int,
        path: str | None = None,
        force_update: bool = False,
        update_path: bool | None = None,
        verbose: bool | None = None,
    ) -> list[str]:
        """The files with a patient's signal."""
        return [str(part) for part in self.holding(subject).parts]

    def _get_single_subject_data(self, subject: int) -> dict[str, dict[str, BaseRaw]]:
        held = self.holding(subject)
        if self.around is None:
            ends = np.cumsum(held.lengths)
            pieces = [(int(e - n), int(e)) for e, n in zip(ends, held.lengths, strict=True)]
        else:
            pieces = stretches(held, around=self.around, elsewhere=self.elsewhere)
        return {str(i): {"0": read_stretch(held, *piece)} for i, piece in enumerate(pieces)}


def _find_patients(root: Path) -> dict[str, Path]:
    """Folder of each patient, by the name that counts; copies of folders that are there are out."""
    found = {p.name: p for p in sorted(root.iterdir()) if re.fullmatch(r"ID\d\d", p.name)}
    folders = {name: path for name, path in found.items() if name not in COPIES}
    for copy, name in COPIES.items():
        if copy in found and name in found:
            logger.info("%s is a second copy of %s, and left out", copy, name)
        elif copy in found:
            folders[name] = found[copy]
    if not folders:
        raise RecordingError(
            f"{root} holds no folder ID01 to ID68. Name the folder above them, or fetch some from "
            f"{SOURCE}."
        )
    return dict(sorted(folders.items()))


def read_holding(name: str, folder: Path) -> Holding:
    """What the folder of a patient holds; only sizes and the table of seizures are read.

    Parameters
    ----------
    name
        Of the patient.
    folder
        With the part files and the total file; its own name is theirs.

    Raises
    ------
    RecordingError
        If a part is missing, a file is not laid out as the module says, or parts differ.
    """
    parts = _find_parts(folder)
    shapes, rates = [], []
    for part in parts:
        with _opened(part) as file:
            shapes.append(_shape(file, part))
            rates.append(file.attrs.get("sampling_rate"))
    total = folder / f"{folder.name}_total.h5"
    with _opened(total) as file:
        rates.append(file.attrs.get("sampling_rate"))
        onsets, offsets = _seizures(file, total)
    known = {float(rate) for rate in rates if rate is not None}
    if len({n_chans for n_chans, _ in shapes}) != 1 or len(known) != 1:
        raise RecordingError(
            f"The files in {folder} do not belong together: channels "
            f"{sorted({n for n, _ in shapes})}, sampling_rate {sorted(known) or 'nowhere'}. Fetch "
            f"them again from {SOURCE}."
        )
    held = Holding(
        name=name,
        parts=parts,
        lengths=tuple(n for _, n in shapes),
        n_chans=shapes[0][0],
        sfreq=known.pop(),
        onsets=onsets,
        offsets=offsets,
    )
    beyond = int((offsets > held.duration + 1).sum())
    if beyond:
        logger.warning(
            "%s: %d of %d seizures lie beyond the %d parts that are here",
            name, beyond, len(onsets), len(parts),
        )  # fmt: skip
    return held


def _find_parts(folder: Path) -> tuple[Path, ...]:
    """Part files, in order of their numbers; none may be missing before the last."""
    numbers = {
        int(match[1]): path
        for path in folder.iterdir()
        if (match := re.fullmatch(rf"{folder.name}_part_(\d+)\.h5", path.name))
    }
    lacking = sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers))
    if not numbers or lacking:
        names = ", ".join(f"{folder.name}_part_{i}.h5" for i in lacking[:3] or [1])
        raise RecordingError(
            f"{folder} lacks {names}: seizures are timed from the first sample of the first part, "
            f"so every part up to the last one used is needed. Fetch it from {SOURCE}."
        )
    return tuple(numbers[i] for i in sorted(numbers))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An HDF5 file; what cannot be read is one line."""
    _load_filters()
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        reason = str(error).splitlines()[0]
        if re.search("filter|plugin", reason):
            raise RecordingError(
                f"{path} is compressed in a way that h5py alone cannot undo ({reason}). Install "
                f"what can: pip install 'neurodecode-eeg[swec]'."
            ) from error
        raise RecordingError(
            f"{path} cannot be read as HDF5 ({reason}). Fetch it again from {SOURCE}."
        ) from error


def _shape(file: Any, path: Path) -> tuple[int, int]:
    signal = file.get("data/ieeg")
    if not isinstance(signal, h5py.Dataset) or signal.ndim != 2 or 0 in signal.shape:
        raise RecordingError(
            f"{path} has no data/ieeg of (channels, samples); it holds {_contents(file)}. Its "
            f"layout is not the published one: fetch it from {SOURCE}."
        )
    return int(signal.shape[0]), int(signal.shape[1])


def _seizures(file: Any, path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    table = file.get("data/seizures")
    names = table.dtype.names if isinstance(table, h5py.Dataset) else None
    if not names or not {"onsets", "offsets"} <= set(names):
        raise RecordingError(
            f"{path} has no table data/seizures with onsets and offsets; it holds "
            f"{_contents(file)}. Its layout is not the published one: fetch it from {SOURCE}."
        )
    rows = np.ravel(table[()])
    onsets, offsets = (np.ravel(rows[n]).astype(np.float64) for n in ("onsets", "offsets"))
    order = np.argsort(onsets, kind="stable")
    if not (offsets > onsets).all():
        raise RecordingError(
            f"{path}: {int((offsets <= onsets).sum())} of {len(onsets)} seizures end before they "
            f"begin. Correct data/seizures, or fetch the file again from {SOURCE}."
        )
    return onsets[order], offsets[order]


def _contents(file: Any) -> str:
    names: list[str] = []
    file.visit(names.append)
    return ", ".join(names[:8]) or "nothing"


def stretches(held: Holding, *, around: float, elsewhere: int) -> list[tuple[int, int]]:
    """What to read of a recording: first sample and the one after the last, in order of time.

    Parameters
    ----------
    held
        The recording.
    around
        Seconds before and after each seizure; stretches that meet become one.
    elsewhere
        Stretches of 2 * `around` seconds between those, spread evenly over the time that is left;
        fewer where there is no room.
    """
    n, sfreq = sum(held.lengths), held.sfreq
    margin = round(around * sfreq)
    near: list[tuple[int, int]] = []
    for onset, offset in zip(held.onsets, held.offsets, strict=True):
        first = max(0, round(onset * sfreq) - margin)
        last = min(n, round(offset * sfreq) + margin)
        if round(onset * sfreq) >= n:
            continue
        if near and first <= near[-1][1]:
            near[-1] = (near[-1][0], max(last, near[-1][1]))
        else:
            near.append((first, last))
    edges = [0, *(edge for piece in near for edge in piece), n]
    slots = [
        at
        for first, last in zip(edges[::2], edges[1::2], strict=True)
        for at in range(first, last - 2 * margin + 1, 2 * margin)
    ]
    chosen = {slots[round(i)] for i in np.linspace(0, len(slots) - 1, elsewhere + 2)[1:-1] if slots}
    return sorted(near + [(at, at + 2 * margin) for at in chosen])


def read_stretch(held: Holding, first: int, last: int) -> BaseRaw:
    """Samples `first` to `last` (not included) of a recording, read when they are asked for.

    Channels are numbered and have no position; seizures are annotated, cut off at the ends.
    """
    ends = np.cumsum(held.lengths)
    pieces = []
    for path, begin, end in zip(held.parts, ends - held.lengths, ends, strict=True):
        if begin < last and end > first:
            inside = (max(first, int(begin)) - int(begin), min(last, int(end)) - int(begin))
            pieces.append((path, *inside))
    raw = _PartsRaw(pieces, held)
    onsets = np.maximum(held.onsets, first / held.sfreq) - first / held.sfreq
    offsets = np.minimum(held.offsets, last / held.sfreq) - first / held.sfreq
    here = offsets > onsets
    names = ["seizure"] * int(here.sum())
    return raw.set_annotations(mne.Annotations(onsets[here], (offsets - onsets)[here], names))


class _PartsRaw(BaseRaw):  # type: ignore[misc]  # MNE carries no types
    """Pieces of part files, one after the other, as one recording.

    Parameters
    ----------
    pieces
        File, its first sample and the one after its last.
    held
        Number of channels and sampling rate.
    """

    def __init__(self, pieces: Sequence[tuple[Path, int, int]], held: Holding) -> None:
        names = [ANONYMOUS.format(i + 1) for i in range(held.n_chans)]
        info = mne.create_info(names, held.sfreq, "seeg", verbose="error")
        for channel in info["chs"]:
            channel["cal"] = MICROVOLT
            channel["loc"][:3] = np.nan
        super().__init__(
            info,
            filenames=[path for path, _, _ in pieces],
            first_samps=[0] * len(pieces),
            last_samps=[stop - start - 1 for _, start, stop in pieces],
            raw_extras=[{"start": start} for _, start, _ in pieces],
            orig_format="single",
            verbose="error",
        )

    def _read_segment_file(
        self,
        data: NDArray[np.float64],
        idx: Any,
        fi: int,
        start: int,
        stop: int,
        cals: NDArray[np.float64] | None,
        mult: NDArray[np.float64] | None,
    ) -> None:
        """Samples of one file into `data`, in volts."""
        skipped = self._raw_extras[fi]["start"]
        with _opened(Path(self.filenames[fi])) as file:
            block = np.asarray(file["data/ieeg"][:, skipped + start : skipped + stop])
        chosen = block[idx].astype(np.float64)
        data[:] = mult @ chosen if mult is not None else chosen * cals


def _load_filters() -> None:
    """Make the published compression (lz4) known to h5py, where hdf5plugin is installed."""
    try:
        import hdf5plugin  # noqa: F401  # importing it is what registers
    except ImportError:
        logger.debug("hdf5plugin is not installed")
