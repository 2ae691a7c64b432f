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
from typing import Any, Literal, NamedTuple

from neurodecode.alignment import ALIGNERS
from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.contaminate import contaminate
from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.core.options import check_needed, check_options, keywords, read_toml
from neurodecode.core.places import pipeline_names, shared_folder
from neurodecode.epochs.cut import cut_epochs
from neurodecode.evaluation.cleaning import CleanWord
from neurodecode.evaluation.metrics import check_metric
from neurodecode.evaluation.splits import PSEUDO_ONLINE, Order, Protocol, Split
from neurodecode.experiment.live_choices import check_online, choose_online, is_live, make_live
from neurodecode.experiment.start import choose_pretrained, expand_modes
from neurodecode.models import BACKBONES, MODELS, split_mode
from neurodecode.preprocess.chain import preprocess
from neurodecode.recordings.cards import PARADIGMS, Card, find_card

Tree = dict[str, Any]

PLAIN = (
    "data", "preprocess", "contaminate", "epochs", "evaluation", "online", "train", "pretrained",
)  # fmt: skip
"""Sections of options; in the others, options stand under the name of a part."""

SECTIONS = (*PLAIN, "model", "clean")


def choose_data(
    *,
    dataset: str | Sequence[str],
    subjects: Sequence[int | str] | None = None,
    events: Sequence[str] | None = None,
    data_dir: str | None = None,
    montage: Literal["same", "any"] = "same",
    cache: bool = True,
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
    montage
        Whether recordings must have the "same" channels, or "any": channels that a recording lacks
        are absent (not a number), and channels are then numbered. Not every decoder takes that.
    cache
        Whether preprocessed windows are kept on disk for other runs, under the folder named by
        NEURODECODE_CACHE or the user's cache folder. `neurodecode doctor` says where they are.
    """


def choose_evaluation(
    *,
    protocol: Protocol = "cross-subject",
    n_folds: int | None = None,
    order: Order = "shuffled",
    align: Sequence[str] = ("none",),
    clean: Sequence[str] = ("none",),
    seeds: int | Sequence[int] = 1,
    metric: str = "balanced_accuracy",
    threshold: float | None = None,
    smoothing: float | None = None,
    shuffle_labels: bool = False,
    online_ready: bool = False,
    split: Split | None = None,
    folds_together: int = 0,
) -> None:
    """The options of ``[evaluation]``.

    Parameters
    ----------
    protocol, n_folds, order
        See `neurodecode.evaluation.splits.make_folds`.
    align
        Alignments of the test subject to compare: "none", or an aligner and what it may see,
        "euclidean:causal" or "euclidean:batch".
    clean
        Artifact removal to compare: "none", or a cleaner fitted to the training recordings,
        "asr"; "asr:own" fits it to each recording itself, and ":removed" behind either decodes
        what was removed.
    seeds
        How many (0, 1, ...), or which. Decoders without randomness run once.
    metric
        One of `neurodecode.evaluation.metrics.METRICS`; where windows slide, or of `EVENT_METRICS`;
        with "pseudo-online", of `LIVE_METRICS`.
    threshold
        Where windows slide: least probability of an alarm; by default chosen on the training side.
    smoothing
        Where windows slide: seconds over whose windows probabilities are averaged; by default
        chosen on the training side.
    shuffle_labels
        Train on labels shuffled within each subject: a control that must score at chance.
    online_ready
        Take causal steps only, as the live loop has them, so that the score is the one to expect
        there; and fit each decoder once more to everybody, for use live. "pseudo-online" does so
        too.
    split
        With "pseudo-online": who is left out, as the protocol of that name does;
        "cross-subject" by default.
    folds_together
        How many folds and seeds of a net are trained in one pass, at most; 1 trains each alone. 0
        leaves it to the device: many on a GPU, where it is far faster, and one on a CPU, where it
        is not.
    """


def builder_of(section: str) -> Callable[..., Any]:
    """The function whose keyword-only parameters are the options of a section."""
    if section == "train":
        from neurodecode.training.net import fit_net  # here: it takes torch, seconds to import

        return fit_net
    builders: dict[str, Callable[..., Any]] = {
        "data": choose_data,
        "preprocess": preprocess,
        "contaminate": contaminate,
        "epochs": cut_epochs,
        "evaluation": choose_evaluation,
        "online": choose_online,
        "pretrained": choose_pretrained,
    }
    return builders[section]


class Schema(NamedTuple):
    """Sections of a pipeline file, and the functions that take their options."""

    plain: tuple[str, ...]  # of options
    sections: tuple[str, ...]  # those, and sections with a table of options for each named part
    builder_of: Callable[[str], Callable[..., Any]]


DECODING = Schema(PLAIN, SECTIONS, builder_of)


def paradigm_of(paradigm: str, *, pipeline: Path | None = None, sets: Iterable[str] = ()) -> str:
    """The paradigm that is meant: a pipeline file or ``--set`` may name another."""
    written = read_toml(pipeline, kind="pipeline file") if pipeline else {}
    named = [text.partition("=")[2].strip() for text in sets if text.startswith("paradigm=")]
    return named[-1] if named else str(written.get("paradigm", paradigm))


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
    written = merge({}, own_choices(pipeline, sets, flags or {}))
    paradigm = written.setdefault("paradigm", paradigm)
    if paradigm == "pretrain":
        raise ConfigError("That pipeline is for `neurodecode pretrain`, which reads no labels.")
    if paradigm not in PARADIGMS:
        raise UnknownName("paradigm", str(paradigm), pipeline_names())
    defaults = read_pipeline(shared_folder("pipelines") / f"{paradigm}.toml")
    check_options(choose_data, written.get("data", {}), where="[data]")
    names = written.get("data", {}).get("dataset", defaults["data"]["dataset"])
    cards = [find_card(name, paradigm=paradigm) for name in as_list(names)]
    for card in cards:
        _check_paradigm(card, paradigm)
        if "dataset" in written.get("data", {}):
            _drop_card_specific(defaults)
        merge(defaults, _card_choices(card))
    choices = merge(defaults, written)
    choices["data"]["dataset"] = as_list(choices["data"]["dataset"])
    choices["models"] = as_list(choices["models"])
    check_options(choose_pretrained, choices.get("pretrained", {}), where="[pretrained]")
    check_options(choose_evaluation, choices["evaluation"], where="[evaluation]")
    make_live(choices, written)
    _check_names(choices["models"])
    expand_modes(choices, named="models" in written)
    _check(choices)
    return _fill(choices)


def read_pipeline(path: Path, schema: Schema = DECODING) -> Tree:
    """A pipeline file as a tree.

    Raises
    ------
    ConfigError
        If it cannot be read, is not TOML, or has an unknown section.
    """
    tree = read_toml(path, kind="pipeline file")
    _check_sections(tree, schema.sections, ("paradigm", "models"), where=str(path))
    return tree


def _check_sections(
    tree: Mapping[str, Any], sections: Sequence[str], others: Sequence[str] = (), *, where: str
) -> None:
    for name, value in tree.items():
        if name not in (*sections, *others):
            raise UnknownName(f"section of {where}", name, (*sections, *others))
        if name in sections and not isinstance(value, Mapping):
            raise ConfigError(
                f"{where}: {name} = {value!r} is a value, but {name} is a section. Write "
                f"[{name}] on a line of its own, and its options below."
            )


def own_choices(
    pipeline: Path | None,
    sets: Iterable[str],
    flags: Mapping[str, Any],
    schema: Schema = DECODING,
) -> Tree:
    """What a person wrote, in a pipeline file, after ``--set`` and in flags, unchecked."""
    tree = read_pipeline(pipeline, schema) if pipeline else {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals or not value.strip():
            raise ConfigError(f"--set {text} lacks a value: write --set section.option=value.")
        _put(tree, name.strip(), parse_value(value.strip()), schema)
    for name, value in flags.items():
        if value is not None:
            _put(tree, name, value, schema)
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


def _put(tree: Tree, dotted: str, value: Any, schema: Schema) -> None:
    *path, last = dotted.split(".")
    if path and path[0] not in schema.sections:
        raise UnknownName("section", path[0], schema.sections)
    if not path and last not in ("models", "paradigm"):
        for section in schema.plain:
            if last in keywords(schema.builder_of(section)):
                raise ConfigError(
                    f"--set {last}=... does not say of what. Write --set {section}.{last}=..."
                )
        raise UnknownName("option", last, [f"{name}.OPTION" for name in schema.sections])
    for word in path:
        tree = tree.setdefault(word, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{dotted}: {word} is a value, not a table of options.")
    tree[last] = value


def merge(into: Tree, other: Mapping[str, Any]) -> Tree:
    """The first with everything that the second says; the first is changed in place."""
    for name, value in other.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            merge(into[name], value)
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
    models = choices["models"]
    for section in PLAIN:
        if choices.get(section):
            check_options(builder_of(section), choices[section], where=f"[{section}]")
    _check_models(choices, models)
    _check_evaluation(choices["evaluation"], slide=choices.get("epochs", {}).get("slide", False))
    _check_cleaners(choices)
    _check_contaminate(choices.get("contaminate", {}))
    if choices.get("online"):
        check_online(choices["online"])
    if device := choices.get("train", {}).get("device"):
        from neurodecode.training.net import choose_device  # here: it takes torch

        choose_device(device)
    _check_training(choices.get("train", {}))
    check_once("models", models)
    for section, names in {
        "data": ("dataset", "subjects", "events"),
        "evaluation": ("align", "clean", "seeds"),
    }.items():
        for name in names:
            check_once(f"{section}.{name}", choices[section].get(name))


def _check_names(models: Sequence[Any]) -> None:
    if not models or not all(isinstance(name, str) for name in models):
        raise ConfigError(f"models = {models} names no decoder. Name one: --model csp_lda.")


def _check_training(train: Mapping[str, Any]) -> None:
    """Refuse parts of the training that do not exist, before anything is read."""
    if not {"augment", "penalties", "scheme"} & set(train):
        return
    from neurodecode.training.augment import choose_augmentations  # here: they take torch
    from neurodecode.training.penalties import choose_penalties
    from neurodecode.training.schemes import choose_scheme

    choose_augmentations(train.get("augment", ()))
    choose_penalties(train.get("penalties", ()))
    choose_scheme(train.get("scheme", "direct"))


def _check_models(choices: Tree, models: Sequence[str]) -> None:
    for name, options in choices.get("model", {}).items():
        if not isinstance(options, dict):
            raise ConfigError(f"model.{name} = {options!r}: write model.NAME.OPTION = value.")
        if name not in [split_mode(word)[0] for word in models]:
            raise UnknownName("model of this run", name, models)
    for name, mode in map(split_mode, models):
        if mode != "scratch" and name not in BACKBONES.names():
            raise ConfigError(
                f"{name} has no backbone, so it cannot be {name}+{mode}. Drop +{mode}."
            )
        MODELS.find(name)  # knows the name without importing what it names
        if ":" in name:
            MODELS.get(name)  # only the part itself knows whether it has variants
        if options := choices.get("model", {}).get(name):
            check_options(MODELS.get(name), options, where=f"[model.{name}]")


def _check_cleaners(choices: Tree) -> None:
    words = as_list(choices["evaluation"].get("clean", ["none"]))
    if not words:
        raise ConfigError("evaluation.clean is empty. Write --clean none for no cleaning.")
    names = dict.fromkeys(CleanWord.parse(word).name for word in words)
    for name, options in choices.get("clean", {}).items():
        if not isinstance(options, dict):
            raise ConfigError(
                f"clean.{name} = {options!r}: write clean.NAME.OPTION = value, and which cleaners "
                f"to compare in evaluation.clean."
            )
        if name not in names:
            raise UnknownName("cleaner of this run", name, [n for n in names if n != "none"])
        if options:
            check_options(CLEANERS.get(name), options, where=f"[clean.{name}]")


def _check_contaminate(options: Mapping[str, Any]) -> None:
    if options:
        check_needed(contaminate, options, where="contaminate")


def _check_evaluation(evaluation: Mapping[str, Any], *, slide: bool) -> None:
    live = evaluation.get("protocol") == PSEUDO_ONLINE
    check_metric(evaluation.get("metric", "balanced_accuracy"), slide=slide, live=live)
    _check_alarms(evaluation, slide)
    check_alignments(as_list(evaluation.get("align", ["none"])))
    n_folds = evaluation.get("n_folds")
    if evaluation.get("folds_together", 0) < 0:
        raise ConfigError("evaluation.folds_together is a number of folds, or 0 for by device.")
    if n_folds is not None and n_folds < 2:
        raise ConfigError(
            f"evaluation.n_folds = {n_folds} leaves nothing to train on or to test. Give 2 or "
            f"more, or leave it out."
        )
    seeds = evaluation.get("seeds", 1)
    if seeds == [] or min(as_list(seeds)) < (1 if isinstance(seeds, int) else 0):
        raise ConfigError(
            f"evaluation.seeds = {seeds} is no number of seeds, nor a list of them. Give one or "
            f"more: --seeds 1."
        )


def _check_alarms(evaluation: Mapping[str, Any], slide: bool) -> None:
    threshold, smoothing = evaluation.get("threshold"), evaluation.get("smoothing")
    if not slide and (threshold, smoothing) != (None, None):
        name = "smoothing" if threshold is None else "threshold"
        raise ConfigError(
            f"evaluation.{name} is of alarms in recordings, and windows stand at events. Leave it "
            f"out, or give --set epochs.slide=true."
        )
    if threshold is not None and not 0 <= threshold <= 1:
        raise ConfigError(
            f"evaluation.threshold = {threshold} is no probability. Give one from 0 to 1, or leave "
            f"it out: it is then chosen on the training side."
        )
    if smoothing is not None and smoothing < 0:
        raise ConfigError(
            f"evaluation.smoothing = {smoothing} s is no time. Give seconds, 0 for none, or leave "
            f"it out: it is then chosen on the training side."
        )


def check_once(name: str, values: Any) -> None:
    """Refuse a list that names something twice: it would count twice.

    Raises
    ------
    ConfigError
        Naming it.
    """
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
    added = ["contaminate"] if choices.get("contaminate") else []
    added += ["online"] if is_live(choices) else []
    for section in ("data", "preprocess", "epochs", "evaluation", *added):
        table = choices.setdefault(section, {})
        for name, parameter in keywords(builder_of(section)).items():
            if name not in table and parameter.default is not parameter.empty:
                table[name] = parameter.default
    for section in ("contaminate", "train", "model", "clean", "pretrained"):
        choices.setdefault(section, {})
    return choices


def as_list(value: Any) -> list[Any]:
    """A list of what may be one thing, or several between commas."""
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
