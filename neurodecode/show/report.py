"""Report about a run: one page that opens without a network, with the figures of the dashboard."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neurodecode.core.errors import ConfigError, NeurodecodeError, StoreError
from neurodecode.results import cleaning, comparison, decisions, energy, learning, maps, repeat
from neurodecode.results.overview import (
    board_of,
    has_scores,
    marks_of,
    name_groups,
    read_scores,
    why_unreadable,
)
from neurodecode.results.store import Run
from neurodecode.results.subjects import scores_of_people
from neurodecode.results.summaries import (
    LOWER_IS_BETTER,
    Pipeline,
    chance,
    label,
    leaderboard,
    pipelines_of,
    reference_pipeline,
    unit_scores,
)
from neurodecode.show.figures import cleaning as cleaning_figures
from neurodecode.show.figures import decisions as decision_figures
from neurodecode.show.figures import energy as energy_figures
from neurodecode.show.figures import learning as learning_figures
from neurodecode.show.figures import maps as map_figures
from neurodecode.show.figures import sanity, scores
from neurodecode.show.figures.colours import metric_words
from neurodecode.show.figures.figure import Figure
from neurodecode.show.page import Block, Page, check_name, code, said, table, text

Report = Callable[[str, int, int], None]
Parts = Iterator[tuple[str, Iterable[Block]]]
"""Titles of a section, and what stands under each."""

BOARD = {
    "decoder": "decoder", "score": "mean", "sd": "sd", "interval": "95 % interval",
    "gain": "difference", "effect": "d_z", "p": "p (Holm)", "n_units": "n",
    "n_params": "parameters",
}  # fmt: skip
"""Columns of the table of scores."""


def write_report(run: Run, out: Path, *, report: Report = lambda words, done, total: None) -> None:
    """Write the report about a run.

    Parameters
    ----------
    run
        With finished folds of decoders.
    out
        A file that ends in ``.html``; its folder exists.
    report
        Called after each section.

    Raises
    ------
    ConfigError
        If the run is not of decoders, or `out` is no HTML file.
    StoreError
        If no fold is finished, or the file cannot be written.
    """
    check_name(out)
    told = _Told(run)
    page = Page(told.title)
    for done, (section, parts) in enumerate(SECTIONS.items(), start=1):
        try:
            for title, blocks in parts(told):
                page.add(section, title, _or_why_not(blocks))
        except NeurodecodeError as error:
            page.add(section, "Not here", [text(str(error))])
        report(section.lower(), done, len(SECTIONS))
    page.save(out)


def _or_why_not(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks; where one cannot be made, what stands in its way."""
    try:
        yield from blocks
    except NeurodecodeError as error:
        yield text(str(error))


class _Told:
    """A run, and what several sections ask of it.

    Parameters
    ----------
    run
        With finished folds of decoders.
    """

    def __init__(self, run: Run) -> None:
        if reason := why_unreadable(run):
            raise StoreError(f"{run.id} cannot be reported on: {reason}.")
        self.run, self.meta = run, run.meta()
        if not has_scores(run):
            raise ConfigError(
                f"{run.id} holds no scores of decoders, which a report is about. Give "
                f"`neurodecode results {shlex.quote(run.id)}` to see what it holds."
            )
        self.rows = read_scores(run)
        self.units = unit_scores(self.rows)
        self.metric = str(self.rows["metric"].iloc[0])
        self.pipelines = pipelines_of(self.units)
        self.marks = marks_of(self.meta, str(self.rows["labels"].iloc[0]))

    @property
    def title(self) -> str:
        """What was decoded, with what must be said of it."""
        facts = [self.meta.get(name) for name in ("paradigm", "dataset", "protocol")]
        words = ", ".join(str(fact) for fact in facts if fact)
        return f"{words} ({self.marks})" if self.marks else words

    @property
    def best(self) -> list[Pipeline]:
        """For each model, the alignment and cleaner with which it does best in the mean."""
        sign = -1 if self.metric in LOWER_IS_BETTER else 1
        found: dict[str, Pipeline] = {}
        for name in self.pipelines:
            other = found.setdefault(name[0], name)
            if sign * self.units[name].mean() > sign * self.units[other].mean():
                found[name[0]] = name
        return list(found.values())

    @property
    def verdicts(self) -> dict[str, Any]:
        """The summary of its maps; empty where there is none."""
        try:
            return maps.read_summary(self.run)
        except StoreError:
            return {}


