"""Accounts of energy: of the fitted decoders of a run, or of a net that was never fitted."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurodecode.core.counts import Counts, LayerCount
from neurodecode.core.errors import ConfigError, StoreError
from neurodecode.evaluation import energy as model
from neurodecode.evaluation.cost import counts_of, latency_of, mean_counts
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.data import Report, load_epochs
from neurodecode.experiment.source import Source
from neurodecode.nn import count as counting
from neurodecode.nn.spiking import levels
from neurodecode.recordings.cards import find_card
from neurodecode.results.provenance import environment
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run, load_rows
from neurodecode.results.summaries import pipelines_of, unit_scores
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

Document = dict[str, Any]


def energy_of_run(
    run: Run,
    *,
    n_windows: int = 32,
    n_folds: int = 3,
    again: bool = False,
    report: Report = lambda words, done, total: None,
) -> Document:
    """What every decoder of a run takes for a window; kept in the run's ``energy.json``.

    Nets are counted with the first seed's weights of the first folds, on test windows spread over
    each, aligned and cleaned as they were when the fold was scored. Time is that of the first.

    Parameters
    ----------
    run
        With finished folds.
    n_windows, n_folds
        Test windows of a fold, and folds of a decoder, to count on.
    again
        Count again what was counted before with the same folds.
    report
        Called while reading.

    Raises
    ------
    StoreError
        If no fold is finished, or the recordings are no longer those of the run.
    ConfigError
        For a run of denoisers.
    """
    meta, table = run.meta(), load_rows([run])
    if meta.get("paradigm") == "denoise":
        raise ConfigError(f"{run.id} trained denoisers; energy is counted for decoders only.")
    if table.empty:
        raise StoreError(f"No fold of {run.path} is finished. Give the command of the run again.")
    known = {} if again else _kept(run)
    source = Source(run, report)
    entries = []
    for pipeline, rows in _pipelines(run.rows(), n_folds).items():
        key = _key(rows, n_windows)
        entry = known.get(key) or _counted(run, rows, source, n_windows, key)
        scores = unit_scores(table)
        score = scores.iloc[:, pipelines_of(scores).index(pipeline)].mean()
        entries.append({**entry, "score": None if pd.isna(score) else float(score)})
    facts = ("paradigm", "dataset", "protocol", "metric", "simulated", "contaminated")
    document = {
        "target": run.id,
        "trained": True,
        **{name: meta.get(name) for name in facts},
        "windows_per_fold": n_windows,
        "models": [_with_energy(entry) for entry in entries],
    }
    return run.write_document("energy.json", document)


def energy_of_model(
    name: str,
    *,
    paradigm: str = "mi",
    sets: Sequence[str] = (),
    n_windows: int = 32,
    report: Report = lambda words, done, total: None,
) -> Document:
    """What a net with fresh weights takes for a window of the first subject.

    Parameters
    ----------
    name
        Of a decoder.
    paradigm, sets
        As for `resolve`: they choose the windows, and the options of the net.
    n_windows
        To count on.
    report
        Called while reading.

    Raises
    ------
    ConfigError
        If it is not a net.
    """
    choices = resolve(paradigm, sets=sets, flags={"models": [name]})
    cards = [find_card(card, paradigm=paradigm) for card in choices["data"]["dataset"]]
    epochs = load_epochs(choices, n_subjects=1, report=report)
    decoder = Decoder(name, sfreq=epochs.sfreq, options=choices["model"].get(name))
    net = decoder.build(epochs.spec)
    x = epochs.x[_spread(len(epochs), n_windows)]
    scale = x.std(axis=(0, 2), keepdims=True)
    x = (x - x.mean(axis=(0, 2), keepdims=True)) / np.where(scale > 0, scale, 1)
    counts = counts_of(net, x)
    if counts is None:
        raise ConfigError(f"{name} is not a net: it has no layers to count. Name another model.")
    entry = {
        "model": name,
        "align": "none",
        "clean": "none",
        "score": None,
        "folds": [],
        "n_params": sum(p.numel() for p in net.parameters()),
        **_plain(counts),
        "latency_ms": {**asdict(latency_of(net, x)), "processor": environment()["processor"]},
    }
    return {
        "target": name,
        "trained": False,
        "paradigm": paradigm,
        "dataset": "+".join(card.name for card in cards),
        "simulated": any(card.simulated for card in cards),
        "windows_per_fold": len(x),
        "models": [{**_with_energy(entry), "crossover_rate": None}],  # of rates that mean nothing
    }


def _pipelines(
    rows: Sequence[ResultRow], n_folds: int
) -> dict[tuple[str, str, str], list[ResultRow]]:
    """For each decoder, alignment and cleaner, the first seed's first folds."""
    found: dict[tuple[str, str, str], list[ResultRow]] = {}
    for row in rows:
        found.setdefault((row.model, row.align, row.clean), []).append(row)
    return {
        pipeline: [row for row in own if row.seed == own[0].seed][:n_folds]
        for pipeline, own in found.items()
    }


