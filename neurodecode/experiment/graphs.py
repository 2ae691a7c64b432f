"""A net of a run as a graph for other programs: ONNX, or an archive of torch.export."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, StoreError
from neurodecode.evaluation.splits import EVERYBODY
from neurodecode.experiment.outputs import staged
from neurodecode.experiment.source import Source
from neurodecode.export.agreement import Agreement, Said, agreement
from neurodecode.export.archive import ask_own_archive, write_archive
from neurodecode.export.onnx import ask_onnx, write_onnx
from neurodecode.export.program import INPUT, OUTPUTS, Program, logits_of, program_of
from neurodecode.nn.spiking.neurons import is_spiking
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

N_WINDOWS = 64
BATCHES = (1, 2, 7, N_WINDOWS)


class Format(NamedTuple):
    """A kind of file: its name, what writes it, and what asks it for logits and probabilities."""

    name: str
    write: Callable[[Program, Path, Mapping[str, str]], None]
    asked: Callable[[Path], Callable[[NDArray[np.float32]], Said]]


def write_graph(run: Run, row: ResultRow, out: Path, source: Source) -> dict[str, Any]:
    """Write a net as a graph; it is read back and compared on windows that the run was tested on.

    Parameters
    ----------
    run, row
        Where the net comes from.
    out
        The file; its suffix is one of `FORMATS`.
    source
        Windows of the run.

    Returns
    -------
    dict
        What goes in and out, and how far graph and decoder are from each other.

    Raises
    ------
    ConfigError
        If the net cannot be written, or the graph does not say what the decoder says.
    StoreError
        If the recordings of the run are not there, or the file cannot be written.
    """
    path, form = run.checkpoint_file(row.key), FORMATS[out.suffix]
    decoder, extra = checkpoint.load(path), checkpoint.load_extra(path)
    x, where = _real_windows(run, row, source, gain=np.float32(extra.get("gain", 1.0)))
    net, spec = decoder.model_, decoder.spec_
    wanted = logits_of(net, decoder.normalized(x)), decoder.predict_proba(x)
    program = program_of(net, decoder.mean_, decoder.scale_, n_times=spec.n_times)
    facts = _facts(run, row, decoder, extra, source)
    with staged([out]) as stand_in:
        form.write(program, stand_in[out], facts)
        found = agreement(
            form.asked(stand_in[out]),
            wanted,
            x,
            BATCHES if program.batch is None else (program.batch,),
            spikes=is_spiking(net),
        )
        if not found.agrees:
            raise ConfigError(_disagree(run, row, form.name, found))
        size = stand_in[out].stat().st_size
    return {
        "format": form.name,
        "input": {
            "name": INPUT,
            "shape": [program.batch or "batch", spec.n_chans, spec.n_times],
            "unit": "microvolts",
            "before": facts["before"],
        },
        "outputs": [{"name": n, "shape": ["batch", spec.n_outputs]} for n in OUTPUTS],
        "classes": list(run.meta()["classes"]),
        "bytes": size,
        "parity": {"windows_from": where, **asdict(found)},
    }


def _disagree(run: Run, row: ResultRow, name: str, found: Agreement) -> str:
    return (
        f"{row.model} was not exported: on {found.n_beyond} of {found.n_windows} windows the "
        f"{name} graph and the decoder differ by more than {found.tolerance:.1g}, by up to "
        f"{found.max_logit_difference:.2g} of a logit. Choose another format, or another decoder; "
        f"and please report it with {run.path / 'config.toml'}."
    )


def _real_windows(
    run: Run, row: ResultRow, source: Source, *, gain: np.float32
) -> tuple[NDArray[np.float32], str]:
    """Windows that a decoder was tested on, evenly taken, and which those are.

    A decoder fitted to everybody is asked about those of the first fold of its pipeline.
    """
    tested = row
    if row.fold == EVERYBODY:
        same = (row.model, row.align, row.clean)
        rows = [r for r in run.rows() if (r.model, r.align, r.clean) == same]
        if not rows:
            raise StoreError(
                f"No fold of {run.id} was tested with {row.model}, aligned {row.align}, so there "
                f"are no windows to compare the file on. Export the decoder of another run."
            )
        tested = rows[0]
    x = source.sides(tested).test
    whole = np.flatnonzero(np.isfinite(x).all(axis=(1, 2)))
    if not len(whole):
        raise ConfigError(
            f"{row.model} takes windows that lack channels, and a graph takes all of them. Export "
            f"a decoder that was fitted to one montage."
        )
    picked = whole[np.linspace(0, len(whole) - 1, min(N_WINDOWS, len(whole))).astype(int)]
    return x[picked] * gain, f"test windows of {tested.fold}"


def _facts(
    run: Run, row: ResultRow, decoder: Decoder, extra: Mapping[str, Any], source: Source
) -> dict[str, str]:
    """What whoever uses the file has to know, as texts."""
    spec, gain = decoder.spec_, float(extra.get("gain", 1.0))
    steps = ["preprocessed and cut as `preprocess` and `epochs` say"]
    steps += [f"cleaned by {row.clean}"] if row.clean != "none" else []
    steps += [f"aligned by {row.align}"] if row.align != "none" else []
    steps += [f"multiplied by {gain:.9g}"] if gain != 1 else []
    return {
        "made_by": "neurodecode",
        "version": version("neurodecode-eeg"),
        "torch": version("torch"),
        "run": run.id,
        "key": row.key,
        "model": row.model,
        "fold": row.fold,
        "seed": str(row.seed),
        "simulated": json.dumps(row.simulated),
        "align": row.align,
        "clean": row.clean,
        "gain": f"{gain:.9g}",
        "before": ", ".join(steps),
        "unit": "microvolts",
        "ch_names": ",".join(spec.ch_names),
        "sfreq": f"{spec.sfreq:.9g}",
        "n_times": str(spec.n_times),
        "classes": ",".join(run.meta()["classes"]),
        "preprocess": json.dumps(source.choices["preprocess"]),
        "epochs": json.dumps(source.choices["epochs"]),
    }


FORMATS = {
    ".onnx": Format("ONNX", write_onnx, ask_onnx),
    ".pt2": Format("torch.export", write_archive, ask_own_archive),
}
