"""The loop by itself, with a stream and a decoder that are made up; test_faults has real ones."""

import json
import os
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any
from unittest.mock import Mock

import numpy as np
import pytest

from neurodecode.core.errors import SignalError, StoreError
from neurodecode.online import loop, lsl
from neurodecode.online.decision import Decision, Status
from neurodecode.online.latency import Recent
from neurodecode.online.loop import LoopOptions, run_loop
from neurodecode.online.serve import ROOM, Lines, Words
from neurodecode.online.tally import Summary, Tally
from neurodecode.online.watchdog import Watchdog

SFREQ = 100.0  # Hz
DECISIONS = (
    "<info><name>neurodecode</name><type>Decision</type><channel_count>6</channel_count>"
    "<nominal_srate>0</nominal_srate><channel_format>double64</channel_format></info>"
)


def facts(ch_names: tuple[str, ...] = ("C3", "C4"), **more: Any) -> lsl.StreamFacts:
    told: dict[str, Any] = {
        "name": "toy",
        "kind": "EEG",
        "source_id": "one",
        "uid": "1",
        "sfreq": SFREQ,
        "ch_names": ch_names,
        "ch_types": ("eeg",) * len(ch_names),
        "scales": np.full(len(ch_names), 1e-6),
        "fmt": "float32",
        "playing": {},
        "xml": "",
        **more,
    }
    return lsl.StreamFacts(**told)


class Inlet:
    """Gives chunks of so many samples at each pull; then nothing, or raises what it is told to."""

    def __init__(self, *n_samples: int, then: Exception | None = None, **told: Any) -> None:
        self.facts, self.left, self.then = facts(**told), list(n_samples), then
        self.n = 0

    def pull(self, timeout: float) -> tuple[np.ndarray, np.ndarray]:
        if timeout == 0:
            return np.empty((0, 0)), np.empty(0)
        if not self.left and self.then is not None:
            raise self.then
        n = self.left.pop(0) if self.left else 0
        time.sleep(0.002 if n else timeout)
        index = self.n + np.arange(n)
        self.n += n
        rows = np.arange(len(self.facts.ch_names))[:, None]
        return index + 1000.0 * rows, lsl.clock() - (n - 1 - np.arange(n)) / SFREQ

    def correct(self) -> None:
        pass

    def close(self) -> None:
        pass


class Engine:
    """Decides at every tenth sample, and keeps what it was given."""

    classes = ("left", "right")
    sfreq, hop, max_gap = SFREQ, 0.1, 0.002
    n_lost = n_gaps = late_cues = 0

    def __init__(self, *, ch_names: tuple[str, ...] = ("C3", "C4"), fault: str = "") -> None:
        self.ch_names, self.fault = ch_names, fault
        self.chunks: list[np.ndarray] = []
        self.cues: list[float] = []
        self.frozen, self.n, self.n_resets = False, 0, 0

    def push(self, chunk: np.ndarray, stamps: np.ndarray, now: float | None = None) -> list[Any]:
        if self.fault:
            raise ValueError(self.fault)
        self.chunks = [*self.chunks[-20:], chunk]
        first, self.n = self.n, self.n + len(stamps)
        ends = [i for i in range(len(stamps)) if (first + i + 1) % 10 == 0]
        return [self.decision(Status.OK, stamps[i], first + i) for i in ends]

    def decision(self, status: Status, newest: float, sample: int) -> Decision:
        proba = np.array([0.4, 0.6]) if status.valid else np.full(2, np.nan)
        return Decision(
            proba=proba,
            evidence=proba,
            newest=newest,
            made=lsl.clock(),
            status=status,
            command=1 if status.valid else -1,
            bad=(),
            sample=sample,
        )

    def stalled(self, now: float) -> Decision:
        return self.decision(Status.STALE, now - 1, self.n)

    def reset(self) -> None:
        self.n_resets += 1

    def freeze(self, frozen: bool = True) -> None:
        self.frozen = frozen

    def cue(self, stamp: float) -> None:
        self.cues.append(stamp)

    def quality(self) -> dict[str, str]:
        return dict.fromkeys(self.ch_names, "ok")


