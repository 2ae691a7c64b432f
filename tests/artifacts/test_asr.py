import copy

import mne
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfiltfilt

from neurodecode.artifacts import CLEANERS, StreamingCleaner
from neurodecode.artifacts.asr import Asr
from neurodecode.core.errors import ConfigError, NeurodecodeError, SignalError

Array = NDArray[np.float64]
SFREQ = 125.0


def brain(
    n_chans: int = 8, duration: float = 40.0, *, seed: int = 0, sfreq: float = SFREQ
) -> Array:
    """Mixed sources with more power at low frequencies, V, about 10 uV rms."""
    rng = np.random.default_rng(seed)
    sources = np.cumsum(rng.normal(size=(n_chans, round(duration * sfreq))), axis=1)
    sources = sosfiltfilt(butter(2, (1, 40), "band", fs=sfreq, output="sos"), sources, axis=1)
    x = rng.normal(size=(n_chans, n_chans)) @ (sources / sources.std(axis=1, keepdims=True))
    return np.asarray(10e-6 * x / x.std())


def bursts(shape: tuple[int, int], *, seed: int = 1, sfreq: float = SFREQ) -> tuple[Array, Array]:
    """Blinks and muscle bursts on a third of the channels, V, after 15 s; and where they are."""
    rng = np.random.default_rng(seed)
    n_chans, n = shape
    noise = sosfiltfilt(butter(4, 20, "high", fs=sfreq, output="sos"), rng.normal(size=n))
    x, there = np.zeros(shape), np.zeros(n, dtype=bool)
    length = round(0.6 * sfreq)
    for i, at in enumerate(range(round(15 * sfreq), n - 2 * length, round(4 * sfreq))):
        course = np.hanning(length) * (noise[at : at + length] / noise.std() if i % 2 else 1)
        x[:, at : at + length] += 200e-6 * rng.normal(size=(n_chans, 1)) * course
        there[at : at + length] = True
    return x, there


def recording(x: Array, *, sfreq: float = SFREQ) -> mne.io.RawArray:
    return mne.io.RawArray(x, mne.create_info(len(x), sfreq, "eeg"))


def stream(cleaner: Asr, x: Array, n_chunk: int) -> Array:
    state, ready = cleaner.start(), []
    for i in range(0, x.shape[1], n_chunk):
        y, state = cleaner.step(x[:, i : i + n_chunk], state)
        ready.append(y)
    return np.concatenate([*ready, cleaner.finish(state)], axis=1)


def error(y: Array, truth: Array) -> float:
    return float(np.linalg.norm(y - truth) / np.linalg.norm(truth))


@pytest.fixture(scope="module")
def fitted() -> Asr:
    return Asr().fit([recording(brain())])


def test_bursts_are_removed_and_the_rest_is_left(fitted: Asr) -> None:
    clean = brain()
    artifacts, there = bursts(clean.shape)
    for cleaner in (fitted, Asr().fit([recording(clean + artifacts)])):
        y = cleaner.transform(recording(clean + artifacts)).get_data()
        before = error((clean + artifacts)[:, there], clean[:, there])
        assert error(y[:, there], clean[:, there]) < before / 8
        far = ~np.convolve(there, np.ones(round(SFREQ)), "same").astype(bool)
        assert error(y[:, far], clean[:, far]) < 1e-3


@pytest.mark.parametrize("seed", range(12))
def test_clean_signal_stays_as_it_is(seed: int) -> None:
    raw = recording(brain(seed=seed))
    np.testing.assert_allclose(Asr().fit([raw]).transform(raw).get_data(), raw.get_data(), rtol=0)


@pytest.mark.parametrize("n_chunk", [1, 7, 64, 1000])
def test_chunks_give_the_same_signal_as_the_whole(fitted: Asr, n_chunk: int) -> None:
    x = brain(duration=20)
    x = x + bursts(x.shape)[0]
    whole = fitted.transform(recording(x)).get_data()
    assert error(whole, x) > 0.1
    assert error(stream(fitted, x, n_chunk), whole) < 1e-9


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 31, 47, 48, 63])
@pytest.mark.parametrize("lookahead", [None, 0.0, 0.4])
def test_every_sample_comes_out_however_short_the_stream(n: int, lookahead: float | None) -> None:
    cleaner = Asr(lookahead=lookahead).fit([recording(brain(4, 10))])
    x = brain(4, 10)[:, :n]
    np.testing.assert_allclose(stream(cleaner, x, 5), x, rtol=0)


