"""Figures of the report about a cleaned recording, as SVG that takes the colours of the page.

Ink and grid are drawn in stand-in colours that the page's own take the place of, so that a figure
is readable on a light and on a dark page. Before and after are vermilion and blue, which the
colour-blind tell apart, at a contrast of 3.5 and more on both.
"""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from neurodecode.artifacts.removed import Removed
from neurodecode.experiment.clean import Cleaned
from neurodecode.recordings.montage import electrode_directions
from neurodecode.show.figures.topomap import FEWEST, flat_head, head

Array = NDArray[np.float64]

BEFORE, AFTER = "#d55e00", "#2a7fbf"
INK, FAINT = "#010203", "#040506"  # the page's colours take their place
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "neurodecode",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
}
WIDTH = 10.0
MOST_CHANNELS = 32
"""Channels in a figure of traces; of more, those of which most was removed."""
MOST_COMPONENTS, PER_ROW = 24, 6


def svg(figure: Figure, label: str) -> str:
    """The figure as an element of a page."""
    text = io.StringIO()
    figure.savefig(
        text, format="svg", dpi=130, transparent=True, bbox_inches="tight", pad_inches=0.05,
        metadata={"Date": None},
    )  # fmt: skip
    body = text.getvalue()
    body = body[body.index("<svg") :].replace(INK, "var(--ink)").replace(FAINT, "var(--faint)")
    return body.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def traces(cleaned: Cleaned, start: float, length: float) -> str:
    """Channels above each other before and after, in one stretch of `length` s from `start` s."""
    raw, names = cleaned.before, shown_channels(cleaned.removed)
    sfreq = float(raw.info["sfreq"])
    first = round(start * sfreq)
    stop = min(raw.n_times, first + max(2, round(length * sfreq)))
    t = np.arange(first, stop) / sfreq
    index = [raw.ch_names.index(name) for name in names]
    before = 1e6 * raw.get_data(index, first, stop)
    after = 1e6 * cleaned.after.get_data(index, first, stop)
    # Drift is the same in both; without it the channels stay in their rows.
    drift = np.array([np.polyval(np.polyfit(t - t[0], y, 1), t - t[0]) for y in after])
    before, after = before - drift, after - drift
    span = np.percentile(after, 99, axis=1) - np.percentile(after, 1, axis=1)
    step = _round_up(max(float(np.median(span)), 1.0))
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, 0.9 + 0.24 * len(names)))
        ax = figure.add_subplot()
        for row, (x, y) in enumerate(zip(before, after, strict=True)):
            ax.plot(t, x - row * step, color=BEFORE, lw=0.8, rasterized=True)
            ax.plot(t, y - row * step, color=AFTER, lw=0.8, rasterized=True)
        ax.set_yticks([-row * step for row in range(len(names))], names)
        ax.tick_params(length=0)
        # A blink may reach beyond the rows above, but not squeeze them.
        top = min(6.0, max(1.5, float(max(before[0].max(), after[0].max())) / step))
        ax.set_ylim(-(len(names) + 0.5) * step, (top + 0.2) * step)
        ax.set_xlim(t[0], t[-1] + 0.04 * (t[-1] - t[0]))
        x_bar = t[-1] + 0.015 * (t[-1] - t[0])
        ax.plot([x_bar, x_bar], [0, step], color=INK, lw=2, solid_capstyle="butt")
        ax.text(x_bar + 0.006 * (t[-1] - t[0]), step / 2, f"{step:g} \u00b5V", rotation=90,
                va="center", ha="left")  # fmt: skip
        ax.set_xlabel("Time (s)")
        ax.spines["left"].set_visible(False)
        return svg(figure, f"Traces before and after, {t[0]:.1f} to {t[-1]:.1f} s")


