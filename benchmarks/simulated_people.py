"""What scripts here evaluate on: a card of simulated people, and the choices of a run over it."""

from pathlib import Path
from typing import Any

CARD = """name = "simulated_{name}"
description = "Simulated, for benchmarks"
paradigm = "mi"
licence = "Apache-2.0, made by this package"
events = ["left_hand", "right_hand"]
simulated = true

[source]
kind = "synthetic"
arguments = {{ paradigm = "imagery", {arguments} }}
"""


def people(folder: Path, **arguments: Any) -> Path:
    """A card of simulated people in `folder`; arguments are those of the simulator."""
    words = {name: str(value).replace("'", '"') for name, value in arguments.items()}
    shape = "x".join(str(arguments[name]) for name in sorted(arguments) if name.startswith("n_"))
    card = folder / f"simulated_{shape}.toml"
    text = ", ".join(f"{name} = {word}" for name, word in words.items())
    card.write_text(CARD.format(name=shape, arguments=text), encoding="utf-8")
    return card


def choices_for(card: Path, model: str, **flags: Any) -> dict[str, Any]:
    """Choices of leave-one-subject-out over the people of a card, nothing aligned.

    Nets train by the same plain recipe that any other loop can follow: AdamW at a constant rate,
    batches of 32, no early stop.
    """
    from neurodecode.experiment.choices import resolve

    plain: dict[str, Any] = {
        "data.dataset": [str(card)],
        "models": [model],
        "evaluation.align": ["none"],
        "train.batch_size": 32,
        "train.lr": 1e-3,
        "train.weight_decay": 0.01,
        "train.schedule": "constant",
        "train.patience": 10_000,
    }
    return resolve("mi", flags={**plain, **flags})
