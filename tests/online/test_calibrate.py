"""Cues become the windows that the decoder would have been fitted to, or are said and not taken."""

from typing import Any

import mne
import numpy as np
import pytest

from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.epochs.windows import cut_windows
from neurodecode.online.calibrate import Collector
from neurodecode.online.cues import (
    ConsoleCues,
    Cue,
    MarkerCues,
    Outcome,
    Pace,
    Scene,
    parse_labels,
)
from neurodecode.online.pipeline import LivePipeline
from neurodecode.online.policy import NO_COMMAND
from neurodecode.preprocess.chain import finish, prepare
from neurodecode.recordings.synthetic import Synthetic

SFREQ, N_TIMES, OFFSET = 128.0, 128, 0.5
NAMES = ("F3", "C3", "Cz", "C4", "Pz", "Oz")
CLASSES = ("left", "right")


def recording(seconds: float = 30.0) -> mne.io.BaseRaw:
    data = Synthetic(n_subjects=1, n_sessions=1, n_trials=6, sfreq=SFREQ, ch_names=NAMES)
    raw = next(iter(next(iter(data.get_data([1])[1].values())).values()))
    return raw.pick(NAMES).crop(0, seconds - 1 / SFREQ, verbose="ERROR").load_data()


RAW = recording()
X = RAW.get_data()


def collector(**more: Any) -> Collector:
    how = {"band": (8.0, 32.0), "notch": 50.0, "reference": "average", **more}
    return Collector(
        LivePipeline(
            ch_names=NAMES,
            classes=CLASSES,
            sfreq=SFREQ,
            n_times=N_TIMES,
            offset=OFFSET,
            align="euclidean:causal",
            gain=7.0,  # neither of them is in the windows
            scorer=None,  # type: ignore[arg-type]  # it is not asked
            **how,
        )
    )


def play(
    one: Collector,
    cues: list[Cue],
    *,
    x: np.ndarray = X,
    chunk: int = 10,
    late: float = 0.0,
    stamps: np.ndarray | None = None,
) -> list[Outcome]:
    """Outcomes of cues that are told with the chunk that reaches them, or later."""
    engine = one.make_engine(SFREQ, max_age=5.0)
    stamps = 100 + np.arange(x.shape[1]) / SFREQ if stamps is None else stamps
    waiting, said = list(cues), []
    for i in range(0, x.shape[1], chunk):
        part = slice(i, i + chunk)
        for cue in [c for c in waiting if c.stamp + late <= stamps[part][-1]]:
            waiting.remove(cue)
            said.append(one.cue(cue))
        decisions = engine.push(x[:, part], stamps[part], now=float(stamps[part][-1]))
        assert all(d.command == NO_COMMAND for d in decisions)  # nobody is to act on a keeper
        said += [one.decided(d.newest, d.status, d.bad, d.latency) for d in decisions]
    return [outcome for outcome in said if outcome is not None]


CUES = [Cue(0, 104.0), Cue(1, 108.003), Cue(1, 112.25), Cue(0, 120.5)]


@pytest.mark.parametrize("chunk", [1, 7, 10, 300])
@pytest.mark.parametrize("late", [0.0, 0.9])
def test_windows_are_those_that_are_cut_offline(chunk: int, late: float) -> None:
    said = play(collector(), CUES, chunk=chunk, late=late)
    ready = prepare(RAW.copy(), notch=50.0, filter="causal")
    ready = finish(ready, band=(8.0, 32.0), filter="causal", resample=SFREQ, reference="average")
    starts = np.round([(cue.stamp - 100 + OFFSET) * SFREQ for cue in CUES]).astype(int)
    wanted = cut_windows(ready.get_data(), starts, n_times=N_TIMES, sfreq=SFREQ)
    assert [outcome.cue for outcome in said] == CUES
    found = np.array([outcome.x for outcome in said])
    assert np.abs(wanted).max() > 1  # microvolts
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())


def test_a_gap_loses_the_window_it_is_in_and_no_other() -> None:
    kept = np.r_[0:1100, 1110 : X.shape[1]]  # 108.59 to 108.67 s are missing
    stamps = 100 + kept / SFREQ
    said = play(collector(), CUES, x=X[:, kept], stamps=stamps)
    taken = {outcome.cue for outcome in said if outcome.x is not None}
    assert taken == {CUES[0], CUES[2], CUES[3]}
    (lost,) = [outcome for outcome in said if outcome.x is None]
    assert lost.cue == CUES[1]
    assert "missing" in lost.why


