"""Stores that nobody fitted: runs whose answers are known, made in a moment, and broken ones."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neurodecode.core.counts import Counts, LayerCount
from neurodecode.core.stopping import RULES
from neurodecode.evaluation import energy
from neurodecode.evaluation.metrics import score_all
from neurodecode.experiment.choices import resolve, to_toml
from neurodecode.explain.windows import Axes
from neurodecode.recordings.montage import cap_1005
from neurodecode.results.exits import exit_curve, exit_lines
from neurodecode.results.maps import FoldMaps, data_file, summary_file, write_maps
from neurodecode.results.pretraining import write_curve
from neurodecode.results.provenance import environment
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run, writing

CH_NAMES = (
    "Fz", "FC3", "FC1", "FCz", "FC2", "FC4", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "CP3",
    "CP1", "CPz", "CP2", "CP4", "P1", "Pz", "P2", "POz",
)  # fmt: skip
"""The cap of the simulator."""
SFREQ, N_TIMES = 128.0, 512
MODELS = ("csp_lda", "ts_lr", "dbconformer", "spiking_dbconformer")
SKILL = {"csp_lda": 1.2, "ts_lr": 1.5, "dbconformer": 1.7, "spiking_dbconformer": 1.4}
N_PARAMS = {"dbconformer": 92_355, "spiking_dbconformer": 92_355, "spiking_eegnet": 2_194}
PLACES, RHYTHM, BUSY = ("C4", "C3", "Cz", "FCz"), 11.0, (0.5, 2.5)
"""Where a map of each class is largest; at what frequency, Hz; and when, s."""

REPOSITORY = Path(__file__).parents[2]
APP = REPOSITORY / "dashboards" / "app.py"
PAGES = sorted(path.stem for path in (APP.parent / "app_pages").glob("*.py"))

Document = dict[str, Any]


def _digest(*words: Any) -> str:
    return hashlib.sha256(json.dumps(words, default=str).encode()).hexdigest()[:20]


def _rng(*words: Any) -> np.random.Generator:
    return np.random.default_rng(int(_digest(*words)[:12], 16))


def positions(ch_names: Sequence[str] = CH_NAMES) -> list[list[float]]:
    """Of electrodes, m: (n_chans, 3)."""
    cap = cap_1005().get_positions()["ch_pos"]
    return [[float(v) for v in cap[name]] for name in ch_names]


def history(model: str, subject: int, n_epochs: int = 12) -> dict[str, list[float]]:
    """Losses that fall, those of held-out people less, and an accuracy that rises."""
    rng, t = _rng("history", model, subject), np.arange(n_epochs)
    slow = 2.0 if model.startswith("spiking") else 1.0
    return {
        "train_loss": (0.7 * np.exp(-t / 6 / slow) + rng.normal(0, 0.01, n_epochs)).tolist(),
        "val_loss": (0.35 + 0.35 * np.exp(-t / 5 / slow) + rng.normal(0, 0.01, n_epochs)).tolist(),
        "val_accuracy": np.clip(0.85 - 0.35 * np.exp(-t / 4 / slow), 0, 1).tolist(),
        "best_epoch": [float(n_epochs - rng.integers(0, 3))],
    }


def meta_of(paradigm: str, dataset: str, folds: Sequence[str], **more: Any) -> Document:
    """What ``meta.json`` says."""
    return {
        "paradigm": paradigm,
        "dataset": dataset,
        "protocol": "cross-subject",
        "metric": "balanced_accuracy",
        "classes": ["left_hand", "right_hand"],
        "ch_names": list(CH_NAMES),
        "sfreq": SFREQ,
        "n_windows": 480,
        "simulated": True,
        "contaminated": "",
        "seen": [],
        "data": _digest("data", dataset) * 3 + "abcd",
        "folds": list(folds),
        "online_ready": False,
        "live": [],
        **environment(),
        **more,
    }


def score_run(
    folder: Path,
    n_subjects: int = 6,
    *,
    models: Sequence[str] = MODELS,
    seeds: int = 1,
    sessions: int = 1,
    paradigm: str = "mi",
    dataset: str = "synthetic",
    protocol: str = "cross-subject",
    aligns: Sequence[str] = ("none", "euclidean:causal"),
    cleans: Sequence[str] = ("none",),
    classes: Sequence[str] = ("left_hand", "right_hand"),
    n_trials: int = 24,
    simulated: bool = True,
    contaminated: str = "",
    labels: str = "true",
    metric: str = "balanced_accuracy",
    n_train: int | None = None,
    name: str | None = None,
    finished: int | None = None,
    config: str | None = None,
) -> Run:
    """A run of decoders: some people are easier than others, and so are some decoders.

    Parameters
    ----------
    folder
        Of runs.
    sessions
        Of each person. Under "cross-session" each is a fold of its own.
    n_trials
        Windows of a session.
    labels
        "shuffled" for a control, which scores at chance.
    metric
        That the run says it is about, and its rows with it.
    finished
        How many of the planned folds there are; by default all.
    config
        What ``config.toml`` holds; by default the choices that would make such a run.
    """
    words = (paradigm, dataset, protocol, models, aligns, cleans, classes, labels, n_subjects)
    run = Run(folder / (name or "-".join([paradigm, dataset, protocol, _digest(*words)[:8]])))
    parts = [str(s) for s in range(sessions)] if protocol == "cross-session" else [None]
    rows, tables = [], []
    for subject in range(1, n_subjects + 1):
        for part in parts:
            for clean in cleans:
                for align in aligns:
                    for model in models:
                        for seed in range(seeds if model in N_PARAMS else 1):
                            own = (words, subject, part, clean, align, model, seed)
                            own_sessions = [part] if part else [str(s) for s in range(sessions)]
                            table, scores = _predictions(
                                _rng(*own), classes, n_trials, str(subject), own_sessions,
                                skill=_skill(model, align, clean, subject, labels),
                                dataset=dataset,
                            )  # fmt: skip
                            tables.append(table)
                            rows.append(
                                ResultRow(
                                    key=_digest(*own), paradigm=paradigm, dataset=dataset,
                                    protocol=protocol,
                                    fold=f"subject={subject}" + f" session={part}" * bool(part),
                                    subject=str(subject),
                                    session=own_sessions[0] if len(own_sessions) == 1 else "*",
                                    model=model, align=align, seed=seed, labels=labels,
                                    metric=metric, score=scores.get(metric, scores["accuracy"]),
                                    scores=scores,
                                    n_train=n_train or n_trials * sessions * (n_subjects - 1),
                                    n_test=len(table), n_chans=len(CH_NAMES), n_times=N_TIMES,
                                    n_classes=len(classes), sfreq=SFREQ,
                                    n_params=N_PARAMS.get(model, 0), fit_time=0.4,
                                    predict_time=0.0003,
                                    history=history(model, subject) if model in N_PARAMS else {},
                                    simulated=simulated, clean=clean, contaminated=contaminated,
                                )
                            )  # fmt: skip
    if config is None:
        flags = {"models": list(models), "data.dataset": [dataset], "evaluation.align": [*aligns]}
        config = to_toml(resolve(paradigm, flags=flags))
    meta = meta_of(
        paradigm, dataset, [row.key for row in rows], protocol=protocol, metric=metric,
        classes=list(classes), simulated=simulated, contaminated=contaminated,
        n_windows=n_subjects * sessions * n_trials,
    )  # fmt: skip
    run.describe(config, meta)
    for row, table in list(zip(rows, tables, strict=True))[:finished]:
        run.write_fold(row, table)
    return run


def _skill(model: str, align: str, clean: str, subject: int, labels: str) -> float:
    if labels == "shuffled":
        return 0.0
    gain = 0.3 * (align != "none") + 0.2 * (clean != "none")
    return SKILL.get(model, 1.0) + gain + 0.5 * np.sin(1.7 * subject)


def _predictions(
    rng: np.random.Generator,
    classes: Sequence[str],
    n_trials: int,
    subject: str,
    sessions: Sequence[str],
    *,
    skill: float,
    dataset: str,
) -> tuple[pd.DataFrame, dict[str, float]]:
    n = n_trials * len(sessions)
    y = rng.permutation(np.arange(n) % len(classes))
    logits = rng.standard_normal((n, len(classes)))
    logits[np.arange(n), y] += skill
    proba = np.exp(1.3 * logits)
    proba /= proba.sum(axis=1, keepdims=True)
    names = np.asarray(classes)
    table = pd.DataFrame(
        {
            "trial": (int(subject) - 1) * n + np.arange(n),
            "dataset": dataset.title(),
            "subject": subject,
            "session": np.repeat(list(sessions), n_trials),
            "run": "0",
            "onset": 4.0 + 6.5 * (np.arange(n) % n_trials),
            "block": np.arange(n) % n_trials,
            "y_true": names[y],
            "y_pred": names[proba.argmax(axis=1)],
            **{f"p_{name}": proba[:, c] for c, name in enumerate(classes)},
        }
    )
    return table, score_all(y, proba, len(classes))


# Maps


CLASS_KINDS = ("chan", "time", "freq", "chan_time", "chan_freq")
METHODS: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "integrated_gradients": ("logit", False, CLASS_KINDS),
    "input_x_gradient": ("logit", False, CLASS_KINDS),
    "amplitude_gradient": ("logit/uV", True, ("chan", "freq", "chan_freq")),
    "occlusion": ("logit", True, ("chan", "time", "freq")),
    "channel_attention": ("share", True, ("chan",)),
    "attention_rollout": ("share", False, ("chan", "time", "chan_chan", "time_time")),
    "spike_rates": ("spikes per step", True, ("chan", "time")),
    "csp_patterns": ("share", False, ("chan", "freq", "patterns")),
    "haufe_patterns": ("a.u.", True, ("chan", "freq", "chan_freq")),
}
"""Unit, whether the sign means something, and kinds, of each method."""
FAILS, UNCHECKED = "channel_attention", "attention_rollout"


def methods_for(model: str) -> list[str]:
    """Methods that have something to say of a decoder."""
    if model not in N_PARAMS:
        own = ["csp_patterns"] if model == "csp_lda" else []
        return [*own, "haufe_patterns", "occlusion"]
    spiking = model.startswith("spiking")
    nets = [m for m in METHODS if m not in ("csp_patterns", "haufe_patterns", "spike_rates")]
    return [*(m for m in nets if not (spiking and m == UNCHECKED)), *["spike_rates"] * spiking]


def explained(run: Run, *, with_summary: bool = True) -> Run:
    """The run with maps by every method, largest where `PLACES`, `RHYTHM` and `BUSY` say."""
    meta = run.meta()
    classes, ch_names = meta["classes"], meta["ch_names"]
    axes = Axes(
        classes=tuple(classes), ch_names=tuple(ch_names), sfreq=SFREQ, n_times=N_TIMES, tmin=0.0
    )
    shared = {
        "classes": classes, "ch_names": ch_names, "positions": positions(ch_names),
        "times": axes.times.tolist(), "freqs": axes.freqs.tolist(), "code": "0" * 20,
    }  # fmt: skip
    rows = run.rows()
    for row in rows:
        tensors = {}
        for method in methods_for(row.model):
            for kind in METHODS[method][2]:
                tensors[f"{method}/{kind}"] = _map(axes, kind, method, row.subject)
        facts = {
            "key": row.key, "model": row.model, "align": row.align, "clean": row.clean,
            "fold": row.fold, "subject": row.subject, "session": row.session, "seed": row.seed,
            "score": row.score, **shared,
            "methods": {
                m: {
                    "unit": METHODS[m][0], "signed": METHODS[m][1], "facts": {"flatness": 0.98},
                    "seconds": 0.1, "summary": _said(m),
                }
                for m in methods_for(row.model)
            },
            "checks": {m: {"agreement": 0.8} for m in methods_for(row.model)},
        }  # fmt: skip
        write_maps(run, FoldMaps(facts=facts, tensors=tensors))
    for subject in dict.fromkeys(row.subject for row in rows):
        _write_data_maps(run, axes, subject, shared)
    if with_summary:
        with writing(summary_file(run)) as file:
            file.write_text(json.dumps(summary_of(run), indent=1), encoding="utf-8")
    return run


def _said(method: str) -> str:
    return f"What {method.replace('_', ' ')} says of a decision."


def _write_data_maps(run: Run, axes: Axes, subject: str, shared: Document) -> None:
    kinds = ("chan", "chan_freq", "chan_time", "freq", "time")
    facts = {
        "key": data_file(run, subject).stem, "model": "data", "align": "none", "clean": "none",
        "fold": f"subject={subject}", "subject": subject, "session": "*", "seed": 0,
        "score": None, **shared,
        "methods": {
            "erds": {
                "unit": "dB", "signed": True, "facts": {}, "seconds": 0.1,
                "summary": "Power of the recordings themselves against before the cue.",
            }
        },
        "checks": {},
    }  # fmt: skip
    tensors = {f"erds/{kind}": -4 * _map(axes, kind, "erds", subject) for kind in kinds}
    write_maps(run, FoldMaps(facts=facts, tensors=tensors))


def _map(axes: Axes, kind: str, method: str, subject: str) -> NDArray[np.float32]:
    rng = _rng(kind, method, subject)
    if kind == "patterns":
        places = np.asarray(positions(axes.ch_names))
        near = [_hump(places, axes.ch_names, place) for place in ("C3", "C4", "C3", "C4")]
        return (np.stack(near) * np.array([[1], [1], [-1], [-1]])).astype(np.float32)
    parts = []
    for c in range(len(axes.classes)):
        chan = _hump(np.asarray(positions(axes.ch_names)), axes.ch_names, PLACES[c % len(PLACES)])
        freq = 0.05 + np.exp(-0.5 * ((axes.freqs - RHYTHM) / 2) ** 2)
        time = 0.1 + ((axes.times >= BUSY[0]) & (axes.times < BUSY[1]))
        if METHODS.get(method, ("", False, ()))[1]:  # the sign means something
            other = PLACES[(c + 1) % 2]
            chan = chan - _hump(np.asarray(positions(axes.ch_names)), axes.ch_names, other) * 0.9
        of = {"chan": chan, "freq": freq, "time": time}
        names = kind.split("_")
        whole = of[names[0]] if len(names) == 1 else np.multiply.outer(of[names[0]], of[names[1]])
        parts.append(whole + 0.03 * np.abs(rng.standard_normal(whole.shape)))
    return np.stack(parts).astype(np.float32)


def _hump(places: NDArray[np.float64], ch_names: Sequence[str], name: str) -> NDArray[np.float64]:
    """1 at an electrode, less around it."""
    distance = np.linalg.norm(places - places[list(ch_names).index(name)], axis=1)
    return np.asarray(0.05 + np.exp(-0.5 * (distance / 0.03) ** 2))


def summary_of(run: Run) -> Document:
    """``summary.json``: integrated gradients hold, channel attention fails, rollout is unchecked.

    Methods besides these hold too.
    """
    meta = run.meta()
    rows = run.rows()
    pipelines = list(dict.fromkeys((r.model, r.align, r.clean) for r in rows))
    subjects = len({r.subject for r in rows})
    named = [
        (dict(zip(("model", "align", "clean"), pipeline, strict=True)), method)
        for pipeline in pipelines
        for method in methods_for(pipeline[0])
    ]
    fraction = np.linspace(0, 1, 11)
    curves = [
        {
            **pipeline, "method": method, "fraction": fraction.tolist(),
            "deletion": (0.5 + 0.3 * np.exp(-6 * fraction)).tolist(),
            "deletion_random": (0.8 - 0.3 * fraction).tolist(),
            "insertion": (0.8 - 0.3 * np.exp(-6 * fraction)).tolist(),
            "insertion_random": (0.5 + 0.3 * fraction).tolist(),
        }
        for pipeline, method in named
    ]  # fmt: skip
    cascade = [
        {
            **pipeline, "method": method, "layers": ["readout", "time_layers", "chan_layers"],
            "similarity": [0.9, 0.5, 0.95 if method == FAILS else 0.1],
        }
        for pipeline, method in named
        if pipeline["model"] in N_PARAMS
    ]  # fmt: skip
    return {
        "run": run.id, "code": "0" * 20, "command": f"neurodecode explain {run.id}",
        **{k: meta[k] for k in ("paradigm", "dataset", "simulated", "metric", "classes")},
        "ch_names": meta["ch_names"], "positions": positions(meta["ch_names"]),
        "n_windows": 60, "folds": len(rows),
        "methods": [_judged(pipeline, method, subjects, meta) for pipeline, method in named],
        "curves": curves, "cascade": cascade,
        "reliance": [line for p in pipelines for line in _reliance(p, subjects)],
    }  # fmt: skip


def _judged(pipeline: Document, method: str, subjects: int, meta: Document) -> Document:
    unit, signed, kinds = METHODS[method]
    fails = method == FAILS
    checks = {
        "decoder": {
            "passed": True, "value": 0.82, "limit": 0.56, "says": "It decodes above chance.",
        },
        "random_weights": {
            "passed": not fails, "value": 0.93 if fails else 0.12,
            "own_start": 0.9 if fails else 0.2, "limit": 0.5,
            "says": f"Nets with random weights give {'like' if fails else 'other'} maps.",
        },
        "shuffled_labels": {
            "passed": True, "value": 0.2, "limit": 0.5,
            "says": "Decoders that learned from shuffled labels give other maps.",
        },
        "faithful": {
            "passed": True, "value": 0.11, "low": 0.06, "high": 0.16,
            "says": "What the map ranks highest matters most.",
        },
        "agreement": {
            "passed": True, "value": 0.81, "limit": 0.3, "says": "Folds agree with one another.",
        },
    }  # fmt: skip
    if method == UNCHECKED:
        checks = {}
    reasons = (
        ["A net with random weights gives the same map (similarity 0.93, at most 0.50)."]
        if fails
        else ["No check applies to a matrix of attention."] if method == UNCHECKED else []
    )  # fmt: skip
    truth = {
        "chan_hits": 1.0, "band_hits": 1.0, "chan_mass": 0.5, "chan_expected": 0.2,
        "band_mass": 0.7, "band_expected": 0.3, "n": subjects,
    }  # fmt: skip
    return {
        **pipeline, "method": method, "summary": _said(method), "unit": unit, "signed": signed,
        "kinds": list(kinds), "n_folds": subjects, "n_subjects": subjects, "seeds": [0],
        "verdict": "fails" if fails else "unchecked" if method == UNCHECKED else "holds",
        "reasons": reasons, "checks": checks, "truth": truth if meta["simulated"] else None,
    }  # fmt: skip


def _reliance(pipeline: tuple[str, str, str], n: int) -> list[Document]:
    drops = {
        "muscle channels": (0.01, ["C5", "C6", "P1", "P2"]),
        "other channels": (0.25, ["C3", "C4"]),
        "8 to 13 Hz": (0.2, []),
        "13 to 30 Hz": (0.04, []),
    }
    named = dict(zip(("model", "align", "clean"), pipeline, strict=True))
    return [
        {
            **named, "part": part, "names": names, "drop": drop, "low": drop - 0.02,
            "high": drop + 0.02, "n": n, "score": 0.82, "says": f"{part}: a loss of {drop:.2f}.",
        }
        for part, (drop, names) in drops.items()
    ]  # fmt: skip


# Energy and early exits


def with_energy(run: Run) -> Run:
    """The run with ``energy.json``: a net with spikes beside a conventional one."""
    meta, models = run.meta(), []
    pipelines = dict.fromkeys((r.model, r.align, r.clean) for r in run.rows())
    for i, (model, align, clean) in enumerate(pipelines):
        entry: Document = {
            "model": model, "align": align, "clean": clean, "key": _digest(model, align),
            "folds": ["subject=1"], "n_params": N_PARAMS.get(model, 0), "score": 0.8 + 0.01 * i,
        }  # fmt: skip
        if model in N_PARAMS:
            entry |= _counted(model.startswith("spiking"))
        models.append(entry)
    document = {
        "target": run.id, "trained": True,
        **{k: meta[k] for k in ("paradigm", "dataset", "protocol", "metric", "simulated")},
        "contaminated": meta["contaminated"], "windows_per_fold": 32, "models": models,
    }  # fmt: skip
    (run.path / "energy.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    return run


def _counted(spiking: bool) -> Document:
    from neurodecode.experiment.energy import _plain, _with_energy

    weights = {"inputs": 1e4, "outputs": 1e4, "weights": 5e4}
    if spiking:
        layers = [
            LayerCount(layer="patches", kind="convolution", steps=4, macs=1e6, **weights),
            LayerCount(
                layer="mixer", kind="matrix", steps=4, acs=2e5, spared=2e6, spike_inputs=8e4,
                spikes=1.2e4, **weights,
            ),
            LayerCount(
                layer="mixer.neurons", kind="neurons", steps=4, spike_outputs=8e4, spikes=1.2e4,
                membranes=8e4,
            ),
        ]  # fmt: skip
    else:
        layers = [
            LayerCount(layer="patches", kind="convolution", macs=1e6, **weights),
            LayerCount(layer="mixer", kind="matrix", macs=4e6, **weights),
        ]
    counts = Counts(layers=layers, n_steps=4 if spiking else 1)
    took = {"p50": 1.9 if spiking else 0.9, "p99": 3.0 if spiking else 1.4, "n_repeats": 200}
    plain = {**_plain(counts), "latency_ms": {**took, "processor": "a processor"}}
    assert energy.energy(counts).operations > 0
    return _with_energy(plain)


def with_exits(run: Run) -> Run:
    """The run with ``exit.json`` of its spiking decoders."""
    meta, models, skipped = run.meta(), [], []
    times = [0.1 * (i + 1) for i in range(40)]
    for model, align, clean in dict.fromkeys((r.model, r.align, r.clean) for r in run.rows()):
        named = {"model": model, "align": align, "clean": clean}
        if not model.startswith("spiking"):
            skipped.append({**named, "reason": "decides once, at the end of a window"})
            continue
        own = [r for r in run.rows() if (r.model, r.align, r.clean) == (model, align, clean)]
        folds = [_exit_fold(row, times) for row in own]
        models.append(
            {
                **named, "n_steps": len(times), "times": times, "unit": "subjects", "n_seeds": 1,
                "lines": exit_lines(folds, times), "curve": exit_curve(folds, times),
                "folds": folds,
            }
        )  # fmt: skip
    document = {
        "run": run.id,
        **{k: meta[k] for k in ("paradigm", "dataset", "protocol", "simulated", "contaminated")},
        "labels": "true", "metric": "balanced_accuracy", "margin": 0.01, "models": models,
        "skipped": skipped,
    }  # fmt: skip
    (run.path / "exit.json").write_text(json.dumps(document), encoding="utf-8")
    return run


def _exit_fold(row: ResultRow, times: Sequence[float]) -> Document:
    n = len(times)
    fixed = (0.5 + (row.score - 0.5) * (1 - np.exp(-np.arange(1, n + 1) / 10))).tolist()
    bins = {
        "n": [0.0] * 5 + [4.0] * 5, "confidence": [0.0] * 5 + [2.2, 2.6, 3.0, 3.4, 3.8],
        "right": [0.0] * 5 + [2.0, 3.0, 3.0, 3.0, 4.0],
    }  # fmt: skip
    rules = {}
    for name, step in {"whole": n - 1, **dict.fromkeys(RULES, n // 2)}.items():
        stops = [0] * n
        stops[step] = row.n_test
        rules[name] = {
            "choice": None if name == "whole" else 0.8,
            "rule": {"name": "fixed", "bounds": [None] * n, "temperatures": [1.0] * n},
            "score": fixed[step], "time": times[step], "stops": stops, "reliability": bins,
            "reliability_raw": bins,
        }  # fmt: skip
    return {
        "key": row.key, "dataset": row.dataset, "fold": row.fold, "subject": row.subject,
        "session": row.session, "seed": row.seed, "n_held_out": 20, "rules": rules,
        "fixed": fixed,
        "confidence": [[0.5 + i / 40, times[2 * i], fixed[2 * i]] for i in range(20)],
    }  # fmt: skip


# Runs of other kinds


def denoise_run(folder: Path, n_people: int = 5) -> Run:
    """A run that trained denoisers."""
    run = Run(folder / "denoise-synthetic-cross-subject-11112222")
    rng, rows, tables = _rng("denoise"), [], []
    for model, left in (("denoisenet", 0.45), ("art", 0.3)):
        lines = []
        for subject in range(n_people):
            for kind in ("eyes", "muscles", "none"):
                for snr in (-5.0, 0.0, 5.0):
                    before = 0.0 if kind == "none" else 10 ** (-snr / 20)
                    after = left * before + 0.05 + 0.02 * rng.random()
                    gain = np.nan if kind == "none" else -20 * np.log10(after / before)
                    lines.append(
                        {
                            "subject": f"person-{subject}", "kind": kind, "snr": snr,
                            "rrmse": after, "rrmse_spectrum": after / 2,
                            "correlation": 1 - after / 3,
                            "snr_gain": gain,
                            "rrmse_before": before, "rrmse_spectrum_before": before / 2,
                            "correlation_before": 1 - before / 4,
                        }
                    )  # fmt: skip
        table = pd.DataFrame(lines)
        mean = table[table["kind"] != "none"].groupby("subject")[["rrmse", "correlation"]].mean()
        scores = {k: float(v) for k, v in mean.mean().items()}
        rows.append(
            ResultRow(
                key=_digest("denoise", model), paradigm="denoise", dataset="synthetic",
                protocol="cross-subject", fold="test people", subject="*", session="*",
                model=model, align="none", seed=0, labels="true", metric="rrmse",
                score=scores["rrmse"], scores=scores, n_train=20, n_test=len(table), n_chans=22,
                n_times=512, n_classes=0, sfreq=256.0, n_params=50_000, fit_time=60.0,
                predict_time=0.002, history={"train_loss": [1.0, 0.5], "val_loss": [1.0, 0.6]},
                simulated=True,
            )
        )  # fmt: skip
        tables.append(table)
    people = {part: [f"person-{i}" for i in range(3)] for part in ("train", "val", "test")}
    run.describe(
        'models = [\n    "denoisenet",\n    "art",\n]\nparadigm = "denoise"\n',
        {
            "paradigm": "denoise", "dataset": "synthetic", "protocol": "cross-subject",
            "metric": "rrmse", "simulated": True, "split": "people", "people": people,
            "snr": [-5.0, 0.0, 5.0], "snr_convention": "window", "sfreq": 256.0,
            "data": "d" * 64, "folds": [row.key for row in rows], **environment(),
        },
    )  # fmt: skip
    for row, table in zip(rows, tables, strict=True):
        run.write_fold(row, table)
    return run


def pretrain_run(folder: Path, *, finished: bool = True) -> Run:
    """A run that pretrained a backbone."""
    run = Run(folder / f"pretrain-mvpformer-synthetic-{'33334444' if finished else '55556666'}")
    run.describe(
        'models = [\n    "mvpformer",\n]\nparadigm = "pretrain"\n',
        {
            "paradigm": "pretrain", "model": "mvpformer", "options": {}, "dataset": "synthetic",
            "simulated": True, "sfreq": 128.0, "n_params": 1_000_000,
            "seen": [{"dataset": "synthetic", "subject": "1"}], "notes": [], "data": "e" * 64,
            "finished": finished, "folds": [], **environment(),
            **({"kept": "best", "step": 30, "n_steps": 40, "seconds": 10.0} if finished else {}),
        },
    )  # fmt: skip
    curve = [
        {
            "part": part, "dataset": "all", "step": step, "seconds": step / 4, "lr": 1e-3,
            "n_windows": 64, "loss": 2.0 * np.exp(-step / 20) + 0.5,
        }
        for step in range(0, 41, 10)
        for part in ("train", "validation")
    ]  # fmt: skip
    write_curve(run, curve)
    return run


def pseudo_online_run(folder: Path, n_subjects: int = 4) -> Run:
    """A run whose test recordings were played as if live: a line per decision, no trials."""
    classes = ["left_hand", "right_hand", "rest"]
    run = Run(folder / "mi-synthetic_rest-pseudo-online-77778888")
    rows, tables = [], []
    for subject in range(1, n_subjects + 1):
        for model in ("csp_lda", "ts_lr"):
            rng = _rng("pseudo", subject, model)
            n = 600
            y = np.repeat(rng.integers(0, 3, n // 20), 20)
            proba = rng.random((n, 3)) + 2 * np.eye(3)[y]
            proba /= proba.sum(axis=1, keepdims=True)
            gap = np.arange(n) < 20
            proba[gap] = np.nan
            evidence = proba.copy()
            names = np.asarray(classes)
            status = np.where(gap, "gap", np.where(evidence.max(axis=1) > 0.5, "ok", "unsure"))
            predicted = names[np.nan_to_num(proba).argmax(axis=1)]
            tables.append(
                pd.DataFrame(
                    {
                        "dataset": "Synthetic-imagery", "subject": str(subject), "session": "0",
                        "run": "0", "time": 0.1 * (1 + np.arange(n)), "y_true": names[y],
                        "y_pred": np.where(gap, "", predicted),
                        **{f"p_{c}": proba[:, i] for i, c in enumerate(classes)},
                        **{f"e_{c}": evidence[:, i] for i, c in enumerate(classes)},
                        "status": status,
                        "command": np.where(np.arange(n) % 40 == 30, predicted, ""),
                    }
                )
            )  # fmt: skip
            scores = {
                "balanced_accuracy": 0.72, "evidence_accuracy": 0.68, "command_accuracy": 0.88,
                "tpr": 0.85, "fp_per_min": 9.0, "time_to_decision": 2.2, "itr": 13.0,
                "n_events": 60.0, "background_min": 5.8, "itr_window": 14.0, "abstained": 0.38,
                "valid": 0.99, "n_commands": 140.0,
            }  # fmt: skip
            scores |= {"balanced_accuracy": 0.72 + 0.02 * subject}
            rows.append(
                ResultRow(
                    key=_digest("pseudo", subject, model), paradigm="mi", dataset="synthetic_rest",
                    protocol="pseudo-online", fold=f"subject={subject}", subject=str(subject),
                    session="0", model=model, align="euclidean:causal", seed=0, labels="true",
                    metric="balanced_accuracy", score=scores["balanced_accuracy"], scores=scores,
                    n_train=540, n_test=180, n_chans=22, n_times=256, n_classes=3, sfreq=SFREQ,
                    n_params=0, fit_time=0.5, predict_time=0.001, history={}, simulated=True,
                )
            )  # fmt: skip
    run.describe(
        'models = [\n    "csp_lda",\n    "ts_lr",\n]\nparadigm = "mi"\n\n'
        '[evaluation]\nprotocol = "pseudo-online"\n',
        meta_of(
            "mi", "synthetic_rest", [row.key for row in rows], protocol="pseudo-online",
            classes=classes, online_ready=True, live=["a" * 20],
        ),
    )  # fmt: skip
    for row, table in zip(rows, tables, strict=True):
        run.write_fold(row, table)
    return run


def calibrated_run(folder: Path, parent: Run) -> Run:
    """A run that recalibrated a decoder: no fold of its own."""
    run = Run(folder / f"{parent.id}-calibrated-99990000")
    own = {
        "date": "2026-01-01T00:00:00+00:00", "stream": "neurodecode-replay", "playing": None,
        "seen": False, "interrupted": False, "n_refused": 0, "ignored": {},
        "decoder": "ts_lr, aligned euclidean:causal", "n": {"left_hand": 12, "right_hand": 12},
        "aligned": "euclidean", "finetune": "head", "lam": None,
        "accuracy": {
            "before": 0.625, "after": 0.79, "n_before": 15, "n_after": 19, "n": 24,
            "n_folds": 5, "p": 0.2,
        },
    }  # fmt: skip
    config = (parent.path / "config.toml").read_text("utf-8")
    meta = {**parent.meta(), "folds": [], "live": ["b" * 20], "parent": parent.id}
    run.describe(config, {**meta, "fitted_to": [["synthetic", "1"]], "calibrated": own})
    return run


# Whole stores


def full_store(folder: Path) -> Path:
    """Every kind of run, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    first = with_exits(with_energy(explained(score_run(folder, seeds=2, n_trials=20))))
    score_run(folder, 5, models=("csp_lda", "dbconformer"), n_train=60, name="mi-fewer-windows")
    score_run(
        folder, 4, models=("csp_lda", "ts_lr"), sessions=2, protocol="cross-session",
        dataset="bnci2014_001", simulated=False,
    )  # fmt: skip
    score_run(
        folder, 4, models=("csp_lda", "dbconformer"), cleans=("none", "ica:own", "asr:own"),
        contaminated="eye at -5 dB", aligns=("none",), name="mi-synthetic-contaminated",
    )  # fmt: skip
    score_run(folder, 4, models=("csp_lda",), labels="shuffled", name="mi-synthetic-control")
    denoise_run(folder)
    pretrain_run(folder)
    pseudo_online_run(folder)
    calibrated_run(folder, first)
    return folder


