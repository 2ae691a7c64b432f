import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.nn.spiking.timebase import TimeBase


def spec(n_times: int, sfreq: float = 100.0) -> TaskSpec:
    return TaskSpec(ch_names=("Cz",), n_times=n_times, sfreq=sfreq, n_outputs=2)


@given(n_times=st.integers(1, 500), n_steps=st.integers(1, 20), hop=st.integers(1, 9))
def test_parts_are_the_window_in_whole_hops(n_times: int, n_steps: int, hop: int) -> None:
    if n_steps > -(-n_times // hop):
        with pytest.raises(SignalError, match="do not fit"):
            TimeBase.of(spec(n_times), "window", n_steps, hop=hop)
        return
    time = TimeBase.of(spec(n_times), "window", n_steps, hop=hop)
    assert sum(time.lengths) == n_times
    assert time.n_steps == len(time.parts) == n_steps
    assert all(length > 0 for length in time.lengths)
    assert all(edge % hop == 0 for edge in time.edges[:-1])


def test_a_stream_has_a_step_for_each_hop() -> None:
    time = TimeBase.of(spec(103), "stream", 7, hop=10)
    assert time.n_steps == 11
    assert time.lengths == [10] * 10 + [3]
    assert time.dt == pytest.approx(1.03 / 11)


def test_a_repeated_window_is_one_part() -> None:
    time = TimeBase.of(spec(100), "repeat", 4)
    assert time.lengths == [100]
    assert (time.n_steps, time.n_repeats, time.dt) == (4, 4, 1e-3)


def test_steps_of_a_window_last_as_long_as_they_do() -> None:
    assert TimeBase.of(spec(400), "window", 4).dt == pytest.approx(1.0)
    assert TimeBase.of(spec(400, sfreq=200.0), "window", 4).dt == pytest.approx(0.5)


@pytest.mark.parametrize(("mode", "n_steps"), [("windows", 4), ("window", 0)])
def test_a_wrong_choice_is_refused(mode: str, n_steps: int) -> None:
    with pytest.raises(ConfigError):
        TimeBase.of(spec(100), mode, n_steps)  # type: ignore[arg-type]
