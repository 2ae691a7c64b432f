from typing import Any, Literal

import pytest

from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.core.options import check_options


def build(
    spec: object,
    *,
    depth: int = 2,
    rate: float = 0.1,
    kind: Literal["a", "b"] = "a",
    band: tuple[float, float] | None = None,
    names: tuple[str, ...] = (),
) -> None: ...


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"depth": 3, "rate": 1, "kind": "b"},
        {"band": [8, 30.0], "names": ["C3", "C4"]},
        {"band": None},
    ],
)
def test_options_that_suit_the_signature_pass(options: dict[str, Any]) -> None:
    check_options(build, options, where="[model]")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depht": 3}, r"No option of \[model\] is called 'depht'. Did you mean 'depth'"),
        ({"depth": 2.5}, r"depth = 2.5 is not a whole number. Its default is 2"),
        ({"depth": True}, "is not a whole number"),
        ({"kind": "c"}, "is not one of 'a', 'b'"),
        ({"band": [8]}, "is not a list of 2"),
        ({"names": "C3"}, "is not a list of values, each a text"),
    ],
)
def test_others_are_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_options(build, options, where="[model]")


def test_an_unknown_option_is_an_unknown_name() -> None:
    with pytest.raises(UnknownName):
        check_options(build, {"x": 1}, where="[model]")
