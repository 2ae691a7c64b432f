import numpy as np
import pytest

from neurodecode.core.errors import SignalError
from neurodecode.signal.filters import (
    bandpass_sos,
    filter_start,
    filter_step,
    group_delay,
    notch_sos,
)

SFREQ = 250.0


@pytest.mark.parametrize("n_chunks", [1, 2, 7, 250])
def test_chunks_give_the_same_signal_as_the_whole(n_chunks: int) -> None:
    x = np.random.default_rng(0).standard_normal((3, 1000))
    sos = bandpass_sos(8, 30, sfreq=SFREQ)
    state = filter_start(sos, x[:, 0])
    whole, _ = filter_step(x, state, sos)
    parts = []
    for chunk in np.array_split(x, n_chunks, axis=1):
        y, state = filter_step(chunk, state, sos)
        parts.append(y)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-12)


@pytest.mark.parametrize(("freq", "gain"), [(20.0, 1.0), (1.0, 0.0), (100.0, 0.0)])
def test_a_sine_passes_in_the_band_and_not_outside(freq: float, gain: float) -> None:
    t = np.arange(2500) / SFREQ
    sos = bandpass_sos(8, 30, sfreq=SFREQ)
    x = np.sin(2 * np.pi * freq * t)[None]
    y, _ = filter_step(x, filter_start(sos, x[:, 0]), sos)
    assert np.ptp(y[0, 1250:]) / 2 == pytest.approx(gain, abs=0.02)


def test_a_constant_leaves_a_highpass_at_once() -> None:
    sos = bandpass_sos(1, None, sfreq=SFREQ)
    x = np.full((2, 100), [[3.0], [-5.0]])
    y, _ = filter_step(x, filter_start(sos, x[:, 0]), sos)
    np.testing.assert_allclose(y, 0, atol=1e-9)


def test_a_notch_takes_the_line_and_its_harmonic() -> None:
    t = np.arange(5000) / SFREQ
    sos = notch_sos(50.0, sfreq=SFREQ)
    x = np.stack([np.sin(2 * np.pi * f * t) for f in (50, 100, 20)])
    y, _ = filter_step(x, filter_start(sos, x[:, 0]), sos)
    np.testing.assert_allclose(np.ptp(y[:, 2500:], axis=1) / 2, [0, 0, 1], atol=0.02)


@pytest.mark.parametrize("band", [(8, 130), (30, 8), (0, 8), (8, 8), (None, None)])
def test_an_impossible_band_is_refused(band: tuple[float | None, float | None]) -> None:
    with pytest.raises(SignalError, match=r"needs 0 < low < high < 125 Hz"):
        bandpass_sos(*band, sfreq=SFREQ)


def test_an_impossible_notch_is_refused() -> None:
    with pytest.raises(SignalError, match="A notch at 200 Hz needs"):
        notch_sos(200, sfreq=SFREQ)


@pytest.mark.parametrize("freq", [10.0, 12.0, 20.0])
def test_the_envelope_of_a_rhythm_comes_later_by_the_group_delay(freq: float) -> None:
    """A slow bump of a rhythm comes out of the filter as much later as the formula says."""
    sfreq, sos = 1000.0, bandpass_sos(8.0, 30.0, sfreq=1000.0)
    t = np.arange(-2, 2, 1 / sfreq)
    bump = np.exp(-0.5 * (t / 0.3) ** 2)
    y, _ = filter_step(
        (bump * np.sin(2 * np.pi * freq * t))[None], filter_start(sos, np.zeros(1)), sos
    )
    power = np.square(y[0])
    later = float((power * t).sum() / power.sum())
    assert later == pytest.approx(group_delay(sos, freq, sfreq=sfreq), abs=0.005)