class World:
    """What the loop sees of LSL."""

    def __init__(self) -> None:
        self.inlets: list[Any] = []
        self.found: list[Any] = []
        self.markers: list[tuple[str, float]] = []
        self.heard: list[Any] = []  # inlets of markers
        self.sent: list[Decision] = []
        self.commands: list[str] = []
        self.said: list[dict[str, Any]] = []
        self.n_closed = 0  # outlets

    def close(self) -> None:
        self.n_closed += 1

    def run(self, engine: Any, **options: Any) -> Summary:
        """Run the loop; commands and stopping may be given beside its options."""
        make = engine if callable(engine) else lambda facts: engine
        also = {name: options.pop(name) for name in ("commands", "stop") if name in options}
        chosen = LoopOptions(**{"stall": 0.1, "duration": 0.5, **options})
        return run_loop(make, chosen, self.said.append, **also)

    def events(self) -> list[str]:
        return [line["what"] for line in self.said if line["kind"] == "event"]

    def text(self, what: str) -> str:
        return next(line["text"] for line in self.said if line.get("what") == what)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    def outlet(**told: Any) -> Any:
        return SimpleNamespace(xml=DECISIONS, push=world.sent.append, close=world.close)

    def commands(**told: Any) -> Any:
        push = lambda label, stamp: world.commands.append(label)  # noqa: E731
        return SimpleNamespace(push=push, close=world.close)

    def markers(found: Any) -> Any:
        taken = lambda: [world.markers.pop(0) for _ in range(len(world.markers))]  # noqa: E731
        world.heard.append(SimpleNamespace(pull=taken, lost=False, close=lambda: None))
        return world.heard[-1]

    def find(**asked: Any) -> list[Any]:
        if asked.get("name", "").endswith("-markers"):
            return ["markers"] if world.markers or world.heard else []
        return [found for found in world.found if found.source_id == asked.get("source_id")]

    monkeypatch.setattr(loop, "SETTLE", 0.0)
    monkeypatch.setattr(lsl, "clock", time.perf_counter)
    monkeypatch.setattr(lsl, "choose_signal", lambda name, timeout: None)
    monkeypatch.setattr(lsl, "SignalInlet", lambda found: world.inlets.pop(0))
    monkeypatch.setattr(lsl, "find_streams", find)
    monkeypatch.setattr(lsl, "DecisionOutlet", outlet)
    monkeypatch.setattr(lsl, "MarkerOutlet", commands)
    monkeypatch.setattr(lsl, "MarkerInlet", markers)
    return world


def test_every_decision_is_sent_and_every_command(world: World) -> None:
    world.inlets = [Inlet(*[7] * 20)]
    stop = lambda: world.commands == ["right"] * 14  # noqa: E731
    summary = world.run(Engine(), duration=20.0, every_decision=True, stop=stop)
    assert [d.sample for d in world.sent if d.status.valid] == list(range(9, 140, 10))
    assert world.commands == ["right"] * 14
    said = [line for line in world.said if line["kind"] == "decision" and line["status"] == "ok"]
    assert [line["sample"] for line in said] == list(range(9, 140, 10))
    assert json.loads(json.dumps(said[0], allow_nan=False))["command"] == "right"
    assert (summary.n_samples, summary.n_commands, summary.by_status["ok"]) == (140, 14, 14)
    assert "0 of 140 samples lost" in str(summary)


def test_in_silence_it_says_twice_a_second_that_nothing_comes(world: World) -> None:
    world.inlets = [Inlet(*[10] * 20)]
    count = lambda: sum(d.status is Status.STALE for d in world.sent)  # noqa: E731
    world.run(Engine(), duration=20.0, stale_hop=0.25, stop=lambda: count() >= 5)
    assert world.events().count("stalled") == 1
    first = next(i for i, d in enumerate(world.sent) if d.status is Status.STALE)
    stale = world.sent[first:]
    assert {d.status for d in stale} == {Status.STALE}
    # 0.1 s, and the pull that it ends with; more only where the machine is busy
    assert stale[0].made - world.sent[first - 1].made < 1.0
    assert np.diff([d.made for d in stale])[:-1].min() > 0.2  # no more often than that


