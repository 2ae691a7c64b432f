"""The rule of alarms comes from the training side, and is the best one there."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold

from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.alarms import (
    Detection,
    choose_rule,
    groups_to_hold_out,
    held_out_proba,
    score_alarms,
)
from neurodecode.evaluation.detection import Rule, Spans, lay_out, score_spans
from neurodecode.evaluation.jobs import Job, Task
from neurodecode.evaluation.sides import Sides, training_labels
from neurodecode.evaluation.splits import Fold, make_folds
from neurodecode.evaluation.unit import run_job
from neurodecode.results.store import Run, load_rows
from neurodecode.show.tables import run_document, show_run
from neurodecode.training.estimator import Decoder, choose_validation

STRIDE, SFREQ, N = 2.0, 32.0, 180  # six minutes of windows of 4 s for each recording
HOW = Detection(stride=STRIDE)


def epochs(
    n_subjects: int = 4, n_recordings: int = 1, seizures: tuple[int, ...] = (60, 130), seed: int = 0
) -> EpochSet:
    """Sliding windows; in a seizure, of 10 windows, the first channel is three times as large."""
    rng, lines, y = np.random.default_rng(seed), [], []
    for s in range(n_subjects):
        for r in range(n_recordings):
            truth = np.zeros(N, dtype=np.int64)
            for at in seizures:
                truth[at : at + 10] = 1
            middles = np.array(seizures) + 5
            nearest = [int(np.abs(i - middles).argmin()) if seizures else 0 for i in range(N)]
            y.append(truth)
            lines += [
                {"dataset": "d", "subject": str(s), "session": str(r), "run": "0",
                 "onset": STRIDE * i, "block": nearest[i]}
                for i in range(N)
            ]  # fmt: skip
    label = np.concatenate(y)
    x = rng.standard_normal((len(label), 2, round(4 * SFREQ))).astype(np.float32)
    x[label == 1, 0] *= 3
    return EpochSet(
        x=x,
        y=label,
        classes=("background", "seizure"),
        table=pd.DataFrame(lines),
        ch_names=("A", "B"),
        sfreq=SFREQ,
    )


def spans_of(e: EpochSet, proba: np.ndarray) -> Spans:
    return lay_out(e.table, e.y == 1, proba, duration=4.0, stride=STRIDE)


def fitted(e: EpochSet, fold: Fold, model: str = "bandpower_lr", **train: int) -> Decoder:
    decoder = Decoder(model, sfreq=SFREQ, train=train)
    return decoder.fit(e.x[fold.train], e.y[fold.train], groups=people(e)[fold.train])


def people(e: EpochSet) -> np.ndarray:
    return e.table["subject"].to_numpy(dtype=str)


def test_probabilities_that_are_all_too_high_need_a_high_threshold() -> None:
    e = epochs(2)
    rng = np.random.default_rng(0)
    proba = np.where(e.y == 1, 0.97, 0.9) + rng.uniform(-0.02, 0.02, len(e))
    rule = choose_rule([spans_of(e, proba)])
    assert 0.91 < rule.threshold < 0.96
    assert (rule.smoothing, rule.n_events) == (STRIDE, 4)
    scores = score_spans(spans_of(e, proba), rule)
    assert scores["event_f1"] == scores["span_kappa"] == 1
    assert score_spans(spans_of(e, proba), Rule(0.5, 0.0))["false_alarms_per_hour"] > 0


def test_the_threshold_lies_between_what_it_tells_apart() -> None:
    e = epochs(1)
    rule = choose_rule([spans_of(e, np.where(e.y == 1, 0.9996, 0.9992))])
    assert rule.threshold == pytest.approx(0.9994)


def test_single_spans_of_noise_are_smoothed_away() -> None:
    e = epochs(3)
    proba = np.where(e.y == 1, 0.8, 0.1)
    proba[np.random.default_rng(1).choice(np.flatnonzero(e.y == 0), 40, replace=False)] = 1.0
    s = spans_of(e, proba)
    rule = choose_rule([s])
    assert rule.smoothing >= 10
    assert (
        score_spans(s, rule)["event_f1"] > score_spans(s, choose_rule([s], smoothing=0))["event_f1"]
    )


@pytest.mark.parametrize("gain", [0.4, 0.2])
def test_an_alarm_without_end_is_not_chosen_where_seizures_are_dense(gain: float) -> None:
    """Every five minutes hold an event, so that it would have an F1 of 1."""
    e = epochs(3, seizures=(60, 165))
    proba = np.random.default_rng(0).random(len(e))
    proba[e.y == 1] += gain
    s = spans_of(e, proba)
    assert score_spans(s, Rule(-1.0, 0.0))["event_f1"] == 1
    positive = s.proba >= choose_rule([s]).threshold
    assert positive.mean() < 0.5


def test_the_rule_is_for_the_mean_person_not_for_the_one_with_the_most_recordings() -> None:
    """Two people need 0.5, and a third, with ten times their recordings, 0.9."""
    few, many = epochs(1), epochs(1, 10)
    plain = spans_of(few, np.where(few.y == 1, 0.8, 0.1))
    loud = spans_of(many, np.where(many.y == 1, 0.95, 0.85))
    assert choose_rule([plain, plain, loud]).threshold < 0.8
    assert choose_rule([loud]).threshold == pytest.approx(0.9)


def test_what_is_given_is_not_chosen() -> None:
    e = epochs(2)
    s = spans_of(e, np.where(e.y == 1, 0.9, 0.1))
    assert choose_rule([s], threshold=0.3).threshold == 0.3
    assert choose_rule([s], smoothing=20.0).smoothing == 20.0


def test_recordings_that_are_all_seizure_have_a_rule() -> None:
    e = epochs(1)
    s = spans_of(replace(e, y=np.ones_like(e.y)), np.full(len(e), 0.7))
    assert choose_rule([s]).threshold <= 0.7


def test_classical_decoders_are_held_out_by_person() -> None:
    """Each person's probabilities are what a decoder says that has not seen them."""
    e = epochs(3)
    fold = Fold(name="f", train=np.arange(len(e)), test=np.arange(0), subject="*", session="*")
    decoder = fitted(e, fold)
    held_out, proba = held_out_proba(decoder, e.x, e.y, people(e))
    assert held_out.all()
    for who in "012":
        own = people(e) == who
        other = Decoder("bandpower_lr", sfreq=SFREQ).fit(e.x[~own], e.y[~own])
        np.testing.assert_allclose(proba[own], other.predict_proba(e.x[own])[:, 1])


