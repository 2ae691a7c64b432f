"""How time and memory grow with channels, subjects, trials, length of the window and workers.

python benchmarks/growth.py [--axes channels,...] [--tasks csp_lda,...] [--out FOLDER] [--json FILE]

Simulated people are loaded (filtered and cut anew), and decoders are fitted to them, each subject
left out once, nets for two epochs. One thing is varied at a time. Every point is a fresh process
that has first done the same with very little, so that libraries are there; the time of a fit starts
when its windows are. Memory is the most that the process and its workers held beyond what it held
before, pages that they share counted once; it is looked at 20 times a second. A figure for each
thing that is varied is drawn on logarithmic axes, where a line's slope is the power by which it
grows; its sentence is computed from the points.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import side_by_side
from simulated_people import choices_for, people

ROOT = Path(__file__).parents[1]
TASKS = ("loading", "csp_lda", "eegnet", "dbconformer")
LARGE = {"channels": 22, "subjects": 8, "trials": 120, "window": 4, "workers": 1}
"""For workers: enough to do that starting them is not all there is to see."""
BASE = {"channels": 22, "subjects": 4, "trials": 40, "window": 2, "workers": 1}
LEAST = {"channels": 8, "subjects": 3, "trials": 8, "window": 1, "workers": 1}
N_CPUS = os.cpu_count() or 1
AXES: dict[str, tuple[int, ...]] = {
    "channels": (8, 16, 32, 64),
    "subjects": (3, 6, 12),
    "trials": (20, 40, 80, 160),
    "window": (1, 2, 4, 8),
    "workers": tuple(2**i for i in range(N_CPUS.bit_length())),
}
WORDS = {"trials": "trials of each subject", "window": "length of the window"}
COLOURS = {
    "loading": "#777777", "csp_lda": "#0072b2", "eegnet": "#d55e00", "dbconformer": "#009e73"
}  # fmt: skip
SFREQ, EPOCHS, EVERY = 250.0, 2, 0.05  # Hz, of nets, s


class Point(NamedTuple):
    """What one process took."""

    axis: str
    value: int
    task: str
    seconds: float
    mib: float


def main() -> None:
    """A line per point, then figures with their sentences."""
    options = options_of().parse_args()
    if options.point:
        sys.stdout.write(json.dumps(one_point(json.loads(options.point))) + "\n")
        return
    axes = {name: AXES[name][: options.values] for name in options.axes}
    with tempfile.TemporaryDirectory() as folder:
        points = measure_all(axes, options.tasks, Path(folder), options)
    found = {
        "name": "growth",
        "figures": draw_all(points, options.out),
        "points": [point._asdict() for point in points],
        "machine": side_by_side.machine(),
    }
    for figure in found["figures"]:
        print(f"{figure['file']}: {figure['sentence']}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def options_of() -> ArgumentParser:
    """The options."""
    parser = side_by_side.parser(__doc__, rounds=1)
    parser.add_argument("--axes", type=_words, default=tuple(AXES), help="of " + ", ".join(AXES))
    parser.add_argument("--tasks", type=_words, default=TASKS, help="of " + ", ".join(TASKS))
    parser.add_argument("--values", type=int, help="the first few of each axis, for a trial")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "figures")
    parser.add_argument("--point", help="what one process does; for the script itself")
    return parser


def _words(text: str) -> tuple[str, ...]:
    words = tuple(text.split(","))
    if set(words) - {*AXES, *TASKS}:
        raise ValueError(f"{text} is none of these")
    return words


def sizes(axis: str, value: int) -> dict[str, int]:
    """All sizes where one is varied."""
    return {**(LARGE if axis == "workers" else BASE), axis: value}


def measure_all(
    axes: Mapping[str, Sequence[int]], tasks: Sequence[str], folder: Path, options: Namespace
) -> list[Point]:
    """Every point, medians over rounds."""
    wanted = [(axis, value) for axis, values in axes.items() for value in values]
    cards = {json.dumps(sizes(*one)): str(card_of(sizes(*one), folder)) for one in wanted}
    least = {**LEAST, "card": str(card_of(LEAST, folder))}
    environment = {**os.environ, "NEURODECODE_CACHE": str(folder / "cache")}
    ask({"simulate": sorted({*cards.values(), least["card"]})}, environment)
    points = []
    for axis, value in wanted:
        for task in tasks:
            if axis == "workers" and task == "loading":
                continue  # it takes none
            size = sizes(axis, value)
            facts = {
                "least": least, "size": {**size, "card": cards[json.dumps(size)]},
                "task": task, "threads": options.threads,
            }  # fmt: skip
            taken = [ask(facts, environment) for _ in range(options.rounds)]
            seconds, mib = (statistics.median(column) for column in zip(*taken, strict=True))
            points.append(Point(axis, value, task, seconds, mib))
            print(f"{axis} {value}, {task}: {seconds:.2f} s, {mib:.0f} MiB", flush=True)
    return points


def card_of(size: Mapping[str, int], folder: Path) -> Path:
    """A card of people of these sizes."""
    place = folder / "-".join(str(size[name]) for name in BASE if name != "workers")
    place.mkdir(exist_ok=True)
    return people(
        place, n_subjects=size["subjects"], n_sessions=1, n_trials=size["trials"], sfreq=SFREQ,
        ch_names=_cap(size["channels"]), duration=max(1.0, float(size["window"])),
    )  # fmt: skip


def _cap(n_chans: int) -> list[str]:
    """Names of channels, spread over the head."""
    import mne

    names = mne.channels.make_standard_montage("biosemi64").ch_names
    return [names[i * len(names) // n_chans] for i in range(n_chans)]


def ask(facts: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds and MiB of a point, in a process of its own that is watched."""
    call = [sys.executable, __file__, "--point", json.dumps(facts)]
    with subprocess.Popen(call, env=dict(environment), stdout=subprocess.PIPE, text=True) as child:
        most = 0
        while child.poll() is None:
            most = max(most, held(child.pid))
            time.sleep(EVERY)
        assert child.stdout is not None
        text = child.stdout.read()
    if child.returncode:
        raise SystemExit(f"{facts} failed")
    seconds, before = json.loads(text.splitlines()[-1])
    return seconds, max(0.0, (most - before) / 2**20)


