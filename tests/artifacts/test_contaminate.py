"""Added artifacts have the ratio that was asked for, are anybody's, and never go unmentioned."""

from typing import Any

import mne
import numpy as np
import pytest

from neurodecode.artifacts.apply import without_drift
from neurodecode.artifacts.contaminate import Origin, contaminate, in_words
from neurodecode.core.errors import ConfigError, SignalError

NAMES = ["Fp1", "Fpz", "C3", "Cz", "C4", "T3", "Oz"]
ORIGIN = Origin("set", "1", "0", "0")
HOW: dict[str, Any] = {"snr": -3.0, "snr_convention": "power"}


@pytest.fixture
def raw() -> mne.io.RawArray:
    """A minute of noise of 10 uV on large offsets."""
    rng = np.random.default_rng(0)
    info = mne.create_info([*NAMES, "VEOG"], 128.0, ["eeg"] * len(NAMES) + ["eog"])
    x = 1e-5 * rng.standard_normal((len(NAMES) + 1, 7680)) + 1e-2 * rng.standard_normal((8, 1))
    return mne.io.RawArray(x, info)


def added(raw: mne.io.RawArray, **how: Any) -> np.ndarray:
    origin = how.pop("origin", ORIGIN)
    out = contaminate(raw, NAMES, origin, **{"kind": "eog", **HOW, **how})
    return out.get_data() - raw.get_data()


@pytest.mark.parametrize("kind", ["eog", "emg"])
@pytest.mark.parametrize(("convention", "decibels"), [("power", -3.0), ("eegdenoisenet", -6.0)])
def test_the_ratio_is_that_asked_for(
    raw: mne.io.RawArray, kind: str, convention: str, decibels: float
) -> None:
    artifact = added(raw, kind=kind, snr_convention=convention)[: len(NAMES)]
    present = artifact.any(axis=0)
    assert 0.28 < present.mean() < 0.40
    signal = without_drift(raw).get_data("eeg")
    ratio = np.mean(signal[:, present] ** 2) / np.mean(artifact[:, present] ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(decibels, abs=0.02)


def test_both_are_eyes_and_muscles_each(raw: mne.io.RawArray) -> None:
    both = added(raw, kind="both")
    np.testing.assert_allclose(both, added(raw) + added(raw, kind="emg"), atol=1e-15)
    eyes, muscles = added(raw), added(raw, kind="emg")
    assert eyes[:2].std() > 3 * eyes[6].std()  # forehead and back of the head
    assert muscles[5].std() > 3 * muscles[6].std()  # the left temple
    assert eyes[7].std() > 2 * eyes[0].std()  # an electrode beside the eye
    assert not muscles[7].any()


def test_the_same_recording_gets_the_same_and_every_other_one_its_own(
    raw: mne.io.RawArray,
) -> None:
    def n_patterns(x: np.ndarray) -> int:
        return int(np.linalg.matrix_rank(x[: len(NAMES)], rtol=1e-6))

    first = added(raw)
    np.testing.assert_array_equal(first, added(raw))
    run, session, subject = (
        added(raw, origin=ORIGIN._replace(**{name: "7"})) for name in ("run", "session", "subject")
    )
    for other in (run, session, subject, added(raw, seed=1)):
        assert abs(np.corrcoef(first[0], other[0])[0, 1]) < 0.5
    both = [n_patterns(np.hstack([first, other])) for other in (run, session, subject)]
    assert both == [2, 4, 4]  # the cap stays on between runs, and is put on anew in a session


def test_the_recording_that_was_given_stays(raw: mne.io.RawArray) -> None:
    before = raw.get_data().copy()
    added(raw)
    np.testing.assert_array_equal(raw.get_data(), before)


def test_what_cannot_be_simulated_is_said(raw: mne.io.RawArray) -> None:
    with pytest.raises(SignalError, match=r"no EEG 1, X9\. Leave"):
        contaminate(
            raw.copy().rename_channels({"Cz": "X9", "Oz": "EEG 1"}),
            ["EEG 1", "X9", "C3"], ORIGIN, kind="eog", **HOW,
        )  # fmt: skip
    with pytest.raises(ConfigError, match="share = 0.95 is not in"):
        added(raw, share=0.95)
    with pytest.raises(SignalError, match="60 Hz or more"):
        contaminate(raw.copy().resample(50.0), NAMES, ORIGIN, kind="both", **HOW)


def test_words_say_all() -> None:
    assert in_words({}) == ""
    options = {"kind": "both", "share": 0.3, **HOW}
    assert in_words(options) == "eyes and muscles, -3 dB (power), 30% of the time"
