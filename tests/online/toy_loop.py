"""The live loop with a decoder that takes no time to make; run as a program, as `online --json`."""

import argparse
import logging
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from neurodecode.core.errors import NeurodecodeError
from neurodecode.online import lsl
from neurodecode.online.engine import Engine
from neurodecode.online.evidence import ACCUMULATORS
from neurodecode.online.loop import LoopOptions
from neurodecode.online.pipeline import LivePipeline
from neurodecode.online.policy import Policy
from neurodecode.online.serve import serve

WINDOW = 0.2  # s
HOP = 0.05  # s


class Power:
    """Which of the first two channels is louder."""

    hop = 1

    def window(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        power = np.square(x[:2]).mean(axis=1).astype(float)
        return power / power.sum(), None

    def advance(self, x: np.ndarray, n_new: int, state: Any) -> tuple[np.ndarray, Any]:
        return self.window(x)


def engine_for(facts: lsl.StreamFacts, channels: tuple[str, ...], *, max_age: float) -> Engine:
    pipeline = LivePipeline(
        ch_names=channels,
        classes=("left", "right"),
        sfreq=facts.sfreq,
        n_times=round(WINDOW * facts.sfreq),
        scorer=Power(),
    )
    return pipeline.engine(
        facts.sfreq,
        hop=HOP,
        policy=Policy(accumulator=ACCUMULATORS.get("none")(), threshold=0.0, refractory=0.2),
        clock=lsl.clock,
        max_age=max_age,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--session", required=True)
    parser.add_argument("--stream", default="toy")
    parser.add_argument("--channels", default="C3,Cz")
    parser.add_argument("--max-age", type=float, default=0.3)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--file-limit", type=int, help="bytes that a file may have: a full disk")
    parser.add_argument("--crash", type=int, default=0, help="engines that fail before one works")
    parser.add_argument("--wait", type=float, default=20.0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    if options.file_limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (options.file_limit, options.file_limit))
    lsl.configure(session=options.session)
    left = options.crash

    def make(facts: lsl.StreamFacts) -> Engine:
        nonlocal left
        engine = engine_for(facts, tuple(options.channels.split(",")), max_age=options.max_age)
        if left > 0:
            left -= 1
            engine.push = lambda *_: 1 / 0  # type: ignore[method-assign, assignment]
        return engine

    chosen = LoopOptions(
        stream=options.stream,
        wait=options.wait,
        stall=0.2,
        lost_after=0.6,
        record=options.record,
        every_decision=True,
        model="toy",
    )
    try:
        raise SystemExit(serve(make, chosen))
    except NeurodecodeError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