def held(pid: int) -> int:
    """Memory of a process and those that it started, bytes; shared pages count once (Linux)."""
    import psutil

    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # it has just ended
        pass
    return total


def one_point(facts: Mapping[str, Any]) -> tuple[float, int]:
    """Seconds of a task, and bytes held before it."""
    if "simulate" in facts:
        return simulate(facts["simulate"])
    import torch

    torch.set_num_threads(facts["threads"])
    perform(facts["task"], facts["least"])
    before = held(os.getpid())
    return perform(facts["task"], facts["size"]), before


def perform(task: str, size: Mapping[str, Any]) -> float:
    """Seconds of a task on people of these sizes."""
    from neurodecode.experiment.data import load_epochs
    from neurodecode.experiment.fit import fit

    fitted = task != "loading"
    choices = choices_for(
        Path(size["card"]), task if fitted else "csp_lda",
        **{
            "data.cache": fitted, "epochs.window": [0.0, float(size["window"])],
            "train.epochs": EPOCHS,
        },
    )  # fmt: skip
    start = [time.perf_counter()]
    if not fitted:
        load_epochs(choices)
        return time.perf_counter() - start[0]
    with tempfile.TemporaryDirectory() as runs:
        fit(
            choices, Path(runs), n_workers=size["workers"],
            on_plan=lambda plan, run: start.append(time.perf_counter()),
        )  # fmt: skip
    return time.perf_counter() - start[-1]


def simulate(cards: Sequence[str]) -> tuple[float, int]:
    """Simulate everybody, so that all find them on disk."""
    from neurodecode.recordings.cards import find_card, open_dataset

    start = time.perf_counter()
    for card in cards:
        dataset = open_dataset(find_card(card, paradigm="mi"))
        for subject in dataset.subject_list:
            dataset.get_data([subject])
    return time.perf_counter() - start, 0


def draw_all(points: Sequence[Point], out: Path) -> list[dict[str, str]]:
    """A figure for each axis, with its sentence."""
    out.mkdir(parents=True, exist_ok=True)
    figures = []
    for axis in dict.fromkeys(point.axis for point in points):
        file = out / f"growth_{axis}.svg"
        mine = [point for point in points if point.axis == axis]
        draw(axis, mine, file)
        name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
        alt = f"Time and memory against {WORDS.get(axis, axis)}"
        figures.append({"file": str(name), "alt": alt, "sentence": sentence(axis, mine)})
    return figures


def draw(axis: str, points: Sequence[Point], file: Path) -> None:
    """Time and memory against what was varied, on logarithmic axes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter, NullLocator

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": axis, "font.size": 9}):
        figure = Figure(figsize=(9, 2.8), layout="constrained", facecolor="white")
        for panel, (measure, label) in zip(
            figure.subplots(1, 2), (("seconds", "time, s"), ("mib", "memory, MiB")), strict=True
        ):
            for task in dict.fromkeys(point.task for point in points):
                x, y = curve(points, task, measure)
                panel.loglog(
                    x, y, "o-", color=COLOURS[task], linewidth=1.2, markersize=3.5,
                    label=f"{task}: {slope(x, y):.2f}",
                )  # fmt: skip
            ticks = sorted({point.value for point in points})
            panel.set_xticks(ticks, [str(tick) for tick in ticks])
            panel.xaxis.set_minor_locator(NullLocator())
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter(FormatStrFormatter("%g"))
            panel.yaxis.set_minor_formatter(NullFormatter())
            words = WORDS.get(axis, axis) + (", s" if axis == "window" else "")
            panel.set(xlabel=words, ylabel=label)
            panel.spines[["top", "right"]].set_visible(False)
            panel.legend(
                title="slope", frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1)
            )
        figure.savefig(file, metadata={"Date": None})
    lines = file.read_text(encoding="utf-8").splitlines()  # matplotlib leaves spaces at their ends
    file.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")


def curve(points: Sequence[Point], task: str, measure: str) -> tuple[list[float], list[float]]:
    """What was varied, and what it took; at least one of its unit in a thousand, for the log."""
    mine = [point for point in points if point.task == task]
    return [p.value for p in mine], [max(1e-3, getattr(p, measure)) for p in mine]


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Power by which y grows with x: of a line through their logarithms."""
    if len(set(x)) < 2:
        return math.nan
    logs = [[math.log(value) for value in values] for values in (x, y)]
    return statistics.linear_regression(*logs).slope


def sentence(axis: str, points: Sequence[Point]) -> str:
    """What a figure says: how many times as much the largest takes as the smallest."""
    said = []
    for measure in ("seconds", "mib"):
        parts = []
        for task in dict.fromkeys(point.task for point in points):
            x, y = curve(points, task, measure)
            parts.append(f"{y[-1] / y[0]:.2g} ({task})")
        said.append(", ".join(parts))
    low, high = min(p.value for p in points), max(p.value for p in points)
    unit = " s" if axis == "window" else ""
    return (
        f"{high / low:g} times the {WORDS.get(axis, axis)}, {high}{unit} instead of {low}{unit}: "
        f"{said[0]} times the time, and {said[1]} times the memory beyond that of the libraries."
    )


if __name__ == "__main__":
    main()
