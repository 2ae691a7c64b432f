"""Choices of decoders that are used live: what they may be made of, and how decisions are taken."""

from collections.abc import Mapping, Sequence
from typing import Any

from neurodecode.artifacts import CLEANERS, StreamingCleaner
from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.core.options import check_options, keywords
from neurodecode.epochs.cut import BACKGROUND
from neurodecode.evaluation.cleaning import CleanWord
from neurodecode.evaluation.metrics import LIVE_METRICS
from neurodecode.evaluation.splits import PSEUDO_ONLINE
from neurodecode.online.evidence import ACCUMULATORS
from neurodecode.online.policy import Policy
from neurodecode.online.runtime import Runtime

Tree = dict[str, Any]


def choose_online(
    *,
    hop: float = 0.1,
    accumulator: str = "smooth",
    options: Mapping[str, Any] | None = None,
    threshold: float = 0.7,
    refractory: float = 2.0,
    rest: str | None = None,
    runtime: Runtime = "auto",
) -> None:
    """The options of ``[online]``.

    Parameters
    ----------
    hop
        Time from one decision to the next, s.
    accumulator
        How windows become evidence, see `neurodecode.online.evidence`.
    options
        Of the accumulator.
    threshold
        Least evidence of a decision, in [0, 1]; below it the decoder abstains.
    refractory
        Least time between two commands, s.
    rest
        Class that stands for wanting nothing, which is never commanded.
    runtime
        What asks a net live: "torch", "onnx" for onnxruntime, or "auto" for the faster one where
        both say the same.
    """


def is_live(choices: Mapping[str, Any]) -> bool:
    """Whether a run's decoders are made for use live."""
    evaluation = choices.get("evaluation", {})
    asked = evaluation.get("online_ready") is True
    return asked or evaluation.get("protocol") == PSEUDO_ONLINE


def make_live(choices: Tree, written: Mapping[str, Any]) -> None:
    """Leave only what can be had live, where decoders are made for that.

    What a default or a card says is changed or left out; what a person wrote is refused.

    Parameters
    ----------
    choices
        With the defaults; changed in place.
    written
        What the person wrote.

    Raises
    ------
    ConfigError
        For a choice that takes samples of the future, or of which there are none live.
    """
    evaluation = choices["evaluation"]
    if not is_live(choices):
        _refuse_live_choices(choices)
        return
    evaluation["online_ready"] = True
    if evaluation.get("protocol") == PSEUDO_ONLINE:
        _make_played(choices, written)
    else:
        _refuse_split(evaluation)
    online = choices.setdefault("online", {})
    slides = choices.get("epochs", {}).get("slide") is True
    if slides or BACKGROUND in (choices["data"].get("events") or ()):
        online.setdefault("rest", BACKGROUND)
    preprocess = choices.setdefault("preprocess", {})
    if written.get("preprocess", {}).get("filter") == "zero-phase":
        raise ConfigError(
            "preprocess.filter = 'zero-phase' runs filters backwards from the end, and live there "
            "is no end. Leave it out: --online-ready filters causally."
        )
    preprocess["filter"] = "causal"
    _keep_causal_alignments(evaluation, written)
    _keep_streaming_cleaners(choices, written)
    if choices.get("epochs", {}).get("baseline") is not None:
        if "baseline" in written.get("epochs", {}):
            raise ConfigError(
                "epochs.baseline is time before an event, and live nobody knows of events. Leave "
                "it out; preprocess.band takes slow drift away."
            )
        del choices["epochs"]["baseline"]
    if choices["data"].get("montage") == "any":
        raise ConfigError(
            "data.montage = 'any' joins recordings of different channels, and a stream has the "
            "channels of its cap. Name common ones with --set preprocess.channels=[...] and "
            "data.montage='same'."
        )


def _make_played(choices: Tree, written: Mapping[str, Any]) -> None:
    """What goes with recordings that are played: who is left out, and scores of decisions."""
    evaluation = choices["evaluation"]
    if evaluation.get("split") is None:
        evaluation["split"] = "cross-subject"
    if evaluation.get("metric") not in LIVE_METRICS and "metric" not in written.get(
        "evaluation", {}
    ):
        evaluation["metric"] = "balanced_accuracy"
    for name in ("threshold", "smoothing"):
        if evaluation.get(name) is not None:
            raise ConfigError(
                f"evaluation.{name} is of alarms, and {PSEUDO_ONLINE} gives commands. Leave it "
                f"out; online.threshold says when one is given."
            )


