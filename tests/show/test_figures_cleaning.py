"""Figures of cleaners: paired gains with their intervals, and errors where the answer is known."""

import numpy as np
import pandas as pd
import pytest

from neurodecode.results.denoising import METRICS, NOTHING
from neurodecode.show.figures import cleaning

EFFECTS = pd.DataFrame(
    {
        "model": ["toy"] * 3, "align": ["none"] * 3,
        "clean": ["none", "asr:own", "asr:own:removed"],
        "score": [0.8, 0.82, 0.5], "gain": [np.nan, 0.02, -0.3], "low": [np.nan, -0.01, -0.4],
        "high": [np.nan, 0.05, -0.2], "p": [np.nan, 0.2, 0.01],
    }
)  # fmt: skip
DIRTY = EFFECTS.assign(
    dirty_score=[0.6, 0.75, 0.5], dirty_gain=[-0.2, 0.15, -0.1], dirty_low=[-0.3, 0.1, -0.2],
    dirty_high=[-0.1, 0.2, 0.0], dirty_p=[0.01, 0.01, 0.5], given_back=[np.nan, 0.75, np.nan],
)  # fmt: skip
ERRORS = pd.DataFrame(
    [
        {
            "model": model, "n_params": 0, "kind": kind, "snr": snr, "n_people": 5,
            **{
                f"{metric}{end}": np.nan if (kind, metric) == ("none", "snr_gain") else 0.5
                for metric in METRICS
                for end in ("", "_low", "_high")
            },
        }
        for model in (NOTHING, "art")
        for kind in ("none", "eog", "emg")
        for snr in (-5.0, 5.0)
    ]
)  # fmt: skip


def test_gains_are_in_percentage_points_and_the_uncleaned_has_none() -> None:
    table = cleaning.cleaning_gains(EFFECTS).table
    assert table["clean"].tolist() == ["asr:own", "asr:own:removed"]
    assert table["gain (percentage points)"].tolist() == pytest.approx([2, -30])
    assert table["low (percentage points)"].tolist() == pytest.approx([-1, -40])


def test_contaminated_data_stand_beside_those_as_recorded() -> None:
    figure = cleaning.cleaning_gains(DIRTY)
    assert figure.table.groupby("data", sort=False).size().to_dict() == {
        "as recorded": 2, "contaminated": 3,
    }  # fmt: skip
    assert figure.svg().startswith("<svg")
    assert "uncleaned, against as recorded" in figure.chart.to_json()


def test_denoisers_have_a_panel_for_each_metric_with_words_for_what_is_better() -> None:
    by_kind = ERRORS[ERRORS["snr"] == 5]
    figure = cleaning.denoiser_errors(by_kind)
    text = figure.chart.to_json()
    assert "RRMSE, time (less is better)" in text
    assert "SNR gain (dB) (more is better)" in text
    assert set(figure.table["artifact"]) == {"none", "eyes", "muscles"}
    assert figure.svg().startswith("<svg")


def test_errors_against_the_ratio_leave_out_windows_without_artifacts() -> None:
    figure = cleaning.denoisers_by_ratio(ERRORS)
    assert set(figure.table["artifact"]) == {"eyes", "muscles"}
    assert "Signal to artifact (dB)" in figure.chart.to_json()
    assert figure.svg().startswith("<svg")