def test_nets_are_held_out_by_their_validation_people() -> None:
    e = epochs(5)
    fold = make_folds(e)[0]
    decoder = fitted(e, fold, "eegnet", epochs=1)
    x, y, who = e.x[fold.train], e.y[fold.train], people(e)[fold.train]
    held_out, proba = held_out_proba(decoder, x, y, who)
    np.testing.assert_array_equal(held_out, choose_validation(y, who, 0))
    assert len(np.unique(who[held_out])) == 1
    np.testing.assert_array_equal(proba, decoder.predict_proba(x[held_out])[:, 1])


def test_probes_are_fitted_again_because_their_heads_saw_the_validation_people() -> None:
    e = epochs(3)
    options = {"sfreq": SFREQ, "segment": 1.0}
    decoder = Decoder("mvpformer+random", sfreq=SFREQ, options=options)
    decoder.fit(e.x, e.y, groups=people(e))
    held_out, proba = held_out_proba(decoder, e.x, e.y, people(e))
    assert held_out.all()
    again = np.zeros(len(e))
    for fitted, asked in GroupKFold(3).split(e.x, e.y, people(e)):
        other = clone(decoder).fit(e.x[fitted], e.y[fitted], people(e)[fitted])
        again[asked] = other.predict_proba(e.x[asked])[:, 1]
    np.testing.assert_allclose(proba, again, atol=1e-5)
    assert not np.allclose(proba, decoder.predict_proba(e.x)[:, 1], atol=1e-3)


def test_people_stand_for_themselves_and_few_of_them_for_their_seizures() -> None:
    e = epochs(3)
    assert groups_to_hold_out(e.table, e.y == 1, people(e)).tolist() == people(e).tolist()
    e = epochs(1, 2, seizures=(30, 90, 150))
    groups = groups_to_hold_out(e.table, e.y == 1, people(e))
    assert len(np.unique(groups)) == 6
    for group in np.unique(groups):
        assert np.flatnonzero(np.diff(e.y[groups == group], prepend=0) == 1).size == 1


def test_recordings_without_a_seizure_go_with_the_one_before() -> None:
    e = epochs(1, 4, seizures=(60,))
    y = e.y.copy()
    y[e.table["session"].isin(["0", "2"])] = 0
    groups = groups_to_hold_out(e.table, y == 1, people(e))
    by_session = e.table.assign(group=groups).groupby("session")["group"].unique()
    assert [list(g) for g in by_session] == [["0"], ["0"], ["0"], ["1"]]


def score(e: EpochSet, fold: Fold, decoder: Decoder, how: Detection = HOW) -> dict[str, float]:
    who = groups_to_hold_out(e.table.iloc[fold.train], e.y[fold.train] == 1, people(e)[fold.train])
    return score_alarms(
        how,
        decoder,
        e,
        fold,
        fitted=(e.x[fold.train], e.y[fold.train], who),
        proba=decoder.predict_proba(e.x[fold.test]),
    )


