"""Watching a loop from outside: what is heard, what is said of it, and that it ends.

liblsl may crash who uses it: streams are made and heard in processes of their own.
"""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from neurodecode.core.errors import ConfigError
from neurodecode.online import viewer
from neurodecode.online.decision import Status
from neurodecode.online.lsl.decisions import decision_facts
from neurodecode.online.viewer import View, Viewer

STREAM = {"uid": "1", "name": "neurodecode", "model": "toy", "host": "here", "hop": 0.5,
          "classes": ["left", "right"]}  # fmt: skip
NAN = float("nan")


def row(
    newest: float, status: Status = Status.OK, *, p: float = 0.7, command: int = -1
) -> list[float]:
    proba = [p, 1 - p] if status.valid else [NAN, NAN]
    return [*proba, newest, newest + 0.02, float(status), float(command)]


def view(*rows: list[float], **stream: object) -> View:
    return View(stream={**STREAM, **stream}, rows=rows, silence=0.1)


def test_decisions_become_a_table_that_ends_now() -> None:
    table = view(row(10.0), row(10.5, p=0.2, command=1)).table()
    assert table["time"].tolist() == pytest.approx([-0.5, 0.0])
    assert table["p_left"].tolist() == [0.7, 0.2]
    assert table["decision"].tolist() == ["left", "right"]
    assert table["command"].tolist() == ["", "right"]
    assert table["latency_ms"].tolist() == pytest.approx([20, 20])


def test_a_decision_that_is_not_to_be_trusted_decides_nothing() -> None:
    (line,) = view(row(1.0, Status.STALE)).table().to_dict("records")
    assert (line["decision"], line["status"]) == ("", "stale")
    assert np.isnan(line["p_left"])
    assert np.isnan(line["latency_ms"])


def test_only_the_last_seconds_are_shown() -> None:
    rows = [row(0.5 * i) for i in range(100)]
    assert len(view(*rows).table(seconds=10.0)) == 21
    assert view(*rows).table(seconds=10.0)["time"].min() == pytest.approx(-10)


def test_nothing_heard_is_an_empty_table() -> None:
    assert view().table().empty
    assert View(stream={}, rows=[], silence=np.inf).table().empty
    assert not View(stream={}, rows=[], silence=np.inf).running
    assert not view(lost=True).running


def test_statuses_are_counted() -> None:
    counts = view(row(0.0), row(0.5, Status.ABSTAIN), row(1.0, Status.GAP)).counts()
    assert counts == {"ok": 1, "abstain": 1, "stale": 0, "gap": 1, "bad-channels": 0, "lost": 0}


def test_decisions_that_were_not_heard_are_counted() -> None:
    assert view(row(0.0), row(0.5), row(2.0), row(2.5)).counts()["lost"] == 2
    # What lies around a gap was never decided
    assert view(row(0.0), row(0.5, Status.GAP), row(9.0)).counts()["lost"] == 0
    assert view(row(0.0), row(9.0), hop=0).counts()["lost"] == 0


def test_memory_is_bounded() -> None:
    own = Viewer()
    own._take({"kind": "stream", **STREAM})
    for i in range(viewer.KEPT + 10):
        own._take({"kind": "rows", "rows": [row(float(i))]})
    assert len(own._rows) == viewer.KEPT
    assert own._rows[-1][2] == viewer.KEPT + 9


def test_another_loop_begins_anew_and_the_same_goes_on() -> None:
    own = Viewer()
    own._take({"kind": "stream", **STREAM})
    own._take({"kind": "rows", "rows": [row(0.0)]})
    own._take({"kind": "lost"})
    assert own._stream["lost"]
    own._take({"kind": "stream", **STREAM})
    assert len(own._rows) == 1
    own._take({"kind": "stream", **STREAM, "uid": "2"})
    assert len(own._rows) == 0


def test_a_session_that_is_no_word_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert viewer.main(["--session", "two words"]) == 2
    assert "cannot be a session id" in capsys.readouterr().out


def test_a_process_that_cannot_go_on_is_not_started_over_and_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts = []

    def start(self: Viewer) -> None:
        starts.append(1)
        self._started = time.monotonic()

    monkeypatch.setattr(Viewer, "_start", start)
    own = Viewer()
    for _ in range(5):
        own.ask()
    assert len(starts) == 1


def test_a_description_says_model_classes_and_hop() -> None:
    xml = (
        "<info><name>neurodecode</name><uid>1</uid><hostname>here</hostname><desc><model>toy</model>"
        "<hop>0.5</hop><classes><class>left</class><class>right</class></classes></desc></info>"
    )
    assert decision_facts(xml) == STREAM


LOOP = """
import sys, time
import numpy as np
from neurodecode.online import lsl
from neurodecode.online.decision import Decision, Status
lsl.configure(session=sys.argv[1])
outlet = lsl.DecisionOutlet(
    classes=["left", "right"], model="toy", source_id="toy", hop=0.05, max_gap=0.01,
)
i = 0
while True:
    now = lsl.clock()
    outlet.push(Decision(
        proba=np.array([0.9, 0.1]), evidence=np.array([0.9, 0.1]), newest=0.05 * i,
        made=0.05 * i + 0.01, status=Status.OK, command=0 if i % 10 == 0 else -1, bad=(), sample=i,
    ))
    i += 1
    time.sleep(0.05)
"""
Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def start(session: str) -> "subprocess.Popen[bytes]":
        running.append(subprocess.Popen([sys.executable, "-c", LOOP, session]))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def until(own: Viewer, what: Callable[[View], bool], seconds: float = 30.0) -> View:
    """Asks as a page does, until it is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen = own.ask()
        if what(seen):
            return seen
        time.sleep(0.1)
    raise AssertionError(f"never came; last: {own.ask().stream}, {own.ask().problem}")


@pytest.mark.slow
@pytest.mark.timeout(110)
def test_a_loop_is_heard_and_when_it_ends_the_next_one_is(start: Start) -> None:
    session = f"test-{uuid.uuid4().hex[:12]}"
    own = Viewer(session=session)
    try:
        assert not own.ask().running
        loop = start(session)
        seen = until(own, lambda view: len(view.rows) > 20)
        assert (seen.stream["model"], seen.classes) == ("toy", ["left", "right"])
        table = seen.table()
        assert set(table["decision"]) == {"left"}
        assert table["latency_ms"].to_numpy() == pytest.approx(10)
        assert "left" in set(table["command"])
        assert seen.counts()["lost"] == 0
        loop.kill()
        ended = until(own, lambda view: not view.running)
        assert len(ended.rows) > 20  # what it decided last can still be seen
        start(session)
        again = until(own, lambda view: view.running and len(view.rows) > 5)
        assert again.stream["uid"] != seen.stream["uid"]
    finally:
        own.close()


@pytest.mark.slow
def test_the_process_ends_when_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever started it has gone: its input is closed."""
    own = Viewer(session=f"test-{uuid.uuid4().hex[:12]}")
    own.ask()
    process = own._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    own.close()


def test_the_network_is_not_looked_at_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def configure(**how: object) -> None:
        asked.append(how)
        raise ConfigError("no further")

    monkeypatch.setattr(viewer.lsl, "configure", configure)
    assert viewer.main(["--session", "one"]) == 2
    assert viewer.main(["--session", "one", "--network"]) == 2
    assert [how["network"] for how in asked] == [False, True]
