"""Any recording file as an MNE Raw: volts, 10-05 names, positions, events as annotations."""

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import mne
from mne.io import BaseRaw

from neurodecode.core.errors import ConfigError, NeurodecodeError, RecordingError
from neurodecode.recordings.arrays import duplicate_names, volts_in
from neurodecode.recordings.columns import read_columns
from neurodecode.recordings.montage import add_positions, tidy_channel_names

logger = logging.getLogger(__name__)

# Format and MNE's reader of each suffix; any other suffix is left to mne.io.read_raw.
FORMATS: dict[str, tuple[str, Callable[..., BaseRaw]]] = {
    ".edf": ("EDF", mne.io.read_raw_edf),
    ".bdf": ("BDF", mne.io.read_raw_bdf),
    ".gdf": ("GDF", mne.io.read_raw_gdf),
    ".vhdr": ("BrainVision", mne.io.read_raw_brainvision),
    ".set": ("EEGLAB", mne.io.read_raw_eeglab),
    ".fif": ("FIF", mne.io.read_raw_fif),
    ".cnt": ("Neuroscan CNT", mne.io.read_raw_cnt),
    ".raw": ("EGI", mne.io.read_raw_egi),
    ".mff": ("EGI", mne.io.read_raw_egi),
    ".data": ("Nicolet", lambda path, **options: mne.io.read_raw_nicolet(path, "eeg", **options)),
}
TEXT = (".txt", ".csv", ".tsv")
XDF = (".xdf", ".xdfz")
PARTS = {".eeg": ".vhdr", ".vmrk": ".vhdr", ".fdt": ".set", ".head": ".data"}
MAGIC = {".edf": b"0       ", ".bdf": b"\xffBIOSEMI", ".gdf": b"GDF", ".xdf": b"XDF:"}
ADVICE = (  # words in a reader's error, and what helps then
    (r"number of trials", "It holds epochs: export the continuous data set from EEGLAB."),
    (r"\.fdt", "Put the .fdt file beside it, under the name that EEGLAB gave it."),
    (
        r"data_format",
        "Its header is incomplete: convert it to EDF or BrainVision where it was made.",
    ),
    (r"", "Copy it again, or check that it is what its name says."),
)
VOLTAGES = ("eeg", "eog", "ecg", "emg", "seeg", "ecog", "dbs", "bio")


def read_raw(
    path: str | Path,
    *,
    sfreq: float | None = None,
    ch_names: Sequence[str] | None = None,
    unit: str | None = None,
    stream: str | None = None,
) -> BaseRaw:
    """A recording in volts, loaded, with tidy channel names, positions and annotations.

    Reads EDF, BDF, GDF, BrainVision (.vhdr), EEGLAB (.set), FIF, XDF, columns of text (.txt, .csv,
    .tsv), Neuroscan CNT, EGI, Nicolet, and whatever else MNE reads by suffix. What MNE warns of is
    logged. Nothing is filtered, resampled or dropped. Times count from the first sample.

    Parameters
    ----------
    path
        File; for BrainVision its header, for EEGLAB its .set.
    sfreq
        Sampling rate, Hz, for text without time stamps. A file that stores another one is refused.
    ch_names
        Channel names in file order, in place of those in the file. For text, names of all columns:
        those called like a time or a marker are not channels.
    unit
        Unit of the numbers: "V", "mV", "uV" or "nV". Needed for text; for XDF and FIF it replaces
        the unit that the file states, because both are published with a wrong one.
    stream
        Name of the EEG stream, for an XDF file that holds several.

    Raises
    ------
    RecordingError
        If the file is missing, empty, damaged, cut short, without its partner file, or not what
        its name says.
    UnknownName
        If `unit` is no unit of voltage.
    """
    path = Path(path)
    _check_file(path)
    suffix = _suffix(path)
    _check_magic(path, suffix)
    if suffix in TEXT:
        raw = read_columns(path, sfreq=sfreq, ch_names=ch_names, unit=unit)
    elif suffix in XDF:
        from neurodecode.recordings.xdf import read_xdf

        raw = read_xdf(path, stream=stream, ch_names=ch_names, unit=unit)
    else:
        raw = _read_with_mne(path, suffix, ch_names)
        if unit is not None:
            _replace_unit(raw, path, suffix, unit)
    if sfreq is not None and abs(raw.info["sfreq"] / sfreq - 1) > 1e-3:
        raise RecordingError(
            f"{path} was recorded at {raw.info['sfreq']:g} Hz, not at {sfreq:g} Hz. Leave sfreq "
            f"out; the file says it."
        )
    return add_positions(tidy_channel_names(_from_zero(raw)))