def test_cues_in_the_first_moments_of_a_stream_are_not_taken() -> None:
    said = play(collector(), [Cue(0, 99.6), *CUES])
    assert said[0].cue.stamp == 99.6
    assert said[0].x is None
    assert all(outcome.x is not None for outcome in said[1:])


def test_a_channel_that_stands_still_is_named() -> None:
    x = X.copy()
    x[3, 1050:1200] = x[3, 1050]
    said = play(collector(), CUES, x=x)
    bad = [outcome for outcome in said if outcome.x is None]
    assert [outcome.cue for outcome in bad] == [CUES[1]]
    assert bad[0].why == "C4 is flat"


def test_a_window_that_is_too_large_is_named() -> None:
    x = X.copy()
    x[1, 1100:1140] += 1e-3 * np.sin(np.arange(40))
    said = play(collector(reject=100.0), CUES, x=x)
    bad = {outcome.cue: outcome.why for outcome in said if outcome.x is None}
    assert "C3 is too large" in bad[CUES[1]]


def test_samples_that_come_too_late_are_not_taken() -> None:
    one = collector()
    engine = one.make_engine(SFREQ, max_age=1.0)
    stamps = np.arange(X.shape[1]) / SFREQ
    one.cue(Cue(0, 5.0))
    (decision,) = engine.push(X, stamps, now=40.0)
    outcome = one.decided(decision.newest, decision.status, decision.bad, decision.latency)
    assert outcome is not None
    assert outcome.x is None
    assert outcome.why == "samples came 33.5 s late"


@pytest.mark.parametrize(("stamp", "words"), [(1.7e9, "ahead of"), (3.0, "behind")])
def test_the_time_of_another_clock_is_told(stamp: float, words: str) -> None:
    one = collector()
    engine = one.make_engine(SFREQ)
    engine.push(X[:, :1000], 100 + np.arange(1000) / SFREQ, now=107.0)
    outcome = one.cue(Cue(1, stamp))
    assert outcome is not None
    assert words in outcome.why
    assert "local_clock" in outcome.why
    assert one.open == []
    assert engine.push(X[:, 1000:1010], 100 + np.arange(1000, 1010) / SFREQ, now=107.0) == []


def test_a_cue_that_is_told_too_late_takes_no_other_window_with_it() -> None:
    late = Cue(1, 102.0)
    one = collector()
    engine = one.make_engine(SFREQ, max_age=5.0)
    stamps = 100 + np.arange(X.shape[1]) / SFREQ
    said = []
    assert one.cue(CUES[0]) is None  # its window ends with sample 704
    for part in (slice(0, 700), slice(700, 730), slice(730, 900)):
        if part.start == 700:
            assert one.cue(late) is None
        decisions = engine.push(X[:, part], stamps[part], now=float(stamps[part][-1]))
        said += [one.decided(d.newest, d.status, d.bad, d.latency) for d in decisions]
    assert [outcome and outcome.cue for outcome in said] == [late, CUES[0]]
    assert [outcome is not None and outcome.x is not None for outcome in said] == [False, True]


def test_a_window_lost_by_a_reconnection_is_told_and_its_cue_is_over() -> None:
    one = collector()
    engine = one.make_engine(SFREQ)
    stamps = 100 + np.arange(X.shape[1]) / SFREQ
    one.cue(CUES[0])
    engine.push(X[:, :640], stamps[:640], now=105.0)  # its window has begun
    engine.reset()
    (decision,) = engine.push(X[:, 700:1000], stamps[700:1000], now=107.0)
    outcome = one.decided(decision.newest, decision.status)
    assert outcome is not None
    assert (outcome.cue, outcome.x) == (CUES[0], None)
    assert "missing" in outcome.why


def test_another_engine_owes_nothing_for_the_cues_of_the_one_before() -> None:
    one = collector()
    one.make_engine(SFREQ)
    one.cue(CUES[0])
    assert [outcome.cue for outcome in one.give_up()] == [CUES[0]]
    assert one.give_up() == []


