"""A fitted decoder of a run as a file for other programs, compared with it before it is there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurodecode.core.errors import ConfigError, StoreError, UnknownName
from neurodecode.experiment.data import Report
from neurodecode.experiment.export_nir import EXPORTABLE, write_nir
from neurodecode.experiment.graphs import FORMATS, write_graph
from neurodecode.experiment.outputs import check_outputs
from neurodecode.experiment.source import Source
from neurodecode.export import nir
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run

NIR = ".nir"

Document = dict[str, Any]


def export_run(
    run: Run,
    out: Path,
    *,
    fold: str | None = None,
    model: str | None = None,
    overwrite: bool = False,
    report: Report = lambda words, done, total: None,
) -> Document:
    """Write the decoder of one fold of a run, in the format that the file's suffix names.

    The file is read back and compared with the decoder: graphs (.onnx, .pt2) on windows that the
    run was tested on, NIR on noise. It appears after that, or not at all.

    Parameters
    ----------
    run
        With finished folds.
    out
        The file: .onnx, .pt2 or .nir.
    fold
        Its name, or the beginning of its key; by default the first that is finished. "everybody"
        is the decoder for live use, where the run has one.
    model
        Name of the decoder; by default the first net, or for NIR "spiking_eegnet".
    overwrite
        Whether to replace a file.
    report
        Called while recordings are read.

    Returns
    -------
    dict
        What was exported, and how far file and decoder are from each other.

    Raises
    ------
    ConfigError
        If there is no such format, or the decoder cannot be written in it.
    StoreError
        If no fold is finished, recordings are not there, or the file cannot be written.
    """
    if out.suffix not in (*FORMATS, NIR):
        named = f"ends in '{out.suffix}'" if out.suffix else "has no suffix"
        raise ConfigError(
            f"OUT {out} {named}, which is no format. Name it .onnx (ONNX), .pt2 (torch.export) or "
            f".nir (spiking decoders)."
        )
    if out.suffix == NIR:
        nir.library()
    row = choose_row(run, fold, model, spiking=out.suffix == NIR)
    check_outputs({"OUT": out}, inputs=[], overwrite=overwrite)
    about = ("model", "fold", "key", "align", "clean", "seed")
    if out.suffix == NIR:
        made = write_nir(run, row, out)
    else:
        made = write_graph(run, row, out, Source(run, report))
    return {"file": str(out), "run": run.id, **{n: getattr(row, n) for n in about}, **made}


def choose_row(run: Run, fold: str | None, model: str | None, *, spiking: bool) -> ResultRow:
    """The first finished fold of that name, and of that decoder, which is a net."""
    meta = run.meta()
    if meta.get("paradigm") == "denoise":
        raise ConfigError(f"{run.id} trained denoisers; export takes decoders only.")
    rows = [*run.rows(), *run.rows(meta.get("live", []))]
    if not rows:
        raise StoreError(f"No fold of {run.path} is finished. Give the command of the run again.")
    models = list(dict.fromkeys(row.model for row in rows))
    if model is None:
        model = _first(run, rows, models, spiking=spiking)
    rows = [row for row in rows if row.model == model]
    if not rows:
        raise UnknownName(f"decoder of {run.id}", model, models)
    if not rows[0].n_params:
        raise ConfigError(
            f"{model} is not a net, and export writes nets only. Name one with --model."
        )
    return _of_fold(run, rows, fold)


def _first(run: Run, rows: Sequence[ResultRow], models: Sequence[str], *, spiking: bool) -> str:
    """The decoder that is meant where none is named."""
    if spiking and EXPORTABLE not in models:
        raise ConfigError(
            f"No decoder of {run.id} ({', '.join(models)}) can be expressed in NIR. Fit "
            f"{EXPORTABLE} with stride=1, time='stream' and neuron_options={{reset='hard'}}."
        )
    nets = [EXPORTABLE] if spiking else [row.model for row in rows if row.n_params]
    if not nets:
        raise ConfigError(
            f"No decoder of {run.id} ({', '.join(models)}) is a net, and export writes nets only. "
            f"Fit one, such as dbconformer."
        )
    return nets[0]


def _of_fold(run: Run, rows: Sequence[ResultRow], fold: str | None) -> ResultRow:
    if fold is None:
        return rows[0]
    found = [row for row in rows if row.fold == fold or (fold and row.key.startswith(fold))]
    if not found:
        raise UnknownName(f"fold of {run.id}", fold, {row.fold for row in rows})
    return found[0]
