"""A person's choices, from all the places where they are written, checked before anything loads.

Later places win: the defaults in the code, the paradigm's pipeline file, the dataset's card,
``-c pipeline.toml``, ``--set a.b=c``, then the command line's own flags. The signatures of the
functions that take the choices are the schema.
"""

import ast
import copy
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurodecode.alignment import ALIGNERS
from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.core.options import check_options, keywords, read_toml
from neurodecode.core.places import shared_folder
from neurodecode.epochs.cut import cut_epochs
from neurodecode.evaluation.metrics import check_metric
from neurodecode.evaluation.splits import Order, Protocol
from neurodecode.models import MODELS
from neurodecode.preprocess.chain import preprocess
from neurodecode.recordings.cards import PARADIGMS, Card, find_card

Tree = dict[str, Any]

SECTIONS = ("data", "preprocess", "epochs", "evaluation", "train", "model")


def choose_data(
    *,
    dataset: str | Sequence[str],
    subjects: Sequence[int | str] | None = None,
    events: Sequence[str] | None = None,
    data_dir: str | None = None,
) -> None:
    """The options of ``[data]``.

    Parameters
    ----------
    dataset
        Cards, paths to cards, MOABB classes, or ``bids:FOLDER``.
    subjects
        Those to use; by default all.
    events
        Class names, in the order of the columns of probabilities; by default the card's.
    data_dir
        Folder where the recordings lie; by default where MNE and MOABB keep them.
    """


def choose_evaluation(
    *,
    protocol: Protocol = "cross-subject",
    n_folds: int | None = None,
    order: Order = "shuffled",
    align: Sequence[str] = ("none",),
    seeds: int | Sequence[int] = 1,
    metric: str = "balanced_accuracy",
    shuffle_labels: bool = False,
) -> None:
    """The options of ``[evaluation]``.

    Parameters
    ----------
    protocol, n_folds, order
        See `neurodecode.evaluation.splits.make_folds`.
    align
        Alignments of the test subject to compare: "none", or an aligner and what it may see,
        "euclidean:causal" or "euclidean:batch".
    seeds
        How many (0, 1, ...), or which. Decoders without randomness run once.
    metric
        One of `neurodecode.evaluation.metrics.METRICS`.
    shuffle_labels
        Train on labels shuffled within each subject: a control that must score at chance.
    """


def builder_of(section: str) -> Callable[..., Any]:
    """The function whose keyword-only parameters are the options of a section."""
    if section == "train":
        from neurodecode.training.net import fit_net  # here: it takes torch, seconds to import

        return fit_net
    builders: dict[str, Callable[..., Any]] = {
        "data": choose_data,
        "preprocess": preprocess,
        "epochs": cut_epochs,
        "evaluation": choose_evaluation,
    }
    return builders[section]


