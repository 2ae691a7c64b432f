"""What a pretraining shows: its curve's end, its diagnostics, and whom it saw."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from neurodecode.core.errors import ConfigError
from neurodecode.results.pretraining import curve_ends, read_curve, validations
from neurodecode.results.store import Run
from neurodecode.show import console

SHOWN = 12  # people of a data set that are named


def is_pretrain(run: Run) -> bool:
    """Whether a run pretrained a backbone."""
    return run.meta().get("paradigm") == "pretrain"


def pretrain_words(meta: Mapping[str, Any], curve_step: int | None) -> str:
    """A run in a few words, for a list of runs."""
    if meta.get("finished"):
        return f"pretrained, {meta['step']} of {meta['n_steps']} steps kept"
    return f"unfinished pretraining, step {curve_step or 0} at least"


def show_pretrain(run: Run, **how: Any) -> None:
    """Print what a pretraining gave."""
    document = pretrain_document(run, **how)
    out = console()
    out.print(_headline(document), markup=False)
    if document["validation"]:
        out.print(_table(document["validation"]))
    else:
        out.print("No validation yet, or nobody held out.", markup=False)
    out.print(_footnote(document), markup=False)


def pretrain_document(run: Run, **how: Any) -> dict[str, Any]:
    """What `show_pretrain` prints, for other programs.

    ``validation`` is about the weights that are kept.
    """
    useless = [f"--{name.replace('all_', '').replace('_', '-')}" for name, v in how.items() if v]
    if useless:
        raise ConfigError(
            f"{run.id} is a pretraining. Leave out what is for decoders: {', '.join(useless)}."
        )
    meta, curve = run.meta(), read_curve(run)
    finished = bool(meta.get("finished"))
    names = ("model", "options", "dataset", "simulated", "sfreq", "n_params", "seen", "notes")
    file = run.path / "checkpoints" / "backbone.safetensors"
    return {
        "run": str(run.path),
        "paradigm": "pretrain",
        **{name: meta.get(name) for name in names},
        "finished": finished,
        **{name: meta.get(name) for name in ("kept", "step", "n_steps", "seconds")},
        "curve": curve_ends(curve),
        "validation": validations(curve, meta.get("step") if finished else None),
        "checkpoint": str(file) if finished else None,
    }


def _headline(document: Mapping[str, Any]) -> str:
    simulated = " (SIMULATED recordings)" if document["simulated"] else ""
    lines = [
        f"\npretrain {document['model']}, {document['n_params']:,} parameters, on "
        f"{document['dataset']}{simulated}, {document['sfreq']:g} Hz"
    ]
    if document["finished"]:
        kept = f"the {document['kept']} weights, of step {document['step']:,}"
        minutes = document["seconds"] / 60
        lines.append(f"{document['n_steps']:,} steps in {minutes:.1f} min; kept: {kept}")
    else:
        lines.append("UNFINISHED: the same command goes on.")
    ends = document["curve"]
    if "train" in ends:
        e = ends["train"]
        lines.append(f"training loss {e['first']:.4f} to {e['last']:.4f}")
    if "validation" in ends:
        e = ends["validation"]
        lines.append(
            f"loss of held-out people {e['first']:.4f} to {e['last']:.4f}, lowest "
            f"{e['lowest']:.4f} at step {e['lowest_at']:,}"
        )
    return "\n".join(lines)


def _table(lines: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("held-out people of", no_wrap=True)
    names = [name for name in lines[-1] if name != "dataset"]
    for name in names:
        table.add_column(name.replace("n_windows", "windows").replace("_", " "), justify="right")
    for line in lines:
        cells = [
            "" if name not in line
            else str(line[name]) if name == "n_windows"
            else f"{line[name]:.4f}"
            for name in names
        ]  # fmt: skip
        table.add_row(escape(str(line["dataset"])), *cells)
    return table


def _footnote(document: Mapping[str, Any]) -> str:
    people: dict[tuple[str, str], list[str]] = {}
    for person in document["seen"] or ():
        people.setdefault((person["card"], person["role"]), []).append(person["subject"])
    lines = list(document["notes"] or ())
    for (card, role), names in people.items():
        more = f", ... ({len(names)})" if len(names) > SHOWN else ""
        what = "learned from" if role == "train" else "watched"
        lines.append(f"{card}, {what}: {', '.join(names[:SHOWN])}{more}")
    if document["checkpoint"]:
        lines.append(f"Backbone: {document['checkpoint']}, used with")
        lines.append("  neurodecode fit --from FILE --mode probe,lora,finetune")
    lines.append(f"Run: {document['run']}")
    return "\n".join(lines)
