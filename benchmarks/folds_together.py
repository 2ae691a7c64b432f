"""Folds and seeds trained in one pass, beside the same nets trained one by one.

python benchmarks/folds_together.py [--model dbconformer] [--folds 4] [--seeds 1] [--epochs 2]
    [--device cpu] [--one-by-one N] [--rounds N] [--json FILE]

People are noise in which one channel is louder in a class; every fold leaves one out, and people of
the training side choose the epoch. Both sides are ours, from the windows to fitted decoders. Where
there are many nets, --one-by-one trains that many of them one by one, and their time is taken in
proportion. The accuracies on people left out are printed for both.
"""

import statistics
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from side_by_side import compare, finish, parser

from neurodecode.training.estimator import Decoder
from neurodecode.training.together import fit_decoders

ARGUMENTS = ("--model eegnet", "--model dbconformer")
SFREQ, N_CHANS = 250.0, 22
LOUDER = 1.15  # so that accuracies are neither at chance nor at 1

Given = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.str_]]


def options_of() -> ArgumentParser:
    """The options."""
    made = parser(__doc__, rounds=5)
    made.add_argument("--model", default="dbconformer")
    made.add_argument("--folds", type=int, default=4, help="people, each left out once")
    made.add_argument("--seeds", type=int, default=1)
    made.add_argument("--trials", type=int, default=72, help="of each of them")
    made.add_argument("--window", type=float, default=4.0, help="s")
    made.add_argument("--epochs", type=int, default=2)
    made.add_argument("--device", default="cpu")
    made.add_argument("--one-by-one", type=int, help="of the nets; by default all")
    return made


def main() -> None:
    """One line, and the accuracies."""
    options = options_of().parse_args()
    torch.set_num_threads(options.threads)
    everybody = people(options)
    n_nets = options.folds * options.seeds
    n_single = min(options.one_by_one or n_nets, n_nets)
    for together in (True, False):  # one epoch, to have everything compiled and loaded
        fit(everybody, options, min(2, n_nets), epochs=1, together=together)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    accuracies: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(options.rounds):
        for together in (True, False) if turn % 2 == 0 else (False, True):
            n = n_nets if together else n_single
            start = time.perf_counter()
            decoders = fit(everybody, options, n, epochs=options.epochs, together=together)
            seconds[together].append((time.perf_counter() - start) * n_nets / n)
            accuracies[together] += score(decoders, everybody, options)
    means = {together: statistics.mean(values) for together, values in accuracies.items()}
    part = "" if n_single == n_nets else f" (measured on {n_single}, in proportion)"
    finish(
        compare(
            seconds[True], seconds[False], name="folds_together", unit="s",
            what=f"training of {n_nets} {options.model}, {options.folds} folds x {options.seeds} "
            f"seeds, {options.epochs} epochs, on {options.device}, together against one by "
            f"one{part}",
            details={"accuracy_together": means[True], "accuracy_one_by_one": means[False]},
        ),
        options.json,
    )  # fmt: skip
    print(f"accuracy: together {means[True]:.3f}, one by one {means[False]:.3f}")


def people(options: Namespace) -> Given:
    """Windows of everybody, their classes, and whose they are."""
    rng = np.random.default_rng(0)
    n = options.folds * options.trials
    shape = (n, N_CHANS, round(options.window * SFREQ))
    x = rng.standard_normal(shape, dtype=np.float32)
    y = np.arange(n, dtype=np.int64) % 2
    x[y == 1, 3] *= LOUDER
    return x, y, np.repeat([f"person {i}" for i in range(options.folds)], options.trials)


def fit(
    everybody: Given, options: Namespace, n_nets: int, *, epochs: int, together: bool
) -> list[Decoder]:
    """Fitted decoders, fold by fold for each seed."""
    x, y, who = everybody
    train: dict[str, Any] = {"epochs": epochs, "device": options.device, "patience": 10_000}
    decoders = [
        Decoder(options.model, sfreq=SFREQ, train=train, seed=i // options.folds)
        for i in range(n_nets)
    ]
    given = ((x[side], y[side], who[side]) for side in sides(who, options, n_nets))
    if together:
        fit_decoders(decoders, given)
    else:
        for decoder, (windows, labels, groups) in zip(decoders, given, strict=True):
            decoder.fit(windows, labels, groups)
    if options.device.startswith("cuda"):
        torch.cuda.synchronize()
    return decoders


def sides(who: NDArray[np.str_], options: Namespace, n_nets: int) -> list[NDArray[np.bool_]]:
    """Training windows of each net."""
    return [who != f"person {i % options.folds}" for i in range(n_nets)]


def score(decoders: Sequence[Decoder], everybody: Given, options: Namespace) -> list[float]:
    """Accuracy of each on the person that it has not seen."""
    x, y, who = everybody
    return [
        float(np.mean(decoder.predict(x[~side]) == y[~side]))
        for decoder, side in zip(decoders, sides(who, options, len(decoders)), strict=True)
    ]


if __name__ == "__main__":
    main()