def _summary(told: _Told) -> Parts:
    yield "Scores", _scores(told)


def _scores(told: _Told) -> Iterator[Block]:
    lines: list[dict[str, Any]] = [
        {
            **{str(name): value for name, value in line.items()},
            "decoder": label((str(line["model"]), str(line["align"]), str(line["clean"]))),
            "interval": f"{line['low']:.3f} to {line['high']:.3f}",
        }
        for line in leaderboard(told.rows).to_dict("records")
    ]
    sign = -1 if told.metric in LOWER_IS_BETTER else 1
    best = max(lines, key=lambda line: sign * float(line["score"]))
    level, limit = chance(told.rows)
    words = (
        f"Best of {len(lines)}: {best['decoder']}, {metric_words(told.metric)} "
        f"{best['score']:.3f}, 95 % interval {best['interval']}."
    )
    if np.isfinite(level):
        words += f" Chance is {level:.3f}; guessing passes {limit:.3f} once in 20."
    if told.marks:
        yield text(told.marks, "warns")
    yield text(words)
    classes = " / ".join(map(str, told.meta.get("classes") or []))
    n_chans, n_windows = len(told.meta.get("ch_names") or []), told.meta.get("n_windows", "?")
    yield text(f"{classes}; {n_chans} channels; {n_windows} windows; run {told.run.id}.", "soft")
    yield scores.board_figure(name_groups(board_of(told.run)))
    yield table(lines, BOARD)
    first = label(reference_pipeline(told.units, None))
    yield text(
        f"Means over people, or over folds that hold several. Differences are to {first}, paired: "
        f"sign-flip permutation test, p corrected by Holm.",
        "soft",
    )


def _people(told: _Told) -> Parts:
    names = tuple(label(pipeline) for pipeline in told.best)
    found = scores_of_people(told.run, told.metric, names)
    what, level = "fold" if (told.rows["subject"] == "*").any() else "person", chance(told.rows)[0]
    figure = scores.subject_figure(found.units, metric=told.metric, chance=level, what=what)
    yield f"Every {what}", [figure]
    if not found.sessions.empty:
        how: dict[str, Any] = {"metric": "balanced_accuracy", "chance": level, "what": "session"}
        yield "Every session", [scores.subject_figure(found.sessions, **how)]


def _comparison(told: _Told) -> Parts:
    found = comparison.compare([told.run], None, None)
    how = {"reference": found.reference, "metric": told.metric}
    yield "Paired differences", [scores.difference_figure(found.units, found.means, **how)]


def _decisions(told: _Told) -> Parts:
    for pipeline in told.best:
        yield label(pipeline), _decided(told, pipeline)


def _decided(told: _Told, pipeline: Pipeline) -> Iterator[Block]:
    rows = decisions.rows_of(told.run.rows(), pipeline)
    found = decisions.read_decisions(told.run, rows)
    name, bins = label(pipeline), decisions.reliability(found)
    yield decision_figures.confusion_figure(decisions.confusion(found), decoder=name)
    if not bins.empty:
        yield decision_figures.reliability_figure(
            bins,
            decoder=name,
            error=decisions.calibration_error(bins),
            least=1 / len(decisions.classes_of(found)),
        )


def _learning(told: _Told) -> Parts:
    curves = learning.curves_of(told.run.rows())
    bands, best = learning.bands_of(curves), learning.best_epochs(curves)
    known = set(bands["curve"])
    shown: list[Block] = []
    if known & {"train_loss", "val_loss"}:
        shown.append(learning_figures.curve_figure(bands, best, quantity="loss"))
    if "val_accuracy" in known:
        shown.append(learning_figures.curve_figure(bands, best, quantity="accuracy"))
    words = "Decoders without gradients have no learning curve, and nothing else is here."
    yield "Over epochs", shown or [text(words)]


def _explain(told: _Told) -> Parts:
    folds, summary = maps.read_all_maps(told.run), told.verdicts
    if not folds:
        command = f"neurodecode explain {shlex.quote(told.run.id)}"
        yield "Maps", [text("There are no maps yet. Make them, then the report:"), code(command)]
        return
    if summary.get("methods"):
        yield "Whether to believe the maps", [sanity.verdicts(summary)]
    recordings = maps.read_data_maps(told.run)
    for pipeline in told.best:
        own = maps.choose_folds(folds, pipeline)
        if own:
            yield label(pipeline), _read_by(own, recordings, summary, pipeline)


