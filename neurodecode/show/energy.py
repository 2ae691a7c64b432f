"""The table of modelled energies."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from neurodecode.core.errors import NeurodecodeError, UnknownName
from neurodecode.results.store import Run, Store
from neurodecode.show import console
from neurodecode.show.tables import find_runs

Document = Mapping[str, Any]


def find_target(runs: Any, name: str) -> Run | str:
    """The run that is meant, or the name of a model.

    Raises
    ------
    UnknownName
        If it is neither.
    """
    from neurodecode.models import MODELS

    if name.partition(":")[0] in MODELS.names():
        return name
    try:
        return find_runs(runs, [name])[0]
    except NeurodecodeError:
        known = [*(run.id for run in Store(runs).runs()), *MODELS.names()]
        raise UnknownName("run or model", name, known) from None


def show_energy(document: Document, *, layers: bool, as_json: bool) -> None:
    """Print an account of energy.

    Parameters
    ----------
    document
        As `neurodecode.experiment.energy` makes it.
    layers
        Whether to print every layer of every net.
    as_json
        Print it as JSON.
    """
    if as_json:
        models = [
            {k: v for k, v in entry.items() if layers or k != "layers"}
            for entry in document["models"]
        ]
        sys.stdout.write(json.dumps({**document, "models": models}, indent=1) + "\n")
        return
    out = console()
    out.print(_headline(document), markup=False)
    _print_whole(_table(document))
    if layers:
        for entry in document["models"]:
            if "layers" in entry:
                out.print(f"\n{_name(entry)}, one window", markup=False)
                _print_whole(_layer_table(entry))
    out.print(_footnote(document), markup=False)


def _print_whole(table: Table) -> None:
    out = console()
    whole = out.measure(table, options=out.options.update(width=1000)).maximum
    console(at_least=whole).print(table)


def _headline(document: Document) -> str:
    simulated = " (SIMULATED recordings)" if document["simulated"] else ""
    added = f", CONTAMINATED ({document['contaminated']})" if document.get("contaminated") else ""
    words = f"{document['paradigm']}, {document['dataset']}{simulated}{added}"
    if not document["trained"]:
        return (
            f"\nMODELLED energy of one window, {words}: an UNTRAINED net, whose spikes say little"
        )
    return f"\nMODELLED energy of one window, {words}, {document['protocol']}"


def _table(document: Document) -> Table:
    entries = document["models"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True)
    words = {"align": "alignment", "clean": "cleaning"}
    shown = [name for name in words if any(entry[name] != "none" for entry in entries)]
    for name in shown:
        table.add_column(words[name], no_wrap=True)
    scored = document["trained"]
    spiking = any(entry.get("rate") is not None for entry in entries)
    names = [str(document["metric"]).replace("_", " ")] if scored else []
    names += ["spikes", "MACs", "ACs", "uJ: operations", "+ memory", "int8"]
    names += ["counterpart", "crossover"] if spiking else []
    for name in [*names, "ms p50", "p99"]:
        table.add_column(name, justify="right")
    for entry in entries:
        cells = [escape(entry["model"]), *(escape(entry[name]) for name in shown)]
        cells += [_number(entry["score"], 3)] if scored else []
        table.add_row(*cells, *_cells(entry, spiking))
    return table


def _cells(entry: Document, spiking: bool) -> list[str]:
    if "layers" not in entry:
        return ["-"] * (10 if spiking else 8)
    energy, latency = entry["modelled_nj"], entry["latency_ms"]
    cells = [_rate(entry["rate"]), _size(entry["macs"]), _size(entry["acs"])]
    cells += [_micro(energy[name]) for name in ("operations", "memory", "memory_int8")]
    if spiking:
        cells += [_micro(energy["quantised"]), _crossover(entry["crossover_rate"])]
    return [*cells, f"{latency['p50']:.2f}", f"{latency['p99']:.2f}"]


def _layer_table(entry: Document) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", no_wrap=True)
    table.add_column("kind")
    names = ["steps", "spikes", "MACs", "ACs", "weights", "uJ: operations", "+ memory", "int8"]
    spiking = entry["rate"] is not None
    for name in names + (["counterpart"] if spiking else []):
        table.add_column(name, justify="right")
    for layer in entry["layers"]:
        energy = layer["modelled_nj"]
        cells = [escape(layer["layer"]), layer["kind"], str(layer["steps"]), _rate(layer["rate"])]
        cells += [_size(layer[name]) for name in ("macs", "acs", "weights")]
        cells += [_micro(energy[name]) for name in ("operations", "memory", "memory_int8")]
        table.add_row(*cells, *([_micro(energy["quantised"])] if spiking else []))
    return table


def _footnote(document: Document) -> str:
    counted = [entry for entry in document["models"] if "layers" in entry]
    n = document["windows_per_fold"]
    lines = []
    if document["trained"]:
        n_folds = max((len(entry["folds"]) for entry in counted), default=0)
        lines.append(f"Counted on up to {n} test windows of each of {n_folds} folds, first seed.")
    else:
        lines.append(f"Counted on {n} windows of the first subject.")
    lines += [
        "Energy is modelled from these counts, not measured: 45 nm; MAC 4.6 pJ, AC 0.9 pJ in fp32; "
        "0.23 and 0.03 in int8;",
        "memory 3.12 pJ per bit moved, weights once a step. int8: operations and memory in 8 bits. "
        "Do not quote operations alone.",
    ]
    if any(entry["rate"] is not None for entry in counted):
        bits = sorted({entry["bits"] for entry in counted if entry["rate"] is not None})
        words = " or ".join(map(str, bits))
        lines += [
            f"spikes: per neuron and step. counterpart: the same layers, int8 weights, {words}-bit "
            f"activations in place of spikes, with memory;",
            "compare it with int8. crossover: spikes at which the two are equal (without memory).",
        ]
    if unseen := sorted({name for entry in counted for name in entry["unseen"]}):
        lines.append(f"NOT COUNTED: products within {', '.join(unseen)}.")
    if counted:
        latency = counted[0]["latency_ms"]
        lines.append(f"ms: one window, one thread, {latency['processor']}.")
    return "\n".join(lines)


def _name(entry: Document) -> str:
    parts = (entry["model"], entry["align"], entry["clean"])
    return " + ".join(part for part in parts if part != "none")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _size(value: float) -> str:
    return f"{value:,.0f}" if value else "-"


def _micro(nano: float | None) -> str:
    """Nanojoules as microjoules, three digits."""
    return "-" if nano is None else f"{nano / 1e3:#.3g}".rstrip(".")


def _crossover(rates: Mapping[str, float] | None) -> str:
    if rates is None:
        return "-"
    return f"{_limit(rates['memory'])} ({_limit(rates['operations'])})"


def _limit(rate: float) -> str:
    if rate in (0, 1):
        return "always" if rate else "never"
    return f"{rate:.3f}"
