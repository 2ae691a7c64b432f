"""The live engine says what the offline pipeline says, however its samples come."""

from typing import Any

import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodecode.alignment import ALIGNERS
from neurodecode.alignment.align import align_start, align_step
from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.apply import clean, fit_cleaner
from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.epochs.windows import cut_windows
from neurodecode.online.decision import Decision, Status
from neurodecode.online.engine import Engine
from neurodecode.online.evidence import ACCUMULATORS
from neurodecode.online.pipeline import LivePipeline
from neurodecode.online.policy import Policy
from neurodecode.preprocess.chain import finish, prepare
from neurodecode.recordings.synthetic import Synthetic

SFREQ, N_TIMES, HOP = 128.0, 128, 0.1
NAMES = ("F3", "C3", "Cz", "C4", "Pz", "Oz")


class LogPower:
    """Two classes by the power of the second channel against that of the others."""

    hop = 1

    def window(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        power = np.log(np.square(x, dtype=np.float64).mean(axis=1) + 1e-12)
        p = 1 / (1 + np.exp(power[1] - power.mean()))
        return np.array([p, 1 - p]), None


def recording(seconds: float = 20.0, sfreq: float = SFREQ) -> mne.io.BaseRaw:
    data = Synthetic(n_subjects=1, n_sessions=1, n_trials=4, sfreq=sfreq, ch_names=NAMES)
    raw = next(iter(next(iter(data.get_data([1])[1].values())).values()))
    return raw.pick(NAMES).crop(0, seconds - 1 / sfreq, verbose="ERROR").load_data()


def pipeline(**more: Any) -> LivePipeline:
    how = {"band": (8.0, 32.0), "scorer": LogPower(), **more}
    return LivePipeline(
        ch_names=NAMES, classes=("left", "right"), sfreq=SFREQ, n_times=N_TIMES, **how
    )


def play(engine: Engine, x: np.ndarray, chunk: int, *, start: float = 100.0) -> list[Decision]:
    stamps = start + np.arange(x.shape[1]) / engine.sfreq
    said = []
    for i in range(0, x.shape[1], chunk):
        part = slice(i, i + chunk)
        said += engine.push(x[:, part], stamps[part], now=float(stamps[part][0]))
    return said


def valid(said: list[Decision]) -> list[Decision]:
    return [d for d in said if d.status.valid]


def offline(raw: mne.io.BaseRaw, how: LivePipeline, samples: list[int]) -> np.ndarray:
    """Probabilities of the windows that end with these samples, by the rooms of `fit`."""
    cleaner = how.cleaner
    ready = prepare(raw, notch=how.notch, filter="causal")
    if cleaner is not None:
        ready = clean(cleaner, ready, filter="causal")
    ready = finish(
        ready, band=how.band, filter="causal", resample=how.sfreq, reference=how.reference
    )
    factor = round(raw.info["sfreq"] / how.sfreq)
    starts = np.array(samples) // factor + 1 - how.n_times
    x = cut_windows(ready.get_data(), starts, n_times=how.n_times, sfreq=how.sfreq)
    state, said = align_start(), []
    for i, window in enumerate(x):
        if how.align != "none":
            aligner = ALIGNERS.get(how.align.partition(":")[0])()
            new = min(1.0, (starts[i] - starts[i - 1]) / how.n_times) if i else 1.0
            window, state = align_step(window, state, aligner, new=new)
        said.append(how.scorer.window(window)[0])
    return np.array(said)


@pytest.mark.parametrize("chunk", [1, 7, 10, 32, 2560])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"notch": 50.0, "reference": "average"},
        {"align": "euclidean:causal", "reference": ["Cz", "Pz"]},
        {"align": "riemannian:causal"},
    ],
)
def test_live_is_the_offline_pipeline_whatever_the_chunks(
    chunk: int, options: dict[str, Any]
) -> None:
    raw, how = recording(), pipeline(**options)
    said = valid(play(how.engine(SFREQ, hop=HOP), raw.get_data(), chunk))
    assert len(said) > 100
    wanted = offline(raw, how, [d.sample for d in said])
    np.testing.assert_allclose([d.proba for d in said], wanted, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 33])
