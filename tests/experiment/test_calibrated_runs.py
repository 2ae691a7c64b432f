"""A run that is calibrated to a person is a new run, which goes live and claims no more."""

import json
import os
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.alignment.align import AlignState, whiten
from neurodecode.core.errors import ConfigError, FitError, StoreError, UnknownName
from neurodecode.epochs.epochset import EpochSet
from neurodecode.experiment import calibrate as calibration
from neurodecode.experiment.calibrate import (
    TRIALS,
    calibrate,
    calibrated_run,
    check_calibration,
    cross_validate,
    kept_trials,
    load_trials,
    save_trials,
)
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.data import load_epochs
from neurodecode.experiment.fit import fit
from neurodecode.experiment.live import LiveRun, open_live
from neurodecode.online.calibrate import CalibrationOptions, Collected, Trials, _Session, prepared
from neurodecode.online.lsl import StreamFacts
from neurodecode.online.pipeline import LivePipeline
from neurodecode.results.store import Run
from neurodecode.show.calibrate import CueScreen, show_calibrated, show_calibration
from neurodecode.show.listings import listing
from neurodecode.show.tables import export_rows, find_runs, show_runs
from neurodecode.signal.covariance import covariances
from neurodecode.training.head import folds_of

CLASSES = ("left_hand", "right_hand")
N = 20  # trials of each

CARD = """
name = "four"
description = "Four simulated subjects"
paradigm = "mi"
simulated = true
events = ["left_hand", "right_hand"]
[source]
kind = "synthetic"
[source.arguments]
n_subjects = 4
n_sessions = 1
n_trials = 40
sfreq = 64.0
duration = 2.0
cache = false
ch_names = ["C3", "Cz", "C4", "Fz", "Pz"]
"""


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cards") / "four.toml"
    path.write_text(CARD)
    return path


def choices_for(card: Path, subjects: list[int]) -> dict[str, Any]:
    return resolve(
        "mi",
        flags={
            "data.dataset": [str(card)],
            "data.subjects": subjects,
            "models": ["csp_lda", "mdm"],
            "preprocess.band": [8, 30],
            "evaluation.align": ["none", "euclidean:causal"],
            "evaluation.online_ready": True,
        },
    )


