"""Latency of the live loop: `python benchmarks/online_latency.py [--seconds 60] [--json FILE]`.

Three processes, as in use: one plays a simulated recording by LSL in chunks that are pushed when
their last sample is due, `neurodecode online` decides ten times a second (causal filter, causal
Euclidean alignment, decoder), and this one receives the decisions. A latency is the time at which
a decision is received here less that of the newest sample in its window; on one machine all have
one clock. The engine's own time is what the loop spends on a decision. Chunks divide the time
between decisions, so that no decision waits for the rest of a chunk.

Where mne_lsl is installed, a plain loop stands beside: its StreamLSL with a callback, a band-pass
filter and CSP + LDA every 100 ms, started by the same stream and heard by the same process.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

CLI = [sys.executable, "-c", "from neurodecode.cli import main; main()"]
CARD = """name = "latency"
description = "Simulated, for the benchmark of latency"
paradigm = "mi"
licence = "Apache-2.0, made by this package"
events = ["left_hand", "right_hand"]
simulated = true

[source]
kind = "synthetic"
arguments = {{ paradigm = "imagery", n_subjects = 2, n_sessions = 1, n_trials = {n_trials}, \
sfreq = {sfreq}, ch_names = {ch_names} }}
"""
CAP = {
    22: [
        "Fz", "FC3", "FC1", "FCz", "FC2", "FC4", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "CP3",
        "CP1", "CPz", "CP2", "CP4", "P1", "Pz", "P2", "POz",
    ],
    64: [
        "Fp1", "Fpz", "Fp2", "AF7", "AF3", "AFz", "AF4", "AF8", "F7", "F5", "F3", "F1", "Fz", "F2",
        "F4", "F6", "F8", "FT7", "FC5", "FC3", "FC1", "FCz", "FC2", "FC4", "FC6", "FT8", "T7", "C5",
        "C3", "C1", "Cz", "C2", "C4", "C6", "T8", "TP7", "CP5", "CP3", "CP1", "CPz", "CP2", "CP4",
        "CP6", "TP8", "P7", "P5", "P3", "P1", "Pz", "P2", "P4", "P6", "P8", "PO7", "PO3", "POz",
        "PO4", "PO8", "O1", "Oz", "O2", "T9", "T10", "Iz",
    ],
}  # fmt: skip
CASES = (  # channels, Hz of the stream, Hz of the decoder, samples in a chunk, decoder
    (22, 250.0, None, 5, "dbconformer"),
    (22, 250.0, None, 1, "dbconformer"),
    (22, 250.0, None, 5, "csp_lda"),
    (64, 1000.0, 250.0, 20, "dbconformer"),
    (64, 1000.0, None, 20, "dbconformer"),
)
WARM_UP = 3.0  # s after the first valid decision that are not counted


def main() -> None:
    """A line per case, and a histogram of the engine's time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cases", help="numbers, such as 1,4; by default all")
    parser.add_argument("--folder", type=Path, help="keeps what is fitted for the next time")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [int(i) - 1 for i in options.cases.split(",")] if options.cases else range(len(CASES))
    print(f"{os.cpu_count()} cores, {options.seconds:g} s each; ms from the newest sample on")
    columns = f"{'p50':>7}{'p95':>7}{'p99':>7}{'max':>8}{'engine p50':>12}{'p99':>6}  lost"
    print(f"{'case':<52}{'asked by':<12}{columns}")
    found = []
    for i in wanted:
        row = measure(*CASES[i], folder, options.seconds)
        found.append(row)
        show(row)
    if find_spec("mne_lsl"):
        row = measure_peer(folder, options.seconds)
        found.append(row)
        show(row)
    else:
        print("no mne_lsl: its loop does not stand beside")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def show(row: dict[str, Any]) -> None:
    """One line, and the histogram."""
    p50, p95, p99 = np.percentile(row["latency_ms"], [50, 95, 99])
    line = f"{row['case']:<52}{row['runtime']:<12}"
    line += f"{p50:>7.1f}{p95:>7.1f}{p99:>7.1f}{max(row['latency_ms']):>8.1f}"
    if row["engine_ms"]:
        e50, e99 = np.percentile(row["engine_ms"], [50, 99])
        line += f"{e50:>12.1f}{e99:>6.1f}"
    else:
        line += f"{'-':>12}{'-':>6}"
    print(f"{line}  {row['n_lost']} of {row['n_samples']}", flush=True)
    if row["engine_ms"]:
        edges = [0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 50, np.inf]
        counts, _ = np.histogram(row["engine_ms"], edges)
        last = np.flatnonzero(counts)[-1]
        for low, high, n in zip(edges[: last + 1], edges[1:], counts, strict=False):
            if n:
                bar = "#" * max(1, round(50 * n / counts.max()))
                print(f"    engine {low:>4g} to {high:>4g} ms {n:>5} {bar}")


