"""A small simulated data set, read once for all tests of this folder."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