class Theatre:
    """A console on a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0
        self.scenes: list[tuple[float, Scene, str]] = []
        self.published: list[tuple[str, float]] = []

    def show(self, scene: Scene, text: str) -> None:
        self.now += 0.01  # drawing takes time; a cue's time is when it is on the screen
        self.scenes.append((self.now, scene, text))

    def cues(self, wanted: tuple[int, ...], seed: int = 0) -> ConsoleCues:
        return ConsoleCues(
            CLASSES,
            wanted,
            hold=2.0,
            show=self.show,
            publish=lambda word, stamp: self.published.append((word, stamp)),
            seed=seed,
            pace=Pace(begin=1.0, fixation=0.5, pause=(0.2, 0.4)),
            clock=lambda: self.now,
        )

    def run(self, cues: ConsoleCues, refuse: tuple[int, ...] = ()) -> list[Cue]:
        """All cues until it is done; those with these numbers are not taken."""
        given: list[Cue] = []
        due: list[tuple[float, Cue]] = []
        while not cues.done:
            for cue in cues.step(True):
                due.append((self.now + 2.05, cue))
                given.append(cue)
            while due and due[0][0] <= self.now:
                cue = due.pop(0)[1]
                x = None if given.index(cue) in refuse else np.zeros((1, 1), dtype=np.float32)
                cues.over(Outcome(cue, x))
            self.now += 0.05
            assert self.now < 1000
        return given


def test_cues_are_balanced_in_every_round_and_shuffled_by_the_seed() -> None:
    orders = []
    for seed in (0, 0, 1):
        one = Theatre()
        given = [cue.label for cue in one.run(one.cues((20, 20), seed))]
        assert all({a, b} == {0, 1} for a, b in zip(given[::2], given[1::2], strict=True))
        orders.append(given)
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0] != [0, 1] * 20


def test_a_cue_comes_after_a_fixation_and_its_time_is_that_of_the_screen() -> None:
    one = Theatre()
    given = one.run(one.cues((3, 3)))
    shown = [(now, text) for now, scene, text in one.scenes if scene == "cue"]
    assert [now for now, _ in shown] == [cue.stamp for cue in given]
    assert one.published == [(text, now) for now, text in shown]
    kinds = [scene for _, scene, _ in one.scenes]
    assert kinds[:4] == ["begin", "fixation", "cue", "pause"]
    assert kinds.count("fixation") == kinds.count("cue") == 6
    for (a, first, _), (b, then, _) in zip(one.scenes, one.scenes[1:], strict=False):
        least = {"begin": 1.0, "fixation": 0.5, "cue": 2.0, "pause": 0.2}[first]
        assert b - a >= least, (first, then)


def test_what_was_not_taken_comes_again_at_the_end() -> None:
    one = Theatre()
    given = one.run(one.cues((2, 2)), refuse=(0, 3, 4))
    assert len(given) == 7
    assert [given[4].label, given[5].label] == [given[0].label, given[3].label]
    assert given[6].label == given[4].label
    assert one.scenes[-1][1] in ("cue", "pause")


def test_no_cue_is_given_while_the_signal_does_not_flow() -> None:
    one = Theatre()
    cues = one.cues((1, 1))
    for _ in range(100):
        assert cues.step(False) == []
        one.now += 0.1
    assert [scene for _, scene, _ in one.scenes] == ["begin"]
    cues.step(True)
    one.now += 0.1
    assert one.scenes[-1][1] == "fixation"
    one.now += 5
    assert cues.step(False) == []  # it broke off meanwhile
    assert one.scenes[-1][1] == "pause"


def test_markers_are_taken_by_their_labels_until_there_are_enough() -> None:
    heard = [("769", 1.0), ("768", 1.0), ("right", 2.0), ("769", 3.0), ("770", 4.0)]
    cues = MarkerCues(lambda: [heard.pop(0)] if heard else [], {"769": 0, "right": 1}, (1, 1))
    given = [cue for _ in range(6) for cue in cues.step(True)]
    assert given == [Cue(0, 1.0), Cue(1, 2.0)]  # a window of the left is on its way already
    assert cues.ignored == {"768": 1, "769": 1, "770": 1}
    cues.over(Outcome(given[0], None, "flat"))
    cues.over(Outcome(given[1], np.zeros((1, 1), dtype=np.float32)))
    assert not cues.done
    heard.append(("769", 9.0))
    (again,) = cues.step(True)
    cues.over(Outcome(again, np.zeros((1, 1), dtype=np.float32)))
    assert cues.done


def test_labels_are_read_and_mistakes_are_told() -> None:
    assert parse_labels(None, CLASSES) == {"left": 0, "right": 1}
    assert parse_labels("left=769, left=7", CLASSES) == {"769": 0, "7": 0, "right": 1}
    with pytest.raises(ConfigError, match="does not say which marker"):
        parse_labels("left", CLASSES)
    with pytest.raises(UnknownName, match="No class of this decoder is called 'lft'. Did you"):
        parse_labels("lft=1", CLASSES)
    with pytest.raises(ConfigError, match="cannot stand for two classes"):
        parse_labels("left=1,right=1", CLASSES)
