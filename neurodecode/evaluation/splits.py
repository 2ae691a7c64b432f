"""Folds of each protocol, from MOABB's splitters."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, TimeSeriesSplit

from neurodecode.core.errors import FitError, SignalError
from neurodecode.epochs.epochset import EpochSet

PROTOCOLS = {
    "within-session": "k folds within every session of every subject",
    "cross-session": "leave one session of a subject out",
    "cross-subject": "leave one subject out (or a group of subjects with n_folds)",
    "cross-dataset": "leave one data set out, over the channels that all have",
    "pseudo-online": "leave people out, and play their whole recordings to the decoder as if live",
}
Split = Literal["cross-session", "cross-subject", "cross-dataset"]
Protocol = Literal[
    "within-session", "cross-session", "cross-subject", "cross-dataset", "pseudo-online"
]
PSEUDO_ONLINE: Literal["pseudo-online"] = "pseudo-online"
EVERYBODY = "everybody"
"""Name of the fold that tests nobody: its decoder is for people who come later."""
Order = Literal["shuffled", "blocks", "past-to-future"]

SPLIT_SEED = 42
"""Seed of shuffled folds: the one MOABB's evaluations use by default. It is not a run's seed:
every seed, model and alignment is compared on the same folds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One split of the windows.

    Attributes
    ----------
    name
        What is left out, such as "subject=3".
    train, test
        Indices of windows.
    subject, session
        Of the test windows; "*" where there are several.
    """

    name: str
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    subject: str
    session: str


def make_folds(
    epochs: EpochSet,
    *,
    protocol: Protocol = "cross-subject",
    n_folds: int | None = None,
    order: Order = "shuffled",
    slide: bool = False,
    split: Split | None = None,
) -> list[Fold]:
    """The folds of a protocol.

    Parameters
    ----------
    epochs
        All windows.
    protocol
        See `PROTOCOLS`.
    n_folds
        Folds per session for "within-session" (5 by default); groups of subjects for
        "cross-subject" (by default every subject is a fold).
    order
        Of the folds within a session: "shuffled"; "blocks" of consecutive windows; or
        "past-to-future", where a fold is trained on what came before it only.
    slide
        Windows slide over recordings, so that neighbours share samples: those that share one with
        a test window are left out of training.
    split
        Of "pseudo-online", whose folds are those of this protocol; "cross-subject" by default.

    Raises
    ------
    SignalError
        If the data cannot be split so: a single subject, session or data set; too few windows.
    FitError
        If a training side would lack a class.
    """
    protocol = _plain(protocol, split)
    table = _people_told_apart(epochs)
    try:
        pairs = list(_splitter(epochs, protocol, n_folds, order).split(epochs.y, table))
    except ValueError as error:  # scikit-learn's words for too few groups or windows
        raise SignalError(_cannot(epochs, protocol, n_folds, str(error))) from error
    if not pairs:
        raise SignalError(_cannot(epochs, protocol, n_folds, "no fold is left"))
    if protocol != "within-session":  # there the order is that of time, or of the shuffle
        pairs.sort(key=lambda pair: int(min(pair[1])))
    folds, count = [], Counter[str]()
    for train, test in pairs:
        train, test = np.asarray(train), np.asarray(test)
        if slide:
            train = train[~sharing_samples(epochs, train, test)]
        fold = _name(table, protocol, train, test)
        number = count[fold.name]
        count[fold.name] += 1
        numbered = protocol == "within-session" or (
            protocol == "cross-subject" and fold.subject == "*"
        )
        folds.append(replace(fold, name=f"{fold.name} fold={number}") if numbered else fold)
    folds.sort(key=lambda fold: _first_row(table, fold))
    for fold in folds:
        _check_classes(epochs, fold)
    return folds


def everybody(epochs: EpochSet) -> Fold:
    """All windows to train on, none to test."""
    train, none = np.arange(len(epochs)), np.arange(0)
    return Fold(name=EVERYBODY, train=train, test=none, subject="*", session="*")


def _plain(protocol: Protocol, split: Split | None) -> Protocol:
    """The protocol that says who is left out."""
    return (split or "cross-subject") if protocol == PSEUDO_ONLINE else protocol


def _splitter(epochs: EpochSet, protocol: str, n_folds: int | None, order: Order) -> Any:
    from moabb.evaluations import splitters

    if protocol == "cross-dataset":
        return splitters.CrossDatasetSplitter()
    if protocol == "cross-session":
        return splitters.CrossSessionSplitter()
    if protocol == "cross-subject":
        if n_folds is None:
            return splitters.CrossSubjectSplitter()
        return splitters.CrossSubjectSplitter(
            cv_class=StratifiedGroupKFold,
            n_splits=n_folds,
            shuffle=True,
            random_state=SPLIT_SEED,
        )
    return _within_session(epochs, n_folds or 5, order)


def _within_session(epochs: EpochSet, n_folds: int, order: Order) -> Any:
    """Splitter of each session; windows cut from one event never stand on both sides."""
    from moabb.evaluations.splitters import WithinSessionSplitter

    shuffled = order == "shuffled"
    seed = SPLIT_SEED if shuffled else None
    torn = epochs.table.duplicated(["dataset", "subject", "session", "run", "block"]).any()
    if torn:
        kinds = {
            "shuffled": StratifiedGroupKFold,
            "blocks": GroupKFold,
            "past-to-future": PastToFuture,
        }
        how = {"cv_class": kinds[order], "groups": ["run", "block"]}
        return WithinSessionSplitter(n_folds, shuffled, seed, **how)
    if order == "past-to-future":
        return WithinSessionSplitter(n_folds, False, None, cv_class=TimeSeriesSplit)
    return WithinSessionSplitter(n_folds, shuffled, seed)


class PastToFuture(GroupKFold):  # type: ignore[misc]  # no types in sklearn
    """`TimeSeriesSplit` of groups, which must come in the order of time."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        """Indices of training windows, and of those of the groups that come next."""
        number, names = pd.factorize(np.asarray(groups))
        for past, following in TimeSeriesSplit(self.n_splits).split(names):
            yield np.flatnonzero(np.isin(number, past)), np.flatnonzero(np.isin(number, following))


def sharing_samples(
    epochs: EpochSet, train: NDArray[np.integer], test: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """Which training windows hold a sample that a test window holds too, (n_train,)."""
    table, n_times = epochs.table, epochs.x.shape[2]
    recording = table.groupby(["dataset", "subject", "session", "run"], sort=False).ngroup()
    first = np.rint(table["onset"].to_numpy(dtype=float) * epochs.sfreq).astype(np.int64)
    # One axis for all recordings, on which they lie apart.
    first += recording.to_numpy() * (np.ptp(first) + 2 * n_times)
    taken = np.sort(first[test])
    after = np.searchsorted(taken, first[train])  # the first test window that begins no earlier
    to_next = taken[np.minimum(after, len(taken) - 1)] - first[train]
    to_last = first[train] - taken[np.maximum(after - 1, 0)]
    return np.asarray((np.abs(to_next) < n_times) | (np.abs(to_last) < n_times))


def _people_told_apart(epochs: EpochSet) -> pd.DataFrame:
    """The table of the windows; subjects of several data sets carry the name of theirs."""
    table = epochs.table
    if table["dataset"].nunique() == 1:
        return table
    return table.assign(subject=table["dataset"] + "/" + table["subject"])


def _name(
    table: pd.DataFrame, protocol: str, train: NDArray[np.int64], test: NDArray[np.int64]
) -> Fold:
    rows = table.iloc[test]
    subjects, sessions = rows["subject"].unique(), rows["session"].unique()
    subject = str(subjects[0]) if len(subjects) == 1 else "*"
    session = str(sessions[0]) if len(sessions) == 1 else "*"
    name = {
        "cross-subject": f"subject={subject}" if subject != "*" else f"{len(subjects)} subjects",
        "cross-session": f"subject={subject} session={session}",
        "cross-dataset": f"dataset={rows['dataset'].iloc[0]}",
        "within-session": f"subject={subject} session={session}",
    }[protocol]
    return Fold(name=name, train=train, test=test, subject=subject, session=session)


def _first_row(table: pd.DataFrame, fold: Fold) -> int:
    """Where the fold's subject and session begin, so that folds come in the order of the data."""
    if fold.subject == "*":
        return 0
    same = (table["subject"] == fold.subject) & (
        (table["session"] == fold.session) | (fold.session == "*")
    )
    return int(np.flatnonzero(same)[0])


