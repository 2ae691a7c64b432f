"""Decoders of a run hear streams, all of them each; run as a program, prints what they said."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

from neurodecode.experiment.live import LiveRun, open_live
from neurodecode.online import lsl
from neurodecode.online.loop import LoopOptions, run_loop
from neurodecode.results.store import Run


def main() -> None:
    path, session, streams, models = sys.argv[1:]
    lsl.configure(session=session)
    names = models.split(",")
    lives = {m: open_live(Run(Path(path)), model=m, fold="subject=1") for m in names}
    json.dump({name: hear(lives, name) for name in streams.split(",")}, sys.stdout)


def hear(lives: dict[str, LiveRun], stream: str) -> dict[str, list[dict[str, Any]]]:
    said: dict[str, list[dict[str, Any]]] = {m: [] for m in lives}
    options = LoopOptions(
        stream=stream, wait=20.0, publish=False, every_decision=True, duration=60.0, stall=3.0
    )

    def run(model: str) -> None:
        over = threading.Event()

        def say(line: dict[str, Any]) -> None:
            said[model].append(line)
            if line.get("what") in ("stalled", "lost"):  # the recording is over
                over.set()

        live = lives[model]
        summary = run_loop(
            # The stamps of what is played fast leave the clock behind, so that nothing is stale.
            lambda facts: live.engine(facts.sfreq),
            options,
            say,
            stop=over.is_set,
        )
        said[model].append({"kind": "summary", "n_samples": summary.n_samples})

    threads = [threading.Thread(target=run, args=(m,)) for m in lives]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


if __name__ == "__main__":
    main()
