"""Plans a run from choices and data, and carries it out."""

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.contaminate import in_words
from neurodecode.core.errors import SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.alarms import Detection
from neurodecode.evaluation.cleaning import CleanWord, Continuous, training_parts
from neurodecode.evaluation.jobs import Job, Task, job_key
from neurodecode.evaluation.pseudo_online import Live
from neurodecode.evaluation.runner import run_jobs
from neurodecode.evaluation.splits import EVERYBODY, PSEUDO_ONLINE, everybody
from neurodecode.evaluation.workers import check_scheduler
from neurodecode.experiment.again import Command, Origin
from neurodecode.experiment.choices import Tree, to_toml
from neurodecode.experiment.data import Report, find_people, load_data, load_epochs
from neurodecode.experiment.folds import folds_of
from neurodecode.experiment.live_choices import policy_of
from neurodecode.experiment.start import refuse_seen, start_key
from neurodecode.experiment.windows import files_read
from neurodecode.models import MODELS, split_mode
from neurodecode.recordings.cards import find_card
from neurodecode.recordings.sources import Stamp
from neurodecode.results.provenance import (
    cleaners_digest,
    environment,
    library_versions,
    live_digest,
    source_digest,
)
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run, Store

logger = logging.getLogger(__name__)

TOGETHER = 64
"""Folds of a net that a GPU trains in one pass, unless they do not fit its memory."""

LIVE = (
    "every step is causal, as live; after the folds each decoder is fitted to everybody, for "
    "`neurodecode online RUN`"
)
"""What there is to say of a run whose decoders are made for use live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run will do.

    Attributes
    ----------
    choices
        Resolved.
    task
        Data and words.
    data
        Digest of the windows.
    jobs
        In the order in which they are done.
    n_params
        Trainable parameters of each decoder.
    seen
        People whom a pretrained backbone has seen, where they may be tested.
    """

    choices: Tree
    task: Task
    data: str
    jobs: list[Job]
    n_params: dict[str, int]
    seen: list[str]

    @property
    def folds(self) -> list[str]:
        """Keys of what is tested."""
        return [job.key for job in self.jobs if job.fold.name != EVERYBODY]

    @property
    def live(self) -> list[str]:
        """Keys of decoders that are fitted to everybody, for use live."""
        return [job.key for job in self.jobs if job.fold.name == EVERYBODY]

    @property
    def run_id(self) -> str:
        """Name of the run's folder: the same choices on the same data give the same name."""
        # Where windows are kept changes nothing about them.
        data = {name: value for name, value in self.choices["data"].items() if name != "cache"}
        words = json.dumps({**self.choices, "data": data}, sort_keys=True, default=list)
        digest = hashlib.sha256(words.encode()).hexdigest()[:8]
        added = ["contaminated"] if self.task.contaminated else []
        return "-".join([self.task.paradigm, self.task.dataset, self.task.protocol, *added, digest])


def build_models(choices: Tree, spec: TaskSpec) -> dict[str, int]:
    """Build every decoder for these facts, train none: name to trainable parameters.

    Only nets have any; the count is 0 for decoders that are not trained by gradient.

    Raises
    ------
    NeurodecodeError
        If one cannot be built.
    """
    from sklearn.base import BaseEstimator

    counts, notices = {}, dict[str, None]()
    for word in choices["models"]:
        name = split_mode(word)[0]
        model = MODELS.get(name)(spec, **choices["model"].get(name, {}))
        notices[getattr(model, "notice", "")] = None
        classical = isinstance(model, BaseEstimator)
        counts[word] = 0 if classical else sum(p.numel() for p in model.parameters())
    for notice in filter(None, notices):
        logger.warning("%s", notice.strip())
    return counts