def _counted(
    run: Run, rows: Sequence[ResultRow], source: Source, n_windows: int, key: str
) -> Document:
    """An entry of the account; classical decoders have no counts."""
    first = rows[0]
    entry: Document = {
        "model": first.model,
        "align": first.align,
        "clean": first.clean,
        "key": key,
        "folds": [row.fold for row in rows],
        "n_params": first.n_params,
    }
    if not first.n_params:
        return entry
    several = []
    for row in rows:
        decoder = checkpoint.load(run.checkpoint_file(row.key))
        x = source.sides(row).test
        x = decoder.normalized(x[_spread(len(x), n_windows)])
        counts = counts_of(decoder.model_, x)
        assert counts is not None, "what has parameters is a net"
        several.append(counts)
        if row is first:
            taken = asdict(latency_of(decoder.model_, x))
            entry["latency_ms"] = {**taken, "processor": environment()["processor"]}
    return {**entry, **_plain(mean_counts(several))}


def _spread(n: int, wanted: int) -> NDArray[np.intp]:
    """Indices of that many of `n` windows, evenly from the first to the last."""
    return np.linspace(0, n - 1, min(n, wanted)).round().astype(np.intp)


def _key(rows: Sequence[ResultRow], n_windows: int) -> str:
    """Changes with the folds, the windows and the way of counting."""
    sha = hashlib.sha256(json.dumps([[row.key for row in rows], n_windows]).encode())
    for module in (counting, levels):
        sha.update(Path(str(module.__file__)).read_bytes())
    return sha.hexdigest()[:20]


def _kept(run: Run) -> dict[str, Document]:
    """Entries of an earlier account, by key; a file that cannot be read is as good as none."""
    try:
        document = json.loads((run.path / "energy.json").read_text("utf-8"))
        return {entry["key"]: entry for entry in document["models"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _plain(counts: Counts) -> Document:
    return {
        "n_steps": counts.n_steps,
        "repeats": counts.repeats,
        "unseen": list(counts.unseen),
        "layers": [asdict(layer) for layer in counts.layers],
    }


def _with_energy(entry: Document) -> Document:
    """An entry with what follows from its counts, which is worked out anew each time."""
    if "layers" not in entry:
        return entry
    fields = LayerCount.__dataclass_fields__
    counts = Counts(
        layers=[
            LayerCount(**{k: v for k, v in layer.items() if k in fields})
            for layer in entry["layers"]
        ],
        n_steps=entry["n_steps"],
        repeats=entry["repeats"],
        unseen=tuple(entry["unseen"]),
    )
    crossover = model.crossover(counts)
    return {
        **entry,
        "macs": counts.macs,
        "acs": counts.acs,
        "rate": counts.rate,
        "bits": None if counts.rate is None else model.bits_of(counts.n_steps),
        "modelled_nj": asdict(model.energy(counts)),
        "crossover_rate": asdict(crossover) if crossover else None,
        "layers": [
            {
                **asdict(layer),
                "rate": layer.rate,
                "modelled_nj": asdict(model.layer_energy(counts, layer)),
            }
            for layer in counts.layers
        ],
    }