def test_a_stream_at_a_multiple_of_the_rate_is_thinned(chunk: int) -> None:
    raw, how = recording(sfreq=512.0), pipeline(reference="average")
    said = valid(play(how.engine(512.0, hop=HOP), raw.get_data(), chunk))
    wanted = offline(raw, how, [d.sample for d in said])
    np.testing.assert_allclose([d.proba for d in said], wanted, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 33])
@pytest.mark.parametrize("name", ["asr", "atat"])
def test_a_cleaner_cleans_live_as_it_does_offline(chunk: int, name: str) -> None:
    raw = recording()
    cleaner = fit_cleaner(CLEANERS.get(name)(), [raw], filter="causal")
    how = pipeline(cleaner=cleaner)
    said = valid(play(how.engine(SFREQ, hop=HOP), raw.get_data(), chunk))
    assert len(said) > 80
    wanted = offline(raw, how, [d.sample for d in said])
    np.testing.assert_allclose([d.proba for d in said], wanted, atol=1e-6)


def test_a_decision_says_when_its_newest_sample_was_measured() -> None:
    said = play(pipeline().engine(SFREQ, hop=HOP), recording().get_data(), 10)
    assert [d.newest for d in said] == pytest.approx([100 + d.sample / SFREQ for d in said])
    hops = np.diff([d.sample for d in said])
    assert set(hops) == {13}  # 0.1 s at 128 Hz, rounded to samples
    assert all(d.status is Status.GAP for d in said[:5])  # the first window is not full


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_random_chunks_say_what_single_samples_say(sizes: list[int]) -> None:
    x = RAW.get_data()
    engine = pipeline(align="euclidean:causal").engine(SFREQ, hop=HOP)
    stamps, said, at = np.arange(x.shape[1]) / SFREQ, [], 0
    for size in sizes:
        part = slice(at, at + size)
        said += engine.push(x[:, part], stamps[part], now=0.0)
        at += size
    wanted = play(pipeline(align="euclidean:causal").engine(SFREQ, hop=HOP), x[:, :at], 1)
    assert [d.sample for d in said] == [d.sample for d in wanted]
    np.testing.assert_allclose(
        [d.proba for d in said], [d.proba for d in wanted], atol=1e-9, equal_nan=True
    )


RAW = recording()


def test_the_future_changes_nothing() -> None:
    x = RAW.get_data()
    other = x.copy()
    other[:, 1500:] = np.random.default_rng(0).standard_normal(other[:, 1500:].shape) * 1e-5
    how = pipeline(align="euclidean:causal", notch=50.0)
    first, second = (play(how.engine(SFREQ, hop=HOP), y, 10) for y in (x, other))
    for a, b in zip(first, second, strict=True):
        if a.sample < 1500:
            np.testing.assert_array_equal(a.proba, b.proba)


def test_missing_samples_are_a_gap_until_the_window_is_full_of_what_came_after() -> None:
    x, engine = RAW.get_data(), pipeline().engine(SFREQ, hop=HOP)
    stamps = np.arange(x.shape[1]) / SFREQ
    kept = np.r_[0:1000, 1020 : x.shape[1]]
    said = engine.push(x[:, kept], stamps[kept], now=0.0)
    assert (engine.n_lost, engine.n_gaps) == (20, 1)
    after = [d for d in said if d.newest >= 1020 / SFREQ]
    first = next(d for d in after if d.status.valid)
    assert first.newest >= (1020 + N_TIMES - 1) / SFREQ
    assert all(d.status is Status.GAP for d in after[: after.index(first)])
    fresh = valid(engine_from(x[:, 1020:]))
    assert first.proba == pytest.approx(fresh[0].proba)


def engine_from(x: np.ndarray) -> list[Decision]:
    return play(pipeline().engine(SFREQ, hop=HOP), x, 10)


@pytest.mark.parametrize("jump", [-3.0, 0.5, 1e6, np.nan])
def test_stamps_that_jump_are_a_gap(jump: float) -> None:
    x, engine = RAW.get_data()[:, :1200], pipeline().engine(SFREQ, hop=HOP)
    stamps = np.arange(1200) / SFREQ
    stamps[600:] += jump
    said = engine.push(x, stamps, now=-1e9)
    assert engine.n_gaps >= 1
    spans = [d for d in valid(said) if d.sample - N_TIMES < 600 <= d.sample]
    assert spans == []


