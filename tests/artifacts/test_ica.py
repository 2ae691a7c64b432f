"""Components are found in the rank that there is, named, and taken out for good."""

import logging
from typing import Any

import mne
import numpy as np
import pytest

from neurodecode.artifacts import extra
from neurodecode.artifacts.apply import without_drift
from neurodecode.artifacts.ica import IndependentComponents, _check_length
from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.recordings.synthetic import Synthetic

NAMES = ["Fp1", "Fp2", "C3", "C4", "Pz", "O1", "O2"]


@pytest.fixture(scope="module")
def parts() -> tuple[mne.io.BaseRaw, np.ndarray]:
    """A recording with blinks, and the same without, on few channels so that it is quick."""
    people = Synthetic(
        paradigm="state", n_subjects=1, n_sessions=1, n_trials=2, cache=False, ch_names=NAMES
    )
    truth = people.truth(1)["0"]["0"]
    raw = truth.raw()
    clean = without_drift(mne.io.RawArray(truth.clean.astype(float), raw.info)).get_data()
    return without_drift(raw), clean


def relative_error(y: np.ndarray, x: np.ndarray) -> float:
    return float(np.sqrt(np.mean((y - x) ** 2) / np.mean(x**2)))


def test_scores_find_the_blinks(parts: tuple[mne.io.BaseRaw, np.ndarray]) -> None:
    raw, clean = parts
    ica = IndependentComponents(labels="scores", kinds=("eye",)).fit([raw])
    y = ica.transform(raw).get_data()
    assert ica.counts_["eye"] >= 1
    assert {ica.labels_[i] for i in ica.removed_} == {"eye"}
    assert ica.maps_.shape == (7, 6)  # the average reference costs one
    assert relative_error(y, clean) < 0.85 * relative_error(raw.get_data(), clean)
    # The recording keeps its reference: a blink's mean over channels goes too.
    blink = np.abs(raw.get_data(["Fp1"])[0]) > 8e-5
    left, there = (np.abs(z[:, blink].mean(axis=0)).mean() for z in (y, raw.get_data()))
    assert left < 0.8 * there


def test_iclabel_names_the_components(parts: tuple[mne.io.BaseRaw, np.ndarray]) -> None:
    pytest.importorskip("mne_icalabel")
    ica = IndependentComponents(labels="iclabel", threshold=0.0).fit([parts[0]])
    assert ica.labelled_by_ == "iclabel"
    assert "eye" in ica.counts_
    assert set(ica.counts_) <= set(ica.kinds)
    assert ((ica.scores_ > 1 / 7) & (ica.scores_ <= 1)).all()
    assert not IndependentComponents(labels="iclabel", threshold=1.0).fit([parts[0]]).removed_


def test_two_recordings_are_fitted_together(parts: tuple[mne.io.BaseRaw, np.ndarray]) -> None:
    half = parts[0].copy().crop(0, 20), parts[0].copy().crop(20)
    both = IndependentComponents(labels="scores").fit(half).projection_
    whole = IndependentComponents(labels="scores").fit([parts[0]]).projection_
    assert np.abs(both - whole).max() < 0.2


def test_too_little_is_said(
    parts: tuple[mne.io.BaseRaw, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    raw = parts[0]
    with pytest.raises(SignalError, match="1.0 s of signal are too few for ICA"):
        IndependentComponents(labels="scores").fit([raw.copy().crop(0, 1)])
    with pytest.raises(SignalError, match=r"6 s of signal are too few for 14 .*n_components"):
        _check_length(round(6 * raw.info["sfreq"]), 14, raw.info["sfreq"])
    with pytest.raises(SignalError, match="2 channels, and needs 3"):
        IndependentComponents(labels="scores").fit([raw.copy().pick(["C3", "C4"])])
    short = raw.copy().crop(0, 5.5)
    assert len(IndependentComponents(labels="scores").fit([short]).labels_) < 6
    with caplog.at_level(logging.WARNING):
        IndependentComponents(labels="scores", n_components=6).fit([short])
    assert "few for 6 independent components" in caplog.text


def test_iclabel_is_not_asked_below_its_rate(
    parts: tuple[mne.io.BaseRaw, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its net gives up on signals below 100 Hz, in a traceback."""
    monkeypatch.setattr("neurodecode.artifacts.ica.has", lambda module: True)
    slow = parts[0].copy().resample(80)
    assert IndependentComponents(n_components=3).fit([slow]).labelled_by_ == "scores"
    if extra.has("mne_icalabel"):
        with pytest.raises(SignalError, match="come at 80 Hz"):
            IndependentComponents(labels="iclabel").fit([slow])


def test_iclabel_needs_positions_and_its_library(
    parts: tuple[mne.io.BaseRaw, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: Any = parts[0].copy().set_montage(None)
    if extra.has("mne_icalabel"):
        with pytest.raises(SignalError, match="not all EEG with a position"):
            IndependentComponents(labels="iclabel").fit([lost])
    monkeypatch.setattr(extra, "has", lambda module: False)
    with pytest.raises(ConfigError, match=r'mne-icalabel.*pip install -c constraints.txt "\.\['):
        IndependentComponents(labels="iclabel").fit([parts[0]])
