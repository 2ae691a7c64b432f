"""Figure: something drawn, with the numbers it was drawn from.

Charts are Vega-Lite (altair), which a browser draws and which become SVG and PNG without one.
Scalp maps are drawn by matplotlib. Colours are those that the colour-blind tell apart ("Points of
view: color blindness", Nature Methods 2011, doi:10.1038/nmeth.1618).
"""

import io
import re
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
ROOM = {"left": 4, "right": 14, "top": 4, "bottom": 4}
"""Around a chart that fills a page, px; a number at the end of an axis reaches beyond it."""
PLAIN: Final[Any] = {"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"],
         "path.simplify_threshold": 0.3}  # fmt: skip
LONG = re.compile(r"-?\d+\.\d{3,}")
"""Numbers of a drawing in more detail than can be seen."""
TAG = re.compile(r"<[^>]*>")
SPOKEN = re.compile(r' (?:aria-[a-z]+|role|pointer-events)="[^"]*"')
"""What each mark says to a reader who listens: half of a file, and the numbers say it better."""

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

            return _shorter(str(vl_convert.vegalite_to_svg(self._spec(dark))))
        import matplotlib

        text = io.StringIO()
        # Words stay words, and pictures have a pixel a point: a page makes what is smooth larger.
        with matplotlib.rc_context(PLAIN):
            self._drawn(dark).savefig(text, format="svg", transparent=True, bbox_inches="tight",
                                      dpi=72, metadata={"Date": None})  # fmt: skip
        body = text.getvalue()
        return _shorter(body[body.index("<svg") :])

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
        return str(self.table.to_csv(index=False, float_format="%.9g"))

    def fitted(self) -> Any:
        """The chart for a page: as wide as its place, and as high as it says without its legend."""
        import altair

        if not isinstance(self.chart, altair.Chart | altair.LayerChart):
            return self.chart  # of charts in a row or column, each has a size of its own
        return self.chart.properties(
            padding=ROOM, autosize=altair.AutoSizeParams(type="fit-x", contains="padding")
        )

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
            "legend": {
                "labelColor": ink,
                "titleColor": ink,
                "symbolBaseFillColor": PALETTE[6],
                "symbolBaseStrokeColor": PALETTE[6],
            },
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
            spec: dict[str, Any] = self.chart.to_dict(validate=False)
        if not {"facet", "hconcat", "vconcat", "concat"} & set(spec):  # those have parts of a size
            spec.setdefault("width", WIDTH)
        return spec


def _shorter(svg: str) -> str:
    """The same drawing in fewer words: hundredths of a pixel, and marks that do not speak."""
    return TAG.sub(  # what is written in the drawing stays as it is
        lambda tag: LONG.sub(lambda found: f"{float(found[0]):.2f}", tag[0]), SPOKEN.sub("", svg)
    )
