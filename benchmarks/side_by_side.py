"""What the scripts here share: two callables take turns, and one ratio comes out.

A ratio is always how many times as fast ours is: above 1, ours is faster. It is the median of the
ratios of the rounds, each from two measurements taken one right after the other, in turn ours
first and theirs first; the spread is the quartiles. A script reads

    options = parser(__doc__).parse_args()
    finish(side_by_side(ours, theirs, name=..., what=..., rounds=options.rounds, amount=32,
                        unit="trials/s"), options.json)

and is run as ``python benchmarks/<name>.py [--rounds N] [--threads N] [--json FILE]``.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

TIMES = {"s": 1.0, "ms": 1e3, "us": 1e6}  # units in which less is better, in a second
PACKAGES = ("torch", "lightning", "braindecode", "moabb", "skorch", "mne", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What one script found."""

    name: str  # of the script
    what: str  # one sentence
    ratio: float  # how many times as fast ours is, median over rounds
    ratio_low: float  # lower quartile
    ratio_high: float  # upper quartile
    ours: float  # in `unit`, median
    theirs: float
    unit: str  # a rate, or a time
    rounds: int
    machine: Mapping[str, object]
    details: Mapping[str, object]  # what else was found, such as scores; any JSON


def parser(doc: str | None, *, rounds: int = 9, threads: int = 2) -> argparse.ArgumentParser:
    """Options that every script has; `doc` is its docstring."""
    made = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    made.add_argument("--rounds", type=int, default=rounds, help="how often the two take turns")
    made.add_argument("--threads", type=int, default=threads, help="threads of torch")
    made.add_argument("--json", type=Path, help="write the figures here")
    return made


def side_by_side(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    name: str,
    what: str,
    rounds: int,
    unit: str,
    amount: float = 1.0,
    warm_up: int = 1,
    details: Mapping[str, object] | None = None,
) -> Comparison:
    """Let two callables take turns and compare the time by the clock on the wall.

    Parameters
    ----------
    ours, theirs
        Do the same work, once a call.
    rounds
        How often each is measured.
    unit
        "s", "ms" or "us" for the time of a call over `amount`; anything else, such as
        "trials/s", is a rate: `amount` over the time of a call.
    amount
        Work in a call: trials, windows, commands.
    warm_up
        Calls of each beforehand, not measured.
    """
    for call in (ours, theirs) * warm_up:
        call()
    seconds: dict[Callable[[], object], list[float]] = {ours: [], theirs: []}
    for turn in range(rounds):
        for call in (ours, theirs) if turn % 2 == 0 else (theirs, ours):
            start = time.perf_counter()
            call()
            seconds[call].append(time.perf_counter() - start)
    return compare(
        seconds[ours], seconds[theirs], name=name, what=what, unit=unit, amount=amount,
        details=details,
    )  # fmt: skip


def compare(
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    name: str,
    what: str,
    unit: str,
    amount: float = 1.0,
    details: Mapping[str, object] | None = None,
) -> Comparison:
    """Compare seconds that were measured in turn, one pair a round; as `side_by_side` says."""
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    low, median, high = quartiles(ratios)

    def shown(seconds: Sequence[float]) -> float:
        middle = statistics.median(seconds)
        return middle / amount * TIMES[unit] if unit in TIMES else amount / middle

    return Comparison(
        name=name, what=what, ratio=median, ratio_low=low, ratio_high=high, ours=shown(ours),
        theirs=shown(theirs), unit=unit, rounds=len(ratios), machine=machine(),
        details=dict(details or {}),
    )  # fmt: skip


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def finish(comparison: Comparison, file: Path | None = None) -> None:
    """Print one line, and write JSON where a file is given."""
    c = comparison
    print(
        f"{c.name}: {c.ratio:.2f} times as fast ({c.ratio_low:.2f} to {c.ratio_high:.2f}, "
        f"{c.rounds} rounds), ours {c.ours:.4g} {c.unit}, theirs {c.theirs:.4g} {c.unit}"
    )
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(c), indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    facts: dict[str, object] = {
        "cpu": _cpu(),
        "cpus": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    torch = sys.modules.get("torch")  # only where the script uses it
    if torch is not None:
        facts["threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            facts["gpu"] = torch.cuda.get_device_name()
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