def test_stamps_that_jitter_a_little_are_no_gap() -> None:
    x, engine = RAW.get_data(), pipeline().engine(SFREQ, hop=HOP, max_gap=0.02)
    jitter = np.random.default_rng(0).uniform(0, 0.01, x.shape[1])
    engine.push(x, np.arange(x.shape[1]) / SFREQ + jitter, now=0.0)
    assert (engine.n_gaps, engine.n_lost) == (0, 0)


def test_old_samples_are_stale_and_new_ones_are_decided_on_at_once() -> None:
    x, engine = RAW.get_data(), pipeline().engine(SFREQ, hop=HOP, max_age=1.0)
    stamps = np.arange(x.shape[1]) / SFREQ
    said = engine.push(x, stamps, now=float(stamps[-1]))  # twenty seconds at once
    late = [d for d in said if stamps[-1] - d.newest > 1.0 and d.status is not Status.GAP]
    assert late
    assert {d.status for d in late} == {Status.STALE}
    assert all(np.isnan(d.proba).all() for d in late)
    fresh = [d for d in said if stamps[-1] - d.newest <= 1.0]
    assert fresh
    assert all(d.status.valid for d in fresh)


def test_what_is_said_while_nothing_comes_is_stale() -> None:
    engine = pipeline().engine(SFREQ, hop=HOP)
    last = play(engine, RAW.get_data(), 10)[-1]
    decision = engine.stalled(last.newest + 5)
    assert decision.status is Status.STALE
    assert decision.latency == pytest.approx(5)
    assert np.isnan(decision.proba).all()


@pytest.mark.parametrize(
    ("fault", "word"),
    [(np.nan, "not finite"), (np.inf, "not finite"), (0.0, "flat")],
)
@pytest.mark.parametrize("chunk", [1, 10, 2560])
def test_a_bad_channel_is_named_and_nothing_is_decided_on_it(
    fault: float, word: str, chunk: int
) -> None:
    x = RAW.get_data().copy()
    x[2, 1000:1040] = fault
    engine = pipeline().engine(SFREQ, hop=HOP)
    said = play(engine, x[:, :1100], chunk)
    assert engine.quality()["Cz"] == word
    said += play(engine, x[:, 1100:], chunk, start=100 + 1100 / SFREQ)
    # A channel counts as flat after 0.2 s; not a number is seen at once.
    seen = 1000 if word == "not finite" else 1000 + round(0.2 * SFREQ) - 1
    during = [d for d in said if seen <= d.sample and d.sample - N_TIMES < 1040]
    assert {d.status for d in during} == {Status.BAD_CHANNELS}
    assert {d.bad for d in during} == {("Cz",)}
    assert said[-1].status.valid
    assert engine.quality()["Cz"] == "ok"
    assert np.isfinite([d.proba for d in valid(said)]).all()


def test_a_chunk_of_zeros_is_an_amplifier_that_sends_nothing() -> None:
    x = RAW.get_data().copy()
    x[:, 1000:1010] = 0.0
    said = play(pipeline().engine(SFREQ, hop=HOP), x, 10)
    during = [d for d in said if d.sample >= 1003 and d.sample - N_TIMES < 1010]
    assert {d.status for d in during} == {Status.BAD_CHANNELS}
    assert set(during[0].bad) == set(NAMES)


def test_decisions_after_a_bad_stretch_are_those_of_an_undisturbed_stream() -> None:
    x = RAW.get_data()
    broken = x.copy()
    broken[:, 700:705] = np.nan
    how = pipeline()
    whole, mended = (play(how.engine(SFREQ, hop=HOP), y, 10) for y in (x, broken))
    after = [(a, b) for a, b in zip(whole, mended, strict=True) if b.status.valid]
    assert any(b.sample > 705 for _, b in after)
    for a, b in after:
        assert b.proba == pytest.approx(a.proba, abs=0.02)  # what filters still remember


