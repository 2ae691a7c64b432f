"""Denoisers trained on some people's mixtures and tested on those of others.

Brains, eyes and muscles of a test person are in no mixture of the training. Every net is tested on
the same windows: they depend on the people, the recipe and the ratios, and on no net and no seed.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from neurodecode.artifacts.bank import KINDS, Bank, Mixture, Recipe, draw, split_people
from neurodecode.artifacts.trained import save_denoiser
from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.seeding import derive_seed, generator
from neurodecode.evaluation import denoising as measure
from neurodecode.models import DENOISERS
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run, writing
from neurodecode.training.denoise import fit_denoiser

Report = Callable[[str, int, int], None]

N_PARTS = 5
"""Of the people: three to train on, one to choose weights by, one to test."""

METRICS = ("rrmse", "rrmse_spectrum", "correlation", "snr_gain")


class Parts(NamedTuple):
    """The people of a run; nobody is in two of them."""

    train: Bank
    validation: Bank
    test: Bank


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseTask:
    """What all nets of a run share.

    Attributes
    ----------
    parts
        People.
    recipe
        Of training and validation; `n_times` is the net's own.
    snr, n_windows
        Of the test: ratios, dB, and windows for each person, kind and ratio.
    dataset, protocol, simulated
        Words of the rows.
    account
        Of the training, for the header of the weights.
    """

    parts: Parts
    recipe: Recipe
    snr: Sequence[float]
    n_windows: int
    dataset: str
    protocol: str
    simulated: bool
    account: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseJob:
    """One net with one seed; `train` are the options of `fit_denoiser`."""

    name: str
    options: Mapping[str, Any]
    train: Mapping[str, Any]
    seed: int
    key: str


def split_three(bank: Bank, *, seed: int = 0) -> Parts:
    """People to train on, to choose weights by and to test.

    Raises
    ------
    SignalError
        If there are too few for a brain, eyes and muscles in every part.
    """
    people = [{s.subject for s in sources} for sources in (bank.brains, bank.eyes, bank.muscles)]
    fewest = min(len(names) for names in people if names)
    n_parts = min(N_PARTS, max(3, fewest))
    try:
        parts = split_people(bank, n_parts=n_parts, seed=seed)
    except SignalError:
        if n_parts == 3:
            raise
        parts = split_people(bank, n_parts=3, seed=seed)
    test, validation, *rest = parts
    train = bank.of([name for part in rest for name in part.subjects])
    return Parts(train=train, validation=validation, test=test)


def build_denoiser(name: str, options: Mapping[str, Any], *, seed: int = 0) -> nn.Module:
    """An untrained net; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "denoiser", name))
        net: nn.Module = DENOISERS.get(name)(**options)
    return net


def check_fit(net: nn.Module, name: str, *, sfreq: float, placed: bool) -> None:
    """Refuse a net that cannot be trained on a bank.

    Raises
    ------
    ConfigError
        If it needs positions and there are none, or is made for another rate.
    """
    if getattr(net, "needs_positions", False) and not placed:
        raise ConfigError(
            f"{name} lays channels onto a cap, and single channels without a position lie nowhere. "
            f"Leave it out: --model tinyconv,atat."
        )
    if float(net.sfreq) != sfreq:  # type: ignore[arg-type]
        raise ConfigError(f"{name} takes {net.sfreq} Hz, and the sources have {sfreq:g} Hz.")


def check_sources(parts: Parts, recipe: Recipe, snr: Sequence[float]) -> None:
    """Refuse kinds of artifacts of which there is no source, and decibels that mean nothing.

    Raises
    ------
    ConfigError
        Saying which.
    """
    for ratio in (*recipe.snr, *snr):
        if not -60 <= ratio <= 60:
            raise ConfigError(f"snr = {ratio:g} dB is not between -60 and 60. Usual: -10 to 10.")
    for kind, words in {"eog": "eyes", "emg": "muscles"}.items():
        wanted = recipe.shares.get(kind, 0) > 0 or recipe.shares.get("both", 0) > 0
        if wanted and not getattr(parts.train, words):
            raise ConfigError(
                f"[mix.shares] asks for {words}, and there are none in the bank. Write shares of "
                f"those that there are, such as --set mix.shares.{kind}=0 mix.shares.both=0."
            )


