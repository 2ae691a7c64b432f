"""Maps of what the decoders of a run read, each with its sanity checks; kept with the run."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, StoreError, UnknownName
from neurodecode.evaluation.cleaning import CleanWord
from neurodecode.evaluation.sides import training_labels, whitened_by
from neurodecode.evaluation.workers import Pool, check_scheduler, open_pool
from neurodecode.experiment.artifact_windows import artifact_windows
from neurodecode.experiment.baseline import baselines
from neurodecode.experiment.data import Report
from neurodecode.experiment.fold_maps import Fold, Options, explain_fold, spread_over
from neurodecode.experiment.source import Source
from neurodecode.experiment.verdicts import summarise
from neurodecode.explain import EXPLAINERS
from neurodecode.explain.erds import desynchronisation
from neurodecode.explain.windows import Axes, Windows
from neurodecode.recordings.cards import find_card, open_dataset
from neurodecode.recordings.synthetic import SourceTruth, Synthetic
from neurodecode.results import maps as kept
from neurodecode.results.maps import FoldMaps
from neurodecode.results.provenance import explain_digest
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run
from neurodecode.results.summaries import Pipeline
from neurodecode.training import checkpoint

Array = NDArray[np.float32]

MOST_TRAIN = 512
"""Training windows that patterns are taken from; of more, as many spread over all."""
N_CASCADES = 1
"""Folds of a decoder whose net is made random layer by layer."""


def explain_run(
    run: Run,
    *,
    methods: Sequence[str] | None = None,
    models: Sequence[str] | None = None,
    n_windows: int = 64,
    n_folds: int | None = None,
    n_shuffled: int = 3,
    cleaner: str = "ica:own",
    again: bool = False,
    n_workers: int | None = None,
    scheduler: str | None = None,
    report: Report = lambda words, done, total: None,
    on_done: Report = lambda words, done, total: None,
) -> dict[str, Any]:
    """Maps of every fold of every decoder, and a verdict on each method; kept in ``explain/``.

    A fold's maps are made from its test windows, aligned and cleaned as they were when it was
    scored, by the decoder that was scored on them. What is kept is not made again.

    Parameters
    ----------
    run
        With finished folds.
    methods
        Of `neurodecode.explain.EXPLAINERS`; by default all.
    models
        Decoders of the run; by default all.
    n_windows
        Test windows of a fold to look at, spread evenly over its classes.
    n_folds
        Folds of a decoder; by default all.
    n_shuffled
        Folds of each decoder that are fitted to shuffled labels, to compare with.
    cleaner
        What finds the artifacts that a decision may ride on; "none" leaves that out.
    again
        Make again what is kept.
    n_workers
        Processes; by default one per core.
    scheduler
        Address of a Dask scheduler whose workers do it instead.
    report, on_done
        Called while reading, and after each fold.

    Raises
    ------
    UnknownName
        For a method or a decoder that there is not.
    ConfigError
        For a run of denoisers or of pretraining.
    StoreError
        If no fold is finished, or the recordings are no longer those of the run.
    """
    options = Options(
        methods=_checked_methods(methods),
        n_windows=n_windows,
        n_shuffled=n_shuffled,
        cleaner=_checked_cleaner(cleaner),
    )
    all_rows = _tested_rows(run)
    rows = _chosen_rows(run, all_rows, models, n_folds)
    if scheduler is not None:
        check_scheduler(scheduler)  # before anything is read
    source = Source(run, report)
    found = [(row, _still_to_do(run, row, options, again=again)) for row in rows]
    waiting = [(row, todo) for row, todo in found if todo is not None]
    if waiting:
        n_workers = min(n_workers or os.cpu_count() or 1, len(waiting))
        with open_pool(n_workers, run.path, scheduler=scheduler) as pool:
            _explain(run, waiting, all_rows, source, pool, report, on_done)
    _explain_data(run, source, again=again, report=report)
    return run.write_document(kept.SUMMARY, summarise(run, all_rows))


def _checked_methods(methods: Sequence[str] | None) -> tuple[str, ...]:
    for name in methods or ():
        EXPLAINERS.find(name)
    return tuple(methods or EXPLAINERS.names())


def _checked_cleaner(word: str) -> str:
    if word != "none" and not CleanWord.parse(word).own:
        raise ConfigError(
            f"'{word}' is fitted to a training side, and artifacts are looked for in each "
            f"recording by itself. Write '{word}:own', or 'none'."
        )
    return word


def _tested_rows(run: Run) -> list[ResultRow]:
    """Finished folds that test somebody, in the order of the run's plan."""
    meta = run.meta()
    if meta.get("paradigm") in ("denoise", "pretrain"):
        raise ConfigError(
            f"{run.id} trained no decoder ({meta['paradigm']}), so there is nothing to explain. "
            f"Name a run of `neurodecode fit`."
        )
    rows = [row for row in run.rows() if row.n_test]
    if not rows:
        raise StoreError(
            f"No fold of {run.path} that tests somebody is finished. Give the command of the run "
            f"again."
        )
    return rows


