"""Recordings of the test side are played to the decoder as if live, and nothing else is told it."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pandas as pd
import pytest

from neurodecode.core.errors import ConfigError, SignalError, UnknownName
from neurodecode.epochs.cut import cut_again
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation import pseudo_online
from neurodecode.evaluation.cleaning import Continuous
from neurodecode.evaluation.command_scores import COMMAND_METRICS, Timeline
from neurodecode.evaluation.pseudo_online import play
from neurodecode.evaluation.runner import run_jobs
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.data import load_data
from neurodecode.experiment.fit import fit, make_plan
from neurodecode.experiment.source import Source
from neurodecode.preprocess.chain import finish
from neurodecode.results.store import Run, load_rows
from neurodecode.training import checkpoint

Pieces = tuple[EpochSet, Continuous]

ALIGN = "euclidean:causal"
PLAYED = {"evaluation.protocol": "pseudo-online"}


@pytest.fixture(scope="module")
def played_choices(card: Path) -> dict[str, Any]:
    return resolve(
        "mi",
        flags={
            "data.dataset": [str(card)],
            "models": ["csp_lda"],
            "preprocess.band": [8, 30],
            "evaluation.protocol": "pseudo-online",
            "evaluation.align": ["none", ALIGN],
        },
    )


@pytest.fixture
def choices(played_choices: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(played_choices)


@pytest.fixture(scope="module")
def pieces(played_choices: dict[str, Any]) -> Pieces:
    epochs, continuous = load_data(played_choices)
    assert continuous is not None
    return epochs, continuous


@pytest.fixture
def kept(pieces: Pieces, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set is not simulated again by each test that fits."""
    for name in ("fit", "source"):
        monkeypatch.setattr(f"neurodecode.experiment.{name}.load_data", lambda *_, **__: pieces)


def first_fold(
    choices: dict[str, Any], planned: Pieces, done: Pieces, path: Path
) -> dict[str, pd.DataFrame]:
    """Decisions in the first fold by alignment, planned on some pieces and run on others."""
    plan = make_plan(choices, *planned)
    jobs = [job for job in plan.jobs if job.fold.name == plan.jobs[0].fold.name]
    run = Run(path / "run")  # a store of its own: a sibling run would lend its folds
    run_jobs(replace(plan.task, epochs=done[0], continuous=done[1]), jobs, run)
    return {job.align: run.read_predictions(job.key) for job in jobs}


def said(table: pd.DataFrame) -> pd.DataFrame:
    """What the decoder has said, without the truth."""
    return table.drop(columns="y_true")


def with_raw(source: Continuous, who: int, raw: mne.io.BaseRaw) -> Continuous:
    parts = list(source.parts)
    parts[who] = replace(parts[who], raw=raw)
    return replace(source, parts=parts)


@pytest.mark.usefixtures("kept")
def test_a_run_decides_all_the_time_and_scores_commands(
    choices: dict[str, Any], pieces: Pieces, tmp_path: Path
) -> None:
    run = fit(choices, tmp_path, n_workers=1)
    rows = run.rows()
    assert len(rows) == 8
    for row in rows:
        assert set(COMMAND_METRICS) < set(row.scores)
        assert row.score == row.scores["balanced_accuracy"]
        assert 0 < row.predict_time < 0.5
        assert row.n_test == 16
    assert np.mean([row.score for row in rows]) > 0.6
    table = run.read_predictions(rows[0].key)
    raw = pieces[1].parts[0].raw
    seconds = raw.n_times / raw.info["sfreq"]
    assert len(table) == pytest.approx(seconds / 0.1, rel=0.1)  # a hop is whole samples
    assert np.allclose(np.diff(table["time"]), 6 / 64)
    assert set(table["subject"]) == {"1"}
    valid = table["status"].isin(["ok", "abstain"])
    assert set(table["status"]) == {"ok", "abstain", "gap"}
    assert (table["status"][table["time"] < 1.9] == "gap").all()
    assert valid[table["time"] > 4].all()
    for letter in "pe":
        proba = table[[f"{letter}_left_hand", f"{letter}_right_hand"]]
        assert proba[~valid].isna().all(axis=None)
        np.testing.assert_allclose(proba[valid].sum(axis=1), 1)
    assert set(table["y_true"]) == {"", "left_hand", "right_hand"}
    commands = table[table["command"] != ""]
    assert len(commands) == rows[0].scores["n_commands"] > 0
    assert np.diff(commands["time"]).min() > 1.99


