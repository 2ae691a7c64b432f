"""Where windows slide, a run scores alarms, and its choices reach the folds."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neurodecode.core.errors import ConfigError
from neurodecode.epochs.epochset import EpochSet
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.fit import fit, make_plan
from neurodecode.results.store import load_rows

SLIDE = {
    "models": ["line_length_lr"],
    "epochs.slide": True,
    "epochs.window": [0.0, 4.0],
    "epochs.stride": 2.0,
}


def choices(**more: Any) -> dict[str, Any]:
    return resolve("seizure", flags={**SLIDE, **more})


def epochs(n_recordings: int = 3) -> EpochSet:
    """One person; in each recording a seizure of 20 s that is three times as large."""
    n = 90
    lines = [
        {"dataset": "d", "subject": "1", "session": str(k), "run": "0", "onset": 2.0 * i,
         "block": 0}
        for k in range(n_recordings) for i in range(n)
    ]  # fmt: skip
    y = np.tile((np.arange(n) // 10 == 4).astype(np.int64), n_recordings)
    x = np.random.default_rng(0).standard_normal((len(y), 2, 128)).astype(np.float32)
    x[y == 1] *= 3
    return EpochSet(
        x=x,
        y=y,
        classes=("background", "seizure"),
        table=pd.DataFrame(lines),
        ch_names=("A", "B"),
        sfreq=32.0,
    )


def test_a_run_over_recordings_scores_alarms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neurodecode.experiment.fit.load_data", lambda *_, **__: (epochs(), None))
    run = fit(
        choices(**{"evaluation.protocol": "cross-session", "evaluation.metric": "event_f1"}),
        tmp_path,
    )
    rows = load_rows([run])
    assert len(rows) == 3
    assert (rows["score"] == 1).all()
    assert [s["n_events"] for s in rows["scores"]] == [1, 1, 1]


def test_windows_that_share_samples_with_the_test_side_are_not_planned_for() -> None:
    plan = make_plan(
        choices(
            **{
                "evaluation.protocol": "within-session",
                "evaluation.n_folds": 2,
                "evaluation.order": "blocks",
            }
        ),
        _in_two_blocks(epochs()),
    )
    for job in plan.jobs:
        assert 88 <= len(job.fold.train) + len(job.fold.test) <= 89


def _in_two_blocks(e: EpochSet) -> EpochSet:
    """A second seizure in each recording, and a block around each."""
    nth = np.tile(np.arange(90), 3)
    e.table["block"] = (nth >= 60).astype(int)
    e.y[(nth >= 70) & (nth < 80)] = 1
    return e


def test_stride_and_rule_reach_the_folds_and_their_keys() -> None:
    more = {"evaluation.protocol": "cross-session"}
    free = make_plan(choices(**more), epochs())
    given = make_plan(choices(**more, **{"evaluation.threshold": 0.7}), epochs())
    assert free.task.detection is not None
    assert given.task.detection is not None
    assert free.task.detection.stride == 2.0
    assert free.task.detection.threshold is None
    assert given.task.detection.threshold == 0.7
    assert not {job.key for job in free.jobs} & {job.key for job in given.jobs}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"epochs.slide": False, "evaluation.threshold": 0.5},
            "Leave it out, or give --set epochs",
        ),
        ({"epochs.slide": False, "evaluation.metric": "event_f1"}, "Give --set epochs.slide=true"),
        ({"evaluation.threshold": 1.5}, "is no probability"),
        ({"evaluation.smoothing": -1.0}, "is no time"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        choices(**more)