def _chosen_rows(
    run: Run, rows: Sequence[ResultRow], models: Sequence[str] | None, n_folds: int | None
) -> list[ResultRow]:
    known = list(dict.fromkeys(row.model for row in rows))
    for name in models or ():
        if name not in known:
            raise UnknownName(f"decoder of {run.id}", name, known)
    folds = list(dict.fromkeys(row.fold for row in rows))[:n_folds]
    return [row for row in rows if row.fold in folds and (models is None or row.model in models)]


def _still_to_do(run: Run, row: ResultRow, options: Options, *, again: bool) -> Options | None:
    """What is to be made of a fold; None if it is there, made by this code and just so.

    Other methods that are kept of it are made again beside those that are asked for: none is lost.
    """
    maps = kept.read_maps(run, row.key)
    if maps is None or maps.facts.get("code") != explain_digest():
        return options
    done = maps.facts.get("options", {})
    if done | {"methods": ()} != asdict(options) | {"methods": ()}:
        return options
    if not again and set(options.methods) <= set(done["methods"]):
        return None
    return replace(options, methods=tuple(dict.fromkeys((*done["methods"], *options.methods))))


def _explain(
    run: Run,
    waiting: Sequence[tuple[ResultRow, Options]],
    all_rows: Sequence[ResultRow],
    source: Source,
    pool: Pool,
    report: Report,
    on_done: Report,
) -> None:
    artifacts = _artifacts(source, waiting, pool, report, on_done)
    there = Run(run.path.absolute())  # a worker of a scheduler may be in another folder
    folds = _folds(there, waiting, all_rows, source, artifacts)
    done = pool.map(explain_fold, ((fold,) for fold in folds), called=_called)
    for n, (_, name) in enumerate(done, 1):
        on_done(name, n, len(waiting))


def _called(fold: Fold) -> str:
    return f"Explaining {fold.row.model} on fold {fold.row.fold}"


def _artifacts(
    source: Source,
    waiting: Sequence[tuple[ResultRow, Options]],
    pool: Pool,
    report: Report,
    on_done: Report,
) -> Array | str | None:
    """What a cleaner takes out of all windows, or why that cannot be known; None if not asked."""
    word = waiting[0][1].cleaner
    if word == "none" or all(row.clean != "none" for row, _ in waiting):
        return None
    return artifact_windows(
        source.choices,
        source.epochs,
        word,
        pool=pool,
        report=report,
        on_done=on_done,
    )


def _folds(
    run: Run,
    waiting: Sequence[tuple[ResultRow, Options]],
    all_rows: Sequence[ResultRow],
    source: Source,
    artifacts: Array | str | None,
) -> Iterator[Fold]:
    """Folds to explain; windows of one are aligned when it is its turn."""
    nth: dict[tuple[Pipeline, int], list[str]] = {}
    for row in all_rows:
        nth.setdefault((_pipeline(row), row.seed), []).append(row.key)
    first = min(row.seed for row in all_rows)
    truths: dict[str, tuple[SourceTruth, ...]] = {}  # whole recordings are read, or made, for it
    for row, options in waiting:
        place = nth[_pipeline(row), row.seed].index(row.key)
        if row.subject not in truths:
            truths[row.subject] = _sources(source, row)
        fold, train, test = source.sides(row)
        epochs = source.epochs
        gain = np.float32(checkpoint.load_extra(run.checkpoint_file(row.key)).get("gain", 1.0))
        shuffled = None
        if row.seed == first and place < options.n_shuffled:
            y, who = training_labels(epochs, fold, row.seed, shuffled=True, slide=source.slide)
            shuffled = (train * gain, y, who)
        y_train, y_test = epochs.y[fold.train], epochs.y[fold.test]
        pick = spread_over(y_test, options.n_windows)
        few = spread_over(y_train, MOST_TRAIN)
        taken, matrices = None, None
        if isinstance(artifacts, np.ndarray) and row.clean == "none":
            taken = artifacts[fold.test[pick]] * gain
            matrices = whitened_by(epochs, fold, row.align)
            matrices = None if matrices is None else matrices[pick]
        yield Fold(
            run=run,
            row=row,
            windows=Windows(
                x=test[pick] * gain,
                y=y_test[pick],
                x_train=train[few] * gain,
                y_train=y_train[few],
                axes=_axes(source),
            ),
            axes=_axes_facts(source),
            sources=truths[row.subject],
            shuffled=shuffled,
            cascade=row.seed == first and place < N_CASCADES,
            artifacts=taken,
            no_artifacts=artifacts if isinstance(artifacts, str) else "",
            whiteners=matrices,
            options=options,
        )


