"""Is the power before the cue that of rest, whatever windows the run has?"""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from neurodecode.epochs.epochset import EpochSet
from neurodecode.experiment.baseline import at_rest, baselines
from neurodecode.explain.erds import desynchronisation
from neurodecode.explain.windows import Axes


def quiet(words: str, done: int, total: int) -> None:
    """Say nothing."""


@pytest.fixture
def power(choices: dict[str, Any]) -> dict[tuple[str, str], np.ndarray]:
    return baselines(choices, quiet)


def test_everybody_has_rest_before_the_cue(
    power: dict[tuple[str, str], np.ndarray], tiny_epochs: EpochSet
) -> None:
    people = tiny_epochs.table[["dataset", "subject"]].drop_duplicates()
    assert set(power) == set(people.itertuples(index=False, name=None))
    for own in power.values():
        assert own.shape == (5, 32)  # half of 64 Hz, in steps of 1 Hz
        assert (own > 0).all()


def test_hands_silence_the_rhythm_on_the_other_side(
    power: dict[tuple[str, str], np.ndarray], tiny_epochs: EpochSet
) -> None:
    """Simulated left hands are seen at C4, right hands at C3, against before the cue."""
    epochs = tiny_epochs
    axes = Axes(classes=epochs.classes, ch_names=epochs.ch_names, sfreq=64.0, n_times=128)
    changes = []
    for (_, subject), before in power.items():
        own = (epochs.table["subject"] == subject).to_numpy()
        maps = desynchronisation(epochs.x[own], epochs.y[own], before, axes)
        changes.append(maps.kinds["chan"])
    left, right = np.mean(changes, axis=0)
    c3, c4 = epochs.ch_names.index("C3"), epochs.ch_names.index("C4")
    assert left[c4] < min(left[c3], 0) - 0.3
    assert right[c3] < min(right[c4], 0) - 0.3


def test_it_is_before_the_event_wherever_the_windows_start(
    choices: dict[str, Any], power: dict[tuple[str, str], np.ndarray]
) -> None:
    choices["epochs"] |= {"window": [0.5, 1.5], "stride": 0.25}
    for who, later in baselines(choices, quiet).items():
        np.testing.assert_array_equal(later, power[who])


def test_short_windows_have_a_baseline_of_their_own_resolution(choices: dict[str, Any]) -> None:
    choices["epochs"]["window"] = [0.0, 0.5]
    for own in baselines(choices, quiet).values():
        assert own.shape == (5, 16)


def test_windows_that_slide_stand_at_no_cue(choices: dict[str, Any]) -> None:
    choices["epochs"]["slide"] = True
    assert baselines(choices, quiet) == {}


def test_recordings_that_cannot_be_read_so_have_none(choices: dict[str, Any]) -> None:
    choices["data"]["events"] = ["left_hand", "feet"]
    assert baselines(choices, quiet) == {}


def test_a_task_that_reaches_into_the_stretch_is_no_rest() -> None:
    """Events at 2, 6, 9 and 20 s in one run, at 8 s in another; each lasts 3 s."""
    onset = np.array([2.0, 6.0, 9.0, 20.0, 8.0])
    table = pd.DataFrame(
        {
            "dataset": "made",
            "subject": "1",
            "session": "0",
            "run": ["0"] * 4 + ["1"],
            "onset": onset - 1.5,
        }
    )
    # Before the third, the task ends at 9 s; before the second, at 5 s, half a second late.
    assert at_rest(table, {"made": 3.0}).tolist() == [True, False, False, True, True]
    assert at_rest(table, {"made": 2.5}).tolist() == [True, True, False, True, True]


def test_subjects_without_rest_are_left_out(
    choices: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neurodecode.experiment.baseline.BEFORE", (-3.6, -2.6))
    found = baselines(choices, quiet)  # trials of 2 s are 2 to 3 s apart
    assert found == {}
