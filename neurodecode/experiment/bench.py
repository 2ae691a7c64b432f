"""Cleaners measured where the answer is known: clean recordings with artifacts added.

Every cleaner gets the same recordings, fits itself to each of them as `neurodecode clean` does, and
is compared with the recording before anything was added. People are the unit of every interval.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from neurodecode.artifacts import CLEANERS, StreamingCleaner
from neurodecode.artifacts.apply import clean, fit_cleaner, without_drift
from neurodecode.artifacts.contaminate import Origin, contaminate
from neurodecode.artifacts.mixing import Convention, mixing_scale
from neurodecode.artifacts.recording import brain_channels, put_back
from neurodecode.core.errors import ConfigError, NeurodecodeError, SignalError, UnknownName
from neurodecode.core.options import check_options
from neurodecode.core.seeding import generator
from neurodecode.evaluation import denoising as measure
from neurodecode.evaluation.workers import open_pool
from neurodecode.recordings import head
from neurodecode.recordings.brain import MOTOR, TEN_TWENTY
from neurodecode.recordings.cards import find_card, local_files, open_dataset
from neurodecode.recordings.load import load_recordings
from neurodecode.recordings.synthetic import Synthetic
from neurodecode.results.provenance import cleaners_digest, library_versions
from neurodecode.results.store import Store, writing

Array = NDArray[np.float64]
BaseRaw = Any  # mne.io.BaseRaw: recordings come from rooms where MNE is at home
Report = Callable[[str, int, int], None]

KINDS = ("eog", "emg", "both")
SEED = 20_000
"""Of people whom no denoiser that is shipped has met."""


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MONTAGES: Mapping[str, Sequence[str]] = {
    "19 of 10-20": TEN_TWENTY,
    "22 motor": MOTOR,
    "32": _names(
        "Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 "
        "F4 F8 AF4 Fp2 Fz Cz"
    ),
    "64": _names(
        "FC5 FC3 FC1 FCz FC2 FC4 FC6 C5 C3 C1 Cz C2 C4 C6 CP5 CP3 CP1 CPz CP2 CP4 CP6 Fp1 Fpz Fp2 "
        "AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 Fz F2 F4 F6 F8 FT7 FT8 T7 T8 T9 T10 TP7 TP8 P7 P5 P3 P1 "
        "Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2 Iz"
    ),
}


def bench(
    cleaners: Sequence[str] | None,
    runs: Path,
    *,
    sets: Sequence[str] = (),
    dataset: str | None = None,
    data_dir: str | None = None,
    n_people: int = 8,
    kinds: Sequence[str] = KINDS,
    snr: Sequence[str] = ("-7", "-2", "2"),
    snr_convention: str = "power",
    duration: float = 60.0,
    n_workers: int = 1,
    report: Report = lambda words, done, total: None,
) -> tuple[pd.DataFrame, str]:
    """Rows of `run_bench`, and a title; the arguments are those of ``neurodecode bench denoise``.

    Raises
    ------
    ConfigError
        For a cleaner, an option, a kind or a number that does not exist; nothing has been computed.
    """
    from neurodecode.experiment.choices import parse_value

    options = _cleaner_options(cleaners, sets, parse_value)
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownName("kind of artifact", kind, KINDS)
    ratios = [_number(text) for text in snr]
    for ratio in ratios:
        mixing_scale(1.0, 1.0, ratio, convention=snr_convention)  # type: ignore[arg-type]
    if not 20 <= duration <= 3600:
        raise ConfigError(f"--duration {duration:g} s is not between 20 s and an hour.")
    if dataset is None:
        people, what = simulated_people(n_people, duration=duration), "SIMULATED people"
    else:
        limits: dict[str, Any] = {"n_people": n_people, "duration": duration}
        people = recorded_people(dataset, data_dir=data_dir, **limits)
        what = f"people of {find_card(dataset, paradigm='mi').name}"
    rows = run_bench(
        make_trials(people, kinds=kinds, snr=ratios, snr_convention=snr_convention),  # type: ignore[arg-type]
        {"none": {}, **options},
        Store.open(runs).path / ".bench",
        n_workers=n_workers,
        n_people=n_people,
        report=report,
    )
    n = rows["subject"].nunique()
    return rows, f"{n} {what}, {duration:g} s each, with SIMULATED artifacts"


def _cleaner_options(
    cleaners: Sequence[str] | None, sets: Sequence[str], parse: Callable[[str], Any]
) -> dict[str, dict[str, Any]]:
    """Options of each cleaner, checked."""
    names = [name for name in cleaners or CLEANERS.names() if name != "none"]
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for name in names:
        CLEANERS.find(name)
    for text in sets:
        place, equals, value = text.partition("=")
        name, dot, option = place.strip().partition(".")
        if not (equals and dot and value):
            raise ConfigError(f"--set {text}: write --set CLEANER.OPTION=VALUE.")
        if name not in found:
            raise UnknownName("cleaner of this benchmark", name, found)
        found[name][option] = parse(value.strip())
    for name, options in found.items():
        if options:
            check_options(CLEANERS.get(name), options, where=f"the cleaner {name}")
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--snr {text} is not a number of dB. Write --snr=-7,-2,2.") from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """A recording with artifacts, and without.

    Attributes
    ----------
    subject
        Whose.
    montage
        In words.
    kind
        "none", or one of `KINDS`.
    snr
        Signal to artifact, dB; not a number for "none".
    noisy
        What cleaners get.
    clean
        The channels of the brain before anything was added, (n_chans, n_samples), V.
    """

    subject: str
    montage: str
    kind: str
    snr: float
    noisy: BaseRaw
    clean: Array


def simulated_people(
    n_people: int, *, sfreq: float = 250.0, duration: float = 60.0
) -> Iterator[tuple[str, str, BaseRaw]]:
    """Simulated people that no shipped denoiser has met: subject, montage in words, clean Raw."""
    for i in range(n_people):
        montage = list(MONTAGES)[i % len(MONTAGES)]
        people = Synthetic(
            paradigm="imagery" if i % 2 else "state",
            n_subjects=i + 1,
            n_sessions=1,
            n_trials=int(np.ceil(duration / (6.0 if i % 2 else 22.0))) + 2,
            sfreq=sfreq,
            ch_names=MONTAGES[montage],
            seed=SEED,
            artifacts=False,
            cache=False,
        )
        raw = people.truth(i + 1)["0"]["0"].raw().crop(0, duration, include_tmax=False)
        yield f"simulated {i + 1}", montage, raw.set_annotations(None)


def recorded_people(
    name: str, *, data_dir: str | None, n_people: int | None, duration: float = 60.0
) -> Iterator[tuple[str, str, BaseRaw]]:
    """People of a data set, taken for clean: the beginning of the first recording of each.

    Parameters
    ----------
    name
        Card or data set, as `neurodecode fit --dataset` takes it.
    data_dir
        Folder where the recordings lie.
    n_people
        The first so many; by default all.
    duration
        Of the beginning, s.
    """
    card = find_card(name, paradigm="mi")
    with local_files(card, data_dir):
        dataset = open_dataset(card, data_dir=data_dir)
        for subject in dataset.subject_list[:n_people]:
            raw = next(load_recordings(dataset, subject)).raw.copy().load_data()
            raw.pick(brain_channels(raw)).crop(0, min(duration, raw.times[-1]), include_tmax=False)
            yield f"{card.name} {subject}", f"{len(raw.ch_names)}", raw.set_annotations(None)


def make_trials(
    people: Iterator[tuple[str, str, BaseRaw]],
    *,
    kinds: Sequence[str] = KINDS,
    snr: Sequence[float] = (-7.0, -2.0, 2.0),
    snr_convention: Convention,
    share: float = 0.4,
) -> Iterator[list[Trial]]:
    """The trials of each person: as it is, then with each kind of artifact at each ratio.

    Parameters
    ----------
    people
        Subject, montage in words, and a clean recording.
    kinds
        Of artifact.
    snr, snr_convention, share
        See `neurodecode.artifacts.contaminate.contaminate`.
    """
    for subject, montage, raw in people:
        names = brain_channels(raw)
        x = raw.get_data([raw.ch_names.index(name) for name in names])
        facts: dict[str, Any] = {"subject": subject, "montage": montage, "clean": x}
        trials = [Trial(kind="none", snr=float("nan"), noisy=raw, **facts)]
        for kind in kinds:
            for ratio in snr:
                noisy = contaminate(
                    raw,
                    names,
                    Origin("bench", subject, "0", "0"),
                    kind=kind,  # type: ignore[arg-type]
                    snr=ratio,
                    snr_convention=snr_convention,
                    share=share,
                    seed=SEED,
                )
                trials.append(Trial(kind=kind, snr=float(ratio), noisy=noisy, **facts))
        yield trials


def run_bench(
    trials: Iterator[list[Trial]],
    cleaners: Mapping[str, Mapping[str, Any]],
    folder: Path,
    *,
    n_workers: int = 1,
    n_people: int = 0,
    report: Report = lambda words, done, total: None,
) -> pd.DataFrame:
    """A row for each cleaner and trial; what a cleaner did to a person's trials is never redone.

    Parameters
    ----------
    trials
        Of each person.
    cleaners
        Names of cleaners, each with its options; "none" does nothing.
    folder
        Keeps the rows of each person and cleaner, in a file of its own, under a name that changes
        with the recording, the cleaner's source and options, and the libraries.
    n_workers
        Processes; each takes a person.
    n_people, report
        How many people there are, and what is called with words, people done and people in all.

    Returns
    -------
    pandas.DataFrame
        subject, montage, kind, snr, cleaner, the measures of `measures`, and error: why the
        cleaner could not clean the trial, or nothing.
    """
    rows: dict[int, list[dict[str, Any]]] = {}
    calls = ((one, dict(cleaners), folder) for one in trials)
    with open_pool(n_workers, folder) as pool:
        for i, found in pool.map(_one_person, calls, called=_called):
            rows[i] = found
            report("cleaning", len(rows), n_people)
    return pd.DataFrame([row for i in sorted(rows) for row in rows[i]])


def _called(trials: Sequence[Trial], *_: object) -> str:
    return f"Cleaning {trials[0].subject}"


def _one_person(
    trials: list[Trial], cleaners: dict[str, Mapping[str, Any]], folder: Path
) -> list[dict[str, Any]]:
    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
    recordings = hashlib.sha256()
    for trial in trials:
        recordings.update(np.ascontiguousarray(trial.noisy.get_data()).tobytes())
        recordings.update(np.ascontiguousarray(trial.clean).tobytes())
    rows: list[dict[str, Any]] = []
    for name, options in cleaners.items():
        code = [cleaners_digest(), _measures_digest(), library_versions()]
        words = [recordings.hexdigest(), *code, name, options]
        key = hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()
        path = folder / f"{key[:20]}.parquet"
        if not path.exists():
            with threadpool_limits(1), _quiet(), writing(path) as file:
                found = [measures(trial, name, options) for trial in trials]
                pd.DataFrame(found).to_parquet(file, index=False)
        found_rows = pd.read_parquet(path).to_dict("records")
        rows += [{str(k): v for k, v in row.items()} for row in found_rows]
    return rows


@contextmanager
def _quiet() -> Iterator[None]:
    """Within, cleaners do not say the same doubt on every trial."""
    logger = logging.getLogger("neurodecode")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _measures_digest() -> str:
    """Digest of what is measured: an edited measure is another row."""
    sources = (Path(__file__), Path(str(measure.__file__)))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def measures(trial: Trial, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """How one cleaner does on one trial.

    Everything is measured above `neurodecode.artifacts.apply.HIGHPASS`: nothing below is cleaned.
    Errors are relative to the clean signal: over the whole recording (rrmse), of its spectrum
    (rrmse_spectrum), where there is artifact (rrmse_dirty) and where there is none (rrmse_quiet).
    Further: correlation, snr_gain (dB), covariance (log-Euclidean distance per channel), alpha
    (change of 8 to 13 Hz over posterior channels, dB), gain (of a known source that is added, 1 is
    all of it), fit_s and clean_s (seconds per minute of recording) and delay (s).
    """
    row: dict[str, Any] = {
        "subject": trial.subject,
        "montage": trial.montage,
        "kind": trial.kind,
        "snr": trial.snr,
        "cleaner": name,
        "n_chans": len(trial.clean),
        "error": "",
    }
    raw = trial.noisy
    sfreq = float(raw.info["sfreq"])
    index = [raw.ch_names.index(n) for n in brain_channels(raw)]

    def seen(recording: BaseRaw) -> Array:
        return np.asarray(without_drift(recording).get_data(index))

    noisy, clean_x = seen(raw), seen(put_back(raw, brain_channels(raw), trial.clean))
    source = known_source(raw, generator(SEED, "source", trial.subject))
    probed = raw.copy()
    probed._data[index] += source
    minutes = raw.n_times / sfreq / 60
    try:
        if name == "none":
            cleaned, again = noisy, seen(probed)
        else:
            start = time.perf_counter()
            cleaner = fit_cleaner(CLEANERS.get(name)(**options), [raw])
            row["fit_s"] = (time.perf_counter() - start) / minutes
            start = time.perf_counter()
            cleaned = seen(clean(cleaner, raw))
            row["clean_s"] = (time.perf_counter() - start) / minutes
            if isinstance(cleaner, StreamingCleaner):
                row["delay"] = cleaner.delay
            again = seen(clean(cleaner, probed))
    except NeurodecodeError as error:
        return row | {"error": f"{type(error).__name__}: {error}"}
    dirty = measure.contaminated(noisy - clean_x, sfreq) if trial.kind != "none" else None
    row |= {
        "rrmse": measure.rrmse(cleaned, clean_x),
        "rrmse_spectrum": measure.rrmse_spectrum(cleaned, clean_x, sfreq),
        "correlation": measure.correlation(cleaned, clean_x),
        "covariance": measure.covariance_distance(cleaned, clean_x),
        "gain": measure.gain(again, cleaned, seen(put_back(raw, brain_channels(raw), source))),
    }
    posterior = [i for i, n in enumerate(brain_channels(raw)) if n[0] in "PO" and n[:2] != "Fp"]
    if posterior:
        row["alpha"] = measure.band_change(cleaned[posterior], clean_x[posterior], sfreq, (8, 13))
    if dirty is not None:
        row["snr_gain"] = measure.snr_gain(cleaned, noisy, clean_x)
        row["rrmse_dirty"] = measure.rrmse(cleaned[:, dirty], clean_x[:, dirty])
        row["correlation_dirty"] = measure.correlation(cleaned[:, dirty], clean_x[:, dirty])
        if (~dirty).any():
            row["rrmse_quiet"] = measure.rrmse(cleaned[:, ~dirty], clean_x[:, ~dirty])
    return row


def known_source(raw: BaseRaw, rng: np.random.Generator) -> Array:
    """A dipole under C3 that gives a pulse of 20 ms and a burst at 10 Hz in turn, 10 uV, each 2 s.

    (n_chans, n_samples), V; of the channels of the brain that lie on the 10-10 cap.
    """
    names = brain_channels(raw)
    known = [name for name in names if name in head.cap().ch_names]
    if not known:
        raise SignalError("No channel is on the 10-10 cap, so no source can be laid under it.")
    point = head.below("C3", depth=0.2)[None]
    pattern = np.zeros(len(names))
    pattern[[names.index(n) for n in known]] = head.spread(point, point - head.centre(), known)[
        :, 0
    ]
    sfreq = float(raw.info["sfreq"])
    times = np.arange(round(0.5 * sfreq)) / sfreq
    burst = np.sin(2 * np.pi * 10 * times) * np.hanning(len(times))
    pulse = np.exp(-0.5 * ((times - 0.25) / 0.01) ** 2)
    course = np.zeros(raw.n_times)
    for i, at in enumerate(np.arange(1.0, raw.n_times / sfreq - 1, 2.0)):
        first = round((at + rng.uniform(0, 0.5)) * sfreq)
        shape = (burst if i % 2 else pulse)[: raw.n_times - first]
        course[first : first + len(shape)] += shape
    return np.asarray(10e-6 * pattern[:, None] * course)


def summarize(rows: pd.DataFrame, by: Sequence[str], measure_name: str) -> pd.DataFrame:
    """Mean over people with its 95 % interval (t), for each group and cleaner.

    People are averaged over the conditions of a group first, so each counts once.
    """
    from scipy.stats import t

    good = rows[(rows["error"] == "") & rows[measure_name].notna()]
    people = good.groupby([*by, "cleaner", "subject"], sort=False)[measure_name].mean()
    groups = people.groupby([*by, "cleaner"], sort=False)
    out = groups.agg(mean="mean", sd="std", n="count").reset_index()
    half = t.ppf(0.975, (out["n"] - 1).clip(lower=1)) * out["sd"] / np.sqrt(out["n"])
    return out.assign(low=out["mean"] - half, high=out["mean"] + half)
