"""What can be asked of the accounts of energy and of early exits that are kept with a run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from neurodecode.results.store import Run
from neurodecode.results.summaries import PIPELINE, label

Document = dict[str, Any]

ACCOUNTS = {
    "operations": "operations, fp32",
    "memory": "and memory, fp32",
    "memory_int8": "and memory, int8",
    "quantised": "counterpart without spikes, int8",
}
"""Modelled energies, in words."""


def read_energy(run: Run) -> Document:
    """The account of a run.

    Raises
    ------
    StoreError
        If there is none, or it cannot be read.
    """
    return run.read_document("energy.json", command=f"neurodecode energy {run.id}", part="models")


def read_exits(run: Run) -> Document:
    """What early exits of a run cost and save.

    Raises
    ------
    StoreError
        If that was not measured, or cannot be read.
    """
    return run.read_document("exit.json", command=f"neurodecode exit {run.id}", part="models")


def energy_table(document: Mapping[str, Any]) -> pd.DataFrame:
    """One line per net; classical decoders, whose operations are not counted, are left out.

    Columns: model, align, clean, decoder (in one word), score, n_params, rate (spikes per neuron
    and step; not a number without spikes), bits (of the counterpart's activations), macs, acs (per
    window), operations, memory, memory_int8, quantised (modelled energies, uJ per window; see
    `ACCOUNTS`), p50_ms and p99_ms (time of one window).
    """
    lines = []
    for entry in document["models"]:
        if "layers" not in entry:
            continue
        energy, latency = entry["modelled_nj"], entry.get("latency_ms", {})
        lines.append(
            {
                **{name: entry[name] for name in PIPELINE},
                "decoder": label((entry["model"], entry["align"], entry["clean"])),
                **{k: entry.get(k) for k in ("score", "n_params", "rate", "bits", "macs", "acs")},
                **{name: _micro(energy.get(name)) for name in ACCOUNTS},
                "p50_ms": latency.get("p50"),
                "p99_ms": latency.get("p99"),
            }
        )
    numbers = ["score", "n_params", "rate", "bits", "macs", "acs", *ACCOUNTS, "p50_ms", "p99_ms"]
    table = pd.DataFrame(lines, columns=[*PIPELINE, "decoder", *numbers])
    return table.astype(dict.fromkeys(numbers, float))


def layer_table(document: Mapping[str, Any]) -> pd.DataFrame:
    """One line per layer of every net, in the order of the account.

    Columns: model, decoder, layer, kind, macs, acs (per window), rate (spikes per neuron and step)
    and memory_int8 (modelled energy in 8 bits, uJ).
    """
    lines = [
        {
            "model": entry["model"],
            "decoder": label((entry["model"], entry["align"], entry["clean"])),
            **{name: layer.get(name) for name in ("layer", "kind", "macs", "acs", "rate")},
            "memory_int8": _micro(layer["modelled_nj"].get("memory_int8")),
        }
        for entry in document["models"]
        for layer in entry.get("layers", [])
    ]
    columns = ["model", "decoder", "layer", "kind", "macs", "acs", "rate", "memory_int8"]
    numbers = dict.fromkeys(columns[4:], float)
    return pd.DataFrame(lines, columns=columns).astype(numbers)


def twins(table: pd.DataFrame) -> pd.DataFrame:
    """Each spiking net beside the conventional net of its name, where the run has both.

    Parameters
    ----------
    table
        As `energy_table` returns it. The twin of "spiking_NAME" is NAME, or braindecode's net of
        that name, with the same alignment and cleaning.

    Returns
    -------
    pandas.DataFrame
        Columns decoder, twin, gain (score of the spiking net less the twin's), and for each
        modelled energy ``operations``, ``memory``, ``memory_int8`` the spiking net's over the
        twin's; ``counterpart`` is its int8 energy over that of its own quantised counterpart.
    """
    lines = []
    for _, own in table[table["rate"].notna()].iterrows():
        alike = (table["align"] == own["align"]) & (table["clean"] == own["clean"])
        name = str(own["model"]).removeprefix("spiking_")
        plain = table["model"].str.lower().str.removeprefix("braindecode:") == name
        found = table[alike & plain & table["rate"].isna()]
        for _, twin in found.iterrows():
            lines.append(
                {
                    "decoder": own["decoder"],
                    "twin": twin["decoder"],
                    "gain": own["score"] - twin["score"],
                    **{k: own[k] / twin[k] for k in ("operations", "memory", "memory_int8")},
                    "counterpart": own["memory_int8"] / own["quantised"],
                }
            )
    names = ["decoder", "twin", "gain", "operations", "memory", "memory_int8", "counterpart"]
    return pd.DataFrame(lines, columns=names)


def exit_tables(document: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves of score against time, and the rules, of every decoder that can stop early.

    Returns
    -------
    curves
        Columns model, decoder, rule ("fixed", "confidence"), time (s), score.
    rules
        Columns model, decoder, rule, time (s), score, change, low, high (against whole windows),
        share (of the window that is used).
    """
    head, point = ["model", "decoder"], ["rule", "time", "score"]
    rule = [*point, "change", "low", "high", "share"]
    curves, rules = [], []
    for entry in document["models"]:
        named = {
            "model": entry["model"],
            "decoder": label((entry["model"], entry["align"], entry["clean"])),
        }
        curves += [{**named, **{k: line[k] for k in point}} for line in entry["curve"]]
        rules += [{**named, **{k: line.get(k) for k in rule}} for line in entry["lines"]]
    return (
        pd.DataFrame(curves, columns=[*head, *point]),
        pd.DataFrame(rules, columns=[*head, *rule]),
    )


def _micro(nano: float | None) -> float:
    """Nanojoules as microjoules; not a number if unknown."""
    return np.nan if nano is None else nano / 1e3
