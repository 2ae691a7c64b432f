"""Nothing fitted sees a test label, a test subject, or a future sample in causal mode."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.jobs import Task
from neurodecode.evaluation.runner import run_jobs
from neurodecode.evaluation.sides import aligned_windows
from neurodecode.evaluation.splits import make_folds
from neurodecode.experiment.fit import make_plan
from neurodecode.results.store import Run
from neurodecode.training import checkpoint

MODELS = ["csp_lda", "ts_lr", "eegnet"]


def predictions(
    choices: dict[str, Any], epochs: EpochSet, task_epochs: EpochSet, path: Path
) -> dict[str, tuple[np.ndarray, bytes]]:
    """Probabilities and fitted values of the first fold, planned on one set and run on another."""
    plan = make_plan(choices, epochs)
    first = plan.jobs[0].fold.name
    jobs = [job for job in plan.jobs if job.fold.name == first]
    task: Task = replace(plan.task, epochs=task_epochs)
    run = Run(path / "run")  # a store of its own: a sibling run would lend its folds
    run_jobs(task, jobs, run)
    out = {}
    for job in jobs:
        table = run.read_predictions(job.key).filter(like="p_").to_numpy()
        decoder = checkpoint.load(run.checkpoint_file(job.key))
        probe = np.random.default_rng(0).standard_normal(epochs.x[:8].shape).astype(np.float32)
        out[f"{job.model} {job.align}"] = (table, decoder.predict_proba(probe).tobytes())
    return out


@pytest.fixture
def many(choices: dict[str, Any]) -> dict[str, Any]:
    choices["models"] = MODELS
    choices["train"] = {"epochs": 2}
    choices["evaluation"]["align"] = ["none", "euclidean:causal", "riemannian:batch"]
    return choices


def test_labels_of_the_test_subject_change_nothing(
    many: dict[str, Any], tiny_epochs: EpochSet, tmp_path: Path
) -> None:
    test = make_folds(tiny_epochs)[0].test
    y = tiny_epochs.y.copy()
    y[test] = 1 - y[test]
    before = predictions(many, tiny_epochs, tiny_epochs, tmp_path / "a")
    after = predictions(many, tiny_epochs, replace(tiny_epochs, y=y), tmp_path / "b")
    assert len(before) == 9
    for name, (proba, fitted) in before.items():
        np.testing.assert_array_equal(proba, after[name][0], err_msg=name)
        assert fitted == after[name][1], name


def test_windows_of_the_test_subject_change_nothing_that_was_fitted(
    many: dict[str, Any], tiny_epochs: EpochSet, tmp_path: Path
) -> None:
    """Not the normalisation, the alignment of the training side, the epoch, nor the weights."""
    test = make_folds(tiny_epochs)[0].test
    x = tiny_epochs.x.copy()
    x[test] = 5 * x[test][:, ::-1] + 3
    before = predictions(many, tiny_epochs, tiny_epochs, tmp_path / "a")
    after = predictions(many, tiny_epochs, replace(tiny_epochs, x=x), tmp_path / "b")
    for name, (proba, fitted) in before.items():
        assert fitted == after[name][1], name
        assert (proba != after[name][0]).any(), name


def test_labels_of_the_training_side_do_matter(
    many: dict[str, Any], tiny_epochs: EpochSet, tmp_path: Path
) -> None:
    """The tests above would pass for decoders that learn nothing; these do learn."""
    train = make_folds(tiny_epochs)[0].train
    y = tiny_epochs.y.copy()
    y[train] = 1 - y[train]
    before = predictions(many, tiny_epochs, tiny_epochs, tmp_path / "a")
    after = predictions(many, tiny_epochs, replace(tiny_epochs, y=y), tmp_path / "b")
    assert [name for name in before if before[name][1] == after[name][1]] == []


@pytest.mark.parametrize("align", ["none", "euclidean:causal", "riemannian:causal"])
def test_later_windows_change_nothing_of_earlier_ones(align: str, tiny_epochs: EpochSet) -> None:
    fold = make_folds(tiny_epochs)[0]
    x = tiny_epochs.x.copy()
    x[fold.test[8:]] *= 7
    train, test = aligned_windows(tiny_epochs, fold, align)
    train_too, test_too = aligned_windows(replace(tiny_epochs, x=x), fold, align)
    np.testing.assert_array_equal(train, train_too)
    np.testing.assert_array_equal(test[:8], test_too[:8])


def test_batch_alignment_does_see_them_and_says_so(tiny_epochs: EpochSet) -> None:
    fold = make_folds(tiny_epochs)[0]
    x = tiny_epochs.x.copy()
    x[fold.test[8:]] *= 7
    align = "euclidean:batch"
    _, test = aligned_windows(tiny_epochs, fold, align)
    _, test_too = aligned_windows(replace(tiny_epochs, x=x), fold, align)
    assert (test[:8] != test_too[:8]).any()


def test_validation_subjects_are_training_subjects(
    many: dict[str, Any],
    tiny_epochs: EpochSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A net is trained on whole subjects, its epoch chosen on others; neither is the test one."""
    import neurodecode.training.estimator as estimator

    seen: list[tuple[set[str], set[str]]] = []
    own = estimator.choose_validation

    def noted(y: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
        held_out = own(y, groups, seed)
        seen.append((set(groups[~held_out]), set(groups[held_out])))
        return held_out

    monkeypatch.setattr(estimator, "choose_validation", noted)
    many["models"], many["evaluation"]["align"] = ["eegnet"], ["none"]
    predictions(many, tiny_epochs, tiny_epochs, tmp_path)
    (train, validation), test = seen[0], make_folds(tiny_epochs)[0].subject
    assert validation
    assert not train & validation
    assert not {name for name in train | validation if name.endswith(f"/{test}")}