def resolve(
    paradigm: str,
    *,
    pipeline: Path | None = None,
    sets: Iterable[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> Tree:
    """Every choice of a run, with the defaults filled in.

    Parameters
    ----------
    paradigm
        One of `PARADIGMS`; its pipeline file gives the defaults.
    pipeline
        A pipeline file of the user.
    sets
        ``section.option=value``, the value as in TOML; a bare word is a text.
    flags
        ``section.option`` to value, from the command line; None is passed over.

    Returns
    -------
    dict
        ``paradigm``, ``models`` (names), and a table for each of `SECTIONS`.

    Raises
    ------
    ConfigError
        For anything that does not exist or has the wrong type; nothing has been loaded yet.
    """
    written = _merge({}, _own_choices(pipeline, sets, flags or {}))
    paradigm = written.setdefault("paradigm", paradigm)
    if paradigm not in PARADIGMS:
        raise UnknownName("paradigm", str(paradigm), PARADIGMS)
    defaults = read_pipeline(shared_folder("pipelines") / f"{paradigm}.toml")
    check_options(choose_data, written.get("data", {}), where="[data]")
    names = written.get("data", {}).get("dataset", defaults["data"]["dataset"])
    cards = [find_card(name, paradigm=paradigm) for name in _as_list(names)]
    for card in cards:
        _check_paradigm(card, paradigm)
        if "dataset" in written.get("data", {}):
            _drop_card_specific(defaults)
        _merge(defaults, _card_choices(card))
    choices = _merge(defaults, written)
    choices["data"]["dataset"] = _as_list(choices["data"]["dataset"])
    _check(choices)
    return _fill(choices)


def read_pipeline(path: Path) -> Tree:
    """A pipeline file as a tree.

    Raises
    ------
    ConfigError
        If it cannot be read, is not TOML, or has an unknown section.
    """
    tree = read_toml(path, kind="pipeline file")
    _check_sections(tree, [*SECTIONS, "paradigm", "models"], where=str(path))
    return tree


def _check_sections(tree: Mapping[str, Any], known: Sequence[str], *, where: str) -> None:
    for name, value in tree.items():
        if name not in known:
            raise UnknownName(f"section of {where}", name, known)
        if name in SECTIONS and not isinstance(value, Mapping):
            raise ConfigError(
                f"{where}: {name} = {value!r} is a value, but {name} is a section. Write "
                f"[{name}] on a line of its own, and its options below."
            )


def _own_choices(pipeline: Path | None, sets: Iterable[str], flags: Mapping[str, Any]) -> Tree:
    tree = read_pipeline(pipeline) if pipeline else {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals or not value.strip():
            raise ConfigError(f"--set {text} lacks a value: write --set section.option=value.")
        _put(tree, name.strip(), parse_value(value.strip()))
    for name, value in flags.items():
        if value is not None:
            _put(tree, name, value)
    return tree


def parse_value(text: str) -> Any:
    """A value as TOML writes it; Python's spelling of lists, and bare words, are taken too.

    A shell takes the quotes out of ``--set preprocess.drop=['Fp1','Fp2']``: a list of bare words
    is one of texts.
    """
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        if text.startswith("[") and text.endswith("]"):
            return [parse_value(word.strip()) for word in text[1:-1].split(",")]
        return text
    return list(value) if isinstance(value, tuple) else value


def _put(tree: Tree, dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    if path and path[0] not in SECTIONS:
        raise UnknownName("section", path[0], SECTIONS)
    if not path and last not in ("models", "paradigm"):
        for section in SECTIONS[:-1]:
            if last in keywords(builder_of(section)):
                raise ConfigError(
                    f"--set {last}=... does not say of what. Write --set {section}.{last}=..."
                )
        raise UnknownName("option", last, [f"{name}.OPTION" for name in SECTIONS])
    for word in path:
        tree = tree.setdefault(word, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{dotted}: {word} is a value, not a table of options.")
    tree[last] = value


def _merge(into: Tree, other: Mapping[str, Any]) -> Tree:
    for name, value in other.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = copy.deepcopy(dict(value) if isinstance(value, Mapping) else value)
    return into


def _card_choices(card: Card) -> Tree:
    _check_sections(card.choices, SECTIONS, where=f"[choices] of the card {card.name}")
    choices: Tree = copy.deepcopy(dict(card.choices))
    if card.events:
        choices.setdefault("data", {})["events"] = list(card.events)
    return choices


def _drop_card_specific(defaults: Tree) -> None:
    """Classes that the paradigm's file names are those of its own data set."""
    defaults.get("data", {}).pop("events", None)


def _check_paradigm(card: Card, paradigm: str) -> None:
    if card.paradigm != paradigm:
        raise ConfigError(
            f"The data set {card.name} is for --paradigm {card.paradigm}, not {paradigm}."
        )


def _check(choices: Tree) -> None:
    models = choices["models"] = _as_list(choices["models"])
    if not models or not all(isinstance(name, str) for name in models):
        raise ConfigError(f"models = {models} names no decoder. Name one: --model csp_lda.")
    for section in SECTIONS[:-1]:
        if choices.get(section):
            check_options(builder_of(section), choices[section], where=f"[{section}]")
    _check_models(choices, models)
    _check_evaluation(choices["evaluation"])
    if device := choices.get("train", {}).get("device"):
        from neurodecode.training.net import choose_device  # here: it takes torch

        choose_device(device)
    _check_once("models", models)
    for section, names in {
        "data": ("dataset", "subjects", "events"),
        "evaluation": ("align", "seeds"),
    }.items():
        for name in names:
            _check_once(f"{section}.{name}", choices[section].get(name))


def _check_models(choices: Tree, models: Sequence[str]) -> None:
    for name, options in choices.get("model", {}).items():
        if not isinstance(options, dict):
            raise ConfigError(f"model.{name} = {options!r}: write model.NAME.OPTION = value.")
        if name not in models:
            raise UnknownName("model of this run", name, models)
    for name in models:
        MODELS.find(name)  # knows the name without importing what it names
        if ":" in name:
            MODELS.get(name)  # only the part itself knows whether it has variants
        if options := choices.get("model", {}).get(name):
            check_options(MODELS.get(name), options, where=f"[model.{name}]")


def _check_evaluation(evaluation: Mapping[str, Any]) -> None:
    check_metric(evaluation.get("metric", "balanced_accuracy"))
    check_alignments(_as_list(evaluation.get("align", ["none"])))
    n_folds = evaluation.get("n_folds")
    if n_folds is not None and n_folds < 2:
        raise ConfigError(
            f"evaluation.n_folds = {n_folds} leaves nothing to train on or to test. Give 2 or "
            f"more, or leave it out."
        )
    seeds = evaluation.get("seeds", 1)
    if seeds == [] or min(_as_list(seeds)) < (1 if isinstance(seeds, int) else 0):
        raise ConfigError(
            f"evaluation.seeds = {seeds} is no number of seeds, nor a list of them. Give one or "
            f"more: --seeds 1."
        )


def _check_once(name: str, values: Any) -> None:
    """Refuse a list that names something twice: its windows would count twice."""
    if isinstance(values, list | tuple):
        words = [str(value) for value in values]
        twice = next((word for word in words if words.count(word) > 1), None)
        if twice is not None:
            raise ConfigError(f"{name} names '{twice}' twice. Name it once.")


def check_alignments(align: Sequence[str]) -> None:
    """Refuse an alignment that is not "none" or ``ALIGNER:MODE``.

    Raises
    ------
    ConfigError
        Saying what it must look like.
    """
    if not align:
        raise ConfigError("evaluation.align is empty. Write --align none for no alignment.")
    for word in align:
        name, _, mode = word.partition(":")
        if word == "none":
            continue
        ALIGNERS.find(name)
        if mode not in ("causal", "batch"):
            raise ConfigError(
                f"align = '{word}' must say what the aligner may see of a test subject: "
                f"'{name}:causal' (windows up to the one decoded) or '{name}:batch' (all of them, "
                f"without labels)."
            )


def _fill(choices: Tree) -> Tree:
    """Write the defaults out, so that the stored choices are whole."""
    for section in ("data", "preprocess", "epochs", "evaluation"):
        table = choices.setdefault(section, {})
        for name, parameter in keywords(builder_of(section)).items():
            if name not in table and parameter.default is not parameter.empty:
                table[name] = parameter.default
    choices.setdefault("train", {})
    choices.setdefault("model", {})
    return choices


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return list(value) if isinstance(value, list | tuple) else [value]


def to_toml(choices: Tree) -> str:
    """The choices as a pipeline file that repeats the run; what is left out stays out."""
    import tomli_w

    def tidy(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: tidy(v) for k, v in value.items() if v is not None}
        if isinstance(value, list | tuple):
            return [tidy(v) for v in value if v is not None]
        return value

    return tomli_w.dumps(tidy(choices))
