"""The jobs of one fold: windows cleaned and aligned once, each decoder fitted, tested and kept."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from neurodecode.alignment import ALIGNERS, Aligner
from neurodecode.alignment.align import Mode, align, whiteners
from neurodecode.core.errors import FitError, SignalError
from neurodecode.core.seeding import generator
from neurodecode.epochs.cut import EVENT
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.alarms import groups_to_hold_out, score_alarms
from neurodecode.evaluation.cleaning import (
    Cleaned,
    CleanWord,
    fold_windows,
)
from neurodecode.evaluation.jobs import Job, Task
from neurodecode.evaluation.metrics import score_all
from neurodecode.evaluation.pseudo_online import Shown, live_pipeline, play_fold
from neurodecode.evaluation.splits import Fold
from neurodecode.models import BACKBONES, split_mode
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder


def group_units(jobs: Iterable[Job]) -> list[list[Job]]:
    """Jobs that are done one after the other by one process, in the order of the first of each.

    A unit is a fold with an alignment and a cleaning; alignments that share a cleaner fitted in the
    fold stay together.
    """
    units: dict[tuple[str, str, str], list[Job]] = {}
    for job in jobs:
        align = "" if fitted_in_fold(job.clean) else job.align
        units.setdefault((job.fold.name, job.clean, align), []).append(job)
    return list(units.values())


def fitted_in_fold(clean: str) -> bool:
    """Whether a word of cleaning names a cleaner that is fitted to the training side."""
    return clean != "none" and not CleanWord.parse(clean).own


def run_unit(
    task: Task,
    jobs: Sequence[Job],
    run: Run,
    n_threads: int,
    on_done: Callable[[Job, ResultRow, bool], None] = lambda job, row, fitted: None,
) -> list[tuple[Job, ResultRow]]:
    """Do the jobs of one fold and cleaning; the windows are cleaned once, and aligned once."""
    done, cleaned = [], None
    fold, clean = jobs[0].fold, jobs[0].clean
    # Covariances are small: BLAS threads gain nothing there, and on a busy machine they wait for
    # each other (measured: a fit of 1 s took 9 s).
    with threadpool_limits(1, user_api="blas"), torch_threads(n_threads):
        if fitted_in_fold(clean):
            assert task.continuous is not None, "recordings are kept where they are cleaned"
            cleaned = fold_windows(task.epochs, task.continuous, clean, fold)
            task = replace(task, epochs=replace(task.epochs, x=cleaned.x))
        for spec, same in groupby(jobs, key=lambda job: job.align):
            x_train, x_test = aligned_windows(task.epochs, fold, spec)
            for job in same:
                row = run_job(task, job, run, x_train, x_test, cleaned)
                done.append((job, row))
                on_done(job, row, True)
    return done


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Within the block, torch computes with `n` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def aligned_windows(
    epochs: EpochSet, fold: Fold, align_spec: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Training and test windows of a fold under an alignment such as "euclidean:causal"."""
    if align_spec == "none":
        return epochs.x[fold.train], epochs.x[fold.test]
    if np.isnan(epochs.x[:, -1, 0]).any():
        raise SignalError(
            f"Alignment ({align_spec}) takes the same channels in every recording, and these have "
            f"several montages. Give --align none."
        )
    aligner, mode, domains = _alignment(epochs, align_spec)
    return align(epochs.x, domains, fold.train, fold.test, aligner, mode)


def whitened_by(epochs: EpochSet, fold: Fold, align_spec: str) -> NDArray[np.float64] | None:
    """What `aligned_windows` multiplied each test window by, (n_test, n_chans, n_chans), if so."""
    if align_spec == "none":
        return None
    aligner, mode, domains = _alignment(epochs, align_spec)
    return whiteners(epochs.x, domains, fold.train, fold.test, aligner, mode)


def _alignment(epochs: EpochSet, align_spec: str) -> tuple[Aligner, Mode, list[str]]:
    """Aligner, mode and domains of "euclidean:causal": a domain is a session of a subject."""
    name, mode = align_spec.split(":")
    domains = epochs.table[["dataset", "subject", "session"]].agg("/".join, axis=1).to_list()
    return ALIGNERS.get(name)(), cast(Mode, mode), domains


def run_job(
    task: Task,
    job: Job,
    run: Run,
    x_train: NDArray[np.float32],
    x_test: NDArray[np.float32],
    cleaned: Cleaned | None = None,
) -> ResultRow:
    """Fit one decoder, test it, and keep checkpoint, predictions and row.

    Parameters
    ----------
    task, job, run
        See `run_jobs`.
    x_train, x_test
        Windows of both sides, aligned; there may be none to test.
    cleaned
        What cleaned them, where a cleaner was fitted in the fold; it is kept with the decoder.
    """
    epochs, fold = task.epochs, job.fold
    decoder = Decoder(
        job.model,
        sfreq=epochs.sfreq,
        ch_names=epochs.ch_names,
        options=dict(job.options),
        train=dict(job.train),
        positions=epochs.positions,
        pretrained=dict(job.pretrained),
        seed=job.seed,
    )
    gain = np.float32(1)
    if job.align != "none" and split_mode(job.model)[0] in BACKBONES.names():
        # Alignment leaves windows without a unit; what is pretrained knows microvolts.
        gain = _microvolts(epochs.x[fold.train])
        x_train, x_test = x_train * gain, x_test * gain
    slide = task.detection is not None
    y_train, who = training_labels(epochs, fold, job.seed, shuffled=job.shuffled, slide=slide)
    start = time.perf_counter()
    try:
        decoder.fit(x_train, y_train, groups=who)
    except FitError as error:
        raise FitError(f"{job.model}, fold {fold.name}: {error}") from None
    fit_time = time.perf_counter() - start
    # What the live loop needs beside the decoder, to take the very steps that it was fitted with.
    extra = {
        "cleaner": None if cleaned is None else cleaned.cleaner,
        "drift": cleaned is not None and cleaned.drift,
        "gain": float(gain),
    }
    if task.live is not None and len(fold.test):
        shown = _play(task, job, decoder, extra)
    else:
        shown = _test(task, fold, decoder, x_test, fitted=(x_train, y_train, who))
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
    fitted: tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.str_]],
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


def _microvolts(x: NDArray[np.float32]) -> np.float32:
    """Root mean square of windows, (n_epochs, n_chans, n_times)."""
    return np.float32(np.sqrt(np.square(x, dtype=np.float64).mean()))


def training_labels(
    epochs: EpochSet, fold: Fold, seed: int, *, shuffled: bool, slide: bool
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """What a decoder is told of each training window: its class, and who it comes from.

    Where windows slide, few people are told apart by parts, each with an event.
    """
    table, y = epochs.table.iloc[fold.train], epochs.y[fold.train]
    who = _groups(table)
    if shuffled:
        y = shuffle_within(y, who, generator(seed, "labels", fold.name))
    if slide:
        who = groups_to_hold_out(table, epochs.y[fold.train] == EVENT, who)
    return y, who


def shuffle_within(
    y: NDArray[np.int64], groups: NDArray[np.str_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Labels permuted among the windows of each group; every group keeps its classes."""
    out = y.copy()
    for group in np.unique(groups):
        index = np.flatnonzero(groups == group)
        out[index] = y[rng.permutation(index)]
    return out


def _groups(table: pd.DataFrame) -> NDArray[np.str_]:
    """Who each training window comes from, so that validation leaves whole subjects out."""
    return (table["dataset"] + "/" + table["subject"]).to_numpy(dtype=str)


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
