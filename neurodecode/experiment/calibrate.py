"""Calibration: a live decoder is fitted to one person by a few cued trials, and kept as a new run.

The reference of its alignment becomes the mean over the trials, and, if asked, its last layer
learns from them. How well that does is cross-validated on the same trials: what is learned for a
held-out trial, its alignment and the strength of the prior included, has not seen it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.stats import binomtest

from neurodecode.alignment import ALIGNERS, Aligner
from neurodecode.alignment.align import AlignState, align_step, whiten
from neurodecode.core.errors import ConfigError, FitError, StoreError, UnknownName
from neurodecode.evaluation.splits import EVERYBODY
from neurodecode.experiment.live import LiveRun
from neurodecode.online.calibrate import (
    CalibrationOptions,
    Collected,
    Trials,
    View,
    collect,
    prepared,
)
from neurodecode.online.cues import parse_labels
from neurodecode.results.provenance import environment
from neurodecode.results.store import Run, Store, writing
from neurodecode.signal.covariance import covariances
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder
from neurodecode.training.head import (
    choose_lam,
    features_of,
    folds_of,
    move_head,
    read_head,
    with_head,
)

FEWEST = 2  # trials of each class
TRIALS = "trials.safetensors"

Array = NDArray[np.float64]
Facts = dict[str, Any]


def calibrate(
    live: LiveRun,
    options: CalibrationOptions,
    *,
    finetune: str | None = None,
    kept: Trials | None = None,
    view: View,
    agree: Callable[[str], bool] = lambda question: True,
    stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Collect cued trials of one person, fit the decoder to them, and keep it as a new run.

    Trials are kept after each one, in a folder beside the runs until the new run is there.

    Parameters
    ----------
    live
        The decoder, see `neurodecode.experiment.live.open_live`.
    options
        Of the trials.
    finetune
        "head" to let the last linear layer learn from them too.
    kept
        Trials of this person that are there, see `kept_trials`. Only what they lack is collected;
        where that is nothing, no signal is needed.
    view
        What the person sees.
    agree
        Asked whether to use what there is, where the person has interrupted.
    stop
        Whether to stop collecting.

    Raises
    ------
    ConfigError
        If there is nothing about this decoder to calibrate, before anything is collected.
    FitError
        If there are fewer than two trials of a class, or they are not to be used.
    RecordingError
        If there is no signal.
    StoreError
        If nothing can be kept.
    """
    check_calibration(live, options, finetune)
    store = Store.open(live.run.path.parent)
    began = datetime.now().astimezone()
    folder = store.path / f"{live.run.id}-calibrating-{began:%Y%m%d-%H%M%S}"

    def keep(trials: Trials) -> None:
        save_trials(trials, folder / TRIALS)

    facts: Facts = {"date": began.isoformat(timespec="seconds")}
    if kept is not None and min(kept.counts()) >= options.n:
        trials = kept
        facts |= _facts(live, trials, kept, None)
    else:
        collected = collect(live.pipeline, options, view, keep, stop, kept)
        trials = collected.trials
        again = _again(folder / TRIALS)
        if min(trials.counts()) < FEWEST:
            raise FitError(
                f"Calibration needs {FEWEST} trials of each class, and there are {_words(trials)}. "
                f"{again}"
            )
        if collected.interrupted and not agree(f"There are {_words(trials)}. Calibrate with them?"):
            raise FitError(f"Nothing was calibrated. {again}")
        facts |= _facts(live, trials, kept, collected)
    run = calibrated_run(live, trials, finetune=finetune, facts=facts)
    (folder / TRIALS).unlink(missing_ok=True)  # they are in the run now
    if folder.is_dir():
        folder.rmdir()
    return run


def kept_trials(live: LiveRun, path: Path) -> Trials:
    """Trials of an earlier calibration that this decoder can be calibrated with.

    Parameters
    ----------
    live
        The decoder.
    path
        Of ``trials.safetensors``, as an interrupted calibration or a calibrated run keeps it.

    Raises
    ------
    StoreError
        If there are none.
    ConfigError
        If they were collected for a decoder that takes others.
    """
    trials, pipeline = load_trials(path), live.pipeline
    told = {
        "channels": (trials.ch_names, pipeline.ch_names),
        "classes": (trials.classes, pipeline.classes),
        "sampling rate": (trials.sfreq, pipeline.sfreq),
        "length": (trials.x.shape[2], pipeline.n_times),
        "preprocessing": (trials.prepared, prepared(pipeline)),
    }
    other = [name for name, (has, wanted) in told.items() if has != wanted]
    if other:
        raise ConfigError(
            f"The trials in {path} were collected for another decoder: not the same are "
            f"{', '.join(other)}. Give that decoder, or collect trials without --trials."
        )
    return trials


