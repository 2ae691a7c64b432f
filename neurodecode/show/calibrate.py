"""What a person sees during a calibration, and what came of it."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from neurodecode.results.store import Run
from neurodecode.show import console
from neurodecode.show.tables import live_command

FONT = {
    "ABCDEFGHIJKLM": (
        ".###. ####. .#### ####. ##### ##### .#### #...# .###. ..### #...# #.... #...#",
        "#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #..#. #.... ##.##",
        "##### ####. #.... #...# ###.. ###.. #..## ##### ..#.. ...#. ###.. #.... #.#.#",
        "#...# #...# #.... #...# #.... #.... #...# #...# ..#.. #..#. #..#. #.... #...#",
        "#...# ####. .#### ####. ##### #.... .#### #...# .###. .##.. #...# ##### #...#",
    ),
    "NOPQRSTUVWXYZ": (
        "#...# .###. ####. .###. ####. .#### ##### #...# #...# #...# #...# #...# #####",
        "##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#.",
        "#.#.# #...# ####. #.#.# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#..",
        "#..## #...# #.... #..#. #..#. ....# ..#.. #...# .#.#. ##.## .#.#. ..#.. .#...",
        "#...# .###. #.... .##.# #...# ####. ..#.. .###. ..#.. #...# #...# ..#.. #####",
    ),
    "0123456789+-.": (
        ".###. ..#.. ####. ####. #..#. ##### .###. ##### .###. .###. ..#.. ..... .....",
        "#..## .##.. ....# ....# #..#. #.... #.... ....# #...# #...# ..#.. ..... .....",
        "#.#.# ..#.. .###. .###. ##### ####. ####. ...#. .###. .#### ##### .###. .....",
        "##..# ..#.. #.... ....# ...#. ....# #...# ..#.. #...# ....# ..#.. ..... .....",
        ".###. .###. ##### ####. ...#. ####. .###. ..#.. .###. .###. ..#.. ..... ..#..",
    ),
}
"""Letters of five columns and five rows, a space between two."""

ROWS = 5
CLEAR, HIDE, SHOW = (
    "\x1b[2J\x1b[H",
    "\x1b[?25l",
    "\x1b[?25h",
)  # of a terminal: all of it, the cursor
N_NOTES = 8  # lines that are shown in a pause


def show_calibration(
    live: Any,
    options: Any,
    *,
    finetune: str | None = None,
    trials: Path | None = None,
    as_json: bool = False,
) -> Run:
    """Calibrate a live decoder with the person at this console, and say what came of it.

    Parameters
    ----------
    live
        The decoder, see `neurodecode.experiment.live.open_live`.
    options
        `neurodecode.online.calibrate.CalibrationOptions`.
    finetune
        "head" to let the last linear layer learn too.
    trials
        File of trials that an earlier calibration of the same person has kept: they count, and
        only what they lack is collected. The file stays as it is.
    as_json
        One JSON document on stdout at the end; else lines. Cues are on stderr, always.

    Raises
    ------
    NeurodecodeError
        As `neurodecode.experiment.calibrate.calibrate`.
    """
    from neurodecode.experiment.calibrate import calibrate, check_calibration, kept_trials

    check_calibration(live, options, finetune)
    kept = None if trials is None else kept_trials(live, trials)
    counts = [0] * len(live.pipeline.classes) if kept is None else kept.counts()
    n_wanted = sum(max(0, options.n - n) for n in counts)
    silent = options.markers is not None or not n_wanted
    intro = [] if silent else _instructions(live, options, n_wanted)
    with CueScreen(sys.stderr, intro) as screen:
        run = calibrate(
            live, options, finetune=finetune, kept=kept, view=screen, agree=screen.agree
        )
    show_calibrated(run, as_json=as_json)
    return run


def _instructions(live: Any, options: Any, n: int) -> list[str]:
    pipeline, pace = live.pipeline, options.pace
    window = pipeline.offset + pipeline.n_times / pipeline.sfreq
    minutes = n * (pace.fixation + window + sum(pace.pause) / 2) / 60
    return [
        f"{n} times a cross appears, then one of: {', '.join(pipeline.classes)}.",
        f"Do what the word says for as long as it stands there, {window:.2g} s.",
        f"That takes about {max(1, round(minutes))} min. Ctrl+C ends it early.",
    ]


class CueScreen:
    """A console that shows one thing at a time; where it is no terminal, a line for each cue.

    Parameters
    ----------
    out
        Where it is drawn.
    intro
        Lines to show before the first cue.
    """

    def __init__(self, out: TextIO, intro: list[str] | None = None) -> None:
        self.out, self.intro = out, intro or []
        self.drawn = out.isatty() and bool(self.intro)  # without cues of its own, lines will do
        # Where a terminal cannot show a block, it would show no cue at all
        self.ink = "█" if "utf" in (out.encoding or "").lower() else "#"
        self.busy = False  # a person is looking at a cross or a cue
        self.notes: list[str] = []

    def __enter__(self) -> Self:
        if self.drawn:
            self._write(HIDE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was, with what was said last."""
        if self.drawn:
            self.drawn = False
            self._write(CLEAR + SHOW + "".join(f"{note}\n" for note in self.notes))

    def show(self, scene: str, text: str) -> None:
        """Show a scene; it is written out when this returns."""
        self.busy = scene in ("fixation", "cue")
        if self.drawn:
            self._write(self._draw(scene, text))
        elif scene == "cue":
            self._write(f"cue: {text}\n")
        elif scene == "begin":
            self._write("".join(f"{line}\n" for line in self.intro))

    def say(self, text: str) -> None:
        """Say something in one line: at once, or in the next pause."""
        if not self.drawn:
            self._write(f"{text}\n")
            return
        self.notes = [*self.notes, text][-N_NOTES:]
        if not self.busy:
            self._write(f"\r{text}\n")

    def agree(self, question: str) -> bool:
        """Ask; where nobody can answer, what there is, is used."""
        self.close()
        if not (sys.stdin.isatty() and self.out.isatty()):
            return True
        self._write(f"{question} [Y/n] ")
        try:
            return not sys.stdin.readline().strip().lower().startswith("n")
        except KeyboardInterrupt:
            return False

    def _draw(self, scene: str, text: str) -> str:
        size = shutil.get_terminal_size()
        if scene in ("fixation", "cue"):
            lines = large("+" if scene == "fixation" else text, size.columns, self.ink)
            above = max(0, (size.lines - len(lines)) // 2)
        else:
            lines, above = [*self.intro, "", text] if scene == "begin" else [text], 2
        lines = [line.center(size.columns).rstrip() for line in lines]
        notes = [] if self.busy else ["", *self.notes]
        return CLEAR + "\n" * above + "\n".join([*lines, *notes]) + "\n"

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()


def large(text: str, width: int, ink: str = "█") -> list[str]:
    """A word in large letters, in lines of at most `width` columns; as it is where they have none.

    Parameters
    ----------
    text
        "left_hand" becomes LEFT HAND, below each other where they are too wide.
    width
        Columns that there are.
    ink
        What letters are drawn with.
    """
    words = text.replace("_", " ").upper().split()
    known = "".join(FONT)
    if not words or any(letter not in known for word in words for letter in word):
        return [text]
    whole = " ".join(words)
    rows = [whole] if _width(whole) <= width else words
    if any(_width(row) > width for row in rows):
        return [text]
    lines: list[str] = []
    for row in rows:
        glyphs = [_glyph(letter, ink) for letter in row]
        lines += [""] if lines else []
        lines += [" ".join(glyph[i] for glyph in glyphs) for i in range(ROWS)]
    return lines


def _width(word: str) -> int:
    return 6 * len(word) - 1


def _glyph(letter: str, ink: str) -> list[str]:
    """Five rows of five columns."""
    if letter == " ":
        return [" " * 5] * ROWS
    letters, rows = next((k, v) for k, v in FONT.items() if letter in k)
    at = 6 * letters.index(letter)
    return [row[at : at + 5].replace("#", ink).replace(".", " ") for row in rows]


def is_calibrated(run: Run) -> bool:
    """Whether a run is a calibrated copy of another."""
    return "calibrated" in run.meta()


def calibrated_document(run: Run) -> dict[str, Any]:
    """What is known of a calibrated run, for other programs."""
    meta = run.meta()
    return {
        "run": str(run.path),
        "parent": meta["parent"],
        **{name: meta.get(name) for name in ("paradigm", "dataset", "simulated", "classes")},
        "calibrated": meta["calibrated"],
    }


def show_calibrated(run: Run, *, as_json: bool = False) -> None:
    """Print what a calibrated run is, and how it did."""
    if as_json:
        sys.stdout.write(json.dumps(calibrated_document(run), indent=1) + "\n")
        return
    meta = run.meta()
    for line in _report(run, meta, meta["calibrated"]):
        console().print(line, markup=False, soft_wrap=True)


def calibrated_words(meta: Mapping[str, Any]) -> str:
    """A calibrated run in one line, by its ``meta.json``."""
    return f"calibrated copy of {meta['parent']}: {_accuracy(meta['calibrated']['accuracy'])}"


def _report(run: Run, meta: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    counts = ", ".join(f"{n} of {name}" for name, n in facts["n"].items())
    refused = facts.get("n_refused", 0)
    also = f"; {refused} more were not taken" if refused else ""
    also += f"; {facts['n_kept']} of them from before" if facts.get("n_kept") else ""
    lines = [
        f"{run.id} is a calibrated copy of {meta['parent']}: {facts['decoder']}.",
        f"Trials of one person: {counts}{also}.",
    ]
    if facts.get("ignored"):
        most = sorted(facts["ignored"].items(), key=lambda item: -item[1])[:8]
        lines.append(f"Markers ignored: {', '.join(f'{name} ({n})' for name, n in most)}.")
    if facts["aligned"]:
        lines.append("Alignment: the reference is the mean over these trials, and stays.")
    if facts["finetune"] and facts["lam"] is None:
        lines.append("Head: left as it was; in cross-validation no change was clearly better.")
    elif facts["finetune"]:
        lines.append(f"Head: moved from the trained weights, lam = {facts['lam']:g}.")
    lines.append(f"On the trials themselves: {_accuracy(facts['accuracy'])}.")
    if facts.get("seen"):
        lines.append("The decoder was fitted to this very person: that is no score.")
    if meta.get("simulated"):
        lines.append("The decoder was fitted to SIMULATED recordings.")
    lines.append(f"To go live: {live_command(str(run.path))}")
    return lines


def _accuracy(found: Mapping[str, Any]) -> str:
    return (
        f"{found['n_before']} of {found['n']} right before ({found['before']:.2f}), "
        f"{found['n_after']} after ({found['after']:.2f}), cross-validated in {found['n_folds']} "
        f"folds, McNemar p = {found['p']:.2g}"
    )
