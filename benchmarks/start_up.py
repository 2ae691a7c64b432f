"""Seconds until the command line answers: help, a run done before, a first training step.

    python benchmarks/start_up.py [--rounds N] [--json FILE]

Each is a new process, timed from its start, on simulated recordings in a folder of its own; what a
user waits for on an idle machine. The first training step is that of a net on windows that are in
the cache, in the process that was started (``--jobs 1``). In turn, round by round; median and
quartiles.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side_by_side import machine, parser, quartiles

ARGUMENTS = ()  # there is no peer, so no ratio: `neurodecode bench speed` passes it over

FIT = ["fit", "--paradigm", "mi", "--jobs", "1"]
FINISHED = [*FIT, "--model", "csp_lda,dbconformer", "--set", "train.epochs=1"]
FIRST_STEP = """
import os, sys
from importlib.abc import MetaPathFinder

class Ends(MetaPathFinder):
    # The first step of an optimizer is the end, put there before whatever trains is imported.
    def find_spec(self, name, path, target=None):
        if name == "lightning.pytorch":
            sys.meta_path.remove(self)
            import torch
            for optimizer in (torch.optim.AdamW, torch.optim.Adam):
                optimizer.step = lambda *_, **__: os._exit(77)

sys.meta_path.insert(0, Ends())
from neurodecode.cli import main
main()
"""


def seconds(call: list[str], folder: Path, *, expect: int = 0) -> float:
    """How long a process takes until it ends with that status."""
    start = time.perf_counter()
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
    passed = time.perf_counter() - start
    if done.returncode != expect:
        sys.exit(f"{' '.join(call[-6:])} ended with {done.returncode}:\n{done.stderr}")
    return passed


def main() -> None:
    """Measure, print and write."""
    options = parser(__doc__, rounds=7).parse_args()
    python = sys.executable
    command = [python, "-c", "from neurodecode.cli import main; main()"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["NEURODECODE_CACHE"] = str(folder / "cache")

        def first_step(model: str) -> float:
            # Windows are in the cache; of the run there is nothing yet.
            call = [python, "-c", FIRST_STEP, *FIT, "--model", model, "--runs", "stopped"]
            return seconds(call, folder, expect=77)

        seconds([*command, *FINISHED], folder)
        cases = {
            "--help": lambda: seconds([*command, "--help"], folder),
            "list models": lambda: seconds([*command, "list", "models"], folder),
            "a run that is finished": lambda: seconds([*command, *FINISHED], folder),
            "first step of dbconformer": lambda: first_step("dbconformer"),
            "first step of eegnet": lambda: first_step("eegnet"),
        }
        for case in cases.values():
            case()
        found: dict[str, list[float]] = {case: [] for case in cases}
        for _ in range(options.rounds):
            for case, measure in cases.items():
                found[case].append(measure())
    shown = {}
    for case, values in found.items():
        low, middle, high = quartiles(values)
        shown[case] = {"seconds": middle, "low": low, "high": high, "rounds": len(values)}
        print(f"{case}: {middle:.2f} s ({low:.2f} to {high:.2f}, {len(values)} rounds)")
    if options.json:
        document = {"name": "start_up", "unit": "s", "found": shown, "machine": machine()}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
