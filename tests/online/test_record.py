"""Recording: what is written can be read, by us and by pyxdf, whatever ends it."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import pyxdf

from neurodecode.core.errors import ConfigError, StoreError
from neurodecode.online import lsl, record
from neurodecode.online.decision import Decision, Status
from neurodecode.online.lsl import facts_of
from neurodecode.online.outputs import Outputs
from neurodecode.online.record import Recorder, XdfFile
from neurodecode.recordings.read import read_raw

SFREQ = 250.0
START = 1000.0  # s, of the first sample
N_SAMPLES = 1000
COUNT = np.arange(N_SAMPLES) * np.array([[1.0], [-1.0]])


def described(fmt: str = "float32", unit: str = "microvolts", n: int = 2) -> str:
    channels = "".join(
        f"<channel><label>{label}</label><unit>{unit}</unit><type>EEG</type></channel>"
        for label in ("C3", "C4")[:n]
    )
    return (
        f"<info><name>amp</name><type>EEG</type><channel_count>{n}</channel_count><nominal_srate>"
        f"{SFREQ:g}</nominal_srate><channel_format>{fmt}</channel_format><source_id>a</source_id>"
        f"<uid>u</uid><desc><channels>{channels}</channels></desc></info>"
    )


DECISIONS = (
    "<info><name>neurodecode</name><type>Decision</type><channel_count>6</channel_count>"
    "<nominal_srate>0</nominal_srate><channel_format>double64</channel_format></info>"
)


def decision(made: float) -> Decision:
    return Decision(
        proba=np.array([0.25, 0.75]), evidence=np.array([0.1, 0.9]), newest=made - 0.01, made=made,
        status=Status.OK, command=1, bad=(), sample=0,
    )  # fmt: skip


def stamps_of(piece: slice) -> np.ndarray:
    return START + np.arange(N_SAMPLES)[piece] / SFREQ


def record_all(path: Path, *, fmt: str = "float32", say: Callable[[str], None] = print) -> Recorder:
    """Four seconds of signal, a decision, a command and a marker; not closed."""
    recorder = Recorder(path, signal=facts_of(described(fmt)), decisions=DECISIONS, say=say)
    for first in range(0, N_SAMPLES, 10):
        piece = slice(first, first + 10)
        recorder.signal(COUNT[:, piece], stamps_of(piece))
    recorder.decision(decision(START + 1.0))
    recorder.command("left_hand", START + 1.0)
    recorder.marker("right_hand", START + 2.0)
    recorder.marker("neurodecode:freeze", START + 3.0)  # a note of the loop, and no event
    return recorder


@pytest.mark.parametrize("fmt", ["float32", "double64", "int16", "int32"])
def test_a_recording_is_read_as_it_was_heard(tmp_path: Path, fmt: str) -> None:
    record_all(tmp_path / "a.xdf", fmt=fmt).close()
    raw = read_raw(tmp_path / "a.xdf")
    assert raw.ch_names == ["C3", "C4"]
    assert raw.info["sfreq"] == SFREQ
    np.testing.assert_allclose(raw.get_data(), 1e-6 * COUNT, rtol=1e-6)


def test_markers_are_events_and_what_was_decided_is_not(tmp_path: Path) -> None:
    """Else the loop's own commands would be taken for the truth they are scored by."""
    record_all(tmp_path / "a.xdf").close()
    marks = read_raw(tmp_path / "a.xdf").annotations
    onsets = dict(zip(marks.description.tolist(), marks.onset.tolist(), strict=True))
    assert onsets == {
        "command/left_hand": pytest.approx(1.0, abs=1e-6),
        "right_hand": pytest.approx(2.0, abs=1e-6),
    }


