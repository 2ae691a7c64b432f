"""The command line: typed arguments, one call, what it returned.

Nothing heavy is imported here, so that ``--help`` answers at once. Progress goes to stderr,
results to stdout; a mistake by the user is one line and exit status 2.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from neurodecode.core.errors import ConfigError, NeurodecodeError

app = typer.Typer(
    name="neurodecode",
    help="EEG decoding: from a recording to an honest score.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)

RUNS = Path("runs")

Paradigm = Annotated[str, typer.Option(help="mi, p300, ssvep, seizure or state.")]
Pipeline = Annotated[Path | None, typer.Option("-c", "--config", help="Pipeline file (TOML).")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.OPTION=VALUE", help="One choice; repeatable."),
]
RunsDir = Annotated[Path, typer.Option("--runs", help="Folder of runs.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


class Kind(StrEnum):
    """What `neurodecode list` lists."""

    models = "models"
    aligners = "aligners"
    augmentations = "augmentations"
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
        typer.Option(help="within-session, cross-session, cross-subject or cross-dataset."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Decoders, such as csp_lda,eegnet.")] = None,
    align: Annotated[
        str | None, typer.Option(help="none, euclidean:causal, riemannian:batch, ...; or several.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds per decoder that has any.")] = None,
    metric: Annotated[str | None, typer.Option(help="balanced_accuracy, roc_auc, ...")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core.")
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
    """Train and evaluate decoders on people they have not seen."""
    from neurodecode.experiment.choices import resolve

    choices = resolve(
        paradigm,
        pipeline=config,
        sets=sets or (),
        flags={
            "data.dataset": _words(dataset),
            "data.data_dir": data_dir,
            "data.subjects": _subjects(subjects),
            "data.events": _words(events),
            "evaluation.protocol": protocol,
            "evaluation.align": _words(align),
            "evaluation.seeds": seeds,
            "evaluation.metric": metric,
            "train.device": device,
            "models": _words(model),
        },
    )
    if dry_run:
        _dry_run(choices, as_json)
        return
    from neurodecode.experiment.fit import fit as run_fit
    from neurodecode.show.progress import Progress
    from neurodecode.show.tables import show_run

    with Progress() as progress:
        run = run_fit(
            choices,
            runs,
            n_workers=jobs,
            report=progress.read,
            on_plan=progress.plan,
            on_done=progress.done,
        )
    show_run(run, as_json=as_json, against=against)


@app.command(name="list")
def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    runs: RunsDir = RUNS,
    as_json: Json = False,
) -> None:
    """List models, aligners, augmentations, datasets, paradigms, protocols, metrics or runs."""
    from neurodecode.show.listings import listing, show_listing

    show_listing(kind.value, listing(kind.value, runs), as_json=as_json)


@app.command()
def check(
    pipeline: Annotated[Path, typer.Argument(help="Pipeline file (TOML).")],
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Build everything a pipeline names, train nothing."""
    from neurodecode.experiment.choices import resolve

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
    export: Annotated[Path | None, typer.Option(help="Write rows: .csv or .parquet.")] = None,
    moabb: Annotated[bool, typer.Option(help="Export with MOABB's column names.")] = False,
    as_json: Json = False,
) -> None:
    """Show scores with spread and paired statistics."""
    from neurodecode.show.tables import export_rows, find_runs, show_run

    found = find_runs(runs, names or [])
    if export is not None:
        export_rows(found, export, moabb=moabb)
        return
    for run in found:
        show_run(
            run,
            as_json=as_json,
            metric=metric,
            against=against,
            per_subject=per_subject,
            all_pairs=pairs,
        )


@app.command()
def doctor(runs: RunsDir = RUNS, as_json: Json = False) -> None:
    """Show versions, devices and data folders, and whether the parts work together."""
    from neurodecode.show.doctor import show_doctor

    raise typer.Exit(show_doctor(runs, as_json=as_json))


def _dry_run(choices: dict[str, Any], as_json: bool) -> None:
    from neurodecode.experiment.fit import preview
    from neurodecode.show.listings import show_plan
    from neurodecode.show.progress import Progress

    with Progress() as progress:
        plan = preview(choices, report=progress.read)
    show_plan(choices, plan, as_json=as_json)


def _words(text: str | None) -> list[str] | None:
    return [word.strip() for word in text.split(",") if word.strip()] if text else None


def _subjects(text: str | None) -> list[int | str] | None:
    """Subjects of "1,2,5-9"."""
    found: list[int | str] = []
    for word in _words(text) or []:
        first, dash, last = word.partition("-")
        if dash and first.isdigit() and last.isdigit():
            if int(first) > int(last):
                raise ConfigError(f"--subjects {word} runs backwards. Write {last}-{first}.")
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
    with warnings.catch_warnings():
        if "PYTHONWARNINGS" not in os.environ:
            warnings.simplefilter("ignore")
        yield


def main() -> None:
    """Run the command line; a mistake by the user is one line, not a traceback."""
    try:
        with _quiet_libraries():
            app()
    except NeurodecodeError as error:
        if "--json" in sys.argv:
            typer.echo(json.dumps({"error": type(error).__name__, "message": str(error)}))
        typer.secho(f"{type(error).__name__}: {error}", err=True, fg="red")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        typer.secho(
            "Stopped. Finished folds are kept; the same command goes on from there.", err=True
        )
        raise SystemExit(130) from None
    except BrokenPipeError:  # `neurodecode list models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
