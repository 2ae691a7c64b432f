"""Early exits of the fitted spiking decoders of a run: calibrated on the training side, tested."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, SignalError, StoreError, UnknownName
from neurodecode.core.stopping import RULES, FloatArray, StopRule, so_far, softmax
from neurodecode.evaluation import early_exit
from neurodecode.evaluation.sides import training_labels
from neurodecode.experiment.data import Report
from neurodecode.experiment.source import Source
from neurodecode.nn.spiking.decoder import SpikingDecoder
from neurodecode.results.exits import exit_curve, exit_lines
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run
from neurodecode.results.summaries import Pipeline
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder, choose_validation

Document = dict[str, Any]
N_POINTS = 21  # of a curve along confidence


def exits_of_run(
    run: Run,
    *,
    rules: Sequence[str] = RULES,
    margin: float = 0.01,
    models: Sequence[str] | None = None,
    report: Report = lambda words, done, total: None,
) -> Document:
    """What every spiking decoder of a run loses and saves by early exits; kept in ``exit.json``.

    Each fold has rules of its own, calibrated on the windows that chose its epoch, and aligned as
    its training side was; its test windows are used once, at the end.

    Parameters
    ----------
    run
        With finished folds.
    rules
        Of `neurodecode.core.stopping.RULES`.
    margin
        Held-out balanced accuracy that may be lost against whole windows.
    models
        Decoders to look at; by default all.
    report
        Called while reading.

    Raises
    ------
    ConfigError
        If no decoder can stop early; for another rule or model, or a run of denoisers.
    StoreError
        If no fold is finished, or the recordings are no longer those of the run.
    """
    meta = run.meta()
    if meta.get("paradigm") == "denoise":
        raise ConfigError(f"{run.id} trained denoisers; only decoders decide.")
    rows = _rows(run, rules, models)
    first: dict[Pipeline, ResultRow] = {}
    for row in rows:
        first.setdefault(_pipeline(row), row)
    times = {pipeline: _times(run, row) for pipeline, row in first.items()}
    skipped = [
        {**_named(pipeline), "reason": found}
        for pipeline, found in times.items()
        if isinstance(found, str)
    ]
    if len(skipped) == len(times):
        reasons = "; ".join(dict.fromkeys(f"{one['model']} {one['reason']}" for one in skipped))
        raise ConfigError(f"No decoder of {run.id} can stop early: {reasons}.")
    source = Source(run, report)
    folds: dict[Pipeline, list[Document]] = {}
    for row in rows:
        found = times[_pipeline(row)]
        if not isinstance(found, str):
            fold = _fold(run, row, source, np.asarray(found), rules, margin)
            folds.setdefault(_pipeline(row), []).append(fold)
    facts = ("paradigm", "dataset", "protocol", "simulated", "contaminated")
    document: Document = {
        "run": run.id,
        **{name: meta.get(name) for name in facts},
        "labels": rows[0].labels,
        "metric": "balanced_accuracy",
        "margin": margin,
        "models": [_entry(p, own, times[p]) for p, own in folds.items()],
        "skipped": skipped,
    }
    return run.write_document("exit.json", document)


def _rows(run: Run, rules: Sequence[str], models: Sequence[str] | None) -> list[ResultRow]:
    for name in rules:
        if name not in RULES:
            raise UnknownName("rule", name, RULES)
    rows = run.rows()
    if not rows:
        raise StoreError(f"No fold of {run.path} is finished. Give the command of the run again.")
    known = {row.model for row in rows}
    for name in models or ():
        if name not in known:
            raise UnknownName(f"model of {run.id}", name, known)
    return [row for row in rows if models is None or row.model in models]


def _pipeline(row: ResultRow) -> Pipeline:
    return row.model, row.align, row.clean


def _named(pipeline: Pipeline) -> Document:
    return dict(zip(("model", "align", "clean"), pipeline, strict=True))


def _times(run: Run, row: ResultRow) -> list[float] | str:
    """Recording time at the end of each step, seconds; or why a decoder cannot stop early."""
    decides_once = "decides once, at the end of a window"
    if not row.n_params:
        return decides_once
    net = checkpoint.load(run.checkpoint_file(row.key)).model_
    if not isinstance(net, SpikingDecoder):
        return decides_once
    if net.time.mode == "repeat":
        return "sees the whole window at every step, so that no recording time can be saved"
    if net.time.n_steps == 1:
        return "has a single step"
    return [edge / net.spec.sfreq for edge in net.time.edges[1:]]


def _fold(
    run: Run,
    row: ResultRow,
    source: Source,
    times: FloatArray,
    rules: Sequence[str],
    margin: float,
) -> Document:
    """What was chosen for a fold, and what it does to its test windows."""
    decoder = checkpoint.load(run.checkpoint_file(row.key))
    fold, train, test = source.sides(row)
    shuffled = row.labels == "shuffled"
    epochs = source.epochs
    y, who = training_labels(epochs, fold, row.seed, shuffled=shuffled, slide=source.slide)
    held_out = choose_validation(np.unique(y, return_inverse=True)[1], who, row.seed)
    if not held_out.any():
        raise SignalError(
            f"No training window of fold {row.fold} was held out, so nothing can be calibrated. "
            f"It takes more windows."
        )
    steps, y_val = decoder.step_logits(train[held_out]), _index(decoder, y[held_out])
    steps_test, y_test = decoder.step_logits(test), _index(decoder, epochs.y[fold.test])

    chosen = {
        name: early_exit.calibrate(name, steps, y_val, times, margin=margin) for name in rules
    }
    temperatures = early_exit.find_temperatures(steps, y_val)
    whole = early_exit.whole(temperatures)
    tested = _tested(whole, steps_test, y_test, times)
    found: Document = {"whole": {"choice": None, "rule": whole.as_dict(), **tested}}
    for name, one in chosen.items():
        found[name] = {
            "choice": one.choice,
            "rule": one.rule.as_dict(),
            "held_out": {"score": one.score, "whole": one.whole_score, "time": one.time},
            **_tested(one.rule, steps_test, y_test, times),
        }
    n_steps, _, n_outputs = steps.shape
    swept = [
        (c, _tested(early_exit.confident(c, temperatures), steps_test, y_test, times))
        for c in early_exit.confidences(n_outputs, N_POINTS).tolist()
    ]
    return {
        "key": row.key,
        **{name: getattr(row, name) for name in ("dataset", "fold", "subject", "session", "seed")},
        "n_held_out": int(held_out.sum()),
        "rules": found,
        "fixed": [
            early_exit.balanced_accuracy(y_test, logits.argmax(axis=1))
            for logits in so_far(steps_test)
        ],
        "confidence": [(c, one["time"], one["score"]) for c, one in swept],
    }


def _index(decoder: Decoder, y: NDArray[np.int64]) -> NDArray[np.intp]:
    """Classes as the decoder counts them."""
    return np.searchsorted(decoder.classes_, y)


def _tested(rule: StopRule, steps: FloatArray, y: NDArray[np.intp], times: FloatArray) -> Document:
    step, proba = rule.apply(steps)
    raw = softmax(so_far(steps)[step, np.arange(len(step))])
    return {
        "score": early_exit.balanced_accuracy(y, proba.argmax(axis=1)),
        "time": float(times[step].mean()),
        "stops": np.bincount(step, minlength=len(steps)).tolist(),
        "reliability": early_exit.reliability(y, proba),
        "reliability_raw": early_exit.reliability(y, raw),
    }


def _entry(pipeline: Pipeline, folds: list[Document], times: Any) -> Document:
    return {
        **_named(pipeline),
        "n_steps": len(times),
        "times": times,
        "unit": "folds" if any(fold["subject"] == "*" for fold in folds) else "subjects",
        "n_seeds": len({fold["seed"] for fold in folds}),
        "lines": exit_lines(folds, times),
        "curve": exit_curve(folds, times),
        "folds": folds,
    }