def test_samples_come_out_in_their_place_after_the_delay(fitted: Asr) -> None:
    x = brain(duration=8)
    state, n_in, n_out, latest = fitted.start(), 0, 0, 0
    for i in range(x.shape[1]):
        y, state = fitted.step(x[:, i : i + 1], state)
        np.testing.assert_array_equal(y, x[:, n_out : n_out + y.shape[1]])
        n_in, n_out = i + 1, n_out + y.shape[1]
        latest = max(latest, n_in - n_out)
    assert latest == round(fitted.delay * SFREQ)
    assert fitted.delay == pytest.approx(0.25 + 0.128, abs=2 / SFREQ)


def test_a_state_is_never_changed(fitted: Asr) -> None:
    x = brain(duration=20)
    x = x + bursts(x.shape)[0]
    _, state = fitted.step(x[:, :2100], fitted.start())
    kept = copy.deepcopy(state)
    y, _ = fitted.step(x[:, 2100:], state)
    again, _ = fitted.step(x[:, 2100:], state)
    fitted.finish(state)
    np.testing.assert_array_equal(y, again)
    for name in ("held", "filter", "recent", "removal"):
        np.testing.assert_array_equal(getattr(state, name), getattr(kept, name))


def average_referenced(x: Array) -> Array:
    return np.asarray(x - x.mean(axis=0))


def interpolated(x: Array) -> Array:
    return np.concatenate([x[:-1], x[:1] / 2 + x[1:2] / 2])


@pytest.mark.parametrize("lower", [average_referenced, interpolated])
def test_a_lower_rank_is_kept_and_bursts_still_go(lower) -> None:  # type: ignore[no-untyped-def]
    clean = lower(brain())
    x = lower(brain() + bursts(brain().shape)[0])
    cleaner = Asr().fit([recording(clean)])
    y = cleaner.transform(recording(x)).get_data()
    assert cleaner.basis_.shape == (8, 7)
    assert np.isrealobj(y)
    assert np.isfinite(y).all()
    assert error(y, clean) < error(x, clean) / 8
    np.testing.assert_allclose(lower(y), y, atol=1e-9 * np.abs(y).max())


@pytest.mark.parametrize("n_chans", [2, 3, 4])
def test_few_channels_are_never_emptied(n_chans: int) -> None:
    clean = brain(n_chans)
    x = clean + bursts(clean.shape)[0]
    y = Asr(max_dims=1.0).fit([recording(clean)]).transform(recording(x)).get_data()
    assert error(y, clean) < error(x, clean)
    assert np.linalg.matrix_rank(y[:, -1000:]) >= 1
    assert (np.abs(y).sum(axis=0) > 0).all()


def test_ten_seconds_are_enough() -> None:
    clean = brain(16, 30)
    x = clean + bursts(clean.shape)[0]
    cleaner = Asr().fit([recording(clean[:, : round(10 * SFREQ)])])
    assert error(cleaner.transform(recording(x)).get_data(), clean) < error(x, clean) / 4


def test_the_unit_does_not_matter(fitted: Asr) -> None:
    small = Asr().fit([recording(brain() / 10)])
    np.testing.assert_allclose(small.thresholds_, fitted.thresholds_ / 10, rtol=1e-6)


@pytest.mark.parametrize("sfreq", [64.0, 100.0, 512.0, 1000.0])
def test_any_rate_will_do(sfreq: float) -> None:
    def at_rate(x: Array) -> Array:
        return np.asarray(mne.filter.resample(x, up=sfreq, down=SFREQ))

    clean, x = (at_rate(v) for v in (brain(), brain() + bursts(brain().shape)[0]))
    raw = recording(x, sfreq=sfreq)
    y = Asr().fit([recording(clean, sfreq=sfreq)]).transform(raw).get_data()
    assert error(y, clean) < error(x, clean) / 4


def test_only_channels_good_in_every_recording_are_cleaned() -> None:
    raws = [recording(brain(6)), recording(brain(6, seed=0))]
    raws[1].info["bads"] = ["3"]
    cleaner = Asr().fit(raws)
    assert cleaner.ch_names_ == ("0", "1", "2", "4", "5")
    x = brain(6)
    x = x + bursts(x.shape)[0]
    y = cleaner.transform(recording(x)).get_data()
    np.testing.assert_array_equal(y[3], x[3])
    assert error(y[0], x[0]) > 0.1