def _small(folder: Path, n_subjects: int, **own: Any) -> Run:
    """As little as shows what is the matter."""
    usual: Document = {"models": ("csp_lda", "spiking_dbconformer"), "aligns": ("none",)}
    return score_run(folder, n_subjects, **(usual | own))


def _no_meta(folder: Path) -> None:
    (_small(folder, 2, name="no-meta").path / "meta.json").unlink()


def _half_meta(folder: Path) -> None:
    _cut(_small(folder, 2, name="half-meta").path / "meta.json")


def _list_for_meta(folder: Path) -> None:
    (_small(folder, 2, name="list-for-meta").path / "meta.json").write_text("[1, 2]")


def _empty_meta(folder: Path) -> None:
    (_small(folder, 2, name="empty-meta").path / "meta.json").write_text("{}")


def _wrong_meta(folder: Path) -> None:
    path = _small(folder, 2, name="wrong-meta").path / "meta.json"
    path.write_text('{"paradigm": 3, "folds": "abc", "classes": null, "dataset": ["a"]}')


def _no_config(folder: Path) -> None:
    (_small(folder, 2, name="no-config").path / "config.toml").unlink()


def _half_config(folder: Path) -> None:
    (_small(folder, 2, name="half-config").path / "config.toml").write_text("models = [\n 'c")