def spectra(removed: Removed) -> str:
    """Median power spectrum over channels before, after, and of what was removed."""
    inside = removed.freqs >= 0.5
    freqs = removed.freqs[inside]
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, 3.6))
        ax = figure.add_subplot()
        floor = np.inf
        for label, power, colour, line in (
            ("before", removed.before, BEFORE, "-"),
            ("after", removed.after, AFTER, "-"),
            ("removed", removed.removed, INK, "--"),
        ):
            db = 10 * np.log10(np.maximum(power[:, inside], 1e-12))
            low, middle, high = np.percentile(db, [10, 50, 90], axis=0)
            if line == "-":
                ax.fill_between(freqs, low, high, color=colour, alpha=0.15, lw=0)
                floor = min(floor, float(low.min()))
            ax.plot(freqs, middle, line, color=colour, lw=1.5, label=label)
        ax.set_ylim(bottom=floor - 15)
        ax.set_xscale("log")
        ticks = [f for f in (0.5, 1, 2, 4, 8, 13, 30, 50, 80, 100, 200, 400) if f <= freqs[-1]]
        ax.set_xticks(ticks, [f"{f:g}" for f in ticks])
        ax.set_xticks([], minor=True)
        ax.set_xlim(freqs[0], freqs[-1])
        ax.grid(True)
        ax.set_xlabel("Frequency (Hz)")
        ax.set_ylabel("Power (dB re 1 \u00b5V\u00b2/Hz)")
        ax.legend(loc="upper right", ncols=3)
        return svg(figure, "Power spectra before, after and of what was removed")


def maps(cleaned: Cleaned) -> str:
    """Share of each band's power that was removed, over the head; empty without positions."""
    removed = cleaned.removed
    info = cleaned.before.info
    placed = [n for n in removed.ch_names if electrode_directions(info, [n]) is not None]
    if len(placed) < FEWEST:
        return ""
    points = flat_head(np.asarray(electrode_directions(info, placed)))
    index = [removed.ch_names.index(name) for name in placed]
    bands = removed.bands()
    shares = {name: 100 * removed.shares(band)[index] for name, band in bands.items()}
    top = max(1.0, max(float(values.max()) for values in shares.values()))
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, 2.5))
        axes = figure.subplots(1, len(bands), squeeze=False)[0]
        image: Any = None
        for ax, (name, (low, high)) in zip(axes, bands.items(), strict=True):
            image = head(ax, points, shares[name], (0.0, top), colours="viridis", ink=INK)
            ax.set_title(f"{name}\n{low:g}\u2013{high:g} Hz", fontsize=9)
        bar = figure.colorbar(image, ax=list(axes), shrink=0.8, pad=0.02)
        bar.set_label("Removed (% of power)")
        bar.outline.set_visible(False)
        return svg(figure, "Share of power removed over the head, by band")


def components(cleaned: Cleaned) -> str:
    """Maps of the components that were taken out, by cleaners that have any; empty otherwise."""
    cleaner: Any = cleaned.cleaner
    if not all(hasattr(cleaner, name) for name in ("maps_", "removed_", "labels_", "scores_")):
        return ""
    shown = list(cleaner.removed_)[:MOST_COMPONENTS]
    directions = electrode_directions(cleaned.before.info, cleaner.ch_names_)
    if not shown or directions is None:
        return ""
    points = flat_head(np.asarray(directions))
    with matplotlib.rc_context(STYLE):
        n_rows = -(-len(shown) // PER_ROW)
        figure = Figure((WIDTH, 2.1 * n_rows))
        axes = figure.subplots(n_rows, PER_ROW, squeeze=False).ravel()
        for ax in axes[len(shown) :]:
            ax.axis("off")
        for ax, i in zip(axes, shown, strict=False):
            pattern = np.asarray(cleaner.maps_)[:, i]
            most = float(np.abs(pattern).max()) or 1.0
            head(ax, points, pattern / most, (-1.0, 1.0), colours="RdBu_r", ink=INK)
            ax.set_title(f"{i}: {cleaner.labels_[i]} ({cleaner.scores_[i]:.2f})", fontsize=9)
        return svg(figure, "Maps of the components that were taken out")


def shown_channels(removed: Removed) -> list[str]:
    """Channels in figures of traces, in the recording's order."""
    chosen = {name for name, _ in removed.most_changed(MOST_CHANNELS)}
    return [name for name in removed.ch_names if name in chosen]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 ..."""
    size = 10.0 ** np.floor(np.log10(value))
    return float(next(m * size for m in (1, 2, 5, 10) if m * size >= value * (1 - 1e-9)))


def bars(shares: Sequence[float]) -> list[str]:
    """Widths of bars in a table, as CSS, the largest full."""
    top = max([*shares, 1e-12])
    return [f"{100 * share / top:.1f}%" for share in shares]
