"""A person who calibrates sees one thing at a time, large, and reads in pauses what happened."""

import io

import pytest

from neurodecode.show.calibrate import CLEAR, CueScreen, large


class Terminal(io.StringIO):
    """Text that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")


def test_words_are_large_and_fit_the_terminal() -> None:
    assert large("T", 80) == ["█████", *["  █  "] * 4]
    assert len(large("left_hand", 80)) == 5
    assert len(large("left_hand", 40)) == 11  # below each other
    for width in (40, 80):
        assert all(len(line) <= width for line in large("right_hand", width))
    assert large("tongue", 20) == ["tongue"]
    assert large("ő", 80) == ["ő"]  # of which there is no large letter
    assert "█" not in "".join(large("left_hand", 80, "#"))


def test_a_cue_is_alone_on_the_screen_and_notes_come_in_the_pause() -> None:
    out = Terminal()
    with CueScreen(out, ["Do this."]) as screen:
        screen.show("begin", "0 of 4")
        screen.show("fixation", "")
        screen.show("cue", "left_hand")
        screen.say("left_hand: 1 of 2.")
        screen.show("pause", "1 of 4")
        frames = out.getvalue().split(CLEAR)[1:]
        assert "Do this." in frames[0]
        assert "█████" in frames[1]
        assert "left_hand" not in frames[2]
        assert frames[2].count("█") > 30
        assert "left_hand: 1 of 2." in frames[3]
        assert "1 of 4" in frames[3]
    assert out.getvalue().endswith("left_hand: 1 of 2.\n")


def test_without_a_terminal_there_is_a_line_for_each_cue() -> None:
    out = io.StringIO()
    with CueScreen(out, ["Do this."]) as screen:
        screen.show("begin", "0 of 4")
        for scene, text in (("fixation", ""), ("cue", "feet"), ("pause", "0 of 4")):
            screen.show(scene, text)
        screen.say("feet: not taken, C3 is flat.")
        assert screen.agree("There are 2 of feet. Calibrate with them?")
    assert out.getvalue() == "Do this.\ncue: feet\nfeet: not taken, C3 is flat.\n"


def test_markers_of_others_need_no_screen() -> None:
    out = Terminal()
    with CueScreen(out) as screen:
        screen.say("left_hand: 1 of 2.")
    assert out.getvalue() == "left_hand: 1 of 2.\n"


@pytest.mark.parametrize(("answer", "agreed"), [("\n", True), ("y\n", True), ("No\n", False)])
def test_a_person_is_asked(answer: str, agreed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Terminal(answer)
    monkeypatch.setattr("sys.stdin", given)
    out = Terminal()
    assert CueScreen(out, ["Do this."]).agree("Calibrate?") == agreed
    assert out.getvalue().endswith("Calibrate? [Y/n] ")
