"""How a run is made again, and the facts of what made it."""

import shlex
from typing import Any

import pandas as pd

from neurodecode.results.overview import kind_of
from neurodecode.results.store import Run

LISTED = {
    "data",
    "folds",
    "live",
    "libraries",
    "ch_names",
    "notes",
    "calibrated",
    "fitted_to",
    "seen",
}
"""Parts of ``meta.json`` that are counted in the table of facts, or have one of their own."""


def repeat_command(run: Run) -> str:
    """The command that makes a run again, or goes on with it; empty where there is none.

    A calibration is made with a person, and no command repeats that.
    """
    kind = kind_of(run.meta())
    config = run.path / "config.toml"
    if kind == "calibration" or not config.exists():
        return ""
    command = "pretrain" if kind == "pretraining" else "fit"
    paradigm = [] if kind == "pretraining" else ["--paradigm", str(run.meta()["paradigm"])]
    words = ["neurodecode", command, *paradigm, "-c", str(config), "--runs", str(run.path.parent)]
    return shlex.join(words)


def facts_of(run: Run) -> pd.DataFrame:
    """What ``meta.json`` says, a line per fact: fact, value (text)."""
    meta = run.meta()
    lines = [(name, _in_words(value)) for name, value in meta.items() if name not in LISTED]
    counted = [name for name in ("ch_names", "folds", "live", "seen") if meta.get(name)]
    lines += [(f"number of {name}", str(len(meta[name]))) for name in counted]
    return pd.DataFrame(lines, columns=["fact", "value"])


def libraries_of(run: Run) -> pd.DataFrame:
    """Libraries that made a run: library, version."""
    libraries = run.meta().get("libraries")
    found = libraries.items() if isinstance(libraries, dict) else ()
    return pd.DataFrame([(str(k), str(v)) for k, v in found], columns=["library", "version"])


def folds_of(run: Run) -> pd.DataFrame:
    """Every planned fold: key, finished, and what is known of those that are.

    Columns: key, finished, fold, decoder, align, clean, seed, n_train, n_test, fit_time (s).
    """
    rows = {row.key: row for row in run.rows()}
    lines: list[dict[str, Any]] = []
    for key in run.meta().get("folds", []):
        line: dict[str, Any] = {"key": key, "finished": key in rows}
        if row := rows.get(key):
            line |= {"fold": row.fold, "decoder": row.model, "align": row.align}
            line |= {"clean": row.clean, "seed": row.seed, "n_train": row.n_train}
            line |= {"n_test": row.n_test, "fit_time": row.fit_time}
        lines.append(line)
    return pd.DataFrame(lines, columns=[
        "key", "finished", "fold", "decoder", "align", "clean", "seed", "n_train", "n_test",
        "fit_time",
    ])  # fmt: skip


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_in_words(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    return "" if value is None else str(value)