def test_samples_that_come_too_slowly_for_decisions_leave_none_standing(world: World) -> None:
    world.inlets = [Inlet(*[10] * 10, *[0, 1] * 500)]
    count = lambda: sum(d.status is Status.STALE for d in world.sent)  # noqa: E731
    world.run(Engine(), duration=20.0, stall=0.2, stale_hop=0.25, stop=lambda: count() >= 3)
    assert "slow" in world.events()
    assert [d.status for d in world.sent[:-1]].count(Status.STALE) == 3


def test_the_last_decision_is_never_left_standing(world: World) -> None:
    world.inlets = [Inlet(*[10] * 5000)]
    world.run(Engine(), duration=20.0, stop=lambda: len(world.sent) > 10)
    assert world.sent[-2].status is Status.OK
    assert world.sent[-1].status is Status.STALE


def test_channels_go_to_the_engine_in_its_order(world: World) -> None:
    world.inlets = [Inlet(10, ch_names=("C4", "Cz", "C3"))]
    engine = Engine(ch_names=("C3", "C4"))
    world.run(engine, duration=0.1)
    np.testing.assert_array_equal(engine.chunks[0][:, 0], [2000.0, 0.0])


def test_what_has_piled_up_goes_through_in_pieces(world: World) -> None:
    world.inlets = [Inlet(507)]
    engine = Engine()
    world.run(engine, duration=0.1)
    assert max(chunk.shape[1] for chunk in engine.chunks) == 25
    whole = np.concatenate(engine.chunks, axis=1)
    np.testing.assert_array_equal(whole[0], np.arange(507))


def test_a_decoder_that_cannot_take_the_stream_is_a_mistake_at_the_beginning(world: World) -> None:
    world.inlets = [Inlet(10, ch_names=("C4", "Cz"))]
    with pytest.raises(SignalError, match="needs 2 channels, and the stream 'toy' has no C3"):
        world.run(Engine())


def test_after_a_loss_filters_begin_anew_and_what_was_frozen_stays(world: World) -> None:
    gone = lsl.StreamLost("gone")
    again = Inlet(*[10] * 50, uid="2", sfreq=2 * SFREQ)
    world.inlets = [Inlet(*[10] * 5, then=gone), Inlet(*[10] * 5, uid="3", then=gone), again]
    world.found = [SimpleNamespace(source_id="one", uid="2")]
    engines = [Engine(), Engine()]
    words = iter([["freeze"]])
    made = iter(engines)
    summary = world.run(
        lambda facts: next(made),
        duration=20.0,
        commands=lambda: next(words, []),
        stop=lambda: world.events().count("ok") == 3,
    )
    assert summary.n_reconnects == 2
    assert engines[0].n_resets == 1
    assert engines[1].frozen  # the other rate needs another engine
    expected = ["lost", "reconnected", "resumed", "ok"]
    events = [what for what in world.events() if what in expected]
    assert events == ["ok", *expected, *expected]
    assert (
        "its sampling rate was 100 Hz"
        in [line["text"] for line in world.said if line.get("what") == "reconnected"][1]
    )


def test_an_error_is_said_and_the_fourth_in_a_minute_ends_it(world: World) -> None:
    world.inlets = [Inlet(*[10] * 1000) for _ in range(9)]
    world.found = [SimpleNamespace(source_id="one", uid="2")]
    made = list[Engine]()

    def make(facts: lsl.StreamFacts) -> Engine:
        made.append(Engine(fault="no such luck"))
        return made[-1]

    summary = world.run(make, duration=10)
    assert summary.failed == "4 errors within a minute, the last ValueError: no such luck"
    assert world.events().count("error") == 3
    assert world.events()[-1] == "failed"
    assert len(made) == 4
    assert {d.status for d in world.sent} == {Status.STALE}


