"""Our ASR beside other implementations, on the same signal at the same cutoff.

python benchmarks/asr_parity.py

Peers are used where they can be imported: eegprep (EEGLAB's clean_rawdata in Python), meegkit and
mne_denoise. Each is given microvolts, calibrates and cleans one simulated recording (32 channels,
250 Hz, 120 s) with muscle bursts and blinks. Columns: relative difference from our output in the
whole signal and in the samples without artifacts, share of the variance that was removed, error
relative to the clean signal before and after, and seconds.
"""

import time
from collections.abc import Callable

import mne
import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from neurodecode.artifacts.asr import Asr
from neurodecode.recordings.synthetic import Synthetic

Array = NDArray[np.float64]
CUTOFFS = (5.0, 20.0)
WINDOW = 0.5  # s
HOP = 32  # samples


def simulate(n_chans: int = 32, sfreq: float = 250.0, duration: float = 120.0) -> tuple[Array, ...]:
    """Clean signal, artifacts (n_chans, n_times), uV, and where they are."""
    cap = mne.channels.make_standard_montage("biosemi64").ch_names[:: 64 // n_chans][:n_chans]
    people = Synthetic(n_subjects=1, n_sessions=1, n_trials=30, sfreq=sfreq, ch_names=cap)
    clean = people.truth(1)["0"]["0"].clean[:, : round(duration * sfreq)] * 1e6
    clean = sosfiltfilt(butter(2, 0.5, "highpass", fs=sfreq, output="sos"), clean, axis=1)
    rng = np.random.default_rng(0)
    n = clean.shape[1]
    muscle = sosfiltfilt(butter(4, (20, 100), "band", fs=sfreq, output="sos"), rng.normal(size=n))
    artifacts, there = np.zeros_like(clean), np.zeros(n, dtype=bool)
    for at in range(round(20 * sfreq), n - round(2 * sfreq), round(5 * sfreq)):
        length = round(0.8 * sfreq)
        shape = np.hanning(length)
        if (at // round(5 * sfreq)) % 2:
            shape = shape * muscle[at : at + length] / muscle.std()
        pattern = rng.normal(size=(len(clean), 1)) * (rng.random((len(clean), 1)) < 0.3)
        artifacts[:, at : at + length] += 150 * pattern * shape
        there[at : at + length] = True
    return clean, artifacts, there


def ours(x: Array, sfreq: float, cutoff: float) -> Array:
    """Neurodecode."""
    info = mne.create_info(len(x), sfreq, "eeg")
    raw = mne.io.RawArray(x * 1e-6, info, verbose="ERROR")
    cleaner = Asr(cutoff=cutoff, window=WINDOW, hop=HOP / sfreq).fit([raw])
    return np.asarray(cleaner.transform(raw).get_data() * 1e6)


def eegprep(x: Array, sfreq: float, cutoff: float) -> Array:
    """EEGLAB's clean_rawdata, ported by its authors, in one split."""
    return _eegprep(x, sfreq, cutoff, memory=100_000)


def eegprep_splits(x: Array, sfreq: float, cutoff: float) -> Array:
    """The same with its usual memory, so in splits, each with judgements of its own."""
    return _eegprep(x, sfreq, cutoff, memory=64)


def _eegprep(x: Array, sfreq: float, cutoff: float, *, memory: int) -> Array:
    from eegprep.plugins.clean_rawdata.asr_calibrate import asr_calibrate
    from eegprep.plugins.clean_rawdata.asr_process import asr_process
    from eegprep.plugins.clean_rawdata.clean_windows import clean_windows

    eeg = {"data": x.copy(), "srate": sfreq, "nbchan": len(x), "pnts": x.shape[1], "event": [],
           "trials": 1, "xmin": 0.0, "xmax": (x.shape[1] - 1) / sfreq, "icaact": []}  # fmt: skip
    calm, _ = clean_windows(eeg, 0.075, (-3.5, 5.5), 1.0)
    state = asr_calibrate(np.array(calm["data"]), sfreq, cutoff=cutoff)
    n = int(np.floor(WINDOW * sfreq / 2 + 0.5))
    longer = np.concatenate([x, 2 * x[:, -1:] - x[:, -2 : -n - 2 : -1]], axis=1)
    y, _ = asr_process(longer, sfreq, state, WINDOW, WINDOW / 2, HOP, 0.66, memory)
    return np.asarray(y[:, : x.shape[1]])


def meegkit_whole(x: Array, sfreq: float, cutoff: float) -> Array:
    """meegkit, given the recording at once."""
    from meegkit.asr import ASR

    cleaner = ASR(sfreq=sfreq, cutoff=cutoff, method="euclid")
    cleaner.fit(x)
    return np.asarray(cleaner.transform(x))


def meegkit_chunks(x: Array, sfreq: float, cutoff: float) -> Array:
    """meegkit, given half a second at a time."""
    from meegkit.asr import ASR

    cleaner = ASR(sfreq=sfreq, cutoff=cutoff, method="euclid")
    cleaner.fit(x)
    n = round(0.5 * sfreq)
    chunks = [cleaner.transform(x[:, i : i + n]) for i in range(0, x.shape[1], n)]
    return np.concatenate(chunks, axis=1)


def mne_denoise(x: Array, sfreq: float, cutoff: float) -> Array:
    """mne_denoise."""
    from mne_denoise.asr import ASR

    cleaner = ASR(sfreq=sfreq, cutoff=cutoff, stepsize=HOP, verbose="ERROR")
    return np.asarray(cleaner.fit_transform(x))


def main() -> None:
    """Print one line per implementation and cutoff."""
    sfreq = 250.0
    clean, artifacts, there = simulate(sfreq=sfreq)
    x = clean + artifacts
    norm = np.linalg.norm
    runs: list[Callable[[Array, float, float], Array]] = [
        ours, eegprep, eegprep_splits, mne_denoise, meegkit_chunks, meegkit_whole
    ]  # fmt: skip
    print(f"error before: {norm(x - clean) / norm(clean):.3f}")
    print(
        "cutoff  implementation   diff   diff, no artifact  removed  error  error, no artifact  s"
    )
    for cutoff in CUTOFFS:
        reference = ours(x, sfreq, cutoff)
        for run in runs:
            start = time.perf_counter()
            try:
                y = run(x, sfreq, cutoff)
            except ImportError as error:
                print(f"{cutoff:6g}  {run.__name__:15s}  missing ({error})")
                continue
            seconds = time.perf_counter() - start
            calm = ~there
            print(
                f"{cutoff:6g}  {run.__name__:15s}  {norm(y - reference) / norm(reference):.1e}  "
                f"{norm((y - reference)[:, calm]) / norm(reference[:, calm]):.1e}  "
                f"{norm(x - y) ** 2 / norm(x) ** 2:.4f}  {norm(y - clean) / norm(clean):.3f}  "
                f"{norm((y - clean)[:, calm]) / norm(clean[:, calm]):.4f}  {seconds:.1f}"
            )


if __name__ == "__main__":
    main()