def build_cleaners(choices: Tree) -> list[str]:
    """Build every cleaner that is named, fit none: their names.

    Raises
    ------
    NeurodecodeError
        If one cannot be built.
    """
    words = (CleanWord.parse(word).name for word in choices["evaluation"]["clean"])
    names = [name for name in dict.fromkeys(words) if name != "none"]
    for name in names:
        CLEANERS.get(name)(**choices["clean"].get(name, {}))
    return names


def make_plan(choices: Tree, epochs: EpochSet, continuous: Continuous | None = None) -> Plan:
    """All folds, alignments, cleaners, decoders and seeds of a run, each with its key.

    Parameters
    ----------
    choices
        As `resolve` returns them.
    epochs, continuous
        As `load_data` returns them.
    """
    evaluation = choices["evaluation"]
    align, clean, seeds = list(evaluation["align"]), list(evaluation["clean"]), evaluation["seeds"]
    seeds = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    counts = {name: int((epochs.y == c).sum()) for c, name in enumerate(epochs.classes)}
    if min(counts.values()) < 2:
        found = ", ".join(f"{n} of {name}" for name, n in counts.items())
        raise SignalError(
            f"Windows are too few: {found}, and every class needs at least two. Choose other "
            f"classes with --events, or give more recordings."
        )
    task = Task(
        epochs=epochs,
        paradigm=choices["paradigm"],
        dataset="+".join(_dataset_names(choices)),
        protocol=evaluation["protocol"],
        metric=evaluation["metric"],
        simulated=any(card.simulated for card in _cards(choices)),
        contaminated=in_words(choices["contaminate"]),
        continuous=continuous,
        detection=_detection(choices, epochs),
        live=_live(choices, epochs),
        together=evaluation["folds_together"] or default_together(choices),
    )
    data, versions = epochs.digest(), library_versions()
    folds = folds_of(choices, epochs, data)
    shuffled = evaluation["shuffle_labels"]
    if evaluation["online_ready"] and not shuffled:  # what learned from a control is of no use
        folds.append(everybody(epochs))
    people = epochs.table[["dataset", "subject"]].drop_duplicates().itertuples(index=False)
    seen = refuse_seen(choices, ((dataset, subject) for dataset, subject in people))
    build_cleaners(choices)
    for word in clean:
        if continuous is not None and word != "none" and not CleanWord.parse(word).own:
            for fold in folds:
                training_parts(continuous, fold, word)  # before anything is fitted
    cleaning = {word: _cleaning_key(choices, continuous, word) for word in clean}
    playing = _playing_key(choices, continuous)
    jobs = []
    n_params = build_models(choices, epochs.spec)
    for model in n_params:
        name = split_mode(model)[0]
        options, net = choices["model"].get(name, {}), n_params[model] > 0
        own: dict[str, Any] = {
            "model": model,
            "options": options,
            "train": choices["train"] if net else {},
            "shuffled": shuffled,
        }
        # Dropout's draws are others when nets are trained in one pass.
        together = {"together": True} if net and evaluation["folds_together"] > 1 else {}
        code, start = source_digest(MODELS.find(name).module), start_key(choices, model)
        jobs += [
            Job(
                fold=fold,
                align=a,
                clean=word,
                seed=seed,
                key=job_key(
                    data,
                    code,
                    versions,
                    fold,
                    align=a,
                    seed=seed,
                    metric=task.metric,
                    **({} if task.detection is None else {"detection": task.detection}),
                    **(cleaning[word] | ({} if fold.name == EVERYBODY else playing)),
                    **start,
                    **together,
                    **own,
                ),
                pretrained=choices["pretrained"] if split_mode(model)[1] != "scratch" else {},
                **own,
            )
            for fold in folds
            for word in clean
            for a in align
            for seed in (seeds if (net or shuffled) and fold.name != EVERYBODY else seeds[:1])
        ]
    order = {fold.name: i for i, fold in enumerate(folds)}
    # fold by fold, so that a run stopped half-way compares all decoders on what it has
    jobs.sort(
        key=lambda job: (order[job.fold.name], clean.index(job.clean), align.index(job.align))
    )
    return Plan(choices=choices, task=task, data=data, jobs=jobs, n_params=n_params, seen=seen)


