"""Do streams of several programs on this machine find each other, and how fast are they?

One stream alone is always found; where discovery is broken, only some of several are. So three
processes offer one each, and a fourth looks for them, in a session of their own. All of LSL
happens in those processes: liblsl may end one, and not who asks.

Run as ``python -m neurodecode.online.discovery``, this is one of those processes.
"""

import json
import select
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neurodecode.core.errors import NeurodecodeError
from neurodecode.online import lsl

N_STREAMS = 3
KIND = "neurodecode-test"
ANSWER = 20.0  # s that a process has, most of it to be loaded
LONGEST = 60.0  # s that a process of this test may live
LOOK = 5.0  # s to find all streams
LISTEN = 1.0  # s
BETWEEN = 0.01  # s between two samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What was found out.

    Attributes
    ----------
    library
        Version of liblsl.
    n_streams, n_found
        How many streams there were, and how many were found.
    seconds
        Until all were found, s.
    offset
        Of the clocks of two processes, s; on one machine next to nothing.
    latency, latency_p99
        From one process to another, s: median and 99th percentile of samples sent one at a time.
    problem
        What is wrong and what to do, in one line; blank if nothing is.
    """

    library: str = ""
    n_streams: int = N_STREAMS
    n_found: int = 0
    seconds: float = 0.0
    offset: float = 0.0
    latency: float = 0.0
    latency_p99: float = 0.0
    problem: str = ""


def try_discovery(*, network: bool = False) -> Discovery:
    """Offer three streams in three processes, and look for them in a fourth; takes 3 s or so.

    Parameters
    ----------
    network
        As `neurodecode.online.lsl.configure` takes it.
    """
    session = f"test-{uuid.uuid4().hex[:12]}"
    words = [sys.executable, "-m", "neurodecode.online.discovery", session, str(int(network))]
    with ExitStack() as stack:
        offers = [_start(stack, [*words, f"stream-{i}"]) for i in range(N_STREAMS)]
        look = _start(stack, words)
        # Each says "up" when its stream is there.
        said = next((text for offer in offers if (text := _line(offer)) != "up"), "")
        if not said:
            assert look.stdin is not None
            look.stdin.write(b"look\n")
            look.stdin.flush()
            said = _line(look)
    return _judge(Discovery(**json.loads(said)) if said[:1] == "{" else Discovery(problem=said))


def _start(stack: ExitStack, words: list[str]) -> subprocess.Popen[bytes]:
    """A process that is gone at the end of the block."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def _line(process: subprocess.Popen[bytes]) -> str:
    """What a process says; a sentence if it says nothing."""
    assert process.stdout is not None
    text = ""
    if select.select([process.stdout], [], [], ANSWER)[0]:
        text = process.stdout.readline().decode().strip()
    return text or (
        "LSL's test has no answer: a process that uses liblsl ended or hangs. Try again, and "
        "install another liblsl if it does the same."
    )


def _judge(result: Discovery) -> Discovery:
    if result.problem or result.n_found >= result.n_streams:
        return result
    return replace(
        result,
        problem=(
            f"LSL finds {result.n_found} of {result.n_streams} streams of this machine, so that "
            f"`neurodecode online` may not see the signal. Allow multicast to 224.0.0.183, UDP "
            f"ports 16571 to 16604, in the firewall, and on Linux `ip link set lo up multicast on`."
        ),
    )


def _offer(name: str) -> None:
    """Send samples until who started this goes away."""
    outlet = lsl.SignalOutlet(
        name=name, kind=KIND, source_id=name, sfreq=1 / BETWEEN, ch_names=["E1"], ch_types=["eeg"]
    )
    _say("up")
    end = time.monotonic() + LONGEST
    while time.monotonic() < end and not select.select([sys.stdin], [], [], BETWEEN)[0]:
        outlet.push(np.zeros((1, 1)), np.array([lsl.clock()]))


def _look() -> dict[str, Any]:
    """Find the streams and listen to one of them."""
    lsl.clock()  # liblsl is loaded before the time counts
    sys.stdin.readline()
    begun = time.perf_counter()
    found = lsl.find_streams(kind=KIND, n=N_STREAMS, timeout=LOOK)
    result: dict[str, Any] = {
        "library": lsl.library_version(),
        "n_found": len(found),
        "seconds": time.perf_counter() - begun,
    }
    if not found:
        return result
    inlet, late = lsl.SignalInlet(found[0]), []
    end = time.perf_counter() + LISTEN
    while time.perf_counter() < end:
        stamps = inlet.pull(0.2)[1]
        late += [lsl.clock() - stamp for stamp in stamps[-1:]]
    median, p99 = np.percentile(late, [50, 99]).tolist() if late else (0.0, 0.0)
    return result | {"offset": inlet.offset, "latency": median, "latency_p99": p99}


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _main(session: str, network: str, name: str = "") -> None:
    try:
        lsl.configure(network=network == "1", session=session)
        if name:
            _offer(name)
        else:
            _say(json.dumps(_look()))
    except NeurodecodeError as error:
        _say(str(error))


if __name__ == "__main__":
    _main(*sys.argv[1:])
