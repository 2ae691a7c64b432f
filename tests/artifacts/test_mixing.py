import numpy as np
import pytest

from neurodecode.artifacts.mixing import Convention, mixing_scale
from neurodecode.core.errors import ConfigError, SignalError, UnknownName


@pytest.mark.parametrize(("convention", "power"), [("power", -7.0), ("eegdenoisenet", -14.0)])
def test_the_two_conventions_differ_by_a_factor_of_two(
    convention: Convention, power: float
) -> None:
    scale = mixing_scale(3.0, 0.5, -7.0, convention=convention)
    assert 20 * np.log10(3.0 / (0.5 * scale)) == pytest.approx(power)


def test_decibels_without_a_convention_are_refused() -> None:
    with pytest.raises(TypeError, match="convention"):
        mixing_scale(1.0, 1.0, 0.0)  # type: ignore[call-arg]
    with pytest.raises(UnknownName, match="'eegdenoisenet'"):
        mixing_scale(1.0, 1.0, 0.0, convention="eegdenoise")  # type: ignore[arg-type]


def test_what_cannot_be_mixed_is_said() -> None:
    with pytest.raises(SignalError, match="silent"):
        mixing_scale(1.0, 0.0, 0.0, convention="power")
    with pytest.raises(ConfigError, match="between -60 and 60"):
        mixing_scale(1.0, 1.0, float("nan"), convention="power")
