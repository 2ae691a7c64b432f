"""A whole cross-subject evaluation, beside MOABB with braindecode's classifier.

python benchmarks/evaluation.py [--model eegnet] [--cold] [--rounds N] [--json FILE]

Simulated people are left out one by one, and a net is trained on the others: here by `fit` as
`neurodecode fit` calls it, there by MOABB's `CrossSubjectEvaluation` around braindecode's
`EEGClassifier`. Both train the same net by the same recipe (AdamW at a constant rate, batches of
32, as many epochs, the epoch of the least validation loss) on as many windows: a part of the
training side, as large as ours leaves out, is held out on both sides. Ours holds out whole people,
skorch draws windows. Theirs sees windows standardised by channel, as ours does.

Every evaluation is a fresh process, timed from its start to its scores, with a seed of its own. The
recordings are simulated beforehand and lie on disk for both. By default each side has met them
before: ours reads its windows from its cache, theirs takes what MOABB's cache gives. With --cold
both filter and cut the recordings anew. --their-jobs is MOABB's n_jobs; by default one a core, as
ours, which is faster than MOABB's own default of 1.
"""

import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any, Self

import side_by_side
from simulated_people import choices_for, people

ARGUMENTS = ("--model eegnet", "--model dbconformer", "--model eegnet --cold")
SFREQ, N_CHANS = 250.0, 22
RATES = {"eegnet": 5e-3, "dbconformer": 1e-3}  # so that a few epochs are enough to learn something
METRIC = "balanced_accuracy"


