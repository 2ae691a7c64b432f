"""Decoders that start from a pretrained backbone: which, how, and on whom they may be tested."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodecode.core.errors import ConfigError
from neurodecode.core.options import keywords
from neurodecode.models import BACKBONES, PRETRAINED, split_mode
from neurodecode.recordings.cards import find_card, open_dataset, population

if TYPE_CHECKING:
    from neurodecode.training.pretrained import Pretrained

logger = logging.getLogger(__name__)

Tree = dict[str, Any]


def choose_pretrained(
    *,
    checkpoint: str | None = None,
    mode: Sequence[str] = ("finetune",),
    allow_seen: bool = False,
    lora_rank: int = 8,
    lora_alpha: float = 16.0,
) -> None:
    """The options of ``[pretrained]``.

    Parameters
    ----------
    checkpoint
        A file of `neurodecode pretrain`, or published weights of mvpformer.
    mode
        What to compare: "scratch", "random", "probe", "lora", "finetune"; see
        `neurodecode.models.MODES`. A decoder named with its mode (mvpformer+probe) keeps it.
    allow_seen
        Test on people whom the backbone was pretrained on too.
    lora_rank, lora_alpha
        Of adapters: their rank, and what their product is multiplied by, in ranks.
    """


def expand_modes(choices: Tree, *, named: bool) -> None:
    """Put a word for each mode in the place of the pretrained decoder, and its options in theirs.

    Parameters
    ----------
    choices
        Changed in place: ``models`` and ``model``.
    named
        Whether a person named the decoders; otherwise the pretrained one is the only one.

    What was read is logged: a person should see that nothing is missing.

    Raises
    ------
    ConfigError
        If there is no checkpoint where one is needed, it is of another model, an option differs
        from the checkpoint's, or adapters have no rank.
    CheckpointError
        If the file is not one.
    """
    words = list(choices["models"])
    given = choices.get("pretrained", {})
    path = given.get("checkpoint")
    if path is None:
        _refuse_words(words, given)
        choices["models"] = [w.removesuffix("+scratch") for w in words]
        return
    if given.get("lora_rank", 1) < 1:
        raise ConfigError(f"pretrained.lora_rank = {given['lora_rank']} must be 1 or more.")
    if named and not Path(path).exists() and _is_expanded(words, choices.get("model", {})):
        return  # choices of a run that is over: its decoders are whole
    from neurodecode.training.transfer import read_start  # here: it takes torch

    start = read_start(path)
    logger.warning("%s", start)
    if Path(path).is_file():
        given["checkpoint"] = str(Path(path).resolve())
    modes = list(given.get("mode", ("finetune",)))
    expanded = [f"{start.model}+{mode}" for mode in modes]
    for word in expanded:
        split_mode(word)
    if not named:
        words = expanded
    elif any(split_mode(w)[0] == start.model for w in words):
        words = [v for w in words for v in (expanded if w == start.model else [w])]
    else:
        words = [*expanded, *words]
    strangers = [w for w in words if split_mode(w)[1] in PRETRAINED and start.model not in w]
    if strangers:
        raise ConfigError(
            f"{path} is a pretrained {start.model}; {strangers[0]} cannot start there."
        )
    choices["models"] = [w.removesuffix("+scratch") for w in dict.fromkeys(words)]
    _take_options(choices.setdefault("model", {}).setdefault(start.model, {}), start)


def _refuse_words(words: Sequence[str], given: Mapping[str, Any]) -> None:
    """Refuse what takes a checkpoint where there is none."""
    lacking = [w for w in words if split_mode(w)[1] in PRETRAINED]
    if lacking or given:
        without = "" if lacking else " Without one, a mode is part of a name: mvpformer+random."
        raise ConfigError(
            f"{lacking[0] if lacking else '[pretrained]'} lacks a checkpoint to start from. Give "
            f"--from CHECKPOINT; `neurodecode pretrain` makes one.{without}"
        )


def _take_options(own: Tree, start: "Pretrained") -> None:
    """Give a decoder the options that its backbone was pretrained with."""
    known = keywords(BACKBONES.get(start.model))
    for name in known:
        there = start.options.get(name, known[name].default)
        if name in own and own[name] != there:
            raise ConfigError(
                f"model.{start.model}.{name} = {own[name]!r}, but {start.path} was pretrained with "
                f"{there!r}. Leave it out."
            )
    own.update(start.options)


def _is_expanded(words: Sequence[str], options: Mapping[str, Any]) -> bool:
    """Whether every pretrained decoder has its mode and the options of its checkpoint."""
    names = [split_mode(w)[0] for w in words if split_mode(w)[1] in PRETRAINED]
    return bool(names) and all(options.get(name) for name in names)


def start_key(choices: Mapping[str, Any], word: str) -> dict[str, Any]:
    """What the key of a fold must hold of the start of its decoder; nothing for most."""
    mode = split_mode(word)[1]
    if mode not in PRETRAINED:
        return {}
    from neurodecode.training.transfer import read_start

    given = choices["pretrained"]
    adapters = {k: v for k, v in given.items() if k.startswith("lora_") and mode == "lora"}
    return {"pretrained": read_start(given["checkpoint"]).fingerprint, **adapters}


def refuse_seen(choices: Mapping[str, Any], people: Iterable[tuple[str, str]]) -> list[str]:
    """Refuse to test on people whom the backbone has seen; those who may be, if that is allowed.

    Parameters
    ----------
    choices
        As `neurodecode.experiment.choices.resolve` returns them.
    people
        Code of the data set and subject of everybody, as in the table of an `EpochSet`.

    Raises
    ------
    ConfigError
        Naming them, unless ``pretrained.allow_seen``.
    """
    words = [w for w in choices["models"] if split_mode(w)[1] in PRETRAINED]
    given = choices.get("pretrained", {})
    if not words:
        return []
    from neurodecode.training.transfer import read_start

    start = read_start(given["checkpoint"])
    seen = {
        (entry[name], entry["subject"])
        for entry in start.seen
        for name in ("dataset", "population")
        if name in entry
    }
    populations = _populations(choices)
    both = [
        (dataset, subject)
        for dataset, subject in people
        if {(dataset, subject), (populations.get(dataset, dataset), subject)} & seen
    ]
    if both and not given.get("allow_seen"):
        who = ", ".join(subject for _, subject in both[:12])
        raise ConfigError(
            f"{given['checkpoint']} was pretrained on {len(both)} of these people "
            f"({both[0][0]}: {who}{', ...' if len(both) > 12 else ''}), so a test on them would "
            f"not be one on unseen people. Choose others with --subjects, or give --allow-seen."
        )
    return [f"{dataset} {subject}" for dataset, subject in both]


def _populations(choices: Mapping[str, Any]) -> dict[str, str]:
    """Of simulated data sets, whose code says nothing of whom they share: code to population."""
    cards = [find_card(name, paradigm=choices["paradigm"]) for name in choices["data"]["dataset"]]
    simulated = [card for card in cards if card.simulated]
    codes = [str(open_dataset(card).code) for card in simulated]
    return {code: population(card, code) for code, card in zip(codes, simulated, strict=True)}
