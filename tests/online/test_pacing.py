"""Jitter is measured, and is no gap; a gap is no jitter."""

import numpy as np
import pytest

from neurodecode.online.pacing import tolerance

SFREQ = 250.0


def test_regular_stamps_allow_half_a_sample() -> None:
    assert tolerance(np.arange(200) / SFREQ, SFREQ) == pytest.approx(0.5 / SFREQ)


def test_clock_corrections_of_microseconds_change_nothing() -> None:
    wander = np.random.default_rng(0).normal(0, 20e-6, 200)
    assert tolerance(np.arange(200) / SFREQ + wander, SFREQ) == pytest.approx(0.5 / SFREQ)


def test_chunks_that_are_stamped_when_they_arrive_are_allowed_to_be_late() -> None:
    late = np.repeat(np.random.default_rng(0).uniform(0, 0.01, 50), 10)  # of each chunk of ten
    stamps = np.arange(500) / SFREQ + late
    allowed = tolerance(stamps, SFREQ)
    assert allowed > np.abs(np.diff(stamps) - 1 / SFREQ).max()
    assert allowed < 0.04


def test_a_gap_while_it_is_measured_is_not_taken_for_jitter() -> None:
    stamps = np.arange(500) / SFREQ
    stamps[250:] += 0.2
    assert tolerance(stamps, SFREQ) == pytest.approx(0.5 / SFREQ)


def test_of_a_few_samples_nothing_is_said() -> None:
    assert tolerance(np.array([0.0, 0.1]), SFREQ) == pytest.approx(0.5 / SFREQ)
