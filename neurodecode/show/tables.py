"""The table of a run, and its rows for other programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.markup import escape
from rich.table import Table

from neurodecode.core.errors import ConfigError, StoreError, UnknownName
from neurodecode.results import summaries
from neurodecode.results.detection import event_table, has_events
from neurodecode.results.pseudo_online import command_table, has_commands
from neurodecode.results.store import Run, Store, load_rows, writing
from neurodecode.show import console
from neurodecode.show.detection import describe_events, draw_events
from neurodecode.show.pseudo_online import describe_commands, draw_commands


def find_runs(runs: Path, names: Sequence[str]) -> list[Run]:
    """The named runs, or the newest; a unique beginning or end of a name is enough.

    Raises
    ------
    UnknownName
        If there is no such run.
    StoreError
        If there is none at all.
    """
    store = Store(runs)
    known = store.runs()
    if not known:
        raise StoreError(
            f"There is no run in {runs}. Make one with `neurodecode fit --paradigm mi`, or name "
            f"another folder with --runs."
        )
    if not names:
        return known[-1:]
    found = []
    for name in names:
        word = Path(name).name
        hits = [r for r in known if r.id == word or r.id.startswith(word) or r.id.endswith(word)]
        if len(hits) != 1 and not any(r.id == word for r in hits):
            raise UnknownName("run", name, [r.id for r in hits or known])
        found.append(next((r for r in hits if r.id == word), hits[0]))
    return found


def newest_live_run(runs: Path) -> Run:
    """The newest run whose decoders are made for use live.

    Raises
    ------
    StoreError
        If there is none.
    """
    for run in reversed(Store(runs).runs()):
        if run.meta().get("online_ready"):
            return run
    raise StoreError(
        f"No run in {runs} is made for use live. Make one with `neurodecode fit --paradigm mi "
        f"--online-ready`, or name another folder with --runs."
    )


def show_runs(runs: Sequence[Run], *, as_json: bool = False, **how: Any) -> None:
    """Print the table of each run, as `show_run` does; as JSON one document, a list of several."""
    from neurodecode.show.calibrate import calibrated_document, is_calibrated, show_calibrated
    from neurodecode.show.denoising import denoise_document, is_denoise, show_denoise
    from neurodecode.show.pretraining import is_pretrain, pretrain_document, show_pretrain

    if not as_json:
        for run in runs:
            if is_denoise(run):
                show_denoise(run, **how)
            elif is_pretrain(run):
                show_pretrain(run, **how)
            elif is_calibrated(run):
                show_calibrated(run)
            else:
                show_run(run, **how)
        return
    documents = [
        denoise_document(run, **how)
        if is_denoise(run)
        else pretrain_document(run, **how)
        if is_pretrain(run)
        else calibrated_document(run)
        if is_calibrated(run)
        else run_document(run, **how)
        for run in runs
    ]
    found = documents[0] if len(documents) == 1 else documents
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


def show_run(
    run: Run,
    *,
    metric: str | None = None,
    against: str | None = None,
    per_subject: bool = False,
    all_pairs: bool = False,
) -> None:
    """Print the table of a run."""
    every = load_rows([run])
    facts, rows = _facts_and_rows(run, every, metric, against)
    units = summaries.unit_scores(rows)
    out = console()
    out.print(_headline(facts, rows), markup=False)
    _print_whole(_board_table(summaries.leaderboard(rows, against=against), facts))
    events, commands = _events(every), _commands(every)
    tables = [] if events is None else [draw_events(events)]
    tables += [] if commands is None else [draw_commands(commands)]
    for table in tables:
        out.print()
        _print_whole(table)
    if per_subject:
        out.print(_unit_table(units))
    if all_pairs:
        out.print(_pair_table(summaries.pairs(rows)))
    if events is not None:
        out.print(describe_events(events, _unit(rows)), markup=False)
    if commands is not None:
        said = describe_commands(commands, _unit(rows), simulated=facts["simulated"])
        out.print(said, markup=False)
    out.print(_footnote(facts, rows), markup=False)


def run_document(
    run: Run,
    *,
    metric: str | None = None,
    against: str | None = None,
    per_subject: bool = False,
    all_pairs: bool = False,
) -> dict[str, Any]:
    """What `show_run` prints, for other programs."""
    every = load_rows([run])
    facts, rows = _facts_and_rows(run, every, metric, against)
    document = {**_values(facts), "table": _records(summaries.leaderboard(rows, against=against))}
    events = _events(every)
    if events is not None:
        document["events"] = _records(events)
    commands = _commands(every)
    if commands is not None:
        document["commands"] = _records(commands)
    if per_subject:
        units = summaries.unit_scores(rows)
        document["units"] = {u: _values(v) for u, v in units.T.to_dict().items()}
    if all_pairs:
        document["pairs"] = _records(summaries.pairs(rows))
    return document


def _events(rows: pd.DataFrame) -> pd.DataFrame | None:
    """Scores of alarms from every fold, whatever metric the run is about; None without any."""
    return event_table(rows) if has_events(rows) else None


def _commands(rows: pd.DataFrame) -> pd.DataFrame | None:
    """Scores of commands from every fold, whatever metric the run is about; None without any."""
    return command_table(rows) if has_commands(rows) else None


def _print_whole(table: Table) -> None:
    out = console()
    whole = out.measure(table, options=out.options.update(width=1000)).maximum
    console(at_least=whole).print(table)


def _facts_and_rows(
    run: Run, rows: pd.DataFrame, metric: str | None, against: str | None
) -> tuple[dict[str, Any], pd.DataFrame]:
    """What a table is about, and those of all rows that it is made of."""
    meta = run.meta()
    if rows.empty:
        raise StoreError(f"No fold of {run.path} is finished. Give the command of the run again.")
    n_finished, known = len(rows), {name for scores in rows["scores"] for name in scores}
    if metric is not None and metric not in known:
        raise UnknownName(f"metric of {run.id}", metric, known)
    rows = summaries.with_metric(rows, metric)
    if rows["score"].isna().all():
        raise StoreError(
            f"No fold of {run.id} has a {metric or meta.get('metric')}: such as a sensitivity "
            f"where no test side holds an event. Name another: --metric false_alarms_per_hour."
        )
    if against is not None and against not in set(rows["model"]):
        raise UnknownName(f"model of {run.id}", against, set(rows["model"]))
    level, limit = summaries.chance(rows)
    reference = summaries.reference_pipeline(summaries.unit_scores(rows), against)
    facts = {
        "run": str(run.path),
        "simulated": bool(meta.get("simulated")),
        "contaminated": rows["contaminated"].iloc[0],
        "seen": meta.get("seen", []),
        "online_ready": bool(meta.get("online_ready")),
        "paradigm": meta.get("paradigm"),
        "dataset": meta.get("dataset"),
        "protocol": meta.get("protocol"),
        "metric": rows["metric"].iloc[0],
        "labels": rows["labels"].iloc[0],
        "classes": meta.get("classes"),
        "chance": level,
        "chance_95": limit,
        "finished": n_finished,
        "planned": len(meta.get("folds", [])),
        "against": summaries.label(reference),
    }
    return facts, rows


def _headline(facts: Mapping[str, Any], rows: pd.DataFrame) -> str:
    data = f"{facts['dataset']}{' (SIMULATED recordings)' if facts['simulated'] else ''}"
    if facts["contaminated"]:
        data += f", CONTAMINATED ({facts['contaminated']})"
    if facts["seen"]:
        data += f", TESTED ON {len(facts['seen'])} PEOPLE SEEN IN PRETRAINING"
    control = ", CONTROL: training labels shuffled" if facts["labels"] == "shuffled" else ""
    first = rows.iloc[0]
    return (
        f"\n{facts['paradigm']}, {data}, {facts['protocol']}{control}: "
        f"{' / '.join(facts['classes'] or [])}, {first['n_chans']} channels, "
        f"{first['n_times'] / first['sfreq']:g} s at {first['sfreq']:g} Hz"
    )


def _board_table(board: pd.DataFrame, facts: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = {"align": "alignment", "clean": "cleaning"}
    several = [name for name in columns if (board[name] != "none").any()]
    metric = str(facts["metric"]).replace("_", " ")
    varied = any(board[name].nunique() > 1 for name in columns)
    against = facts["against"] if varied else facts["against"].split(" ")[0]
    seeds = board["seed_sd"].notna().any()
    table.add_column("model", no_wrap=True)
    for name in several:
        table.add_column(columns[name], no_wrap=True)
    spread = ["sd", *(["seed sd"] if seeds else []), "95 % interval"]
    for name in (metric, *spread, f"vs {against}", "p (Holm)", "n"):
        table.add_column(name, justify="right")
    for name in ("params", "fit s", "ms"):
        table.add_column(name, justify="right")
    least = facts["metric"] in summaries.LOWER_IS_BETTER
    best = board["score"].min() if least else board["score"].max()
    for line in board.to_dict("records"):
        score = _number(line["score"], 3)
        cells = [escape(str(line["model"])), *(line[name] for name in several)]
        cells += [
            f"[bold]{score}[/bold]" if line["score"] == best else score,
            _number(line["sd"], 3),
            *([_number(line["seed_sd"], 3)] if seeds else []),
            f"{_number(line['low'], 2)} to {_number(line['high'], 2)}"
            if np.isfinite(line["low"])
            else "-",
            _number(line["gain"], 3, sign=True),
            _number(line["p"], 3),
            str(line["n_units"]),
            f"{line['n_params']:,}" if line["n_params"] else "-",
            _number(line["fit_time"], 2),
            _number(line["predict_ms"], 2),
        ]
        table.add_row(*cells)
    return table


def _footnote(facts: Mapping[str, Any], rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    unit = _unit(rows)
    guess = facts["chance_95"]
    passes = f"; guessing passes {guess:.3f} once in 20" if np.isfinite(guess) else ""
    lines = [f"Chance {facts['chance']:.3f}{passes}."] if np.isfinite(facts["chance"]) else []
    lines += [
        f"Mean and sd over n {unit}{f', each the mean of {seeds} seeds' if seeds > 1 else ''}; "
        f"paired sign-flip permutation test; fit s per fold, ms per window.",
    ]
    if (rows["align"].str.endswith(":batch")).any():
        lines.append("':batch' alignment has seen all of the test subject's windows, unlabelled.")
    lines += _cleaning_notes(set(rows["clean"]))
    if facts["online_ready"]:
        lines.append(f"Every step is causal, as live. To go live: {live_command(facts['run'])}")
    if facts["finished"] < facts["planned"]:
        lines.append(
            f"UNFINISHED: {facts['finished']} of {facts['planned']} fits; the same command goes on."
        )
    lines.append(f"Run: {facts['run']}")
    return "\n".join(lines)


def live_command(run: str) -> str:
    """What to type to go live with a run, by its folder."""
    path = Path(run)
    folder = "" if path.parent == Path("runs") else f" --runs {path.parent}"
    return f"neurodecode online {path.name}{folder}"


def _unit(rows: pd.DataFrame) -> str:
    return "folds" if (rows["subject"] == "*").any() else "subjects"


def _cleaning_notes(words: set[str]) -> list[str]:
    parts = [set(word.split(":")[1:]) for word in words if word != "none"]
    lines = []
    if any("own" not in part for part in parts):
        lines.append("Cleaners were fitted to recordings of the training side, and frozen.")
    if any("own" in part for part in parts):
        lines.append("':own' cleaning has seen all of each recording it cleans, unlabelled.")
    if any("removed" in part for part in parts):
        lines.append("CONTROL: ':removed' decodes what the cleaner took out.")
    return lines


def _unit_table(units: pd.DataFrame) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("subject")
    for name in summaries.pipelines_of(units):
        table.add_column(summaries.label(name), justify="right")
    for unit, values in zip(units.index, units.to_numpy(), strict=True):
        table.add_row(escape(str(unit)), *(_number(v, 3) for v in values))
    return table


def _pair_table(pairs: pd.DataFrame) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("pair", "difference", "effect d_z", "p (Holm)", "n"):
        table.add_column(name, justify="left" if name == "pair" else "right")
    for line in pairs.to_dict("records"):
        table.add_row(
            f"{line['a']} - {line['b']}",
            _number(line["gain"], 3, sign=True),
            _number(line["effect"], 2, sign=True),
            _number(line["p"], 3),
            str(line["n"]),
        )
    return table


def export_rows(runs: Sequence[Run], path: Path, *, moabb: bool, as_json: bool = False) -> None:
    """Write a line per fold to a CSV or parquet file.

    Raises
    ------
    ConfigError
        For another kind of file.
    """
    rows = load_rows(runs)
    if rows.empty:
        raise StoreError(f"No fold of {runs[0].path} is finished, so there is nothing to export.")
    if moabb:
        from neurodecode.evaluation.moabb import moabb_results

        rows = moabb_results(rows)
    if path.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"--export {path} must end in .csv or .parquet.")
    with writing(path) as file:
        if path.suffix == ".csv":
            flat = rows.drop(columns=["history"], errors="ignore")
            if "scores" in flat:
                scores = pd.json_normalize(flat.pop("scores").to_list()).add_prefix("score_")
                flat = pd.concat([flat, scores], axis=1)
            flat.to_csv(file, index=False)
        else:
            rows.assign(
                **{n: rows[n].map(json.dumps) for n in ("scores", "history") if n in rows}
            ).to_parquet(file)
    if as_json:
        sys.stdout.write(json.dumps({"rows": len(rows), "file": str(path)}) + "\n")
    else:
        console().print(f"{len(rows)} rows in {path}", markup=False)


def _number(value: float, digits: int, *, sign: bool = False) -> str:
    if value is None or not np.isfinite(value):
        return "-"
    return f"{value:{'+' if sign else ''}.{digits}f}"


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [_values(line) for line in table.to_dict("records")]


def _values(line: Mapping[Any, Any]) -> dict[str, Any]:
    """Plain JSON values; what is not a number becomes null."""
    out = {}
    for name, value in line.items():
        key = summaries.label(name) if isinstance(name, tuple) else str(name)
        if isinstance(value, float | np.floating):
            out[key] = float(value) if np.isfinite(value) else None
        else:
            out[key] = value.item() if isinstance(value, np.generic) else value
    return out
