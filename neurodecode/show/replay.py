"""What `neurodecode replay` says: what is played, how far it is, and what was sent."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from neurodecode.online import lsl
from neurodecode.online.replay import Played, Sent, play

OFTEN = 0.2  # s played between two looks of the progress


def show_replay(recordings: Sequence[Played], *, name: str, as_json: bool, **options: Any) -> int:
    """Play recordings and say so; 0, or 130 where somebody stopped it before the end.

    Parameters
    ----------
    recordings
        What to play.
    name
        Of the stream.
    as_json
        One JSON document on stdout at the end; else lines.
    options
        Of `neurodecode.online.replay.play`.
    """
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    out = err if as_json else Console(highlight=False, soft_wrap=True)
    out.print(_plan(recordings, name, options), markup=False)
    words = "{task.description} {task.completed:.0f} of {task.total:.0f} s"
    bar = Progress(
        TextColumn(words), BarColumn(), console=err, transient=True, disable=not err.is_terminal
    )
    task = bar.add_task("playing", total=sum(recording.duration for recording in recordings))
    shown = 0.0

    def progress(done: float, total: float) -> None:
        nonlocal shown
        if not shown <= done < shown + OFTEN * options["speed"]:
            shown = done
            bar.update(task, completed=done)

    def say(text: str) -> None:
        out.print(text, markup=False)

    sent = Sent()
    stopped = False
    try:
        with bar:
            play(recordings, name=name, say=say, progress=progress, sent=sent, **options)
    except KeyboardInterrupt:
        stopped = True
    _finish(sent, stopped=stopped, as_json=as_json, out=out)
    return 130 if stopped and not options["loop"] else 0


def _plan(recordings: Sequence[Played], name: str, options: dict[str, Any]) -> str:
    """What is about to be played, and where it can be heard."""
    first = recordings[0]
    parts = [first.labels["dataset"]]
    parts += [f"{key} {first.labels[key]}" for key in ("subject",) if first.labels[key]]
    n, seconds = len(recordings), sum(recording.duration for recording in recordings)
    n_events = sum(len(recording.markers) for recording in recordings)
    pace = "" if options["speed"] == 1 else f" at {options['speed']:g} times the speed"
    return (
        f"Playing {', '.join(parts)}: {n} recording{'s' * (n > 1)}, {seconds:.0f} s{pace}"
        f"{', again and again' * options['loop']}, {first.sfreq:g} Hz, {len(first.ch_names)} "
        f"channels, {n_events} events; stream '{name}', source id '{name}', session "
        f"'{lsl.session_id()}'."
    )


def _finish(sent: Sent, *, stopped: bool, as_json: bool, out: Console) -> None:
    median, p99, most = (1e3 * late for late in sent.percentiles([50, 99, 100]))
    if as_json:
        document = {
            "seconds": round(sent.seconds, 3),
            "samples": sent.n_samples,
            "chunks": sent.n_chunks,
            "markers": sent.n_markers,
            "rounds": sent.n_rounds,
            "stopped": stopped,
            "late_ms": {"median": median, "p99": p99, "max": most},
        }
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
        return
    out.print(
        f"{'Stopped' if stopped else 'Done'} after {sent.seconds:.1f} s: {sent.n_samples} samples "
        f"and {sent.n_markers} markers sent, chunks late by {median:.2f} ms (median), {p99:.2f} ms "
        f"(99 %), {most:.1f} ms (most).",
        markup=False,
    )