def _tmin(source: Source) -> float:
    """Where windows begin, s from the event; where they slide, or step, it is anywhere: 0."""
    cut = source.choices["epochs"]
    anywhere = cut["window"] is None or cut["slide"] or cut["stride"] is not None
    return 0.0 if anywhere else float(cut["window"][0])


def _sources(source: Source, row: ResultRow) -> tuple[SourceTruth, ...]:
    """Where the classes of simulated recordings differ; none of recordings that were measured."""
    if not row.simulated or row.subject == "*":
        return ()
    for name in source.choices["data"]["dataset"]:
        card = find_card(name, paradigm=source.choices["paradigm"])
        dataset = open_dataset(card, data_dir=source.choices["data"]["data_dir"])
        code, _, subject = row.subject.rpartition("/")  # with several data sets, each by its code
        if not isinstance(dataset, Synthetic) or code not in ("", dataset.code):
            continue
        found = {str(subject): subject for subject in dataset.subject_list}
        if subject in found:
            first = next(iter(dataset.truth(found[subject]).values()))
            return next(iter(first.values())).sources
    return ()


def _pipeline(row: ResultRow) -> Pipeline:
    return row.model, row.align, row.clean


def _explain_data(run: Run, source: Source, *, again: bool, report: Report) -> None:
    """Keep what the recordings themselves do, for every subject."""
    code = explain_digest()
    done = [] if again else kept.read_data_maps(run)
    whole = {maps.facts.get("n_subjects") for maps in done} == {len(done)}  # not cut off
    if whole and all(maps.facts.get("code") == code for maps in done):
        return
    epochs, before = source.epochs, baselines(source.choices, report)
    axes = _axes(source)
    several = epochs.table["dataset"].nunique() > 1
    people = epochs.table.groupby(["dataset", "subject"], sort=False)
    for (dataset, subject), table in people:
        index = table.index.to_numpy()
        x = epochs.x[index]
        found = desynchronisation(
            x, epochs.y[index], before.get((str(dataset), str(subject))), axes
        )
        name = f"{dataset}-{subject}" if several else str(subject)
        facts: dict[str, Any] = {
            "key": kept.data_file(run, name).stem,
            **{"model": "data", "align": "none", "clean": "none", "fold": "", "session": "*"},
            # Named as the folds that test this person are.
            "subject": f"{dataset}/{subject}" if several else str(subject),
            **{"seed": 0, "score": None, "n_subjects": len(people)},
            **_axes_facts(source),
            "code": code,
            "n_windows": len(x),
            "methods": {
                "erds": {
                    "unit": found.unit,
                    "signed": found.signed,
                    "facts": found.facts,
                    "seconds": 0.0,
                    "summary": "Change of power against before the cue.",
                }
            },
            "checks": {},
        }
        tensors = {f"erds/{kind}": value for kind, value in found.kinds.items()}
        kept.write_maps(run, FoldMaps(facts=facts, tensors=tensors))


def _axes(source: Source) -> Axes:
    epochs = source.epochs
    return Axes(
        classes=epochs.classes,
        ch_names=epochs.ch_names,
        sfreq=epochs.sfreq,
        n_times=epochs.x.shape[2],
        tmin=_tmin(source),
    )


def _axes_facts(source: Source) -> dict[str, Any]:
    """What the axes of maps are, for JSON."""
    axes, places = _axes(source), source.epochs.positions
    return {
        "classes": list(axes.classes),
        "ch_names": list(axes.ch_names),
        "positions": None if places is None else np.round(places, 5).tolist(),
        "times": axes.times.tolist(),
        "freqs": axes.freqs.tolist(),
    }
