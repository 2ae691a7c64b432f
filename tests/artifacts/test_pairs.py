from pathlib import Path

import mne
import numpy as np
import pytest

from neurodecode.artifacts import pairs
from neurodecode.artifacts.pairs import CLASSES, bank_of, separate
from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.recordings.read import read_raw

NAMES = ["Fp1", "Fp2", "C3", "C4", "P3", "P4", "O1", "O2"]


def recording(
    seed: int = 0, *, names: list[str] = NAMES, duration: float = 30.0
) -> mne.io.RawArray:
    """Independent sparse sources on a cap, in volts."""
    rng = np.random.default_rng(seed)
    sources = rng.laplace(size=(len(names), round(128 * duration)))
    x = 1e-5 * rng.standard_normal((len(names), len(names))) @ sources
    raw = mne.io.RawArray(x, mne.create_info(names, 128.0, "eeg"), verbose="ERROR")
    return raw.set_montage("standard_1020", verbose="ERROR")


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What ICLabel is made to say: two brains, of which one is not sure; an eye; two muscles."""
    rows = np.zeros((7, 7))
    said = {0: 0.9, 1: 0.5}
    for i, p in said.items():
        rows[i, 0], rows[i, 6] = p, 1 - p
    for i, kind in {2: "eye", 3: "muscle", 4: "muscle", 5: "line", 6: "other"}.items():
        rows[i, CLASSES.index(kind)] = 1.0

    def labelled(raw: mne.io.BaseRaw, seed: int) -> tuple[mne.preprocessing.ICA, np.ndarray]:
        ica = mne.preprocessing.ICA(7, max_iter=20, verbose="ERROR")
        return ica.fit(raw, verbose="ERROR"), rows

    monkeypatch.setattr(pairs, "_labelled", labelled)
    return rows


@pytest.mark.filterwarnings("ignore:FastICA did not converge")
def test_every_class_is_what_its_components_project(labels: np.ndarray) -> None:
    raw = recording()
    before = raw.get_data().copy()
    parts = separate(raw, NAMES, brain=0.8, seed=0, sfreq=128.0)
    ranks = {kind: np.linalg.matrix_rank(x, tol=1e-9) for kind, x in parts.items()}
    assert ranks == {"brain": 1, "muscle": 2, "eye": 1, "line": 1, "other": 1}
    both = separate(raw, NAMES, brain=0.4, seed=0, sfreq=128.0)
    ready = pairs._ready(raw, NAMES, 128.0).get_data()
    ready -= ready.mean(axis=1, keepdims=True)
    assert sum(both.values()) == pytest.approx(ready, abs=1e-9)  # nothing is lost or added
    assert np.array_equal(raw.get_data(), before)


@pytest.mark.filterwarnings("ignore:FastICA did not converge")
def test_a_bank_has_common_channels_in_microvolts_with_their_owners(labels: np.ndarray) -> None:
    second = recording(1).drop_channels(["P3"])
    third = recording(2, names=[*NAMES, "Cz"]).rename_channels({"Cz": "nowhere"})
    labels[6:] = 0
    shorter = labels[:6]
    pairs_of = [("a", "a/1", recording()), ("b", "b/1", second), ("b", "b/2", third)]
    with pytest.MonkeyPatch.context() as patch:

        def labelled(raw: mne.io.BaseRaw, seed: int) -> tuple[mne.preprocessing.ICA, np.ndarray]:
            ica = mne.preprocessing.ICA(6, max_iter=20, verbose="ERROR")
            return ica.fit(raw, verbose="ERROR"), shorter

        patch.setattr(pairs, "_labelled", labelled)
        bank = bank_of(pairs_of, sfreq=256.0)
    for sources in (bank.brains, bank.eyes, bank.muscles):
        assert [(s.subject, s.recording) for s in sources] == [p[:2] for p in pairs_of]
        assert all(s.courses.shape == (7, 30 * 256) for s in sources)
        assert all(0.1 < s.courses.std() < 100 for s in sources)
    assert bank.directions is not None
    assert np.linalg.norm(bank.directions, axis=1) == pytest.approx(np.ones(7))


def test_what_cannot_be_taken_apart_is_said() -> None:
    with pytest.raises(SignalError, match=r"lasts 10.0 s"):
        bank_of([("a", "a/1", recording(duration=10.01))])
    with pytest.raises(SignalError, match="2 channels with a position are in all 2"):
        bank_of([("a", "1", recording()), ("b", "2", recording(names=NAMES[:2]))])
    with pytest.raises(ConfigError, match="probability"):
        bank_of([("a", "1", recording())], brain=80)


def test_blinks_of_a_real_recording_are_found(real: Path) -> None:
    pytest.importorskip("mne_icalabel")
    raw = read_raw(real / "eeglab-sample" / "eeglab_data.set").load_data().crop(0, 30)
    raw.pick(["Fpz", "F3", "Fz", "F4", "C3", "Cz", "C4", "P3", "Pz", "P4", "O1", "O2"])
    bank = bank_of([("1", "1/1", raw)], sfreq=128.0)
    frontal = [0, 1, 3]
    eyes, brain = bank.eyes[0].courses, bank.brains[0].courses
    assert eyes[frontal].std() > 2 * np.delete(eyes, frontal, axis=0).std()
    assert 1 < brain.std() < 50  # microvolts
    assert np.linalg.matrix_rank(brain, tol=1e-2) < len(brain)  # the known fault
