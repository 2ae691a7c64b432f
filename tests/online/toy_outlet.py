"""A source of signals that follows a script, faults included; run as a program.

    python toy_outlet.py --session ID --name EEG --source-id one run:1 zeros:0.2 run:1

Steps, each with seconds of signal:

    run      as it should be
    zeros    every channel is 0
    nan      the first channel is not a number
    drop     measured but never sent
    late     measured, and sent when the step is over
    slow     sent in twice the time; what follows catches up
    jump     (signed) from here on stamps are that much later

It says what it does as JSON lines: {"step", "begin", "end"}, on the clock of the stamps, and
{"ready": true} when somebody listens. After the last step it goes on as it should, until stdin
ends.
"""

import argparse
import json
import sys
import threading
import time

import numpy as np

from neurodecode.online import lsl

CHUNK = 0.02  # s


class Toy:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.n_chunk = max(1, round(CHUNK * options.sfreq))
        self.rng = np.random.default_rng(0)
        self.n, self.shift = 0, 0.0
        names = options.channels.split(",")
        self.outlet = lsl.SignalOutlet(
            name=options.name,
            source_id=options.source_id,
            sfreq=options.sfreq,
            ch_names=names,
            ch_types=["eeg"] * len(names),
            fmt=options.fmt,
        )
        self.n_chans = len(names)
        while not self.outlet.wait(0.2):
            pass
        say(ready=True)
        self.begun = lsl.clock()

    def step(self, what: str, seconds: float) -> None:
        begin = self.now()
        if what == "jump":
            self.shift += seconds
        else:
            self.send(what, seconds)
        say(step=what, begin=begin, end=self.now())

    def send(self, what: str, seconds: float) -> None:
        held = []
        begin = self.n / self.options.sfreq
        for _ in range(max(1, round(seconds / CHUNK))):
            chunk = 1e-5 * self.rng.standard_normal((self.n_chans, self.n_chunk))
            if what == "zeros":
                chunk[:] = 0
            if what == "nan":
                chunk[0] = np.nan
            stamps = self.stamp(self.n + np.arange(self.n_chunk))
            self.n += self.n_chunk
            due = self.n / self.options.sfreq  # when its last sample has been measured
            if what == "slow":
                due += due - begin
            time.sleep(max(0.0, self.begun + due - lsl.clock()))
            if what == "late":
                held.append((chunk, stamps))
            elif what != "drop":
                self.outlet.push(chunk, stamps)
        for chunk, stamps in held:
            self.outlet.push(chunk, stamps)

    def now(self) -> float:
        return float(self.stamp(self.n))

    def stamp(self, n: np.ndarray | int) -> np.ndarray:
        return np.asarray(self.begun + self.shift + np.asarray(n) / self.options.sfreq)


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--session", required=True)
    parser.add_argument("--name", default="toy")
    parser.add_argument("--source-id", default="toy-1")
    parser.add_argument("--sfreq", type=float, default=500.0)
    parser.add_argument("--channels", default="C3,Cz,C4")
    parser.add_argument("--fmt", default="float32")
    parser.add_argument("--marker-after", type=float, help="s from then to a marker stream")
    parser.add_argument("steps", nargs="*")
    options = parser.parse_args()
    lsl.configure(session=options.session)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    toy = Toy(options)
    if options.marker_after is not None:
        threading.Thread(target=mark, args=(options,), daemon=True).start()
    for step in options.steps:
        what, _, seconds = step.partition(":")
        toy.step(what, float(seconds))
    say(step="over", begin=toy.now(), end=toy.now())
    while not over.is_set():
        toy.send("run", CHUNK)


def mark(options: argparse.Namespace) -> None:
    """Markers, twenty a second, from a while after the beginning on."""
    time.sleep(options.marker_after)
    name = f"{options.name}-markers"
    outlet = lsl.MarkerOutlet(name=name, source_id=f"{options.source_id}-markers")
    while True:
        outlet.push("left", lsl.clock())
        time.sleep(0.05)


if __name__ == "__main__":
    main()
