"""Figures of maps: their numbers, their marks, and what is said where a map fails."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from toy_maps import FREQS, NAMES, TIMES, fold

from neurodecode.core.errors import StoreError
from neurodecode.results.maps import FoldMaps
from neurodecode.show.figures import maps
from neurodecode.show.figures.figure import INK, Figure

FOLDS = [fold("1", 1.0), fold("2", 3.0)]
FAILS = {"verdict": "fails", "reasons": ["Nets with random weights have the same map."]}
DRAW: dict[str, Callable[..., Figure]] = {
    "class_maps": lambda **how: maps.class_maps(FOLDS, "occlusion", **how),
    "subject_maps": lambda **how: maps.subject_maps(FOLDS, "occlusion", "left_hand", **how),
    "time": lambda **how: maps.time_profile(FOLDS, "occlusion", **how),
    "freq": lambda **how: maps.freq_profile(FOLDS, "occlusion", **how),
    **{
        kind: lambda kind=kind, **how: maps.heatmaps(FOLDS, "occlusion", kind, **how)
        for kind in ("chan_time", "chan_freq", "chan_chan")
    },
}


@pytest.mark.parametrize("name", DRAW)
def test_a_map_that_fails_says_so_in_its_title(name: str) -> None:
    assert DRAW[name](verdict=FAILS).title.startswith("FAILS ITS SANITY CHECKS: ")
    for verdict in (None, {"verdict": "holds"}):
        assert "FAILS" not in DRAW[name](verdict=verdict).title


@pytest.mark.parametrize("as_shares", [True, False])
@pytest.mark.parametrize("name", DRAW)
def test_figures_become_svg_png_and_csv(name: str, as_shares: bool) -> None:
    figure = DRAW[name](as_shares=as_shares)
    assert figure.svg().startswith("<svg")
    assert figure.png()[:4] == b"\x89PNG"
    lines = figure.csv().splitlines()
    assert len(lines) == len(figure.table) + 1
    assert "unit" in lines[0]


def test_shares_are_percent_of_a_map_and_values_keep_their_unit() -> None:
    shares = maps.freq_profile(FOLDS, "occlusion").table
    assert set(shares["unit"]) == {"% of the map"}
    np.testing.assert_allclose(shares.groupby("class")["mean"].sum(), 100)
    values = maps.freq_profile(FOLDS, "occlusion", as_shares=False).table
    assert set(values["unit"]) == {"logit"}
    left = values[values["class"] == "left hand"].set_index("freq (Hz)")["mean"]
    assert left.to_dict() == {6.0: 2.0, 10.0: 0.0, 20.0: 0.0, 40.0: 0.0}
    assert values["mean"].min() == -2.0


def test_profiles_have_units_on_their_axes() -> None:
    assert '"Frequency (Hz)"' in maps.freq_profile(FOLDS, "occlusion").chart.to_json()
    assert '"Time from the cue (s)"' in maps.time_profile(FOLDS, "occlusion").chart.to_json()
    recordings = [fold("1", method="erds", unit="dB"), fold("2", method="erds", unit="dB")]
    text = maps.freq_profile(recordings, "erds", as_shares=False).chart.to_json()
    assert '"Power (dB)"' in text


def test_mu_and_beta_are_marked_and_a_true_band_if_it_is_given() -> None:
    words = maps.freq_profile(FOLDS, "occlusion").chart.to_json()
    assert '"mu"' in words
    assert '"beta"' in words
    assert '"true"' not in words
    assert '"true"' in maps.freq_profile(FOLDS, "occlusion", truth=[(9.0, 12.0)]).chart.to_json()


def test_one_subject_has_no_interval_and_no_spread() -> None:
    figure = maps.time_profile(FOLDS[:1], "occlusion")
    assert "interval" not in figure.caption
    assert '"area"' not in figure.chart.to_json()
    assert set(maps.class_maps(FOLDS[:1], "occlusion").table["shown"]) == {""}


def test_several_subjects_have_their_spread_under_their_mean() -> None:
    table = maps.class_maps(FOLDS, "occlusion", as_shares=False).table
    assert list(dict.fromkeys(table["shown"])) == ["mean of 2", "sd over them"]
    spread = table[(table["shown"] == "sd over them") & (table["map"] == "left hand")]
    assert spread["value"].iloc[0] == pytest.approx(np.std([1.0, 3.0], ddof=1))


@pytest.mark.parametrize(("known", "words"), [(1.0, "before the cue"), (0.0, "over classes")])
def test_desynchronisation_says_what_it_is_against(known: float, words: str) -> None:
    about = {"unit": "dB", "signed": True, "facts": {"before_cue": known}}
    recordings = [fold("1", method="erds", methods={"erds": about})]
    assert words in maps.class_maps(recordings, "erds", as_shares=False).caption


def test_a_subjects_map_is_its_own() -> None:
    table = maps.subject_maps(FOLDS, "occlusion", "left_hand", as_shares=False).table
    first = table[table["channel"] == "C3"].set_index("map")["value"]
    assert first.to_dict() == {"1": 1.0, "2": 3.0}


def test_no_more_subjects_than_can_be_seen_and_it_is_said() -> None:
    many = [fold(str(i), kinds=("chan",)) for i in range(30)]
    figure = maps.subject_maps(many, "occlusion", "left_hand")
    assert figure.table["map"].nunique() == maps.MOST_SUBJECTS
    assert f"first {maps.MOST_SUBJECTS} of 30" in figure.caption


def cells(figure: Figure) -> list[Any]:
    assert figure.draw is not None
    return [ax for ax in figure.draw(INK[False]).axes if ax.get_title()]


def test_a_heatmap_has_each_value_at_its_channel_and_frequency() -> None:
    first, second = cells(maps.heatmaps(FOLDS, "occlusion", "chan_freq", as_shares=False))
    image = first.images[0]
    left, right, bottom, top = image.get_extent()
    # Class 0: the first channel, which is the top row, at the lowest frequency, at the left
    assert image.get_array()[0, 0] == 2.0
    assert image.origin == "upper"
    assert (left, right) == pytest.approx((FREQS[0] - 17 / 3, FREQS[-1] + 17 / 3))
    assert (top, bottom) == (-0.5, len(NAMES) - 0.5)
    assert [text.get_text() for text in first.get_yticklabels()] == NAMES
    assert second.images[0].get_array()[-1, -1] == -2.0


def test_between_times_what_attends_goes_up_as_what_is_attended_to_goes_right() -> None:
    one = fold("1", kinds=("chan",))
    one.tensors["occlusion/time_time"] = np.arange(18, dtype=np.float32).reshape(2, 3, 3)
    first, _ = cells(maps.heatmaps([one], "occlusion", "time_time", as_shares=False))
    image = first.images[0]
    left, right, bottom, top = image.get_extent()
    assert (left, right, bottom, top) == pytest.approx((0, 1.5, 0, 1.5))
    assert image.origin == "lower"
    assert image.get_array()[0].tolist() == [0, 1, 2]


def test_times_of_a_heatmap_are_those_of_the_map() -> None:
    first, _ = cells(maps.heatmaps(FOLDS, "occlusion", "chan_time"))
    left, right, *_ = first.images[0].get_extent()
    assert (left, right) == pytest.approx((TIMES[0] - 0.25, TIMES[-1] + 0.25))


def test_four_classes_go_into_two_lines() -> None:
    four = fold("1", kinds=("chan",), classes=["a", "b", "c", "d"])
    four.tensors["occlusion/chan_freq"] = np.ones((4, 5, 4), dtype=np.float32)
    shown = cells(maps.heatmaps([four], "occlusion", "chan_freq"))
    assert len({round(ax.get_position().y0, 2) for ax in shown}) == 2


@pytest.mark.parametrize(("rest", "flat"), [(0.9, True), (0.1, False)])
def test_a_map_in_which_nothing_stands_out_says_so(rest: float, flat: bool) -> None:
    one = fold("1", kinds=("chan",), signed=False)
    one.tensors["occlusion/chan"] = np.array([[1, *[rest] * 4]] * 2, dtype=np.float32)
    one.tensors["occlusion/chan_chan"] = np.full((2, 5, 5), rest, dtype=np.float32)
    one.tensors["occlusion/chan_chan"][:, 0, 0] = 1
    for figure in (
        maps.class_maps([one], "occlusion"),
        maps.heatmaps([one], "occlusion", "chan_chan"),
    ):
        assert ("Nearly flat: the largest is 1." in figure.caption) is flat


def test_patterns_are_those_of_one_fold_in_their_own_scale() -> None:
    one = fold("1", kinds=("chan",))
    one.tensors["occlusion/patterns"] = np.array([[2, 0, 0, 0, -4]], dtype=np.float32)
    table = maps.pattern_maps(one, "occlusion").table
    assert table["value"].tolist() == [0.5, 0, 0, 0, -1]


@pytest.mark.parametrize(
    "draw",
    [
        lambda folds: maps.class_maps(folds, "nothing"),
        lambda folds: maps.time_profile(folds, "nothing"),
        lambda folds: maps.heatmaps(folds, "occlusion", "time_time"),
        lambda folds: maps.pattern_maps(folds[0], "occlusion"),
    ],
)
def test_a_map_that_there_is_not_is_an_error(draw: Callable[[list[FoldMaps]], Figure]) -> None:
    with pytest.raises(StoreError, match=r"No fold has|has no patterns"):
        draw(FOLDS)
