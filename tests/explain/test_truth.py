"""Do maps of simulated recordings find what was put in?"""

import numpy as np
import pytest

from neurodecode.explain.truth import against_truth, mean_truth, neighbours
from neurodecode.explain.windows import Axes, Maps
from neurodecode.recordings.synthetic import Synthetic
from neurodecode.results.maps import mean_share

PEOPLE = Synthetic(n_subjects=1, n_sessions=1, n_trials=4, cache=False)


@pytest.fixture(scope="module")
def truth() -> object:
    return PEOPLE.truth(1)["0"]["0"]


@pytest.fixture(scope="module")
def positions(truth: object) -> np.ndarray:
    raw = truth.raw()
    return np.array([ch["loc"][:3] for ch in raw.info["chs"]])


@pytest.fixture
def axes(truth: object) -> Axes:
    return Axes(
        classes=("left_hand", "right_hand"), ch_names=truth.ch_names, sfreq=128.0, n_times=512
    )


def one(axes: Axes, name: str, freq: float) -> Maps:
    """A map with everything at one electrode and frequency, but for a little elsewhere."""
    chan = np.full((2, len(axes.ch_names)), 0.01)
    chan[:, axes.ch_names.index(name)] = 1
    spectrum = np.full((2, len(axes.freqs)), 0.01)
    spectrum[:, int(np.abs(axes.freqs - freq).argmin())] = 1
    kinds = {"chan": chan.astype(np.float32), "freq": spectrum.astype(np.float32)}
    return Maps(kinds=kinds, unit="share")


def test_next_to_c3_are_the_four_around_it(axes: Axes, positions: np.ndarray) -> None:
    near = neighbours({"C3"}, axes.ch_names, positions)
    found = {name for name, inside in zip(axes.ch_names, near, strict=True) if inside}
    assert {"C3", "C1", "C5"} <= found <= {"C3", "C1", "C5", "FC3", "CP3"}


@pytest.mark.parametrize(
    ("name", "freq", "hits"),
    [("C3", 11, (1, 1)), ("C5", 11, (1, 1)), ("C4", 6, (1, 0)), ("Pz", 11, (0, 1)),
     ("Cz", 35, (0, 0))],
)  # fmt: skip
def test_hits_are_near_a_source_and_in_its_band(
    truth: object, axes: Axes, positions: np.ndarray, name: str, freq: float, hits: tuple[int, int]
) -> None:
    found = against_truth(one(axes, name, freq), axes, positions, truth.sources)
    assert (found["chan_hit"], found["band_hit"]) == hits


def test_a_flat_map_has_the_mass_that_is_expected(
    truth: object, axes: Axes, positions: np.ndarray
) -> None:
    flat = Maps(kinds={"chan": np.ones((2, 22), np.float32)}, unit="share")
    found = against_truth(flat, axes, positions, truth.sources)
    assert found["chan_mass"] == pytest.approx(found["chan_expected"])
    assert "band_hit" not in found


def test_the_sign_of_a_map_does_not_hide_its_mass() -> None:
    np.testing.assert_allclose(mean_share(np.array([[3.0, -1], [-3, 1]])), [0.75, 0.25])


def test_classes_without_a_window_do_not_dilute_the_others() -> None:
    np.testing.assert_allclose(mean_share(np.array([[3.0, 1], [np.nan, np.nan]])), [0.75, 0.25])


def test_means_are_over_subjects() -> None:
    found = mean_truth([{"chan_hit": 1.0, "chan_mass": 0.6}, {"chan_hit": 0.0, "chan_mass": 0.4}])
    assert found == {"chan_hits": 0.5, "chan_mass": pytest.approx(0.5), "n": 2}
