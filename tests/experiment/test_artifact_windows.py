"""What a cleaner takes out of the windows of a run, or why nothing can be."""

from typing import Any

import numpy as np
import pytest

from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.cleaning import Continuous
from neurodecode.evaluation.workers import Here, Pool
from neurodecode.experiment.artifact_windows import artifact_windows


def test_what_is_taken_out_and_what_is_left_are_what_was_recorded(
    choices: dict[str, Any], tiny_epochs: EpochSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cleaner is asked about the windows of the run, and what it leaves is subtracted.

    It takes long, so it says how far it is.
    """
    asked, said = [], []

    class Three(Here):
        n_workers = 3

    def halve(epochs: EpochSet, continuous: Continuous, word: str, pool: Pool) -> np.ndarray:
        asked.append((word, len(continuous.parts)))
        x = np.full_like(epochs.x, np.nan)
        for part in continuous.parts:
            x[part.index] = epochs.x[part.index] / 2
        return x

    monkeypatch.setattr("neurodecode.experiment.artifact_windows.own_windows", halve)
    found = artifact_windows(
        choices, tiny_epochs, pool=Three(), on_done=lambda *how_far: said.append(how_far[1:])
    )
    np.testing.assert_allclose(found, tiny_epochs.x / 2)
    assert asked == [("ica:own", 3), ("ica:own", 1)]
    assert said == [(0, 4), (3, 4)]


def test_nothing_to_take_out_is_said(choices: dict[str, Any], tiny_epochs: EpochSet) -> None:
    assert artifact_windows(choices, tiny_epochs, "asr:own") == (
        "asr:own found nothing to take out."
    )


def test_choices_stay_as_they_were(choices: dict[str, Any], tiny_epochs: EpochSet) -> None:
    artifact_windows(choices, tiny_epochs, "asr:own")
    assert choices["evaluation"]["clean"] == ("none",)


def test_a_cleaner_that_cannot_work_says_why(
    choices: dict[str, Any], tiny_epochs: EpochSet
) -> None:
    why = artifact_windows(choices, tiny_epochs, "zapline:own")
    assert isinstance(why, str)
    assert why.endswith(".")


def test_an_unknown_cleaner_is_said_and_not_raised(
    choices: dict[str, Any], tiny_epochs: EpochSet
) -> None:
    why = artifact_windows(choices, tiny_epochs, "icq:own")
    assert "icq" in why


def test_other_recordings_are_refused(choices: dict[str, Any], tiny_epochs: EpochSet) -> None:
    choices["preprocess"]["band"] = [4, 30]
    why = artifact_windows(choices, tiny_epochs, "asr:own")
    assert isinstance(why, str)
    assert "not those of the run" in why


def test_a_library_that_gives_up_is_said_and_not_raised(
    choices: dict[str, Any], tiny_epochs: EpochSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(*args: object, **kwargs: object) -> None:
        raise RuntimeError("shape is\ninvalid")

    monkeypatch.setattr("neurodecode.experiment.artifact_windows.own_windows", give_up)
    why = artifact_windows(choices, tiny_epochs)
    assert why == "ica:own failed on these recordings (shape is invalid)."
