"""What all folds together say of each method and decoder: the summary of an explained run."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from neurodecode.experiment.fold_maps import plain
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
    """Verdicts over all folds."""
    meta, table = run.meta(), load_rows([run])
    folds = [maps for row in rows if (maps := kept.read_maps(run, row.key)) is not None]
    first = folds[0].facts
    document: Document = {
        "run": run.id,
        "code": explain_digest(),
        "command": f"neurodecode explain {run.id}",
        **{k: meta.get(k) for k in ("paradigm", "dataset", "protocol", "simulated", "metric")},
        **{k: first[k] for k in ("classes", "ch_names", "positions", "times", "freqs")},
        "n_windows": first["n_windows"],
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
            entry = {
                **dict(zip(PIPELINE, pipeline, strict=True)),
                "method": method,
                **{k: about[k] for k in ("summary", "unit", "signed")},
                "kinds": kept.kinds_of(several, method),
                "n_folds": len(several),
                "n_subjects": len({fold.facts["subject"] for fold in several}),
                "seeds": len({fold.facts["seed"] for fold in several}),
            }
            checks = [fold.facts["checks"][method] for fold in several
                      if method in fold.facts["checks"]]  # fmt: skip
            verdict = judge(
                score=score,
                chance=level,
                limit=limit,
                agreement=_agreement(several, method),
                folds=checks,
            )
            truths = [check["truth"] for check in checks if check.get("truth")]
            truth = mean_truth(truths) if truths else None
            document["methods"].append({**entry, **verdict, "truth": truth})
            named = {k: entry[k] for k in (*PIPELINE, "method")}
            _add_curves(document, named, checks)
        document["reliance"] += _mean_reliance(pipeline, several)
    return dict(plain(document))


def _truth_bands(folds: Sequence[FoldMaps]) -> list[list[float]]:
    """Where the sources of simulated people have their power, Hz: mean edges, alike ones once."""
    several: dict[str, list[list[float]]] = {}
    for fold in folds:
        for name, band in fold.facts.get("truth_bands", {}).items():
            several.setdefault(name.partition("_")[0], []).append(band)
    return [np.mean(bands, axis=0).round(1).tolist() for bands in several.values()]


def _agreement(folds: Sequence[FoldMaps], method: str) -> float:
    """Mean similarity of a method's maps between folds of one seed."""
    about = kept.methods_of(folds).get(method, {})
    maps = [
        Maps(
            kinds={kind: value for kind in kept.kinds_of([fold], method)
                   if (value := fold.get(method, kind)) is not None},
            unit=about.get("unit", ""),
            signed=about.get("signed", False),
        )
        for fold in folds
        if fold.facts["seed"] == folds[0].facts["seed"]
    ]  # fmt: skip
    alike = [similarity(a, b) for a, b in combinations([m for m in maps if m.kinds], 2)]
    known = [value for value in alike if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _mean_reliance(pipeline: Pipeline, folds: Sequence[FoldMaps]) -> list[Document]:
    """Loss of balanced accuracy without each part, over folds."""
    lines: dict[str, list[Document]] = {}
    for fold in folds:
        for line in fold.facts.get("reliance", []):
            lines.setdefault(line["part"], []).append(line)
    out = []
    for part, several in lines.items():
        drops = np.array([line["drop"] for line in several])
        low, high = interval(drops)
        out.append(
            {
                **dict(zip(PIPELINE, pipeline, strict=True)),
                "part": part,
                "names": several[0]["names"],
                "drop": float(drops.mean()),
                **{"low": low, "high": high, "n": len(several)},
                "score": float(np.mean([line["score"] for line in several])),
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