def check_calibration(live: LiveRun, options: CalibrationOptions, finetune: str | None) -> None:
    """Refuse what cannot be calibrated.

    Raises
    ------
    ConfigError
        Saying why, and what to give.
    """
    if options.n < FEWEST:
        raise ConfigError(f"Calibration needs {FEWEST} trials of each class or more.")
    if finetune not in (None, "head"):
        raise UnknownName("part of a decoder that can be fine-tuned", str(finetune), ["head"])
    if options.labels and options.markers is None:
        raise ConfigError(
            "The labels of markers are given, and no stream of markers. Name it with --markers."
        )
    parse_labels(options.labels, live.pipeline.classes)
    if finetune is not None:
        read_head(live.decoder)
    elif live.pipeline.align == "none":
        raise ConfigError(
            f"{live.row.model} without alignment has nothing to calibrate. Give --finetune head, "
            f"or a decoder that is aligned, such as --align euclidean:causal."
        )


def calibrated_run(
    live: LiveRun, trials: Trials, *, finetune: str | None = None, facts: Facts | None = None
) -> Run:
    """The decoder fitted to trials of one person, kept as a new run beside its own.

    Parameters
    ----------
    live
        The decoder.
    trials
        At least two of each class.
    finetune
        "head" to let the last linear layer learn too.
    facts
        What else is known of the calibration, for ``meta.json``.
    """
    y = np.searchsorted(live.decoder.classes_, trials.label)
    scores = cross_validate(live, trials, finetune=finetune is not None)
    reference = _reference(live, trials.x)
    decoder, lam = live.decoder, None
    if finetune is not None:
        decoder, lam = _tuned(decoder, _aligned(live, trials.x, reference), y)
    extra = dict(live.extra)
    if reference.mean is not None:
        extra["reference"] = {"mean": reference.mean, "n": reference.n}
    key = _key(live, trials, finetune)
    row = replace(
        live.row, key=key, fold=EVERYBODY, subject="*", session="*", score=float("nan"),
        scores={}, n_test=0, predict_time=float("nan"),
    )  # fmt: skip
    parent = live.run
    run = Run(parent.path.with_name(f"{parent.id}-calibrated-{key[:8]}"))
    meta = {
        **parent.meta(),
        "parent": parent.id,
        "folds": [],
        "live": [key],
        "fitted_to": sorted(map(list, live.seen)),
        "calibrated": {
            **(facts or {}),
            "decoder": live.words,
            "n": dict(zip(trials.classes, trials.counts(), strict=True)),
            "aligned": None if reference.mean is None else live.pipeline.align.partition(":")[0],
            "finetune": finetune,
            "lam": lam,
            "accuracy": scores.as_dict(),
        },
        **environment(),
    }
    save_trials(trials, run.path / TRIALS)
    checkpoint.save(decoder, run.checkpoint_file(key), extra)
    run.write_fold(row, _predictions(trials, scores))
    run.describe((parent.path / "config.toml").read_text(encoding="utf-8"), meta)
    return run


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """How a decoder does on trials before and after it is calibrated.

    Attributes
    ----------
    y
        Classes, (n_trials,).
    before
        Probabilities by the decoder as it was, from the first trial to the last as live,
        (n_trials, n_outputs).
    after
        Probabilities of each trial by the decoder calibrated with trials of other folds.
    n_folds
        How many.
    """

    y: NDArray[np.int64]
    before: Array
    after: Array
    n_folds: int

    def as_dict(self) -> Facts:
        """Shares and numbers of trials that are right; and p of the exact McNemar test."""
        before, after = (p.argmax(axis=1) == self.y for p in (self.before, self.after))
        better, worse = int((after & ~before).sum()), int((before & ~after).sum())
        p = binomtest(better, better + worse).pvalue if better + worse else 1.0
        return {
            "before": float(before.mean()),
            "after": float(after.mean()),
            "n_before": int(before.sum()),
            "n_after": int(after.sum()),
            "n": len(self.y),
            "n_folds": self.n_folds,
            "p": float(p),
        }


def cross_validate(live: LiveRun, trials: Trials, *, finetune: bool) -> Scores:
    """How the decoder does on the trials, before and after it is calibrated with the others.

    Folds are stretches of time. Whatever is learned for a fold is learned from the others: the
    reference of the alignment, the strength of the prior (by a cross-validation within them), and
    the head.
    """
    decoder, y = live.decoder, np.searchsorted(live.decoder.classes_, trials.label)
    before = np.asarray(decoder.predict_proba(_as_it_was(live, trials.x)), dtype=np.float64)
    after, n_folds = np.empty_like(before), 0
    for train, test in folds_of(y):
        x = _aligned(live, trials.x, _reference(live, trials.x[train]))
        after[test] = _after(decoder, x, y, train, test, finetune=finetune)
        n_folds += 1
    return Scores(y=y, before=before, after=after, n_folds=n_folds)


def _after(
    decoder: Decoder,
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    *,
    finetune: bool,
) -> Array:
    if not finetune:
        return np.asarray(decoder.predict_proba(x[test]), dtype=np.float64)
    head, features = read_head(decoder), features_of(decoder, x)
    lam = choose_lam(head, features[train], y[train])
    return move_head(head, features[train], y[train], lam).proba(features[test])


