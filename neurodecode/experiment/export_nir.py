"""A spiking decoder of a run as a NIR file, compared with the net before it is there."""

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neurodecode.core.errors import ConfigError
from neurodecode.experiment.outputs import staged
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


def write_nir(run: Run, row: ResultRow, out: Path) -> dict[str, Any]:
    """Write a decoder as NIR; the file is read back and compared with the net on noise.

    Parameters
    ----------
    run, row
        Where the decoder comes from.
    out
        The file.

    Returns
    -------
    dict
        The graph's sizes, and how far net and graph are from each other.

    Raises
    ------
    ConfigError
        If NIR cannot express the decoder, or nir is not installed.
    StoreError
        If the file cannot be written.
    """
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
        "input": graph.metadata["input"],
        "dt_ms": float(graph.metadata["dt"]) * 1e3,
        "nodes": len(graph.nodes),
        "edges": len(graph.edges),
        "populations": {files.node_name(name): n.n_features for name, n in neurons_of(net)},
        "weights": files.count_weights(graph),
        "parity": {"windows_from": "noise", **asdict(found)},
    }


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
