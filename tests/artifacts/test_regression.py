"""Eyes go, the rest stays: with EOG channels, with a forehead, and with neither."""

import logging

import mne
import numpy as np
import pytest

from neurodecode.artifacts.apply import without_drift
from neurodecode.artifacts.regression import Regression
from neurodecode.core.errors import SignalError
from neurodecode.recordings.synthetic import Synthetic, Truth

SFREQ = 128.0


def truth(*, artifacts: bool = True) -> Truth:
    people = Synthetic(
        paradigm="state", n_subjects=1, n_sessions=1, n_trials=3, cache=False, artifacts=artifacts
    )
    return people.truth(1)["0"]["0"]


def smooth(x: np.ndarray, like: mne.io.BaseRaw) -> np.ndarray:
    return np.asarray(without_drift(mne.io.RawArray(x, like.info)).get_data())


def relative_error(y: np.ndarray, x: np.ndarray) -> float:
    return float(np.sqrt(np.mean((y - x) ** 2) / np.mean(x**2)))


def test_the_forehead_stands_in_for_eog_and_is_not_wiped_out() -> None:
    people = truth()
    raw = people.raw()
    clean = smooth(people.clean.astype(float), raw)
    noisy = without_drift(raw)
    cleaner = Regression().fit([noisy])
    y = cleaner.transform(noisy).get_data()
    assert cleaner.predictors_ == ("Fp1+Fp2", "F7-F8")
    assert relative_error(y, clean) < 0.6 * relative_error(noisy.get_data(), clean)
    still = np.abs(people.artifact).max(axis=0) < 1e-6
    assert relative_error(y[:, still], noisy.get_data()[:, still]) < 0.15
    # Above the band of the eyes the forehead keeps what it has.
    fast = [mne.filter.filter_data(z[:2], SFREQ, 8, 40, verbose="ERROR") for z in (y, clean)]
    assert 0.8 < fast[0].std() / fast[1].std() < 1.1


def test_without_blinks_nothing_is_removed(caplog: pytest.LogCaptureFixture) -> None:
    raw = without_drift(truth(artifacts=False).raw())
    with caplog.at_level(logging.WARNING):
        y = Regression().fit([raw]).transform(raw).get_data()
    assert "no blinks" in caplog.text
    np.testing.assert_array_equal(y, raw.get_data())


def test_eog_channels_are_used_and_left_as_they_are() -> None:
    rng = np.random.default_rng(0)
    eyes = 1e-4 * rng.standard_normal((2, 4000))
    brain = 1e-5 * rng.standard_normal((3, 4000))
    mixing = np.array([[0.5, 0.1], [0.2, -0.3], [0.05, 0.0]])
    # The third is the difference of the others, as a bipolar channel kept beside its parts is.
    eog = np.concatenate([eyes, eyes[:1] - eyes[1:]])
    info = mne.create_info(["C3", "Cz", "Pz", "V", "H", "D"], SFREQ, ["eeg"] * 3 + ["eog"] * 3)
    raw = mne.io.RawArray(np.concatenate([brain + mixing @ eyes, eog]), info)
    raw = raw.copy()
    cleaner = Regression().fit([raw])
    y = cleaner.transform(raw)
    assert cleaner.predictors_ == ("V", "H")
    np.testing.assert_allclose(cleaner.coef_[:3], mixing, atol=0.01)
    assert relative_error(y.get_data("eeg"), brain) < 0.1
    np.testing.assert_array_equal(y.get_data("eog"), raw.get_data("eog"))


def test_without_eog_and_forehead_it_says_what_would_do() -> None:
    info = mne.create_info(["C3", "Cz", "C4"], SFREQ, "eeg")
    raw = mne.io.RawArray(1e-5 * np.random.default_rng(0).standard_normal((3, 4000)), info)
    with pytest.raises(SignalError, match="no channel on the forehead .*Fp1.*type .* to eog"):
        Regression().fit([raw])
    with pytest.raises(SignalError, match="3.9 s of signal .* needs 10 s"):
        Regression().fit([raw.crop(0, 3.9)])


def test_a_predictor_that_tells_of_nothing_is_no_division_by_zero() -> None:
    raw = without_drift(truth().raw())
    cleaner = Regression().fit([raw])
    cleaner.weights_[1] = cleaner.limit_[1] = 0.0  # as where looks are no larger than the brain
    x = raw.get_data(list(cleaner.ch_names_))
    y, _ = cleaner.step(x, cleaner.start())
    assert np.isfinite(y).all()
