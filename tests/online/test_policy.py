"""When a command is given, and when none."""

import math

import numpy as np
import pytest

from neurodecode.core.errors import ConfigError
from neurodecode.online.evidence.bayes import Bayes
from neurodecode.online.evidence.dwell import Dwell
from neurodecode.online.evidence.none import Newest
from neurodecode.online.evidence.smooth import Smooth
from neurodecode.online.policy import Policy, PolicyState, Verdict

LEFT, RIGHT, REST = np.array([0.8, 0.1, 0.1]), np.array([0.1, 0.8, 0.1]), np.array([0.1, 0.1, 0.8])
UNSURE = np.array([0.4, 0.3, 0.3])


def hear(policy: Policy, proba: list[np.ndarray | None], dt: float = 0.1) -> list[Verdict]:
    state, found = policy.start(), []
    for p in proba:
        verdict, state = policy.step(p, dt, state)
        found.append(verdict)
    return found


def commands(policy: Policy, proba: list[np.ndarray | None], dt: float = 0.1) -> dict[int, int]:
    """What was commanded, by the number of the window."""
    heard = hear(policy, proba, dt)
    return {i: verdict.command for i, verdict in enumerate(heard) if verdict.command >= 0}


def test_by_default_something_is_always_commanded_once_a_second() -> None:
    policy = Policy(accumulator=Newest())
    assert commands(policy, [UNSURE] * 25) == {0: 0, 10: 0, 20: 0}
    assert not any(verdict.abstain for verdict in hear(policy, [UNSURE] * 25))


def test_without_a_refractory_time_every_window_commands() -> None:
    assert len(commands(Policy(accumulator=Newest(), refractory=0.0), [LEFT] * 7)) == 7


def test_under_the_threshold_it_abstains() -> None:
    policy = Policy(accumulator=Newest(), threshold=0.6)
    heard = hear(policy, [UNSURE, LEFT, UNSURE])
    assert [verdict.abstain for verdict in heard] == [True, False, True]
    assert [verdict.command for verdict in heard] == [-1, 0, -1]
    np.testing.assert_array_equal(heard[0].evidence, UNSURE)


def test_evidence_as_large_as_the_threshold_is_enough() -> None:
    dwell = Policy(accumulator=Dwell(duration=1.0), threshold=1.0)
    assert commands(dwell, [LEFT] * 12) == {9: 0}  # ten times 0.1 s, whatever they add up to
    most = Policy(accumulator=Dwell(duration=1.0), threshold=0.8)
    assert commands(most, [RIGHT] * 2 + [LEFT] * 8) == {9: 0}  # 8 of 10, less 1e-16
    assert commands(Policy(accumulator=Newest(), threshold=0.8), [LEFT]) == {0: 0}


def test_rest_is_decided_and_not_commanded() -> None:
    policy = Policy(accumulator=Newest(), threshold=0.5, rest=2)
    heard = hear(policy, [REST, REST, RIGHT])
    assert [verdict.command for verdict in heard] == [-1, -1, 1]
    assert not heard[0].abstain


def test_after_a_command_evidence_is_gathered_anew() -> None:
    """The command comes after 0.5 s, and the next not before another 0.5 s of its own windows."""
    policy = Policy(accumulator=Dwell(duration=0.5), threshold=1.0, refractory=0.2)
    assert commands(policy, [LEFT] * 15) == {4: 0, 9: 0, 14: 0}
    heard = hear(policy, [LEFT] * 6)
    assert heard[4].evidence[0] == pytest.approx(1)
    assert heard[5].evidence[0] == pytest.approx(0.2 + 0.8 / 3)


def test_in_the_refractory_time_evidence_is_gathered_for_what_follows() -> None:
    policy = Policy(accumulator=Dwell(duration=0.5), threshold=1.0, refractory=1.0)
    assert commands(policy, [LEFT] * 5 + [RIGHT] * 10) == {4: 0, 14: 1}


@pytest.mark.parametrize("nothing", [None, np.full(3, np.nan), np.array([0.5, np.inf, 0.0])])
def test_what_cannot_be_trusted_commands_nothing_and_is_not_remembered(
    nothing: np.ndarray | None,
) -> None:
    policy = Policy(accumulator=Dwell(duration=0.5), threshold=1.0)
    heard = hear(policy, [LEFT] * 4 + [nothing] + [LEFT] * 5)
    assert [verdict.command for verdict in heard] == [-1] * 9 + [0]
    assert heard[4].abstain
    assert heard[4].evidence.shape == (3,)
    assert np.isnan(heard[4].evidence).all()


def test_the_refractory_time_goes_on_while_nothing_can_be_trusted() -> None:
    policy = Policy(accumulator=Newest(), refractory=1.0)
    assert commands(policy, [LEFT, *[None] * 9, LEFT]) == {0: 0, 10: 0}
    assert commands(policy, [LEFT, *[None] * 7, LEFT, LEFT]) == {0: 0}


@pytest.mark.parametrize("accumulator", [Newest(), Dwell(), Bayes(), Smooth()])
def test_the_state_handed_in_is_good_for_another_future(accumulator: Newest) -> None:
    policy = Policy(accumulator=accumulator, threshold=0.5)
    _, state = policy.step(LEFT, 0.1, policy.start())
    after = [policy.step(p, 0.1, state)[0].evidence for p in (RIGHT, LEFT, RIGHT)]
    np.testing.assert_array_equal(after[0], after[2])
    assert isinstance(state, PolicyState)


@pytest.mark.parametrize(
    "choice",
    [{"threshold": -0.1}, {"threshold": 1.1}, {"threshold": math.nan}, {"refractory": -1.0},
     {"refractory": math.inf}, {"rest": -1}],
)  # fmt: skip
def test_impossible_numbers_are_refused_in_a_line(choice: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(choice))) as caught:
        Policy(accumulator=Newest(), **choice)
    assert "\n" not in str(caught.value)