@pytest.mark.parametrize(
    ("options", "why"),
    [({"cutoff": 0.0}, "cutoff"), ({"hop": 0.6}, "hop"), ({"max_dims": 1.5}, "share")],
)
def test_options_that_cannot_be_are_refused(options: dict[str, float], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Asr(**options).fit([recording(brain())])


def flat(x: Array) -> Array:
    return np.concatenate([x[:-1], 0 * x[:1]])


def broken(x: Array) -> Array:
    return np.where(np.arange(x.shape[1]) == 500, np.nan, x)


@pytest.mark.parametrize(
    ("x", "why"),
    [
        (flat(brain()), "flat"),
        (broken(brain()), "not finite"),
        (brain(duration=4), "at least 5 s"),
        (brain(1), "single signal"),
        (np.repeat(brain(1), 3, axis=0), "single signal"),
    ],
)
def test_what_cannot_be_cleaned_is_refused_in_one_line(x: Array, why: str) -> None:
    with pytest.raises(SignalError, match=why) as caught:
        Asr().fit([recording(x)])
    assert "\n" not in str(caught.value)


def test_a_slow_rate_is_refused() -> None:
    with pytest.raises(NeurodecodeError, match="40 Hz"):
        Asr().fit([recording(brain(), sfreq=32.0)])


def test_it_is_found_by_name_and_what_it_learned_can_be_stored(fitted: Asr) -> None:
    assert CLEANERS.get("asr") is Asr
    assert isinstance(fitted, StreamingCleaner)
    learned = {k: v for k, v in vars(fitted).items() if k.endswith("_")}
    assert set(learned) >= {"basis_", "spread_", "thresholds_", "sos_"}
    assert all(isinstance(v, np.ndarray | float | tuple) for v in learned.values())
    assert all(v.dtype == np.float64 for v in learned.values() if isinstance(v, np.ndarray))


def as_published(cleaner: Asr, x: Array) -> tuple[Array, set[int]]:
    """Mullen et al. sample by sample, and how many directions were rebuilt at once."""
    rank = cleaner.basis_.shape[1]
    n_window, n_ahead, n_hop = round(0.5 * SFREQ + 0.01), 31, round(0.128 * SFREQ)
    mixing = cleaner.basis_ @ np.diag(cleaner.spread_) @ cleaner.basis_.T
    limits = np.diag(cleaner.thresholds_) @ cleaner.basis_.T
    longer = np.concatenate([x, 2 * x[:, -1:] - x[:, -2 : -n_ahead - 2 : -1]], axis=1)
    weighted = sosfilt(cleaner.sos_, longer, axis=1)
    weighted = np.concatenate([np.zeros((len(x), n_window)), weighted], axis=1)
    y, last, before, counts = x.copy(), np.eye(len(x)), 0, set()
    for end in [*range(n_hop, longer.shape[1], n_hop), longer.shape[1]]:
        part = weighted[:, end : end + n_window]
        values, vectors = np.linalg.eigh(part @ part.T / n_window)
        keep = values < np.sum((limits @ vectors) ** 2, axis=0)
        keep |= np.arange(1, rank + 1) < rank - round(0.66 * rank)
        whole = mixing @ np.linalg.pinv(keep[:, None] * (vectors.T @ mixing)) @ vectors.T
        for t in range(before, end):
            if t >= n_ahead:
                blend = (1 - np.cos(np.pi * (t + 1 - before) / (end - before))) / 2
                matrix = blend * whole + (1 - blend) * last
                y[:, t - n_ahead] = matrix @ x[:, t - n_ahead]
        last, before = whole, end
        counts.add(int((~keep).sum()))
    return y, counts


def test_agrees_with_the_published_formula() -> None:
    cleaner = Asr(cutoff=5.0).fit([recording(brain())])
    x = brain(duration=20.1)
    x = x + bursts(x.shape)[0]
    expected, counts = as_published(cleaner, x)
    assert len(counts) > 2
    assert error(cleaner.transform(recording(x)).get_data(), expected) < 1e-9
