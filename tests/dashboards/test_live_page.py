"""The live page: it listens when it is asked to, and says what it hears."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from neurodecode.online.viewer import View, Viewer

Open = Callable[..., Any]
STREAM = {"uid": "1", "name": "neurodecode", "model": "a decoder", "host": "here", "hop": 0.1,
          "classes": ["left_hand", "right_hand"]}  # fmt: skip
ROWS = [[0.3, 0.7, i / 10, i / 10 + 0.02, 0.0, 1.0 if i == 50 else -1.0] for i in range(100)]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the viewer hears, instead of a process that listens; and how it was asked."""
    said: dict[str, Any] = {"view": View(stream={}, rows=[], silence=math.inf), "asked": []}

    def ask(self: Viewer) -> View:
        said["asked"].append((self.session, self.network))
        return said["view"]

    monkeypatch.setattr(Viewer, "ask", ask)
    return said


def watch(page: Any) -> Any:
    page.toggle(key="watch-live").set_value(True)
    return page.run()


def test_nothing_listens_until_it_is_asked_to(
    open_page: Open, tmp_path: Path, heard: dict[str, Any]
) -> None:
    page = open_page(tmp_path, "live")
    assert not page.exception
    assert heard["asked"] == []
    assert "neurodecode online" in page.code[0].value


def test_the_network_is_off_by_default(
    open_page: Open, tmp_path: Path, heard: dict[str, Any]
) -> None:
    page = watch(open_page(tmp_path, "live"))
    assert set(heard["asked"]) == {("default", False)}
    page.text_input[0].set_value("demo").run()
    assert ("demo", False) in heard["asked"]
    assert "--session-id demo" in page.code[0].value


def test_no_loop_says_how_to_start_one(
    open_page: Open, tmp_path: Path, heard: dict[str, Any]
) -> None:
    page = watch(open_page(tmp_path, "live"))
    assert "No loop decides in session 'default' on this machine" in page.info[0].value
    assert "neurodecode replay" in page.code[0].value


def test_a_loop_is_drawn_with_its_counts(
    open_page: Open, tmp_path: Path, heard: dict[str, Any]
) -> None:
    heard["view"] = View(stream=STREAM, rows=ROWS, silence=0.1)
    page = watch(open_page(tmp_path, "live"))
    assert not page.exception
    assert not page.warning
    metrics = {metric.label: metric.value for metric in page.metric}
    assert metrics["Valid"] == "100"
    assert metrics["Stale"] == "0"
    assert metrics["Median latency"] == "20.0 ms"
    titles = [text.value for text in page.markdown]
    assert "**Probability of each class, and commands**" in titles


@pytest.mark.parametrize(
    ("stream", "silence", "words"),
    [
        ({**STREAM, "lost": True}, 9.0, "The loop has ended"),
        (STREAM, 9.0, "has decided nothing for 9 s"),
        (STREAM, math.inf, "has decided nothing so far"),
    ],
)
def test_silence_is_said(
    open_page: Open, tmp_path: Path, heard: dict[str, Any], stream: Any, silence: float, words: str
) -> None:
    heard["view"] = View(stream=stream, rows=[] if silence == math.inf else ROWS, silence=silence)
    page = watch(open_page(tmp_path, "live"))
    assert not page.exception
    assert words in page.warning[0].value


def test_a_problem_of_the_listener_is_one_line(
    open_page: Open, tmp_path: Path, heard: dict[str, Any]
) -> None:
    heard["view"] = View(stream={}, rows=[], silence=math.inf, problem="LSL cannot be used.")
    page = watch(open_page(tmp_path, "live"))
    assert page.error[0].value == "LSL cannot be used."
