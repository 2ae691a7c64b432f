"""A small simulated data set, read once for all tests of this folder."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.epochs.epochset import EpochSet
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.data import load_epochs

CARD = """
name = "tiny"
description = "Four simulated subjects"
paradigm = "mi"
simulated = true
events = ["left_hand", "right_hand"]
[source]
kind = "synthetic"
[source.arguments]
n_subjects = 4
n_sessions = 1
n_trials = 16
sfreq = 64.0
duration = 2.0
cache = false
ch_names = ["C3", "Cz", "C4", "Fz", "Pz"]
"""


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cards") / "tiny.toml"
    path.write_text(CARD)
    return path


@pytest.fixture(scope="session")
def tiny_choices(card: Path) -> dict[str, Any]:
    return resolve(
        "mi",
        flags={
            "data.dataset": [str(card)],
            "models": ["csp_lda"],
            "preprocess.band": [8, 30],
            "evaluation.align": ["none"],
        },
    )


@pytest.fixture
def choices(tiny_choices: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(tiny_choices)


@pytest.fixture(scope="session")
def tiny_epochs(tiny_choices: dict[str, Any]) -> EpochSet:
    return load_epochs(tiny_choices)


@pytest.fixture
def loaded(tiny_epochs: EpochSet, monkeypatch: pytest.MonkeyPatch) -> Iterator[EpochSet]:
    """The data set is not simulated again by each test that fits."""
    data = (tiny_epochs, None)
    monkeypatch.setattr("neurodecode.experiment.fit.load_data", lambda *_, **__: data)
    return tiny_epochs


TEXTS = """
name = "texts"
description = "Text files"
paradigm = "state"
events = ["rest", "task"]
[source]
kind = "files"
pattern = "s{subject}_{part}.txt"
interval = [0.0, 4.0]
sfreq = 64.0
ch_names = ["Cz"]
unit = "uV"
[source.label]
field = "part"
values = { 1 = "rest", 2 = "task" }
[choices.epochs]
window = [0.0, 1.0]
stride = 1.0
"""


@pytest.fixture
def write_text() -> Callable[[Path, int], None]:
    """Writes a recording of one channel, four seconds at 64 Hz, that a seed fixes."""

    def write(path: Path, seed: int) -> None:
        x = np.random.default_rng(seed).integers(-50, 50, 256)
        path.write_text("\n".join(map(str, x)) + "\n")

    return write


@pytest.fixture
def texts_folder(tmp_path: Path, write_text: Callable[[Path, int], None]) -> Path:
    """Text files of three people, who rest and do a task; their card lies beside the folder."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    (tmp_path / "texts.toml").write_text(TEXTS)
    for subject in (1, 2, 3):
        for part in (1, 2):
            write_text(folder / f"s{subject}_{part}.txt", 10 * subject + part)
    return folder
