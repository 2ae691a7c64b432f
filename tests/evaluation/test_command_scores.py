"""Each figure has a stream of decisions, made by hand, whose answer is known."""

import math

import numpy as np
import pytest

from neurodecode.evaluation.command_scores import (
    COMMAND_METRICS,
    Played,
    Timeline,
    find_commands,
    label_windows,
    score_decisions,
    wolpaw_bits,
    wolpaw_rate,
)
from neurodecode.online.decision import Status

WINDOW, HOP = 2.0, 0.5
EVENTS = [(10.0, 4.0, 0), (20.0, 4.0, 1), (30.0, 4.0, 0), (40.0, 4.0, 1)]


def timeline(events: list[tuple[float, float, int]]) -> Timeline:
    onset, duration, label = np.array(events).reshape(-1, 3).T
    return Timeline(onset=onset, duration=duration, label=label.astype(np.int64))


def play(
    commands: dict[float, int] | None = None,
    *,
    events: list[tuple[float, float, int]] | None = None,
    stop: float = 60.0,
    n_outputs: int = 2,
    guess: int = 0,
) -> Played:
    """A recording of a minute in which every window says `guess`; commands by their time, s."""
    time = np.arange(WINDOW, stop + 1e-9, HOP)
    command = np.full(len(time), -1)
    for at, of in (commands or {}).items():
        command[round((at - WINDOW) / HOP)] = of
    proba = np.full((len(time), n_outputs), 0.2 / (n_outputs - 1))
    proba[:, guess] = 0.8
    return Played(
        time=time,
        proba=proba,
        evidence=proba.copy(),
        command=command,
        status=np.full(len(time), Status.OK),
        events=timeline(EVENTS if events is None else events),
        span=(WINDOW, stop),
    )


def scores(*played: Played, n_classes: int = 2, rest: int | None = None) -> dict[str, float]:
    return score_decisions(played, n_classes=n_classes, window=WINDOW, rest=rest)


@pytest.mark.parametrize(
    ("n", "accuracy", "seconds", "bits"),
    [(2, 0.75, 2, 5.7), (2, 0.90, 4, 8.0), (3, 0.717, 2, 13.3), (4, 0.70, 4, 9.6),
     (4, 0.80, 4, 14.4)],
)  # fmt: skip
def test_information_is_that_of_wolpaw(
    n: int, accuracy: float, seconds: float, bits: float
) -> None:
    """Upper bounds known for some accuracies and times, in bits per minute."""
    # 13.27 and 14.415 are those of the formula; tables round them
    assert wolpaw_rate(n, accuracy, seconds) == pytest.approx(bits, abs=0.05)


def test_certainty_is_all_bits_and_chance_is_none() -> None:
    assert wolpaw_bits(8, 1.0) == 3
    assert wolpaw_bits(4, 0.25) == 0
    assert wolpaw_bits(4, 0.2501) == pytest.approx(0, abs=1e-6)
    assert math.isnan(wolpaw_bits(1, 1.0))


@pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.49])
def test_below_chance_there_is_no_information(accuracy: float) -> None:
    assert wolpaw_bits(2, accuracy) == 0


def test_the_first_command_in_an_event_is_what_counts() -> None:
    """Right, wrong before right, none, right: 3 decided of 4, 2 of them right."""
    s = scores(play({12: 0, 12.5: 1, 21: 0, 22: 1, 43: 1}))
    assert (s["n_events"], s["n_commands"]) == (4, 5)
    assert s["command_accuracy"] == pytest.approx(2 / 3)
    assert s["tpr"] == pytest.approx(2 / 4)


def test_the_time_to_decision_is_that_of_right_first_commands() -> None:
    s = scores(play({12: 0, 20.5: 0, 31: 0, 43.5: 1}))
    assert s["time_to_decision"] == pytest.approx(np.median([2, 1, 3.5]))


def test_commands_outside_events_are_false_positives_per_minute_of_background() -> None:
    """A minute less the first window and four events of 4 s: 42 s."""
    s = scores(play({5: 1, 12: 0, 16: 0, 50: 0}))
    assert s["background_min"] == pytest.approx(42 / 60)
    assert s["fp_per_min"] == pytest.approx(3 / (42 / 60))


