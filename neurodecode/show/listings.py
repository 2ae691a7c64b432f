"""What there is to choose from, and what a run would do. Imports nothing heavy."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from neurodecode.core.errors import StoreError
from neurodecode.core.registry import Registry
from neurodecode.show import console

PARTS = {
    "models": ("model", "neurodecode.models"),
    "backbones": ("backbone", "neurodecode.models"),
    "aligners": ("aligner", "neurodecode.alignment"),
    "cleaners": ("cleaner", "neurodecode.artifacts"),
    "augmentations": ("augmentation", "neurodecode.training"),
    "penalties": ("penalty", "neurodecode.training"),
    "schemes": ("scheme", "neurodecode.training"),
    "neurons": ("neuron", "neurodecode.nn.spiking.neurons"),
    "surrogates": ("surrogate", "neurodecode.nn.spiking"),
    "encoders": ("encoder", "neurodecode.nn.spiking.encoders"),
    "mixers": ("mixer", "neurodecode.nn.spiking.mixers"),
    "accumulators": ("accumulator", "neurodecode.online.evidence"),
    "explainers": ("explainer", "neurodecode.explain"),
}
"""Kinds of parts and where they are: their files are read, not run, so none of them is imported."""

MODELS_NOTE = "braindecode:NAME reaches every braindecode classifier"


def listing(kind: str, runs: Path) -> list[tuple[str, str]]:
    """Name and one line of everything of a kind."""
    if kind in PARTS:
        registry: Registry[Any] = Registry(*PARTS[kind])
        return [(name, registry.summary(name)) for name in registry.names()]
    if kind == "runs":
        from neurodecode.results.store import Store

        return [(run.id, _run_words(run)) for run in Store(runs).runs()]
    return _plain_listing(kind)


def _plain_listing(kind: str) -> list[tuple[str, str]]:
    from neurodecode.recordings.cards import card_names, find_card

    if kind == "datasets":
        cards = [find_card(name, paradigm="mi") for name in card_names()]
        return [(card.name, f"{card.paradigm}: {card.description}") for card in cards]
    if kind == "paradigms":
        from neurodecode.core.places import pipeline_names, shared_folder

        files = {name: shared_folder("pipelines") / f"{name}.toml" for name in pipeline_names()}
        return [(n, f.read_text("utf-8").split("\n")[0].lstrip("# ")) for n, f in files.items()]
    if kind == "metrics":
        from neurodecode.evaluation.command_scores import COMMAND_METRICS
        from neurodecode.evaluation.metrics import EVENT_METRICS, METRICS

        of_alarms = [(name, "of alarms, with epochs.slide") for name in EVENT_METRICS]
        of_commands = [
            (n, f"with --protocol pseudo-online: {s}") for n, s in COMMAND_METRICS.items()
        ]
        return [*((name, "") for name in METRICS), *of_alarms, *of_commands]
    from neurodecode.evaluation.splits import PROTOCOLS

    return list(PROTOCOLS.items())


def _run_words(run: Any) -> str:
    try:
        meta = run.meta()
    except StoreError as error:
        return f"broken: {error}"
    if meta.get("paradigm") == "pretrain":
        from neurodecode.results.pretraining import read_curve
        from neurodecode.show.pretraining import pretrain_words

        steps = read_curve(run)["step"]
        return pretrain_words(meta, None if steps.empty else int(steps.max()))
    if "calibrated" in meta:
        from neurodecode.show.calibrate import calibrated_words

        return calibrated_words(meta)
    planned = meta.get("folds", [])
    finished = sum(run.fold_file(key).exists() for key in planned)
    return f"{finished} of {len(planned)} fits"


def show_listing(kind: str, lines: Sequence[tuple[str, str]], *, as_json: bool) -> None:
    """Print names with their one line."""
    if as_json:
        sys.stdout.write(json.dumps([{"name": n, "summary": s} for n, s in lines], indent=1) + "\n")
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, summary in lines:
        table.add_row(escape(name), escape(summary))
    out = console()
    out.print(table)
    if kind == "models":
        out.print(f"\n{MODELS_NOTE}.", markup=False)
    if kind == "cleaners":
        from neurodecode.experiment.clean import DEFAULT_METHOD

        out.print(f"\nWithout --method, `clean` takes {DEFAULT_METHOD}.", markup=False)


def show_plan(choices: Mapping[str, Any], plan: Mapping[str, Any], *, as_json: bool) -> None:
    """Print resolved choices and what a run would do."""
    if as_json:
        sys.stdout.write(json.dumps({"choices": choices, "plan": plan}, indent=1) + "\n")
        return
    from neurodecode.experiment.choices import to_toml

    out = console()
    out.print(to_toml(dict(choices)), markup=False)
    for name, value in plan.items():
        if name == "models":
            for model, n in value.items():
                out.print(f"{model}: {f'{n:,} parameters' if n else 'no net'}", markup=False)
        else:
            out.print(f"{name.replace('_', ' ')}: {value}", markup=False)
