"""Preprocessing and loading windows of imagined hands, next to MOABB's own `get_data`.

    python benchmarks/loading.py [--cached] [--data-dir FOLDER] [--rounds N] [--json FILE]

Both filter the same recordings to 8-32 Hz and cut the same windows, in one process. Without
``--cached``, each reads and filters the recordings anew, and neither keeps anything; with it, each
takes what it has kept: we our windows, MOABB the windows of its own cache. Recordings are those of
the simulator, itself kept, as a MOABB data set; with ``--data-dir``, those of EEGMMIDB (subjects 1
to 13, hands and feet) where MOABB finds them in that folder.
"""

import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MOABB_DOWNLOAD_PROVIDER", "upstream")

import numpy as np
from side_by_side import finish, parser, side_by_side
from simulated_people import people

ARGUMENTS = ("", "--cached")
SIMULATED = {"n_subjects": 9, "n_sessions": 2, "n_trials": 72, "sfreq": 250.0}
BAND = (8.0, 32.0)


def simulated(folder: Path) -> tuple[str, Any, list[str]]:
    """Card and MOABB object of the same simulated people, and their classes."""
    from neurodecode.recordings.synthetic import Synthetic

    return str(people(folder, **SIMULATED)), Synthetic(**SIMULATED), ["left_hand", "right_hand"]


def real(folder: Path) -> tuple[str, Any, list[str]]:
    """The same of EEGMMIDB."""
    from neurodecode.recordings.cards import find_card, open_dataset

    if not any(folder.glob("MNE-eegbci-data/**/S001R04.edf")):
        sys.exit(f"loading: not measured, {folder} holds no MNE-eegbci-data/.../S001R04.edf")
    for name in ("MNE_DATA", "MNE_DATASETS_EEGBCI_PATH"):
        os.environ[name] = str(folder.resolve())
    card = find_card("eegmmidb13", paradigm="mi")
    return "eegmmidb13", open_dataset(card, data_dir=str(folder)), ["hands", "feet"]


def main() -> None:
    """Let both read the same recordings in turn."""
    made = parser(__doc__, rounds=5)
    made.add_argument("--cached", action="store_true", help="each takes what it has kept")
    made.add_argument("--data-dir", type=Path, help="folder with MNE-eegbci-data")
    options = made.parse_args()
    warnings.simplefilter("ignore")  # of MOABB, about its own data sets
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["NEURODECODE_CACHE"] = str(folder / "cache")
        card, dataset, events = (
            simulated(folder) if not options.data_dir else real(options.data_dir)
        )
        compare_loading(card, dataset, events, folder, options)


def compare_loading(card: str, dataset: Any, events: list[str], folder: Path, options: Any) -> None:
    """Measure and print."""
    from moabb.datasets.base import CacheConfig
    from moabb.paradigms import MotorImagery

    from neurodecode.experiment.choices import resolve
    from neurodecode.experiment.data import load_epochs

    flags = {
        "data.dataset": [card],
        "data.data_dir": str(options.data_dir.resolve()) if options.data_dir else None,
        "data.events": events,
        "data.cache": options.cached,
        "models": ["csp_lda"],
        "preprocess.band": list(BAND),
        "epochs.endpoint": True,  # as MOABB's windows
    }
    choices = resolve("mi", flags=flags)
    paradigm = MotorImagery(events=events, n_classes=2, fmin=BAND[0], fmax=BAND[1])
    kept = CacheConfig(
        save_array=options.cached, use=options.cached, verbose="ERROR",
        path=str(folder / "moabb"),
    )  # fmt: skip

    def ours() -> Any:
        return load_epochs(choices).x

    def theirs() -> Any:
        return paradigm.get_data(dataset, cache_config=kept)[0]

    x, other = ours(), theirs()
    difference = float(np.abs(np.sort(x[:, 0, 0]) - np.sort(other[:, 0, 0])).max())
    what = "kept windows" if options.cached else "recordings to windows, nothing kept"
    finish(
        side_by_side(
            ours, theirs, name="loading" + ("_cached" if options.cached else "_cold"),
            what=f"Against MOABB's get_data: {what}, {len(x)} windows of {dataset.code}",
            rounds=options.rounds, unit="s",
            details={
                "windows": list(x.shape), "moabb": list(other.shape), "difference_uV": difference,
                "bytes": x.nbytes,
            },
        ),
        options.json,
    )  # fmt: skip


if __name__ == "__main__":
    main()
