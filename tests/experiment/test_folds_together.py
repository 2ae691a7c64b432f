"""Folds and seeds trained in one pass: the same jobs, each kept as soon as it is done."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.core.errors import ConfigError
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation import unit
from neurodecode.evaluation.runner import run_jobs
from neurodecode.evaluation.splits import make_folds
from neurodecode.evaluation.unit import group_units
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.fit import Plan, make_plan
from neurodecode.results.store import Run
from neurodecode.training import checkpoint


@pytest.fixture
def nets(choices: dict[str, Any]) -> dict[str, Any]:
    choices["models"] = ["csp_lda", "eegnet"]
    choices["train"] = {"epochs": 2}
    choices["evaluation"] |= {"align": ["none", "euclidean:causal"], "seeds": 2}
    choices["evaluation"]["folds_together"] = 8
    return choices


def weights(plan: Plan, run: Run) -> dict[str, list[np.ndarray]]:
    """Weights of each net, by fold, alignment and seed."""
    found = {}
    for job in plan.jobs:
        if job.train:
            net = checkpoint.load(run.checkpoint_file(job.key)).model_
            name = f"{job.fold.name} {job.align} {job.seed}"
            found[name] = [value.numpy() for value in net.state_dict().values()]
    return found


def test_a_unit_is_a_net_with_an_alignment(nets: dict[str, Any], tiny_epochs: EpochSet) -> None:
    plan = make_plan(nets, tiny_epochs)
    n_folds = len(make_folds(tiny_epochs))
    units = group_units(plan.jobs, 3)
    assert sorted(job.key for one in units for job in one) == sorted(job.key for job in plan.jobs)
    together = [one for one in units if one[0].train]
    assert {len({(job.model, job.align) for job in one}) for one in together} == {1}
    assert sum(map(len, together)) == 2 * 2 * n_folds
    assert max(map(len, together)) == 3
    assert all(len(one) == 1 for one in units if not one[0].train)


def test_every_job_has_its_row_and_its_checkpoint_gives_its_predictions(
    nets: dict[str, Any], tiny_epochs: EpochSet, tmp_path: Path
) -> None:
    plan = make_plan(nets, tiny_epochs)
    assert plan.task.together == 8
    run, done = Run(tmp_path / "run"), []
    run_jobs(plan.task, plan.jobs, run, on_done=lambda job, row, fitted: done.append(job.key))
    assert sorted(done) == sorted(job.key for job in plan.jobs)
    (job, *_) = [job for job in plan.jobs if job.train and job.align == "none"]
    decoder = checkpoint.load(run.checkpoint_file(job.key))
    kept = run.read_predictions(job.key).filter(like="p_").to_numpy()
    np.testing.assert_array_equal(decoder.predict_proba(tiny_epochs.x[job.fold.test]), kept)
    seeds = weights(plan, run)
    assert len({values[0].tobytes() for values in seeds.values()}) == len(seeds)


def test_a_test_subject_changes_nothing_of_its_net(
    nets: dict[str, Any], tiny_epochs: EpochSet, tmp_path: Path
) -> None:
    """Its windows and labels are in the same pass, where other folds learn from them."""
    plan = make_plan(nets, tiny_epochs)
    first = plan.jobs[0].fold
    x, y = tiny_epochs.x.copy(), tiny_epochs.y.copy()
    x[first.test] = 3 * x[first.test][:, ::-1]
    y[first.test] = 1 - y[first.test]
    jobs = [job for job in plan.jobs if job.align == "none"]
    changed = replace(plan.task, epochs=replace(tiny_epochs, x=x, y=y))
    found = []
    for task in (plan.task, changed):
        run = Run(tmp_path / str(len(found)) / "run")
        run_jobs(task, jobs, run)
        found.append(weights(replace(plan, jobs=jobs), run))
    for name in found[0]:
        same = [np.array_equal(a, b) for a, b in zip(found[0][name], found[1][name], strict=True)]
        assert all(same) == name.startswith(first.name), name


def test_what_was_done_before_a_failure_is_not_done_again(
    nets: dict[str, Any],
    tiny_epochs: EpochSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan, kept, whole = make_plan(nets, tiny_epochs), [], unit._tested

    def once(job: Any, *rest: Any) -> Any:
        if job.train and len(kept) == 5:
            raise KeyboardInterrupt
        kept.append(job.key)
        return whole(job, *rest)

    monkeypatch.setattr(unit, "_tested", once)
    run, fresh = Run(tmp_path / "run"), []
    with pytest.raises(KeyboardInterrupt):
        run_jobs(plan.task, plan.jobs, run)
    monkeypatch.setattr(unit, "_tested", whole)
    run_jobs(
        plan.task,
        plan.jobs,
        run,
        on_done=lambda job, row, fitted: fresh.append(job.key) if fitted else None,
    )
    assert sorted([*kept, *fresh]) == sorted(job.key for job in plan.jobs)


def test_a_net_that_cannot_is_trained_alone(
    nets: dict[str, Any], tiny_epochs: EpochSet, tmp_path: Path
) -> None:
    nets["models"], nets["evaluation"]["align"] = ["spiking_eegnet"], ["none"]
    nets["train"]["epochs"], nets["evaluation"]["seeds"] = 1, 1
    plan = make_plan(nets, tiny_epochs)
    run = Run(tmp_path / "run")
    run_jobs(plan.task, plan.jobs, run)
    assert all(run.read_row(job.key) for job in plan.jobs)


def test_a_number_below_nought_is_refused() -> None:
    with pytest.raises(ConfigError, match="folds_together is a number of folds, or 0"):
        resolve("mi", sets=["evaluation.folds_together=-1"])