def test_errors_that_are_rare_do_not_end_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MINUTE", 0.1)
    world.inlets = [Inlet(*[10] * 1000) for _ in range(9)]
    world.found = [SimpleNamespace(source_id="one", uid="2")]
    faults = iter([*["no such luck"] * 5, ""])
    make = lambda facts: Engine(fault=next(faults))  # noqa: E731
    summary = world.run(make, duration=20.0, stop=lambda: "ok" in world.events())
    assert summary.failed == ""
    assert summary.by_status["ok"] > 0


def test_markers_begin_windows_where_they_are_cues(world: World) -> None:
    world.inlets = [Inlet(*[10] * 100)]
    world.markers = [("left", 1.0), ("pause", 2.0), ("right", 3.0)]
    engine = Engine()
    stop = lambda: len(engine.cues) == 2  # noqa: E731
    world.run(engine, cued=True, cues=("left", "right"), duration=20.0, stop=stop)
    assert engine.cues == [1.0, 3.0]
    assert "marker-stream" in world.events()


def test_a_marker_stream_that_is_missing_is_said_once(world: World) -> None:
    world.inlets = [Inlet(*[10] * 1000)]
    missing = lambda: world.events().count("marker-stream-missing")  # noqa: E731
    n = iter(range(10**6))
    world.run(
        Engine(), markers="cues-markers", duration=20.0, stop=lambda: missing() and next(n) > 50
    )
    assert world.events().count("marker-stream-missing") == 1
    assert "no marker stream 'cues-markers'" in world.text("marker-stream-missing")


def test_a_marker_stream_that_goes_is_looked_for_again(world: World) -> None:
    world.inlets = [Inlet(*[10] * 1000)]
    world.markers = [("left", 1.0)]
    n = 0

    def stop() -> bool:
        nonlocal n
        n += 1
        if n == 100:
            world.heard[-1].lost = True
            world.markers.append(("right", 2.0))
        return world.events().count("marker-stream") == 2

    engine = Engine()
    world.run(engine, duration=5.0, cued=True, stop=stop)
    assert engine.cues[:2] == [1.0, 2.0]
    told = [what for what in world.events() if what.startswith("marker")]
    assert told == ["marker-stream", "marker-stream-lost", "marker-stream"]


def test_what_is_played_in_fast_motion_has_no_latency(world: World) -> None:
    world.inlets = [Inlet(*[10] * 100, playing={"speed": "30"})]
    summary = world.run(Engine(), duration=20.0, stop=lambda: "ok" in world.events())
    assert summary.latency_ms["p50"] is None
    assert summary.engine_ms["p50"] is not None
    assert "latency" not in str(summary)


def test_words_freeze_and_stop(world: World) -> None:
    world.inlets = [Inlet(*[10] * 1000)]
    engine = Engine()
    words = iter([["freeze"], ["unfreeze", "dance"], ["freeze"], ["stop"]])
    summary = world.run(engine, duration=None, commands=lambda: next(words, []))
    assert engine.frozen
    assert summary.seconds < 5
    order = [w for w in world.events() if "frozen" in w or w in ("unknown-command", "stopped")]
    assert order == ["frozen", "unfrozen", "unknown-command", "frozen", "stopped"]


def test_memory_does_not_grow(world: World) -> None:
    class Endless(Inlet):
        def pull(self, timeout: float) -> tuple[np.ndarray, np.ndarray]:
            if timeout == 0:
                return np.empty((0, 0)), np.empty(0)
            return np.zeros((2, 10)), lsl.clock() + np.arange(10) / SFREQ

    world.inlets = [Endless()]
    world.run(engine := Engine(), duration=0.01, model="warm")
    world.inlets, n = [Endless()], 0
    sizes = []

    def stop() -> bool:
        nonlocal n
        n += 1
        if n in (1000, 6000):
            del world.sent[:], world.said[:], world.commands[:], engine.chunks[:]
            sizes.append(tracemalloc.get_traced_memory()[0])
        return n > 6000

    tracemalloc.start()
    try:
        world.run(engine, duration=None, stop=stop)
    finally:
        tracemalloc.stop()
    assert sizes[1] - sizes[0] < 20_000


