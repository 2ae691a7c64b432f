"""The command line: typed arguments, one call, what it returned.

Nothing heavy is imported here, so that ``--help`` answers at once. Progress goes to stderr,
results to stdout; a mistake by the user is one line and exit status 2.
"""

import errno
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer

from neurodecode.core.errors import ConfigError, NeurodecodeError, UnknownName

app = typer.Typer(
    name="neurodecode",
    help="EEG decoding: from a recording to an honest score.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)

bench_app = typer.Typer(help="Compare: cleaners with each other, speed with that of peers.")
app.add_typer(bench_app, name="bench", no_args_is_help=True)

RUNS = Path("runs")
MOST_SUBJECTS = 10_000  # of one range of --subjects; more is a slip of the finger

# What Typer raises for an option or argument that it does not take; it exports the subclass only.
UsageError = cast(type[Exception], typer.BadParameter.__mro__[1])

Paradigm = Annotated[str, typer.Option(help="mi, p300, ssvep, seizure, state or denoise.")]
Pipeline = Annotated[Path | None, typer.Option("-c", "--config", help="Pipeline file (TOML).")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.OPTION=VALUE", help="One choice; repeatable."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Instead of --jobs: a Dask scheduler, or its file."),
]
RunsDir = Annotated[Path, typer.Option("--runs", help="Folder of runs.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


class Kind(StrEnum):
    """What `neurodecode list` lists."""

    models = "models"
    aligners = "aligners"
    cleaners = "cleaners"
    augmentations = "augmentations"
    penalties = "penalties"
    schemes = "schemes"
    neurons = "neurons"
    surrogates = "surrogates"
    encoders = "encoders"
    mixers = "mixers"
    accumulators = "accumulators"
    explainers = "explainers"
    backbones = "backbones"
    datasets = "datasets"
    paradigms = "paradigms"
    protocols = "protocols"
    metrics = "metrics"
    runs = "runs"


@app.command()
def fit(
    paradigm: Paradigm = "mi",
    dataset: Annotated[
        str | None, typer.Option(help="Card, path to a card, MOABB class, bids:FOLDER; or several.")
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder where the recordings lie.")] = None,
    subjects: Annotated[str | None, typer.Option(help="1,2,5-9; by default all.")] = None,
    events: Annotated[str | None, typer.Option(help="Classes, such as hands,feet.")] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="within-session, cross-session, cross-subject, cross-dataset or pseudo-online."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Decoders, such as csp_lda,eegnet.")] = None,
    align: Annotated[
        str | None, typer.Option(help="none, euclidean:causal, riemannian:batch, ...; or several.")
    ] = None,
    clean: Annotated[
        str | None, typer.Option(help="none, asr, asr:own, asr:removed, ...; or several.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", "--weights", metavar="FILE", help="Pretrained backbone, or published weights."
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="With --from: finetune, lora, probe, random, scratch; or several."),
    ] = None,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="With --from: test on people it was pretrained on.")
    ] = False,
    online_ready: Annotated[
        bool, typer.Option("--online-ready", help="Causal steps only; fit decoders for `online`.")
    ] = False,
    seeds: Annotated[int | None, typer.Option(help="Seeds per decoder that has any.")] = None,
    metric: Annotated[str | None, typer.Option(help="balanced_accuracy, roc_auc, ...")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core.")
    ] = None,
    scheduler: Scheduler = None,
    folds_together: Annotated[
        int | None,
        typer.Option(min=0, help="Folds and seeds of a net trained in one pass; 0 by device."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda.")] = None,
    against: Annotated[
        str | None, typer.Option(help="Model the others are tested against.")
    ] = None,
    config: Pipeline = None,
    sets: Sets = None,
    runs: RunsDir = RUNS,
    dry_run: Annotated[bool, typer.Option(help="Show choices and plan, fit nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Train and evaluate decoders, or denoisers, on people they have not seen."""
    from neurodecode.experiment.again import Command

    _one_place(scheduler, jobs)
    wanted = {
        "data.dataset": _words("--dataset", dataset),
        "data.data_dir": data_dir,
        "data.subjects": _subjects(subjects),
        "data.events": _words("--events", events),
        "evaluation.protocol": protocol,
        "evaluation.align": _words("--align", align),
        "evaluation.clean": _words("--clean", clean),
        "evaluation.online_ready": online_ready or None,
        "evaluation.folds_together": folds_together,
        "evaluation.seeds": seeds,
        "evaluation.metric": metric,
        "pretrained.checkpoint": start,
        "pretrained.mode": _words("--mode", mode),
        "pretrained.allow_seen": allow_seen or None,
        "train.device": device,
        "models": _words("--model", model),
    }
    command = Command(paradigm=paradigm, pipeline=config, sets=sets or (), flags=wanted)
    if not dry_run and _shown_again(command, runs, against=against, as_json=as_json):
        return
    from neurodecode.experiment.choices import paradigm_of, resolve

    if paradigm_of(paradigm, pipeline=config, sets=sets or ()) == "denoise":
        from neurodecode.experiment.denoise_choices import refuse_flags, resolve_denoise

        refuse_flags(locals())
        flags = {
            "bank.dataset": dataset,
            "bank.data_dir": data_dir,
            "bank.subjects": _subjects(subjects),
            "evaluation.seeds": seeds,
            "train.device": device,
            "models": _words("--model", model),
        }
        chosen = resolve_denoise(pipeline=config, sets=sets or (), flags=flags)
        _fit_denoisers(chosen, runs, dry_run=dry_run, as_json=as_json)
        return
    choices = resolve(paradigm, pipeline=config, sets=sets or (), flags=wanted)
    if against is not None and against not in choices["models"]:
        raise UnknownName("model of this run", against, choices["models"])
    if dry_run:
        _dry_run(choices, as_json)
        return
    from neurodecode.experiment.fit import fit as run_fit
    from neurodecode.show.progress import Progress
    from neurodecode.show.tables import show_runs

    with Progress() as progress:
        run = run_fit(
            choices,
            runs,
            n_workers=jobs,
            scheduler=scheduler,
            report=progress.read,
            on_plan=progress.plan,
            on_done=progress.done,
            command=command,
        )
    show_runs([run], as_json=as_json, against=against)


@app.command()
def pretrain(
    model: Annotated[
        str | None, typer.Option(help="Backbone; see `neurodecode list backbones`.")
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Card, path to a card, MOABB class or bids:FOLDER; repeatable."),
    ] = None,
    data_dir: Annotated[
        list[str] | None,
        typer.Option(help="Where recordings lie; one for all, or one per data set ('-': usual)."),
    ] = None,
    subjects: Annotated[
        list[str] | None,
        typer.Option(help="1,2,5-9; one for all, or one per data set ('-': everybody)."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Batches to learn from.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the recordings.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Of training.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Lightning's: auto, ddp, fsdp.")] = None,
    devices: Annotated[int | None, typer.Option(min=1, help="How many.")] = None,
    config: Pipeline = None,
    sets: Sets = None,
    runs: RunsDir = RUNS,
    dry_run: Annotated[bool, typer.Option(help="Show choices and plan, train nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Train a backbone on recordings of any montage, without labels."""
    from neurodecode.experiment.pretrain_choices import resolve_pretrain

    people = [[] if word == "-" else _subjects(word) or [] for word in subjects or ()]
    flags = {
        "data.dataset": dataset,
        "data.data_dir": data_dir and ["" if word == "-" else word for word in data_dir],
        "data.subjects": people or None,
        "train.steps": steps,
        "train.epochs": epochs,
        "train.minutes": minutes,
        "train.device": device,
        "train.strategy": strategy,
        "train.devices": devices,
        "models": _words("--model", model),
    }
    _pretrain(
        resolve_pretrain(pipeline=config, sets=sets or (), flags=flags),
        runs,
        dry_run=dry_run,
        as_json=as_json,
    )


@app.command()
def clean(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Recording, in any format.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help=".fif, .fif.gz or .edf.")],
    method: Annotated[
        str | None, typer.Option(help="Cleaner; see `neurodecode list cleaners`.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="Option of the cleaner; repeatable."),
    ] = None,
    fit_on: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Fit to this recording instead of IN; repeatable."),
    ] = None,
    removed: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the signal that was removed.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="By default OUT with suffix .html.")
    ] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
    drop: Annotated[str | None, typer.Option(help="Channels to leave out: CH,CH.")] = None,
    bad: Annotated[str | None, typer.Option(help="Channels to mark bad, left as they are.")] = None,
    unit: Annotated[str | None, typer.Option(help="V, mV, uV or nV: of text, XDF and FIF.")] = None,
    sfreq: Annotated[float | None, typer.Option(help="Sampling rate of text, Hz.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace files that exist.")] = False,
    as_json: Json = False,
) -> None:
    """Remove artifacts from a recording; IN is never changed."""
    from neurodecode.experiment.clean import DEFAULT_METHOD, clean_file, read_sets
    from neurodecode.show.clean_report import page, report_path
    from neurodecode.show.cleaned import show_cleaned
    from neurodecode.show.progress import Steps

    with Steps() as steps:
        cleaned = clean_file(
            source,
            out,
            method=method or DEFAULT_METHOD,
            options=read_sets(sets or ()),
            fit_on=fit_on or (),
            removed=removed,
            report=report_path(out, report, without=no_report),
            draw=page,
            drop=_words("--drop", drop) or (),
            bad=_words("--bad", bad) or (),
            unit=unit,
            sfreq=sfreq,
            overwrite=overwrite,
            progress=steps.step,
        )
    show_cleaned(cleaned, as_json=as_json)


@app.command(name="list")
def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    runs: RunsDir = RUNS,
    as_json: Json = False,
) -> None:
    """List models, aligners, cleaners, datasets, the other parts, or runs."""
    from neurodecode.show.listings import listing, show_listing

    show_listing(kind.value, listing(kind.value, runs), as_json=as_json)


@app.command()
def check(
    pipeline: Annotated[Path, typer.Argument(help="Pipeline file (TOML).")],
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Build everything a pipeline names, train nothing."""
    from neurodecode.experiment.choices import paradigm_of, resolve

    named = paradigm_of("mi", pipeline=pipeline, sets=sets or ())
    if named == "pretrain":
        from neurodecode.experiment.pretrain_choices import resolve_pretrain

        chosen = resolve_pretrain(pipeline=pipeline, sets=sets or ())
        _pretrain(chosen, RUNS, dry_run=True, as_json=as_json)
        return
    if named == "denoise":
        from neurodecode.experiment.denoise_choices import resolve_denoise

        chosen = resolve_denoise(pipeline=pipeline, sets=sets or ())
        _fit_denoisers(chosen, RUNS, dry_run=True, as_json=as_json)
        return
    _dry_run(resolve("mi", pipeline=pipeline, sets=sets or ()), as_json)


@app.command()
def results(
    names: Annotated[list[str] | None, typer.Argument(metavar="[RUN]...")] = None,
    runs: RunsDir = RUNS,
    metric: Annotated[str | None, typer.Option(help="Another metric than the run's.")] = None,
    against: Annotated[
        str | None, typer.Option(help="Model the others are tested against.")
    ] = None,
    per_subject: Annotated[bool, typer.Option(help="A line per test subject.")] = False,
    pairs: Annotated[bool, typer.Option(help="Test every two pipelines.")] = False,
    cleaning: Annotated[
        bool, typer.Option("--cleaning", help="What cleaning does to each decoder.")
    ] = False,
    export: Annotated[Path | None, typer.Option(help="Write rows: .csv or .parquet.")] = None,
    moabb: Annotated[bool, typer.Option(help="Export with MOABB's column names.")] = False,
    as_json: Json = False,
) -> None:
    """Show scores with spread and paired statistics."""
    from neurodecode.show.tables import export_rows, find_runs, show_runs

    found = find_runs(runs, names or [])
    if export is not None:
        export_rows(found, export, moabb=moabb, as_json=as_json)
        return
    if cleaning:
        from neurodecode.show.cleaning import show_cleaning

        show_cleaning(found, metric=metric, as_json=as_json)
        return
    show_runs(
        found,
        as_json=as_json,
        metric=metric,
        against=against,
        per_subject=per_subject,
        all_pairs=pairs,
    )


@app.command()
def energy(
    target: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run, or a model's name.")],
    windows: Annotated[int, typer.Option(min=1, help="Test windows of a fold to count on.")] = 32,
    folds: Annotated[int, typer.Option(min=1, help="Folds of a decoder to count on.")] = 3,
    layers: Annotated[bool, typer.Option("--layers", help="Show every layer.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Count again what is known.")] = False,
    paradigm: Paradigm = "mi",
    sets: Sets = None,
    runs: RunsDir = RUNS,
    as_json: Json = False,
) -> None:
    """Count operations, spikes and milliseconds of a window, and model its energy.

    --paradigm and --set choose the windows and the options of a MODEL, which is not trained.
    """
    from neurodecode.show.energy import find_target, show_energy

    found = find_target(runs, target)
    if not isinstance(found, str) and sets:
        raise ConfigError(f"--set is for a model; the choices of {found.id} are its own.")
    from neurodecode.experiment.energy import energy_of_model, energy_of_run
    from neurodecode.show.progress import Progress

    with Progress() as progress:
        how: dict[str, Any] = {"n_windows": windows, "report": progress.read}
        if isinstance(found, str):
            document = energy_of_model(found, paradigm=paradigm, sets=sets or (), **how)
        else:
            document = energy_of_run(found, n_folds=folds, again=again, **how)
    show_energy(document, layers=layers, as_json=as_json)


@app.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run, as `results` takes it.")],
    method: Annotated[
        str | None, typer.Option(help="See `neurodecode list explainers`; by default all.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Decoders of the run; by default all.")] = None,
    windows: Annotated[int, typer.Option(min=2, help="Test windows of a fold to look at.")] = 64,
    folds: Annotated[int | None, typer.Option(min=1, help="Folds; by default all.")] = None,
    shuffled: Annotated[
        int, typer.Option(min=0, help="Folds fitted to shuffled labels, to compare with.")
    ] = 3,
    artifacts: Annotated[
        str, typer.Option(help="Cleaner that finds artifacts, such as ica:own, or none.")
    ] = "ica:own",
    again: Annotated[bool, typer.Option("--again", help="Make again what is kept.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core.")
    ] = None,
    scheduler: Scheduler = None,
    runs: RunsDir = RUNS,
    as_json: Json = False,
) -> None:
    """Map what fitted decoders read, and check whether the maps are to be believed."""
    from neurodecode.experiment.explain import explain_run
    from neurodecode.show.explain import show_explained
    from neurodecode.show.progress import Progress
    from neurodecode.show.tables import find_runs

    _one_place(scheduler, jobs)
    (run,) = find_runs(runs, [name])
    with Progress() as progress:
        summary = explain_run(
            run,
            methods=_words("--method", method),
            models=_words("--model", model),
            n_windows=windows,
            n_folds=folds,
            n_shuffled=shuffled,
            cleaner=artifacts,
            again=again,
            n_workers=jobs,
            scheduler=scheduler,
            report=progress.read,
            on_done=progress.step,
        )
    show_explained(summary, as_json=as_json)


@app.command(name="exit")
def exit_(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run, as `results` takes it.")],
    rule: Annotated[str, typer.Option(help="confidence, gap, fixed.")] = "confidence,gap,fixed",
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="Held-out accuracy that may be lost.")
    ] = 0.01,
    model: Annotated[str | None, typer.Option(help="Decoders of the run; by default all.")] = None,
    curve: Annotated[bool, typer.Option("--curve", help="Accuracy against time too.")] = False,
    runs: RunsDir = RUNS,
    as_json: Json = False,
) -> None:
    """Decide before windows are over: what early exits of spiking decoders save and cost."""
    from neurodecode.experiment.early_exit import exits_of_run
    from neurodecode.show.early_exit import show_exits
    from neurodecode.show.progress import Progress
    from neurodecode.show.tables import find_runs

    (run,) = find_runs(runs, [name])
    with Progress() as progress:
        document = exits_of_run(
            run,
            rules=_words("--rule", rule) or (),
            margin=margin,
            models=_words("--model", model),
            report=progress.read,
        )
    show_exits(document, curve=curve, as_json=as_json)


@app.command()
def export(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write: .onnx, .pt2, .nir.")],
    fold: Annotated[str | None, typer.Option(help="Its name or key; by default the first.")] = None,
    model: Annotated[str | None, typer.Option(help="Decoder; by default the first net.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a file that exists.")] = False,
    runs: RunsDir = RUNS,
    as_json: Json = False,
) -> None:
    """Write a fitted net for other programs: ONNX, torch.export, or NIR for spiking ones."""
    from neurodecode.experiment.export import export_run
    from neurodecode.show.export import show_export
    from neurodecode.show.progress import Progress
    from neurodecode.show.tables import find_runs

    (run,) = find_runs(runs, [name])
    with Progress() as progress:
        document = export_run(
            run, out, fold=fold, model=model, overwrite=overwrite, report=progress.read
        )
    show_export(document, as_json=as_json)


@bench_app.command(name="denoise")
def bench_denoise(
    cleaners: Annotated[
        str | None, typer.Option(help="Cleaners, such as asr,atat; by default all there are.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Card of recordings taken for clean; by default simulated.")
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder where the recordings lie.")] = None,
    people: Annotated[int, typer.Option(min=2, help="How many.")] = 8,
    kinds: Annotated[str, typer.Option(help="Of artifact: eog, emg, both.")] = "eog,emg,both",
    snr: Annotated[str, typer.Option(help="Signal to artifact, dB.")] = "-7,-2,2",
    snr_convention: Annotated[str, typer.Option(help="power or eegdenoisenet.")] = "power",
    duration: Annotated[float, typer.Option(help="Of each recording, s.")] = 60.0,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="CLEANER.OPTION=VALUE", help="Option of a cleaner."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; by default 1.")] = None,
    measure: Annotated[
        str, typer.Option(help="rrmse, correlation, snr_gain, rrmse_spectrum, _dirty or _quiet.")
    ] = "rrmse",
    export: Annotated[Path | None, typer.Option(help="Write rows: .csv or .parquet.")] = None,
    runs: RunsDir = RUNS,
    as_json: Json = False,
) -> None:
    """Compare cleaners where the answer is known: artifacts added to clean recordings."""
    from neurodecode.experiment.bench import bench
    from neurodecode.show.bench import MEASURES, check_export, show_bench
    from neurodecode.show.progress import Progress

    check_export(export)
    if measure not in MEASURES:
        raise UnknownName("measure", measure, MEASURES)
    with Progress() as progress:
        rows, title = bench(
            _words("--cleaners", cleaners),
            runs,
            sets=sets or (),
            dataset=dataset,
            data_dir=data_dir,
            n_people=people,
            kinds=_words("--kinds", kinds) or [],
            snr=_words("--snr", snr) or [],
            snr_convention=snr_convention,
            duration=duration,
            n_workers=jobs or 1,
            report=progress.people,
        )
    how: dict[str, Any] = {"convention": snr_convention, "measure": measure}
    show_bench(rows, title=title, export=export, as_json=as_json, **how)


@bench_app.command(name="speed")
def bench_speed(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="SCRIPT", help="Such as evaluation; by default all there are."),
    ] = None,
    readme: Annotated[
        Path | None, typer.Option(help="Fill the table of this file, such as README.md.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder of what was found; by default benchmarks/results.")
    ] = None,
    kept: Annotated[
        bool, typer.Option("--kept", help="Measure nothing; show what is kept.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the speed with that of peers: each script of benchmarks/ measures one ratio."""
    from neurodecode.experiment.speed import SCRIPTS, find_scripts, measure, read_found
    from neurodecode.show.progress import Progress
    from neurodecode.show.speed import fill_readme, show_speed

    scripts, folder = find_scripts(names), results or SCRIPTS / "results"
    if not kept:
        with Progress() as progress:
            measure(scripts, folder, report=progress.step)
    found = read_found(scripts, folder)
    if readme is not None:
        fill_readme(read_found(find_scripts(), folder), readme)
    show_speed(found, as_json=as_json)
    if any("error" in one for one in found):
        raise typer.Exit(1)


@app.command()
def replay(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Recording, in any format.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Instead of FILE: card, MOABB class, bids:FOLDER.")
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder where the recordings lie.")] = None,
    subject: Annotated[str | None, typer.Option(help="By default the first.")] = None,
    session: Annotated[str | None, typer.Option(help="By default all.")] = None,
    run: Annotated[str | None, typer.Option(help="By default all.")] = None,
    speed: Annotated[float, typer.Option(help="1 is real time.")] = 1.0,
    chunk: Annotated[
        int | None, typer.Option(help="Samples sent at once; by default those of 40 ms.")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Begin when somebody listens.")] = False,
    markers: Annotated[bool, typer.Option(help="Send events as NAME-markers.")] = True,
    name: Annotated[str, typer.Option(help="Of the stream.")] = "neurodecode-replay",
    network: Annotated[
        bool, typer.Option("--network", help="Be found from other machines too.")
    ] = False,
    session_id: Annotated[
        str | None, typer.Option(help="LSL session; others do not see the stream.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="V, mV, uV or nV: of text, XDF and FIF.")] = None,
    sfreq: Annotated[float | None, typer.Option(help="Sampling rate of text, Hz.")] = None,
    stream: Annotated[str | None, typer.Option(help="EEG stream of an XDF with several.")] = None,
    as_json: Json = False,
) -> None:
    """Play a recording as a live LSL stream, with correct time stamps, for `neurodecode online`."""
    from neurodecode.online.lsl import configure
    from neurodecode.online.replay import check_pace

    configure(network=network, session=session_id)
    check_pace(speed, chunk)
    from neurodecode.experiment.replay import choose_recordings
    from neurodecode.show.replay import show_replay

    recordings = choose_recordings(
        file,
        dataset=dataset,
        data_dir=data_dir,
        subject=subject,
        session=session,
        run=run,
        unit=unit,
        sfreq=sfreq,
        stream=stream,
    )
    show_replay(
        recordings,
        name=name,
        speed=speed,
        chunk=chunk,
        loop=loop,
        wait=wait,
        markers=markers,
        as_json=as_json,
    )


@app.command()
def online(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Of `fit --online-ready`; by default the newest."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Decoder; by default the best.")] = None,
    align: Annotated[str | None, typer.Option(help="Its alignment.")] = None,
    clean: Annotated[str | None, typer.Option(help="Its cleaning.")] = None,
    fold: Annotated[
        str | None, typer.Option(help="Decoder that has not seen this fold, such as subject=3.")
    ] = None,
    stream: Annotated[
        str | None, typer.Option(help="Name or source id of the signal; by default the only EEG.")
    ] = None,
    markers: Annotated[str | None, typer.Option(help="Name of the stream of markers.")] = None,
    cued: Annotated[
        bool, typer.Option("--cued", help="Decide on the window after each marker only.")
    ] = False,
    cues: Annotated[
        str | None, typer.Option(help="With --cued: markers that are cues; by default all.")
    ] = None,
    exit_rule: Annotated[
        str | None, typer.Option("--exit", help="With --cued: answer early, by a rule of `exit`.")
    ] = None,
    adapt: Annotated[
        float | None, typer.Option(help="Follow the person over so many seconds, without labels.")
    ] = None,
    calibrate: Annotated[
        int | None, typer.Option(min=2, help="Collect so many cued trials of each class first.")
    ] = None,
    finetune: Annotated[
        str | None, typer.Option(help="With --calibrate: head, to train the last layer too.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="With --calibrate: left_hand=769,right_hand=770.")
    ] = None,
    trials: Annotated[
        Path | None, typer.Option(help="With --calibrate: trials that were kept before.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE.xdf", help="Signal, decisions and markers.")
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option(metavar="FILE.xdf", help="Decide again on a recording, and compare."),
    ] = None,
    duration: Annotated[float | None, typer.Option(help="Stop after so many seconds.")] = None,
    gap: Annotated[
        float | None, typer.Option(help="Seconds by which stamps may be off; measured by default.")
    ] = None,
    max_age: Annotated[float, typer.Option(help="Seconds after which a sample is stale.")] = 1.0,
    network: Annotated[
        bool, typer.Option("--network", help="Look for streams on other machines too.")
    ] = False,
    session_id: Annotated[
        str | None, typer.Option(help="LSL session; streams of others are not seen.")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="online.OPTION=VALUE", help="How it decides; repeatable."),
    ] = None,
    runs: RunsDir = RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines on stdout.")] = False,
) -> None:
    """Decode a live LSL stream with a fitted decoder: decisions out, with measured latency."""
    from neurodecode.show.tables import find_runs, newest_live_run

    run = newest_live_run(runs) if name is None else find_runs(runs, [name])[0]
    given = {name for name, value in locals().items() if value not in (None, False)}
    _refuse_together(given)
    for flag, value in {"--gap": gap, "--max-age": max_age, "--adapt": adapt}.items():
        if value is not None and not 0 < value < float("inf"):
            raise ConfigError(f"{flag} {value:g} is no time. Give a positive number of seconds.")
    which: dict[str, Any] = {"model": model, "align": align, "clean": clean, "fold": fold}
    if calibrate is None and verify is None and not as_json:
        from neurodecode.show.online import child_command, show_online

        command = child_command(sys.argv[1:])
        raise typer.Exit(show_online(command, title=run.id, record=record))
    from neurodecode.experiment.live import go_live, open_live
    from neurodecode.online.loop import LoopOptions
    from neurodecode.online.lsl import configure

    live = open_live(run, exit_rule=exit_rule, sets=sets or (), **which)
    how: dict[str, Any] = {"adapt": adapt, "max_age": max_age}
    if verify is not None:
        from neurodecode.experiment.verify import verify as decide_again
        from neurodecode.show.verified import show_verified

        how |= {} if gap is None else {"max_gap": gap}
        found = decide_again(live, verify, cued=cued, **how)
        raise typer.Exit(show_verified(found, verify, as_json=as_json))
    configure(network=network, session=session_id)
    if calibrate is not None:
        from neurodecode.online.calibrate import CalibrationOptions
        from neurodecode.show.calibrate import show_calibration

        calibration = CalibrationOptions(
            n=calibrate,
            stream=stream,
            markers=markers,
            labels=labels,
            max_gap=gap,
            max_age=max_age,
            record=record,
        )
        show_calibration(live, calibration, finetune=finetune, trials=trials, as_json=as_json)
        return
    options = LoopOptions(
        stream=stream,
        markers=markers,
        cued=cued,
        cues=tuple(_words("--cues", cues) or ()),
        record=record,
        every_decision=True,
        duration=duration,
        max_gap=gap,
    )
    raise typer.Exit(go_live(live, options, **how))


def _refuse_together(given: set[str]) -> None:
    """Refuse options of `online` that say nothing about what is asked for."""
    modes = {
        "calibrate": {"adapt", "cued", "exit_rule", "duration", "verify"},
        "verify": {"record", "duration", "markers", "stream"},
    }
    needs = {"exit_rule": "cued", "cues": "cued", "finetune": "calibrate", "labels": "calibrate",
             "trials": "calibrate"}  # fmt: skip

    def flag(name: str) -> str:
        return f"--{'exit' if name == 'exit_rule' else name}"

    for mode, others in modes.items():
        for other in sorted(others & given if mode in given else ()):
            raise ConfigError(f"{flag(mode)} takes no {flag(other)}. Leave one of the two out.")
    for name, other in needs.items():
        if name in given and other not in given:
            raise ConfigError(f"{flag(name)} belongs to {flag(other)}. Give {flag(other)} too.")


@app.command()
def dashboard(
    runs: Annotated[Path, typer.Argument(metavar="[RUNS]", help="Folder of runs.")] = RUNS,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="By default 8501, or the next free one.")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show a demonstration on simulated people, made once.")
    ] = False,
) -> None:
    """Show runs in a browser, on this machine only; without any, a demonstration."""
    from neurodecode.show.dashboard import has_runs, serve_dashboard

    demonstration = demo or not has_runs(runs)
    if demonstration:
        from neurodecode.experiment.demonstration import demonstrate
        from neurodecode.show.progress import Progress

        with Progress() as progress:
            runs = demonstrate(
                report=progress.read,
                on_plan=progress.plan,
                on_done=progress.done,
                on_step=progress.step,
            )
    serve_dashboard(runs, port=port, demonstration=demonstration)


@app.command()
def report(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run, as `results` takes it.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Page to write, such as run.html.")],
    runs: RunsDir = RUNS,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a page that is there.")
    ] = False,
) -> None:
    """Put a run's figures into one page of HTML that opens without a network."""
    from neurodecode.experiment.outputs import check_outputs
    from neurodecode.show.page import check_name
    from neurodecode.show.progress import Progress
    from neurodecode.show.report import write_report
    from neurodecode.show.tables import find_runs

    (run,) = find_runs(runs, [name])
    check_name(out)
    check_outputs({"The report": out}, inputs=(), overwrite=overwrite)
    with Progress() as progress:
        write_report(run, out, report=progress.step)
    typer.echo(f"Report: {out}")


@app.command()
def doctor(
    runs: RunsDir = RUNS,
    network: Annotated[
        bool, typer.Option("--network", help="Try LSL as it is beyond this machine.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show versions, devices, data folders and live streams, and whether they work together."""
    from neurodecode.show.doctor import show_doctor

    raise typer.Exit(show_doctor(runs, network=network, as_json=as_json))


def _fit_denoisers(choices: dict[str, Any], runs: Path, *, dry_run: bool, as_json: bool) -> None:
    from neurodecode.experiment.denoise import fit_denoisers, preview_denoise
    from neurodecode.show.listings import show_plan
    from neurodecode.show.progress import Progress
    from neurodecode.show.tables import show_runs

    if dry_run:
        show_plan(choices, preview_denoise(choices), as_json=as_json)
        return
    with Progress() as progress:
        run = fit_denoisers(
            choices,
            runs,
            report=progress.read,
            on_plan=progress.plan_denoisers,
            on_done=progress.denoiser,
        )
    show_runs([run], as_json=as_json)


def _pretrain(choices: dict[str, Any], runs: Path, *, dry_run: bool, as_json: bool) -> None:
    from neurodecode.experiment.pretrain import pretrain, preview_pretrain
    from neurodecode.show.listings import show_plan
    from neurodecode.show.progress import Progress
    from neurodecode.show.tables import show_runs

    if dry_run:
        show_plan(choices, preview_pretrain(choices), as_json=as_json)
        return
    with Progress() as progress:
        run = pretrain(
            choices,
            runs,
            report=progress.read,
            on_plan=progress.plan_pretraining,
            on_start=progress.start,
            on_moment=progress.moment,
            on_validation=progress.validation,
        )
    show_runs([run], as_json=as_json)


def _shown_again(command: Any, runs: Path, *, against: str | None, as_json: bool) -> bool:
    """Show the run of a command whose every fit is finished; whether there was one."""
    from neurodecode.experiment.again import finished_run

    found = finished_run(runs, command)
    if found is None:
        return False
    from neurodecode.show.progress import Progress
    from neurodecode.show.tables import show_runs

    Progress().again(*found)
    show_runs([found[0]], as_json=as_json, against=against)
    return True


def _dry_run(choices: dict[str, Any], as_json: bool) -> None:
    from neurodecode.experiment.fit import preview
    from neurodecode.show.listings import show_plan
    from neurodecode.show.progress import Progress

    with Progress() as progress:
        plan = preview(choices, report=progress.read)
    show_plan(choices, plan, as_json=as_json)


def _words(option: str, text: str | None) -> list[str] | None:
    if text is None:
        return None
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise ConfigError(f"{option} '{text}' names nothing. Name something, or leave it out.")
    return words


def _one_place(scheduler: str | None, jobs: int | None) -> None:
    """Refuse processes here and workers elsewhere at once."""
    if scheduler is not None and jobs is not None:
        raise ConfigError(
            f"--jobs {jobs} starts processes on this machine, and --scheduler {scheduler} has "
            f"workers of its own. Leave one of them out."
        )


def _subjects(text: str | None) -> list[int | str] | None:
    """Subjects of "1,2,5-9"."""
    found: list[int | str] = []
    for word in _words("--subjects", text) or []:
        first, dash, last = word.partition("-")
        if dash and first.isdigit() and last.isdigit():
            if int(first) > int(last):
                raise ConfigError(f"--subjects {word} runs backwards. Write {last}-{first}.")
            if int(last) - int(first) >= MOST_SUBJECTS:
                raise ConfigError(
                    f"--subjects {word} asks for more than {MOST_SUBJECTS:,} subjects. Write a "
                    f"shorter range, such as {first}-{int(first) + 9}."
                )
            found += range(int(first), int(last) + 1)
        else:
            found.append(int(word) if word.isdigit() else word)
    return found or None


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Logging and warnings as the user should see them: ours in one line, others' not at all."""
    import warnings

    os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    logging.getLogger("neurodecode").setLevel(logging.WARNING)
    # MNE writes what it warns of to stdout, into our tables and JSON. The warnings themselves
    # are caught where recordings are read, and said on stderr.
    mne_log = logging.getLogger("mne")
    mne_log.addFilter(_nothing)
    try:
        with warnings.catch_warnings():
            if "PYTHONWARNINGS" not in os.environ:
                warnings.simplefilter("ignore")
            yield
    finally:
        mne_log.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


def main() -> None:
    """Run the command line; a mistake by the user is one line, not a traceback."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed: `neurodecode fit >&-`
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  # until the end
    # A thread of torch's that waits for another otherwise spins: where something else runs too, a
    # training step of mvpformer took 17 s instead of 0.4 (two cores, one of them busy).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        with _quiet_libraries():
            raise SystemExit(_status())
    except NeurodecodeError as error:
        _stop(type(error).__name__, str(error))
    except UsageError as error:
        if not str(error):  # no command was given, and Typer has shown the help
            raise SystemExit(2) from None
        _stop("UsageError", _usage(error))
    except MemoryError as error:
        _stop(
            "MemoryError",
            f"It takes more memory than there is ({error}). Take fewer subjects, fewer --jobs or "
            f"a lower preprocess.resample; finished folds are kept.",
        )
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _stop(
            "StoreError",
            f"The disk is full ({error}). Free space and give the same command again: finished "
            f"folds are kept.",
        )


def _status() -> int:
    """Exit status of the command that was asked for; mistakes are raised."""
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except typer.Abort:
        status = 130
    except (BrokenPipeError, SystemExit) as gone:
        # `neurodecode list models | head -1`: whoever read stdout has gone, and does not want
        # more. Rich and Typer turn the broken pipe into a SystemExit.
        if not isinstance(gone, BrokenPipeError) and not isinstance(
            gone.__context__, BrokenPipeError
        ):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if status == 130:
        kept = "Finished folds are kept; the same command goes on from there."
        if sys.argv[1:2] == ["pretrain"]:
            kept = "Its newest state is kept; the same command goes on from there."
        if sys.argv[1:2] in (["clean"], ["replay"]):
            kept = "Nothing was written."
        typer.secho(f"Stopped. {kept}", err=True)
    return status or 0


def _usage(error: Exception) -> str:
    """Typer's words for a wrong option or argument, in one line."""
    said = getattr(error, "format_message", error.__str__)()
    words = " ".join(said.replace("Value error, ", "").split()).rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "neurodecode"
    return f"{words}{'' if words.endswith('?') else '.'} See {command} --help."


def _stop(name: str, message: str) -> NoReturn:
    if "--json" in sys.argv:
        typer.echo(json.dumps({"error": name, "message": message}))
    typer.secho(f"{name}: {message}", err=True, fg="red")
    raise SystemExit(2)
