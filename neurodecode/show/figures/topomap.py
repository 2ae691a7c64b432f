"""Scalp maps: values of electrodes over a head seen from above.

Between electrodes values are those of radial basis functions (linear in the distance, with a
constant), which go through every electrode. They are linear in the values too, so that one matrix
per cap serves all of its maps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import altair as alt
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RBFInterpolator

from neurodecode.recordings.montage import CENTRE
from neurodecode.show.figures.figure import PALETTE, Figure
from neurodecode.signal.sphere import on_sphere

Array = NDArray[np.float64]

COLOURS = {False: "cividis", True: "PuOr_r"}  # of matplotlib; purple is below 0, as in charts
SIDE = 72  # points of a side of the square that is filled
FEWEST = 4
"""Located channels that a map takes."""
PER_ROW = 6
NAMED = 3
"""Electrodes of a map whose names are written at most: those with the largest magnitudes."""
ROOM = (0.36, 0.16)
"""Of a name, to the side and up, where a head reaches from -1 to 1."""


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Maps beside each other that share a colour bar.

    Attributes
    ----------
    values
        By the title of each map, (n_chans,).
    unit
        Of the values, as the colour bar says it.
    signed
        Whether the sign means something: two colours that meet at 0.
    label
        Left of the first map; may be empty.
    named
        Whether the largest electrodes are named.
    """

    values: Mapping[str, ArrayLike]
    unit: str
    signed: bool = False
    label: str = ""
    named: bool = True

    def limits(self, index: NDArray[np.intp]) -> tuple[float, float]:
        """Ends of the colour bar for these channels: symmetric if signed, else from 0."""
        values = np.concatenate([np.asarray(v, dtype=float)[index] for v in self.values.values()])
        top = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
        return (-top if self.signed else 0.0), top


def scalp_maps(
    strips: Sequence[Strip],
    *,
    ch_names: Sequence[str],
    positions: ArrayLike | None,
    name: str,
    title: str,
    caption: str = "",
    per_row: int = PER_ROW,
) -> Figure:
    """Rows of scalp maps, each row with a colour bar of its own.

    Parameters
    ----------
    strips
        One under the other; more than `per_row` maps go on in the next line.
    ch_names
        Of all values.
    positions
        (n_chans, 3), m, head coordinates; NaN for channels without one, which are left out and
        named in the caption. With fewer than `FEWEST` positions the values are drawn as bars.
    name, title, caption
        Of the figure.
    per_row
        Maps in a line.
    """
    table = _table(strips, ch_names)
    places = np.full((len(ch_names), 3), np.nan)
    if positions is not None:
        places = np.array(positions, dtype=float).reshape(len(ch_names), 3)
    index = np.flatnonzero(np.isfinite(places).all(axis=1))
    if len(index) < FEWEST:
        few = "Bars, for too few channels have a position on the head."
        chart = _bars(strips, ch_names)
        return Figure(name=name, title=title, table=table, caption=_also(caption, few), chart=chart)
    left = [ch_names[i] for i in sorted(set(range(len(ch_names))) - set(index.tolist()))]
    if left:
        more = f" and {len(left) - 6} more" if len(left) > 6 else ""
        caption = _also(caption, f"Without a position, left out: {', '.join(left[:6])}{more}.")
    points = flat_head(on_sphere(places[index], np.array(CENTRE)))
    names = [ch_names[int(i)] for i in index]

    def draw(ink: str) -> Canvas:
        return _draw(strips, points, names, index, ink, per_row)

    return Figure(name=name, title=title, table=table, caption=caption, draw=draw)


def flat_head(directions: Array) -> Array:
    """Directions (n, 3) laid flat, (n, 2): distance from the top is the angle, 1 at 90 degrees."""
    angle = np.arccos(np.clip(directions[:, 2], -1, 1)) / (np.pi / 2)
    azimuth = np.arctan2(directions[:, 1], directions[:, 0])
    return np.stack([angle * np.cos(azimuth), angle * np.sin(azimuth)], axis=1)


