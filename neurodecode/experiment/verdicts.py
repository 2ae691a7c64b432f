"""What all folds together say of each method and decoder: the summary of an explained run."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from neurodecode.explain.similarity import similarity
from neurodecode.explain.truth import mean_truth
from neurodecode.explain.verdict import judge
from neurodecode.explain.windows import Maps
from neurodecode.results import maps as kept
from neurodecode.results.maps import FoldMaps
from neurodecode.results.provenance import explain_digest
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run, load_rows
from neurodecode.results.summaries import PIPELINE, Pipeline, chance, interval, unit_scores

Document = dict[str, Any]


def summarise(run: Run, rows: Sequence[ResultRow]) -> Document:
    """Verdicts over all of these folds that have maps made by this code.

    Folds, sessions and seeds of a subject are averaged first, so that a subject counts once.
    """
    meta, table, code = run.meta(), load_rows([run]), explain_digest()
    read = (kept.read_maps(run, row.key) for row in rows)
    folds = [maps for maps in read if maps is not None and maps.facts.get("code") == code]
    first = folds[0].facts
    document: Document = {
        "run": run.id,
        "code": code,
        "command": f"neurodecode explain {run.id}",
        **{k: meta.get(k) for k in ("paradigm", "dataset", "protocol", "simulated", "metric")},
        **{k: first[k] for k in ("classes", "ch_names", "positions", "times", "freqs")},
        "n_windows": max(fold.facts["n_windows"] for fold in folds),
        "folds": len({fold.facts["fold"] for fold in folds}),
        "methods": [],
        "curves": [],
        "cascade": [],
        "reliance": [],
        "truth_bands": _truth_bands(folds),
        "no_components": next(filter(None, (f.facts.get("no_components") for f in folds)), ""),
    }
    own: dict[Pipeline, list[FoldMaps]] = {}
    for fold in folds:
        own.setdefault(fold.pipeline, []).append(fold)
    scores = unit_scores(table)
    for pipeline, several in own.items():
        mine = table[(table[PIPELINE] == list(pipeline)).all(axis=1)]
        level, limit = chance(mine)
        score = float(scores[pipeline].mean()) if pipeline in scores else float("nan")
        for method, about in kept.methods_of(several).items():
            having = [fold for fold in several if method in fold.facts["checks"]]
            checks = [fold.facts["checks"][method] for fold in having]
            named = {**dict(zip(PIPELINE, pipeline, strict=True)), "method": method}
            verdict = judge(
                score=score,
                chance=level,
                limit=limit,
                agreement=_agreement(having, method),
                folds=_by_unit(having, checks),
            )
            truths = _by_unit(having, [check.get("truth") or {} for check in checks])
            document["methods"].append(
                {
                    **named,
                    **{k: about[k] for k in ("summary", "unit", "signed")},
                    "kinds": kept.kinds_of(having, method),
                    "n_folds": len(having),
                    "n_subjects": len({fold.unit for fold in having}),
                    "seeds": len({fold.facts["seed"] for fold in having}),
                    **verdict,
                    "truth": mean_truth(truths) if truths else None,
                }
            )
            _add_curves(document, named, checks)
        document["reliance"] += _mean_reliance(pipeline, several)
    return document


def _by_unit(folds: Sequence[FoldMaps], numbers: Sequence[Document]) -> list[dict[str, float]]:
    """Mean of each known number of folds over those of a subject; subjects without any are not."""
    found: dict[str, dict[str, list[float]]] = {}
    for fold, facts in zip(folds, numbers, strict=True):
        own = found.setdefault(fold.unit, {})
        for name, value in facts.items():
            if isinstance(value, float | int):
                own.setdefault(name, []).append(float(value))
    return [{k: float(np.mean(v)) for k, v in own.items()} for own in found.values() if own]


def _truth_bands(folds: Sequence[FoldMaps]) -> list[list[float]]:
    """Where the sources of simulated people have their power, Hz: mean edges, alike ones once."""
    several: dict[str, list[list[float]]] = {}
    for fold in folds:
        for name, band in fold.facts.get("truth_bands", {}).items():
            several.setdefault(name.partition("_")[0], []).append(band)
    return [np.mean(bands, axis=0).round(1).tolist() for bands in several.values()]


def _agreement(folds: Sequence[FoldMaps], method: str) -> float:
    """Mean similarity of a method's maps between folds of one seed.

    Where a subject has several folds, decoders are of one person, and only folds of the same person
    are compared: people may well differ.
    """
    first = [fold for fold in folds if fold.facts["seed"] == folds[0].facts["seed"]]
    pairs = list(combinations(first, 2))
    same = [(a, b) for a, b in pairs if a.unit == b.unit]
    alike = [similarity(_maps(a, method), _maps(b, method)) for a, b in same or pairs]
    known = [value for value in alike if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _maps(fold: FoldMaps, method: str) -> Maps:
    kinds = {name.partition("/")[2]: value for name, value in fold.tensors.items()
             if name.startswith(f"{method}/")}  # fmt: skip
    return Maps(kinds=kinds, unit="")


def _mean_reliance(pipeline: Pipeline, folds: Sequence[FoldMaps]) -> list[Document]:
    """Loss of balanced accuracy without each part, over subjects."""
    several = [{line["part"]: line for line in f.facts.get("reliance", [])} for f in folds]
    out = []
    for part, first in {k: v for lines in several for k, v in lines.items()}.items():
        units = _by_unit(folds, [lines.get(part, {}) for lines in several])
        drops = np.array([unit["drop"] for unit in units])
        low, high = interval(drops)
        out.append(
            {
                **dict(zip(PIPELINE, pipeline, strict=True)),
                "part": part,
                "names": first["names"],
                "drop": float(drops.mean()),
                **{"low": low, "high": high, "n": len(units)},
                "score": float(np.mean([unit["score"] for unit in units])),
            }
        )
    return out


def _add_curves(document: Document, named: Document, checks: Sequence[Document]) -> None:
    """Mean curves of deletion and of weights made random, over folds."""
    curves = [check["curves"] for check in checks if "curves" in check]
    if curves:
        mean = {k: np.mean([curve[k] for curve in curves], axis=0).tolist() for k in curves[0]}
        document["curves"].append({**named, **mean})
    courses = [check["cascade"] for check in checks if "cascade" in check]
    if courses:
        alike = np.array([course["similarity"] for course in courses], dtype=float)
        document["cascade"].append(
            {
                **named,
                "layers": courses[0]["layers"],
                "similarity": [
                    float(np.nanmean(column)) if np.isfinite(column).any() else None
                    for column in alike.T
                ],
            }
        )
