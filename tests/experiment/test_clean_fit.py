"""Cleaning is compared without leakage: what a cleaner saw, what it left, and what the rows say."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from mne.io import BaseRaw
from sklearn.base import BaseEstimator

from neurodecode.artifacts import CLEANERS
from neurodecode.core.errors import ConfigError, SignalError, UnknownName
from neurodecode.core.registry import Listing
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.cleaning import CleanWord, Continuous, fold_windows, own_windows
from neurodecode.evaluation.moabb import moabb_results
from neurodecode.evaluation.splits import make_folds
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.data import load_data
from neurodecode.experiment.fit import fit, make_plan, preview
from neurodecode.preprocess.chain import finish
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import load_rows
from neurodecode.show.tables import show_run
from neurodecode.training.estimator import Decoder

SEEN: list[tuple["Shrink", list[BaseRaw]]] = []
"""Each fit of the stand-in, with what it was given."""


class Shrink(BaseEstimator):
    """Stand-in: takes the loudest channel of what it was fitted to down by a factor."""

    def __init__(self, *, factor: float = 0.5) -> None:
        self.factor = factor

    def fit(self, raws: Sequence[BaseRaw]) -> Self:
        names = [raw.copy().pick("eeg").ch_names for raw in raws]
        power = np.mean([raw.get_data("eeg").var(axis=1) for raw in raws], axis=0)
        self.ch_name_ = names[0][int(power.argmax())]
        self.level_ = float(power.max())
        SEEN.append((self, list(raws)))
        return self

    def transform(self, raw: BaseRaw) -> BaseRaw:
        out = raw.copy()
        limit = 2 * np.sqrt(self.level_)
        out._data[:] = np.clip(raw.get_data(), -limit, limit)
        out._data[out.ch_names.index(self.ch_name_)] *= self.factor
        return out


@pytest.fixture(autouse=True)
def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cleaner called "shrink" exists."""
    SEEN.clear()
    listings = CLEANERS._listings | {"shrink": Listing("neurodecode.artifacts", "Stand-in.")}
    monkeypatch.setitem(CLEANERS.__dict__, "_listings", listings)
    monkeypatch.setitem(CLEANERS._parts, "shrink", Shrink)


@pytest.fixture
def several(choices: dict[str, Any]) -> dict[str, Any]:
    choices["evaluation"]["clean"] = ["none", "shrink", "shrink:own", "shrink:own:removed"]
    return choices


@pytest.fixture(scope="session")
def pieces(tiny_choices: dict[str, Any]) -> tuple[EpochSet, Continuous]:
    """Windows and recordings of the small data set."""
    evaluation = {**tiny_choices["evaluation"], "clean": ["none", "shrink"]}
    epochs, continuous = load_data({**tiny_choices, "evaluation": evaluation})
    assert continuous is not None
    return epochs, continuous


