"""What folds say together: a person counts once, and is compared with themselves."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neurodecode.experiment.verdicts import summarise
from neurodecode.results.maps import FoldMaps, write_maps
from neurodecode.results.provenance import explain_digest
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run

N_CHANS = 10


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Person 1 with three sessions, person 2 with two; a person's maps are alike, people's not."""
    rng = np.random.default_rng(0)
    run, keys = Run(tmp_path / "run"), []
    for subject, n_sessions in (("1", 3), ("2", 2)):
        map_of_person = rng.standard_normal((2, N_CHANS))
        for session in range(n_sessions):
            key = f"{subject}-{session}"
            keys.append(key)
            row: dict[str, Any] = dict(
                key=key, model="toy", align="none", clean="none", seed=0, subject=subject,
                fold=f"subject={subject} session={session}", session=str(session), score=0.9,
            )  # fmt: skip
            hit = float(subject == "1")
            line = {"part": "eye channels", "names": ["Fp1"], "drop": hit, "sd": 0.0, "score": 0.9}
            facts = row | {
                "classes": ["a", "b"], "ch_names": list("ABCDEFGHIJ"), "positions": None,
                "times": [0.5], "freqs": [10.0], "code": explain_digest(), "n_windows": 8,
                "methods": {"toy": {"unit": "logit", "signed": True, "summary": "A toy."}},
                "checks": {"toy": {"faithful": 0.1 * hit, "truth": {"chan_hit": hit}}},
                "reliance": [line],
            }  # fmt: skip
            values = map_of_person + 0.1 * rng.standard_normal((2, N_CHANS))
            write_maps(run, FoldMaps(facts=facts, tensors={"toy/chan": values.astype(np.float32)}))
            whole = ResultRow(
                **row, paradigm="mi", dataset="toy", protocol="cross-session", labels="true",
                metric="balanced_accuracy", scores={"balanced_accuracy": 0.9}, n_train=8, n_test=8,
                n_chans=N_CHANS, n_times=8, n_classes=2, sfreq=8.0, n_params=0, fit_time=1.0,
                predict_time=0.1, history={}, simulated=True, contaminated="",
            )  # fmt: skip
            run.write_fold(whole, pd.DataFrame({"y": [0]}))
    run.describe("", {"folds": keys, "paradigm": "mi", "dataset": "toy"})
    return run


def test_a_person_with_more_sessions_counts_once(run: Run) -> None:
    summary = summarise(run, run.rows())
    (entry,) = summary["methods"]
    assert (entry["n_folds"], entry["n_subjects"], entry["truth"]["n"]) == (5, 2, 2)
    assert entry["truth"]["chan_hits"] == pytest.approx(0.5)
    assert entry["checks"]["faithful"]["value"] == pytest.approx(0.05)
    (line,) = summary["reliance"]
    assert (line["n"], line["drop"]) == (2, pytest.approx(0.5))


def test_decoders_of_one_person_agree_though_people_differ(run: Run) -> None:
    (entry,) = summarise(run, run.rows())["methods"]
    assert entry["checks"]["agreement"]["value"] > 0.9