def _refuse_split(evaluation: Mapping[str, Any]) -> None:
    if evaluation.get("split") is not None:
        raise ConfigError(
            f"evaluation.split is of --protocol {PSEUDO_ONLINE}. Leave it out, or give that."
        )


def _refuse_live_choices(choices: Mapping[str, Any]) -> None:
    _refuse_split(choices["evaluation"])
    if choices.get("online"):
        raise ConfigError(
            f"[online] says how decisions are taken live. Give --online-ready or --protocol "
            f"{PSEUDO_ONLINE}, or leave the section out."
        )


def _keep_causal_alignments(evaluation: Tree, written: Mapping[str, Any]) -> None:
    words = evaluation.get("align", ["none"])
    late = [word for word in words if word.endswith(":batch")]
    if late and "align" in written.get("evaluation", {}):
        raise ConfigError(
            f"align = '{late[0]}' sees all windows of a person before the first is decoded, and "
            f"live they have not been recorded. Write '{late[0].removesuffix(':batch')}:causal'."
        )
    if late:
        evaluation["align"] = [word for word in words if word not in late] or ["none"]


def _keep_streaming_cleaners(choices: Tree, written: Mapping[str, Any]) -> None:
    evaluation = choices["evaluation"]
    words = evaluation.get("clean", ["none"])
    reasons = {word: _why_not_live(word, choices.get("clean", {})) for word in words}
    if not any(reasons.values()):
        return
    if "clean" in written.get("evaluation", {}):
        raise ConfigError(next(filter(None, reasons.values())))
    evaluation["clean"] = [word for word in words if not reasons[word]] or ["none"]


def _why_not_live(word: str, options: Mapping[str, Any]) -> str:
    """Why a cleaning cannot be had live; nothing where it can."""
    how = CleanWord.parse(word)
    if how.name == "none":
        return ""
    if how.own:
        return (
            f"clean = '{word}' is fitted to a whole recording before it is decoded, and live there "
            f"is none. Write '{how.name}', fitted to the training side, and calibrate live."
        )
    if how.removed:
        return f"clean = '{word}' is a control, and not for use. Write '{how.name}'."
    build, own = CLEANERS.get(how.name), options.get(how.name, {})
    check_options(build, own, where=f"[clean.{how.name}]")
    # isinstance would ask for the delay, which a cleaner knows once it is fitted.
    if not hasattr(type(build(**own)), StreamingCleaner.step.__name__):
        return (
            f"clean = '{word}' takes whole recordings, and live they come in chunks. Write one "
            f"that streams, such as asr or regression."
        )
    return ""


def check_online(options: Mapping[str, Any]) -> None:
    """Refuse options of ``[online]`` that cannot be; `check_options` has seen their types.

    Raises
    ------
    ConfigError
        Saying what they may be.
    """
    hop = options.get("hop", 0.1)
    if not 0.001 <= hop <= 60:
        raise ConfigError(
            f"online.hop = {hop:g} s is no time between decisions. Give 0.001 to 60 s; 0.1 is "
            f"usual."
        )
    policy_of({**options, "rest": None}, (), duration=1.0)


def policy_of(options: Mapping[str, Any], classes: Sequence[str], *, duration: float) -> Policy:
    """How decisions are taken.

    Parameters
    ----------
    options
        Of ``[online]``.
    classes
        In the order of their probabilities.
    duration
        Of a window, s; an accumulator that needs it is told, unless an option says otherwise.

    Raises
    ------
    ConfigError
        If an option cannot be.
    UnknownName
        If the class of rest is not one of `classes`.
    """
    given = {name: p.default for name, p in keywords(choose_online).items()} | dict(options)
    build, own = ACCUMULATORS.get(given["accumulator"]), dict(given["options"] or {})
    check_options(build, own, where="[online.options]")
    if "window" in keywords(build):
        own.setdefault("window", duration)
    rest = given["rest"]
    if rest is not None and rest not in classes:
        raise UnknownName("class that online.rest could name", rest, classes)
    return Policy(
        accumulator=build(**own),
        threshold=given["threshold"],
        refractory=given["refractory"],
        rest=None if rest is None else list(classes).index(rest),
    )