def _half_fold(folder: Path) -> None:
    run = _small(folder, 3, name="half-fold")
    _cut(run.fold_file(run.meta()["folds"][0]))


def _half_maps(folder: Path) -> None:
    run = explained(_small(folder, 3, name="half-maps"))
    _cut(run.path / "explain" / f"{run.meta()['folds'][2]}.safetensors")
    _cut(data_file(run, "1"))


def _no_maps_file(folder: Path) -> None:
    run = explained(_small(folder, 2, name="no-maps-file"))
    for path in (run.path / "explain").glob("*.safetensors"):
        path.unlink()


def _garbage_summary(folder: Path) -> None:
    summary_file(explained(_small(folder, 2, name="garbage-summary"))).write_bytes(b"\xff\x00{")


def _empty_summary(folder: Path) -> None:
    summary_file(explained(_small(folder, 2, name="empty-summary"))).write_text("{}")


def _no_summary(folder: Path) -> None:
    explained(_small(folder, 2, name="no-summary"), with_summary=False)


def _garbage_energy(folder: Path) -> None:
    run = _small(folder, 2, name="garbage-energy")
    (run.path / "energy.json").write_text("{broken")
    (run.path / "exit.json").write_text("[]")


def _empty_folder(folder: Path) -> None:
    (folder / "nothing-in-it").mkdir()


