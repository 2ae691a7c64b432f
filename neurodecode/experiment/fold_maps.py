"""Maps of one fold, with what their checks found: the work of one process."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from neurodecode.core.seeding import generator
from neurodecode.explain import EXPLAINERS
from neurodecode.explain.faithful import Deletion
from neurodecode.explain.random_weights import cascade, is_net, settled, with_random_weights
from neurodecode.explain.reliance import components, parts, reliance
from neurodecode.explain.similarity import similarity
from neurodecode.explain.truth import against_truth
from neurodecode.explain.windows import Maps, Windows
from neurodecode.nn.threads import torch_threads
from neurodecode.recordings.synthetic import SourceTruth
from neurodecode.results import maps as kept
from neurodecode.results.maps import FoldMaps
from neurodecode.results.provenance import explain_digest
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

Document = dict[str, Any]
Array = NDArray[np.float32]

N_COMPARED = 32
"""Windows of a fold on which maps are compared with those of decoders that learned nothing."""
N_RANDOM = 2
"""Nets with random weights that a fold's maps are compared with, beside its own start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much is done.

    Attributes
    ----------
    methods
        Of `EXPLAINERS`.
    n_windows
        Test windows of a fold, spread over its classes.
    n_shuffled
        Folds of a decoder that are fitted once more to shuffled labels.
    cleaner
        What finds artifacts, see `neurodecode.evaluation.cleaning`, or "none".
    """

    methods: tuple[str, ...]
    n_windows: int = 64
    n_shuffled: int = 3
    cleaner: str = "ica:own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """What a worker needs to explain one fold."""

    run: Run
    row: ResultRow
    windows: Windows
    axes: Document
    sources: tuple[SourceTruth, ...]
    shuffled: tuple[Array, NDArray[np.int64], NDArray[np.str_]] | None  # to fit once more
    cascade: bool
    artifacts: Array | None  # of the test windows, and what these were aligned by
    no_artifacts: str  # why not, if so
    whiteners: NDArray[np.float64] | None
    options: Options


def explain_fold(fold: Fold) -> str:
    """Make and keep the maps of one fold: what it is called.

    In one thread: how many there are changes the order of sums, and so the last digits.
    """
    row = fold.row
    with threadpool_limits(1, user_api="blas"), torch_threads(1):
        decoder = checkpoint.load(fold.run.checkpoint_file(row.key))
        windows = fold.windows
        found, seconds = {}, {}
        for name in fold.options.methods:
            start = time.perf_counter()
            maps = EXPLAINERS.get(name)(decoder, windows)
            seconds[name] = time.perf_counter() - start
            if maps is not None:
                found[name] = maps
        checks = _checks(fold, decoder, found)
        rides_on = _reliance(fold, decoder)
    tensors = {
        f"{name}/{kind}": value
        for name, maps in found.items()
        for kind, value in maps.kinds.items()
    }
    named = ("key", "model", "align", "clean", "fold", "subject", "session", "seed", "score")
    facts: Document = {
        **{name: getattr(row, name) for name in named},
        **fold.axes,
        "code": explain_digest(),
        "options": asdict(fold.options),
        "n_windows": len(windows.x),
        "methods": {
            name: {
                "unit": maps.unit,
                "signed": maps.signed,
                "facts": maps.facts,
                "seconds": seconds[name],
                "summary": EXPLAINERS.summary(name),
            }
            for name, maps in found.items()
        },
        "checks": checks,
        "reliance": rides_on,
        "no_components": fold.no_artifacts,
        "truth_bands": {source.name: list(source.band) for source in fold.sources},
    }
    kept.write_maps(fold.run, FoldMaps(facts=facts, tensors=tensors))
    return f"{row.model}, {row.fold}"


def _reliance(fold: Fold, decoder: Decoder) -> list[Document]:
    """How much of the decisions of a fold rides on what artifacts dominate."""
    windows = fold.windows
    if len(windows.x) < 2:
        return []
    places = (
        None if fold.axes["positions"] is None else np.asarray(fold.axes["positions"], dtype=float)
    )
    lines = reliance(decoder, windows, parts(windows.axes, places))
    if fold.artifacts is not None:
        lines.append(components(decoder, windows, fold.artifacts, fold.whiteners))
    return lines


def _checks(fold: Fold, decoder: Decoder, found: Mapping[str, Maps]) -> Document:
    """What the maps of a fold are when nothing was learned, and what the truth says of them."""
    windows, row = fold.windows, fold.row
    checks: Document = {name: {} for name in found}
    deletion = Deletion(decoder, windows, generator(row.seed, "deletion", row.fold))
    for name, maps in found.items():
        curves = deletion.curves(maps)
        if curves is not None:
            checks[name]["faithful"] = curves.gain
            checks[name]["curves"] = {k: v.tolist() for k, v in asdict(curves).items()}
        if fold.sources:
            where = np.asarray(fold.axes["positions"], dtype=float)
            checks[name]["truth"] = against_truth(maps, windows.axes, where, fold.sources)
    others = _learned_nothing(fold, decoder)
    if not others:
        return checks
    pick = spread_over(windows.y, N_COMPARED)
    few = replace(windows, x=windows.x[pick], y=windows.y[pick])
    own = {name: EXPLAINERS.get(name)(decoder, few) for name in found}
    for name, maps in own.items():
        for what, decoders in others.items():
            alike = [_alike(name, maps, other, few) for other in decoders]
            known = [value for value in alike if np.isfinite(value)]
            checks[name][what] = float(np.mean(known)) if known else None
    if is_net(decoder):
        start = with_random_weights(decoder, None, windows.x_train)
        alone = settled(decoder, windows.x_train)
        for name in found:
            maps = EXPLAINERS.get(name)(alone, few)
            checks[name]["own_start"] = _alike(name, maps, start, few)
    if is_net(decoder) and fold.cascade:
        _add_cascade(checks, decoder, own, few)
    return checks


def _learned_nothing(fold: Fold, decoder: Decoder) -> dict[str, list[Decoder]]:
    """Decoders like this one that learned nothing of the task, by the name of the check."""
    others: dict[str, list[Decoder]] = {}
    x_train = fold.windows.x_train
    if is_net(decoder):
        others["random"] = [with_random_weights(decoder, i, x_train) for i in range(N_RANDOM)]
    if fold.shuffled is not None:
        x, y, who = fold.shuffled
        others["shuffled"] = [Decoder(**decoder.get_params(deep=False)).fit(x, y, groups=who)]
    return others


def _alike(name: str, maps: Maps, other: Decoder, windows: Windows) -> float:
    again = EXPLAINERS.get(name)(other, windows)
    return float("nan") if again is None else similarity(maps, again)


def _add_cascade(
    checks: Document, decoder: Decoder, own: Mapping[str, Maps], windows: Windows
) -> None:
    for layer, net in cascade(decoder, windows.x_train):
        for name, maps in own.items():
            course = checks[name].setdefault("cascade", {"layers": [], "similarity": []})
            course["layers"].append(layer)
            course["similarity"].append(_alike(name, maps, net, windows))


def spread_over(y: NDArray[np.integer], n: int) -> NDArray[np.intp]:
    """Indices of about `n` windows, as many of each class, spread from first to last."""
    classes = np.unique(y)
    each = max(1, n // len(classes))
    found = []
    for c in classes:
        own = np.flatnonzero(y == c)
        found.append(own[np.linspace(0, len(own) - 1, min(each, len(own))).round().astype(int)])
    return np.sort(np.concatenate(found))