@pytest.fixture
def kept(pieces: tuple[EpochSet, Continuous], monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set is not simulated again by each test that fits."""
    monkeypatch.setattr("neurodecode.experiment.fit.load_data", lambda *_, **__: pieces)


def changed(source: Continuous, who: int, **options: Any) -> Continuous:
    """The same recordings, except that one is louder, in other proportions."""
    parts = list(source.parts)
    raw = parts[who].raw.copy()
    raw._data *= np.linspace(3, 9, len(raw.ch_names))[:, None]
    parts[who] = replace(parts[who], raw=raw)
    return replace(source, parts=parts, **options)


def fitted(cleaner: Shrink) -> tuple[str, float]:
    return cleaner.ch_name_, cleaner.level_


def test_windows_without_a_cleaner_are_those_of_before(
    tiny_epochs: EpochSet, pieces: tuple[EpochSet, Continuous]
) -> None:
    assert pieces[0].digest() == tiny_epochs.digest()


def test_the_test_recording_changes_nothing_that_was_fitted(
    pieces: tuple[EpochSet, Continuous],
) -> None:
    epochs, source = pieces
    fold = make_folds(epochs)[0]
    x = fold_windows(epochs, source, "shrink", fold).x
    y = fold_windows(epochs, changed(source, 0), "shrink", fold).x
    (first, raws), (second, _) = SEEN
    assert len(raws) == 3
    assert fitted(first) == fitted(second)
    np.testing.assert_array_equal(x[fold.train], y[fold.train])
    assert (x[fold.test] != y[fold.test]).any()
    assert np.isfinite(x[np.concatenate([fold.train, fold.test])]).all()


def test_a_training_recording_does_change_it(pieces: tuple[EpochSet, Continuous]) -> None:
    """The test above would pass for a cleaner that learns nothing; this one does learn."""
    epochs, source = pieces
    fold = make_folds(epochs)[0]
    fold_windows(epochs, source, "shrink", fold)
    fold_windows(epochs, changed(source, 1), "shrink", fold)
    assert fitted(SEEN[0][0]) != fitted(SEEN[1][0])


def test_no_label_reaches_a_cleaner(pieces: tuple[EpochSet, Continuous]) -> None:
    epochs, source = pieces
    fold_windows(epochs, source, "shrink", make_folds(epochs)[0])
    own_windows(epochs, source, "shrink:own")
    assert len(SEEN) == 5
    for _, raws in SEEN:
        for raw in raws:
            assert not set(raw.annotations.description)
            assert "stim" not in raw.get_channel_types()


def test_own_mode_sees_each_recording_alone(pieces: tuple[EpochSet, Continuous]) -> None:
    epochs, source = pieces
    x = own_windows(epochs, source, "shrink:own")
    y = own_windows(epochs, changed(source, 0), "shrink:own")
    assert [len(raws) for _, raws in SEEN] == [1] * 8
    first = source.parts[0].index
    assert (x[first] != y[first]).any()
    rest = np.setdiff1d(np.arange(len(epochs)), first)
    np.testing.assert_array_equal(x[rest], y[rest])
    strict = fold_windows(epochs, source, "shrink", make_folds(epochs)[0]).x
    assert (x[first] != strict[first]).any()


@pytest.mark.parametrize("filter", ["zero-phase", "causal"])
def test_what_was_removed_and_what_is_left_are_the_whole(
    pieces: tuple[EpochSet, Continuous], filter: str
) -> None:
    """The band, the rate and the reference are linear, so windows add up as signals do."""
    epochs, source = pieces
    source = replace(source, finish={**source.finish, "filter": filter})
    left = own_windows(epochs, source, "shrink:own")
    removed = own_windows(epochs, source, "shrink:own:removed")
    raw = finish(source.parts[0].raw, **source.finish)
    start = round(epochs.table["onset"].iloc[0] * epochs.sfreq)
    whole = 1e6 * raw.get_data()[:, start : start + epochs.x.shape[2]]
    np.testing.assert_allclose(left[0] + removed[0], whole, atol=0.02)  # 1 nV lies under it
    assert removed.std() > 0.5


def test_amplitudes_decide_on_uncleaned_windows_alone(choices: dict[str, Any]) -> None:
    choices["evaluation"]["clean"] = ["shrink:own"]
    everything = load_data(choices)[0]
    limit = float(np.quantile(np.ptp(everything.x, axis=2).max(axis=1), 0.5))
    choices["epochs"]["reject"] = limit
    epochs, source = load_data(choices)
    assert source is not None
    assert 0 < len(epochs) < len(everything)
    assert sorted(np.concatenate([part.index for part in source.parts])) == [*range(len(epochs))]
    source = replace(source, options={"shrink": {"factor": 30.0}})
    x = own_windows(epochs, source, "shrink:own")
    assert np.ptp(x, axis=2).max() > limit


@pytest.mark.usefixtures("kept")
def test_all_words_are_compared_on_the_same_trials(
    several: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several["evaluation"]["align"] = ["none", "euclidean:causal"]
    run = fit(several, tmp_path, n_workers=1)
    rows = load_rows([run])
    assert len(SEEN) == 4 + 2 * 4  # a strict cleaner is fitted once a fold, for both alignments
    assert (
        rows.groupby(["fold", "align"])["clean"].apply(list).tolist()
        == [several["evaluation"]["clean"]] * 8
    )
    for _, same in rows.groupby("fold"):
        tables = [run.read_predictions(key)[["trial", "onset", "y_true"]] for key in same["key"]]
        assert all(table.equals(tables[0]) for table in tables)
    show_run(run, per_subject=True, all_pairs=True)
    said = capsys.readouterr().out
    for words in ("cleaning", "shrink:own:removed", "unlabelled", "CONTROL", "frozen"):
        assert words in said
    assert "CONTAMINATED" not in said
    names = set(moabb_results(rows)["pipeline"])
    assert {"csp_lda", "csp_lda+shrink:own", "csp_lda+euclidean:causal+shrink"} <= names
    assert len(names) == 8


@pytest.mark.usefixtures("kept")
def test_a_second_run_fits_nothing(
    several: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_rows([fit(several, tmp_path, n_workers=1)])
    SEEN.clear()
    monkeypatch.setattr(Decoder, "fit", lambda *_, **__: pytest.fail("a decoder was fitted"))
    again = load_rows([fit(several, tmp_path, n_workers=1)])
    assert not SEEN
    assert first["score"].tolist() == again["score"].tolist()


def keys(choices: dict[str, Any], epochs: EpochSet, source: Continuous) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for job in make_plan(choices, epochs, source).jobs:
        found.setdefault(job.clean, set()).add(job.key)
    return found


def test_the_key_covers_all_that_a_cleaner_depends_on(
    several: dict[str, Any],
    pieces: tuple[EpochSet, Continuous],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    epochs, source = pieces
    before = keys(several, epochs, source)
    assert len(set.union(*before.values())) == 16
    recordings = keys(several, epochs, changed(source, 3))
    several["clean"] = {"shrink": {"factor": 0.25}}
    options = keys(several, epochs, source)
    several["clean"] = {}
    several["preprocess"]["filter"] = "causal"  # windows could be the same, the drift is not
    filtered = keys(several, epochs, source)
    several["preprocess"]["filter"] = "zero-phase"
    monkeypatch.setattr("neurodecode.experiment.fit.cleaners_digest", lambda: "edited")
    edited = keys(several, epochs, source)
    for after in (recordings, options, filtered, edited):
        assert after["none"] == before["none"]
        for word in several["evaluation"]["clean"][1:]:
            assert not after[word] & before[word]


def test_worker_processes_share_the_recordings_read_only(
    pieces: tuple[EpochSet, Continuous], tmp_path: Path
) -> None:
    """Large arrays are mapped into workers; nothing may be written into them."""
    epochs, source = pieces
    for part in source.parts:
        part.raw._data.flags.writeable = False
    try:
        fold_windows(epochs, source, "shrink", make_folds(epochs)[0])
        own_windows(epochs, source, "shrink:own:removed")
    finally:
        for part in source.parts:
            part.raw._data.flags.writeable = True


def test_within_a_session_a_strict_cleaner_is_refused_before_anything_is_fitted(
    several: dict[str, Any], pieces: tuple[EpochSet, Continuous]
) -> None:
    several["evaluation"]["protocol"] = "within-session"
    with pytest.raises(SignalError, match=r"Write 'shrink:own'.*cross-subject"):
        make_plan(several, *pieces)
    several["evaluation"]["clean"] = ["none", "shrink:own"]
    assert make_plan(several, *pieces).jobs
    assert not SEEN


@pytest.mark.usefixtures("kept")
def test_a_cleaner_that_cannot_be_fitted_says_where(
    several: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Shrink, raws: Sequence[BaseRaw]) -> Self:
        raise SignalError("Too short.")

    monkeypatch.setattr(Shrink, "fit", broken)
    several["evaluation"]["clean"] = ["shrink"]
    with pytest.raises(SignalError, match="clean = 'shrink', fold subject=1: Too short"):
        fit(several, tmp_path, n_workers=1)


def test_a_dry_run_builds_the_cleaners_and_fits_none(several: dict[str, Any]) -> None:
    assert preview(several)["cleaners"] == "shrink"
    assert not SEEN


def test_rows_of_before_load_as_not_cleaned() -> None:
    names = [n for n in ResultRow.__annotations__ if n not in ("clean", "contaminated")]
    row = ResultRow.from_dict(dict.fromkeys(names, 0))
    assert row.clean == "none"
    assert row.contaminated == ""


@pytest.mark.parametrize(
    ("words", "sets", "said"),
    [
        (["shrnk"], [], "No cleaner is called 'shrnk'. Did you mean 'shrink'"),
        (["shrink:owm"], [], "'owm'. Did you mean 'own'"),
        (["shrink:removed:own"], [], "shrink:own:removed"),
        (["none:own"], [], "Write 'none'"),
        (["shrink", "shrink"], [], "names 'shrink' twice"),
        (["shrink"], ["clean.shrink.facter=2"], r"option of \[clean.shrink\].*mean 'factor'"),
        (["shrink"], ["clean.shrink.factor=big"], "factor = 'big' is not a number"),
        (["none"], ["clean.shrink.factor=2"], "No cleaner of this run is called 'shrink'"),
        (["none"], ["clean=shrink"], "evaluation.clean"),
    ],
)
def test_mistakes_are_told_before_anything_loads(
    words: list[str], sets: list[str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve("mi", flags={"evaluation.clean": words}, sets=sets)


def test_words_are_taken_apart() -> None:
    assert CleanWord.parse("none") == CleanWord("none")
    assert CleanWord.parse("shrink:own:removed") == CleanWord("shrink", own=True, removed=True)
    with pytest.raises(UnknownName):
        CleanWord.parse("shrink:own:own:removed:x")


def test_options_reach_the_cleaner(pieces: tuple[EpochSet, Continuous]) -> None:
    epochs, source = pieces
    source = replace(source, options={"shrink": {"factor": 1.0}})
    own_windows(epochs, source, "shrink:own")
    assert {cleaner.factor for cleaner, _ in SEEN} == {1.0}


ADDED = {"kind": "eog", "snr": -3.0, "snr_convention": "power"}


def test_contamination_is_added_before_everything_and_never_goes_unmentioned(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_epochs: EpochSet
) -> None:
    choices = resolve(
        "mi",
        flags={
            "data.dataset": [str(card)],
            "data.subjects": [1, 2],
            "models": ["csp_lda"],
            "preprocess.band": [8, 30],
            "evaluation.align": ["none"],
            "evaluation.clean": ["none", "shrink"],
            **{f"contaminate.{name}": value for name, value in ADDED.items()},
        },
    )
    assert choices["contaminate"] == {**ADDED, "share": 0.3, "seed": 0}
    epochs, source = load_data(choices)
    assert epochs.digest() == load_data(choices)[0].digest()
    choices["evaluation"]["clean"] = ["none"]
    assert load_data(choices)[0].digest() == epochs.digest()
    choices["evaluation"]["clean"] = ["none", "shrink"]
    clean = tiny_epochs.x[: len(epochs)]
    assert np.abs(epochs.x - clean).max() > 1e-3
    assert preview(choices)["contaminated"].startswith("eyes, -3 dB (power)")
    assert source is not None
    run = fit(choices, tmp_path, n_workers=1)
    assert "contaminated" in run.id
    assert run.meta()["contaminated"]
    rows = load_rows([run])
    assert set(rows["contaminated"]) == {"eyes, -3 dB (power), 30% of the time"}
    assert moabb_results(rows)["dataset"].str.contains("CONTAMINATED").all()
    show_run(run)
    assert "CONTAMINATED (eyes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["contaminate.kind=eog", "contaminate.snr=3"], "lacks snr_convention.*'power'"),
        (["contaminate.kind=egg"], "is not one of 'eog'"),
        (["contaminate.snrr=3"], "Did you mean 'snr'"),
    ],
)
def test_mistakes_in_contamination_are_told(sets: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve("mi", sets=sets)
