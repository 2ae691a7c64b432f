"""A view is what its windows are, whenever they are asked for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from neurodecode.epochs import epochset
from neurodecode.epochs import view as module
from neurodecode.epochs.epochset import spans
from neurodecode.epochs.view import View

BASE = np.random.default_rng(0).standard_normal((20, 3, 10)).astype(np.float32)
INDEX = np.array([4, 3, 17, 8, 8, 0])


def scaled(x: NDArray[np.float32], where: NDArray[np.intp]) -> NDArray[np.float32]:
    return x * (1 + where[:, None, None]).astype(np.float32)


WHOLE = scaled(BASE[INDEX], INDEX)


@pytest.mark.parametrize("key", [slice(1, 4), [5, 0], np.arange(6) % 2 == 0, slice(None)])
def test_part_of_a_view_is_part_of_the_whole(key: object) -> None:
    view = View(BASE, INDEX).then(scaled)
    np.testing.assert_array_equal(view[key], WHOLE[key])
    np.testing.assert_array_equal(np.asarray(view.take(np.arange(6)[key])), WHOLE[key])


def test_steps_follow_each_other() -> None:
    view = View(BASE, INDEX, (scaled,)).then(lambda x, _: x + 1)
    np.testing.assert_array_equal(np.asarray(view), WHOLE + 1)
    assert (view.shape, len(view), view.nbytes) == ((6, 3, 10), 6, WHOLE.nbytes)


def test_spans_cover_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epochset, "CHUNK", 250)  # two windows
    view = View(BASE, INDEX)
    assert [view[rows].shape[0] for rows in spans(view)] == [2, 2, 2]
    np.testing.assert_array_equal(np.concatenate([view[rows] for rows in spans(view)]), BASE[INDEX])


def test_it_is_held_where_there_is_memory_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    view = View(BASE, INDEX)
    assert isinstance(view.settled(), np.ndarray)
    monkeypatch.setattr(module, "small", lambda n_bytes: False)
    assert view.settled() is view
