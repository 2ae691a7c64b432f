"""Windows and scores are those of MOABB: its paradigms and evaluations take what ours do."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.moabb import moabb_paradigm, moabb_results
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.data import load_epochs
from neurodecode.experiment.fit import fit
from neurodecode.recordings.cards import find_card, local_files, open_dataset
from neurodecode.results.store import load_rows
from neurodecode.training.estimator import Decoder


def evaluate_in_moabb(
    choices: dict[str, Any], epochs: EpochSet, models: list[str], path: Path
) -> dict[tuple[str, str], float]:
    """Score of each model on each subject by MOABB's own CrossSubjectEvaluation."""
    from moabb.evaluations import CrossSubjectEvaluation

    card = find_card(choices["data"]["dataset"][0], paradigm="mi")
    paradigm = moabb_paradigm(choices, sfreq=epochs.sfreq, scorer=choices["evaluation"]["metric"])
    with local_files(card, choices["data"]["data_dir"]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what MOABB warns of is MOABB's
        dataset = open_dataset(card, data_dir=choices["data"]["data_dir"])
        dataset.subject_list = choices["data"]["subjects"] or dataset.subject_list
        evaluation = CrossSubjectEvaluation(
            paradigm=paradigm, datasets=[dataset], hdf5_path=str(path), overwrite=True, n_jobs=1
        )
        pipelines = {
            model: Decoder(model, sfreq=epochs.sfreq, train=choices["train"]) for model in models
        }
        results = evaluation.process(pipelines)
    return {(r.pipeline, str(r.subject)): r.score for r in results.itertuples()}


def compare(choices: dict[str, Any], tmp_path: Path) -> None:
    choices["evaluation"] |= {"align": ["none"], "metric": "accuracy"}
    epochs = load_epochs(choices)
    theirs = evaluate_in_moabb(choices, epochs, choices["models"], tmp_path / "moabb")
    rows = load_rows([fit(choices, tmp_path / "runs", n_workers=1)])
    ours = {(r.model, r.subject): r.score for r in rows.itertuples()}
    assert len(ours) == len(choices["models"]) * epochs.table["subject"].nunique()
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_moabbs_evaluation_gives_the_same_scores_on_simulated_recordings(
    choices: dict[str, Any], tmp_path: Path
) -> None:
    choices["models"] = ["csp_lda", "ts_lr", "mdm"]
    choices["epochs"]["window"] = [0.0, 2.0]
    compare(choices, tmp_path)


def real_choices(real: Path, **flags: Any) -> dict[str, Any]:
    return resolve(
        "mi",
        flags={
            "data.dataset": ["eegmmidb13"],
            "data.data_dir": str(real / "eegmmidb"),
            "data.subjects": [1, 2, 3],
            "epochs.window": [0.0, 3.0],
            **flags,
        },
    )


def test_moabbs_evaluation_gives_the_same_scores_on_real_recordings(
    real: Path, tmp_path: Path
) -> None:
    compare(real_choices(real, models=["csp_lda", "ts_lr"]), tmp_path)


@pytest.mark.parametrize("endpoint", [True, False])
def test_windows_equal_those_of_moabbs_paradigm(real: Path, endpoint: bool) -> None:
    choices = real_choices(real, **{"epochs.endpoint": endpoint, "data.subjects": [2]})
    epochs = load_epochs(choices)
    card = find_card("eegmmidb13", paradigm="mi")
    with local_files(card, choices["data"]["data_dir"]):
        dataset = open_dataset(card)
        paradigm = moabb_paradigm(choices, sfreq=epochs.sfreq)
        x, y, _ = paradigm.get_data(dataset, [2])
    assert epochs.x.shape == x.shape == (15, 64, 480 + endpoint)
    np.testing.assert_allclose(epochs.x, x, atol=1e-4)  # microvolts, in single precision
    assert [epochs.classes[k] for k in epochs.y] == y.tolist()


def test_rows_are_exported_under_moabbs_names(choices: dict[str, Any], tmp_path: Path) -> None:
    table = moabb_results(load_rows([fit(choices, tmp_path, n_workers=1)]))
    wanted = {"score", "time", "samples", "subject", "session", "channels", "dataset", "pipeline"}
    assert wanted <= set(table.columns)
    assert isinstance(table, pd.DataFrame)
    assert table["pipeline"].iloc[0] == "csp_lda"
    assert set(table["evaluation"]) == {"cross-subject"}