def _live(choices: Tree, epochs: EpochSet) -> Live | None:
    """How decisions are taken, where test recordings are played."""
    if not choices["evaluation"]["online_ready"]:
        return None
    online = choices["online"]
    duration = epochs.spec.duration
    policy = policy_of(online, epochs.classes, duration=duration)  # refuses what cannot be
    if choices["evaluation"]["protocol"] != PSEUDO_ONLINE:
        return None
    parts = {name: choices[name] for name in ("preprocess", "epochs")}
    return Live(policy=policy, hop=float(online["hop"]), **parts)


def _playing_key(choices: Tree, continuous: Continuous | None) -> dict[str, Any]:
    """What the key of a fold must hold of recordings that are played; nothing where none is."""
    if choices["evaluation"]["protocol"] != PSEUDO_ONLINE:
        return {}
    assert continuous is not None, "recordings are kept where they are played"
    happened = [
        (t.onset.tolist(), t.duration.tolist(), t.label.tolist()) for t in continuous.timelines
    ]
    return {
        "live": choices["online"],
        "live_code": live_digest(),
        "happened": happened,
        "recordings": continuous.digest(),
        "preprocess": choices["preprocess"],
        "epochs": choices["epochs"],
    }


def _detection(choices: Tree, epochs: EpochSet) -> Detection | None:
    """How windows become events, where they slide."""
    cut, evaluation = choices["epochs"], choices["evaluation"]
    if not cut["slide"] or evaluation["protocol"] == PSEUDO_ONLINE:
        return None
    return Detection(
        # Whole samples, as windows step.
        stride=round(cut["stride"] * epochs.sfreq) / epochs.sfreq
        if cut["stride"]
        else epochs.x.shape[2] / epochs.sfreq,
        threshold=evaluation["threshold"],
        smoothing=evaluation["smoothing"],
    )


