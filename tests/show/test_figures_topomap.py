"""Scalp maps: what is drawn between electrodes, which are left out, and how a map is coloured."""

from dataclasses import replace

import matplotlib.colors
import numpy as np
import pytest

from neurodecode.recordings.montage import CENTRE, cap_1005
from neurodecode.show.figures import topomap
from neurodecode.show.figures.figure import INK, Figure
from neurodecode.show.figures.topomap import SIDE, Strip, flat_head, interpolation, scalp_maps
from neurodecode.signal.sphere import on_sphere

NAMES = ("Fz", "C3", "Cz", "C4", "Pz", "FC1", "FC2", "CP1", "CP2", "Oz")


def places(names: tuple[str, ...] = NAMES) -> np.ndarray:
    cap = cap_1005().get_positions()["ch_pos"]
    return np.array([cap[name] for name in names])


def flat(names: tuple[str, ...] = NAMES) -> np.ndarray:
    return flat_head(on_sphere(places(names), np.array(CENTRE)))


def drawn(strips: list[Strip], names: tuple[str, ...] = NAMES, positions: object = None) -> Figure:
    where = places() if positions is None else positions
    return scalp_maps(strips, ch_names=names, positions=where, name="maps", title="Maps")


def test_the_top_of_the_head_is_the_middle_and_the_nose_is_up() -> None:
    directions = np.array([[0, 0, 1.0], [0, 1, 0], [1, 0, 0], [0, -1, 0]])
    np.testing.assert_allclose(flat_head(directions), [[0, 0], [0, 1], [1, 0], [0, -1]], atol=1e-12)


def test_the_right_hand_is_read_on_the_left_of_the_head() -> None:
    x = dict(zip(NAMES, flat(), strict=True))
    assert x["C3"][0] < 0 < x["C4"][0]
    assert x["Fz"][1] > x["Cz"][1] > x["Oz"][1]


def test_a_map_has_its_values_at_the_electrodes() -> None:
    points, radius = flat(), 1.2
    values = np.random.default_rng(0).standard_normal(len(points))
    surface = (interpolation(points.tobytes(), radius) @ values).reshape(SIDE, SIDE)
    step = 2 * radius / (SIDE - 1)
    for (x, y), value in zip(points, values, strict=True):
        column, row = round((x + radius) / step), round((y + radius) / step)
        near = surface[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        assert near.min() - 0.15 <= value <= near.max() + 0.15


def test_the_same_everywhere_is_the_same_between_electrodes() -> None:
    matrix = interpolation(flat().tobytes(), 1.2)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)


def test_two_electrodes_at_one_place_share_it() -> None:
    points = np.vstack([flat(), flat()[:1]])
    matrix = interpolation(points.tobytes(), 1.2)
    values = np.r_[np.zeros(len(points) - 1), 1.0]
    assert np.abs(matrix @ values).max() < 2


def test_colours_of_signed_maps_meet_at_0_and_others_begin_there() -> None:
    index = np.arange(3)
    signed = Strip(values={"a": [-3, 0, 1], "b": [0, 0, 2]}, unit="dB", signed=True)
    assert signed.limits(index) == (-3, 3)
    assert Strip(values={"a": [1, 2, 5]}, unit="%").limits(index) == (0, 5)
    assert Strip(values={"a": [0, 0, 0]}, unit="%").limits(index) == (0, 1)


def test_channels_without_a_position_are_left_out_and_named() -> None:
    where = places()
    where[2] = np.nan
    figure = drawn([Strip(values={"left": np.arange(10.0)}, unit="%")], positions=where)
    assert "left out: Cz." in figure.caption
    assert len(figure.table) == 10  # its numbers are not lost
    assert figure.svg().startswith("<svg")


@pytest.mark.parametrize("positions", [None, "three"])
def test_too_few_positions_are_drawn_as_bars(positions: str | None) -> None:
    where = None
    if positions:
        where = places()
        where[3:] = np.nan
    figure = scalp_maps(
        [Strip(values={"left": np.arange(10.0)}, unit="share")],
        ch_names=NAMES, positions=where, name="maps", title="Maps",
    )  # fmt: skip
    assert figure.chart is not None
    assert "too few" in figure.caption
    assert figure.svg().startswith("<svg")


def names_in(figure: Figure) -> list[str]:
    assert figure.draw is not None
    axes = figure.draw(INK[False]).axes
    return [text.get_text() for ax in axes for text in ax.texts if text.get_text()]


def test_the_largest_electrodes_are_named() -> None:
    values = np.array([0, 9.0, 0, -8, 0, 0, 0, 0, 7, 0])
    strip = Strip(values={"left": values}, unit="dB", signed=True)
    assert names_in(drawn([strip])) == ["C3", "C4", "CP2"]
    assert names_in(drawn([replace(strip, named=False)])) == []
    beside = np.array([0, 9.0, 0, -8, 0, 0, 0, 0, 0, 0])
    near = ("Fz", "C3", "Cz", "C1", "Pz", "FC1", "FC2", "CP1", "CP2", "Oz")
    strip = Strip(values={"left": beside}, unit="dB", signed=True)
    assert "C1" not in names_in(drawn([strip], near, places(near)))
    nothing_stands_out = Strip(values={"left": np.ones(10)}, unit="dB")
    assert names_in(drawn([nothing_stands_out])) == []


def test_a_class_without_windows_is_said_and_the_others_are_drawn() -> None:
    nothing = np.full(10, np.nan)
    text = drawn([Strip(values={"left": np.arange(10.0), "right": nothing}, unit="%")]).svg()
    assert ">no map</text>" in text


@pytest.mark.parametrize("dark", [False, True])
def test_lines_are_in_the_ink_of_the_page(dark: bool) -> None:
    text = drawn([Strip(values={"left": np.arange(10.0)}, unit="%")]).svg(dark=dark)
    assert INK[dark] in text
    assert INK[not dark] not in text


def test_maps_go_on_in_the_next_line() -> None:
    values = {str(i): np.arange(10.0) for i in range(8)}
    figure = drawn([Strip(values=values, unit="%")])
    assert figure.draw is not None
    canvas = figure.draw(INK[False])
    maps = [ax for ax in canvas.axes if ax.get_title()]
    assert len(maps) == 8
    assert len({round(ax.get_position().y0, 3) for ax in maps}) == 2


def test_purple_is_below_0_in_maps_as_in_charts() -> None:
    red, _, blue, _ = matplotlib.colormaps[topomap.COLOURS[True]](0.0)
    assert blue > red
    assert matplotlib.colors.to_hex(matplotlib.colormaps[topomap.COLOURS[True]](0.5)) > "#f0f0f0"