def test_a_few_bad_channels_are_filled_in_where_the_run_says_so() -> None:
    raw = RAW.copy()
    places = np.array([c["loc"][:3] for c in raw.info["chs"]])
    x = raw.get_data().copy()
    x[2] = np.nan
    how = pipeline(bad_channels="interpolate", positions=places, reference="average")
    said = valid(play(how.engine(SFREQ, hop=HOP), x, 10))
    marked = raw.copy()
    marked.info["bads"] = ["Cz"]
    ready = finish(
        prepare(marked, bad_channels="interpolate", filter="causal"),
        band=how.band,
        filter="causal",
        reference="average",
    )
    starts = np.array([d.sample for d in said]) + 1 - N_TIMES
    windows = cut_windows(ready.get_data(), starts, n_times=N_TIMES, sfreq=SFREQ)
    wanted = [how.scorer.window(w)[0] for w in windows]
    assert {d.bad for d in said} == {("Cz",)}
    np.testing.assert_allclose([d.proba for d in said], wanted, atol=1e-5)


def test_an_amplitude_beyond_what_the_run_rejects_is_not_decided_on() -> None:
    x = RAW.get_data().copy()
    x[3, 1000:1013] += 500e-6 * np.sin(2 * np.pi * 10 * np.arange(13) / SFREQ)
    said = play(pipeline(reject=150.0).engine(SFREQ, hop=HOP), x, 10)
    loud = [d for d in said if d.status is Status.BAD_CHANNELS]
    assert loud
    assert {d.bad for d in loud} == {("C4",)}


def test_frozen_alignment_stays_what_it_is_and_goes_on_when_asked() -> None:
    engine = pipeline(align="euclidean:causal").engine(SFREQ, hop=HOP)
    x = RAW.get_data()
    play(engine, x[:, :1000], 10, start=0.0)
    engine.freeze()
    before = engine.align_state
    play(engine, x[:, 1000:1500], 10, start=1000 / SFREQ)
    assert engine.align_state is before
    engine.freeze(False)
    play(engine, x[:, 1500:2000], 10, start=1500 / SFREQ)
    assert engine.align_state.n > before.n


def test_windows_of_cues_are_the_windows_of_trials() -> None:
    raw, how = RAW.copy(), pipeline(align="euclidean:causal", offset=0.5)
    cues = np.array([3.0, 6.52, 9.1, 14.9])
    engine = how.engine(SFREQ, cued=True)
    x, stamps = raw.get_data(), 100 + np.arange(raw.n_times) / SFREQ
    said = []
    for i in range(0, x.shape[1], 10):
        for cue in cues[(cues >= i / SFREQ) & (cues < (i + 10) / SFREQ)]:
            engine.cue(100 + cue)
        said += engine.push(x[:, i : i + 10], stamps[i : i + 10], now=float(stamps[i]))
    starts = np.rint((cues + 0.5) * SFREQ).astype(int)
    ready = finish(prepare(raw, filter="causal"), band=how.band, filter="causal")
    windows = cut_windows(ready.get_data(), starts, n_times=N_TIMES, sfreq=SFREQ)
    state, wanted = align_start(), []
    for window in windows:
        aligned, state = align_step(window, state, ALIGNERS.get("euclidean")())
        wanted.append(how.scorer.window(aligned)[0])
    assert [d.sample for d in said] == [s + N_TIMES - 1 for s in starts]
    np.testing.assert_allclose([d.proba for d in said], wanted, atol=1e-6)


def test_a_cue_that_is_told_too_late_is_counted() -> None:
    engine = pipeline().engine(SFREQ, cued=True)
    x = RAW.get_data()
    stamps = np.arange(x.shape[1]) / SFREQ
    engine.push(x[:, :2000], stamps[:2000], now=0.0)
    engine.cue(1.0)
    engine.push(x[:, 2000:], stamps[2000:], now=0.0)
    assert engine.late_cues == 1


def test_a_chunk_of_another_shape_is_refused() -> None:
    with pytest.raises(SignalError, match="6 channels x 3 samples"):
        pipeline().engine(SFREQ).push(np.zeros((5, 3)), np.zeros(3))


@pytest.mark.parametrize("rate", [100.0, 64.0, 200.0])
def test_a_rate_that_does_not_suit_is_refused(rate: float) -> None:
    with pytest.raises(SignalError, match="no whole multiple"):
        pipeline().engine(rate)