def _cleaning_key(choices: Tree, continuous: Continuous | None, word: str) -> dict[str, Any]:
    """What the key of a fold must hold of its cleaning; nothing where there is none.

    A cleaner sees samples between the windows, and before the band; and files that options name.
    """
    if word == "none":
        return {}
    assert continuous is not None, "recordings are kept where they are cleaned"
    options = choices["clean"].get(CleanWord.parse(word).name, {})
    files = [Path(v) for v in options.values() if isinstance(v, str) and Path(v).is_file()]
    return {
        "clean": word,
        "clean_options": options,
        "clean_files": [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
        "clean_code": cleaners_digest(),
        "recordings": continuous.digest(),
        "preprocess": choices["preprocess"],
        "epochs": choices["epochs"],
    }


def fit(
    choices: Tree,
    runs: Path,
    *,
    n_workers: int | None = None,
    scheduler: str | None = None,
    report: Report = lambda words, done, total: None,
    on_plan: Callable[[Plan, Run], None] = lambda plan, run: None,
    on_done: Callable[[Job, ResultRow, bool], None] = lambda job, row, fitted: None,
    command: Command | None = None,
) -> Run:
    """Load, plan, fit what is not yet finished, and return the run.

    Parameters
    ----------
    choices
        As `resolve` returns them.
    runs
        Folder of runs.
    n_workers
        Processes; by default one per core if there is a net to train on the CPU, else one.
    scheduler
        Address of a Dask scheduler, or the file that it wrote: its workers are used instead.
    report, on_plan, on_done
        Called while reading, when the plan is made, and after each job.
    command
        What the choices come from; given again, it is answered without reading the recordings.
    """
    store = Store.open(runs)
    cards = _cards(choices)
    origin, read = Origin(cards, choices), list[Stamp]()
    if scheduler is not None:
        check_scheduler(scheduler)  # before anything is read
    plan = make_plan(choices, *load_data(choices, report=report))
    if command is not None:
        read = [stamp for card in cards for stamp in files_read(card, choices)]
    run = store.run(plan.run_id)
    meta = {
        "paradigm": plan.task.paradigm,
        "dataset": plan.task.dataset,
        "protocol": plan.task.protocol,
        "metric": plan.task.metric,
        "classes": list(plan.task.epochs.classes),
        "ch_names": list(plan.task.epochs.ch_names),
        "sfreq": plan.task.epochs.sfreq,
        "n_times": plan.task.epochs.x.shape[2],
        "n_windows": len(plan.task.epochs),
        "simulated": plan.task.simulated,
        "contaminated": plan.task.contaminated,
        "seen": plan.seen,
        "data": plan.data,
        "folds": plan.folds,
        "online_ready": choices["evaluation"]["online_ready"],
        "live": plan.live,
        **environment(),
    }
    run.describe(to_toml(choices), meta)
    on_plan(plan, run)
    if n_workers is None:
        n_workers = default_workers(plan)
    run_jobs(plan.task, plan.jobs, run, n_workers=n_workers, scheduler=scheduler, on_done=on_done)
    if command is not None:
        origin.remember(run, command, [job.key for job in plan.jobs], read)
    return run


def default_workers(plan: Plan) -> int:
    """One process per core where nets are trained, or recordings cleaned, on the CPU.

    A net of this size gains little from a second thread, and a second fold gains a core. Without
    a net or a cleaner, starting processes takes longer than the folds.
    """
    from neurodecode.training.net import choose_device  # here: it takes torch

    slow = any(n > 0 for n in plan.n_params.values()) or plan.task.continuous is not None
    on_cpu = choose_device(plan.choices["train"].get("device", "auto")).type == "cpu"
    return (os.cpu_count() or 1) if slow and on_cpu else 1


def default_together(choices: Tree) -> int:
    """How many folds of a net are trained in one pass where nobody says: by device.

    A GPU does many small nets in hardly more time than one; a core has its hands full with one.
    """
    from neurodecode.training.net import choose_device  # here: it takes torch

    on_gpu = choose_device(choices["train"].get("device", "auto")).type == "cuda"
    return TOGETHER if on_gpu else 1


def preview(choices: Tree, *, report: Report = lambda words, done, total: None) -> dict[str, Any]:
    """What a run would do, from the first subject's recordings alone; nothing is fitted.

    Returns
    -------
    dict
        Facts of the windows, parameters of each decoder, and the number of fits where the
        protocol fixes it before all recordings are read.
    """
    people = find_people(choices)
    refuse_seen(choices, people)
    epochs = load_epochs(choices, n_subjects=1, report=report)
    spec, n_subjects = epochs.spec, len(people)
    facts: dict[str, Any] = {
        "dataset": "+".join(_dataset_names(choices)),
        "simulated": any(card.simulated for card in _cards(choices)),
        "subjects": n_subjects,
        "classes": list(epochs.classes),
        "windows_of_first_subject": len(epochs),
        "window": f"{spec.n_chans} channels x {spec.n_times} samples at {spec.sfreq:g} Hz",
        "models": build_models(choices, spec),
    }
    if added := in_words(choices["contaminate"]):
        facts["contaminated"] = added
    if cleaners := build_cleaners(choices):
        facts["cleaners"] = ", ".join(cleaners)
    evaluation = choices["evaluation"]
    if "cross-subject" in (evaluation["protocol"], evaluation["split"]):
        facts["folds"] = evaluation["n_folds"] or n_subjects
    if evaluation["online_ready"]:
        facts["live"] = LIVE
    return facts


def _cards(choices: Tree) -> list[Any]:
    return [find_card(name, paradigm=choices["paradigm"]) for name in choices["data"]["dataset"]]


def _dataset_names(choices: Tree) -> list[str]:
    return [card.name for card in _cards(choices)]