def _read_by(
    own: Sequence[maps.FoldMaps],
    recordings: Sequence[maps.FoldMaps],
    summary: Mapping[str, Any],
    pipeline: Pipeline,
) -> Iterator[Block]:
    """Maps of one decoder by every method, each below its verdict; the recordings first."""
    if recordings:
        yield text("First the recordings themselves, with no decoder in them, to compare with.")
        yield from _mapped(recordings, "erds", None, maps.truth_bands(summary))
    for method in maps.methods_of(own):
        verdict = maps.verdict_of(summary, pipeline, method)
        kind, words = sanity.verdict_words(verdict)
        truth = maps.truth_words(verdict.get("truth") if verdict else None)
        heading = map_figures.method_words(method)
        yield said(kind, heading[:1].upper() + heading[1:], f"{words} {truth}")
        yield from _mapped(own, method, verdict, maps.truth_bands(summary))
    for part, draw in (("curves", sanity.curves), ("cascade", sanity.cascade)):
        if maps.of_pipeline(summary, part, pipeline):
            yield draw(summary, pipeline)


def _mapped(
    folds: Sequence[maps.FoldMaps],
    method: str,
    verdict: Mapping[str, Any] | None,
    truth: Sequence[tuple[float, float]],
) -> Iterator[Figure]:
    how: dict[str, Any] = {"as_shares": method != "erds", "verdict": verdict}
    kinds = maps.kinds_of(folds, method)
    if "chan" in kinds:
        yield map_figures.class_maps(folds, method, **how)
    if "freq" in kinds:
        yield map_figures.freq_profile(folds, method, truth=truth, **how)


def _artifacts(told: _Told) -> Parts:
    summary = told.verdicts
    asked = [p for p in told.best if maps.of_pipeline(summary, "reliance", p)]
    words = "How much of a decision rides on artifacts was not asked: `neurodecode explain` does."
    figures = (sanity.reliance(summary, pipeline) for pipeline in asked)
    yield "What decisions ride on", figures if asked else [text(words)]
    if any(clean != "none" for _, _, clean in told.pipelines):
        effects = cleaning.effects(told.rows)
        yield "What cleaning does", [cleaning_figures.cleaning_gains(effects)]


def _energy(told: _Told) -> Parts:
    account = energy.read_energy(told.run)
    nets = not energy.energy_table(account).empty
    figures = (energy_figures.energies, energy_figures.operations, energy_figures.latency)
    words = "There is no net among the decoders; only nets have operations that are counted."
    blocks: list[Block] = [draw(account) for draw in figures] if nets else [text(words)]
    spikes = energy_figures.spikes(account)
    yield "One window", [*blocks, *([spikes] if spikes else [])]
    if (told.run.path / "exit.json").exists():
        exits = energy_figures.exits(energy.read_exits(told.run))
        yield "Early exits", [exits or text("None of its decoders can stop early.")]


def _provenance(told: _Told) -> Parts:
    command = repeat.repeat_command(told.run)
    n_planned = len(told.meta.get("folds", []))
    data = str(told.meta.get("data") or "")
    again = "This command makes the run again; finished folds are kept and not fitted twice."
    yield (
        "How it is made again",
        [
            text(f"{len(told.rows)} of {n_planned} folds are finished."),
            *([text("Fingerprint of its windows (SHA-256):"), code(data)] if data else []),
            *([text(again), code(command)] if command else []),
        ],
    )
    facts = [(repeat.facts_of(told.run), "fact"), (repeat.libraries_of(told.run), "library")]
    yield "What made it", [_listed(lines, name) for lines, name in facts]
    try:
        config = (told.run.path / "config.toml").read_text("utf-8")
    except (OSError, ValueError) as error:
        yield "Choices", [text(f"config.toml cannot be read ({error}).")]
    else:
        yield "Choices", [code(config)]


def _listed(lines: pd.DataFrame, first: str) -> str:
    found = [{str(k): str(v) for k, v in line.items()} for line in lines.to_dict("records")]
    return table(found, {name: name for name in lines.columns}) if found else text(f"No {first}.")


SECTIONS: dict[str, Callable[[_Told], Parts]] = {
    "Summary": _summary,
    "People": _people,
    "Comparison": _comparison,
    "Decisions": _decisions,
    "Learning": _learning,
    "What decoders read": _explain,
    "Artifacts": _artifacts,
    "Energy": _energy,
    "Provenance": _provenance,
}