def test_pyxdf_reads_every_stream(tmp_path: Path) -> None:
    record_all(tmp_path / "a.xdf").close()
    streams, head = pyxdf.load_xdf(tmp_path / "a.xdf")
    assert head["info"]["version"] == ["1.0"]
    found = {stream["info"]["name"][0]: stream for stream in streams}
    np.testing.assert_array_equal(found["amp"]["time_series"], COUNT.T)
    np.testing.assert_allclose(found["amp"]["time_stamps"], stamps_of(slice(None)), atol=1e-6)
    assert found["amp"]["footer"]["info"]["sample_count"] == ["1000"]
    assert found["amp"]["info"]["desc"][0]["channels"][0]["channel"][1]["label"] == ["C4"]
    decided = found["neurodecode"]["time_series"]
    assert decided.tolist() == [[0.25, 0.75, START + 0.99, START + 1.0, 0.0, 1.0]]
    assert found["neurodecode-commands"]["time_series"] == [["left_hand"]]
    assert found["markers"]["time_series"] == [["right_hand"], ["neurodecode:freeze"]]


def test_offsets_and_boundaries_are_written_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "BETWEEN_MARKS", 0.0)
    monkeypatch.setattr(record, "BETWEEN_OFFSETS", 0.0)
    file = XdfFile(tmp_path / "a.xdf")
    number = file.add(described())
    for first in range(0, N_SAMPLES, 100):
        piece = slice(first, first + 100)
        file.write(number, COUNT[:, piece].T, stamps_of(piece).tolist())
        file.flush()
    file.close()
    assert (tmp_path / "a.xdf").read_bytes().count(record.MARK) == 10 + 1
    (stream,), _ = pyxdf.load_xdf(tmp_path / "a.xdf")
    assert stream["clock_values"] == [0.0] * 11
    np.testing.assert_allclose(stream["time_stamps"], stamps_of(slice(None)), atol=1e-6)


def test_a_recording_that_goes_on_can_be_read(tmp_path: Path) -> None:
    recorder = record_all(tmp_path / "a.xdf")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        time.sleep(0.05)
        if (tmp_path / "a.xdf").stat().st_size > 1000:
            break
    assert read_raw(tmp_path / "a.xdf").n_times == N_SAMPLES
    recorder.close()


KILLED = """
import sys, time
import numpy as np
from neurodecode.online.lsl import facts_of
from neurodecode.online.record import Recorder
from pathlib import Path
path, signal, decisions = Path(sys.argv[1]), facts_of(sys.argv[2]), sys.argv[3]
recorder = Recorder(path, signal=signal, decisions=decisions, say=print)
begun, n = time.monotonic(), 0
while True:
    time.sleep(0.02)
    due = int((time.monotonic() - begun) * 250)
    if due > n:
        at = np.arange(n, due)
        recorder.signal(at * np.array([[1.0], [-1.0]]), 1000.0 + at / 250)
        n = due
        print(n, flush=True)
"""


