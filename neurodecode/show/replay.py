"""What `neurodecode replay` says: what is played, how far it is, and what was sent."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from neurodecode.online import lsl
from neurodecode.online.replay import Played, Sent, play

OFTEN = 0.5  # s between two looks of the progress


def show_replay(recordings: Sequence[Played], *, name: str, as_json: bool, **options: Any) -> None:
    """Play recordings to the end, or until somebody stops it, and say so.

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
    words = "{task.description} {task.completed:.0f} of {task.total:.0f} s"
    bar = Progress(
        TextColumn(words),
        BarColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
        refresh_per_second=2,  # drawing makes chunks late
    )
    task = bar.add_task("playing", total=sum(recording.duration for recording in recordings))
    shown = 0.0

    def progress(done: float, total: float) -> None:
        nonlocal shown
        if not shown <= done < shown + OFTEN * options["speed"]:
            shown = done
            bar.start()  # after what is said at the beginning
            bar.update(task, completed=done)

    def say(text: str) -> None:
        out.print(text, markup=False)

    def opened() -> None:
        say(_plan(recordings, name, options))

    sent, stopped = Sent(), False
    calls: dict[str, Any] = {"opened": opened, "say": say, "progress": progress, "sent": sent}
    try:
        play(recordings, name=name, **calls, **options)
    except KeyboardInterrupt:  # how one stops it
        stopped = True
    finally:
        bar.stop()
    if as_json:
        document = _document(recordings[0], name, sent) | {"stopped": stopped}
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    else:
        say(_summary(sent, stopped))


def _plan(recordings: Sequence[Played], name: str, options: dict[str, Any]) -> str:
    """What is about to be played, and where it can be heard."""
    first = recordings[0]
    who = f", subject {first.labels['subject']}" if first.labels["subject"] else ""
    n, seconds = len(recordings), sum(recording.duration for recording in recordings)
    n_events = sum(len(recording.markers) for recording in recordings)
    pace = "" if options["speed"] == 1 else f", {options['speed']:g} times as fast"
    pace += ", again and again" if options["loop"] else ""
    return (
        f"Playing {first.labels['dataset']}{who}: {n} recording{'s' * (n > 1)}, {seconds:.0f} s"
        f"{pace}, {first.sfreq:g} Hz, {len(first.ch_names)} channels, {n_events} events; stream "
        f"'{name}', source id '{name}', session '{lsl.session_id()}'."
    )


def _summary(sent: Sent, stopped: bool) -> str:
    median, p99, most = (1e3 * late for late in sent.percentiles([50, 99, 100]))
    return (
        f"{'Stopped' if stopped else 'Done'} after {sent.seconds:.1f} s: {sent.n_samples} samples "
        f"and {sent.n_markers} markers sent, chunks late by {median:.2f} ms (median), {p99:.2f} ms "
        f"(99 %), {most:.1f} ms (most)."
    )


def _document(first: Played, name: str, sent: Sent) -> dict[str, Any]:
    median, p99, most = (1e3 * late for late in sent.percentiles([50, 99, 100]))
    return {
        "played": dict(first.labels),
        "stream": name,
        "session_id": lsl.session_id(),
        "sfreq": first.sfreq,
        "n_chans": len(first.ch_names),
        "seconds": round(sent.seconds, 3),
        "samples": sent.n_samples,
        "chunks": sent.n_chunks,
        "markers": sent.n_markers,
        "rounds": sent.n_rounds,
        "late_ms": {"median": median, "p99": p99, "most": most},
    }
