"""A person's choices for training denoisers, checked before anything loads.

Where they are written, and which place wins, is as in `neurodecode.experiment.choices`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from neurodecode.artifacts.bank import KINDS, Bank, Recipe
from neurodecode.artifacts.mixing import Convention
from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.core.options import check_needed, check_options, keywords
from neurodecode.core.places import shared_folder
from neurodecode.experiment.banks import BANKS
from neurodecode.experiment.choices import (
    Schema,
    Tree,
    as_list,
    check_once,
    merge,
    own_choices,
    read_pipeline,
)
from neurodecode.models import DENOISERS

PLAIN = ("bank", "mix", "evaluation", "train")
REFUSED = {
    name: f"--{name}"
    for name in ("protocol", "events", "align", "clean", "metric", "against", "jobs", "mode")
} | {
    "start": "--from",
    "online_ready": "--online-ready",
    "scheduler": "--scheduler",
    "folds_together": "--folds-together",
}
"""Flags of `neurodecode fit` that say nothing of denoisers."""


def choose_mix(
    bank: Bank,
    n_times: int,
    *,
    snr: tuple[float, float],
    snr_convention: Convention,
    shares: Mapping[str, float],
    n_chans: tuple[int, int] = (8, 24),
    pairing: Literal["people", "instant"] = "people",
) -> Recipe:
    """The options of ``[mix]``, as a recipe for a bank and a net.

    Parameters
    ----------
    bank
        Sources; a montage has no more channels than they do.
    n_times
        Samples of the net's window.
    snr
        Lowest and highest ratio of brain to artifact while training, dB.
    snr_convention
        Of every decibel of the run: "power", or "eegdenoisenet", which counts amplitudes.
    shares
        How often "none", "eog", "emg" and "both" are drawn.
    n_chans
        Fewest and most channels of a montage.
    pairing
        "people" mixes anybody's artifacts; "instant" keeps those of the same moment, as ART does.
    """
    most = bank.brains[0].n_chans
    return Recipe(
        convention=snr_convention,
        snr=(float(snr[0]), float(snr[1])),
        shares=dict(shares),
        n_times=n_times,
        n_chans=(min(n_chans[0], most), min(n_chans[1], most)),
        pairing=pairing,
    )


def choose_evaluation(
    *,
    seeds: int | Sequence[int] = 1,
    snr: Sequence[float] = (-7.0, -4.0, -1.0, 2.0),
    n_windows: int = 8,
) -> None:
    """The options of ``[evaluation]``.

    Parameters
    ----------
    seeds
        How many (0, 1, ...), or which; each trains every net anew.
    snr
        Ratios at which every net is tested, dB in the convention of ``[mix]``.
    n_windows
        For each test person, kind of artifact and ratio.
    """


def _builder_of(section: str) -> Callable[..., Any]:
    if section == "train":
        from neurodecode.training.denoise import fit_denoiser  # here: it takes torch

        return fit_denoiser
    builders: dict[str, Callable[..., Any]] = {
        "bank": BANKS["simulated"],
        "mix": choose_mix,
        "evaluation": choose_evaluation,
    }
    return builders[section]


LEAST = {
    "n_people": (3, "some are trained on, others choose the weights, others are tested: 3 or more"),
    "n_blocks": (3, "some are trained on, others choose the weights, others are tested: 3 or more"),
    "duration": (2.0, "a window has 2 s, that of art:paper 4 s"),
}
"""Of the options of ``[bank]``: the least, and why."""

DENOISING = Schema(PLAIN, (*PLAIN, "model"), _builder_of)


def refuse_flags(given: Mapping[str, Any]) -> None:
    """Refuse flags that say nothing of denoisers.

    Raises
    ------
    ConfigError
        Naming them.
    """
    useless = [flag for name, flag in REFUSED.items() if given.get(name) not in (None, False)]
    if useless:
        raise ConfigError(
            f"--paradigm denoise trains on mixtures of brains and artifacts. Leave out what is for "
            f"decoders: {', '.join(useless)}."
        )


def resolve_denoise(
    *,
    pipeline: Path | None = None,
    sets: Iterable[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> Tree:
    """Every choice of a run that trains denoisers, with the defaults filled in.

    Parameters
    ----------
    pipeline, sets, flags
        As for `neurodecode.experiment.choices.resolve`.

    Raises
    ------
    ConfigError
        For anything that does not exist or has the wrong type; nothing has been loaded yet.
    """
    written = own_choices(pipeline, sets, flags or {}, DENOISING)
    written["paradigm"] = "denoise"
    defaults = read_pipeline(shared_folder("pipelines") / "denoise.toml", DENOISING)
    bank = written.setdefault("bank", {})
    if "dataset" in bank:
        bank.setdefault("kind", "ica")
        if isinstance(bank["dataset"], list) and len(bank["dataset"]) == 1:
            bank["dataset"] = bank["dataset"][0]
    if bank.get("kind", defaults["bank"]["kind"]) != defaults["bank"]["kind"]:
        defaults["bank"] = {}
    _check_decibels(written)
    choices = merge(defaults, written)
    _check(choices)
    for section in PLAIN[:3]:
        builder = BANKS[choices["bank"]["kind"]] if section == "bank" else _builder_of(section)
        for name, parameter in keywords(builder).items():
            if parameter.default is not parameter.empty:
                choices[section].setdefault(name, parameter.default)
    for section in ("train", "model"):
        choices.setdefault(section, {})
    seeds = choices["evaluation"]["seeds"]
    choices["evaluation"]["seeds"] = list(range(seeds)) if isinstance(seeds, int) else seeds
    return choices


def _check_decibels(written: Mapping[str, Any]) -> None:
    """Refuse decibels that somebody wrote without saying which."""
    for section in ("mix", "evaluation"):
        if "snr" in written.get(section, {}) and "snr_convention" not in written.get("mix", {}):
            raise ConfigError(
                f"{section}.snr is in decibels, and does not say which. Write "
                f"mix.snr_convention = 'power', or 'eegdenoisenet' for its decibels of amplitude, "
                f"which are twice as many."
            )


def _check(choices: Tree) -> None:
    names = choices["models"] = as_list(choices["models"])
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"models = {names} names no denoiser. Name one: --model tinyconv.")
    check_once("models", names)
    kind = choices["bank"].get("kind")
    if kind not in BANKS:
        raise UnknownName("kind of [bank]", str(kind), BANKS)
    options = {name: value for name, value in choices["bank"].items() if name != "kind"}
    check_options(BANKS[kind], options, where=f"[bank] of kind '{kind}':")
    check_needed(BANKS[kind], options, where="bank")
    _check_bank(options)
    for section in PLAIN[1:]:
        check_options(_builder_of(section), choices.get(section, {}), where=f"[{section}]")
    check_needed(choose_mix, choices["mix"], where="mix")
    _check_mix(choices["mix"], kind)
    _check_evaluation(choices["evaluation"])
    _check_denoisers(choices, names)
    train = choices.get("train", {})
    if device := train.get("device"):
        from neurodecode.training.net import choose_device  # here: it takes torch

        choose_device(device)
    for name in ("steps", "batch_size", "validate_every"):
        if train.get(name, 1) < 1:
            raise ConfigError(f"train.{name} = {train[name]} must be 1 or more.")
    for name in ("lr", "weight_decay", "adversarial"):
        if not 0 <= train.get(name, 0) < math.inf:
            raise ConfigError(f"train.{name} = {train[name]} must be a number of 0 or more.")


def _check_bank(bank: Mapping[str, Any]) -> None:
    for name, (least, why) in LEAST.items():
        if not bank.get(name, least) >= least:
            raise ConfigError(f"bank.{name} = {bank[name]:g} is too few: {why}.")


def _check_denoisers(choices: Tree, names: Sequence[str]) -> None:
    for name, given in choices.get("model", {}).items():
        if name not in names:
            raise UnknownName("denoiser of this run", name, names)
        if not isinstance(given, dict):
            raise ConfigError(f"model.{name} = {given!r}: write model.NAME.OPTION = value.")
    for name in names:
        DENOISERS.find(name)
        check_options(
            DENOISERS.get(name), choices.get("model", {}).get(name, {}), where=f"[model.{name}]"
        )


def _check_mix(mix: Mapping[str, Any], kind: str) -> None:
    for name in mix["shares"]:
        if name not in KINDS:
            raise UnknownName("kind of artifact in [mix.shares]", name, KINDS)
    if min(mix["shares"].values(), default=0) < 0 or not sum(mix["shares"].values()):
        raise ConfigError("[mix.shares] must be 0 or more, and not all of them 0.")
    for name in ("snr", "n_chans"):
        if name in mix and mix[name][0] > mix[name][1]:
            raise ConfigError(
                f"mix.{name} = {list(mix[name])} runs backwards. Write the lower one first."
            )
    if mix.get("n_chans", (1,))[0] < 1:
        raise ConfigError(f"mix.n_chans = {list(mix['n_chans'])}: a montage has a channel or more.")
    if mix.get("pairing") == "instant" and kind != "ica":
        raise ConfigError(
            f"mix.pairing = 'instant' takes brain and artifact from one recording, and a bank of "
            f"kind '{kind}' has none. Leave it out, or set bank.kind to 'ica'."
        )


def _check_evaluation(evaluation: Mapping[str, Any]) -> None:
    seeds = evaluation.get("seeds", 1)
    if seeds == [] or min(as_list(seeds)) < (1 if isinstance(seeds, int) else 0):
        raise ConfigError(
            f"evaluation.seeds = {seeds} is no number of seeds, nor a list of them. Give one or "
            f"more: --seeds 1."
        )
    if not evaluation.get("snr", [0]) or evaluation.get("n_windows", 1) < 1:
        raise ConfigError("evaluation.snr and evaluation.n_windows must not be empty. Test some.")
    check_once("evaluation.seeds", seeds)
    check_once("evaluation.snr", evaluation.get("snr"))
