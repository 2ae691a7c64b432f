"""Figure: something drawn, with the numbers it was drawn from.

Charts are Vega-Lite (altair), which a browser draws and which become SVG and PNG without one.
Scalp maps are drawn by matplotlib. Colours are those that the colour-blind tell apart ("Points of
view: color blindness", Nature Methods 2011, doi:10.1038/nmeth.1618).
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pandas as pd

PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#8C564B",
)  # fmt: skip
SEQUENTIAL: Final = "cividis"
DIVERGING: Final = "purpleorange"  # names that Vega knows
INK, PAPER = {False: "#1c1e21", True: "#e6e8ea"}, {False: "#ffffff", True: "#15171a"}
WIDTH = 560
"""Of a chart that is no part of a page, px."""

Draw = Callable[[str], Any]
"""From the colour of ink to a matplotlib Figure with a transparent background."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One drawing.

    Attributes
    ----------
    name
        Beginning of the names of its files: "scores_by_subject".
    title
        What it shows, in a line.
    table
        Its numbers, units in the names of columns.
    caption
        How to read it; what a bar or a line is.
    chart
        An altair chart, or None.
    draw
        Where there is no chart: draws it by matplotlib in the given colour of ink.
    """

    name: str
    title: str
    table: pd.DataFrame
    caption: str = ""
    chart: Any = None
    draw: Draw | None = None

    def svg(self, *, dark: bool = False) -> str:
        """The drawing as an SVG element; on paper, unless it is for a dark page."""
        if self.chart is not None:
            import vl_convert

            return str(vl_convert.vegalite_to_svg(self._spec(dark)))
        text = io.StringIO()
        self._drawn(dark).savefig(
            text, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None}
        )
        body = text.getvalue()
        return body[body.index("<svg") :]

    def png(self) -> bytes:
        """The drawing on white, at twice the usual resolution."""
        if self.chart is not None:
            import vl_convert

            return bytes(vl_convert.vegalite_to_png(self._spec(dark=False), scale=2))
        data = io.BytesIO()
        self._drawn(dark=False).savefig(
            data, format="png", dpi=200, facecolor=PAPER[False], bbox_inches="tight"
        )
        return data.getvalue()

    def csv(self) -> str:
        """The numbers."""
        return str(self.table.to_csv(index=False))

    def _drawn(self, dark: bool) -> Any:
        assert self.draw is not None, "a figure has a chart or draws itself"
        return self.draw(INK[dark])

    def _spec(self, dark: bool) -> dict[str, Any]:
        spec = dict(self._vega)
        ink = INK[dark]
        text = {"labelColor": ink, "titleColor": ink, "gridColor": "#8884", "domainColor": ink,
                "tickColor": ink}  # fmt: skip
        spec["config"] = {
            **spec.get("config", {}),
            "background": None if dark else PAPER[False],
            "font": "sans-serif",
            "axis": text,
            "legend": {"labelColor": ink, "titleColor": ink},
            "title": {"color": ink},
            "header": {"labelColor": ink, "titleColor": ink},
            "text": {"color": ink},
            "range": {"category": list(PALETTE)},
            "view": {"stroke": None},
        }
        return spec

    @cached_property
    def _vega(self) -> dict[str, Any]:
        import altair

        with altair.data_transformers.enable("default", max_rows=None):  # of a file, not a page
            spec: dict[str, Any] = self.chart.to_dict()
        if not {"facet", "hconcat", "vconcat", "concat"} & set(spec):  # those have parts of a size
            spec.setdefault("width", WIDTH)
        return spec