@contextmanager
def reading(path: Path, kind: str, *, may_repeat_names: bool = False) -> Iterator[None]:
    """MNE's errors as a RecordingError of one line, its warnings as lines of the log."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except NeurodecodeError:
            raise
        except Exception as error:  # readers raise whatever the bytes lead them to
            logger.debug("reading %s failed", path, exc_info=True)
            said = " ".join(str(error).split()) or type(error).__name__
            # MNE puts whole tracebacks, and requests to its developers, into some messages.
            said = re.split(r"Error: ", re.split(r",? please report", said)[0])[-1]
            reason = said[:200].rstrip(". ")
            advice = next(text for words, text in ADVICE if re.search(words, said))
            raise RecordingError(f"{path} cannot be read as {kind} ({reason}). {advice}") from error
    for text in dict.fromkeys(str(w.message) for w in caught if _concerns_user(w)):
        repeated = re.search(r"names are not unique, found duplicates for: {(.*?)}", text)
        if repeated and not may_repeat_names:
            raise duplicate_names(path, sorted(re.findall(r"'(.*?)'", repeated[1])))
        logger.warning("%s: %s", path, " ".join(text.split())[:300])


def _concerns_user(warning: warnings.WarningMessage) -> bool:
    if issubclass(warning.category, DeprecationWarning | FutureWarning):
        return False  # between libraries
    return "does not conform to MNE naming conventions" not in str(warning.message)


def _from_zero(raw: BaseRaw) -> BaseRaw:
    """The recording with its first sample numbered 0, which a part of a FIF recording is not.

    MNE takes onsets from the first sample or from the start of the acquisition, depending on
    whether the file has a date; here both are the same.
    """
    if not raw.first_samp:
        return raw
    marks = raw.annotations
    onset = marks.onset - raw.first_time
    moved = mne.Annotations(onset, marks.duration, marks.description, ch_names=marks.ch_names)
    whole = mne.io.RawArray(raw.get_data(), raw.info, verbose="ERROR")
    if raw.info["meas_date"] is not None:
        whole.set_meas_date(raw.info["meas_date"] + timedelta(seconds=raw.first_time))
    return whole.set_annotations(moved, verbose="ERROR")


def _check_file(path: Path) -> None:
    if not path.exists():
        raise RecordingError(f"There is no file {path}. Check the path.")
    if path.is_dir() and path.suffix.lower() not in (".mff", ".ds", ".lay"):
        raise RecordingError(
            f"{path} is a folder, not a recording. Name a file in it, or use bids:{path} if it is "
            f"a BIDS folder."
        )
    if path.is_file() and not path.stat().st_size:
        raise RecordingError(f"{path} is empty. Copy it again from where it was recorded.")


def _suffix(path: Path) -> str:
    """Suffix in lower case, without the one of a compression."""
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    owner = path.with_suffix(PARTS.get(suffix, suffix))
    if suffix in PARTS and owner.exists():
        raise RecordingError(f"{path} is a part of a recording. Open {owner} instead.")
    return suffix


def _read_with_mne(path: Path, suffix: str, ch_names: Sequence[str] | None) -> BaseRaw:
    kind, reader = FORMATS.get(suffix, (f"a {suffix or 'file without a suffix'}", None))
    if suffix in (".edf", ".bdf"):
        _check_edf(path, n_bytes=3 if suffix == ".bdf" else 2)
    if suffix == ".vhdr":
        _check_brainvision(path)
    with reading(path, kind, may_repeat_names=ch_names is not None):
        try:
            raw = (reader or mne.io.read_raw)(path, preload=True, verbose="WARNING")
        except (ValueError, TypeError) as error:
            # TypeError: mne.io.read_raw knows .mat, but lacks what its reader asks for.
            if reader or not re.search("Unsupported file type|unexpected keyword", str(error)):
                raise
            known = ", ".join(sorted([*FORMATS, *TEXT, *XDF]))
            raise RecordingError(
                f"{path} is of a kind that is not read here. Convert it to one of: {known}."
            ) from error
    if ch_names is not None:
        if len(ch_names) != len(raw.ch_names):
            raise RecordingError(
                f"{path} has {len(raw.ch_names)} channels, but {len(ch_names)} names. Give "
                f"ch_names, one for each channel ({', '.join(raw.ch_names)})."
            )
        raw.rename_channels(dict(zip(raw.ch_names, ch_names, strict=True)))
    return raw


def _check_magic(path: Path, suffix: str) -> None:
    """Refuse a file that cannot be opened, or whose first bytes belong to another format."""
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            first = file.read(8)
    except OSError as error:
        raise RecordingError(
            f"{path} cannot be opened ({error.strerror}). Ask for access."
        ) from error
    packed = path.name.lower().endswith(".gz")
    if suffix in MAGIC and not packed and not first.startswith(MAGIC[suffix]):
        other = next((s for s, magic in MAGIC.items() if first.startswith(magic)), None)
        hint = f"It begins like {other}: rename it" if other else "Copy it again"
        raise RecordingError(
            f"{path} is not {suffix[1:].upper()}: its first bytes are {first!r}. {hint}."
        )


def _check_edf(path: Path, *, n_bytes: int) -> None:
    """Refuse a file that is shorter than its header says; tell of unequal rates and of gaps.

    Layout: "A simple format for exchange of digitized polygraphic recordings",
    Electroencephalography and Clinical Neurophysiology 1992, doi:10.1016/0013-4694(92)90009-7.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(256)
        try:
            n_records, n_chans = int(head[236:244]), int(head[252:256])
            header = head + file.read(256 * n_chans)
            first = 256 + 216 * n_chans
            n_samples = [int(header[i : i + 8]) for i in range(first, first + 8 * n_chans, 8)]
        except ValueError as error:
            raise RecordingError(
                f"{path} has a damaged header ({error}). Copy it again from where it was recorded."
            ) from error
    held = (size - len(header)) / (n_bytes * max(1, sum(n_samples)))  # records
    if held < n_records:
        raise RecordingError(
            f"{path} is cut short: its header promises {n_records} data records, {held:.1f} are "
            f"there. Copy it again; if the recording was interrupted, correct the header."
        )
    if head[192:197] in (b"EDF+D", b"BDF+D"):
        logger.warning("%s is discontinuous; its pieces are read as if they followed at once", path)
    labels = [header[256 + 16 * i : 272 + 16 * i].strip() for i in range(n_chans)]
    rates = {n for n, label in zip(n_samples, labels, strict=True) if b"Annotations" not in label}
    if len(rates) > 1:
        logger.warning("%s: channels differ in sampling rate; all are brought to the highest", path)


