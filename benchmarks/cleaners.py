"""Speed of cleaners: `OMP_NUM_THREADS=1 python benchmarks/cleaners.py`.

64 channels at 250 Hz, simulated, a minute with eyes and muscles, one thread. "x" is seconds of
recording cleaned in a second: offline in one piece, and live in chunks of 40 ms.
"""

import time

import mne
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from neurodecode.artifacts import CLEANERS, StreamingCleaner
from neurodecode.artifacts.apply import without_drift
from neurodecode.artifacts.contaminate import Origin, contaminate
from neurodecode.experiment.bench import MONTAGES
from neurodecode.recordings.synthetic import Synthetic

SFREQ, CHUNK = 250.0, 10
NAMES = ("regression", "ica", "asr", "zapline", "tinyconv", "art", "atat")


def main() -> None:
    """A line per cleaner."""
    mne.set_log_level("ERROR")
    torch.set_num_threads(1)
    people = Synthetic(
        n_subjects=1, n_sessions=1, n_trials=10, sfreq=SFREQ, ch_names=MONTAGES["64"],
        artifacts=False, cache=False,
    )  # fmt: skip
    clean = people.truth(1)["0"]["0"].raw().crop(0, 60, include_tmax=False)
    who = Origin("speed", "1", "0", "0")
    noisy = contaminate(
        clean, clean.ch_names, who, kind="both", snr=-3.0, snr_convention="power", share=0.3
    )
    raw = without_drift(noisy)
    x = raw.get_data()
    print(f"{'cleaner':<12} {'fit s':>7} {'offline x':>10} {'live x':>8} {'delay s':>8}")
    for name in NAMES:
        options = {"line": 50.0} if name == "zapline" else {}
        with threadpool_limits(1):
            start = time.perf_counter()
            cleaner = CLEANERS.get(name)(**options).fit([raw])
            fit = time.perf_counter() - start
            offline = min(_seconds(lambda c=cleaner: c.transform(raw)) for _ in range(3))
            live, delay = np.nan, np.nan
            if isinstance(cleaner, StreamingCleaner):
                live, delay = _seconds(lambda c=cleaner: _stream(c, x)), cleaner.delay
        length = raw.n_times / SFREQ
        print(f"{name:<12} {fit:7.1f} {length / offline:10.0f} {length / live:8.0f} {delay:8.3f}")


def _seconds(call) -> float:  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _stream(cleaner: StreamingCleaner, x: np.ndarray) -> None:
    state = cleaner.start()
    for i in range(0, x.shape[1], CHUNK):
        _, state = cleaner.step(x[:, i : i + CHUNK], state)
    cleaner.finish(state)


if __name__ == "__main__":
    main()
