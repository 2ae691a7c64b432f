"""Memory of the live loop: `python benchmarks/online_memory.py [--minutes 30] [--speed 20]`.

A simulated recording is played faster than real time, over and over, to `neurodecode online` with
recording on; the resident memory of the loop's process is read from /proc every two seconds. Flat
means that the last third of the run holds no more than the second third did.
"""

import argparse
import json
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
from online_latency import CLI, card_of, fit, replay


def main() -> None:
    """Memory by third of the run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="of signal")
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--model", default="dbconformer")
    parser.add_argument("--folder", type=Path, help="keeps what is fitted for the next time")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    runs = folder / f"runs-22-250-250-{options.model}"
    fit(card_of(folder, 22, 250.0, n_trials=6), runs, options.model, None)
    run = max(runs.glob("*/meta.json"), key=lambda path: path.stat().st_mtime).parent.name
    session = str(uuid.uuid4())
    player = replay(card_of(folder, 22, 250.0, n_trials=40), 25, session, speed=options.speed)
    file = folder / f"memory-{session}.xdf"
    loop = subprocess.Popen(
        [*CLI, "online", run, "--runs", str(runs), "--json", "--session-id", session,
         "--record", str(file)],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert loop.stdout is not None
    for line in loop.stdout:  # until decisions come
        if json.loads(line).get("status") in ("ok", "abstain"):
            break
    found, samples, begun = [], 0, time.monotonic()
    last = begun
    for line in loop.stdout:
        now, said = time.monotonic(), json.loads(line)
        if said["kind"] == "status":
            samples, lost = said["n_samples"], said["n_lost"]
        if now - last >= 2.0:
            last = now
            found.append(resident(loop.pid))
        if now - begun >= 60 * options.minutes / options.speed:
            break
    for process in (loop, player):
        process.send_signal(signal.SIGTERM)
    loop.communicate(timeout=60)
    player.wait(timeout=60)
    file.unlink(missing_ok=True)
    thirds = [part.mean() for part in np.array_split(np.array(found), 3)]
    print(
        f"{samples / 250 / 60:.1f} minutes of signal in {time.monotonic() - begun:.0f} s, "
        f"{lost} samples lost"
    )
    print(f"resident memory, MiB, mean of each third: {', '.join(f'{m:.1f}' for m in thirds)}")
    print(f"last third over the second: {thirds[2] - thirds[1]:+.2f} MiB; most {max(found):.1f}")


def resident(pid: int) -> float:
    """Resident memory of a process, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no memory")


if __name__ == "__main__":
    main()