def options_of() -> ArgumentParser:
    """The options."""
    parser = side_by_side.parser(__doc__, rounds=3)
    parser.add_argument("--model", choices=RATES, default="eegnet")
    parser.add_argument("--cold", action="store_true", help="preprocess anew on both sides")
    parser.add_argument("--epochs", type=int, default=4, help="of training")
    parser.add_argument("--lr", type=float, help="learning rate")
    parser.add_argument("--subjects", type=int, default=9)
    parser.add_argument("--sessions", type=int, default=2)
    parser.add_argument("--trials", type=int, default=72, help="of a session")
    parser.add_argument("--window", type=float, default=4.0, help="s")
    parser.add_argument("--jobs", type=int, help="processes of ours; by default as `fit` chooses")
    parser.add_argument("--their-jobs", type=int, default=os.cpu_count(), help="n_jobs of MOABB")
    parser.add_argument("--side", choices=("ours", "theirs"), help="one evaluation, in here")
    parser.add_argument("--folder", type=Path, help="what the sides share")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main() -> None:
    """The ratio, and the scores of both."""
    options = options_of().parse_args()
    options.lr = options.lr or RATES[options.model]
    if options.side:
        side = ours if options.side == "ours" else theirs
        sys.stdout.write(json.dumps(side(options)) + "\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        options.folder = options.folder or Path(folder)
        compare(options)


def compare(options: Namespace) -> None:
    """Let the sides take turns, and print what came out."""
    simulate(options)
    if not options.cold:
        for side in ("ours", "theirs"):  # to fill the caches
            evaluate(side, 0, options, "--epochs=1")
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    scores: dict[str, list[float]] = {"ours": [], "theirs": []}
    for turn in range(options.rounds):
        for side in ("ours", "theirs") if turn % 2 == 0 else ("theirs", "ours"):
            start = time.perf_counter()
            found = evaluate(side, turn + 1, options)
            seconds[side].append(time.perf_counter() - start)
            scores[side].append(statistics.mean(found.values()))
    agreement = agree(scores["ours"], scores["theirs"])
    state = "preprocessing anew" if options.cold else "windows cached"
    side_by_side.finish(
        side_by_side.compare(
            seconds["ours"], seconds["theirs"], name="evaluation", unit="s",
            what=f"cross-subject evaluation of {options.model}, {options.subjects} people, "
            f"{options.epochs} epochs, {state}, against MOABB + braindecode; {agreement['words']}",
            details={"seconds": seconds, "scores": scores, **agreement},
        ),
        options.json,
    )  # fmt: skip
    print(agreement["words"])


def agree(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """Whether the means over seeds differ by less than twice the standard error of that."""
    means = statistics.mean(ours), statistics.mean(theirs)
    found: dict[str, Any] = {"difference": means[0] - means[1], "noise": None, "agree": None}
    words = f"balanced accuracy {means[0]:.3f} and {means[1]:.3f}"
    if len(ours) < 2:
        return {**found, "words": f"{words}, of one seed"}
    variances = statistics.variance(ours), statistics.variance(theirs)
    noise = 2 * (sum(variances) / len(ours)) ** 0.5
    within = abs(found["difference"]) <= noise
    words += f" over {len(ours)} seeds, {'within' if within else 'beyond'} seed noise ({noise:.3f})"
    return {**found, "noise": noise, "agree": within, "words": words}


def simulate(options: Namespace) -> None:
    """Simulate everybody in a process of its own, so that both sides find them on disk."""
    card = card_of(options)
    code = (
        "import sys; from neurodecode.recordings.cards import find_card, open_dataset; "
        "d = open_dataset(find_card(sys.argv[1], paradigm='mi')); "
        "[d.get_data([s]) for s in d.subject_list]"
    )
    subprocess.run([sys.executable, "-c", code, str(card)], env=surroundings(options), check=True)


def card_of(options: Namespace) -> Path:
    """The card of the people."""
    return people(
        options.folder, n_subjects=options.subjects, n_sessions=options.sessions,
        n_trials=options.trials, sfreq=SFREQ,
    )  # fmt: skip


def surroundings(options: Namespace) -> dict[str, str]:
    """Environment of a side: caches of its own, nothing that tells torch how to work."""
    threads = {} if options.threads == os.cpu_count() else {"OMP_NUM_THREADS": str(options.threads)}
    return {
        **os.environ,
        **threads,
        "NEURODECODE_CACHE": str(options.folder / "cache"),
        "MNE_DATA": str(options.folder / "mne"),
        "MOABB_RESULTS": str(options.folder / "moabb"),
        "MNE_LOGGING_LEVEL": "ERROR",
        "MOABB_DOWNLOAD_PROVIDER": "upstream",  # asks no mirror
    }


def evaluate(side: str, seed: int, options: Namespace, *more: str) -> dict[str, float]:
    """Score of each person, by one side in a fresh process."""
    names = ("model", "epochs", "lr", "subjects", "sessions", "trials", "window", "folder")
    words = [f"--{n.replace('_', '-')}={getattr(options, n)}" for n in names]
    words += [f"--jobs={options.jobs}"] if options.jobs else []
    words += [f"--their-jobs={options.their_jobs}"]
    words += ["--cold"] if options.cold else []
    call = [sys.executable, __file__, f"--side={side}", f"--seed={seed}", *words, *more]
    done = subprocess.run(
        call, env=surroundings(options), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr}")
    scores: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return scores


def choose(options: Namespace) -> dict[str, Any]:
    """Choices of the evaluation."""
    return choices_for(
        card_of(options), options.model,
        **{
            "data.cache": not options.cold, "epochs.window": [0.0, options.window],
            "evaluation.seeds": [options.seed],
            "evaluation.metric": METRIC, "train.epochs": options.epochs, "train.lr": options.lr,
        },
    )  # fmt: skip


def ours(options: Namespace) -> dict[str, float]:
    """Ours, as `neurodecode fit` does it, into a fresh folder of runs."""
    from neurodecode.experiment.fit import fit
    from neurodecode.results.store import load_rows

    choices = choose(options)
    with tempfile.TemporaryDirectory() as runs:
        rows = load_rows([fit(choices, Path(runs), n_workers=options.jobs)])
    return {str(row.subject): float(row.score) for row in rows.itertuples()}


def theirs(options: Namespace) -> dict[str, float]:
    """MOABB's evaluation of braindecode's classifier around the same net."""
    warnings.simplefilter("ignore")  # what MOABB warns of is MOABB's
    from moabb.evaluations import CrossSubjectEvaluation
    from sklearn.pipeline import make_pipeline

    from neurodecode.evaluation.moabb import moabb_paradigm
    from neurodecode.recordings.cards import find_card, open_dataset

    logging.disable(logging.WARNING)
    caches = {"save_array": True, "use": True, "path": str(options.folder / "moabb")}
    with tempfile.TemporaryDirectory() as folder:
        evaluation = CrossSubjectEvaluation(
            paradigm=moabb_paradigm(choose(options), sfreq=SFREQ, scorer=METRIC),
            datasets=[open_dataset(find_card(str(card_of(options)), paradigm="mi"))],
            hdf5_path=folder,
            overwrite=True,
            n_jobs=options.their_jobs,
            random_state=options.seed,
            cache_config=None if options.cold else caches,
        )
        pipeline = make_pipeline(Standardized(options.seed), classifier(options))
        results = evaluation.process({options.model: pipeline})
    scores = results.groupby("subject")["score"].mean()
    return {str(subject): float(score) for subject, score in scores.items()}


class Standardized:
    """Every channel with mean 0 and variance 1 over the training windows; it seeds torch too.

    Workers of MOABB are processes, in which nobody else does.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def get_params(self, deep: bool = True) -> dict[str, int]:
        """For scikit-learn."""
        return {"seed": self.seed}

    def fit(self, x: Any, y: Any = None) -> Self:
        """Measure windows (n_epochs, n_chans, n_times)."""
        import torch

        torch.manual_seed(self.seed)
        self.mean_ = x.mean(axis=(0, 2), keepdims=True)
        self.scale_ = x.std(axis=(0, 2), keepdims=True)
        return self

    def transform(self, x: Any) -> Any:
        """Standardised windows."""
        return ((x - self.mean_) / self.scale_).astype("float32")


def classifier(options: Namespace) -> Any:
    """The classifier of braindecode, which trains as ours does."""
    import torch
    from braindecode import EEGClassifier
    from skorch.callbacks import EarlyStopping
    from skorch.dataset import ValidSplit

    from neurodecode.training.estimator import HELD_OUT

    n_others = options.subjects - 1
    share = max(1, round(HELD_OUT * n_others)) / n_others
    return EEGClassifier(
        net_class(options.model),
        module__n_chans=N_CHANS,
        module__n_times=round(options.window * SFREQ),
        module__n_outputs=2,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        optimizer__lr=options.lr,
        optimizer__weight_decay=0.01,
        batch_size=32,
        max_epochs=options.epochs,
        iterator_train__shuffle=True,
        train_split=ValidSplit(share, stratified=True, random_state=options.seed),
        callbacks=[("best", EarlyStopping(patience=options.epochs + 1, load_best=True))],
        classes=[0, 1],
        device="cpu",
        verbose=0,
    )


def net_class(model: str) -> Any:
    """The net of braindecode, or the plain one written from the paper."""
    if model == "eegnet":
        from braindecode.models import EEGNet

        return EEGNet
    from reference_dbconformer import ReferenceDBConformer

    return ReferenceDBConformer


if __name__ == "__main__":
    main()