def _half_written(folder: Path) -> None:
    path = _small(folder, 2, name="half-written").path
    shutil.rmtree(path / "folds")
    shutil.rmtree(path / "explain", ignore_errors=True)


def _link_outside(folder: Path) -> None:
    outside = _small(folder.parent / f"{folder.name}-outside", 2, name="secret-run")
    (folder / "linked").symlink_to(outside.path, target_is_directory=True)


def _odd_name(folder: Path) -> None:
    explained(_small(folder, 2, name="odd <b>näme</b> & ?run=x#y%2e'\"$(id)`"))


def _nan_scores(folder: Path) -> None:
    run = _small(folder, 3, name="nan-scores")
    for row in run.rows():
        bad = ResultRow.from_dict(
            {**row.as_dict(), "score": float("nan"), "scores": {row.metric: float("nan")}}
        )
        run.write_fold(bad, run.read_predictions(row.key))


def _some_nan_scores(folder: Path) -> None:
    run = _small(folder, 3, name="some-nan-scores")
    for row in run.rows()[::3]:
        bad = ResultRow.from_dict({**row.as_dict(), "score": float("nan")})
        run.write_fold(bad, run.read_predictions(row.key).head(0))


def _one_subject(folder: Path) -> None:
    with_exits(with_energy(explained(_small(folder, 1, name="one-subject"))))


