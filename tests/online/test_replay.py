"""Playing recordings: when each sample is sent, what stamp it has, and what is refused."""

import itertools
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mne
import numpy as np
import pytest

from neurodecode.core.errors import ConfigError, RecordingError, UnknownName
from neurodecode.experiment.replay import choose_recordings
from neurodecode.online import replay
from neurodecode.online.lsl import Found
from neurodecode.online.replay import Played, Sent, play, played
from neurodecode.recordings.read import read_raw

SFREQ = 200.0


class FakeLsl:
    """Stands in for LSL: keeps what is pushed, and when."""

    def __init__(self) -> None:
        self.signal: list[tuple[float, np.ndarray, np.ndarray]] = []
        self.words: list[tuple[float, str, float]] = []
        self.described: dict[str, Any] = {}
        self.there: list[Found] = []
        self.n_closed = 0
        self.listens_after = 0
        self.real = False  # else time passes only where one sleeps, and looks at the clock
        self.now = 100.0

    def clock(self) -> float:
        self.now += 1e-6
        return time.monotonic() if self.real else self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.real:
            time.sleep(seconds)

    def find_streams(self, **how: Any) -> list[Found]:
        return self.there

    def session_id(self) -> str:
        return "toy"

    def SignalOutlet(self, **facts: Any) -> Any:
        self.described = facts
        return FakeOutlet(self)

    def MarkerOutlet(self, **facts: Any) -> Any:
        return FakeWords(self)


class FakeOutlet:
    def __init__(self, kept: FakeLsl) -> None:
        self.kept = kept

    def push(self, chunk: np.ndarray, stamps: np.ndarray) -> None:
        self.kept.signal.append((self.kept.clock(), chunk, stamps))

    def wait(self, timeout: float) -> bool:
        self.kept.listens_after -= 1
        return self.kept.listens_after < 0

    def close(self) -> None:
        self.kept.n_closed += 1


class FakeWords(FakeOutlet):
    def push(self, label: str, stamp: float) -> None:  # type: ignore[override]
        self.kept.words.append((self.kept.clock(), label, stamp))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeLsl:
    kept = FakeLsl()
    monkeypatch.setattr(replay, "lsl", kept)
    monkeypatch.setattr(replay, "time", SimpleNamespace(sleep=kept.sleep))
    return kept


def toy(n_samples: int = 60, *, sfreq: float = SFREQ, run: str = "0", **how: Any) -> Played:
    x = 1e-6 * np.arange(2 * n_samples, dtype=float).reshape(2, n_samples)
    labels = {"dataset": "toy", "subject": "1", "session": "0", "run": run}
    facts = {"ch_names": ("C3", "C4"), "ch_types": ("eeg", "eeg"), "labels": labels} | how
    return Played(x=x, sfreq=sfreq, **facts)


