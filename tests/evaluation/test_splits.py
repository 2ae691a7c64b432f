import numpy as np
import pandas as pd
import pytest

from neurodecode.core.errors import FitError, SignalError
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.splits import EVERYBODY, Order, Protocol, Split, everybody, make_folds


def epochs(
    n_subjects: int = 4, n_sessions: int = 2, n: int = 10, blocks: int = 10, datasets: int = 1
) -> EpochSet:
    """`n` windows a session, cut from `blocks` events, classes in turn by event."""
    lines = [
        {"dataset": "de"[s * datasets // n_subjects], "subject": str(s), "session": str(k),
         "run": "0", "onset": float(i), "block": i * blocks // n}
        for s in range(n_subjects) for k in range(n_sessions) for i in range(n)
    ]  # fmt: skip
    table = pd.DataFrame(lines)
    return EpochSet(
        x=np.zeros((len(table), 1, 4), dtype=np.float32),
        y=(table["block"].to_numpy() % 2).astype(np.int64),
        classes=("a", "b"),
        table=table,
        ch_names=("Cz",),
        sfreq=100.0,
    )


def column(e: EpochSet, index: np.ndarray, name: str) -> set[str]:
    return set(e.table[name].iloc[index])


def test_cross_subject_leaves_every_subject_out_once() -> None:
    e = epochs()
    folds = make_folds(e, protocol="cross-subject")
    assert [f.name for f in folds] == [f"subject={s}" for s in range(4)]
    for fold in folds:
        assert column(e, fold.test, "subject") == {fold.subject}
        assert fold.subject not in column(e, fold.train, "subject")
        assert len(fold.train) + len(fold.test) == len(e)


def test_people_of_two_data_sets_are_not_one_person() -> None:
    e = epochs(datasets=2)
    e.table["subject"] = (e.table["subject"].astype(int) % 2).astype(str)
    folds = make_folds(e, protocol="cross-subject")
    assert [f.name for f in folds] == [f"subject={p}" for p in ("d/0", "d/1", "e/0", "e/1")]
    for fold in folds:
        assert len(column(e, fold.test, "dataset")) == 1


@pytest.mark.parametrize("protocol", ["within-session", "cross-session", "cross-subject"])
def test_every_fold_has_a_name_of_its_own(protocol: str) -> None:
    folds = make_folds(epochs(n_subjects=12), protocol=protocol)
    assert len({f.name for f in folds}) == len(folds)


def test_groups_of_subjects_never_stand_on_both_sides() -> None:
    e = epochs(n_subjects=9)
    folds = make_folds(e, protocol="cross-subject", n_folds=3)
    assert len(folds) == 3
    assert [f.subject for f in folds] == ["*"] * 3
    assert [f.name for f in folds] == [f"3 subjects fold={i}" for i in range(3)]
    for fold in folds:
        assert not column(e, fold.test, "subject") & column(e, fold.train, "subject")


def test_cross_session_trains_on_the_other_sessions_of_the_subject() -> None:
    e = epochs()
    folds = make_folds(e, protocol="cross-session")
    assert len(folds) == 8
    for fold in folds:
        assert column(e, fold.train, "subject") == column(e, fold.test, "subject")
        assert not column(e, fold.train, "session") & column(e, fold.test, "session")


def test_cross_dataset_leaves_a_data_set_out() -> None:
    e = epochs(datasets=2)
    folds = make_folds(e, protocol="cross-dataset")
    assert {f.name for f in folds} == {"dataset=d", "dataset=e"}
    for fold in folds:
        assert not column(e, fold.train, "dataset") & column(e, fold.test, "dataset")


def test_within_session_stays_in_the_session_and_is_the_same_every_time() -> None:
    e = epochs()
    folds, again = (make_folds(e, protocol="within-session", n_folds=5) for _ in range(2))
    assert len(folds) == 40
    for fold, same in zip(folds, again, strict=True):
        np.testing.assert_array_equal(fold.test, same.test)
        assert column(e, np.r_[fold.train, fold.test], "session") == {fold.session}


def test_windows_of_one_event_are_not_torn_apart() -> None:
    e = epochs(n=40, blocks=10)
    for fold in make_folds(e, protocol="within-session", n_folds=5):
        assert not column(e, fold.train, "block") & column(e, fold.test, "block")


def test_from_past_to_future_trains_on_the_past_only() -> None:
    e = epochs(n=30, blocks=30)
    folds = make_folds(e, protocol="within-session", n_folds=4, order="past-to-future")
    assert folds
    for fold in folds:
        assert max(column(e, fold.train, "onset")) < min(column(e, fold.test, "onset"))


@pytest.mark.parametrize(
    ("protocol", "e", "words"),
    [
        ("cross-subject", epochs(n_subjects=1), "Give at least two subjects"),
        ("cross-session", epochs(n_sessions=1), "It takes subjects with two sessions"),
        ("cross-dataset", epochs(n_subjects=2), "Give two data sets"),
        ("within-session", epochs(n=3, blocks=3), "Give fewer folds"),
        ("within-session", epochs(n=9, blocks=1), "one event has no second side"),
    ],
)
def test_what_cannot_be_split_is_refused(protocol: str, e: EpochSet, words: str) -> None:
    with pytest.raises(SignalError, match=words):
        make_folds(e, protocol=protocol)


def test_a_training_side_of_one_class_is_refused() -> None:
    e = epochs(n_subjects=2, n_sessions=1)
    e.y[e.table["subject"] == "0"] = 0
    with pytest.raises(FitError, match=r"fold subject=1 has no window of b"):
        make_folds(e, protocol="cross-subject")


WINDOW, STRIDE = 20, 5  # samples: neighbours share three quarters


def sliding(n_sessions: int = 2, n: int = 60, n_events: int = 6) -> EpochSet:
    """Overlapping windows of two people's recordings; a block is an event and what is around it."""
    lines = [
        {"dataset": "d", "subject": str(s), "session": str(k), "run": "0",
         "onset": i * STRIDE / 100.0, "block": i * n_events // n}
        for s in range(2) for k in range(n_sessions) for i in range(n)
    ]  # fmt: skip
    table = pd.DataFrame(lines)
    within = np.tile(np.arange(n) % (n // n_events), 2 * n_sessions)
    return EpochSet(
        x=np.zeros((len(table), 1, WINDOW), dtype=np.float32),
        y=np.isin(within, (4, 5)).astype(np.int64),
        classes=("background", "seizure"),
        table=table,
        ch_names=("Cz",),
        sfreq=100.0,
    )


def samples(e: EpochSet, index: np.ndarray) -> set[tuple[str, int]]:
    """Every sample that windows hold, by recording."""
    table = e.table.iloc[index]
    names = table["subject"] + "/" + table["session"] + "/" + table["run"]
    first = np.rint(table["onset"] * e.sfreq).astype(int)
    return {(n, f + i) for n, f in zip(names, first, strict=True) for i in range(WINDOW)}


@pytest.mark.parametrize(
    ("protocol", "order"),
    [
        ("within-session", "shuffled"),
        ("within-session", "blocks"),
        ("within-session", "past-to-future"),
        ("cross-session", "shuffled"),
        ("cross-subject", "shuffled"),
    ],
)
def test_no_sample_is_on_both_sides_where_windows_slide(protocol: Protocol, order: Order) -> None:
    e = sliding()
    n_folds = 3 if protocol == "within-session" else None
    torn = make_folds(e, protocol=protocol, n_folds=n_folds, order=order)
    folds = make_folds(e, protocol=protocol, n_folds=n_folds, order=order, slide=True)
    assert len(folds) == len(torn) > 1
    for fold, before in zip(folds, torn, strict=True):
        assert not samples(e, fold.train) & samples(e, fold.test)
        np.testing.assert_array_equal(fold.test, before.test)
        assert set(fold.train) <= set(before.train)
        left_out = sorted(set(before.train) - set(fold.train))
        assert all(samples(e, np.array([i])) & samples(e, fold.test) for i in left_out)
    shared = [samples(e, fold.train) & samples(e, fold.test) for fold in torn]
    assert any(shared) == (protocol == "within-session")


def test_another_recording_at_the_same_time_shares_nothing() -> None:
    e = sliding()
    for fold in make_folds(e, protocol="cross-session", slide=True):
        assert len(fold.train) == len(fold.test) == 60


def test_from_past_to_future_never_tears_an_event() -> None:
    e = sliding(n_sessions=1)
    folds = make_folds(e, protocol="within-session", n_folds=3, order="past-to-future", slide=True)
    assert len(folds) == 6
    for fold in folds:
        assert max(column(e, fold.train, "onset")) < min(column(e, fold.test, "onset"))
        assert not column(e, fold.train, "block") & column(e, fold.test, "block")
        assert set(e.y[fold.train]) == set(e.y[fold.test]) == {0, 1}


@pytest.mark.parametrize("split", ["cross-session", "cross-subject", "cross-dataset"])
def test_what_is_played_as_if_live_is_left_out_as_in_the_protocol_of_that_name(
    split: Split,
) -> None:
    e = epochs(datasets=2)
    played = make_folds(e, protocol="pseudo-online", split=split)
    windows = make_folds(e, protocol=split)
    assert [f.name for f in played] == [f.name for f in windows]
    for one, other in zip(played, windows, strict=True):
        np.testing.assert_array_equal(one.train, other.train)
        np.testing.assert_array_equal(one.test, other.test)


def test_what_is_played_leaves_people_out_unless_told_otherwise() -> None:
    names = [f.name for f in make_folds(epochs(), protocol="pseudo-online")]
    assert names == [f"subject={s}" for s in range(4)]


def test_everybody_is_trained_on_and_nobody_tested() -> None:
    fold = everybody(epochs())
    assert fold.name == EVERYBODY
    assert fold.train.tolist() == list(range(80))
    assert fold.test.size == 0
