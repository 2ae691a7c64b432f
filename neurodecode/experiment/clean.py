"""One recording in, one cleaned recording out: read, fit, clean, measure, write."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neurodecode.artifacts import CLEANERS, Cleaner
from neurodecode.artifacts.apply import clean as apply_cleaner
from neurodecode.artifacts.apply import fit_cleaner
from neurodecode.artifacts.recording import FLAT, brain_channels
from neurodecode.artifacts.removed import Removed, measure
from neurodecode.core.errors import ConfigError, RecordingError, SignalError, UnknownName
from neurodecode.core.options import check_options
from neurodecode.experiment.choices import parse_value
from neurodecode.experiment.outputs import check_outputs, staged
from neurodecode.recordings.read import read_raw
from neurodecode.recordings.write import check_writable, suffix_of, write_raw

DEFAULT_METHOD = "atat"
"""Cleaner that is used if none is named."""
MUCH = 0.5
"""Share of the power below 30 Hz beyond which a warning is due."""
SHORTEST = 1.0
"""Of a recording, s; half a period of the slowest wave that is cleaned."""
LEARNED = ("art", "atat", "tinyconv")
"""Cleaners whose shipped weights are trained on simulated recordings."""

Report = Callable[[str, int, int], None]


@dataclass(kw_only=True)
class Cleaned:
    """What was done to a recording.

    Attributes
    ----------
    source, fitted_to
        Recording that was cleaned, and those the cleaner was fitted to.
    method, options
        Name of the cleaner and what was chosen for it.
    cleaner
        Fitted.
    before, after
        The recording as it was read, and cleaned, V.
    removed
        What was removed, in numbers.
    passed_over
        Channels that were left as they are, and why.
    warnings
        Sentences.
    seconds
        How long fitting and cleaning took, s.
    files
        What was written, by what it is.
    """

    source: Path
    fitted_to: tuple[Path, ...]
    method: str
    options: dict[str, Any]
    cleaner: Cleaner
    before: Any
    after: Any
    removed: Removed
    passed_over: dict[str, str]
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)


def clean_file(
    source: Path,
    out: Path,
    *,
    method: str = DEFAULT_METHOD,
    options: Mapping[str, Any] | None = None,
    fit_on: Sequence[Path] = (),
    removed: Path | None = None,
    report: Path | None = None,
    draw: Callable[[Cleaned], str] | None = None,
    drop: Sequence[str] = (),
    bad: Sequence[str] = (),
    unit: str | None = None,
    sfreq: float | None = None,
    overwrite: bool = False,
    progress: Report | None = None,
) -> Cleaned:
    """Clean a recording and write it, all files or none; the recording itself is never changed.

    Flat and not finite channels are marked bad. Bad channels, and those that are not of the brain,
    pass unchanged.

    Parameters
    ----------
    source
        Recording in any format that `neurodecode.recordings.read.read_raw` reads.
    out
        Cleaned recording, ``.fif``, ``.fif.gz`` or ``.edf``.
    method, options
        Name of the cleaner, and keyword arguments of its builder.
    fit_on
        Recordings to fit the cleaner to; by default `source` itself.
    removed
        Where to write the signal that was removed: before - after, and 0 in other channels.
    report, draw
        Where to write a report, and what makes its text.
    drop, bad
        Channels to leave out, and to mark bad.
    unit, sfreq
        See `read_raw`.
    overwrite
        Whether files that are there may be replaced.
    progress
        Called with words, steps done and steps in all.

    Raises
    ------
    UnknownName
        For a cleaner, an option or a channel that does not exist.
    ConfigError
        If an output must not be written.
    RecordingError, SignalError
        If a recording cannot be read, or not be cleaned.
    StoreError
        If an output cannot be written.
    """
    outputs = {"OUT": out, "--removed": removed, "--report": report}
    paths = {what: path for what, path in outputs.items() if path is not None}
    recordings = [path for path in (out, removed) if path is not None]
    for path in recordings:
        suffix_of(path)
    check_outputs(paths, inputs=[source, *fit_on], overwrite=overwrite)
    cleaner = build_cleaner(method, options or {})
    n_steps = 5 + len(fit_on)
    tell = progress or (lambda *_: None)
    try:
        tell(f"reading {source.name}", 0, n_steps)
        raw = _read(source, drop=drop, unit=unit, sfreq=sfreq)
        _mark_bad(raw, bad)
        others = []
        for i, path in enumerate(fit_on, 1):
            tell(f"reading {path.name}", i, n_steps)
            others.append(_read(path, drop=drop, unit=unit, sfreq=sfreq))
        found = dead_channels([raw, *others])
        dead = {name: why for name, why in found.items() if name in raw.ch_names}
        _mark_bad(raw, dead)
        passed_over = _passed_over(raw, dead)
        for path in recordings:
            check_writable(raw, path)
        before = raw.info["description"]
        cleaned = Cleaned(
            source=source,
            fitted_to=tuple(fit_on) or (source,),
            method=method,
            options=dict(options or {}),
            cleaner=cleaner,
            passed_over=passed_over,
            **_clean(cleaner, raw, _alike(raw, others, fit_on), method, tell, n_steps),
        )
        if dead:
            listing = ", ".join(f"{name} ({why})" for name, why in dead.items())
            cleaned.warnings.insert(0, f"Marked bad and passed over: {listing}.")
        note = f"cleaned with neurodecode, {method}"
        cleaned.after.info["description"] = f"{before}; {note}" if before else note
        tell("writing", n_steps - 1, n_steps)
        with staged(list(paths.values())) as place:
            cleaned.warnings += write_raw(cleaned.after, place[out])
            if report is not None and draw is not None:
                cleaned.files = paths
                place[report].write_text(draw(cleaned), encoding="utf-8")
            if removed is not None:
                write_raw(_difference(cleaned), place[removed])
        cleaned.files = paths
    except MemoryError as error:
        raise SignalError(
            f"Cleaning {source} takes more memory than there is ({error}): about seven times the "
            f"recording, 8 bytes a sample. Clean it in parts, or drop channels with --drop."
        ) from error
    return cleaned


def build_cleaner(method: str, options: Mapping[str, Any]) -> Cleaner:
    """A cleaner by name, its options checked.

    Raises
    ------
    UnknownName
        For a cleaner or an option that does not exist.
    ConfigError
        For a value that the option does not take.
    """
    builder = CLEANERS.get(method)
    check_options(builder, options, where=f"cleaner {method}")
    return builder(**options)


def read_sets(sets: Iterable[str]) -> dict[str, Any]:
    """Options of ``OPTION=VALUE``, values as TOML writes them.

    Raises
    ------
    ConfigError
        If there is no value.
    """
    options = {}
    for text in sets:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise ConfigError(f"--set {text} lacks a value: write --set option=value.")
        options[name] = parse_value(value)
    return options


def dead_channels(raws: Sequence[Any]) -> dict[str, str]:
    """Brain channels, not marked bad, that are "flat" or "not finite" in any of the recordings.

    Read one at a time: `find_bad_channels` would hold a second copy of the recording.
    """
    why: dict[str, str] = {}
    for raw in raws:
        for name in brain_channels(raw):
            x = raw.get_data([raw.ch_names.index(name)])
            if not np.isfinite(x).all():
                why[name] = "not finite"
            elif np.ptp(x) < FLAT:
                why.setdefault(name, "flat")
    return why


def _read(path: Path, *, drop: Sequence[str], unit: str | None, sfreq: float | None) -> Any:
    raw = read_raw(path, unit=unit, sfreq=sfreq)
    if drop:
        _known(drop, raw)
        if set(drop) >= set(raw.ch_names):
            raise ConfigError(f"--drop leaves no channel of {path}. Drop fewer.")
        raw.drop_channels(list(drop))
    duration = raw.n_times / raw.info["sfreq"]
    if duration < SHORTEST:
        raise RecordingError(
            f"{path} is {duration:.2f} s long, too short to tell an artifact from drift. Give "
            f"{SHORTEST:g} s or more."
        )
    return raw


def _known(names: Iterable[str], raw: Any) -> None:
    for name in names:
        if name not in raw.ch_names:
            raise UnknownName("channel of this recording", name, raw.ch_names)


def _mark_bad(raw: Any, names: Iterable[str]) -> None:
    _known(names, raw)
    raw.info["bads"] += [name for name in names if name not in raw.info["bads"]]


def _passed_over(raw: Any, dead: Mapping[str, str]) -> dict[str, str]:
    """Channels that stay as they are, and why."""
    try:
        cleaned = brain_channels(raw)
    except SignalError as error:
        if not dead:
            raise
        listing = ", ".join(f"{name} ({why})" for name, why in list(dead.items())[:8])
        raise SignalError(
            f"No channel is left to clean: {listing}. Check the recording."
        ) from error
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    bads = {str(name): dead.get(name, "marked bad") for name in raw.info["bads"]}
    return {n: bads.get(n, str(types[n])) for n in raw.ch_names if n not in cleaned}


def _alike(raw: Any, others: Sequence[Any], paths: Sequence[Path]) -> list[Any]:
    """Recordings to fit to, with the channels of the one to clean, bad ones included.

    Raises
    ------
    SignalError
        If a channel is missing or the sampling rate is another.
    """
    for other, path in zip(others, paths, strict=True):
        missing = [name for name in brain_channels(raw) if name not in other.ch_names]
        if missing:
            raise SignalError(
                f"--fit-on {path} lacks {', '.join(missing[:8])}, which the recording to clean "
                f"has. Leave them out with --drop, or mark them bad with --bad."
            )
        if abs(other.info["sfreq"] / raw.info["sfreq"] - 1) > 1e-6:
            raise SignalError(
                f"--fit-on {path} is sampled at {other.info['sfreq']:g} Hz, the recording to clean "
                f"at {raw.info['sfreq']:g} Hz. Fit to a recording of the same rate."
            )
        other.pick([name for name in raw.ch_names if name in other.ch_names])
        other.info["bads"] = [name for name in raw.info["bads"] if name in other.ch_names]
    return list(others)


def _clean(
    cleaner: Cleaner, raw: Any, others: list[Any], method: str, tell: Report, n_steps: int
) -> dict[str, Any]:
    """Fields of `Cleaned` that come from cleaning."""
    names = brain_channels(raw)
    holes = _fill_holes(raw)
    for other in others:
        _fill_holes(other)
    start = time.perf_counter()
    tell(f"fitting {method}", n_steps - 4, n_steps)
    cleaner = fit_cleaner(cleaner, others or [raw])
    others.clear()
    fitted = time.perf_counter()
    tell(f"cleaning with {method}", n_steps - 3, n_steps)
    after = apply_cleaner(cleaner, raw)
    done = time.perf_counter()
    for recording in (raw, after):
        for index, x in holes.items():
            recording._data[index] = x
    tell("measuring", n_steps - 2, n_steps)
    removed = measure(raw, after, names)
    return {
        "before": raw,
        "after": after,
        "removed": removed,
        "warnings": _warnings(removed, method),
        "seconds": {"fit": fitted - start, "clean": done - fitted},
    }


def _fill_holes(raw: Any) -> dict[int, Any]:
    """Set channels that are not finite to 0, in place, and return them.

    They are passed over; but a filter that runs over all channels would stop at them.
    """
    found = {}
    for i, x in enumerate(raw._data):
        if not np.isfinite(x).all():
            found[i] = x.copy()
            x[:] = 0.0
    return found


def _warnings(removed: Removed, method: str) -> list[str]:
    said = []
    if method.partition(":")[0] in LEARNED:
        said.append(f"{method} was trained on simulated recordings. Look at what it removed.")
    low = removed.share((0.5, 30.0))
    if low > MUCH:
        said.append(
            f"{low:.0%} of the power below 30 Hz was removed: brain activity may be among it."
        )
    if not removed.course.any():
        said.append("Nothing was removed: the cleaner found no artifact.")
    return said


def _difference(cleaned: Cleaned) -> Any:
    """What was removed, in the memory of the recording before, which is given up."""
    raw = cleaned.before
    raw._data -= cleaned.after._data
    np.nan_to_num(raw._data, copy=False)  # where a channel has no value, nothing was removed
    raw.info["description"] = f"removed by neurodecode, {cleaned.method}"
    return raw