def head(
    ax: Any,
    points: Array,
    values: ArrayLike,
    limits: tuple[float, float],
    *,
    colours: str,
    ink: str,
    names: Sequence[str] = (),
) -> Any:
    """Draw a map with nose, ears and electrodes on matplotlib axes; what a colour bar is made of.

    Parameters
    ----------
    ax
        To draw on.
    points
        Electrodes, (n_chans, 2), as `flat_head` lays them.
    values
        (n_chans,). Electrodes that are not a number are neither drawn nor used.
    limits
        Of the colours.
    colours
        Name of a colour map of matplotlib.
    ink
        Colour of lines.
    names
        Of the electrodes, if the largest are to be named.
    """
    values = np.asarray(values, dtype=float)
    known = np.isfinite(values)
    radius = max(1.0, float(np.linalg.norm(points, axis=1).max()) + 0.05)
    ax.set_aspect("equal")
    ax.set(xlim=(-1.12 * radius, 1.12 * radius), ylim=(-1.03 * radius, 1.16 * radius))
    ax.axis("off")
    around = np.linspace(0, 2 * np.pi, 200)
    ax.plot(radius * np.cos(around), radius * np.sin(around), color=ink, lw=1)
    ax.plot(*(radius * NOSE).T, color=ink, lw=1)
    for side in (-1, 1):
        ax.plot(*(radius * EAR * (side, 1)).T, color=ink, lw=1)
    if known.sum() < FEWEST:
        ax.text(0, 0, "no map", ha="center", va="center", color=ink, fontsize=8)
        return ax.imshow([[np.nan]], cmap=colours, vmin=limits[0], vmax=limits[1])
    surface = interpolation(points[known].tobytes(), radius) @ values[known]
    z = np.clip(surface, *limits).reshape(SIDE, SIDE)
    square = (-radius, radius, -radius, radius)
    image = ax.imshow(
        z, origin="lower", extent=square, cmap=colours, vmin=limits[0], vmax=limits[1],
        interpolation="bilinear",
    )  # fmt: skip
    edge = Circle((0, 0), radius, transform=ax.transData)
    image.set_clip_path(edge)
    if np.ptp(z) > 0:
        levels = np.linspace(*limits, 7)[1:-1]
        levels = levels[(levels > z.min()) & (levels < z.max())]
        if levels.size:
            lines = ax.contour(
                z, levels, extent=square, colors="#ffffff", linewidths=0.5, alpha=0.5
            )
            lines.set(linestyles="solid", clip_path=edge)
    ax.plot(*points[known].T, "o", mfc="#ffffff", mec="#000000", mew=0.4, ms=1.9)
    for i in _largest(values, points) if names else ():
        ax.annotate(
            names[i], points[i], (0, 2.2), textcoords="offset points", ha="center", va="bottom",
            fontsize=7, color="#000000", path_effects=[HALO],
        )  # fmt: skip
    ax.set(xlim=(-1.12 * radius, 1.12 * radius), ylim=(-1.03 * radius, 1.16 * radius))
    return image


HALO = withStroke(linewidth=1.6, foreground="#ffffff")
NOSE = np.array([[-0.12, 0.99], [0.0, 1.13], [0.12, 0.99]])
EAR = np.array([[0.995, 0.14], [1.06, 0.16], [1.09, 0.06], [1.075, -0.08], [1.05, -0.17],
                [0.985, -0.17]])  # fmt: skip


@lru_cache(maxsize=64)
def interpolation(points: bytes, radius: float) -> Array:
    """From values of electrodes to those of a square around the head, (SIDE**2, n_chans)."""
    places = np.frombuffer(points, dtype=np.float64).reshape(-1, 2)
    line = np.linspace(-radius, radius, SIDE)
    x, y = np.meshgrid(line, line)
    # The smoothing is for two electrodes at one place, which no surface goes through.
    surface = RBFInterpolator(
        places, np.eye(len(places)), kernel="linear", degree=0, smoothing=1e-9
    )
    return np.asarray(surface(np.stack([x.ravel(), y.ravel()], axis=1)))


