"""Real blinks go, real alpha stays, real muscle on clean EEG goes; where recordings are present."""

from pathlib import Path

import mne
import numpy as np
import pytest
from scipy.signal import resample_poly

from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.apply import clean, fit_cleaner, without_drift
from neurodecode.artifacts.recording import brain_channels
from neurodecode.evaluation import denoising as measure
from neurodecode.recordings.montage import RENAMED, add_positions
from neurodecode.recordings.read import read_raw

CLEAN = ["art", "asr", "atat", "regression", "tinyconv"]


@pytest.fixture(scope="module")
def sample(real: Path) -> mne.io.BaseRaw:
    return read_raw(real / "eeglab-sample" / "eeglab_data.set").crop(0, 90)


@pytest.mark.parametrize("name", CLEAN)
def test_blinks_go_and_alpha_stays(name: str, sample: mne.io.BaseRaw) -> None:
    names = brain_channels(sample)
    before = without_drift(sample).get_data(names)
    after = without_drift(clean(fit_cleaner(CLEANERS.get(name)(), [sample]), sample))
    x = after.get_data(names)
    forehead = names.index("Fpz")
    slow = mne.filter.filter_data(before[forehead], 128.0, 0.5, 8.0, verbose="ERROR")
    peaks, _ = mne.preprocessing.peak_finder(slow, 80e-6, verbose="ERROR")
    assert len(peaks) > 5
    left = np.abs(x[forehead, peaks]).mean() / np.abs(before[forehead, peaks]).mean()
    assert left < {"asr": 0.95, "regression": 0.8}.get(name, 0.5)
    back = [names.index(n) for n in ("O1", "Oz", "O2", "P3", "Pz", "P4")]
    assert abs(measure.band_change(x[back], before[back], 128.0, (8, 13))) < 0.5


@pytest.mark.parametrize("name", ["art", "atat", "tinyconv"])
def test_real_muscle_goes(name: str, real: Path) -> None:
    """On clean EEG of eegmat, muscle of the forearm laid over both temples at -5 dB."""
    data = np.load(real / "eegmat" / "Subject00.npz")
    names = [str(n) for n in data["ch_names"]][:19]
    brain = 1e-6 * (data["rest"] * data["rest_scale_uV"][:, None])[:19].astype(float)
    arm = np.load(sorted((real / "myo-emg").glob("*.npz"))[0])["data"].astype(float)
    arm = mne.filter.filter_data(arm, 200.0, 20.0, None, verbose="ERROR")
    course = resample_poly(arm, 5, 8, axis=1)[:2, : brain.shape[1]]
    course[:, 500:2000] = 0
    pattern = np.zeros((19, 2))
    for i, near in enumerate((("F7", "T3", "T7"), ("F8", "T4", "T8"))):
        for n in near:
            if n in names:
                pattern[names.index(n), i] = 1.0
    artifact = pattern @ course
    dirty = measure.contaminated(artifact, 125.0)
    artifact *= measure.rms(brain[:, dirty]) / measure.rms(artifact[:, dirty]) * 10 ** (5 / 20)
    info = mne.create_info([RENAMED.get(name, name) for name in names], 125.0, "eeg")
    raw = add_positions(mne.io.RawArray(brain + artifact, info, verbose="ERROR"))
    out = without_drift(clean(fit_cleaner(CLEANERS.get(name)(), [raw]), raw)).get_data()
    truth = without_drift(mne.io.RawArray(brain, info, verbose="ERROR")).get_data()
    noisy = without_drift(raw).get_data()
    assert measure.rrmse(out[:, dirty], truth[:, dirty]) < 0.6 * measure.rrmse(
        noisy[:, dirty], truth[:, dirty]
    )
