"""The measures say what their names promise, on signals where the answer is plain."""

import numpy as np
import pytest

from neurodecode.evaluation import denoising as measure

RNG = np.random.default_rng(0)
CLEAN = RNG.standard_normal((4, 2000))
NOISE = RNG.standard_normal((4, 2000))


def test_perfect_and_silent() -> None:
    assert measure.rrmse(CLEAN, CLEAN) == 0
    assert measure.rrmse(0 * CLEAN, CLEAN) == 1
    assert measure.correlation(CLEAN, CLEAN) == pytest.approx(1)
    assert measure.correlation(0 * CLEAN, CLEAN) == 0
    assert measure.snr(CLEAN, CLEAN) == np.inf
    assert measure.rrmse_spectrum(CLEAN, CLEAN, 100.0) == 0
    assert measure.covariance_distance(CLEAN, CLEAN) == 0


def test_decibels_are_of_power() -> None:
    noise = NOISE * measure.rms(CLEAN) / measure.rms(NOISE)
    assert measure.snr(CLEAN + 0.1 * noise, CLEAN) == pytest.approx(20)
    assert measure.snr_gain(CLEAN + 0.1 * noise, CLEAN + noise, CLEAN) == pytest.approx(20)
    assert measure.rrmse(CLEAN + noise, CLEAN) == pytest.approx(1)


def test_correlation_does_not_see_scale_or_offset_and_the_error_does() -> None:
    assert measure.correlation(3 * CLEAN + 7, CLEAN) == pytest.approx(1)
    assert measure.rrmse(3 * CLEAN, CLEAN) == pytest.approx(2)


def test_twice_the_amplitude_is_six_decibels_in_every_band() -> None:
    assert measure.band_change(2 * CLEAN, CLEAN, 100.0, (8, 13)) == pytest.approx(6.02, abs=0.01)


def test_a_lost_rank_is_far_in_covariance() -> None:
    averaged = CLEAN - CLEAN.mean(axis=0)
    scaled = 1.1 * CLEAN
    assert measure.covariance_distance(averaged, CLEAN) > 10 * measure.covariance_distance(
        scaled, CLEAN
    )


def test_where_the_artifact_is() -> None:
    artifact = np.zeros((3, 1000))
    artifact[:, 400:500] = 50.0
    found = measure.contaminated(artifact, 100.0)
    assert found[400:500].all()
    assert not found[:380].any()
    assert not found[520:].any()


def test_gain_of_a_known_source() -> None:
    source = RNG.standard_normal((4, 2000))
    assert measure.gain(CLEAN + source, CLEAN, source) == pytest.approx(1)
    assert measure.gain(CLEAN + 0.5 * source, CLEAN, source) == pytest.approx(0.5)
    assert measure.gain(CLEAN, CLEAN, source) == 0