@pytest.mark.usefixtures("kept")
def test_the_decoder_of_everybody_is_that_of_any_run_for_live_use(
    choices: dict[str, Any], pieces: Pieces
) -> None:
    plan = make_plan(choices, *pieces)
    choices["evaluation"] |= {"protocol": "cross-subject", "split": None}
    other = make_plan(choices, pieces[0])
    assert plan.live == other.live
    assert len(plan.live) == 2
    assert not set(plan.folds) & set(other.folds)


def test_what_happened_on_the_test_side_changes_no_decision(
    choices: dict[str, Any], pieces: Pieces, tmp_path: Path
) -> None:
    epochs, source = pieces
    test = make_plan(choices, *pieces).jobs[0].fold.test
    y = epochs.y.copy()
    y[test] = 1 - y[test]
    timelines = list(source.timelines)
    old = timelines[0]
    timelines[0] = Timeline(
        onset=old.onset[3:] + 0.7, duration=old.duration[3:] / 2, label=1 - old.label[3:]
    )
    other = (replace(epochs, y=y), replace(source, timelines=timelines))
    before = first_fold(choices, pieces, pieces, tmp_path / "a")
    after = first_fold(choices, pieces, other, tmp_path / "b")
    for align in ("none", ALIGN):
        pd.testing.assert_frame_equal(said(before[align]), said(after[align]), check_exact=True)
        assert (before[align]["y_true"] != after[align]["y_true"]).any()


def test_what_happened_on_the_training_side_does_matter(
    choices: dict[str, Any], pieces: Pieces, tmp_path: Path
) -> None:
    """The test above would pass for a decoder that learns nothing; this one does learn."""
    epochs, source = pieces
    train = make_plan(choices, *pieces).jobs[0].fold.train
    y = epochs.y.copy()
    y[train] = 1 - y[train]
    before = first_fold(choices, pieces, pieces, tmp_path / "a")
    after = first_fold(choices, pieces, (replace(epochs, y=y), source), tmp_path / "b")
    assert not said(before["none"]).equals(said(after["none"]))


def test_later_samples_change_no_earlier_decision(
    choices: dict[str, Any], pieces: Pieces, tmp_path: Path
) -> None:
    epochs, source = pieces
    raw = source.parts[0].raw.copy()
    middle = raw.n_times // 2
    raw._data[:, middle:] = 7 * raw._data[::-1, middle:]
    before = first_fold(choices, pieces, pieces, tmp_path / "a")
    after = first_fold(choices, pieces, (epochs, with_raw(source, 0, raw)), tmp_path / "b")
    for align in ("none", ALIGN):
        early = before[align]["time"] < middle / raw.info["sfreq"]
        assert 100 < early.sum() < len(early)
        pd.testing.assert_frame_equal(before[align][early], after[align][early], check_exact=True)
        assert not before[align][~early].equals(after[align][~early])


@pytest.mark.parametrize("clean", ["none", "asr"])
def test_a_decision_is_what_the_decoder_says_of_that_window(
    clean: str, choices: dict[str, Any], pieces: Pieces, tmp_path: Path
) -> None:
    """Chunk by chunk is the same as the whole recording, cleaned, filtered and cut."""
    from neurodecode.artifacts.apply import clean as clean_raw

    epochs, source = pieces
    choices["evaluation"] |= {"align": ["none"], "clean": [clean]}
    table = first_fold(choices, pieces, pieces, tmp_path)["none"]
    (path,) = (tmp_path / "run" / "checkpoints").glob("*.safetensors")
    raw = source.parts[0].raw.copy()
    if clean != "none":
        raw = clean_raw(checkpoint.load_extra(path)["cleaner"], raw, filter="causal")
    raw = finish(raw, **source.finish)
    valid = table["status"].isin(["ok", "abstain"]).to_numpy()
    n_times = epochs.x.shape[2]
    first = table["time"].to_numpy()[valid] - (n_times - 1) / epochs.sfreq
    x = cut_again(raw, first, n_times=n_times, name="it")
    proba = checkpoint.load(path).predict_proba(x)
    columns = ["p_left_hand", "p_right_hand"]
    assert valid.sum() > 300
    np.testing.assert_allclose(table.loc[valid, columns].to_numpy(), proba, atol=1e-6)