def measure(
    n_chans: int,
    sfreq: float,
    resample: float | None,
    chunk: int,
    model: str,
    folder: Path,
    seconds: float,
) -> dict[str, Any]:
    """Latencies of decisions received here, ms, and the engine's times."""
    rate = resample or sfreq
    name = f"{model}, {n_chans} channels x {sfreq:g} Hz, chunks of {chunk}"
    name += f", decoder at {rate:g} Hz" if resample else ""
    card = card_of(folder, n_chans, sfreq, n_trials=6)
    runs = folder / f"runs-{n_chans}-{sfreq:g}-{rate:g}-{model}"
    fit(card, runs, model, resample)
    run = max(runs.glob("*/meta.json"), key=lambda path: path.stat().st_mtime).parent.name
    session = str(uuid.uuid4())
    player = replay(card_of(folder, n_chans, sfreq, n_trials=40), chunk, session)
    loop = subprocess.Popen(
        [*CLI, "online", run, "--runs", str(runs), "--json", "--session-id", session,
         "--duration", str(seconds + 30)],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        latency = receive(session, "neurodecode", seconds)
    finally:
        for process in (loop, player):
            process.send_signal(signal.SIGTERM)
        said, _ = loop.communicate(timeout=30)
        player.wait(timeout=30)
    lines = [json.loads(line) for line in said.splitlines()]
    valid = [
        line for line in lines if line["kind"] == "decision" and line["status"] in ("ok", "abstain")
    ]
    status = [line for line in lines if line["kind"] == "status"][-1]
    said_of = next((line["text"] for line in lines if line.get("what") == "runtime"), "")
    return {
        "case": name,
        "runtime": "onnxruntime" if "in onnxruntime:" in said_of else "torch" if said_of else "-",
        "latency_ms": latency,
        "engine_ms": [line["engine_ms"] for line in valid[int(10 * WARM_UP) :]],
        "n_lost": status["n_lost"],
        "n_samples": status["n_samples"],
    }


def card_of(folder: Path, n_chans: int, sfreq: float, *, n_trials: int) -> Path:
    """A card of simulated recordings."""
    path = folder / f"latency-{n_chans}-{sfreq:g}-{n_trials}.toml"
    path.write_text(
        CARD.format(n_trials=n_trials, sfreq=sfreq, ch_names=json.dumps(CAP[n_chans])),
        encoding="utf-8",
    )
    return path


def fit(card: Path, runs: Path, model: str, resample: float | None) -> None:
    """A decoder; how good it is does not matter for its latency."""
    command = [*CLI, "fit", "--dataset", str(card), "--runs", str(runs), "--online-ready",
               "--model", model, "--align", "euclidean:causal"]  # fmt: skip
    command += ["--set", "train.epochs=1"] if model == "dbconformer" else []
    command += ["--set", f"preprocess.resample={resample}"] if resample else []
    subprocess.run(command, check=True, capture_output=True)


def replay(card: Path, chunk: int, session: str, *, speed: float = 1.0) -> subprocess.Popen[str]:
    """The player, which begins when somebody listens."""
    command = [*CLI, "replay", "--dataset", str(card), "--subject", "1", "--chunk", str(chunk),
               "--session-id", session, "--wait", "--loop", "--speed", str(speed)]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def receive(session: str, name: str, seconds: float) -> list[float]:
    """Latencies of valid decisions, ms, as a process of its own receives them."""
    command = [sys.executable, __file__, "--receive", session, name, str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return list(json.loads(done.stdout))


def listen(session: str, name: str, seconds: float) -> list[float]:
    """Latencies of valid decisions, ms: from the time of the newest sample to their arrival."""
    import pylsl

    from neurodecode.online.lsl import clock, configure

    configure(session=session)
    (info,) = pylsl.resolve_byprop("name", name, 1, 120.0)
    inlet = pylsl.StreamInlet(info, recover=False)
    inlet.open_stream()
    labels = [
        node.child_value("label") for node in channels_of(inlet.info(5.0).desc().child("channels"))
    ]
    newest, status = labels.index("newest"), labels.index("status")
    latency, until = [], None
    while until is None or time.monotonic() < until:
        sample, _ = inlet.pull_sample(timeout=1.0)
        now = clock()
        if sample is None or sample[status] not in (0, 1):
            continue
        if until is None:
            begun = time.monotonic() + WARM_UP
            until = begun + seconds
        if time.monotonic() >= begun:
            latency.append(1e3 * (now - sample[newest]))
    return latency


def channels_of(node: Any) -> list[Any]:
    """Descriptions of the channels of a stream."""
    found, channel = [], node.child("channel")
    while not channel.empty():
        found.append(channel)
        channel = channel.next_sibling("channel")
    return found


def measure_peer(folder: Path, seconds: float) -> dict[str, Any]:
    """The same of a plain loop of mne_lsl and scikit-learn."""
    session = str(uuid.uuid4())
    player = replay(card_of(folder, 22, 250.0, n_trials=40), 5, session)
    loop = subprocess.Popen([sys.executable, __file__, "--peer", session, str(seconds + 20)])
    try:
        latency = receive(session, "peer", seconds)
    finally:
        for process in (loop, player):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
    return {
        "case": "mne_lsl + csp_lda, 22 channels x 250 Hz, chunks of 5",
        "runtime": "-",
        "latency_ms": latency,
        "engine_ms": [],
        "n_lost": 0,
        "n_samples": 0,
    }


def peer(session: str, seconds: float) -> None:
    """StreamLSL, filtered, polled; CSP + LDA on its buffer every 100 ms, as its examples do."""
    from mne import set_log_level
    from mne.decoding import CSP
    from mne_lsl.lsl import StreamInfo, StreamOutlet, resolve_streams, set_config_content
    from mne_lsl.stream import StreamLSL
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline

    from neurodecode.online.lsl.library import THIS_MACHINE

    set_config_content(f"{THIS_MACHINE}[lab]\nSessionID = {session}\n[log]\nlevel = -1\n")
    rng = np.random.default_rng(0)
    model = make_pipeline(CSP(4), LinearDiscriminantAnalysis())
    set_log_level("ERROR")
    model.fit(rng.standard_normal((20, 22, 1000)), np.arange(20) % 2)
    resolve_streams(timeout=60.0, name="neurodecode-replay", minimum=1)
    stream = StreamLSL(bufsize=4.0, name="neurodecode-replay").connect(acquisition_delay=0.001)
    stream.filter(8.0, 32.0, picks="all")
    info = StreamInfo("peer", "Decision", 4, 0.0, "float64", "peer")
    info.set_channel_names(["p_0", "p_1", "newest", "status"])
    outlet = StreamOutlet(info)
    end, last = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        x, stamps = stream.get_data(picks="all")
        if stamps[0] == 0.0 or stamps[-1] - last < 0.0999:
            time.sleep(0.001)
            continue
        last = stamps[-1]
        p = model.predict_proba(x[None])[0]
        outlet.push_sample(np.array([*p, last, 0.0]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], float(sys.argv[3]))
    elif sys.argv[1:2] == ["--receive"]:
        print(json.dumps(listen(sys.argv[2], sys.argv[3], float(sys.argv[4]))))
    else:
        main()
