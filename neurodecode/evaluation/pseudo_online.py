"""The pseudo-online protocol: recordings of the test side, played to a decoder as if it were live.

The decoder was fitted to windows of events, as in the other protocols. It is asked every hop, in
the events and between them, by the very engine of the live loop: samples come in chunks, nothing is
known of those that follow, and alignment starts from nothing with each session and goes on from one
of its recordings to the next. What happens when is compared with the decisions after they are made.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from neurodecode.alignment.align import AlignState, align_start
from neurodecode.core.errors import SignalError
from neurodecode.core.stopping import StopRule
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.cleaning import Continuous, Part
from neurodecode.evaluation.command_scores import (
    NO_LABEL,
    Played,
    Timeline,
    label_windows,
    score_decisions,
)
from neurodecode.evaluation.splits import Fold
from neurodecode.online.decision import Decision, Status
from neurodecode.online.engine import Engine
from neurodecode.online.pipeline import LivePipeline
from neurodecode.online.policy import Policy
from neurodecode.online.runtime import Runtime
from neurodecode.online.score import scorer_of
from neurodecode.preprocess.filter import continuous_spans
from neurodecode.training.estimator import Decoder

CHUNK = 0.1
"""Samples come in so long pieces, s; decisions do not depend on it."""

WHERE = ["dataset", "subject", "session", "run"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Live:
    """How a decoder is used on a stream.

    Attributes
    ----------
    policy
        From probabilities to commands.
    hop
        Time between decisions, s.
    preprocess, epochs
        Options of ``[preprocess]`` and ``[epochs]``, as its windows were made with.
    """

    policy: Policy
    hop: float
    preprocess: Mapping[str, Any]
    epochs: Mapping[str, Any]


def live_pipeline(
    decoder: Decoder,
    extra: Mapping[str, Any],
    *,
    classes: Sequence[str],
    align: str,
    preprocess: Mapping[str, Any],
    epochs: Mapping[str, Any],
    rule: StopRule | None = None,
    runtime: Runtime = "torch",
    kept: Path | None = None,
) -> LivePipeline:
    """A fitted decoder with its causal steps.

    Parameters
    ----------
    decoder
        Fitted.
    extra
        What lies beside it in its checkpoint: cleaner, drift, gain, and where it was calibrated
        the reference of its alignment.
    classes
        Names, in the order of its probabilities.
    align
        "none", or an aligner and ":causal".
    preprocess, epochs
        Options of ``[preprocess]`` and ``[epochs]``, as its windows were made with.
    rule
        When it may answer before a window is over.
    runtime, kept
        What asks a net, see `neurodecode.online.runtime`.
    """
    known = extra.get("reference")
    spec, window = decoder.spec_, epochs.get("window")
    return LivePipeline(
        ch_names=spec.ch_names,
        classes=tuple(classes),
        sfreq=spec.sfreq,
        n_times=spec.n_times,
        offset=float(window[0]) if window else 0.0,
        scorer=scorer_of(decoder, rule, runtime=runtime, kept=kept),
        notch=preprocess.get("notch"),
        band=preprocess.get("band"),
        reference=preprocess.get("reference", "none"),
        bad_channels=preprocess.get("bad_channels", "stop"),
        reject=epochs.get("reject"),
        cleaner=extra.get("cleaner"),
        drift=bool(extra.get("drift", False)),
        align=align,
        start=align_start() if known is None else AlignState(known["mean"], float(known["n"])),
        settled=known is not None,
        gain=float(extra.get("gain", 1.0)),
        positions=None if spec.positions is None else np.asarray(spec.positions),
    )


class Shown(NamedTuple):
    """What a decoder has shown on the recordings of a test side."""

    scores: dict[str, float]
    predictions: pd.DataFrame
    predict_time: float  # s, for one decision with all of its steps


def play_fold(
    live: Live,
    pipeline: LivePipeline,
    epochs: EpochSet,
    source: Continuous,
    fold: Fold,
) -> Shown:
    """Play every recording of the test side, and score the decisions.

    Parameters
    ----------
    live
        How decisions are taken.
    pipeline
        The decoder, fitted to the training side.
    epochs
        Its table says where the windows of each recording come from.
    source
        The recordings, with what happened in them.
    fold
        Recordings with a test window are played.

    Raises
    ------
    SignalError
        If a recording lacks a channel or has another rate than the decoder can take.
    """
    table = epochs.table
    played, tables, n_decisions, seconds = [], [], 0, 0.0
    state, session = align_start(), None
    for part, timeline in zip(source.parts, source.timelines, strict=True):
        if not np.isin(part.index, fold.test).any():
            continue
        where = table.iloc[int(part.index[0])][WHERE]
        if (now := tuple(where[:3])) != session:
            state, session = align_start(), now
        start = time.perf_counter()
        decisions, state = play(part, replace(pipeline, start=state), live)
        seconds += time.perf_counter() - start
        n_decisions += len(decisions)
        one = _gathered(decisions, timeline, pipeline, part)
        played.append(one)
        tables.append(_table(one, where, pipeline, live))
    scores = score_decisions(
        played,
        n_classes=len(pipeline.classes),
        window=pipeline.n_times / pipeline.sfreq,
        rest=live.policy.rest,
    )
    predictions = pd.concat(tables, ignore_index=True)
    return Shown(scores, predictions, seconds / max(1, n_decisions))


def play(part: Part, pipeline: LivePipeline, live: Live) -> tuple[list[Decision], AlignState]:
    """All decisions on a recording, stamped with its own time, and what alignment knows then.

    Where recordings were joined, the stream breaks off and begins anew.
    """
    raw = part.raw
    lacking = [name for name in pipeline.inputs if name not in raw.ch_names]
    if lacking:
        raise SignalError(
            f"{part.name} lacks {', '.join(lacking[:8])}, which the decoder was fitted with. Leave "
            f"the recording out, or keep common channels with preprocess.channels."
        )
    sfreq = float(raw.info["sfreq"])
    try:
        engine = pipeline.engine(sfreq, hop=live.hop, policy=live.policy)
    except SignalError as error:
        raise SignalError(f"{part.name}: {error}") from None
    x, decisions = raw.get_data(list(pipeline.inputs)), list[Decision]()
    for start, stop in continuous_spans(raw):
        engine.reset()
        decisions += _stream(engine, x, range(start, stop), sfreq)
    return decisions, engine.align_state


def _stream(engine: Engine, x: Any, samples: range, sfreq: float) -> list[Decision]:
    """Samples in chunks, each as soon as its last one is there: nothing is ever late."""
    said, n_chunk = [], max(1, round(CHUNK * sfreq))
    for start in samples[::n_chunk]:
        stop = min(start + n_chunk, samples.stop)
        stamps = np.arange(start, stop) / sfreq
        said += engine.push(x[:, start:stop], stamps, now=float(stamps[-1]))
    return said


def _gathered(
    decisions: Sequence[Decision], timeline: Timeline, pipeline: LivePipeline, part: Part
) -> Played:
    n_outputs = len(pipeline.classes)
    status = np.array([d.status for d in decisions], dtype=np.int64)
    newest = np.array([d.newest for d in decisions], dtype=np.float64)
    end = part.raw.n_times / float(part.raw.info["sfreq"])
    full = newest[status != Status.GAP]
    return Played(
        time=newest,
        proba=np.array([d.proba for d in decisions]).reshape(-1, n_outputs),
        evidence=np.array([d.evidence for d in decisions]).reshape(-1, n_outputs),
        command=np.array([d.command for d in decisions], dtype=np.int64),
        status=status,
        events=timeline,
        span=(float(full[0]) if full.size else end, end),
    )


def _table(played: Played, where: Any, pipeline: LivePipeline, live: Live) -> pd.DataFrame:
    """One line per decision; texts are empty where there is no class."""
    names = np.array([*pipeline.classes, ""])  # -1 finds the empty one
    truth = label_windows(
        played.time, pipeline.n_times / pipeline.sfreq, played.events, live.policy.rest
    )
    best = np.full(len(played.time), NO_LABEL)
    best[played.valid] = played.proba[played.valid].argmax(axis=1)
    columns: dict[str, Any] = {name: str(where[name]) for name in WHERE}
    columns |= {"time": played.time, "y_true": names[truth], "y_pred": names[best]}
    for letter, values in {"p": played.proba, "e": played.evidence}.items():
        columns |= {f"{letter}_{c}": values[:, i] for i, c in enumerate(pipeline.classes)}
    columns["status"] = [Status(s).words for s in played.status]
    columns["command"] = names[played.command]
    return pd.DataFrame(columns)