@pytest.fixture(scope="module")
def parent(card: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Fitted to three people, for live use."""
    return fit(choices_for(card, [1, 2, 3]), tmp_path_factory.mktemp("runs"), n_workers=1)


@pytest.fixture(scope="module")
def person(card: Path) -> EpochSet:
    """The fourth."""
    return load_epochs(choices_for(card, [4]))


@pytest.fixture(scope="module")
def aligned(parent: Run) -> LiveRun:
    return open_live(parent, model="csp_lda", align="euclidean:causal")


@pytest.fixture(scope="module")
def plain(parent: Run) -> LiveRun:
    return open_live(parent, model="csp_lda", align="none")


@pytest.fixture
def trials(person: EpochSet) -> Trials:
    return Trials(
        x=person.x,
        label=person.y,
        stamp=person.table["onset"].to_numpy(dtype=float),
        ch_names=person.ch_names,
        classes=CLASSES,
        sfreq=person.sfreq,
    )


def flipped(trials: Trials) -> Trials:
    return replace(trials, label=1 - trials.label)


def test_alignment_begins_with_the_person_and_stays(aligned: LiveRun, trials: Trials) -> None:
    run = calibrated_run(aligned, trials)
    assert run.id.startswith(f"{aligned.run.id}-calibrated-")
    live = open_live(run)
    assert live.pipeline.settled
    mean = covariances(trials.x).mean(axis=0)
    np.testing.assert_allclose(live.pipeline.start.mean, mean, rtol=1e-12)
    assert live.pipeline.start.n == len(trials.x)
    x = whiten(trials.x, live.pipeline.start)
    np.testing.assert_array_equal(live.decoder.predict_proba(x), aligned.decoder.predict_proba(x))

    engine = live.pipeline.engine(live.pipeline.sfreq)
    assert engine.alignment is not None
    assert engine.alignment.frozen


def test_a_calibrated_run_says_where_it_comes_from(aligned: LiveRun, trials: Trials) -> None:
    run = calibrated_run(aligned, trials, facts={"date": "2026-01-01", "n_refused": 2})
    meta, before = run.meta(), aligned.run.meta()
    assert meta["parent"] == aligned.run.id
    assert meta["folds"] == []
    assert meta["live"] == [run.rows(meta["live"])[0].key]
    assert {k: meta[k] for k in ("classes", "ch_names", "sfreq", "online_ready")} == {
        k: before[k] for k in ("classes", "ch_names", "sfreq", "online_ready")
    }
    assert (run.path / "config.toml").read_text() == (aligned.run.path / "config.toml").read_text()
    facts = meta["calibrated"]
    assert facts["n"] == {"left_hand": N, "right_hand": N}
    assert (facts["aligned"], facts["finetune"], facts["lam"]) == ("euclidean", None, None)
    assert facts["date"] == "2026-01-01"
    np.testing.assert_array_equal(load_trials(run.path / TRIALS).x, trials.x)
    table = run.read_predictions(meta["live"][0])
    assert (table["y_pred"] == table["y_true"]).mean() == facts["accuracy"]["after"]
    assert (table["y_before"] == table["y_true"]).mean() == facts["accuracy"]["before"]


def test_other_trials_or_another_choice_are_another_run(aligned: LiveRun, trials: Trials) -> None:
    ids = {
        calibrated_run(aligned, trials).id,
        calibrated_run(aligned, trials, finetune="head").id,
        calibrated_run(aligned, flipped(trials)).id,
    }
    assert len(ids) == 3
    assert calibrated_run(aligned, trials).id in ids


def contrary(trials: Trials) -> Trials:
    """A person whose hemispheres do the opposite of what the decoder has learned."""
    loud = [trials.ch_names.index(("C4", "C3")[label]) for label in trials.label]
    x = trials.x.copy()
    x[np.arange(len(x)), loud] *= 3
    return replace(trials, x=x)


@pytest.mark.parametrize("which", ["plain", "aligned"])
def test_a_person_who_is_the_other_way_round_gains(
    which: str, trials: Trials, request: pytest.FixtureRequest
) -> None:
    live: LiveRun = request.getfixturevalue(which)
    odd = contrary(trials)
    run = calibrated_run(live, odd, finetune="head")
    found = run.meta()["calibrated"]
    assert found["lam"] is not None
    assert found["accuracy"]["before"] < 0.3
    assert found["accuracy"]["after"] > 0.8
    assert found["accuracy"]["n"] == 2 * N
    assert found["accuracy"]["p"] < 1e-4
    tuned = open_live(run)
    right = tuned.decoder.predict(whiten(odd.x, tuned.pipeline.start)) == odd.label
    assert right.mean() > 0.8
    assert ("reference" in tuned.extra) == (which == "aligned")


def test_labels_that_mean_nothing_bring_nothing(plain: LiveRun, trials: Trials) -> None:
    after = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        shuffled = replace(trials, label=rng.permutation(trials.label))
        scores = cross_validate(plain, shuffled, finetune=True)
        after.append(scores.as_dict()["after"])
    assert abs(np.mean(after) - 0.5) < 0.15


def test_a_held_out_trial_has_no_part_in_its_own_score(
    aligned: LiveRun, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds = list(folds_of(trials.label))
    monkeypatch.setattr(calibration, "folds_of", lambda y: folds)  # whatever the labels
    scores = cross_validate(aligned, trials, finetune=True)
    _, test = folds[1]
    one, others = test[0], test[1:]
    x = trials.x.copy()
    x[others] = x[others][:, ::-1] * 3
    label = trials.label.copy()
    label[test] = 1 - label[test]
    again = cross_validate(aligned, replace(trials, x=x), finetune=True)
    np.testing.assert_array_equal(again.after[one], scores.after[one])
    assert np.abs(again.after - scores.after).max() > 0.01  # elsewhere they have
    relabelled = cross_validate(aligned, replace(trials, label=label), finetune=True)
    np.testing.assert_allclose(relabelled.after[test], scores.after[test])


def said_live(pipeline: LivePipeline, x: np.ndarray) -> np.ndarray:
    """Probabilities of windows that come one after the other, preprocessed, at cues."""
    ready = replace(pipeline, band=None, notch=None, reference="none")
    engine = ready.engine(ready.sfreq, cued=True)
    said = []
    for i, window in enumerate(x):
        stamps = (i * ready.n_times + np.arange(ready.n_times)) / ready.sfreq
        engine.cue(stamps[0] - ready.offset)
        said += engine.push(window * 1e-6, stamps, now=float(stamps[-1]))
    return np.array([decision.proba for decision in said])


@pytest.mark.parametrize("gain", [1.0, 7.0])
def test_before_is_what_the_decoder_would_have_said_live(
    gain: float, aligned: LiveRun, trials: Trials
) -> None:
    live = replace(aligned, pipeline=replace(aligned.pipeline, gain=gain))
    scores = cross_validate(live, trials, finetune=False)
    np.testing.assert_allclose(said_live(live.pipeline, trials.x), scores.before, atol=1e-5)


def test_after_is_what_it_will_say_live(aligned: LiveRun, trials: Trials) -> None:
    live = replace(aligned, pipeline=replace(aligned.pipeline, gain=7.0))
    scores = cross_validate(live, trials, finetune=False)
    for train, test in folds_of(trials.label):
        mean = covariances(trials.x[train]).mean(axis=0)
        start = AlignState(mean, float(len(train)))
        said = said_live(replace(live.pipeline, start=start, settled=True), trials.x[test])
        np.testing.assert_allclose(said, scores.after[test], atol=1e-5)


def test_what_has_nothing_to_calibrate_is_refused_before_anybody_waits(
    parent: Run, plain: LiveRun, aligned: LiveRun
) -> None:
    options = CalibrationOptions(n=5)
    with pytest.raises(ConfigError, match=r"nothing to calibrate. Give --finetune head, or"):
        check_calibration(plain, options, None)
    check_calibration(plain, options, "head")
    check_calibration(aligned, options, None)
    mdm = open_live(parent, model="mdm", align="euclidean:causal")
    check_calibration(mdm, options, None)
    with pytest.raises(ConfigError, match="The head of mdm cannot be fine-tuned"):
        check_calibration(mdm, options, "head")
    with pytest.raises(UnknownName, match="can be fine-tuned is called 'all'"):
        check_calibration(aligned, options, "all")
    with pytest.raises(ConfigError, match="2 trials of each class or more"):
        check_calibration(aligned, CalibrationOptions(n=1), None)
    with pytest.raises(ConfigError, match="no stream of markers"):
        check_calibration(aligned, CalibrationOptions(n=2, labels="left_hand=1"), None)
    wrong = CalibrationOptions(n=2, labels="feet=1", markers="m")
    with pytest.raises(UnknownName, match="feet"):
        check_calibration(aligned, wrong, None)


FACTS = StreamFacts(
    name="amp",
    kind="EEG",
    source_id="amp-1",
    uid="u",
    sfreq=64.0,
    ch_names=("C3",),
    ch_types=("eeg",),
    scales=np.ones(1),
    fmt="float32",
    playing={},
    xml="",
)


def ended_after(monkeypatch: pytest.MonkeyPatch, trials: Trials, n: int) -> None:
    """Collecting stops after so many trials, each of which was kept."""

    def collect(
        pipeline: Any, options: Any, view: Any, keep: Any, stop: Any, kept: Any
    ) -> Collected:
        for i in range(1, n + 1):
            some = replace(trials, x=trials.x[:i], label=trials.label[:i], stamp=trials.stamp[:i])
            keep(some)
        return Collected(trials=some, interrupted=True, n_refused=0, ignored={}, facts=FACTS)

    monkeypatch.setattr(calibration, "collect", collect)


def in_order(trials: Trials) -> Trials:
    """Left, right, left, right, ..."""
    index = np.stack([np.flatnonzero(trials.label == c) for c in (0, 1)], axis=1).ravel()
    return replace(trials, x=trials.x[index], label=trials.label[index])


def test_too_few_trials_end_in_one_line_and_are_kept(
    aligned: LiveRun, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended_after(monkeypatch, in_order(trials), 3)
    with pytest.raises(FitError, match="there are 2 of left_hand and 1 of right_hand") as error:
        calibrate(aligned, CalibrationOptions(n=8), view=CueScreen(sys.stderr))
    assert "\n" not in str(error.value)
    (file,) = aligned.run.path.parent.glob(f"*-calibrating-*/{TRIALS}")
    assert f"Give the command again with --trials {file}: " in str(error.value)
    assert load_trials(file).counts() == [2, 1]
    assert len(find_runs(aligned.run.path.parent, [])) == 1  # it is no run
    file.unlink()
    file.parent.rmdir()


def test_after_two_of_each_class_what_there_is_can_be_used(
    aligned: LiveRun, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended_after(monkeypatch, in_order(trials), 5)
    asked: list[str] = []

    def agree(question: str) -> bool:
        asked.append(question)
        return len(asked) > 1

    with pytest.raises(
        FitError, match=r"Nothing was calibrated. Give the .* --trials .*kept there"
    ):
        calibrate(aligned, CalibrationOptions(n=8), view=CueScreen(sys.stderr), agree=agree)
    run = calibrate(aligned, CalibrationOptions(n=8), view=CueScreen(sys.stderr), agree=agree)
    assert asked[1] == "There are 3 of left_hand and 2 of right_hand. Calibrate with them?"
    facts = run.meta()["calibrated"]
    assert facts["n"] == {"left_hand": 3, "right_hand": 2}
    assert facts["interrupted"]
    assert facts["accuracy"]["n_folds"] == 2
    for left in aligned.run.path.parent.glob(f"*-calibrating-*/{TRIALS}"):
        left.unlink()  # of the first
        left.parent.rmdir()


def kept_in(path: Path, live: LiveRun, trials: Trials, **more: Any) -> Path:
    made = replace(trials, prepared=prepared(live.pipeline), **more)
    save_trials(made, path)
    return path


def test_trials_that_are_there_need_no_stream(
    aligned: LiveRun,
    trials: Trials,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(calibration, "collect", None)  # nobody may call it
    dataset, subject = sorted(aligned.seen)[0]
    playing = {"dataset": dataset, "subject": subject}
    file = kept_in(tmp_path / TRIALS, aligned, trials, playing=playing)
    run = show_calibration(aligned, CalibrationOptions(n=N), trials=file)
    facts = run.meta()["calibrated"]
    assert facts["n"] == {"left_hand": N, "right_hand": N}
    assert (facts["n_kept"], facts["stream"], facts["interrupted"]) == (2 * N, None, False)
    said = capsys.readouterr().out.replace("\n", " ")
    assert f"{2 * N} of them from before" in said
    assert "fitted to this very person" in said  # where they come from is kept with them
    assert f"neurodecode online {run.id} --runs {run.path.parent}" in said
    assert file.is_file()
    assert kept_trials(open_live(run), run.path / TRIALS).counts() == [N, N]


def test_of_trials_that_are_kept_the_rest_is_collected(
    aligned: LiveRun, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = in_order(trials)
    few = replace(some, x=some.x[:4], label=some.label[:4], stamp=some.stamp[:4])
    heard: list[Any] = []

    def collect(*given: Any) -> Collected:
        heard.append(given[-1])
        return Collected(trials=some, interrupted=False, n_refused=0, ignored={}, facts=FACTS)

    monkeypatch.setattr(calibration, "collect", collect)
    run = calibrate(aligned, CalibrationOptions(n=N), kept=few, view=CueScreen(sys.stderr))
    assert heard == [few]
    assert run.meta()["calibrated"]["n_kept"] == 4


def test_trials_of_two_people_are_no_calibration(aligned: LiveRun, trials: Trials) -> None:
    kept = replace(trials, playing={"dataset": "four", "subject": "4"})
    screen = CueScreen(sys.stderr)
    session = _Session(aligned.pipeline, CalibrationOptions(n=N), screen, lambda _: None, kept)
    with pytest.raises(ConfigError, match="of subject 4 of four, and the stream 'amp' plays su"):
        session.make_engine(replace(FACTS, playing={"dataset": "four", "subject": "2"}))


def test_trials_of_another_decoder_are_refused(
    aligned: LiveRun, trials: Trials, tmp_path: Path
) -> None:
    other = replace(aligned, pipeline=replace(aligned.pipeline, band=(4.0, 8.0)))
    file = kept_in(tmp_path / TRIALS, other, trials, ch_names=trials.ch_names[::-1])
    with pytest.raises(ConfigError, match="not the same are channels, preprocessing. Give that"):
        kept_trials(aligned, file)


def test_trials_that_cannot_be_read_are_told(tmp_path: Path, trials: Trials) -> None:
    path = tmp_path / TRIALS
    save_trials(trials, path)
    again = load_trials(path)
    np.testing.assert_array_equal(again.x, trials.x)
    assert (again.ch_names, again.classes, again.sfreq) == (
        trials.ch_names,
        trials.classes,
        trials.sfreq,
    )
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match="holds no trials"):
        load_trials(path)


def test_results_and_lists_say_that_it_is_a_copy(
    aligned: LiveRun, trials: Trials, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = calibrated_run(aligned, trials, finetune="head")
    runs = run.path.parent
    show_runs(find_runs(runs, [run.id]))
    said = capsys.readouterr().out
    assert f"{run.id} is a calibrated copy of {aligned.run.id}: csp_lda" in said.replace("\n", " ")
    assert "cross-validated" in said
    show_runs([run], as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["parent"] == aligned.run.id
    assert document["calibrated"]["accuracy"]["n"] == 2 * N
    words = dict(listing("runs", runs))
    assert words[run.id].startswith(f"calibrated copy of {aligned.run.id}: ")
    assert words[aligned.run.id].endswith("fits")
    assert run.rows() == []
    with pytest.raises(StoreError, match="nothing to export"):
        export_rows([run], tmp_path / "x.csv", moabb=False)
    show_calibrated(run)
    assert "SIMULATED" in capsys.readouterr().out


def test_a_calibrated_run_can_be_calibrated_again(aligned: LiveRun, trials: Trials) -> None:
    first = open_live(calibrated_run(aligned, trials, finetune="head"))
    scores = cross_validate(first, trials, finetune=False)
    x = whiten(trials.x, first.pipeline.start)
    np.testing.assert_allclose(scores.before, first.decoder.predict_proba(x))
    second = calibrated_run(first, trials)
    assert second.meta()["parent"] == first.run.id


LIVE = """
import sys
from pathlib import Path
from neurodecode.core.errors import NeurodecodeError
from neurodecode.experiment.live import open_live
from neurodecode.online import lsl
from neurodecode.online.calibrate import CalibrationOptions
from neurodecode.results.store import Run
from neurodecode.show.calibrate import show_calibration

session, path, more = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
lsl.configure(session=session)
live = open_live(Run(path), model="csp_lda", align="euclidean:causal")
options = CalibrationOptions(n=3, stream="eeg", markers="eeg-markers", wait=20.0, max_age=5.0)
try:
    show_calibration(live, options, finetune="head", as_json=True)
except NeurodecodeError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_person_is_calibrated_by_markers_over_lsl(
    parent: Run, card: Path, person: EpochSet, tmp_path: Path
) -> None:
    session, env = uuid.uuid4().hex[:12], {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from neurodecode.cli import main; main()", "replay"]
    command += ["--dataset", str(card), "--subject", "4", "--speed", "8", "--wait", "--name", "eeg"]
    command += ["--session-id", session]
    player = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        done = subprocess.run(
            [sys.executable, "-c", LIVE, session, str(parent.path)],
            env=env,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    finally:
        player.kill()
        _, complaint = player.communicate(timeout=10)
    assert done.returncode == 0, done.stderr + complaint.decode()
    document = json.loads(done.stdout)
    facts = document["calibrated"]
    assert facts["n"] == {"left_hand": 3, "right_hand": 3}
    assert facts["playing"]["subject"] == "4"
    assert not facts["seen"]
    assert "left_hand: 3 of 3." in done.stderr

    run = Run(Path(document["run"]))
    live = open_live(run)
    assert live.pipeline.settled
    trials = load_trials(run.path / TRIALS)
    assert live.pipeline.start.n == 6
    for x, label in zip(trials.x, trials.label, strict=True):
        far = np.abs(person.x - x).max(axis=(1, 2))
        assert far.min() < 1e-6 * np.abs(x).max()
        assert person.y[far.argmin()] == label
    assert not list(parent.path.parent.glob("*-calibrating-*"))
