"""What a decoder says of a stream is what the offline pipeline says of the recording.

A recording is played by `neurodecode replay` in one process and heard by the loop in another; the
decisions are compared with those of the rooms that `fit` is made of, on the recording itself.
"""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
import torch

from neurodecode.alignment import ALIGNERS
from neurodecode.alignment.align import align_start, align_step
from neurodecode.epochs.windows import cut_windows
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.fit import fit
from neurodecode.preprocess.chain import preprocess
from neurodecode.recordings.synthetic import Synthetic
from neurodecode.results.store import Run
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

CHUNKS = [1, 7, 10, 32]
MODELS = ["csp_lda", "ts_lr", "dbconformer", "spiking_lmu"]
CARD = """name = "toy"
description = "Simulated, for a test"
paradigm = "mi"
licence = "Apache-2.0, made by this package"
events = ["left_hand", "right_hand"]
simulated = true

[source]
kind = "synthetic"
arguments = { paradigm = "imagery", n_subjects = 3, n_sessions = 1, n_trials = 8, sfreq = 128.0, \
duration = 2.0, ch_names = ["FC3", "FC4", "C3", "Cz", "C4", "CP3", "CP4", "Pz"] }
"""
HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Four decoders for live use, with a notch, an average reference and alignment."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "toy.toml").write_text(CARD, encoding="utf-8")
    flags = {
        "data.dataset": [str(folder / "toy.toml")],
        "evaluation.online_ready": True,
        "evaluation.align": ["euclidean:causal"],
        "preprocess.reference": "average",
        "preprocess.notch": 50.0,
        "train.epochs": 2,
        "models": MODELS,
    }
    return fit(resolve("mi", flags=flags), folder / "runs", n_workers=1)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty seconds of the person whom the decoders have not seen, as a file."""
    names = ["FC3", "FC4", "C3", "Cz", "C4", "CP3", "CP4", "Pz"]
    data = Synthetic(
        n_subjects=3, n_sessions=1, n_trials=8, sfreq=128.0, duration=2.0, ch_names=names
    )
    raw = next(iter(next(iter(data.get_data([1])[1].values())).values()))
    path = tmp_path_factory.mktemp("recording") / "toy_raw.fif"
    raw.pick(names).save(path, fmt="double", verbose="ERROR")
    return path


@pytest.fixture(scope="module")
def heard(run: Run, recording: Path) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Lines of the loop of each decoder, for chunks of each size."""
    session = str(uuid.uuid4())
    cli = [sys.executable, "-c", "from neurodecode.cli import main; main()"]
    play = [*cli, "replay", str(recording), "--speed", "6", "--wait", "--session-id", session]
    players = [
        subprocess.Popen(
            [*play, "--chunk", str(chunk), "--name", f"chunk-{chunk}"],
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for chunk in CHUNKS
    ]
    try:
        listen = [sys.executable, str(HERE / "toy_hearing.py"), str(run.path), session]
        listen += [",".join(f"chunk-{chunk}" for chunk in CHUNKS), ",".join(MODELS)]
        done = subprocess.run(
            listen, env=ENVIRONMENT, capture_output=True, text=True, timeout=200, check=False
        )
    finally:
        for player in players:
            player.kill()
            player.wait()
    assert done.returncode == 0, done.stderr[-2000:]
    said: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(done.stdout)
    return said


def offline(run: Run, model: str, raw: mne.io.BaseRaw, samples: list[int]) -> np.ndarray:
    """Probabilities of the windows that end with these samples."""
    choices = resolve("mi", pipeline=run.path / "config.toml")
    row = next(r for r in run.rows() if r.model == model and r.fold == "subject=1")
    decoder = checkpoint.load(run.checkpoint_file(row.key))
    n_times = decoder.spec_.n_times
    x = preprocess(raw, **choices["preprocess"]).get_data()
    starts = np.array(samples) + 1 - n_times
    aligner, state, aligned = ALIGNERS.get("euclidean")(), align_start(), []
    for i, window in enumerate(cut_windows(x, starts, n_times=n_times, sfreq=128.0)):
        new = min(1.0, (starts[i] - starts[i - 1]) / n_times) if i else 1.0
        ready, state = align_step(window, state, aligner, new=new)
        aligned.append(ready)
    windows = np.stack(aligned)
    if model == "spiking_lmu":
        return streamed(decoder, windows, starts)
    return np.asarray(decoder.predict_proba(windows))


def streamed(decoder: Decoder, windows: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """What a streaming net says that hears the first window, and what is new in each after it."""
    net, hop = decoder.model_, int(starts[1] - starts[0])
    said, heard, steps = [], None, np.zeros((0, 2))
    for i, window in enumerate(windows):
        part = window if i == 0 else window[:, -hop:]
        lengths = net.time.lengths if i == 0 else [net.hop] * (hop // net.hop)
        with torch.inference_mode():
            x = torch.from_numpy(decoder.normalized(part[None]))
            logits, heard = net.advance(x, lengths, heard)
        steps = np.concatenate([steps, logits[:, 0].double().numpy()])[-len(net.time.lengths) :]
        p = np.exp(steps.mean(axis=0))
        said.append(p / p.sum())
    return np.array(said)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("chunk", CHUNKS)
def test_decisions_on_a_played_recording_are_those_of_the_offline_pipeline(
    run: Run,
    recording: Path,
    heard: dict[str, dict[str, list[dict[str, Any]]]],
    chunk: int,
    model: str,
) -> None:
    raw = mne.io.read_raw_fif(recording, preload=True, verbose="ERROR")
    lines = heard[f"chunk-{chunk}"][model]
    decisions = [line for line in lines if line["kind"] == "decision"]
    valid = [line for line in decisions if line["status"] in ("ok", "abstain")]
    assert len(valid) > 100, lines[-3:]
    # The loop begins somewhere in the recording, and hears it to its end.
    first = raw.n_times - lines[-1]["n_samples"]
    part = raw.crop(first / 128.0, None, verbose="ERROR")
    wanted = offline(run, model, part, [line["sample"] for line in valid])
    np.testing.assert_allclose([line["proba"] for line in valid], wanted, atol=1e-6)
