"""The jobs of one process: each decoder fitted, tested and kept, some of them together."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from neurodecode.core.errors import FitError
from neurodecode.epochs.epochset import EpochSet, spans
from neurodecode.epochs.view import View
from neurodecode.evaluation.alarms import score_alarms
from neurodecode.evaluation.jobs import Job, Task
from neurodecode.evaluation.metrics import score_all
from neurodecode.evaluation.pseudo_online import Shown, live_pipeline, play_fold
from neurodecode.evaluation.sides import Sides, SidesOf, fitted_in_fold, training_labels
from neurodecode.evaluation.splits import Fold
from neurodecode.models import BACKBONES, split_mode
from neurodecode.nn.threads import torch_threads
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

logger = logging.getLogger(__name__)

OnDone = Callable[[Job, ResultRow, bool], None]


def group_units(jobs: Iterable[Job], together: int = 1) -> list[list[Job]]:
    """Jobs that are done by one process, in the order of the first of each.

    Parameters
    ----------
    jobs
        To be done.
    together
        How many nets are trained in one pass, at most. With one, a unit is a fold with an alignment
        and a cleaning, and alignments that share a cleaner fitted in the fold stay together; with
        more, folds and seeds of a net with an alignment are.
    """
    units: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        align = "" if fitted_in_fold(job.clean) else job.align
        key: tuple[str, ...] = (job.fold.name, job.clean, align)
        if together > 1 and _may_join(job):
            key = ("together", job.model, job.clean, align)
        units.setdefault(key, []).append(job)
    sizes = {key: together if key[0] == "together" else len(unit) for key, unit in units.items()}
    return [
        unit[start : start + sizes[key]]
        for key, unit in units.items()
        for start in range(0, len(unit), sizes[key])
    ]


def _may_join(job: Job) -> bool:
    """Whether a job is a net trained from scratch, on windows that need no cleaner of their own."""
    scratch = split_mode(job.model)[1] == "scratch"
    return bool(job.train) and scratch and not fitted_in_fold(job.clean)


def run_unit(
    task: Task,
    jobs: Sequence[Job],
    run: Run,
    n_threads: int,
    on_done: OnDone = lambda job, row, fitted: None,
) -> list[tuple[Job, ResultRow]]:
    """Do the jobs of a unit, see `group_units`; windows are cleaned once, and aligned once."""
    done = list[tuple[Job, ResultRow]]()

    def keep(job: Job, row: ResultRow) -> None:
        done.append((job, row))
        on_done(job, row, True)

    # Covariances are small: BLAS threads gain nothing there, and on a busy machine they wait for
    # each other (measured: a fit of 1 s took 9 s).
    with threadpool_limits(1, user_api="blas"), torch_threads(n_threads):
        sides_of = SidesOf(task)
        if task.together > 1 and len(jobs) > 1 and _can_join(task, jobs):
            run_together(jobs, run, sides_of, keep)
        else:
            for job in jobs:
                keep(job, run_job(job, run, sides_of(job)))
    return done


def _can_join(task: Task, jobs: Sequence[Job]) -> bool:
    """Whether the jobs of a unit are one net, and it can be trained with stacked weights."""
    from neurodecode.training.together import can_train_together

    alike = {(job.model, job.clean, job.align, job.shuffled) for job in jobs}
    if len(alike) > 1 or not all(map(_may_join, jobs)):
        return False
    spec = task.epochs.spec
    can = can_train_together(_decoder(task, jobs[0]).build(spec), spec.n_chans, spec.n_times)
    if not can:
        logger.info("%s cannot be trained with others, and is trained alone.", jobs[0].model)
    return can


def run_together(
    jobs: Sequence[Job], run: Run, sides_of: SidesOf, keep: Callable[[Job, ResultRow], None]
) -> None:
    """Fit a net on many folds, with many seeds, in one pass; each is kept as soon as it is done.

    Parameters
    ----------
    jobs
        Of one net and alignment.
    run
        Where they are kept.
    sides_of
        Their windows.
    keep
        Called with each job and its row.
    """
    from neurodecode.training.together import fit_decoders

    sides = [sides_of(job) for job in jobs]
    decoders = [_decoder(one.task, job) for one, job in zip(sides, jobs, strict=True)]
    learned = [_learned(job, one) for one, job in zip(sides, jobs, strict=True)]
    start = time.perf_counter()

    def fitted(i: int) -> None:
        fit_time = (time.perf_counter() - start) / len(jobs)
        keep(jobs[i], _tested(jobs[i], run, sides[i], decoders[i], learned[i], fit_time))

    try:
        fit_decoders(decoders, [one[:3] for one in learned], on_fitted=fitted)
    except FitError as error:
        raise FitError(f"{jobs[0].model}, {len(jobs)} folds together: {error}") from None


def run_job(job: Job, run: Run, sides: Sides) -> ResultRow:
    """Fit one decoder, test it, and keep checkpoint, predictions and row.

    Parameters
    ----------
    job
        Which.
    run
        Where it is kept.
    sides
        Windows of its fold.
    """
    decoder, learned = _decoder(sides.task, job), _learned(job, sides)
    start = time.perf_counter()
    try:
        decoder.fit(*learned[:3])
    except FitError as error:
        raise FitError(f"{job.model}, fold {job.fold.name}: {error}") from None
    return _tested(job, run, sides, decoder, learned, time.perf_counter() - start)


class Learned(NamedTuple):
    """What a decoder is fitted to.

    Attributes
    ----------
    x, y, who
        Windows, labels and whose they are, as `Decoder.fit` takes them.
    gain
        By which windows were multiplied; so are those that are tested.
    """

    x: NDArray[np.float32] | View
    y: NDArray[np.int64]
    who: NDArray[np.str_]
    gain: np.float32


def _learned(job: Job, sides: Sides) -> Learned:
    task, x, gain = sides.task, sides.x_train, np.float32(1)
    if job.align != "none" and split_mode(job.model)[0] in BACKBONES.names():
        # Alignment leaves windows without a unit; what is pretrained knows microvolts.
        gain = _microvolts(View(task.epochs.x, job.fold.train))
        x = x.then(lambda part, _: part * gain) if isinstance(x, View) else x * gain
    slide = task.detection is not None
    labels = training_labels(task.epochs, job.fold, job.seed, shuffled=job.shuffled, slide=slide)
    return Learned(x, *labels, gain)


def _decoder(task: Task, job: Job) -> Decoder:
    epochs = task.epochs
    return Decoder(
        job.model,
        sfreq=epochs.sfreq,
        ch_names=epochs.ch_names,
        options=dict(job.options),
        train=dict(job.train),
        positions=epochs.positions,
        pretrained=dict(job.pretrained),
        seed=job.seed,
    )


def _tested(
    job: Job, run: Run, sides: Sides, decoder: Decoder, learned: Learned, fit_time: float
) -> ResultRow:
    """Test a fitted decoder, and keep checkpoint, predictions and row."""
    task, fold, cleaned = sides.task, job.fold, sides.cleaned
    epochs = task.epochs
    # What the live loop needs beside the decoder, to take the very steps that it was fitted with.
    extra = {
        "cleaner": None if cleaned is None else cleaned.cleaner,
        "drift": cleaned is not None and cleaned.drift,
        "gain": float(learned.gain),
    }
    if task.live is not None and len(fold.test):
        shown = _play(task, job, decoder, extra)
    else:
        x_test = sides.x_test if learned.gain == 1 else sides.x_test * learned.gain
        shown = _test(task, fold, decoder, x_test, fitted=learned[:3])
    row = ResultRow(
        key=job.key,
        paradigm=task.paradigm,
        dataset=task.dataset,
        protocol=task.protocol,
        fold=fold.name,
        subject=fold.subject,
        session=fold.session,
        model=job.model,
        align=job.align,
        clean=job.clean,
        seed=job.seed,
        labels="shuffled" if job.shuffled else "true",
        metric=task.metric,
        score=shown.scores.get(task.metric, float("nan")),
        scores=shown.scores,
        n_train=len(fold.train),
        n_test=len(fold.test),
        n_chans=epochs.x.shape[1],
        n_times=epochs.x.shape[2],
        n_classes=len(epochs.classes),
        sfreq=epochs.sfreq,
        n_params=decoder.n_params_,
        fit_time=fit_time,
        predict_time=shown.predict_time,
        history=decoder.history_,
        simulated=task.simulated,
        contaminated=task.contaminated,
    )
    checkpoint.save(decoder, run.checkpoint_file(job.key), extra)
    run.write_fold(row, shown.predictions)
    return row


def _play(task: Task, job: Job, decoder: Decoder, extra: Mapping[str, Any]) -> Shown:
    """Scores and predictions of decisions on the test recordings, as live."""
    live, source = task.live, task.continuous
    assert live is not None
    assert source is not None, "recordings are kept where they are played"
    pipeline = live_pipeline(
        decoder,
        extra,
        classes=task.epochs.classes,
        align=job.align,
        preprocess={**live.preprocess, "notch": None},  # it is behind them
        epochs=live.epochs,
    )
    return play_fold(live, pipeline, task.epochs, source, job.fold)


def _test(
    task: Task,
    fold: Fold,
    decoder: Decoder,
    x_test: NDArray[np.float32],
    *,
    fitted: tuple[NDArray[np.float32] | View, NDArray[np.int64], NDArray[np.str_]],
) -> Shown:
    """Scores and predictions of the test windows; none where there are none."""
    epochs = task.epochs
    proba = np.zeros((len(fold.test), len(epochs.classes)))
    if not len(fold.test):
        return Shown({}, predictions_table(epochs, fold, proba), float("nan"))
    start = time.perf_counter()
    proba[:, decoder.classes_] = decoder.predict_proba(x_test)
    predict_time = (time.perf_counter() - start) / len(fold.test)
    scores = score_all(epochs.y[fold.test], proba, len(epochs.classes))
    if task.detection is not None:
        scores |= score_alarms(task.detection, decoder, epochs, fold, fitted=fitted, proba=proba)
    return Shown(scores, predictions_table(epochs, fold, proba), predict_time)


def _microvolts(x: View) -> np.float32:
    """Root mean square of windows."""
    squares = sum(float(np.square(x[rows], dtype=np.float64).sum()) for rows in spans(x))
    return np.float32(np.sqrt(squares / np.prod(x.shape)))


def predictions_table(epochs: EpochSet, fold: Fold, proba: NDArray[np.floating]) -> pd.DataFrame:
    """One line per test window: who and when, truth, decision, probability of each class."""
    table = epochs.table.iloc[fold.test].reset_index(drop=True)
    table.insert(0, "trial", fold.test)
    names = np.asarray(epochs.classes)
    table["y_true"] = names[epochs.y[fold.test]]
    table["y_pred"] = names[proba.argmax(axis=1)]
    for i, name in enumerate(epochs.classes):
        table[f"p_{name}"] = proba[:, i]
    return table