@pytest.mark.parametrize("seconds", [1.3, 1.6])
def test_a_killed_recording_lacks_half_a_second_at_most(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "a.xdf"
    words = [sys.executable, "-c", KILLED, str(path), described(), DECISIONS]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        told = [first, *process.communicate(timeout=10)[0].splitlines()]
    finally:
        process.kill()
        process.wait()
    raw = read_raw(path)
    n = raw.n_times
    np.testing.assert_allclose(raw.get_data()[0], 1e-6 * np.arange(n), rtol=1e-6)
    assert int(told[-1]) - n <= 0.5 * SFREQ
    assert n >= (seconds - 0.5) * SFREQ


def full(limit: int) -> Callable[[int, bytes], int]:
    """A disk that takes so many bytes and no more."""
    left, write = [limit], os.write

    def attempt(file: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        n = write(file, data[: left[0]])
        left[0] -= n
        return n

    return attempt


@pytest.mark.parametrize("limit", [20, 3000, 12000])
def test_a_full_disk_ends_the_recording_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    said: list[str] = []
    monkeypatch.setattr(os, "write", full(limit))
    monkeypatch.setattr(record, "EVERY", 0.02)
    recorder = record_all(tmp_path / "a.xdf", say=said.append)
    for k in range(100):
        recorder.signal(COUNT[:, :10], START + 4 + (10 * k + np.arange(10)) / SFREQ)
        time.sleep(0.001)
    recorder.close()
    assert not recorder.running
    assert said == [
        f"Recording stopped: {tmp_path / 'a.xdf'} cannot be written (No space left on device). "
        f"What is in it by now can be read. Make room, or record to another disk."
    ]
    size = (tmp_path / "a.xdf").stat().st_size
    if limit == 20:
        assert size == 0
    else:  # what was written ends with a whole chunk
        assert pyxdf.load_xdf(tmp_path / "a.xdf")[0]


def test_a_disk_that_hangs_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, said = os.write, list[str]()
    monkeypatch.setattr(record, "EVERY", 0.01)
    monkeypatch.setattr(record, "MOST", 100_000)

    def slow(file: int, data: bytes) -> int:
        time.sleep(0.3)
        return write(file, data)

    monkeypatch.setattr(os, "write", slow)
    longest = 0.0
    recorder = Recorder(
        tmp_path / "a.xdf", signal=facts_of(described()), decisions=DECISIONS, say=said.append
    )
    time.sleep(0.1)  # it writes now
    for _ in range(50):
        begun = time.perf_counter()
        recorder.signal(COUNT[:, :500], stamps_of(slice(0, 500)))
        longest = max(longest, time.perf_counter() - begun)
    assert longest < 0.2
    assert [text for text in said if "the disk does not answer" in text] == said
    assert len(said) == 1
    recorder.close()
    assert len(said) == 1


def test_a_bug_does_not_pass_for_a_recording(tmp_path: Path) -> None:
    said = list[str]()
    recorder = record_all(tmp_path / "a.xdf", say=said.append)
    recorder.signal(np.zeros((3, 2)), np.zeros(2))  # of a channel too many
    recorder._thread.join(20)
    assert not recorder.running
    recorder.close()
    assert len(said) == 1
    assert "met an error (ValueError: " in said[0]


def test_a_stream_of_another_rate_ends_the_recording_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, let_go = list[tuple[str, str]](), threading.Event()
    facts = facts_of(described())
    engine = SimpleNamespace(classes=("a", "b"), hop=0.1, max_gap=0.001)
    outlet = lambda **how: SimpleNamespace(xml=DECISIONS, close=lambda: None)  # noqa: E731
    monkeypatch.setattr(lsl, "DecisionOutlet", outlet)
    monkeypatch.setattr(lsl, "MarkerOutlet", outlet)
    outputs = Outputs(
        engine,  # type: ignore[arg-type]
        facts,
        model="",
        publish=True,
        record=tmp_path / "a.xdf",
        event=lambda *words: events.append(words),
    )
    monkeypatch.setattr(XdfFile, "flush", lambda file: let_go.wait(20))
    time.sleep(0.3)  # it hangs in a write now
    begun = time.perf_counter()
    outputs.change(replace(facts, sfreq=500.0))
    outputs.change(replace(facts, sfreq=1000.0))
    assert time.perf_counter() - begun < 1.0
    assert [what for what, _ in events] == ["recording", "recording-stopped"]
    assert outputs.recording == ""
    let_go.set()
    outputs.close()


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    path.write_bytes(b"precious")
    with pytest.raises(StoreError, match="exists, and is not replaced. Give another name"):
        XdfFile(path)
    assert path.read_bytes() == b"precious"
    with pytest.raises(StoreError, match="cannot be written .No such file or directory"):
        XdfFile(tmp_path / "nowhere" / "a.xdf")
    with pytest.raises(ConfigError, match=r"is written as XDF; call .*a\.fif something\.xdf"):
        XdfFile(tmp_path / "a.fif")


def test_a_burst_of_what_is_no_number_is_read_as_a_bad_stretch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.xdf"
    recorder = Recorder(path, signal=facts_of(described()), decisions=DECISIONS, say=print)
    x = COUNT.copy()
    x[0, 500:525] = np.nan
    recorder.signal(x, stamps_of(slice(None)))
    recorder.close()
    raw = read_raw(path)
    (mark,) = raw.annotations
    assert mark["description"] == "BAD_lost"
    assert (mark["onset"], mark["duration"]) == pytest.approx((2.0, 0.1))
    np.testing.assert_allclose(1e6 * raw.get_data()[0, 499:526], [*[499.0] * 26, 525.0])
    assert "annotated BAD_lost" in caplog.text