def _tuned(
    decoder: Decoder, x: NDArray[np.float32], y: NDArray[np.int64]
) -> tuple[Decoder, float | None]:
    """The decoder after its head has learned, and the strength of the prior; None for no change."""
    head, features = read_head(decoder), features_of(decoder, x)
    lam = choose_lam(head, features, y)
    if np.isinf(lam):
        return decoder, None
    return with_head(decoder, move_head(head, features, y, lam)), lam


def _aligner(live: LiveRun) -> Aligner | None:
    name = live.pipeline.align.partition(":")[0]
    return None if name == "none" else ALIGNERS.get(name)()


def _reference(live: LiveRun, x: NDArray[np.float32]) -> AlignState:
    """What the alignment knows of a person after windows (n_trials, n_chans, n_times)."""
    aligner = _aligner(live)
    if aligner is None:
        return AlignState(None, 0.0)
    return AlignState(aligner.mean(covariances(x)), float(len(x)))


def _aligned(live: LiveRun, x: NDArray[np.float32], reference: AlignState) -> NDArray[np.float32]:
    """Windows as the decoder takes them, with a reference that stays; same shape."""
    if reference.mean is None:
        return x
    return whiten(x, reference) * np.float32(live.pipeline.gain)


def _as_it_was(live: LiveRun, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Windows as the decoder would have seen them, one after the other, without calibration."""
    aligner, state = _aligner(live), live.pipeline.start
    if aligner is None:
        return x
    if live.pipeline.settled:
        return _aligned(live, x, state)
    out = np.empty_like(x)
    for i, window in enumerate(x):
        out[i], state = align_step(window, state, aligner)
    return out * np.float32(live.pipeline.gain)


def save_trials(trials: Trials, path: Path) -> None:
    """Write trials to a file, whole or not at all.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    header = {
        "ch_names": trials.ch_names,
        "classes": trials.classes,
        "sfreq": trials.sfreq,
        "prepared": trials.prepared,
        "playing": dict(trials.playing),
    }
    arrays: dict[str, NDArray[Any]] = {
        "x": trials.x,
        "label": trials.label,
        "stamp": trials.stamp,
    }
    with writing(path) as file:
        try:
            save_file(arrays, file, metadata={"trials": json.dumps(header)})
        except SafetensorError as error:
            raise OSError(str(error)) from error


def load_trials(path: Path) -> Trials:
    """Trials that `save_trials` wrote.

    Raises
    ------
    StoreError
        If they cannot be read.
    """
    try:
        with safe_open(path, framework="np") as file:
            header = json.loads((file.metadata() or {})["trials"])
            arrays = {name: file.get_tensor(name) for name in ("x", "label", "stamp")}
        trials = Trials(
            **arrays,
            ch_names=tuple(header["ch_names"]),
            classes=tuple(header["classes"]),
            sfreq=float(header["sfreq"]),
            prepared=header["prepared"],
            playing=header["playing"],
        )
        shape = (len(trials.label), len(trials.ch_names), *trials.x.shape[2:])
        if trials.x.shape != shape or len(trials.counts()) > len(trials.classes):
            raise ValueError("they do not fit together")
        return trials
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"{path} holds no trials of a calibration ({error}). Collect them again."
        ) from error


def _facts(
    live: LiveRun, trials: Trials, kept: Trials | None, collected: Collected | None
) -> Facts:
    """Where trials come from: kept ones, those that were collected, or both."""
    playing = dict(trials.playing)
    return {
        "stream": None if collected is None else collected.facts.name,
        "playing": playing,
        "seen": (playing.get("dataset", ""), playing.get("subject", "")) in live.seen,
        "n_kept": 0 if kept is None else len(kept.label),
        "interrupted": collected is not None and collected.interrupted,
        "n_refused": 0 if collected is None else collected.n_refused,
        "ignored": {} if collected is None else collected.ignored,
    }


def _again(path: Path) -> str:
    """What to do after an interruption: trials that were taken are kept, if one was."""
    if not path.is_file():
        return "Give the command again."
    return f"Give the command again with --trials {path}: those that were taken are kept there."


def _predictions(trials: Trials, scores: Scores) -> pd.DataFrame:
    """One line per trial: when, truth, decisions before and after, probabilities after."""
    names = np.asarray(trials.classes)
    columns = {
        "trial": np.arange(len(trials.label)),
        "time": trials.stamp - trials.stamp[0],
        "y_true": names[trials.label],
        "y_before": names[scores.before.argmax(axis=1)],
        "y_pred": names[scores.after.argmax(axis=1)],
    }
    columns |= {f"p_{name}": scores.after[:, i] for i, name in enumerate(trials.classes)}
    return pd.DataFrame(columns)


def _key(live: LiveRun, trials: Trials, finetune: str | None) -> str:
    """Hash of what the decoder is made of: the one before, the trials, and what was asked."""
    sha = hashlib.sha256(f"{live.row.key}/{finetune}/".encode())
    sha.update(trials.x.tobytes() + trials.label.tobytes())
    return sha.hexdigest()[:20]


def _words(trials: Trials) -> str:
    counts = zip(trials.counts(), trials.classes, strict=True)
    return " and ".join(f"{n} of {name}" for n, name in counts)
