"""Figures on one page of HTML that opens without a network, made with MNE's Report."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import altair
import mne

from neurodecode.core.errors import ConfigError
from neurodecode.experiment.outputs import staged
from neurodecode.show.figures.figure import INK, PALETTE, PAPER, Figure

Block = Figure | str
"""A figure, or a piece of HTML."""

BESIDE, ALONE = 330, 620  # px, of the axes of a chart

STYLE = f"""
:root{{color-scheme:light dark;--page:{PAPER[False]};--card:#f5f6f7;--ink:{INK[False]};
--soft:#5a6068;--faint:#d5d8dc;--link:{PALETTE[0]};--warn:{PALETTE[1]}}}
@media(prefers-color-scheme:dark){{:root{{--page:{PAPER[True]};--card:#1e2125;--ink:{INK[True]};
--soft:#a2a9b1;--faint:#454b52;--link:{PALETTE[5]};--warn:{PALETTE[4]}}}}}
body{{background:var(--page);color:var(--ink);font-family:system-ui,"Segoe UI",Roboto,
"DejaVu Sans",sans-serif}}
.navbar.bg-light,.list-group-item,.accordion-item{{
background:var(--page)!important;color:var(--ink);border-color:var(--faint)!important}}
#top-bar .navbar-brand,#top-bar .navbar-brand:hover,footer{{color:var(--ink)}}
#top-bar .navbar-brand span{{font-size:18px!important;font-weight:600;white-space:normal}}
#top-bar img{{background:#fff;border-radius:4px;padding:2px}}
#filter-by-tags-dropdown-menu,.accordion-button .badge{{display:none}}
#content,#toc{{margin-top:72px}}#toc h5{{font-size:15px;font-weight:600}}
.list-group-item{{font-size:14px;padding:4px 8px}}
.nav-pills .nav-link{{color:var(--ink)}}
.nav-pills .nav-link.active{{background:var(--link)!important;color:var(--page)!important}}
.accordion-button,.accordion-button:not(.collapsed){{background:var(--card);color:var(--ink);
font-weight:600;box-shadow:none}}
.accordion-body a,footer a{{color:var(--link)}}.accordion-button a{{color:inherit}}
.nd{{display:grid;gap:8px 32px;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr))}}
.nd .wide{{grid-column:1/-1;min-width:0}}
.nd p{{margin:2px 0 6px;max-width:80ch}}.nd .soft,.nd figcaption{{color:var(--soft)}}
.nd figure{{margin:0 0 16px;min-width:0}}.nd h4{{font-size:15px;font-weight:600;margin:0 0 6px}}
.nd figcaption{{font-size:13px;max-width:80ch;margin-top:4px}}
.nd svg{{max-width:100%;height:auto;display:block}}
.nd .scroll{{overflow-x:auto;margin:4px 0 8px}}
.nd table{{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}}
.nd th,.nd td{{padding:3px 16px 3px 0;text-align:left;vertical-align:top;
border-bottom:1px solid var(--faint)}}.nd th{{white-space:nowrap}}
.nd .number{{text-align:right;white-space:nowrap}}
.nd pre{{background:var(--card);padding:10px 12px;border-radius:6px;white-space:pre-wrap;
overflow-wrap:anywhere;color:var(--ink);margin:0 0 8px}}
.nd .said{{border-left:4px solid var(--soft);padding:6px 12px;background:var(--card)}}
.nd .holds{{border-color:var(--link)}}.nd .fails{{border-color:var(--warn)}}
.nd .warns{{color:var(--warn);font-weight:700}}
@media print{{#toc,#top-bar,footer{{display:none}}#content{{margin:0!important;width:100%}}}}
"""
"""Over that of MNE: quieter, and dark where the reader's machine is."""


def check_name(out: Path) -> None:
    """Refuse the name of a file that is not HTML.

    Raises
    ------
    ConfigError
        If it does not end in ``.html``.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"The report {out} is a page of HTML. Choose a name ending in .html.")


class Page:
    """A page in the making: sections, titles in them, and what stands under each.

    Parameters
    ----------
    title
        Of the page, as plain text.
    """

    def __init__(self, title: str) -> None:
        with mne.utils.use_log_level("ERROR"):
            self._report = mne.Report(title=escape(title))
            self._report.add_custom_css(STYLE)
        self._n_drawn = 0

    def add(self, section: str, title: str, blocks: Iterable[Block]) -> None:
        """Put figures and pieces of HTML under a title; a single figure takes the whole width."""
        shown = list(blocks)
        alone = sum(isinstance(block, Figure) for block in shown) == 1
        body = "".join(b if isinstance(b, str) else self._figure(b, alone) for b in shown)
        html = f'<div class="nd">{body}</div>'
        with mne.utils.use_log_level("ERROR"):
            self._report.add_html(html, title=escape(title), section=section, tags=("neurodecode",))

    def save(self, out: Path) -> None:
        """Write the page, all of it or nothing.

        Raises
        ------
        StoreError
            If it cannot be written.
        """
        with mne.utils.use_log_level("ERROR"), staged([out]) as stand_in:
            self._report.save(stand_in[out], open_browser=False, overwrite=True)

    def _figure(self, figure: Figure, alone: bool) -> str:
        """A figure with its title, how to read it, and its numbers."""
        self._n_drawn += 1
        svg = inline_svg(figure, f"drawing{self._n_drawn}", ALONE if alone else BESIDE)
        has_parts = isinstance(figure.chart, altair.FacetChart | altair.HConcatChart)
        numbers = base64.b64encode(figure.csv().encode()).decode()
        return (
            f'<figure class="{"wide" * (alone or has_parts)}"><h4>{escape(figure.title)}</h4>{svg}'
            f"<figcaption>{escape(figure.caption)} "
            f'<a download="{escape(figure.name)}.csv" href="data:text/csv;base64,{numbers}">'
            f"Numbers (CSV)</a></figcaption></figure>"
        )


def inline_svg(figure: Figure, name: str, width: int) -> str:
    """A drawing as a part of a page: in the ink of the page, its parts under names of their own.

    Drawings on one page share the names of their parts, and would take each other's clippings.

    Parameters
    ----------
    figure
        Any.
    name
        Of the drawing; no other on the page has it.
    width
        Of a chart's axes, px; what is made of several charts keeps its own.
    """
    if isinstance(figure.chart, altair.Chart | altair.LayerChart):
        figure = replace(figure, chart=figure.chart.properties(width=width))
    svg = figure.svg(dark=True).replace(INK[True], "currentColor")
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(figure.title)}" ', 1)
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)


def text(words: str, kind: str = "") -> str:
    """A paragraph; `kind` is a class of `STYLE`."""
    return f'<p class="wide {kind}">{escape(words)}</p>'


def code(words: str) -> str:
    """A command, or a file, as it is."""
    return f'<pre class="wide">{escape(words)}</pre>'


def said(kind: str, title: str, words: str) -> str:
    """A box with a heading; `kind` is "holds", "fails" or another, for its colour."""
    heading = f"<h4>{escape(title)}</h4>"
    return f'<div class="wide said {escape(kind)}">{heading}{escape(words)}</div>'


def table(lines: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    """Lines as a table, numbers to the right.

    Parameters
    ----------
    lines
        Each with what `titles` names, or some of it.
    titles
        Column to its heading, in the order in which they are shown.
    """
    columns = [name for name in titles if any(name in line for line in lines)]
    numbers = {n for n in columns if any(_is_number(line.get(n)) for line in lines)}
    rows = [[f"<th{_kind(n in numbers)}>{escape(titles[n])}</th>" for n in columns]]
    rows += [
        [f"<td{_kind(n in numbers)}>{escape(_cell(line.get(n)))}</td>" for n in columns]
        for line in lines
    ]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<div class="wide scroll"><table>{body}</table></div>'


def _kind(is_number: bool) -> str:
    return ' class="number"' * is_number


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.3f}"
    return f"{value:,}" if _is_number(value) else str(value if value is not None else "-")
