import numpy as np
import pytest
from scipy.signal import sos2zpk, sosfreqz

from neurodecode.artifacts.asr_calibration import weighting
from neurodecode.core.errors import SignalError
from neurodecode.signal.yulewalk import yulewalk_sos

FREQS = [1.0, 2.5, 8.0, 14.5, 25.0, 60.0]


@pytest.mark.parametrize(
    ("sfreq", "gains"),
    [  # of the coefficients that EEGLAB's clean_rawdata carries, made by MATLAB's yulewalk
        (200.0, [1.463294131625312, 1.2440424645188024, 0.016296665901987226,
                 0.7685047187682648, 1.0139806349618983, 2.0072930228417953]),
        (256.0, [1.3385401018967182, 1.2072119938735233, 0.33435264874051135,
                 0.7559495311746461, 1.0138935099739272, 2.0099196321293378]),
    ],
)  # fmt: skip
def test_gains_are_those_of_matlab(sfreq: float, gains: list[float]) -> None:
    _, response = sosfreqz(weighting(sfreq), FREQS, fs=sfreq)
    np.testing.assert_allclose(np.abs(response), gains, rtol=1e-9)


@pytest.mark.parametrize("sfreq", [40.0, 64.0, 80.0, 81.0, 82.0, 125.0, 250.0, 1000.0, 2048.0])
def test_the_filter_is_stable_at_any_rate(sfreq: float) -> None:
    _, poles, _ = sos2zpk(weighting(sfreq))
    assert np.abs(poles).max() < 1


def test_gains_follow_the_drawing() -> None:
    sos = yulewalk_sos(10, [0, 20, 30, 50], [1, 1, 0.1, 0.1], sfreq=100)
    _, response = sosfreqz(sos, [5, 15, 40], fs=100)
    np.testing.assert_allclose(np.abs(response), [1, 1, 0.1], atol=0.1)


@pytest.mark.parametrize("freqs", [[0, 20, 10, 50], [1, 20, 30, 50], [0, 20, 30, 40]])
def test_frequencies_must_rise_from_zero_to_half_the_rate(freqs: list[float]) -> None:
    with pytest.raises(SignalError, match="rise from 0 to 50 Hz"):
        yulewalk_sos(8, freqs, [1, 1, 0, 0], sfreq=100)