def _check_classes(epochs: EpochSet, fold: Fold) -> None:
    seen = np.bincount(epochs.y[fold.train], minlength=len(epochs.classes))
    if (seen == 0).any():
        lacking = [c for c, n in zip(epochs.classes, seen, strict=True) if n == 0]
        raise FitError(
            f"The training side of fold {fold.name} has no window of {', '.join(lacking)} "
            f"({len(fold.train)} windows in all), so no decoder can be fitted. Use fewer folds, "
            f"more subjects, or other classes with --set data.events=[...]."
        )


def _cannot(epochs: EpochSet, protocol: str, n_folds: int | None, reason: str) -> str:
    table = epochs.table
    n_sessions = table.groupby("subject")["session"].nunique()
    advice = {
        "cross-subject": "Give at least two subjects, or use --protocol within-session.",
        "cross-session": "It takes subjects with two sessions; use --protocol within-session.",
        "cross-dataset": "Give two data sets: --dataset first,second.",
        "within-session": "Give fewer folds with --set evaluation.n_folds=2.",
    }[protocol]
    session = ["dataset", "subject", "session"]
    n_events = table[[*session, "run", "block"]].drop_duplicates().groupby(session).size()
    if protocol == "within-session" and n_events.min() < 2:
        advice = "A session with one event has no second side: use --protocol cross-session."
    if protocol == "cross-subject" and n_folds and table["subject"].nunique() > 1:
        advice = "Give fewer folds than subjects with --set evaluation.n_folds=..."
    return (
        f"{protocol} cannot split {len(epochs)} windows of {table['subject'].nunique()} subjects "
        f"with {n_sessions.min()} to {n_sessions.max()} sessions from "
        f"{table['dataset'].nunique()} data sets{f' into {n_folds} folds' if n_folds else ''} "
        f"({reason.rstrip('.')}). {advice}"
    )