def stated_mixtures(
    test: Bank, recipe: Recipe, *, snr: Sequence[float], n_windows: int
) -> Iterator[tuple[str, str, float, Mixture]]:
    """Person, kind, ratio and windows of the test, always the same.

    The brain is the person's, the artifacts are anybody's in the test; with "both", eyes and
    muscles are mixed in at the ratio each.
    """
    there = {"none": True, "eog": bool(test.eyes), "emg": bool(test.muscles)}
    there["both"] = there["eog"] and there["emg"]
    for subject in dict.fromkeys(s.subject for s in test.brains):
        own = replace(test, brains=[s for s in test.brains if s.subject == subject])
        for kind in (k for k in KINDS if there[k]):
            for ratio in snr if kind != "none" else (float("nan"),):
                exact = replace(
                    recipe,
                    shares={kind: 1.0},
                    pairing="people",
                    snr=(0.0, 0.0) if kind == "none" else (ratio, ratio),
                )
                rng = generator(0, "denoise test", subject, kind, ratio)
                yield subject, kind, float(ratio), draw(own, exact, n_windows, rng)


def measure_net(
    net: nn.Module, test: Bank, recipe: Recipe, *, snr: Sequence[float], n_windows: int
) -> tuple[pd.DataFrame, float]:
    """How well a net does on the test people, a line per window; and seconds per window.

    Columns are ``subject``, ``kind``, ``snr``, `METRICS`, and ``rrmse_before`` and so on, of the
    window as it was.
    """
    lines, seconds = [], 0.0
    net.eval()
    for subject, kind, ratio, mixture in stated_mixtures(
        test, recipe, snr=snr, n_windows=n_windows
    ):
        where = None if mixture.directions is None else torch.from_numpy(mixture.directions)
        began = time.perf_counter()
        with torch.inference_mode():
            cleaned = net(torch.from_numpy(mixture.noisy), where).numpy()
        seconds += time.perf_counter() - began
        for after, noisy, clean in zip(cleaned, mixture.noisy, mixture.clean, strict=True):
            line: dict[str, Any] = {"subject": subject, "kind": kind, "snr": ratio}
            line |= _errors(after, clean, test.sfreq)
            dirty = kind != "none"
            line["snr_gain"] = measure.snr_gain(after, noisy, clean) if dirty else float("nan")
            before = _errors(noisy, clean, test.sfreq)
            lines.append(line | {f"{name}_before": value for name, value in before.items()})
    return pd.DataFrame(lines), seconds / max(1, len(lines))


def _errors(x: Any, clean: Any, sfreq: float) -> dict[str, float]:
    return {
        "rrmse": measure.rrmse(x, clean),
        "rrmse_spectrum": measure.rrmse_spectrum(x, clean, sfreq),
        "correlation": measure.correlation(x, clean),
    }


def run_denoise_job(
    task: DenoiseTask, job: DenoiseJob, run: Run, report: Report = lambda words, done, total: None
) -> ResultRow:
    """Train a net, test it, and keep weights, errors and row; the row is what says "finished"."""
    net = build_denoiser(job.name, job.options, seed=job.seed)
    n_times = int(net.n_times)  # type: ignore[arg-type]
    recipe = replace(task.recipe, n_times=n_times)
    began = time.perf_counter()
    history = fit_denoiser(
        net,
        task.parts.train,
        task.parts.validation,
        recipe,
        job.seed,
        lambda words, done, total: report(f"{job.name}: {words}", done, total),
        **job.train,
    )
    fit_time = time.perf_counter() - began
    net.cpu()
    table, predict_time = measure_net(
        net, task.parts.test, recipe, snr=task.snr, n_windows=task.n_windows
    )
    mixed = table[table["kind"] != "none"]
    per_person = (mixed if len(mixed) else table).groupby("subject")[list(METRICS)].mean()
    scores = {name: float(per_person[name].mean()) for name in METRICS}
    row = ResultRow(
        key=job.key,
        paradigm="denoise",
        dataset=task.dataset,
        protocol=task.protocol,
        fold="test people",
        subject="*",
        session="*",
        model=job.name,
        align="none",
        seed=job.seed,
        labels="true",
        metric="rrmse",
        score=scores["rrmse"],
        scores={name: value for name, value in scores.items() if np.isfinite(value)},
        n_train=len(task.parts.train.subjects),
        n_test=len(table),
        n_chans=task.parts.test.brains[0].n_chans,
        n_times=n_times,
        n_classes=0,
        sfreq=task.parts.test.sfreq,
        n_params=sum(p.numel() for p in net.parameters()),
        fit_time=fit_time,
        predict_time=predict_time,
        history=history,
        simulated=task.simulated,
    )
    training = {**task.account, "train": dict(job.train), "seed": job.seed, "history": history}
    with writing(run.checkpoint_file(job.key)) as file:
        save_denoiser(net, file, name=job.name, options=job.options, training=training)
    run.write_fold(row, table)
    return row
