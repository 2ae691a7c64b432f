"""What cleaning does to decoding is said per subject, and against the right line."""

import numpy as np
import pandas as pd
import pytest

from neurodecode.core.errors import StoreError
from neurodecode.results.cleaning import effects

SUBJECTS = ["1", "2", "3", "4", "5"]


def rows(clean: str, scores: list[float], *, contaminated: str = "") -> pd.DataFrame:
    return pd.DataFrame({
        "dataset": "d", "subject": SUBJECTS, "fold": SUBJECTS, "model": "csp_lda", "align": "none",
        "clean": clean, "score": scores, "metric": "accuracy", "contaminated": contaminated,
    })  # fmt: skip


PLAIN = [0.8, 0.7, 0.9, 0.6, 0.75]
DIRTY = [s - 0.2 for s in PLAIN]


def test_differences_and_what_is_given_back() -> None:
    table = effects(pd.concat([
        rows("none", PLAIN),
        rows("asr", [s - 0.01 for s in PLAIN]),
        rows("none", DIRTY, contaminated="both"),
        rows("asr", [s + 0.15 for s in DIRTY], contaminated="both"),
    ])).set_index("clean")  # fmt: skip
    assert table.loc["asr", "gain"] == pytest.approx(-0.01)
    assert table.loc["none", "dirty_gain"] == pytest.approx(-0.2)
    assert table.loc["asr", "dirty_gain"] == pytest.approx(0.15)
    assert table.loc["asr", "given_back"] == pytest.approx(0.75)
    assert np.isnan(table.loc["none", "gain"])


def test_where_nothing_was_lost_nothing_is_given_back() -> None:
    table = effects(pd.concat([
        rows("none", PLAIN),
        rows("none", PLAIN, contaminated="both"),
        rows("asr", PLAIN, contaminated="both"),
    ])).set_index("clean")  # fmt: skip
    assert np.isnan(table.loc["asr", "given_back"])
    assert np.isnan(table.loc["asr", "score"])


def test_runs_that_cannot_be_compared() -> None:
    with pytest.raises(StoreError, match="Nothing was cleaned"):
        effects(rows("none", PLAIN))
    with pytest.raises(StoreError, match="differ"):
        effects(pd.concat([
            rows("asr", PLAIN, contaminated="eog at -5"),
            rows("asr", PLAIN, contaminated="eog at -2"),
        ]))  # fmt: skip
