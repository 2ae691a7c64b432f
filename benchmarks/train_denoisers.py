"""Train the denoisers that come with the package: `python benchmarks/train_denoisers.py [NAME...]`.

Simulated people only. The weights go to neurodecode/artifacts/trained/, with an account of the
training in their header; one core takes about half an hour for atat, less for the others.
"""

import sys
import time
from importlib.metadata import version

import torch

from neurodecode.artifacts.bank import Recipe
from neurodecode.artifacts.simulated import simulated_bank
from neurodecode.artifacts.trained import save_denoiser, shipped
from neurodecode.models import DENOISERS
from neurodecode.training.denoise import fit_denoiser

SEED, N_PEOPLE, N_VALIDATION, DURATION = 0, 60, 10, 60.0
SHARES = {"none": 0.15, "eog": 0.3, "emg": 0.3, "both": 0.25}
RECIPES = {  # montages of the 86 places of the 10-10 cap, drawn anew for each batch
    "tinyconv": {"n_chans": (1, 32), "steps": 2000, "batch_size": 256},
    "art": {"n_chans": (8, 30), "steps": 5000, "batch_size": 512},
    "atat": {"n_chans": (1, 32), "steps": 3500, "batch_size": 256},
}
THRESHOLD = 0.97  # of atat when it is used: at 0.95, where it is trained, blinks are missed


def main(names: list[str]) -> None:
    """Train, and say how far each has come."""
    torch.set_num_threads(1)
    bank = simulated_bank(N_PEOPLE, seed=SEED, duration=DURATION)
    people = bank.subjects
    train, validation = bank.of(people[:-N_VALIDATION]), bank.of(people[-N_VALIDATION:])
    for name in names:
        choices = RECIPES[name]
        recipe = Recipe(convention="power", snr=(-10, 6), shares=SHARES, n_chans=choices["n_chans"])
        train_options = {"steps": choices["steps"], "batch_size": choices["batch_size"], "lr": 2e-3}
        torch.manual_seed(0)
        net = DENOISERS.get(name)()
        start = time.time()

        def say(words: str, done: int, total: int, start: float = start) -> None:
            print(f"{time.time() - start:6.0f} s  {done}/{total}  {words}", flush=True)

        history = fit_denoiser(net, train, validation, recipe, 0, say, **train_options)
        account = {
            "command": f"python benchmarks/train_denoisers.py {name}",
            "data": f"SIMULATED: {N_PEOPLE - N_VALIDATION} people to learn from, {N_VALIDATION} to "
            f"choose the weights, {DURATION:g} s each, seed {SEED}",
            "mix": {"snr_dB_of_power": [-10, 6], "shares": SHARES, "n_chans": choices["n_chans"]},
            "train": train_options,
            "val_rrmse": min(history["val_rrmse"]),
            "versions": {name: version(name) for name in ("torch", "numpy", "mne")},
            "licence": "Apache-2.0",
        }
        options = {"threshold": THRESHOLD} if name == "atat" else {}
        save_denoiser(net, shipped(name), name=name, options=options, training=account)
        print(f"{shipped(name)}: relative error {min(history['val_rrmse']):.3f}")


if __name__ == "__main__":
    main(sys.argv[1:] or list(RECIPES))