@pytest.mark.parametrize(
    ("chunk", "limit"), [(0.002, 0.5), (0.1, 0.5), (0.15, 0.75), (0.5, 1.5), (2.0, 3.0)]
)
def test_a_stall_is_five_chunks_but_at_most_a_second_late(chunk: float, limit: float) -> None:
    dog = Watchdog(0.5, 0.0)
    for i in range(1, 100):
        dog.heard(i * chunk)
    last = 99 * chunk
    assert not dog.stalled(last + 0.99 * limit)
    assert dog.stalled(last + 1.01 * limit)


def test_a_stream_that_starts_slowly_is_not_taken_for_one_of_long_chunks() -> None:
    dog = Watchdog(0.5, 0.0)
    dog.heard(30.0)
    dog.heard(30.1)
    assert dog.stalled(30.7)


def test_percentiles_are_of_the_last_minute() -> None:
    recent = Recent()
    assert np.isnan(recent.percentiles(0.0)).all()
    for i in range(20_000):
        recent.add(i / 100, 5.0 if i < 14_000 else float(i % 101))
    low, high = recent.percentiles(200.0, (0, 100))
    assert (low, high) == (0.0, 100.0)
    assert recent.percentiles(200.0)[0] == pytest.approx(50, abs=1)
    assert np.isnan(recent.percentiles(300.0)).all()


def test_a_stream_that_tears_from_the_beginning_is_said_and_counted(world: World) -> None:
    said = list[dict[str, Any]]()
    tally = Tally(say=said.append, clock=lambda: 0.0)
    gap = Engine().decision(Status.GAP, 0.0, 0)
    tally.judge(gap, dict)
    assert said == []  # a first window fills
    tally.n_gaps, tally.n_lost, tally.late_cues = 2, 7, 1
    tally.judge(gap, dict)
    assert [line["what"] for line in said] == ["gap"]
    assert "7 samples are lost" in said[0]["text"]
    tally.wait()  # the signal comes again: what was torn before is known
    tally.judge(gap, dict)
    assert len(said) == 1
    tally.n_gaps = 3
    tally.judge(gap, dict)
    assert [line["what"] for line in said] == ["gap", "gap"]
    assert "7 of 7 samples lost in 3 gaps; 1 cues came too late" in str(tally.summary(1.0))
    assert (tally.status()["n_gaps"], tally.status()["late_cues"]) == (3, 1)


def test_a_loop_that_cannot_begin_leaves_nothing_open(world: World, tmp_path: Path) -> None:
    class Closes(Inlet):
        closed = False

        def close(self) -> None:
            self.closed = True

    path = tmp_path / "a.xdf"
    path.write_bytes(b"precious")
    world.inlets = [inlet := Closes(10)]
    with pytest.raises(StoreError, match="exists, and is not replaced"):
        world.run(Engine(), record=path)
    assert inlet.closed
    assert world.n_closed == 2  # decisions and commands
    world.inlets = [inlet := Closes(10)]
    with pytest.raises(SignalError, match="no luck"):
        world.run(Mock(side_effect=SignalError("no luck")))
    assert inlet.closed


def test_a_stream_that_goes_while_it_is_connected_is_looked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SETTLE", 0.01)
    world.inlets = [Inlet(then=lsl.StreamLost("gone")), Inlet(*[10] * 5000, uid="2")]
    world.found = [SimpleNamespace(source_id="one", uid="2")]
    summary = world.run(Engine(), duration=20.0, stop=lambda: "ok" in world.events())
    assert summary.n_reconnects == 1
    order = [what for what in world.events() if what in ("lost", "reconnected", "ok")]
    assert order == ["lost", "reconnected", "ok"]


