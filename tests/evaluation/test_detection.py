"""What alarms are worth, with answers worked out by hand, and against SzCORE's own library."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from neurodecode.core.errors import SignalError
from neurodecode.evaluation.detection import (
    BEFORE,
    LONGEST,
    Counts,
    Rule,
    Spans,
    count_events,
    count_seconds,
    delays,
    find_events,
    kappa,
    lay_out,
    meeting,
    score_spans,
    smooth,
    split_events,
)
from neurodecode.evaluation.metrics import EVENT_METRICS

AT_HALF = Rule(0.5, 0.0)


def table(n: int, *, stride: float = 1.0, run: str = "0", subject: str = "1") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dataset": "d",
            "subject": subject,
            "session": "0",
            "run": run,
            "onset": stride * np.arange(n),
            "block": 0,
        }
    )


def spans(truth: str, said: str, *, stride: float = 1.0) -> Spans:
    """One recording from two rows of 0 and 1, a digit for each span."""
    t, p = (np.array([c == "1" for c in row]) for row in (truth, said))
    return lay_out(table(len(t), stride=stride), t, p * 1.0, duration=4 * stride, stride=stride)


def seconds(events: list[tuple[float, float]]) -> np.ndarray:
    return np.array(events, dtype=float).reshape(-1, 2)


def masked(events: list[tuple[int, int]], n: int) -> str:
    """Spans of a second that lie in events."""
    row = np.zeros(n, dtype=int)
    for start, stop in events:
        row[start:stop] = 1
    return "".join(map(str, row))


def test_a_window_decides_about_its_last_stride() -> None:
    """Windows of 10 s, 2 s apart: the first decides about [8, 10), the second about [10, 12)."""
    windows = table(3, stride=2.0)
    truth = np.array([False, True, False])
    s = lay_out(windows, truth, np.zeros(3), duration=10.0, stride=2.0)
    assert s.start.tolist() == [8, 10, 12]
    assert find_events(s, s.truth).tolist() == [[10, 12]]


def test_the_order_of_the_windows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    windows = pd.concat([table(40), table(30, run="1")], ignore_index=True)
    truth, proba = rng.random(70) < 0.3, rng.random(70)
    mixed = np.r_[0, 1 + rng.permutation(69)]  # recordings are numbered as they appear
    a = score_spans(lay_out(windows, truth, proba, duration=4, stride=1), AT_HALF)
    b = score_spans(
        lay_out(windows.iloc[mixed.tolist()], truth[mixed], proba[mixed], duration=4, stride=1),
        AT_HALF,
    )
    assert a == b


def test_events_do_not_cross_recordings_or_gaps() -> None:
    windows = pd.concat([table(4), table(4, run="1")], ignore_index=True).drop(index=[5])
    s = lay_out(windows, np.ones(7, bool), np.ones(7), duration=1, stride=1)
    lengths = np.diff(find_events(s, s.truth), axis=1).ravel()
    assert lengths.tolist() == [4, 1, 2]
    joined = find_events(s, s.truth, gap=90)
    assert np.diff(joined, axis=1).ravel().tolist() == [4, 4]


def test_windows_faster_than_the_stride_are_refused() -> None:
    with pytest.raises(SignalError, match="after 1 s, and not after 4 s as epochs.stride says"):
        lay_out(table(5), np.zeros(5, bool), np.zeros(5), duration=4, stride=4)


def test_smoothing_is_of_the_past_and_begins_anew_behind_a_gap() -> None:
    windows = table(7).drop(index=[4])
    proba = np.array([1.0, 0.0, 0.5, 0.0, 1.0, 0.0])
    s = lay_out(windows, proba > 2, proba, duration=1, stride=1)
    assert smooth(s, 3.0) == pytest.approx([1, 0.5, 0.5, 1 / 6, 1, 0.5])
    assert smooth(s, 0.0).tolist() == proba.tolist()


def test_a_later_span_never_changes_a_smoothed_one() -> None:
    rng = np.random.default_rng(0)
    proba = rng.random(50)
    changed = np.r_[proba[:30], rng.random(20)]
    a, b = (
        smooth(lay_out(table(50), proba > 2, p, duration=1, stride=1), 7.0)
        for p in (proba, changed)
    )
    assert a[:30].tolist() == b[:30].tolist()


def test_runs_closer_than_the_gap_are_one_event() -> None:
    s = spans("0" * 12, "110111001100")
    positive = s.proba > 0.5
    first = 3.0  # windows of 4 s decide about their last second
    found = find_events(s, positive) - first
    assert found.tolist() == [[0, 2], [3, 6], [8, 10]]
    assert (find_events(s, positive, gap=2) - first).tolist() == [[0, 6], [8, 10]]
    assert (find_events(s, positive, gap=2.5) - first).tolist() == [[0, 10]]


def test_long_events_become_whole_ones_and_a_rest() -> None:
    events = seconds([(0, 300), (400, 1100), (1200, 1201)])
    assert split_events(events, LONGEST).tolist() == [
        [0, 300], [400, 700], [700, 1000], [1000, 1100], [1200, 1201],
    ]  # fmt: skip


def test_events_that_touch_do_not_overlap() -> None:
    a = seconds([(0, 10), (30, 40)])
    b = seconds([(10, 20), (39, 50)])
    assert meeting(a, b).tolist() == [-1, 1]
    assert meeting(b, a).tolist() == [-1, 1]
    assert meeting(a, seconds([])).tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("truth", "alarms", "expected"),
    [
        ([(100, 160)], [(120, 130)], Counts(1, 1, 0)),
        ([(100, 160)], [(110, 115), (130, 135)], Counts(1, 1, 0)),  # two alarms, one event
        ([(100, 160), (170, 190)], [(150, 180)], Counts(2, 2, 0)),  # one alarm, two events
        ([(100, 160)], [(90, 100), (160, 170)], Counts(1, 0, 2)),  # both only touch
        ([(100, 160)], [], Counts(1, 0, 0)),
        ([], [(5, 6), (8, 9)], Counts(0, 0, 2)),
        ([], [], Counts(0, 0, 0)),
    ],
)
def test_any_overlap(
    truth: list[tuple[float, float]], alarms: list[tuple[float, float]], expected: Counts
) -> None:
    assert count_events(seconds(truth), seconds(alarms)) == expected


@pytest.mark.parametrize(
    ("alarm", "found"),
    [((60, 70), False), ((65, 71), True), ((219, 230), True), ((220, 230), False)],
)
def test_szcore_tolerates_30_s_before_and_60_s_after(
    alarm: tuple[float, float], found: bool
) -> None:
    counts = count_events(seconds([(100, 160)]), seconds([alarm]), before=30, after=60)
    assert counts == (Counts(1, 1, 0) if found else Counts(1, 0, 1))


def test_seconds_are_counted() -> None:
    assert count_seconds(seconds([(0, 10)]), seconds([(5, 20)])) == Counts(10, 5, 10)
    assert count_seconds(seconds([(0.4, 2.6)]), seconds([])) == Counts(3, 0, 0)


def test_scores_of_counts() -> None:
    counts = Counts(4, 3, 1)
    assert (counts.sensitivity, counts.precision, counts.f1) == (0.75, 0.75, 0.75)
    assert math.isnan(Counts(0, 0, 1).sensitivity)
    assert Counts(0, 0, 1).f1 == 0
    assert math.isnan(Counts(0, 0, 0).f1)
    assert math.isnan(Counts(2, 0, 0).precision)


def test_a_delay_ends_with_the_span_that_raised_the_alarm() -> None:
    truth = seconds([(100, 160), (200, 260), (300, 360), (400, 430)])
    alarms = seconds([(100, 105), (215, 220), (250, 260), (290, 305)])
    # at once: one stride; 15 s late and a stride; an alarm that stands already; never found
    assert delays(truth, alarms, stride=5.0).tolist() == [5, 20, 0]


def test_scores_of_a_recording_by_hand() -> None:
    """One hour, two seizures; one found after 10 s, one missed, one alarm far from both."""
    truth = masked([(600, 660), (1800, 1840)], 3600)
    said = masked([(609, 660), (3000, 3010)], 3600)
    scores = score_spans(spans(truth, said), AT_HALF)
    assert scores["event_sensitivity"] == 0.5
    assert scores["event_precision"] == 0.5
    assert scores["event_f1"] == 0.5
    assert scores["false_alarms_per_hour"] == pytest.approx(1)
    assert scores["detection_delay"] == 10
    assert scores["sample_sensitivity"] == pytest.approx(51 / 100)
    assert scores["sample_precision"] == pytest.approx(51 / 61)
    assert scores["n_events"] == 2
    assert scores["hours"] == pytest.approx(1)
    assert set(EVENT_METRICS) <= set(scores)


def test_alarms_within_10_s_are_one_by_any_overlap_and_within_90_s_by_szcore() -> None:
    said = masked([(100, 110), (119, 120), (150, 160), (900, 910)], 3600)
    scores = score_spans(spans("0" * 3600, said), AT_HALF)
    assert scores["false_alarms_per_hour"] == pytest.approx(3)
    assert scores["szcore_false_alarms_per_hour"] == pytest.approx(2)


def test_seizures_within_90_s_are_one_by_szcore() -> None:
    truth = masked([(100, 110), (150, 160)], 3600)
    said = masked([(105, 110)], 3600)
    scores = score_spans(spans(truth, said), AT_HALF)
    assert scores["event_sensitivity"] == 0.5
    assert scores["szcore_sensitivity"] == 1


def test_without_a_seizure_false_alarms_are_counted_and_nothing_else() -> None:
    scores = score_spans(spans("0" * 600, masked([(100, 130)], 600)), AT_HALF)
    assert scores["false_alarms_per_hour"] == pytest.approx(6)
    assert math.isnan(scores["event_sensitivity"])
    assert math.isnan(scores["detection_delay"])
    assert scores["event_f1"] == scores["szcore_f1"] == scores["span_kappa"] == 0
    silent = score_spans(spans("0" * 600, "0" * 600), AT_HALF)
    assert silent["false_alarms_per_hour"] == 0
    assert all(math.isnan(silent[n]) for n in ("event_f1", "szcore_f1", "sample_f1", "span_kappa"))


def test_a_recording_that_is_all_seizure() -> None:
    scores = score_spans(spans("1" * 700, "1" * 700), AT_HALF)
    assert scores["event_f1"] == scores["szcore_f1"] == scores["sample_f1"] == 1
    assert scores["n_events"] == 1
    assert math.isnan(scores["span_kappa"])


def test_an_alarm_without_end_is_many_false_alarms() -> None:
    """An hour of alarm is twelve; the seizure at 1000 s lies in one of them."""
    scores = score_spans(spans(masked([(1000, 1060)], 3600), "1" * 3600), AT_HALF)
    assert scores["event_sensitivity"] == 1
    assert scores["false_alarms_per_hour"] == pytest.approx(11)
    assert scores["detection_delay"] == 0
    assert scores["span_kappa"] == 0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60))
def test_kappa_is_cohens(pairs: list[tuple[bool, bool]]) -> None:
    t, p = np.array(pairs).T
    if len(np.unique([t, p])) > 1:
        assert kappa(t, p) == pytest.approx(cohen_kappa_score(t, p), abs=1e-12)


def runs(draw: st.DrawFn, n: int) -> np.ndarray:
    """Runs of 0 and 1, as short as a span and as long as several minutes."""
    lengths = draw(st.lists(st.integers(1, 130), min_size=1, max_size=40))
    row = np.repeat(np.arange(len(lengths)) % 2, lengths) ^ draw(st.integers(0, 1))
    return np.resize(row, n).astype(bool)


@st.composite
def recordings(draw: st.DrawFn) -> tuple[float, np.ndarray, np.ndarray]:
    n = draw(st.integers(20, 1500))
    return draw(st.sampled_from([0.5, 1.0, 2.0, 5.0])), runs(draw, n), runs(draw, n)


@settings(max_examples=150, deadline=None)
@given(recordings())
def test_scores_are_those_of_the_library_of_szcores_authors(
    drawn: tuple[float, np.ndarray, np.ndarray],
) -> None:
    timescoring = pytest.importorskip("timescoring.scoring")
    annotation = pytest.importorskip("timescoring.annotations").Annotation
    stride, truth, said = drawn
    s = lay_out(table(len(truth), stride=stride), truth, said * 1.0, duration=stride, stride=stride)
    ours, step = score_spans(s, AT_HALF), round(10 * stride)
    ref, hyp = (annotation(np.repeat(row, step), 10) for row in (truth, said))
    events, samples = timescoring.EventScoring(ref, hyp), timescoring.SampleScoring(ref, hyp)
    plain = timescoring.EventScoring.Parameters(0, 0, 0, LONGEST, 0)
    either = timescoring.EventScoring(ref, hyp, plain)
    for name, theirs in {"szcore": events, "sample": samples}.items():
        for score in ("sensitivity", "precision", "f1"):
            assert ours[f"{name}_{score}"] == pytest.approx(getattr(theirs, score), nan_ok=True)
    assert ours["szcore_false_alarms_per_hour"] == pytest.approx(events.fpRate / 24)
    found = [find_events(s, row, longest=LONGEST) for row in (s.truth, s.proba >= 0.5)]
    assert count_events(*found) == Counts(either.refTrue, either.tp, either.fp)


def test_several_recordings_add_up() -> None:
    """Tolerance does not reach from the end of one recording to the beginning of the next."""
    said = masked([(0, 20)], 400)
    truth = masked([(390, 400)], 400)
    windows = pd.concat([table(400), table(400, run="1")], ignore_index=True)
    t = np.array([c == "1" for c in truth + "0" * 400])
    p = np.array([c == "1" for c in "0" * 400 + said]) * 1.0
    scores = score_spans(lay_out(windows, t, p, duration=1, stride=1), AT_HALF)
    assert scores["szcore_sensitivity"] == 0
    assert scores["szcore_false_alarms_per_hour"] == pytest.approx(4.5)
    assert BEFORE == 30