def test_a_command_at_the_end_of_an_event_is_in_it_and_one_at_its_onset_is_not() -> None:
    s = scores(play({10: 0, 24: 1}))
    assert s["tpr"] == pytest.approx(1 / 4)
    assert s["fp_per_min"] == pytest.approx(1 / (42 / 60))


def test_a_command_between_events_without_a_pause_is_about_the_first() -> None:
    found = find_commands(play({14: 0}, events=[(10, 4, 0), (14, 4, 1)]), None)
    assert found.first.tolist() == [0, -1]
    assert found.n_outside == 0


def test_an_event_without_a_command_costs_all_its_time() -> None:
    """Three right ones after 2 s each and one without: 10 s for three selections."""
    s = scores(play({12: 0, 22: 1, 32: 0}))
    assert s["command_accuracy"] == 1
    assert s["itr"] == pytest.approx(60 * 1 / (10 / 3))
    assert scores(play({12: 0, 22: 1, 32: 0, 42: 1}))["itr"] == pytest.approx(60 / 2)


def test_one_who_never_commands_conveys_nothing_and_disturbs_nobody() -> None:
    s = scores(play())
    assert (s["itr"], s["tpr"], s["fp_per_min"], s["n_commands"]) == (0, 0, 0, 0)
    assert math.isnan(s["command_accuracy"])
    assert math.isnan(s["time_to_decision"])


def test_one_who_is_always_wrong_conveys_nothing() -> None:
    s = scores(play({12: 1, 22: 0, 32: 1, 42: 0}))
    assert (s["itr"], s["tpr"], s["command_accuracy"]) == (0, 0, 0)


def test_windows_count_for_the_event_that_their_last_half_lies_in() -> None:
    time = np.array([9.0, 10.5, 11.0, 14.0, 14.5, 15.0, 15.5])
    events = timeline([(10.0, 4.0, 1)])
    assert label_windows(time, 2.0, events, None).tolist() == [-1, -1, 1, 1, -1, -1, -1]
    assert label_windows(time, 2.0, events, 0).tolist() == [0, -1, 1, 1, -1, 0, 0]


def test_events_of_rest_are_background() -> None:
    time, events = np.array([11.5, 12.5, 21.5, 22.5]), [(10.0, 4.0, 2), (20.0, 4.0, 1)]
    assert label_windows(time, 2.0, timeline(events), 2).tolist() == [2, 2, 1, 1]
    s = scores(play({12: 0, 22: 1}, events=events, n_outputs=3), n_classes=3, rest=2)
    assert (s["n_events"], s["tpr"]) == (1, 1)
    assert s["fp_per_min"] == pytest.approx(1 / (54 / 60))


def test_rest_is_no_choice_that_carries_bits() -> None:
    """Two of three classes are commanded: a bit each 2 s."""
    commands = {12: 0, 22: 1, 32: 0, 42: 1}
    assert scores(play(commands, n_outputs=3), n_classes=3, rest=2)["itr"] == pytest.approx(30)
    three = scores(play(commands, n_outputs=3), n_classes=3)["itr"]
    assert three == pytest.approx(30 * math.log2(3))


def test_windows_are_scored_by_their_own_probabilities_and_by_the_evidence() -> None:
    """Who always says the first class is right in half the classes."""
    played = play(guess=0)
    assert scores(played)["balanced_accuracy"] == 0.5
    truth = label_windows(played.time, WINDOW, played.events, None)
    played.evidence[truth >= 0] = np.eye(2)[truth[truth >= 0]]
    s = scores(played)
    assert (s["balanced_accuracy"], s["evidence_accuracy"]) == (0.5, 1)
    assert s["itr_window"] == 0


def test_always_resting_is_right_about_the_background_only() -> None:
    s = scores(play(guess=2, n_outputs=3), n_classes=3, rest=2)
    assert s["balanced_accuracy"] == pytest.approx(1 / 3)


def test_windows_that_are_all_right_convey_a_bit_each() -> None:
    played = play()
    truth = label_windows(played.time, WINDOW, played.events, None)
    played.proba[truth >= 0] = np.eye(2)[truth[truth >= 0]]
    assert scores(played)["itr_window"] == pytest.approx(60 / WINDOW)