@pytest.mark.parametrize("model", ["bandpower_lr", "eegnet"])
def test_nothing_of_the_test_person_changes_the_rule(model: str) -> None:
    e = epochs(4)
    fold = make_folds(e)[0]
    decoder = fitted(e, fold, model, **({"epochs": 1} if model == "eegnet" else {}))
    before = score(e, fold, decoder)
    x, y = e.x.copy(), e.y.copy()
    x[fold.test] *= 2
    y[fold.test] = 1 - y[fold.test]
    after = score(replace(e, x=x, y=y), fold, decoder)
    names = ("threshold", "smoothing", "threshold_events")
    assert [before[n] for n in names] == [after[n] for n in names]
    assert before["span_kappa"] != after["span_kappa"]


def test_the_control_chooses_its_rule_on_the_labels_that_it_was_told() -> None:
    e = epochs(4)
    fold = make_folds(e)[0]
    y, who = training_labels(e, fold, 0, shuffled=True, slide=True)
    decoder = Decoder("bandpower_lr", sfreq=SFREQ).fit(e.x[fold.train], y, who)
    proba = decoder.predict_proba(e.x[fold.test])
    told = score_alarms(HOW, decoder, e, fold, fitted=(e.x[fold.train], y, who), proba=proba)
    changed = e.y.copy()
    changed[fold.train] = 0
    blind = replace(e, y=changed)
    again = score_alarms(HOW, decoder, blind, fold, fitted=(e.x[fold.train], y, who), proba=proba)
    assert told == again


def test_a_planted_seizure_is_found() -> None:
    e = epochs(4)
    fold = make_folds(e)[0]
    scores = score(e, fold, fitted(e, fold))
    assert scores["event_f1"] == scores["szcore_f1"] == 1
    assert scores["false_alarms_per_hour"] == 0
    assert scores["detection_delay"] <= 4 * STRIDE
    assert scores["threshold_events"] == 6  # two of each of three people


def test_with_two_seizures_the_rule_is_chosen_in_sample_and_says_so() -> None:
    e = epochs(1, 3, seizures=(90,))
    fold = make_folds(e, protocol="cross-session", slide=True)[0]
    scores = score(e, fold, fitted(e, fold))
    assert scores["threshold_events"] == 0
    assert scores["event_f1"] == 1


def test_a_rule_that_is_given_asks_nothing_of_the_training_side() -> None:
    e = epochs(2)
    fold = make_folds(e)[0]
    how = replace(HOW, threshold=0.5, smoothing=4.0)
    scores = score(e, fold, fitted(e, fold), how)
    assert (scores["threshold"], scores["smoothing"], scores["threshold_events"]) == (0.5, 4, 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run over four people, the last of whom has no seizure."""
    e = epochs(4)
    e.y[e.table["subject"] == "3"] = 0
    folds = make_folds(e, slide=True)
    task = Task(
        epochs=e,
        paradigm="seizure",
        dataset="d",
        protocol="cross-subject",
        metric="event_f1",
        simulated=True,
        detection=HOW,
    )
    run = Run(tmp_path_factory.mktemp("runs") / "r")
    for fold in folds:
        for model in ("bandpower_lr", "line_length_lr"):
            job = Job(fold=fold, model=model, key=f"{model}-{fold.subject}")
            run_job(job, run, Sides(task, e.x[fold.train], e.x[fold.test]))
    keys = [
        f"{model}-{fold.subject}" for model in ("bandpower_lr", "line_length_lr") for fold in folds
    ]
    meta = {"paradigm": "seizure", "dataset": "d", "protocol": "cross-subject", "folds": keys}
    run.describe("", {**meta, "metric": "event_f1", "classes": list(e.classes), "simulated": True})
    return run


def test_rows_keep_the_scores_of_alarms_and_their_rule(run: Run) -> None:
    rows = load_rows([run])
    assert len(rows) == 8
    assert {"event_f1", "szcore_f1", "span_kappa", "threshold", "roc_auc"} <= set(
        rows["scores"].iloc[0]
    )
    without = rows[rows["subject"] == "3"]["scores"].iloc[0]
    assert math.isnan(without["event_sensitivity"])
    assert without["false_alarms_per_hour"] >= 0


def test_a_person_without_a_seizure_has_false_alarms_and_no_sensitivity(run: Run) -> None:
    document = run_document(run)
    first = document["events"][0]
    assert first["model"] == "bandpower_lr"
    assert first["event_sensitivity_n"] == 3
    assert first["false_alarms_per_hour_n"] == 4
    assert first["n_events"] == 6
    assert first["hours"] == pytest.approx(4 * N * STRIDE / 3600)
    assert document["finished"] == document["planned"] == 8


@pytest.mark.parametrize("metric", [None, "event_sensitivity", "false_alarms_per_hour", "roc_auc"])
def test_the_tables_survive_what_is_not_a_number(
    run: Run, metric: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    show_run(run, metric=metric, per_subject=True, all_pairs=True)
    said = capsys.readouterr().out
    assert "false alarms/h" in said
    assert "6 events in 0.4 h" in said
    assert "UNFINISHED" not in said
