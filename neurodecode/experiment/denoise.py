"""Plans a run that trains denoisers, and carries it out."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodecode.artifacts import bank as bank_module
from neurodecode.artifacts import mixing
from neurodecode.artifacts.bank import Bank
from neurodecode.core.options import keywords
from neurodecode.evaluation.denoisers import (
    DenoiseJob,
    DenoiseTask,
    build_denoiser,
    check_fit,
    check_sources,
    run_denoise_job,
    split_three,
)
from neurodecode.experiment.banks import SFREQ, build_bank, facts_of
from neurodecode.experiment.choices import Tree, to_toml
from neurodecode.experiment.data import Report
from neurodecode.experiment.denoise_choices import choose_mix
from neurodecode.models import DENOISERS
from neurodecode.results.provenance import environment, library_versions, source_digest
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run, Store, writing
from neurodecode.training.denoise import fit_denoiser


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoisePlan:
    """What a run will do.

    Attributes
    ----------
    choices
        Resolved.
    task
        People, mixtures and words.
    data
        Digest of the bank.
    units
        What was split: "people" or "blocks, not people".
    jobs
        In the order in which they are done.
    """

    choices: Tree
    task: DenoiseTask
    data: str
    units: str
    jobs: list[DenoiseJob]

    @property
    def run_id(self) -> str:
        """Name of the run's folder: the same choices on the same data give the same name."""
        words = json.dumps(self.choices, sort_keys=True, default=list)
        digest = hashlib.sha256(words.encode()).hexdigest()[:8]
        return "-".join(["denoise", self.task.dataset, self.task.protocol, digest])


def make_denoise_plan(choices: Tree, bank: Bank) -> DenoisePlan:
    """All nets and seeds of a run, each with its key.

    Parameters
    ----------
    choices
        As `resolve_denoise` returns them.
    bank
        As `build_bank` returns it.
    """
    facts = facts_of(choices["bank"])
    parts, mix, test = split_three(bank), choices["mix"], choices["evaluation"]
    recipe = choose_mix(bank, 1, **mix)
    check_sources(parts, recipe, test["snr"])
    data, versions = bank.digest(), library_versions()
    account = {
        "bank": {**choices["bank"], "digest": data, "dataset": facts.dataset},
        "simulated": facts.simulated,
        "split": facts.units,
        "people": {name: list(part.subjects) for name, part in parts._asdict().items()},
        "mix": mix,
        "test": {"snr": list(test["snr"]), "n_windows": test["n_windows"]},
        "environment": environment(),
    }
    task = DenoiseTask(
        parts=parts,
        recipe=recipe,
        snr=test["snr"],
        n_windows=test["n_windows"],
        dataset=facts.dataset,
        protocol="cross-subject" if facts.units == "people" else "cross-block",
        simulated=facts.simulated,
        account=account,
    )
    train = _whole(choices["train"])
    jobs = []
    for seed in test["seeds"]:  # seed by seed: a run stopped half-way compares all nets
        for name in choices["models"]:
            options = choices["model"].get(name, {})
            own = {"options": options, "train": train, "seed": seed}
            key = _key(data, versions, name, mix=mix, test=account["test"], **own)
            jobs.append(DenoiseJob(name=name, key=key, **own))
    return DenoisePlan(choices=choices, task=task, data=data, units=facts.units, jobs=jobs)


def _whole(train: dict[str, Any]) -> dict[str, Any]:
    """The options of training with their defaults, for the account of it."""
    return {name: train.get(name, p.default) for name, p in keywords(fit_denoiser).items()}


def _key(data: str, versions: dict[str, str], name: str, **own: Any) -> str:
    """Key of a net: it changes with anything that could change its weights or its score."""
    code = [source_digest(DENOISERS.find(name).module)]
    code += [Path(str(module.__file__)).read_text("utf-8") for module in (bank_module, mixing)]
    own["train"] = {k: v for k, v in own["train"].items() if k != "device"}
    words = {"data": data, "versions": versions, "model": name, "code": code, **own}
    return hashlib.sha256(json.dumps(words, sort_keys=True, default=list).encode()).hexdigest()[:20]


def fit_denoisers(
    choices: Tree,
    runs: Path,
    *,
    report: Report = lambda words, done, total: None,
    on_plan: Callable[[DenoisePlan, Run], None] = lambda plan, run: None,
    on_done: Callable[[DenoiseJob, ResultRow, bool], None] = lambda job, row, fitted: None,
) -> Run:
    """Build the bank, train and test what is not yet finished, and return the run.

    Parameters
    ----------
    choices
        As `resolve_denoise` returns them.
    runs
        Folder of runs.
    report, on_plan, on_done
        Called while the bank is built and nets are trained, when the plan is made, and after
        each net.
    """
    store = Store.open(runs)
    count_parameters(choices)  # before a bank is built
    plan = make_denoise_plan(choices, build_bank(choices["bank"], report))
    run = store.run(plan.run_id)
    task = plan.task
    meta = {
        "paradigm": "denoise",
        "dataset": task.dataset,
        "protocol": task.protocol,
        "metric": "rrmse",
        "simulated": task.simulated,
        "split": plan.units,
        "people": task.account["people"],
        "snr": list(task.snr),
        "snr_convention": task.recipe.convention,
        "sfreq": task.parts.test.sfreq,
        "data": plan.data,
        "folds": [job.key for job in plan.jobs],
        **environment(),
    }
    run.describe(to_toml(choices), meta)
    on_plan(plan, run)
    for job in plan.jobs:
        row = run.read_row(job.key)
        if row is None and run.adopt(job.key):
            row = run.read_row(job.key)
        fitted = row is None
        if row is None:
            row = run_denoise_job(task, job, run, report)
        _name_weights(run, job, plan.jobs)
        on_done(job, row, fitted)
    return run


def weights_file(run: Run, job: DenoiseJob, jobs: Sequence[DenoiseJob]) -> Path:
    """Where a person finds the weights: ``checkpoints/NAME.safetensors``, and the seed if many."""
    several = len({other.seed for other in jobs}) > 1
    name = job.name.replace(":", "-") + (f"-seed{job.seed}" if several else "")
    return run.path / "checkpoints" / f"{name}.safetensors"


def _name_weights(run: Run, job: DenoiseJob, jobs: Sequence[DenoiseJob]) -> None:
    """Give the weights a name for people, beside the key."""
    source = run.checkpoint_file(job.key)
    if source.exists():
        with writing(weights_file(run, job, jobs)) as file:
            try:
                os.link(source, file)
            except OSError:  # another file system, or one without links
                shutil.copyfile(source, file)


def count_parameters(choices: Tree) -> dict[str, int]:
    """Build every net, train none: name to trainable parameters.

    Raises
    ------
    NeurodecodeError
        If one cannot be built, or not be trained on such a bank.
    """
    placed, counts = facts_of(choices["bank"]).placed, {}
    for name in choices["models"]:
        net = build_denoiser(name, choices["model"].get(name, {}))
        check_fit(net, name, sfreq=SFREQ, placed=placed)
        counts[name] = sum(p.numel() for p in net.parameters())
    return counts


def preview_denoise(choices: Tree) -> dict[str, Any]:
    """What a run would do; nothing is read or trained."""
    facts = facts_of(choices["bank"])
    return {
        "dataset": facts.dataset,
        "simulated": facts.simulated,
        "sources": f"{facts.n_units} {facts.units}",
        "models": count_parameters(choices),
        "fits": len(choices["models"]) * len(choices["evaluation"]["seeds"]),
        "decibels": choices["mix"]["snr_convention"],
    }