def test_how_samples_come_in_changes_nothing(
    choices: dict[str, Any], pieces: Pieces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = first_fold(choices, pieces, pieces, tmp_path / "a")
    monkeypatch.setattr(pseudo_online, "CHUNK", 0.37)
    after = first_fold(choices, pieces, pieces, tmp_path / "b")
    for align in ("none", ALIGN):
        pd.testing.assert_frame_equal(before[align], after[align], atol=1e-9)


def cut_in_two(pieces: Pieces, sessions: Sequence[str]) -> Pieces:
    """The first recording as two, and the table with the session of each."""
    epochs, source = pieces
    part, timeline = source.parts[0], source.timelines[0]
    half = part.raw.n_times // 2
    sfreq = part.raw.info["sfreq"]
    late = epochs.table["onset"].to_numpy()[part.index] >= half / sfreq
    halves = [
        mne.io.RawArray(part.raw.get_data()[:, s], part.raw.info, verbose="ERROR")
        for s in (slice(0, half), slice(half, None))
    ]
    table = epochs.table.copy()
    for side, name in zip((~late, late), sessions, strict=True):
        rows = part.index[side]
        table.loc[rows, "session"] = name
        table.loc[rows, "run"] = name
    parts = [replace(part, raw=halves[i], index=part.index[late == i]) for i in (0, 1)]
    lines = [
        Timeline(
            onset=timeline.onset[late == i] - i * half / sfreq,
            duration=timeline.duration[late == i],
            label=timeline.label[late == i],
        )
        for i in (0, 1)
    ]
    joined = replace(
        source,
        parts=[*parts, *source.parts[1:]],
        timelines=[*lines, *source.timelines[1:]],
    )
    return replace(epochs, table=table), joined


@pytest.mark.parametrize(
    ("sessions", "known"), [(("a", "a"), True), (("a", "b"), False)], ids=["one", "two"]
)
def test_alignment_goes_on_within_a_session_and_begins_anew_with_the_next(
    sessions: Sequence[str], known: bool, choices: dict[str, Any], pieces: Pieces, tmp_path: Path
) -> None:
    epochs, source = cut_in_two(pieces, sessions)
    raw = source.parts[0].raw.copy()
    raw._data *= np.linspace(1, 9, len(raw.ch_names))[:, None]
    louder = (epochs, with_raw(source, 0, raw))
    before = first_fold(choices, (epochs, source), (epochs, source), tmp_path / "a")
    after = first_fold(choices, (epochs, source), louder, tmp_path / "b")
    half = len(before[ALIGN]) // 2 + 30
    for align in ("none", ALIGN):
        same = said(before[align])[half:].equals(said(after[align])[half:])
        assert same is not (known and align == ALIGN)


def test_where_recordings_were_joined_the_stream_begins_anew(
    choices: dict[str, Any], pieces: Pieces, tmp_path: Path
) -> None:
    epochs, source = pieces
    raw = source.parts[0].raw.copy()
    raw.set_annotations(mne.Annotations([30.0], [0.0], ["EDGE boundary"]))
    joined = (epochs, with_raw(source, 0, raw))
    table = first_fold(choices, joined, joined, tmp_path)["none"]
    gap = table["status"] == "gap"
    assert gap[(table["time"] > 30) & (table["time"] < 31.9)].all()
    assert not gap[(table["time"] > 3) & (table["time"] < 30)].any()
    assert not gap[table["time"] > 34].any()


def test_the_key_covers_all_that_decisions_depend_on(
    choices: dict[str, Any], pieces: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs, source = pieces
    before = make_plan(choices, *pieces)
    lines = [replace(line, onset=line.onset + 0.1) for line in source.timelines]
    raw = source.parts[0].raw.copy()
    raw._data[0, -1] += 1e-6  # no window holds it
    plans = [
        make_plan(choices, epochs, replace(source, timelines=lines)),
        make_plan(choices, epochs, with_raw(source, 0, raw)),
        make_plan({**choices, "online": {**choices["online"], "threshold": 0.9}}, *pieces),
    ]
    monkeypatch.setattr("neurodecode.experiment.fit.live_digest", lambda: "edited")
    for plan in [*plans, make_plan(choices, *pieces)]:
        assert not set(plan.folds) & set(before.folds)
        assert plan.live == before.live


@pytest.mark.usefixtures("kept")
def test_worker_processes_give_the_same_scores(choices: dict[str, Any], tmp_path: Path) -> None:
    choices["evaluation"]["align"] = ["none"]
    alone, together = (fit(choices, tmp_path / str(n), n_workers=n) for n in (1, 2))
    columns = ["fold", "align", "score"]
    pd.testing.assert_frame_equal(load_rows([alone])[columns], load_rows([together])[columns])


@pytest.mark.usefixtures("kept")
def test_its_windows_can_be_read_again(choices: dict[str, Any], tmp_path: Path) -> None:
    run = fit(choices, tmp_path, n_workers=1)
    row = run.rows()[0]
    sides = Source(run, lambda *_: None).sides(row)
    assert len(sides.test) == row.n_test


def test_a_recording_without_a_channel_of_the_decoder_says_so(
    choices: dict[str, Any], pieces: Pieces, tmp_path: Path
) -> None:
    epochs, source = pieces
    poorer = (epochs, with_raw(source, 0, source.parts[0].raw.copy().drop_channels(["Cz"])))
    with pytest.raises(SignalError, match=r"subject 1.*lacks Cz, which the decoder was fitted"):
        first_fold(choices, pieces, poorer, tmp_path)


def test_scores_of_windows_are_not_those_of_commands() -> None:
    with pytest.raises(UnknownName, match="metric of pseudo-online is called 'roc_auc'"):
        resolve(
            "mi", flags={"evaluation.protocol": "pseudo-online", "evaluation.metric": "roc_auc"}
        )
    with pytest.raises(ConfigError, match="scores commands, and windows give none"):
        resolve("mi", flags={"evaluation.metric": "itr"})
    choices = resolve("p300", flags=PLAYED)
    assert choices["evaluation"]["metric"] == "balanced_accuracy"
    assert choices["evaluation"]["split"] == "cross-subject"


def test_windows_that_slide_have_a_class_of_rest() -> None:
    flags = {**PLAYED, "data.dataset": ["synthetic_seizure"]}
    choices = resolve("seizure", flags=flags, sets=["epochs.slide=true"])
    assert choices["online"]["rest"] == "background"
    with pytest.raises(ConfigError, match="online.threshold says when"):
        resolve("seizure", flags=flags, sets=["epochs.slide=true", "evaluation.threshold=0.5"])


@pytest.mark.parametrize("split", ["cross-session", "cross-subject"])
def test_folds_are_those_of_the_split(split: str, choices: dict[str, Any], pieces: Pieces) -> None:
    choices["evaluation"]["split"] = split
    divided = cut_in_two(pieces, ("a", "b"))
    epochs, source = divided
    if split == "cross-session":
        first = epochs.table["subject"] == "1"
        index = np.flatnonzero(first)
        epochs = replace(
            epochs, x=epochs.x[index], y=epochs.y[index], table=epochs.table.iloc[index]
        )
        source = replace(source, parts=source.parts[:2], timelines=source.timelines[:2])
    names = [job.fold.name for job in make_plan(choices, epochs, source).jobs]
    expected = {
        "cross-session": ["subject=1 session=a", "subject=1 session=b"],
        "cross-subject": [f"subject={i}" for i in (1, 2, 3, 4)],
    }[split]
    assert list(dict.fromkeys(names)) == [*expected, "everybody"]


def test_only_recordings_of_the_test_side_are_played(
    choices: dict[str, Any], pieces: Pieces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    def listening(part: Any, *rest: Any) -> Any:
        heard.append(part.name)
        return play(part, *rest)

    monkeypatch.setattr(pseudo_online, "play", listening)
    choices["evaluation"]["align"] = ["none"]
    first_fold(choices, pieces, pieces, tmp_path)
    assert heard == [pieces[1].parts[0].name]
