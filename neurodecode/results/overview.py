"""What is in a folder of runs: those that can be read, what each is, and why others cannot."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from neurodecode.core.errors import StoreError
from neurodecode.results.pretraining import curve_ends, read_curve
from neurodecode.results.store import Run, load_rows
from neurodecode.results.summaries import (
    LOWER_IS_BETTER,
    chance,
    label,
    mean_scores,
    with_metric,
)

SAME = ["paradigm", "dataset", "protocol", "marks"]
"""What two runs share whose scores answer the same question."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds.

    Attributes
    ----------
    runs
        That can be read, newest last.
    broken
        Names of folders that cannot, with the reason.
    """

    runs: list[Run]
    broken: dict[str, str]


def find_all(folder: Path) -> Found:
    """Runs that lie directly in a folder.

    Folders that are links to somewhere else are not followed, and files are not looked at.
    """
    times, broken = dict[Run, float](), dict[str, str]()
    root = folder.resolve()
    for path in sorted(folder.iterdir() if folder.is_dir() else ()):
        if path.name.startswith(".") or not path.is_dir():
            continue
        if path.resolve().parent != root:
            broken[path.name] = "it is a link to somewhere outside this folder"
            continue
        try:
            reason = why_unreadable(Run(path))
            if not reason:
                times[Run(path)] = (path / "meta.json").stat().st_mtime
        except OSError as error:  # no permission, or it has just been removed
            reason = f"it cannot be read ({error.strerror or error})"
        if reason:
            broken[path.name] = reason
    return Found(sorted(times, key=lambda run: times[run]), broken)


def why_unreadable(run: Run) -> str:
    """Why a folder cannot be shown as a run; empty if it can."""
    if not (run.path / "meta.json").exists():
        if not any(run.path.iterdir()):
            return "it is empty"
        return "it has no meta.json: it was stopped before it began, or is no run"
    try:
        meta = run.meta()
    except StoreError as error:
        return f"its meta.json cannot be read ({error.__cause__})"
    return _wrong(meta)


def _wrong(meta: Mapping[str, Any]) -> str:
    if not isinstance(meta.get("paradigm"), str):
        return "its meta.json names no paradigm"
    folds = meta.get("folds", [])
    if not isinstance(folds, list) or not all(isinstance(key, str) for key in folds):
        return "its meta.json holds no list of folds"
    return ""


def kind_of(meta: Mapping[str, Any]) -> str:
    """What a run is of: "decoders", "denoisers", "pretraining" or "calibration"."""
    if "calibrated" in meta:
        return "calibration"
    return {"denoise": "denoisers", "pretrain": "pretraining"}.get(meta["paradigm"], "decoders")


def has_scores(run: Run) -> bool:
    """Whether a run is of decoders, so that it has scores and predictions."""
    return kind_of(run.meta()) == "decoders"


def read_scores(run: Run, metric: str | None = None) -> pd.DataFrame:
    """A line per finished fold, with a column ``run``; ``score`` is that of `metric`.

    Raises
    ------
    StoreError
        If no fold is finished, or none has a score.
    """
    return _with_scores(run, load_rows([run]), metric)


def _with_scores(run: Run, rows: pd.DataFrame, metric: str | None) -> pd.DataFrame:
    if rows.empty:
        raise StoreError(
            f"No fold of {run.id} is finished. Give the command of the run again; the page on "
            f"its provenance shows it."
        )
    rows = with_metric(rows, metric).dropna(subset=["score"])
    if rows.empty:
        raise StoreError(f"No fold of {run.id} has a {metric or run.meta().get('metric')}.")
    return rows.reset_index(drop=True)


def metrics_of(run: Run) -> tuple[str, ...]:
    """Metrics that some fold of a run has a value of, that of the run first."""
    return _metrics(run.meta(), (row.scores for row in run.rows()))


def _metrics(meta: Mapping[str, Any], scores: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    own = str(meta.get("metric"))
    found = {name for each in scores for name, value in each.items() if _is_known(value)}
    return (*([own] if own in found else []), *sorted(found - {own}))


def marks_of(meta: Mapping[str, Any], labels: str = "true") -> str:
    """What must be said beside every score of a run; empty for plain recordings."""
    seen = meta.get("seen") or []
    marks = {
        "SIMULATED": bool(meta.get("simulated")),
        "CONTAMINATED": bool(meta.get("contaminated")),
        "CONTROL: labels shuffled": labels == "shuffled",
        f"{len(seen)} PEOPLE SEEN IN PRETRAINING": bool(seen),
    }
    return ", ".join(mark for mark, is_so in marks.items() if is_so)


class Survey(NamedTuple):
    """A run at a glance.

    Attributes
    ----------
    line
        run, kind, paradigm, dataset, protocol, marks, finished and planned (folds; for a
        pretraining, steps), best (pipeline), metric and score (of the best; mean over units),
        when (of the last change, UTC).
    board
        As `board_of` returns it; None for what is no run of decoders, or has no score yet.
    metrics
        That some fold has a value of, that of the run first.
    """

    line: dict[str, Any]
    board: pd.DataFrame | None = None
    metrics: tuple[str, ...] = ()


def survey(run: Run, metric: str | None = None) -> Survey:
    """What a run is, how far it is, and what its decoders scored in `metric`, or in its own."""
    meta = run.meta()
    kind = kind_of(meta)
    line = {
        "run": run.id,
        "kind": kind,
        "paradigm": meta["paradigm"],
        "dataset": _in_words(meta.get("dataset")),
        "protocol": str(meta.get("protocol") or ""),
        "when": _last_change(run),
    }
    if kind == "pretraining":
        return Survey({**line, **_pretraining(run, meta)})
    if kind == "calibration":
        return Survey({**line, **_calibration(run, meta)})
    rows = load_rows([run])
    try:
        board = _board(run, meta, _with_scores(run, rows, metric))
    except StoreError:
        board = None
    found = {**line, **_folds(meta, rows, board)}
    if kind == "denoisers" or board is None:
        return Survey(found)
    return Survey(found, board, _metrics(meta, rows["scores"]))


def _folds(
    meta: Mapping[str, Any], rows: pd.DataFrame, board: pd.DataFrame | None
) -> dict[str, Any]:
    line = {
        "marks": marks_of(meta, "true" if rows.empty else str(rows["labels"].iloc[0])),
        "finished": len(rows),
        "planned": len(meta.get("folds", [])),
    }
    if board is None:
        return {**line, "metric": str(meta.get("metric") or ""), "best": "", "score": np.nan}
    metric, scores = str(board["metric"].iloc[0]), board["score"]
    best = int(scores.argmin() if metric in LOWER_IS_BETTER | {"rrmse"} else scores.argmax())
    found = {"best": str(board["pipeline"].iloc[best]), "score": float(scores.iloc[best])}
    return {**line, "metric": metric, **found}


def _pretraining(run: Run, meta: Mapping[str, Any]) -> dict[str, Any]:
    try:
        curve = read_curve(run)
        ends = curve_ends(curve)
    except (OSError, ValueError, KeyError, TypeError):
        ends, step = {}, 0
    else:
        step = 0 if curve.empty else int(curve["step"].max())
    return {
        "marks": marks_of({**meta, "seen": []}),  # it has seen all of its people, by design
        "finished": meta.get("n_steps") or step if meta.get("finished") else step,
        "planned": meta.get("n_steps") or 0,
        "metric": "held-out loss",
        "best": str(meta.get("model") or ""),
        "score": ends.get("validation", {}).get("lowest", np.nan),
    }


def _calibration(run: Run, meta: Mapping[str, Any]) -> dict[str, Any]:
    done = sum(run.fold_file(str(key)).exists() for key in meta.get("live", []))
    return {
        "marks": marks_of(meta),
        "finished": done,
        "planned": len(meta.get("live", [])),
        "metric": "",
        "best": f"from {meta.get('parent', '?')}",
        "score": np.nan,
    }


def board_of(run: Run, metric: str | None = None) -> pd.DataFrame:
    """Mean scores of the pipelines of a run, beside what guessing reaches.

    Columns: those of `neurodecode.results.summaries.mean_scores`, run, pipeline (one word),
    metric, `SAME`, chance and chance_95 (what guessing passes once in 20).

    Raises
    ------
    StoreError
        If no fold is finished, or none has that metric.
    """
    return _board(run, run.meta(), read_scores(run, metric))


def _board(run: Run, meta: Mapping[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    board = mean_scores(rows)
    board["pipeline"] = [_pipeline(line) for line in board.to_dict("records")]
    level, limit = chance(rows)
    return board.assign(
        run=run.id,
        metric=rows["metric"].iloc[0],
        paradigm=meta["paradigm"],
        dataset=_in_words(meta.get("dataset")),
        protocol=str(meta.get("protocol") or ""),
        marks=marks_of(meta, str(rows["labels"].iloc[0])),
        chance=level,
        chance_95=limit,
    )


def name_groups(boards: pd.DataFrame) -> pd.DataFrame:
    """The lines and their ``group``: data set and protocol, and the run where it takes that.

    A run is told from others on the same data by the end of its name.
    """
    words = boards["dataset"] + ", " + boards["protocol"]
    words = words.where(boards["marks"] == "", words + " (" + boards["marks"] + ")")
    several = boards.groupby(SAME)["run"].transform("nunique") > 1
    ends = ", " + boards["run"].str[-8:].str.strip("-_")
    return boards.assign(group=words.where(~several, words + ends))


def _pipeline(line: Mapping[Any, Any]) -> str:
    return label((str(line["model"]), str(line["align"]), str(line["clean"])))


def _in_words(dataset: Any) -> str:
    """A pretraining has a list of data sets."""
    several = isinstance(dataset, Sequence) and not isinstance(dataset, str)
    return " + ".join(map(str, dataset)) if several else str(dataset or "")


def _last_change(run: Run) -> datetime:
    files = (run.path / "meta.json", run.path / "folds")
    latest = max(file.stat().st_mtime for file in files if file.exists())
    return datetime.fromtimestamp(latest, UTC)


def _is_known(value: Any) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))