@pytest.mark.parametrize("chunk", [1, 7, 10, 32])
def test_samples_are_sent_whole_and_stamped_by_their_number(fake: FakeLsl, chunk: int) -> None:
    sent = play([toy()], chunk=chunk)
    np.testing.assert_array_equal(np.hstack([x for _, x, _ in fake.signal]), toy().x)
    stamps = np.hstack([stamps for _, _, stamps in fake.signal])
    np.testing.assert_array_equal(stamps, stamps[0] + np.arange(60) / SFREQ)
    assert {x.shape[1] for _, x, _ in fake.signal[:-1]} <= {chunk}
    assert (sent.n_samples, sent.n_chunks) == (60, -(-60 // chunk))


@pytest.mark.parametrize("chunk", [1, 10])
def test_a_chunk_is_never_sent_before_its_last_sample_is_due(fake: FakeLsl, chunk: int) -> None:
    fake.real = True
    play([toy()], chunk=chunk)
    late = [at - stamps[-1] for at, _, stamps in fake.signal]
    assert min(late) >= 0
    assert min(late) < 5e-3  # a busy machine makes some late, but not all


def test_what_is_late_is_sent_at_once_and_nothing_is_left_out(
    fake: FakeLsl, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = FakeOutlet.push

    fake.real = True

    def held_up(self: FakeOutlet, chunk: np.ndarray, stamps: np.ndarray) -> None:
        push(self, chunk, stamps)
        if len(self.kept.signal) == 1:
            time.sleep(0.2)

    monkeypatch.setattr(FakeOutlet, "push", held_up)
    sent = play([toy(100)], chunk=10)  # half a second
    assert sent.n_samples == 100
    assert sent.late[9] < sent.late[1] - 0.1  # it has caught up
    assert sent.percentiles([100])[0] > 0.1
    stamps = np.hstack([stamps for _, _, stamps in fake.signal])
    np.testing.assert_allclose(np.diff(stamps), 1 / SFREQ)


def test_faster_than_real_time_the_stamps_stay_those_of_the_recording(fake: FakeLsl) -> None:
    sent = play([toy(400)], chunk=10, speed=20)  # two seconds
    assert sent.seconds == pytest.approx(0.1, abs=0.001)
    stamps = np.hstack([stamps for _, _, stamps in fake.signal])
    assert stamps[-1] - stamps[0] == pytest.approx(399 / SFREQ)
    assert fake.described["playing"]["speed"] == "20"


def test_between_recordings_the_stamps_jump_by_a_second(fake: FakeLsl) -> None:
    sent = play([toy(run="0"), toy(run="1")], chunk=10)
    stamps = np.hstack([stamps for _, _, stamps in fake.signal])
    steps = np.diff(stamps)
    assert np.flatnonzero(steps > 1.5 / SFREQ).tolist() == [59]
    assert steps[59] == pytest.approx(1 / SFREQ + 1.0)
    assert sent.n_samples == 120
    assert fake.described["playing"] == {
        "dataset": "toy", "subject": "1", "session": "0", "run": "0,1", "speed": "1",
    }  # fmt: skip


def test_it_begins_again_until_told_to_stop(fake: FakeLsl) -> None:
    sent = play([toy()], chunk=10, loop=True, stop=lambda: len(fake.signal) >= 15)
    assert (sent.n_samples, sent.n_rounds) == (150, 3)
    assert fake.n_closed == 2


def test_a_marker_has_the_stamp_of_its_sample_and_comes_before_its_chunk(fake: FakeLsl) -> None:
    marks = [(0.0, "first"), (0.1026, "left"), (0.1474, "right"), (9.0, "outside")]
    sent = play([toy(markers=marks)], chunk=10)
    stamps = np.hstack([stamps for _, _, stamps in fake.signal])
    assert [(label, stamp) for _, label, stamp in fake.words] == [
        ("first", stamps[0]), ("left", stamps[21]), ("right", stamps[29]),
    ]  # fmt: skip
    for at, _, stamp in fake.words:
        carrier = next(t for t, _, part in fake.signal if part[0] <= stamp <= part[-1])
        assert at <= carrier
        assert at >= stamp
    assert sent.n_markers == 3


def test_markers_can_be_left_out(fake: FakeLsl) -> None:
    play([toy(markers=[(0.1, "left")])], markers=False)
    assert fake.words == []


def test_it_can_wait_for_somebody_who_listens(fake: FakeLsl) -> None:
    fake.listens_after, said = 3, list[str]()
    play([toy()], wait=True, say=said.append)
    assert (fake.listens_after, said) == (-1, ["Waiting for somebody to listen."])
    fake.listens_after = 1000
    turns = itertools.count()
    sent = play([toy()], wait=True, stop=lambda: next(turns) > 5)
    assert sent.n_samples == 0


def test_by_default_a_chunk_is_forty_milliseconds(fake: FakeLsl) -> None:
    play([toy(sfreq=1000.0)])
    assert fake.signal[0][1].shape == (2, 40)


def test_what_cannot_be_played_is_refused(fake: FakeLsl) -> None:
    for speed in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="1 is real time"):
            play([toy()], speed=speed)
    with pytest.raises(ConfigError, match="chunk = 0 sends nothing"):
        play([toy()], chunk=0)
    with pytest.raises(RecordingError, match="no recording to play"):
        play([])
    for other in (toy(sfreq=100.0), toy(run="1", ch_names=("C3", "Cz"))):
        with pytest.raises(RecordingError, match="run 0 and .* differ in channels or sampling"):
            play([toy(), other])
    assert fake.described == {}


def test_a_name_in_use_is_refused(fake: FakeLsl) -> None:
    fake.there = [
        Found(info=None, name="cap", kind="EEG", source_id="x", uid="u", host="lab", sfreq=250.0,
              n_chans=8, fmt="float32")
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="in LSL session 'toy' already: 'cap' .* on lab. Stop it"):
        play([toy()], name="cap")


def test_lateness_is_zero_where_nothing_was_sent() -> None:
    assert Sent().percentiles([50, 99]) == [0.0, 0.0]


# Which recordings


def raw_of(kinds: list[str]) -> Any:
    info = mne.create_info([f"{kind}{i}" for i, kind in enumerate(kinds)], SFREQ, kinds)
    return mne.io.RawArray(1e-6 * np.ones((len(kinds), 400)), info)


def test_annotations_are_markers_but_for_bad_stretches_and_boundaries() -> None:
    raw = raw_of(["eeg", "stim"])
    words = [
        "right",
        "BAD boundary",
        "EDGE boundary",
        "bad_blink",
        "left",
        "command/left",
        "neurodecode:freeze",
    ]
    raw.set_annotations(mne.Annotations([1.5, 1.0, 1.0, 0.2, 0.5, 0.7, 0.8], 0.0, words))
    made = played(raw, {"dataset": "toy"})
    assert made.markers == [(0.5, "left"), (1.5, "right")]
    assert made.ch_types == ("eeg", "stim")
    assert made.duration == 2.0


def test_a_recording_without_eeg_is_refused() -> None:
    with pytest.raises(RecordingError, match="toy has no EEG channel, but ecg, stim"):
        played(raw_of(["ecg", "stim"]), {"dataset": "toy"})


def test_events_of_a_data_set_are_markers_where_the_task_begins() -> None:
    (one,) = choose_recordings(dataset="synthetic", subject="2")
    assert one.labels == {"dataset": "synthetic", "subject": "2", "session": "0", "run": "0"}
    assert {label for _, label in one.markers} == {"left_hand", "right_hand"}
    assert len(one.markers) == 60
    assert one.sfreq == 128.0


@pytest.mark.parametrize("key", ["subject", "session", "run"])
def test_what_is_not_there_is_named(key: str) -> None:
    with pytest.raises(UnknownName, match=f"No {key} of .* is called '99'. Known: "):
        choose_recordings(dataset="synthetic", **{key: "99"})


def test_one_thing_is_played(tmp_path: Path) -> None:
    for how in ({}, {"file": tmp_path / "a.edf", "dataset": "synthetic"}):
        with pytest.raises(ConfigError, match="a FILE, or --dataset NAME such as"):
            choose_recordings(**how)
    with pytest.raises(ConfigError, match="--subject, --run does not go with a FILE"):
        choose_recordings(tmp_path / "a.edf", subject="1", run="0")
    with pytest.raises(ConfigError, match="--unit does not go with --dataset"):
        choose_recordings(dataset="synthetic", unit="uV")
    with pytest.raises(RecordingError, match="There is no file"):
        choose_recordings(tmp_path / "a.edf")


# The command, over LSL

HEAR = """
import json, sys
import numpy as np
from neurodecode.online import lsl
lsl.configure(session=sys.argv[1])
found = lsl.choose_signal("cap", 30.0)
words = lsl.MarkerInlet(lsl.find_streams(name="cap-markers", n=1, timeout=5.0)[0])
inlet = lsl.SignalInlet(found)
chunks, stamps = [], []
while sum(len(part) for part in stamps) < 2000:
    chunk, part = inlet.pull(5.0)
    chunks.append(chunk)
    stamps.append(part)
stamps = np.hstack(stamps)
marks = [(label, float(np.interp(at, stamps, np.arange(2000)))) for label, at in words.pull()]
print(json.dumps([np.hstack(chunks).tolist(), float(np.ptp(np.diff(stamps))), marks]))
"""


@pytest.fixture
def ended() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are killed at the end."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_file_that_is_played_is_heard(tmp_path: Path, ended: list[subprocess.Popen[str]]) -> None:
    info = mne.create_info(["C3", "C4"], SFREQ, "eeg")
    raw = mne.io.RawArray(1e-5 * np.random.default_rng(0).standard_normal((2, 2000)), info)
    raw.set_annotations(mne.Annotations([1.0, 7.25], 0.0, ["left", "right"]))
    path = tmp_path / "a_raw.fif"
    raw.save(path)
    session, pipe = f"test-{uuid.uuid4().hex[:12]}", subprocess.PIPE
    command = [sys.executable, "-c", "from neurodecode.cli import main; main()", "replay"]
    options = ["--name", "cap", "--wait", "--speed", "10", "--session-id", session, "--json"]
    how: dict[str, Any] = {"stdout": pipe, "stderr": pipe, "text": True, "env": os.environ}
    player = subprocess.Popen([*command, str(path), *options], **how)
    ended.append(player)
    hear = subprocess.Popen([sys.executable, "-c", HEAR, session], **how)
    ended.append(hear)
    out, err = hear.communicate(timeout=60)
    assert out, err
    x, jitter, marks = json.loads(out)
    np.testing.assert_allclose(x, read_raw(path).get_data(), rtol=1e-12)
    assert jitter < 1e-9
    assert [(label, round(place)) for label, place in marks] == [("left", 200), ("right", 1450)]
    out, err = player.communicate(timeout=30)
    said = json.loads(out)
    assert (player.returncode, said["samples"], said["markers"]) == (0, 2000, 2)
    assert err.startswith("Playing a_raw.fif: 1 recording, 10 s, 10 times as fast, 200 Hz, 2 chan")