def _largest(values: Array, points: Array) -> list[int]:
    """The largest of all, and the next that leave room for its name; none if all are alike."""
    size = np.where(np.isfinite(values), np.abs(values), -1.0)
    if size.max() <= 0 or np.ptp(size[size >= 0]) == 0:
        return []
    named: list[int] = []
    for i in np.argsort(-size, kind="stable")[:NAMED]:
        away = np.abs(points[named] - points[i]) if named else np.full((1, 2), np.inf)
        if ((away[:, 0] > ROOM[0]) | (away[:, 1] > ROOM[1])).all():
            named.append(int(i))
    return named


def _draw(
    strips: Sequence[Strip],
    points: Array,
    names: Sequence[str],
    index: NDArray[np.intp],
    ink: str,
    per_row: int,
) -> Canvas:
    rows = [
        (strip, titles[i : i + per_row])
        for strip in strips
        if (titles := list(strip.values))
        for i in range(0, len(titles), per_row)
    ]
    n_cols = max(len(line) for _, line in rows)
    with matplotlib.rc_context({"font.size": 9, "text.color": ink, "axes.labelcolor": ink}):
        figure = Canvas((1.55 * n_cols + 1.2, 1.75 * len(rows)), dpi=120)
        grid = figure.add_gridspec(len(rows), n_cols + 1, width_ratios=[*[1] * n_cols, 0.06],
                                   wspace=0.06, hspace=0.16)  # fmt: skip
        image: Any = None
        for row, (strip, line) in enumerate(rows):
            limits = strip.limits(index)
            for column, title in enumerate(line):
                ax = figure.add_subplot(grid[row, column])
                values = np.asarray(strip.values[title], dtype=float)[index]
                image = head(ax, points, values, limits, colours=COLOURS[strip.signed], ink=ink,
                             names=names if strip.named else ())  # fmt: skip
                ax.set_title(title, fontsize=9, pad=3)
                if not column and strip.label:
                    ax.text(-0.04, 0.5, strip.label, transform=ax.transAxes, rotation=90,
                            ha="right", va="center")  # fmt: skip
            _colour_bar(figure, figure.add_subplot(grid[row, n_cols]), image, strip.unit, ink)
    return figure


def _colour_bar(figure: Canvas, ax: Any, image: Any, unit: str, ink: str) -> None:
    bar = figure.colorbar(image, cax=ax)
    bar.set_label(unit, color=ink, fontsize=8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=ink, labelsize=7, length=2)
    bar.ax.locator_params(nbins=5)


def _table(strips: Sequence[Strip], ch_names: Sequence[str]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "shown": strip.label,
                "map": title,
                "channel": list(ch_names),
                "value": np.asarray(values, dtype=float),
                "unit": strip.unit,
            }
        )
        for strip in strips
        for title, values in strip.values.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _bars(strips: Sequence[Strip], ch_names: Sequence[str]) -> Any:
    """Values by channel, a chart for each strip with a colour for each of its maps."""
    charts = []
    for strip in strips:
        table = _table([strip], ch_names)
        charts.append(
            alt.Chart(table)
            .mark_bar()
            .encode(
                x=alt.X("channel:N", sort=list(ch_names), title="Channel"),
                y=alt.Y("value:Q", title=" ".join(filter(None, (strip.label, f"({strip.unit})")))),
                color=alt.Color("map:N", title=None, scale=alt.Scale(range=list(PALETTE))),
                xOffset=alt.XOffset("map:N"),
                tooltip=["channel:N", "map:N", alt.Tooltip("value:Q", format=".3g")],
            )
            .properties(height=160)
        )
    return charts[0] if len(charts) == 1 else alt.vconcat(*charts)


def _also(caption: str, words: str) -> str:
    return f"{caption} {words}".strip()
