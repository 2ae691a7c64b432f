"""Latency of a single window: onnxruntime, as the live loop takes it, against torch.

`python benchmarks/inference.py [--net dbconformer] [--threads 1] [--rounds 9] [--json FILE]`. Nets
have 22 channels x 1000 samples and random weights. They are asked by turns, one window at a time,
by torch as it is ("eager"), by its recording ("traced", which torch calls deprecated), and by
onnxruntime, from microvolts to logits; the ratio is of one net, eager to onnxruntime.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch
from side_by_side import compare, finish, parser

from neurodecode.core.spec import TaskSpec
from neurodecode.export.onnx import write_onnx
from neurodecode.export.program import INPUT, Microvolts, program_of
from neurodecode.models import MODELS

ARGUMENTS = ("--net dbconformer --only", "--net eegnet --only", "--net eegconformer --only")
NETS = ("dbconformer", "eegnet", "shallow", "eegconformer", "spiking_eegnet", "spiking_dbconformer")
CAP = (
    "Fz", "FC3", "FC1", "FCz", "FC2", "FC4", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "CP3",
    "CP1", "CPz", "CP2", "CP4", "P1", "Pz", "P2", "POz",
)  # fmt: skip
N_TIMES = 1000
N_CALLS, WARM_UP = 60, 10

Ask = Callable[[np.ndarray], object]


def main() -> None:
    """A line for each net, and the ratio of one."""
    options = parser(__doc__, threads=1)
    options.add_argument("--net", default="dbconformer", choices=NETS, help="whose ratio it is")
    options.add_argument("--only", action="store_true", help="leave the other nets out")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{given.threads} threads; ms a window, median and p99")
    print(
        f"{'net':<22}{'eager':>16}{'traced':>16}{'onnxruntime':>16}  times as fast  logits differ"
    )
    rows = {}
    for name in (given.net,) if given.only else (given.net, *(n for n in NETS if n != given.net)):
        rows[name] = measure(name, rounds=given.rounds, threads=given.threads)
    chosen = rows[given.net]
    details = {
        "net": given.net,
        "threads": given.threads,
        "nets": {n: r[1] for n, r in rows.items()},
    }
    finish(
        compare(
            chosen[0]["onnx"], chosen[0]["eager"], name="inference", unit="ms",
            what=f"One window of {given.net}, 22 x {N_TIMES}: onnxruntime against eager torch.",
            details=details,
        ),
        given.json,
    )  # fmt: skip


def measure(
    name: str, *, rounds: int, threads: int
) -> tuple[dict[str, list[float]], dict[str, object]]:
    """Median of each round, s, by who is asked; and figures of all calls, printed."""
    spec = TaskSpec(ch_names=CAP, n_times=N_TIMES, sfreq=250.0, n_outputs=2)
    torch.manual_seed(0)
    net = MODELS.get(name)(spec).eval()
    mean, scale = np.zeros((22, 1), np.float32), np.full((22, 1), 10.0, np.float32)
    asks = {"eager": eager(net, mean, scale), "onnx": onnx(net, mean, scale, threads)}
    if not name.startswith("spiking"):  # a recording of them has a node for every sample
        asks["traced"] = traced(net, mean, scale)
    windows = 10 * np.random.default_rng(0).standard_normal((16, 1, 22, N_TIMES), dtype=np.float32)
    off = max(float(np.abs(asks["onnx"](x) - asks["eager"](x)).max()) for x in windows)
    calls: dict[str, list[float]] = {who: [] for who in asks}
    medians: dict[str, list[float]] = {who: [] for who in asks}
    for turn in range(rounds):
        for who in list(asks) if turn % 2 == 0 else reversed(list(asks)):
            taken = timed(asks[who], windows)
            calls[who] += taken
            medians[who].append(statistics.median(taken))
    figures: dict[str, object] = {"logits_differ": off}
    line = f"{name:<22}"
    for who in ("eager", "traced", "onnx"):
        if who not in calls:
            line += f"{'-':>16}"
            continue
        p50, p99 = np.percentile(1e3 * np.array(calls[who]), [50, 99])
        figures[who] = {"p50_ms": float(p50), "p99_ms": float(p99)}
        line += f"{p50:>9.2f}{p99:>7.2f}"
    ratio = statistics.median(e / o for e, o in zip(medians["eager"], medians["onnx"], strict=True))
    print(f"{line}{ratio:>15.2f}{off:>15.0e}", flush=True)
    return medians, {**figures, "ratio": ratio}


def timed(ask: Ask, windows: np.ndarray) -> list[float]:
    """Seconds of calls in a row, after some that do not count."""
    taken = []
    for i in range(WARM_UP + N_CALLS):
        start = time.perf_counter()
        ask(windows[i % len(windows)])
        taken.append(time.perf_counter() - start)
    return taken[WARM_UP:]


def eager(net: torch.nn.Module, mean: np.ndarray, scale: np.ndarray) -> Ask:
    """Torch as it is: what the live loop does where onnxruntime is not taken."""

    def ask(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.from_numpy((x - mean) / scale)).numpy()

    return ask


def traced(net: torch.nn.Module, mean: np.ndarray, scale: np.ndarray) -> Ask:
    """A frozen recording of the net."""
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # deprecated
        whole = Microvolts(net, mean, scale).eval()
        graph = torch.jit.freeze(
            torch.jit.trace(whole, torch.zeros(1, len(mean), N_TIMES), check_trace=False)
        )

    def ask(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return graph(torch.from_numpy(x))[0].numpy()

    return ask


def onnx(net: torch.nn.Module, mean: np.ndarray, scale: np.ndarray, threads: int) -> Ask:
    """onnxruntime, with so many threads."""
    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads = threads
    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        write_onnx(program_of(net, mean, scale, n_times=N_TIMES), path, {})
        session = onnxruntime.InferenceSession(
            path.read_bytes(), how, providers=["CPUExecutionProvider"]
        )
    return lambda x: session.run(["logits"], {INPUT: x})[0]


if __name__ == "__main__":
    main()