@pytest.mark.parametrize("name", ACCUMULATORS.names())
def test_a_cued_window_is_evidence_enough_for_every_accumulator(name: str) -> None:
    class Sure(LogPower):
        def window(self, x: np.ndarray) -> tuple[np.ndarray, None]:
            return np.array([0.99, 0.01]), None

    policy = Policy(accumulator=ACCUMULATORS.get(name)(), threshold=0.7, refractory=0.0)
    engine = pipeline(scorer=Sure()).engine(SFREQ, cued=True, policy=policy)
    engine.cue(103.0)
    engine.cue(108.0)
    said = play(engine, RAW.get_data(), 10)
    assert [(d.status, d.command) for d in said] == [(Status.OK, 0), (Status.OK, 0)]


def test_every_cue_has_one_decision_whatever_happens_to_its_window() -> None:
    x, engine = RAW.get_data(), pipeline().engine(SFREQ, cued=True)
    stamps = np.arange(x.shape[1]) / SFREQ
    kept = np.r_[
        0:800, 850 : x.shape[1]
    ]  # the second window is torn, the third is before it is told
    for cue in (3.0, 6.0):
        engine.cue(cue)
    said = engine.push(x[:, kept[:1800]], stamps[kept[:1800]], now=0.0)
    assert [d.status for d in said] == [Status.OK, Status.GAP]
    engine.cue(7.0)
    said = engine.push(x[:, kept[1800:]], stamps[kept[1800:]], now=0.0)
    assert [d.status for d in said] == [Status.GAP]
    assert engine.late_cues == 1
    assert all(d.command == -1 and np.isnan(d.proba).all() for d in said)


def test_time_that_nothing_comes_counts_once_for_the_next_command() -> None:
    policy = Policy(accumulator=ACCUMULATORS.get("none")(), threshold=0.0, refractory=3.0)
    engine = pipeline().engine(SFREQ, hop=HOP, policy=policy)
    said = valid(play(engine, RAW.get_data()[:, :400], 10))
    (first,) = [d for d in said if d.command >= 0]
    last = said[-1].made
    for i in range(1, 5):
        engine.stalled(last + 0.5 * i)
    waited = last + 2.0 - first.made
    assert engine.said.wait == pytest.approx(max(0.0, 3.0 - waited), abs=0.15)


@pytest.mark.parametrize(
    "options", [{"adapt": 0.0}, {"adapt": -1.0}, {"hop": 0.0}, {"max_age": -1}]
)
def test_times_that_are_none_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="positive number of seconds"):
        pipeline().engine(SFREQ, **options)


def test_adapting_takes_the_preference_for_a_class_off() -> None:
    class Prefers(LogPower):
        def window(self, x: np.ndarray) -> tuple[np.ndarray, None]:
            return np.array([0.8, 0.2]), None

    said = valid(play(pipeline(scorer=Prefers()).engine(SFREQ, adapt=2.0), RAW.get_data(), 10))
    assert said[0].proba[0] > 0.75
    assert said[-1].proba[0] == pytest.approx(0.5, abs=0.01)


def test_stamps_of_another_clock_are_not_taken_for_new_samples() -> None:
    x = RAW.get_data()
    stamps = 1e9 + np.arange(x.shape[1]) / SFREQ
    said = pipeline().engine(SFREQ, max_ahead=1.0).push(x, stamps, now=500.0)
    assert {d.status for d in said} == {Status.GAP, Status.STALE}
    said = pipeline().engine(SFREQ).push(x, stamps, now=500.0)  # played in fast motion
    assert valid(said)


def test_hops_may_be_longer_than_windows() -> None:
    said = play(pipeline(align="euclidean:causal").engine(SFREQ, hop=4.0), RAW.get_data(), 10)
    assert len(valid(said)) == 5


def test_a_cue_of_another_clock_is_answered_with_a_gap() -> None:
    engine = pipeline().engine(SFREQ, cued=True)
    x = RAW.get_data()
    stamps = np.arange(x.shape[1]) / SFREQ
    engine.push(x[:, :1000], stamps[:1000], now=0.0)
    engine.cue(1e9)
    said = engine.push(x[:, 1000:], stamps[1000:], now=0.0)
    assert [d.status for d in said] == [Status.GAP]
    assert engine.cues == []