def _one_fold(folder: Path) -> None:
    _small(folder, 6, name="one-fold-of-many", finished=1)


def _no_fold(folder: Path) -> None:
    _small(folder, 6, name="no-fold-of-many", finished=0)


def _unknown_metric(folder: Path) -> None:
    _small(folder, 3, name="unknown-metric", metric="a_metric_of_mine")


def _four_classes(folder: Path) -> None:
    classes = ("left_hand", "right_hand", "feet", "tongue")
    explained(_small(folder, 3, name="four-classes", classes=classes))


def _odd_classes(folder: Path) -> None:
    explained(_small(folder, 3, name="odd-classes", classes=("left hand.", "right: [hand]")))


def _unfinished_pretraining(folder: Path) -> None:
    pretrain_run(folder, finished=False)


def _unplaced(folder: Path) -> None:
    """Maps of channels that have no position."""
    run = explained(_small(folder, 2, name="unplaced"))
    for path in (run.path / "explain").glob("*.safetensors"):
        from neurodecode.results.maps import read_maps

        maps = read_maps(run, path.stem)
        assert maps is not None
        maps.facts["positions"] = None
        write_maps(run, maps)
    summary = json.loads(summary_file(run).read_text("utf-8"))
    summary_file(run).write_text(json.dumps({**summary, "positions": None}))


def _cut(path: Path) -> None:
    """Half a file, as a full disk or a pulled plug leaves it."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN: dict[str, Callable[[Path], None]] = {
    make.__name__.strip("_"): make
    for make in (
        _no_meta, _half_meta, _list_for_meta, _empty_meta, _wrong_meta, _no_config, _half_config,
        _half_fold, _half_maps, _no_maps_file, _garbage_summary, _empty_summary, _no_summary,
        _garbage_energy, _empty_folder, _half_written, _link_outside, _odd_name, _nan_scores,
        _some_nan_scores, _one_subject, _one_fold, _no_fold, _unknown_metric, _four_classes,
        _odd_classes, _unfinished_pretraining, _unplaced,
    )
}  # fmt: skip
"""What can be the matter with a run, by name; each makes one in a folder of runs."""

MAPS_ALONE = {
    "half_maps", "no_maps_file", "garbage_summary", "empty_summary", "no_summary", "unplaced",
    "garbage_energy",
}  # fmt: skip
"""Where scores and predictions are whole."""


def broken_store(folder: Path, *which: str) -> Path:
    """A folder with those broken runs, by default with all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in which or BROKEN:
        BROKEN[name](folder)
    return folder
