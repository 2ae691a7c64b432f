"""Simulated EEG a second, beside MNE's `simulate_raw`.

python benchmarks/simulator.py [--rounds N] [--json FILE]

One person, one session of 100 trials, 22 channels at 250 Hz, nothing kept on disk. Theirs does what
its own functions are for, in the same head of spheres, for as long a recording: as many rhythms
(band-passed noise at a dipole) through `simulate_raw`, a 1/f background of 120 dipoles by its
covariance and the noise of sensors through `add_noise`, blinks through `add_eog`. It knows no
trials, no muscles, and no difference between people.

Then seconds for 9 people with 2 such sessions each: simulated, and found on disk.
"""

import os
import tempfile
import time
import warnings

import mne
import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt
from side_by_side import finish, parser, side_by_side

from neurodecode.recordings import head
from neurodecode.recordings.brain import RHYTHMS
from neurodecode.recordings.people import N_DIPOLES
from neurodecode.recordings.synthetic import Synthetic

SFREQ = 250.0
Array = NDArray[np.float64]


def main() -> None:
    """The ratio, and what all of it takes."""
    options = parser(__doc__).parse_args()
    mne.set_log_level("ERROR")
    warnings.filterwarnings("ignore", "No average EEG reference")  # ours has none either
    person = Synthetic(n_subjects=1, n_sessions=1, n_trials=100, sfreq=SFREQ, cache=False)
    raw = person.get_data([1])[1]["0"]["0"]
    whole = everybody()
    finish(
        side_by_side(
            lambda: person.get_data([1]),
            lambda: by_mne(raw),
            name="simulator",
            what="simulated EEG of 22 channels at 250 Hz, in a second, against MNE's simulate_raw",
            rounds=options.rounds,
            unit="s/s",
            amount=raw.n_times / SFREQ,
            details=whole,
        ),
        options.json,
    )
    print(f"9 people: {whole['new']:.1f} s, then {whole['kept']:.1f} s from the disk")


def by_mne(like: mne.io.BaseRaw, seed: int = 0) -> mne.io.BaseRaw:
    """A recording as long as another, with its channels, by MNE's own functions."""
    rng = np.random.default_rng(seed)
    info, n_times = head.cap_info(like.ch_names, SFREQ), like.n_times
    sphere = mne.make_sphere_model("auto", "auto", info)
    points, outward = dipoles(rng)
    forward = forward_of(points, outward, sphere, info)
    gains = forward["sol"]["data"]
    # About 20 uV under the electrode that sees a rhythm best.
    moments = rhythms(n_times, rng) * (20e-6 / np.abs(gains).max(axis=0))[:, None]
    vertices = [np.arange(len(points))]
    stc = mne.VolSourceEstimate(moments, vertices, tmin=0, tstep=1 / SFREQ)
    raw = mne.simulation.simulate_raw(info, stc, forward=forward)
    background = forward_of(*scattered(rng), sphere, info)["sol"]["data"].astype(float)
    covariance = background @ background.T
    covariance *= 9e-6**2 / np.mean(np.diag(covariance))
    cov = mne.Covariance(covariance, info.ch_names, [], [], 1)
    red = [1.0, -0.95]  # a pole near 0 Hz, so that power falls with frequency
    mne.simulation.add_noise(raw, cov, iir_filter=red, random_state=seed)
    own = mne.Covariance(np.full(len(info.ch_names), 1.3e-6**2), info.ch_names, [], [], 1)
    mne.simulation.add_noise(raw, own, random_state=seed)
    mne.simulation.add_eog(raw, random_state=seed)
    return raw


def dipoles(rng: np.random.Generator) -> tuple[Array, Array]:
    """Places (n_rhythms, 3), m, and directions of as many rhythms as our people have."""
    points = np.stack([head.below(source.under, depth=source.depth) for source in RHYTHMS])
    outward = points - head.centre() + 0.01 * rng.standard_normal(points.shape)
    return points, outward / np.linalg.norm(outward, axis=1, keepdims=True)


def scattered(rng: np.random.Generator) -> tuple[Array, Array]:
    """Places and directions of the background, as many as ours has."""
    outward = rng.standard_normal((N_DIPOLES, 3))
    outward[:, 2] = np.abs(outward[:, 2])
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    radius = np.linalg.norm(head.below("Cz", depth=0.2) - head.centre())
    return head.centre() + radius * outward, outward


def forward_of(
    points: Array, directions: Array, sphere: mne.bem.ConductorModel, info: mne.Info
) -> mne.Forward:
    """What dipoles of fixed direction add to each electrode."""
    places = {"rr": points, "nn": directions}
    sources = mne.setup_volume_source_space(pos=places, sphere=sphere)
    forward = mne.make_forward_solution(info, None, sources, sphere, meg=False, mindist=0)
    return mne.convert_forward_solution(forward, surf_ori=True, force_fixed=True)


def rhythms(n_times: int, rng: np.random.Generator) -> Array:
    """Noise about each rhythm's frequency, (n_rhythms, n_times), of unit variance."""
    courses = []
    for source in RHYTHMS:
        band = (source.freq - 2 * source.width, source.freq + 2 * source.width)
        x = sosfilt(butter(2, band, "band", fs=SFREQ, output="sos"), rng.standard_normal(n_times))
        courses.append(x / x.std())
    return np.array(courses)


def everybody() -> dict[str, float]:
    """Seconds for 9 people with 2 sessions of 100 trials: simulated, and found on disk."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NEURODECODE_CACHE"] = folder
        for word in ("new", "kept"):
            start = time.perf_counter()
            dataset = Synthetic(n_subjects=9, n_sessions=2, n_trials=100, sfreq=SFREQ)
            for subject in dataset.subject_list:
                dataset.get_data([subject])
            seconds[word] = time.perf_counter() - start
    return seconds


if __name__ == "__main__":
    main()
