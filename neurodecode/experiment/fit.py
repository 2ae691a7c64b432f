"""Plans a run from choices and data, and carries it out."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodecode.core.errors import SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.runner import Job, Task, job_key, run_jobs
from neurodecode.evaluation.splits import make_folds
from neurodecode.experiment.choices import Tree, to_toml
from neurodecode.experiment.data import Report, count_subjects, load_epochs
from neurodecode.models import MODELS
from neurodecode.recordings.cards import find_card
from neurodecode.results.provenance import environment, library_versions, source_digest
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run, Store


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
    """

    choices: Tree
    task: Task
    data: str
    jobs: list[Job]
    n_params: dict[str, int]

    @property
    def run_id(self) -> str:
        """Name of the run's folder: the same choices on the same data give the same name."""
        words = json.dumps(self.choices, sort_keys=True, default=list)
        digest = hashlib.sha256(words.encode()).hexdigest()[:8]
        return "-".join([self.task.paradigm, self.task.dataset, self.task.protocol, digest])


def build_models(choices: Tree, spec: TaskSpec) -> dict[str, int]:
    """Build every decoder for these facts, train none: name to trainable parameters.

    Only nets have any; the count is 0 for decoders that are not trained by gradient.

    Raises
    ------
    NeurodecodeError
        If one cannot be built.
    """
    from sklearn.base import BaseEstimator

    counts = {}
    for name in choices["models"]:
        model = MODELS.get(name)(spec, **choices["model"].get(name, {}))
        classical = isinstance(model, BaseEstimator)
        counts[name] = 0 if classical else sum(p.numel() for p in model.parameters())
    return counts


def make_plan(choices: Tree, epochs: EpochSet) -> Plan:
    """All folds, alignments, decoders and seeds of a run, each with its key."""
    evaluation = choices["evaluation"]
    align, seeds = list(evaluation["align"]), evaluation["seeds"]
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
    )
    folds = make_folds(
        epochs,
        protocol=evaluation["protocol"],
        n_folds=evaluation["n_folds"],
        order=evaluation["order"],
    )
    data, versions = epochs.digest(), library_versions()
    shuffled = evaluation["shuffle_labels"]
    jobs = []
    n_params = build_models(choices, epochs.spec)
    for model in n_params:
        options, net = choices["model"].get(model, {}), n_params[model] > 0
        own: dict[str, Any] = {
            "model": model,
            "options": options,
            "train": choices["train"] if net else {},
            "shuffled": shuffled,
        }
        code = source_digest(MODELS.find(model).module)
        jobs += [
            Job(
                fold=fold,
                align=a,
                seed=seed,
                key=job_key(
                    data, code, versions, fold, align=a, seed=seed, metric=task.metric, **own
                ),
                **own,
            )
            for fold in folds
            for a in align
            for seed in (seeds if net or shuffled else seeds[:1])
        ]
    order = {fold.name: i for i, fold in enumerate(folds)}
    # fold by fold, so that a run stopped half-way compares all decoders on what it has
    jobs.sort(key=lambda job: (order[job.fold.name], align.index(job.align)))
    return Plan(choices=choices, task=task, data=data, jobs=jobs, n_params=n_params)


def fit(
    choices: Tree,
    runs: Path,
    *,
    n_workers: int | None = None,
    report: Report = lambda words, done, total: None,
    on_plan: Callable[[Plan, Run], None] = lambda plan, run: None,
    on_done: Callable[[Job, ResultRow, bool], None] = lambda job, row, fitted: None,
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
    report, on_plan, on_done
        Called while reading, when the plan is made, and after each job.
    """
    store = Store.open(runs)
    plan = make_plan(choices, load_epochs(choices, report=report))
    run = store.run(plan.run_id)
    meta = {
        "paradigm": plan.task.paradigm,
        "dataset": plan.task.dataset,
        "protocol": plan.task.protocol,
        "metric": plan.task.metric,
        "classes": list(plan.task.epochs.classes),
        "ch_names": list(plan.task.epochs.ch_names),
        "sfreq": plan.task.epochs.sfreq,
        "n_windows": len(plan.task.epochs),
        "simulated": plan.task.simulated,
        "data": plan.data,
        "folds": [job.key for job in plan.jobs],
        **environment(),
    }
    run.describe(to_toml(choices), meta)
    on_plan(plan, run)
    if n_workers is None:
        n_workers = default_workers(plan)
    run_jobs(plan.task, plan.jobs, run, n_workers=n_workers, on_done=on_done)
    return run


def default_workers(plan: Plan) -> int:
    """One process per core where folds of nets are trained on the CPU.

    A net of this size gains little from a second thread, and a second fold gains a core. Without
    a net, starting processes takes longer than the folds.
    """
    from neurodecode.training.net import choose_device  # here: it takes torch

    has_net = any(n > 0 for n in plan.n_params.values())
    on_cpu = choose_device(plan.choices["train"].get("device", "auto")).type == "cpu"
    return (os.cpu_count() or 1) if has_net and on_cpu else 1


def preview(choices: Tree, *, report: Report = lambda words, done, total: None) -> dict[str, Any]:
    """What a run would do, from the first subject's recordings alone; nothing is fitted.

    Returns
    -------
    dict
        Facts of the windows, parameters of each decoder, and the number of fits where the
        protocol fixes it before all recordings are read.
    """
    epochs = load_epochs(choices, n_subjects=1, report=report)
    spec = epochs.spec
    n_subjects = count_subjects(choices)
    facts: dict[str, Any] = {
        "dataset": "+".join(_dataset_names(choices)),
        "simulated": any(card.simulated for card in _cards(choices)),
        "subjects": n_subjects,
        "classes": list(epochs.classes),
        "windows_of_first_subject": len(epochs),
        "window": f"{spec.n_chans} channels x {spec.n_times} samples at {spec.sfreq:g} Hz",
        "models": build_models(choices, spec),
    }
    if choices["evaluation"]["protocol"] == "cross-subject":
        facts["folds"] = choices["evaluation"]["n_folds"] or n_subjects
    return facts


def _cards(choices: Tree) -> list[Any]:
    return [find_card(name, paradigm=choices["paradigm"]) for name in choices["data"]["dataset"]]


def _dataset_names(choices: Tree) -> list[str]:
    return [card.name for card in _cards(choices)]