def _check_brainvision(path: Path) -> None:
    """Refuse a header whose data or marker file is not beside it."""
    text = path.read_text(encoding="latin-1")
    for key, what in (("DataFile", "data"), ("MarkerFile", "markers")):
        found = re.search(rf"^{key}\s*=\s*(.+?)\s*$", text, re.MULTILINE)
        name = found[1].replace("$b", path.stem) if found else None
        if name and not (path.parent / name).exists():
            raise RecordingError(
                f"{path} keeps its {what} in '{name}', which is not beside it. Put it there, under "
                f"that name."
            )
        if name and what == "data":
            _check_length(path, path.parent / name, text)


def _check_length(path: Path, data: Path, header: str) -> None:
    """Refuse binary data that are shorter than the header says, or end within a sample."""
    n_bytes = {"INT_16": 2, "UINT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}
    fields = dict(re.findall(r"^(\w+)\s*=\s*(\w+)\s*$", header, re.MULTILINE))
    if "NumberOfChannels" not in fields or fields.get("BinaryFormat") not in n_bytes:
        return  # text, or a header that MNE will refuse
    one = int(fields["NumberOfChannels"]) * n_bytes[fields["BinaryFormat"]]
    held, part = divmod(data.stat().st_size, one)
    promised = int(fields.get("DataPoints", 0))
    if held < promised or (part and not promised):
        missing = f"of {promised} samples" if promised else "samples and a part of one"
        raise RecordingError(
            f"{path} is cut short: '{data.name}' holds {held} {missing}. Copy it again from where "
            f"it was recorded."
        )


def _replace_unit(raw: BaseRaw, path: Path, suffix: str, unit: str) -> None:
    """Take the numbers of a FIF file for `unit`, where its header claims volts."""
    if suffix != ".fif":
        raise ConfigError(
            f"unit = '{unit}' is for text, XDF and FIF; {path} states the unit of each channel. "
            f"Leave it out."
        )
    scale = volts_in(unit)
    raw.apply_function(lambda x: x * scale, picks=list(VOLTAGES), verbose="ERROR")