def test_markers_that_begin_nothing_come_behind_the_decisions(world: World) -> None:
    world.inlets = [Inlet(*[10] * 5000)]
    world.markers = [("left", 1.0)]
    engine = Engine()
    world.run(engine, duration=20.0, stop=lambda: not world.markers)
    assert engine.cues == []
    assert world.sent[0].status is Status.OK


def test_a_stream_that_flickers_does_not_fill_the_log() -> None:
    said, now = list[dict[str, Any]](), 0.0
    tally = Tally(say=said.append, clock=lambda: now)
    for i in range(600):
        now = i / 10
        tally.turn("gap" if i % 2 else "ok", "")
    assert len(said) < 60
    assert said[1]["time"] - said[0]["time"] == pytest.approx(0.1)  # at first, all is said
    now += 60
    tally.turn("stale", "")
    assert said[-1]["what"] == "stale"


@pytest.fixture
def pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """An end to read from and one to write to; they are files, which can be closed twice."""
    read, write = os.pipe()
    with open(read, "rb") as reads, open(write, "wb", buffering=0) as writes:
        yield reads, writes


def test_a_reader_that_is_slow_costs_lines_but_no_time_and_no_event(
    pipe: tuple[IO[bytes], IO[bytes]],
) -> None:
    lines = Lines(pipe[1].fileno())
    start = time.perf_counter()
    for i in range(3 * ROOM):
        lines.say({"kind": "decision", "number": i, "text": "x" * 100})
    for i in range(100):
        lines.say({"kind": "event", "number": i})
    lines.say({"kind": "status"})
    assert time.perf_counter() - start < 0.5
    assert lines.n_dropped > ROOM
    heard = list[dict[str, Any]]()

    def read() -> None:
        heard.extend(json.loads(line) for line in pipe[0])

    reader = threading.Thread(target=read)
    reader.start()
    lines.close()
    pipe[1].close()
    reader.join(5)
    assert [line["number"] for line in heard if line["kind"] == "event"] == list(range(100))


def test_a_reader_that_has_gone_changes_nothing(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    lines = Lines(pipe[1].fileno())
    pipe[0].close()
    for _ in range(3 * ROOM):
        lines.say({"kind": "event"})
    lines.close()
    assert lines.n_dropped > 0


@pytest.mark.parametrize(("text", "gone"), [(b"freeze\nstop", False), (b"attend\nfreeze\n", True)])
def test_the_end_of_the_input_stops_only_a_loop_that_is_attended(
    pipe: tuple[IO[bytes], IO[bytes]], text: bytes, gone: bool
) -> None:
    words = Words(pipe[0].fileno())
    pipe[1].write(text)
    pipe[1].close()
    heard = list[str]()
    until(lambda: heard.extend(words.take()) or heard == ["freeze"])
    time.sleep(0.05)
    assert words.gone is gone


def until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_stamps_that_jitter_are_measured_when_the_stream_is_connected(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Jittery(Inlet):
        n = 0

        def pull(self, timeout: float) -> tuple[np.ndarray, np.ndarray]:
            self.n += 1
            late = 0.02 * (self.n % 2)  # every other chunk is stamped late
            return np.zeros((2, 5)), lsl.clock() + late + np.arange(5) / SFREQ

    class Short(Jittery):
        def pull(self, timeout: float) -> tuple[np.ndarray, np.ndarray]:
            if timeout == 0:
                return np.empty((0, 0)), np.empty(0)
            return super().pull(timeout)

    monkeypatch.setattr(loop, "SETTLE", 0.02)
    world.inlets = [Short()]
    world.run(engine := Engine(), duration=0.05)
    assert engine.max_gap > 0.02
    assert "ms can be told" in world.text("jitter")
    world.said.clear()
    world.inlets = [Short()]
    world.run(engine := Engine(), duration=0.05, max_gap=0.003)
    assert engine.max_gap == 0.003
    assert "jitter" not in world.events()