def test_decisions_that_are_not_valid_are_not_scored_and_are_counted() -> None:
    played = play(guess=1)
    in_first = (played.time > 10) & (played.time <= 14)
    played.proba[in_first] = played.evidence[in_first] = np.nan
    for status in (Status.STALE, Status.GAP, Status.BAD_CHANNELS):
        played.status[in_first] = status
        s = scores(played)
        assert s["valid"] == pytest.approx(1 - in_first.mean())
        assert s["balanced_accuracy"] == s["evidence_accuracy"] == 0.5  # the third is still there
    played.status[played.time > 50] = Status.ABSTAIN
    assert scores(played)["abstained"] == pytest.approx(20 / (117 - 8))


def test_recordings_are_pooled() -> None:
    """Each keeps its own time: what one commands is nothing to another's events."""
    a, b = play({12: 0, 22: 1, 50: 0}), play({5: 0}, events=[(10, 4, 1)], stop=30.0)
    s = scores(a, b)
    assert (s["n_events"], s["n_commands"]) == (5, 4)
    assert s["tpr"] == pytest.approx(2 / 5)
    assert s["background_min"] == pytest.approx((42 + 24) / 60)
    assert s["fp_per_min"] == pytest.approx(2 / (66 / 60))


def test_background_is_what_is_left_where_events_overlap_or_reach_over_the_ends() -> None:
    """From 2 to 60 s less 2 to 4, 10 to 16 and 58 to 60; what lies wholly outside is no event."""
    events = [(0, 4, 0), (10, 4, 0), (11, 1, 1), (12, 4, 1), (58, 9, 1), (-3, 4, 0), (70, 4, 1)]
    found = find_commands(play(events=[(float(a), float(b), c) for a, b, c in events]), None)
    assert found.background == pytest.approx(58 - 2 - 6 - 2)
    assert len(found.label) == 5
    assert found.wait.tolist() == [4, 4, 1, 4, 2]


def test_the_order_in_which_events_are_written_down_is_nothing() -> None:
    commands = {5: 1, 12: 0, 21: 0, 31: 0, 43: 1}
    events = [(10.0, 6.0, 0), (11.0, 2.0, 1), (20.0, 4.0, 1), (30.0, 4.0, 0)]
    assert scores(play(commands, events=events[::-1])) == scores(play(commands, events=events))


def test_a_recording_of_nothing_but_background_has_false_positives_only() -> None:
    s = scores(play({5: 0, 9: 1}, events=[]))
    assert s["fp_per_min"] == pytest.approx(2 / (58 / 60))
    missing = {n for n, value in s.items() if math.isnan(value)}
    assert {"tpr", "command_accuracy", "itr", "time_to_decision", "balanced_accuracy"} <= missing


def test_a_recording_without_background_has_no_false_positives_to_count() -> None:
    assert math.isnan(scores(play(events=[(0.0, 60.0, 0)]))["fp_per_min"])


def test_every_score_is_described() -> None:
    s = scores(play({12: 0}))
    about = {"balanced_accuracy", "n_events", "n_commands", "background_min"}
    assert set(s) == set(COMMAND_METRICS) | about
    assert all(isinstance(value, float) for value in s.values())


def test_other_times_and_names_change_no_score() -> None:
    """Shifting a recording, or swapping its classes, leaves everything as it was."""
    a = play({5: 1, 12: 0, 21: 0, 31: 0, 43: 1})
    shifted = Played(
        time=a.time + 1e6,
        proba=a.proba,
        evidence=a.evidence,
        command=a.command,
        status=a.status,
        events=Timeline(
            onset=a.events.onset + 1e6, duration=a.events.duration, label=a.events.label
        ),
        span=(WINDOW + 1e6, 60 + 1e6),
    )
    swapped = Played(
        time=a.time,
        proba=a.proba[:, ::-1],
        evidence=a.evidence[:, ::-1],
        command=np.where(a.command >= 0, 1 - a.command, -1),
        status=a.status,
        events=Timeline(onset=a.events.onset, duration=a.events.duration, label=1 - a.events.label),
        span=a.span,
    )
    assert scores(shifted) == pytest.approx(scores(a))
    assert scores(swapped) == pytest.approx(scores(a))
