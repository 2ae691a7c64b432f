"""A fitted decoder of a run as a NIR file, compared with the net before it is there."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neurodecode.core.errors import ConfigError, StoreError, UnknownName
from neurodecode.experiment.outputs import check_outputs, staged
from neurodecode.export import nir as files
from neurodecode.export import parity
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.nn.spiking.neurons import neurons_of
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

EXPORTABLE = "spiking_eegnet"
N_WINDOWS = 8
FEW = 1e-4  # part of all steps at which rounding may make a spike of none; a bug makes far more

Document = dict[str, Any]


def export_run(
    run: Run,
    out: Path,
    *,
    fold: str | None = None,
    model: str | None = None,
    overwrite: bool = False,
) -> Document:
    """Write the decoder of one fold of a run as NIR.

    The file is read back and compared with the net on random windows; it appears after that, or
    not at all.

    Parameters
    ----------
    run
        With finished folds.
    out
        The file.
    fold
        Its name, or the beginning of its key; by default the first that is finished.
    model
        Name of the decoder; by default "spiking_eegnet".
    overwrite
        Whether to replace a file.

    Returns
    -------
    dict
        What was exported, the graph's sizes, and how far net and graph are from each other.

    Raises
    ------
    ConfigError
        If NIR cannot express the decoder, or nir is not installed.
    StoreError
        If no fold is finished, or the file cannot be written.
    """
    files.library()
    row = choose_row(run, fold, model)
    if not row.n_params:
        raise ConfigError(f"{row.model} is not a net, and NIR describes nets. Name {EXPORTABLE}.")
    check_outputs({"OUT": out}, inputs=[], overwrite=overwrite)
    decoder = checkpoint.load(run.checkpoint_file(row.key))
    net = decoder.model_
    graph = files.to_graph(
        net, mean=decoder.mean_, scale=decoder.scale_, facts=_facts(run, row, decoder)
    )
    assert isinstance(net, SpikingDecoder), "the others were refused"
    x = parity.random_windows(N_WINDOWS, row.n_times, decoder.mean_, decoder.scale_)
    with staged([out]) as stand_in:
        files.write(graph, stand_in[out])
        graph = files.read(stand_in[out])
        found = parity.compare(net, graph, x, decoder.mean_, decoder.scale_)
        if found.differing > FEW * found.n_steps or found.max_logit_difference > 1e-2:
            raise ConfigError(
                f"{row.model} was not exported: the graph and the net differ in {found.differing} "
                f"of {found.n_spikes} spikes, and logits by {found.max_logit_difference:.2g}. This "
                f"is a mistake of ours; please report it with {run.path / 'config.toml'}."
            )
    return {
        "file": str(out),
        "run": run.id,
        **{name: getattr(row, name) for name in ("model", "fold", "key", "align", "clean", "seed")},
        "input": graph.metadata["input"],
        "dt_ms": float(graph.metadata["dt"]) * 1e3,
        "nodes": len(graph.nodes),
        "edges": len(graph.edges),
        "populations": {files.node_name(name): n.n_features for name, n in neurons_of(net)},
        "weights": files.count_weights(graph),
        "parity": {"windows_from": "noise", **asdict(found)},
    }


def choose_row(run: Run, fold: str | None, model: str | None) -> ResultRow:
    """The first finished fold of that name, and of that decoder."""
    if run.meta().get("paradigm") == "denoise":
        raise ConfigError(f"{run.id} trained denoisers; NIR export takes decoders only.")
    rows = run.rows()
    if not rows:
        raise StoreError(f"No fold of {run.path} is finished. Give the command of the run again.")
    models = list(dict.fromkeys(row.model for row in rows))
    if model is None and EXPORTABLE not in models:
        raise ConfigError(
            f"No decoder of {run.id} ({', '.join(models)}) can be expressed in NIR. Fit "
            f"{EXPORTABLE} with stride=1, time='stream' and neuron_options={{reset='hard'}}."
        )
    rows = [row for row in rows if row.model == (model or EXPORTABLE)]
    if not rows:
        raise UnknownName(f"decoder of {run.id}", str(model), models)
    return _of_fold(run, rows, fold)


def _of_fold(run: Run, rows: Sequence[ResultRow], fold: str | None) -> ResultRow:
    if fold is None:
        return rows[0]
    found = [row for row in rows if row.fold == fold or (fold and row.key.startswith(fold))]
    if not found:
        raise UnknownName(f"fold of {run.id}", fold, {row.fold for row in rows})
    return found[0]


def _facts(run: Run, row: ResultRow, decoder: Decoder) -> dict[str, str | float]:
    """What whoever reads the file has to know."""
    spec = decoder.spec_
    aligned = "" if row.align == "none" else f", aligned by {row.align}"
    return {
        "made_by": f"neurodecode {version('neurodecode-eeg')}",
        "model": row.model,
        "fold": row.fold,
        "input": f"preprocessed windows in microvolts{aligned}, one sample a step",
        "output": "logits, complete at the last step of a window; begin anew with each window",
        "currents": "held over a step; see neurodecode.export.reference",
        "ch_names": ",".join(spec.ch_names),
        "classes": ",".join(run.meta()["classes"]),
        "sfreq": spec.sfreq,
        "n_times": float(spec.n_times),
    }
