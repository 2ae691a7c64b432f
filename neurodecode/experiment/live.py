"""A finished run as a live decoder: which one, with which steps, and how it decides."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from neurodecode.core.errors import ConfigError, StoreError, UnknownName
from neurodecode.core.options import check_options
from neurodecode.core.stopping import StopRule
from neurodecode.evaluation.pseudo_online import live_pipeline
from neurodecode.evaluation.splits import EVERYBODY
from neurodecode.experiment.choices import parse_value, resolve
from neurodecode.experiment.live_choices import check_online, choose_online, policy_of
from neurodecode.nn.threads import torch_threads
from neurodecode.online import lsl
from neurodecode.online.engine import Engine
from neurodecode.online.loop import LoopOptions
from neurodecode.online.pipeline import LivePipeline
from neurodecode.online.score import Net
from neurodecode.online.serve import serve, write_line
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run
from neurodecode.results.summaries import LOWER_IS_BETTER
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

KEY = 6  # letters of a fold's key that may stand for it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveRun:
    """A decoder of a run, ready for a stream.

    Attributes
    ----------
    run, row
        Where it comes from; the row's fold is "everybody", or the one that was asked for.
    decoder
        Fitted.
    extra
        What lies beside it in its checkpoint.
    pipeline
        The decoder with its causal steps.
    online
        How it decides: options of ``[online]``.
    score
        Mean over the folds of the run of its pipeline, not a number where nothing was tested.
    seen
        Data set and subject of the people it was fitted to.
    """

    run: Run
    row: ResultRow
    decoder: Decoder
    extra: dict[str, Any]
    pipeline: LivePipeline
    online: dict[str, Any]
    score: float
    seen: frozenset[tuple[str, str]] = field(default_factory=frozenset)

    @property
    def words(self) -> str:
        """What decides, in words."""
        row = self.row
        parts = [row.model]
        parts += [f"aligned {row.align}"] if row.align != "none" else []
        parts += [f"cleaned by {row.clean}"] if row.clean != "none" else []
        return ", ".join(parts)

    def describe(self) -> str:
        """The same with what it was fitted to, and how well it did."""
        row = self.row
        who = f"fitted to {row.n_train} windows of {row.fold}"
        if row.fold != EVERYBODY:
            who = f"fitted without {row.fold}"
        rest = "" if np.isnan(self.score) else f", {row.metric} {self.score:.3f} over the folds"
        simulated = " (simulated recordings)" if row.simulated else ""
        return f"{self.words}, {who}{rest}{simulated}"

    def engine(
        self,
        sfreq: float,
        *,
        cued: bool = False,
        adapt: float | None = None,
        max_gap: float | None = None,
        max_age: float = 1.0,
        max_ahead: float = math.inf,
    ) -> Engine:
        """An engine for a stream of that rate, on the clock of LSL; see `LivePipeline.engine`."""
        pipeline, online = self.pipeline, self.online
        duration = pipeline.n_times / pipeline.sfreq
        return pipeline.engine(
            sfreq,
            hop=float(online["hop"]),
            policy=policy_of(online, pipeline.classes, duration=duration),
            cued=cued,
            adapt=adapt,
            clock=lsl.clock,
            max_gap=max_gap,
            max_age=max_age,
            max_ahead=max_ahead,
        )

    def waiting(self, engine: Engine) -> str:
        """What a person waits for beside the latency, in words."""
        pipeline, stream = self.pipeline, engine.stream
        parts = [f"a window of {pipeline.n_times / pipeline.sfreq:g} s to fill with the new state"]
        if stream.delay:
            parts.append(f"{1e3 * stream.delay:.0f} ms of the filter at {stream.middle:.0f} Hz")
        if pipeline.cleaner is not None:
            parts.append(f"up to {1e3 * pipeline.cleaner.delay:.0f} ms of the cleaner")
        return f"Beside the latency there is {', and '.join(parts)}."

    def knows(self, facts: lsl.StreamFacts) -> bool:
        """Whether a stream plays a recording of somebody whom the decoder was fitted to."""
        playing = facts.playing
        return (playing.get("dataset", ""), playing.get("subject", "")) in self.seen


def go_live(
    live: LiveRun,
    options: LoopOptions,
    *,
    adapt: float | None = None,
    max_age: float = 1.0,
) -> int:
    """Run the live loop until it is stopped: JSON lines out, words in; its exit status.

    Parameters
    ----------
    live
        What decides.
    options
        Of the loop.
    adapt, max_age
        See `LivePipeline.engine`.

    Raises
    ------
    NeurodecodeError
        If there is no signal, or none that the decoder can take.
    """
    _tell("decoder", f"{live.run.id}: {live.describe()}.")
    if isinstance(live.pipeline.scorer, Net):
        _tell("runtime", live.pipeline.scorer.chosen.words)

    def make(facts: lsl.StreamFacts) -> Engine:
        if live.knows(facts):
            who = f"subject {facts.playing['subject']} of {facts.playing['dataset']}"
            _tell(
                "seen",
                f"The decoder was fitted to {who}, whom this stream plays: what it gets right is "
                f"no score. Where the run has a fold without that person, give it with --fold.",
            )
        # The stamps of what is played faster leave the clock behind.
        ahead = max_age if facts.playing.get("speed", "1") == "1" else math.inf
        engine = live.engine(
            facts.sfreq, cued=options.cued, adapt=adapt, max_age=max_age, max_ahead=ahead
        )
        _tell("delay", live.waiting(engine))
        return engine

    # A second thread gains nothing for one window, and waking it costs more than the decoder.
    with threadpool_limits(1), torch_threads(1):
        return serve(make, replace(options, model=live.words))


def _tell(what: str, text: str) -> None:
    """Say something before the loop does, as it does."""
    write_line(1, {"kind": "event", "what": what, "text": text, "time": lsl.clock()})


def open_live(
    run: Run,
    *,
    model: str | None = None,
    align: str | None = None,
    clean: str | None = None,
    fold: str | None = None,
    exit_rule: str | None = None,
    sets: Iterable[str] = (),
) -> LiveRun:
    """The decoder of a run that is to go live.

    Parameters
    ----------
    run
        Made with ``fit --online-ready`` or ``--protocol pseudo-online``, or calibrated.
    model, align, clean
        Which pipeline; by default the one with the best mean score of those that fit the words.
    fold
        Take the decoder of this fold, which has not seen who was left out, instead of the one that
        was fitted to everybody. Its name, or the beginning of its key.
    exit_rule
        Answer before a window is over, by a rule of `neurodecode exit`.
    sets
        ``online.OPTION=VALUE``, over what the run says.

    Raises
    ------
    ConfigError
        If the run is not made for live use, or has no such decoder.
    StoreError
        If nothing of it is finished.
    """
    meta = run.meta()
    if not meta.get("online_ready"):
        raise ConfigError(
            f"{run.id} was evaluated with steps that see the future, which live there is not. Fit "
            f"again with --online-ready, which filters causally and keeps a decoder for live use."
        )
    tested = run.rows()
    rows = run.rows(meta.get("live", [])) if fold is None else _of_fold(run, tested, fold)
    scores = _mean_scores(tested)
    wanted = {"model": model, "align": align, "clean": clean}
    row = _best(_matching(run, rows, wanted), scores)
    path = run.checkpoint_file(row.key)
    decoder, extra = checkpoint.load(path), checkpoint.load_extra(path)
    choices = resolve("mi", pipeline=run.path / "config.toml")
    classes = meta["classes"]
    if len(decoder.classes_) != len(classes):
        raise ConfigError(
            f"{row.model} of fold {row.fold} knows {len(decoder.classes_)} of the run's "
            f"{len(classes)} classes. Choose another fold."
        )
    online = _online(choices, sets)
    pipeline = live_pipeline(
        decoder,
        extra,
        classes=classes,
        align=row.align,
        preprocess=choices["preprocess"],
        epochs=choices["epochs"],
        rule=None if exit_rule is None else _exit_rule(run, row, exit_rule),
        runtime=online.get("runtime", "auto"),
        kept=path.with_suffix(".onnx"),  # beside the checkpoint
    )
    policy_of(online, classes, duration=pipeline.n_times / pipeline.sfreq)  # refuses what cannot be
    return LiveRun(
        run=run,
        row=row,
        decoder=decoder,
        extra=extra,
        pipeline=pipeline,
        online=online,
        score=scores.get(_named(row), float("nan")),
        seen=_seen(run, tested, row) | {(d, s) for d, s in meta.get("fitted_to", ())},
    )


def _of_fold(run: Run, rows: list[ResultRow], fold: str) -> list[ResultRow]:
    """Rows of the fold of that name, or of the subject; or the one whose key begins so."""
    found = [row for row in rows if row.fold in (fold, f"subject={fold}")]
    by_key = [row for row in rows if len(fold) >= KEY and row.key.startswith(fold)]
    if not found and len(by_key) == 1:
        found = by_key
    if not found:
        raise UnknownName(f"fold of {run.id}", fold, {row.fold for row in rows})
    return found


def _named(row: ResultRow) -> tuple[str, str, str]:
    return row.model, row.align, row.clean


def _mean_scores(rows: list[ResultRow]) -> dict[tuple[str, str, str], float]:
    scores: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        scores.setdefault(_named(row), []).append(row.score)
    return {name: float(np.mean(found)) for name, found in scores.items()}


def _matching(run: Run, rows: list[ResultRow], wanted: Mapping[str, str | None]) -> list[ResultRow]:
    """Rows of the pipelines that fit the words."""
    if not rows:
        raise StoreError(
            f"No decoder of {run.path} is finished for live use. Give the command of the run again."
        )
    for name, word in wanted.items():
        if word is None:
            continue
        known = {getattr(row, name) for row in rows}
        rows = [row for row in rows if getattr(row, name) == word]
        if not rows:
            raise UnknownName(f"{name} of {run.id}", word, known)
    return rows


def _best(rows: list[ResultRow], scores: Mapping[tuple[str, str, str], float]) -> ResultRow:
    """The row of the pipeline with the best mean score; the first where none was tested."""

    def goodness(row: ResultRow) -> float:
        score = scores.get(_named(row), math.nan)
        sign = -1.0 if row.metric in LOWER_IS_BETTER else 1.0
        return sign * score if math.isfinite(score) else -math.inf

    return max(rows, key=goodness)


def _online(choices: Mapping[str, Any], sets: Iterable[str]) -> dict[str, Any]:
    online = dict(choices["online"])
    for text in sets:
        name, equals, value = text.partition("=")
        section, dot, option = name.strip().partition(".")
        if section != "online" or not (dot and equals and value.strip()):
            raise ConfigError(
                f"--set {text}: a live decoder is fitted, and only how it decides can be chosen. "
                f"Write --set online.OPTION=VALUE."
            )
        online[option] = parse_value(value.strip())
    check_options(choose_online, online, where="[online]")
    check_online(online)
    return online


def _seen(run: Run, tested: list[ResultRow], row: ResultRow) -> frozenset[tuple[str, str]]:
    """People of the run whom a decoder was fitted to, by the names of their data sets."""
    names = sorted({name for r in tested for name in r.dataset.split("+")})
    people = {person for r in tested for person in _tested_people(run, r, names)}
    # Where the test side is whole people, they are not on the training side.
    if row.key in {r.key for r in tested} and "session=" not in row.fold:
        people -= set(_tested_people(run, row, names))
    return frozenset(people)


def _tested_people(run: Run, row: ResultRow, names: list[str]) -> list[tuple[str, str]]:
    """Who is on the test side of a fold; with one data set, by the name of its card."""
    if row.subject != "*" and len(names) == 1:
        return [(names[0], row.subject)]
    table = run.read_predictions(row.key)[["dataset", "subject"]].drop_duplicates()
    pairs = table.itertuples(index=False)
    return [(names[0] if len(names) == 1 else str(d), str(s)) for d, s in pairs]


def _exit_rule(run: Run, row: ResultRow, name: str) -> StopRule:
    """What `neurodecode exit` found for a decoder; of one fitted to everybody, of its first fold.

    Raises
    ------
    ConfigError
        If it has not been asked, or found no rule for this decoder.
    """
    path = run.path / "exit.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(
            f"{run.id} has no rule to stop by. Give `neurodecode exit {run.id}` first."
        ) from None
    for entry in document["models"]:
        if (entry["model"], entry["align"], entry["clean"]) != _named(row):
            continue
        folds = [fold for fold in entry["folds"] if fold["key"] == row.key] or entry["folds"]
        known = folds[0]["rules"]
        if name not in known:
            raise UnknownName(f"rule of {run.id}", name, known)
        return StopRule.from_dict(known[name]["rule"])
    raise ConfigError(f"{row.model} of {run.id} cannot stop early. Choose a spiking decoder.")
