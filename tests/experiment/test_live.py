"""A run as a live decoder; and a session that can be had again from its recording."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.core.errors import ConfigError, RecordingError, StoreError, UnknownName
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.fit import fit
from neurodecode.experiment.live import LiveRun, open_live
from neurodecode.experiment.verify import verify
from neurodecode.online.decision import Decision
from neurodecode.online.engine import Engine
from neurodecode.online.lsl import StreamFacts, facts_of
from neurodecode.online.record import Recorder
from neurodecode.recordings.xdf import NOTE
from neurodecode.results.store import Run
from neurodecode.show.tables import newest_live_run

NAMES = ("C3", "Cz", "C4", "Fz", "Pz")
SFREQ = 64.0


def fitted(card: Path, folder: Path, **more: Any) -> Run:
    flags = {
        "data.dataset": [str(card)],
        "preprocess.band": [8.0, 30.0],
        "evaluation.align": ["none", "euclidean:causal"],
        "models": ["csp_lda", "ts_lr"],
        **more,
    }
    return fit(resolve("mi", flags=flags), folder, n_workers=1)


@pytest.fixture(scope="module")
def run(card: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fitted(card, tmp_path_factory.mktemp("live"), **{"evaluation.online_ready": True})


def facts(**playing: str) -> StreamFacts:
    channels = "".join(
        f"<channel><label>{name}</label><unit>microvolts</unit><type>EEG</type></channel>"
        for name in ("EEG Oz", *reversed(NAMES))
    )
    said = "".join(f"<{key}>{value}</{key}>" for key, value in playing.items())
    return facts_of(
        f"<info><name>amp</name><type>EEG</type><channel_count>6</channel_count><nominal_srate>"
        f"{SFREQ:g}</nominal_srate><channel_format>double64</channel_format><source_id>a"
        f"</source_id><uid>u</uid><desc><channels>{channels}</channels><playing>{said}</playing>"
        f"</desc></info>"
    )


def decisions_xml(live: LiveRun, engine: Engine) -> str:
    labels = [*(f"p_{name}" for name in live.pipeline.classes), "newest", "made", "status"]
    channels = "".join(
        f"<channel><label>{label}</label></channel>" for label in [*labels, "command"]
    )
    return (
        f"<info><name>neurodecode</name><type>Decision</type><channel_count>6</channel_count>"
        f"<nominal_srate>0</nominal_srate><channel_format>double64</channel_format><desc>"
        f"<max_gap>{engine.max_gap:.17g}</max_gap><channels>{channels}</channels></desc></info>"
    )


def record(live: LiveRun, path: Path, **how: Any) -> list[Decision]:
    """A session with a gap, a bad channel, a pause, old samples, and a freeze in the middle."""
    stream, engine = facts(), live.engine(SFREQ, **how)
    recorder = Recorder(path, signal=stream, decisions=decisions_xml(live, engine), say=print)
    rng = np.random.default_rng(0)
    x = 1e-5 * rng.standard_normal((6, 3000)).cumsum(axis=1)
    x[4, 1500:1520] = np.nan
    t = 500 + np.arange(3000) / SFREQ
    t[1000:] += 0.25
    rows = [stream.ch_names.index(name) for name in engine.ch_names]
    said, at = [], 0
    while at < 3000:
        size = int(rng.integers(1, 40))
        part = slice(at, min(3000, at + size))
        if how.get("cued") and at % 400 < size:
            recorder.marker("left_hand", float(t[at]))
            engine.cue(float(t[at]))
        if at <= 2000 < at + size:
            engine.freeze()
            recorder.marker(f"{NOTE}freeze", float(t[at]))
        now = float(t[part][-1]) + (1.5 if 2400 <= at < 2600 else 0.002)
        new = engine.push(x[rows, part], t[part], now=now)
        if at <= 2700 < at + size and not how.get("cued"):
            new.append(engine.stalled(now + 0.7))
        for decision in new:
            recorder.decision(decision)
        said += new
        recorder.signal(x[:, part] / stream.scales[:, None], t[part])
        at += size
    recorder.close()
    return said


@pytest.mark.parametrize("how", [{}, {"adapt": 20.0}, {"cued": True}])
def test_a_session_can_be_had_again_from_its_recording(
    run: Run, tmp_path: Path, how: dict[str, Any]
) -> None:
    live = open_live(run, align="euclidean:causal")
    said = record(live, tmp_path / "a.xdf", **how)
    found = verify(live, tmp_path / "a.xdf", **how)
    assert found.same, found
    json.dumps(asdict(found))
    assert found.n_decisions == len(said)
    assert found.n_valid == sum(d.status.valid for d in said) > 2
    if not how:
        assert {d.status.words for d in said} >= {"gap", "stale", "bad-channels"}


def test_another_decoder_does_not_give_the_same(run: Run, tmp_path: Path) -> None:
    record(open_live(run, model="csp_lda", align="none"), tmp_path / "a.xdf")
    found = verify(open_live(run, model="ts_lr", align="none"), tmp_path / "a.xdf")
    assert not found.same
    assert found.max_difference > 1e-3


def test_a_recording_without_decisions_is_refused(run: Run, tmp_path: Path) -> None:
    from neurodecode.online.record import XdfFile

    file = XdfFile(tmp_path / "a.xdf")
    file.add(facts().xml)
    file.close()
    with pytest.raises(RecordingError, match="streams of decisions"):
        verify(open_live(run), tmp_path / "a.xdf")


def test_the_best_pipeline_goes_live_fitted_to_everybody(run: Run) -> None:
    live = open_live(run)
    means: dict[tuple[str, str], list[float]] = {}
    for row in run.rows():
        means.setdefault((row.model, row.align), []).append(row.score)
    best = max(means, key=lambda name: float(np.mean(means[name])))
    assert (live.row.model, live.row.align) == best
    assert live.row.fold == "everybody"
    assert live.score == pytest.approx(np.mean(means[best]))
    assert live.seen == {("tiny", str(i)) for i in (1, 2, 3, 4)}


def test_the_decoder_of_a_fold_has_not_seen_who_is_left_out(run: Run) -> None:
    live = open_live(run, fold="subject=2")
    assert live.seen == {("tiny", "1"), ("tiny", "3"), ("tiny", "4")}
    assert live.knows(facts(dataset="tiny", subject="1"))
    assert not live.knows(facts(dataset="tiny", subject="2"))
    assert not live.knows(facts())


def test_a_number_is_a_subject_and_no_beginning_of_a_key(run: Run) -> None:
    assert {open_live(run, fold=str(i)).row.fold for i in (1, 2, 3)} == {
        "subject=1", "subject=2", "subject=3",
    }  # fmt: skip
    row = run.rows()[-1]
    assert open_live(run, fold=row.key[:12]).row.key == row.key


def test_where_less_is_better_the_least_goes_live(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = open_live(run)
    monkeypatch.setattr("neurodecode.experiment.live.LOWER_IS_BETTER", {"balanced_accuracy"})
    worst = open_live(run)
    assert worst.score < best.score


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"fold": "subject=9"}, "fold"),
        ({"model": "dbconformer"}, "model"),
        ({"align": "riemannian:causal"}, "align"),
    ],
)
def test_what_the_run_has_not_is_refused(run: Run, words: dict[str, str], said: str) -> None:
    with pytest.raises(UnknownName, match=said):
        open_live(run, **words)


def test_how_it_decides_can_be_chosen_and_nothing_else(run: Run) -> None:
    live = open_live(run, sets=["online.threshold=0.9", "online.hop=0.25"])
    assert (live.online["threshold"], live.online["hop"]) == (0.9, 0.25)
    assert live.engine(SFREQ).hop == pytest.approx(0.25)
    with pytest.raises(ConfigError, match="only how it decides"):
        open_live(run, sets=["train.lr=1"])
    for wrong in ("online.threshold=2", "online.rest=nothing"):
        with pytest.raises(ConfigError):
            open_live(run, sets=[wrong])


def test_rules_to_stop_by_must_have_been_found(run: Run) -> None:
    with pytest.raises(ConfigError, match="neurodecode exit"):
        open_live(run, exit_rule="confidence")


def test_a_run_that_sees_the_future_is_refused(card: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--online-ready"):
        open_live(fitted(card, tmp_path, models=["csp_lda"], **{"evaluation.align": ["none"]}))


def test_the_newest_run_for_live_use_is_taken(run: Run, card: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="--online-ready"):
        newest_live_run(tmp_path)
    fitted(card, run.path.parent, models=["csp_lda"], **{"evaluation.align": ["none"]})  # newer
    assert newest_live_run(run.path.parent) == run
