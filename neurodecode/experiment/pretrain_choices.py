"""A person's choices for pretraining, checked before anything loads.

Where they are written, and which place wins, is as in `neurodecode.experiment.choices`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.core.options import check_options, keywords
from neurodecode.core.places import shared_folder
from neurodecode.experiment.choices import (
    Schema,
    Tree,
    as_list,
    check_once,
    merge,
    own_choices,
    read_pipeline,
)
from neurodecode.models import BACKBONES
from neurodecode.preprocess.chain import Filter, Reference
from neurodecode.recordings.cards import find_card

PLAIN = ("data", "preprocess", "train")
ENDS = ("steps", "epochs", "minutes")
"""Options of ``[train]`` that say when it is over; naming one drops the others' defaults."""

PARADIGM = "state"
"""Of data sets without a card, whose labels are not read anyway."""


def choose_data(
    *,
    dataset: str | Sequence[str],
    data_dir: Sequence[str] | None = None,
    subjects: Sequence[Sequence[int | str]] | None = None,
    hold_out: float = 0.2,
) -> None:
    """The options of ``[data]``.

    Parameters
    ----------
    dataset
        Cards of any paradigm, paths to cards, MOABB classes, or ``bids:FOLDER``.
    data_dir
        Folders where the recordings lie, one for all or one for each data set in order; an empty
        text is where MNE and MOABB keep them.
    subjects
        Those to use, one list for all data sets or one for each in order; an empty list is all.
    hold_out
        Part of the people of every data set that nothing is learned from, in [0, 1); one at least,
        unless it is 0 or there is one only.
    """


def choose_preprocess(
    *,
    channels: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    bad_channels: Literal["drop", "stop", "interpolate", "keep"] = "drop",
    notch: float | None = None,
    band: tuple[float | None, float | None] | None = None,
    filter: Filter = "zero-phase",  # the word of the pipeline file
    reference: Reference = "none",
) -> None:
    """The options of ``[preprocess]``; the backbone decides on the sampling rate.

    Parameters
    ----------
    channels, drop
        Channels to keep, by default all of the brain; and to leave out. Names that a recording
        lacks are passed over.
    bad_channels
        What to do with channels that are flat, not finite or marked bad: "drop" them, or as in
        `neurodecode.preprocess.chain.preprocess`.
    notch, band, filter, reference
        As there. A notch or an upper edge that a recording's rate cannot hold is left out, and
        said.
    """


def _builder_of(section: str) -> Callable[..., Any]:
    if section == "train":
        from neurodecode.training.pretrain import pretrain_backbone  # here: it takes torch

        return pretrain_backbone
    builders: dict[str, Callable[..., Any]] = {"data": choose_data, "preprocess": choose_preprocess}
    return builders[section]


PRETRAINING = Schema(PLAIN, (*PLAIN, "model", "pretext"), _builder_of)


def resolve_pretrain(
    *,
    pipeline: Path | None = None,
    sets: Iterable[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> Tree:
    """Every choice of a pretraining, with the defaults filled in.

    Parameters
    ----------
    pipeline, sets, flags
        As for `neurodecode.experiment.choices.resolve`.

    Raises
    ------
    ConfigError
        For anything that does not exist or has the wrong type; nothing has been loaded yet.
    """
    written = own_choices(pipeline, sets, flags or {}, PRETRAINING)
    if written.setdefault("paradigm", "pretrain") != "pretrain":
        raise ConfigError(
            f"{pipeline or 'This'} is for neurodecode fit (paradigm {written['paradigm']}), not "
            f"for pretrain."
        )
    defaults = read_pipeline(shared_folder("pipelines") / "pretrain.toml", PRETRAINING)
    if set(ENDS) & set(written.get("train", {})):
        for name in ENDS:
            defaults["train"].pop(name, None)
    choices = merge(defaults, written)
    _check(choices)
    data = choices["data"]
    data["dataset"] = as_list(data["dataset"])
    n = len(data["dataset"])
    data["data_dir"] = _one_each("data_dir", data.get("data_dir"), n, "")
    data["subjects"] = [list(s) for s in _one_each("subjects", data.get("subjects"), n, [])]
    for section in PLAIN:
        for name, parameter in keywords(_builder_of(section)).items():
            if parameter.default is not parameter.empty:
                choices[section].setdefault(name, parameter.default)
    choices.setdefault("model", {})
    choices.setdefault("pretext", {})
    return choices


def _one_each(name: str, given: Sequence[Any] | None, n: int, usual: Any) -> list[Any]:
    """A value for each of n data sets, of none, one for all, or one each."""
    values = [usual] if not given else list(given)
    if len(values) not in (1, n):
        raise ConfigError(
            f"data.{name} has {len(values)} entries for {n} data sets. Give one for all, or one "
            f"for each in order ('-' on the command line for the usual place, or for all people)."
        )
    return values * n if len(values) == 1 else values


def _check(choices: Tree) -> None:
    models = choices["models"] = as_list(choices["models"])
    if len(models) != 1 or not isinstance(models[0], str):
        raise ConfigError(f"models = {models}: pretraining takes one backbone. Give --model NAME.")
    BACKBONES.find(models[0])
    for section in PLAIN:
        check_options(_builder_of(section), choices.setdefault(section, {}), where=f"[{section}]")
    for name, options in choices.get("model", {}).items():
        if name not in models:
            raise UnknownName("model of this run", name, models)
        if not isinstance(options, dict):
            raise ConfigError(f"model.{name} = {options!r}: write model.NAME.OPTION = value.")
        check_options(BACKBONES.get(name), options, where=f"[model.{name}]")
    if pretext := choices.get("pretext"):
        check_options(BACKBONES.get(models[0]).pretext, pretext, where="[pretext]")  # type: ignore[attr-defined]
    names = as_list(choices["data"]["dataset"])
    if not names:
        raise ConfigError("data.dataset is empty. Name a data set: --dataset synthetic.")
    check_once("data.dataset", names)
    for name in names:
        find_card(name, paradigm=PARADIGM)
    _check_ranges(choices["data"], choices["train"])
    if device := choices["train"].get("device"):
        from neurodecode.training.net import choose_device  # here: it takes torch

        choose_device(device)


def _check_ranges(data: Mapping[str, Any], train: Mapping[str, Any]) -> None:
    for table, name in ((data, "hold_out"), (train, "warmup")):
        if not 0 <= table.get(name, 0) < 1:
            section = "data" if table is data else "train"
            raise ConfigError(f"{section}.{name} = {table[name]} must be 0 or more and below 1.")
    counts = ("steps", "batch_size", "max_chans", "validate_every", "validation_windows")
    for name in (*counts, "log_every", "devices"):
        if (value := train.get(name)) is not None and value < 1:
            raise ConfigError(f"train.{name} = {value} must be 1 or more.")
    for name in ("epochs", "minutes", "window", "lr", "clip"):
        if (value := train.get(name)) is not None and not 0 < value < math.inf:
            raise ConfigError(f"train.{name} = {value} must be more than 0.")
    for name in ("weight_decay", "save_every", "workers"):
        if not 0 <= train.get(name, 0) < math.inf:
            raise ConfigError(f"train.{name} = {train[name]} must be a number of 0 or more.")
    _check_strategy(train.get("strategy", "auto"))


def _check_strategy(strategy: str) -> None:
    for word in ("spawn", "fork", "notebook"):
        if word in strategy:
            raise ConfigError(
                f"train.strategy = '{strategy}' trains in processes that keep what they find. "
                f"Give ddp, or another of Lightning's that starts the command anew."
            )
