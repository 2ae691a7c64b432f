"""Maps of what decoders read: over the head, in time, in frequency, and two of these at once.

Every function takes the maps of folds, as `neurodecode.results.maps` reads them, and averages over
subjects first. ``as_shares`` shows shares of a map's magnitude, which are alike in every decoder
and method; otherwise values are shown in their own unit. A map that fails its checks says so in its
title.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from neurodecode.core.errors import StoreError
from neurodecode.results.maps import FoldMaps, map_table, mean_maps
from neurodecode.show.figures.colours import GREY
from neurodecode.show.figures.figure import PALETTE, Figure
from neurodecode.show.figures.topomap import COLOURS, Strip, scalp_maps

Verdict = Mapping[str, Any] | None

RHYTHMS = (("mu", 8.0, 13.0), ("beta", 13.0, 30.0))  # Hz
METHODS = {
    "erds": "the recordings themselves",
    "integrated_gradients": "integrated gradients",
    "input_x_gradient": "input x gradient",
    "amplitude_gradient": "gradient by amplitude",
    "occlusion": "occlusion",
    "channel_attention": "channel attention",
    "channel_attention_mean": "channel attention, mean weights",
    "attention_rollout": "attention",
    "spike_rates": "spike rates",
    "csp_patterns": "CSP patterns",
    "haufe_patterns": "Haufe patterns",
}
TRUE = "true"
"""Name of a band in which simulated people differ between classes."""
SHADES = {"mu": 0.16, "beta": 0.08, TRUE: 0.3}
AXES = {
    "chan": "Channel",
    "time": "Time from the cue (s)",
    "freq": "Frequency (Hz)",
    "other_chan": "Channel that is attended to",
    "other_time": "Time that is attended to (s)",
}
MOST_SUBJECTS = 24
MOST_LABELS = {"x": 24, "y": 34}
FLAT = 1.5  # times the mean
MOST_BESIDE = 3
FAILS = "FAILS ITS SANITY CHECKS: "


def class_maps(
    folds: Sequence[FoldMaps], method: str, *, as_shares: bool = True, verdict: Verdict = None
) -> Figure:
    """Scalp maps by class: mean over subjects, and under it the standard deviation over them.

    Parameters
    ----------
    folds
        Of one decoder, or of the recordings themselves.
    method
        That made the maps.
    as_shares
        Shares of each map, in percent, instead of values.
    verdict
        What the summary says of the method; see `neurodecode.results.maps.verdict_of`.

    Raises
    ------
    StoreError
        If no fold has such a map.
    """
    mean, sd, n = mean_maps(folds, method, "chan", as_shares=as_shares)
    facts, unit, signed, factor = _scale(folds, method, as_shares)
    names = [words(name) for name in facts["classes"]]
    several = n > 1
    label = f"mean of {n}" if several else ""
    strips = [Strip(values=dict(zip(names, factor * mean, strict=True)), unit=unit, signed=signed,
                    label=label)]  # fmt: skip
    if several:
        spread = dict(zip(names, factor * sd, strict=True))
        strips.append(Strip(values=spread, unit=unit, label="sd over them", named=False))
    return scalp_maps(
        strips,
        ch_names=facts["ch_names"],
        positions=_positions(facts),
        name=f"maps_{method}",
        title=_title(method, "by class", verdict),
        caption=_caption(folds, method, signed, as_shares)
        + f" Dots are electrodes, the largest are named.{_flatness(mean)}",
        per_row=2 if len(names) == 4 else 3,
    )


def subject_maps(
    folds: Sequence[FoldMaps],
    method: str,
    class_name: str,
    *,
    as_shares: bool = True,
    verdict: Verdict = None,
) -> Figure:
    """Scalp maps of one class, one for each subject, in one scale.

    Raises
    ------
    StoreError
        If no fold has such a map.
    """
    facts, unit, signed, factor = _scale(folds, method, as_shares)
    index = facts["classes"].index(class_name)
    own: dict[str, list[FoldMaps]] = {}
    for fold in folds:
        if fold.get(method, "chan") is not None:
            subject = fold.facts["subject"]
            own.setdefault(subject if subject != "*" else fold.facts["fold"], []).append(fold)
    values = {
        subject: factor * mean_maps(several, method, "chan", as_shares=as_shares)[0][index]
        for subject, several in list(own.items())[:MOST_SUBJECTS]
    }
    left = len(own) - len(values)
    more = f" The first {MOST_SUBJECTS} of {len(own)} are shown." if left else ""
    return scalp_maps(
        [Strip(values=values, unit=unit, signed=signed)],
        ch_names=facts["ch_names"],
        positions=_positions(facts),
        name=f"subjects_{method}_{class_name}",
        title=_title(method, f"by subject, {words(class_name)}", verdict),
        caption=f"One map for each subject, all in one scale.{more}",
    )


def pattern_maps(fold: FoldMaps, method: str, *, verdict: Verdict = None) -> Figure:
    """Spatial patterns of one fold's decoder, each in its own scale.

    Their sign and order mean nothing, so that they cannot be averaged over folds.

    Raises
    ------
    StoreError
        If the fold has none.
    """
    patterns = fold.get(method, "patterns")
    if patterns is None:
        raise StoreError(f"The fold {fold.facts['fold']} has no patterns by {method}.")
    largest = np.abs(patterns).max(axis=1, keepdims=True)
    scaled = patterns / np.where(largest > 0, largest, 1)
    return scalp_maps(
        [Strip(values={f"pattern {i + 1}": row for i, row in enumerate(scaled)},
               unit="of its largest", signed=True)],
        ch_names=fold.facts["ch_names"],
        positions=_positions(fold.facts),
        name=f"patterns_{method}",
        title=_title(method, f"patterns of the fold {fold.facts['fold']}", verdict),
        caption="Each in its own scale: the two colours are of opposite sign, and which is which "
        "means nothing.",
    )  # fmt: skip


def time_profile(
    folds: Sequence[FoldMaps], method: str, *, as_shares: bool = True, verdict: Verdict = None
) -> Figure:
    """A line for each class against time from the cue, with the interval of its mean."""
    return _profile(folds, method, "time", as_shares, verdict, [])


def freq_profile(
    folds: Sequence[FoldMaps],
    method: str,
    *,
    as_shares: bool = True,
    verdict: Verdict = None,
    truth: Sequence[tuple[float, float]] = (),
) -> Figure:
    """A line for each class against frequency, with the interval of its mean.

    Parameters
    ----------
    folds, method, as_shares, verdict
        As for `class_maps`.
    truth
        Bands in which simulated people differ between classes, (low, high) Hz.
    """
    bands: list[tuple[str, float, float]] = [*RHYTHMS]
    bands += [(TRUE, low, high) for low, high in truth]
    return _profile(folds, method, "freq", as_shares, verdict, bands)


def _profile(
    folds: Sequence[FoldMaps],
    method: str,
    axis: str,
    as_shares: bool,
    verdict: Verdict,
    bands: Sequence[tuple[str, float, float]],
) -> Figure:
    table = map_table(folds, method, axis, as_shares=as_shares)
    facts, unit, signed, factor = _scale(folds, method, as_shares)
    n = int(table["n"].iloc[0])
    for column in ("mean", "sd", "low", "high"):
        table[column] *= factor
    if not signed:
        table["low"] = table["low"].clip(lower=0)
    table["class"] = table["class"].map(words)
    base = alt.Chart(table).encode(
        x=alt.X(
            f"{axis}:Q",
            title=AXES[axis],
            scale=alt.Scale(nice=False, domain=_ends(table[axis])),
        ),
        color=class_colours([words(name) for name in facts["classes"]]),
    )
    layers = [base.mark_line(strokeWidth=2).encode(y=_y("mean", unit, signed), tooltip=_tips(axis))]
    if n > 1:
        layers.insert(
            0, base.mark_area(opacity=0.22).encode(y=_y("low", unit, signed), y2="high:Q")
        )
    if signed:
        layers.insert(
            0, alt.Chart(pd.DataFrame({"y": [0.0]})).mark_rule(color=GREY).encode(y="y:Q")
        )
    if bands:
        layers = [*_marked(bands, float(table[axis].max())), *layers]
    what = "in time" if axis == "time" else "in frequency"
    band = f" Band: 95 % interval of the mean over {n} subjects." if n > 1 else ""
    known = any(name == TRUE for name, *_ in bands)
    told = " Simulated: classes truly differ in the bands called so." if known else ""
    return Figure(
        name=f"{axis}_{method}",
        title=_title(method, what, verdict),
        table=table.rename(columns={axis: f"{axis} ({'s' if axis == 'time' else 'Hz'})"}).assign(
            unit=unit
        ),
        caption=_caption(folds, method, signed, as_shares) + band + told,
        chart=alt.layer(*layers).properties(height=190),
    )


def _marked(bands: Sequence[tuple[str, float, float]], top: float) -> list[Any]:
    """Bands of frequency as shades behind a chart; names of rhythms above it, of truths in it."""
    table = pd.DataFrame(
        [(name, low, min(high, top), SHADES[name]) for name, low, high in bands if low < top],
        columns=["band", "low", "high", "shade"],
    )
    table["middle"] = (table["low"] + table["high"]) / 2
    layers = []
    for is_true, colour, dy in ((False, PALETTE[6], -6), (True, PALETTE[4], 9)):
        own = table[(table["band"] == TRUE) == is_true]
        if not own.empty:
            shade = alt.Chart(own).mark_rect(color=colour)
            opacity = alt.Opacity("shade:Q", scale=None)
            layers.append(shade.encode(x=alt.X("low:Q"), x2="high:Q", opacity=opacity))
            text = alt.Chart(own).mark_text(dy=dy, fontSize=10, color=colour)
            layers.append(text.encode(x="middle:Q", y=alt.value(0), text="band:N"))
    return layers


def heatmaps(
    folds: Sequence[FoldMaps],
    method: str,
    kind: str,
    *,
    as_shares: bool = True,
    verdict: Verdict = None,
) -> Figure:
    """Maps over two axes at once, one for each class, mean over subjects.

    Parameters
    ----------
    folds, method, as_shares, verdict
        As for `class_maps`.
    kind
        "chan_time", "chan_freq", "chan_chan" or "time_time". In attention matrices rows are what
        attends, columns what is attended to.

    Raises
    ------
    StoreError
        If no fold has such a map.
    """
    table = map_table(folds, method, kind, as_shares=as_shares)
    facts, unit, signed, factor = _scale(folds, method, as_shares)
    for column in ("mean", "sd", "low", "high"):
        table[column] *= factor
    rows, columns = list(table.columns[1:3])
    shape = (len(facts["classes"]), table[rows].nunique(), -1)
    grid = table["mean"].to_numpy().reshape(shape)
    places = [table[axis].drop_duplicates().tolist() for axis in (rows, columns)]

    def draw(ink: str) -> Canvas:
        names = [words(name) for name in facts["classes"]]
        return _draw(grid, names, (rows, columns), places, unit, signed, ink)

    n = int(table["n"].iloc[0])
    what = {
        "chan_time": "by channel and time",
        "chan_freq": "by channel and frequency",
        "chan_chan": "between channels",
        "time_time": "between times",
    }[kind]
    several = f" Mean over {n} subjects." if n > 1 else ""
    return Figure(
        name=f"{kind}_{method}",
        title=_title(method, what, verdict),
        table=table.assign(unit=unit),
        caption=_caption(folds, method, signed, as_shares) + several + _flatness(grid),
        draw=draw,
    )


def _draw(
    grid: Any,
    names: Sequence[str],
    axes: tuple[str, str],
    places: Sequence[Sequence[Any]],
    unit: str,
    signed: bool,
    ink: str,
) -> Canvas:
    top = float(np.nanmax(np.abs(grid), initial=0.0)) or 1.0
    n_cols = len(names) if len(names) <= MOST_BESIDE else 2
    n_lines = -(-len(names) // n_cols)
    tall = 0.13 * len(places[0]) + 0.9 if axes[0] == "chan" else 2.6
    style: Any = {"font.size": 8, "text.color": ink, "axes.labelcolor": ink, "axes.titlesize": 9,
                  "xtick.color": ink, "ytick.color": ink}  # fmt: skip
    with matplotlib.rc_context(style):
        wide = 3.1 if axes[1].startswith("other_") else 2.0  # matrices have the page to themselves
        size = (wide * n_cols + 0.8, n_lines * min(max(tall, 2.4), 7.0))
        figure = Canvas(size, dpi=120, layout="constrained")
        shown = figure.subplots(n_lines, n_cols, sharey=True, squeeze=False)
        image: Any = None
        for ax in shown.ravel()[len(names) :]:
            ax.axis("off")
        for ax, name, values in zip(shown.ravel(), names, grid, strict=False):
            image = ax.imshow(
                values, aspect="auto", interpolation="none", cmap=COLOURS[signed],
                vmin=-top if signed else 0.0, vmax=top, extent=_extent(places),
                origin="upper" if axes[0] == "chan" else "lower",
            )  # fmt: skip
            ax.set_title(name)
            ax.set_xlabel(AXES[axes[1]])
            for side, which in zip(("x", "y"), (1, 0), strict=True):
                _ticks(ax, side, places[which])
            ax.spines[:].set_visible(False)
            ax.tick_params(length=2)
        for ax in shown[:, 0]:
            ax.set_ylabel(AXES[axes[0]])
        bar = figure.colorbar(image, ax=shown, pad=0.01, aspect=30)
        bar.set_label(unit)
        bar.outline.set_visible(False)
    return figure


def _extent(places: Sequence[Sequence[Any]]) -> tuple[float, float, float, float]:
    """Edges of the picture: half a cell beyond the first and last place; names count from 0."""
    ends = []
    for axis in (places[1], places[0]):
        if isinstance(axis[0], str):
            ends += [-0.5, len(axis) - 0.5]
        else:
            half = (axis[-1] - axis[0]) / max(1, len(axis) - 1) / 2 or 0.5
            ends += [axis[0] - half, axis[-1] + half]
    left, right, first, last = ends
    # Rows of names are counted downwards
    return (
        (left, right, last, first) if isinstance(places[0][0], str) else (left, right, first, last)
    )


def _ticks(ax: Any, side: str, places: Sequence[Any]) -> None:
    if not isinstance(places[0], str):
        return
    step = -(-len(places) // MOST_LABELS[side])
    index = range(0, len(places), step)
    names = [places[i] for i in index]
    if side == "x":
        ax.set_xticks(list(index), names, rotation=90, fontsize=6.5)
    else:
        ax.set_yticks(list(index), names, fontsize=6.5)


def words(name: str) -> str:
    """A name of the store in words: "left_hand" is "left hand"."""
    return name.replace("_", " ")


def method_words(method: str) -> str:
    """A method's name as it is written in a sentence."""
    return METHODS.get(method, words(method))


def class_colours(classes: Sequence[str]) -> Any:
    """The colour of each class, the same in every figure."""
    colours = [PALETTE[i % len(PALETTE)] for i in range(len(classes))]
    scale = alt.Scale(domain=list(classes), range=colours)
    legend = alt.Legend(orient="top", symbolOpacity=1, symbolType="stroke", symbolStrokeWidth=3)
    return alt.Color("class:N", title=None, scale=scale, legend=legend)


def _title(method: str, what: str, verdict: Verdict) -> str:
    text = f"{method_words(method)}, {what}"
    text = text[0].upper() + text[1:]
    return f"{FAILS}{text}" if verdict and verdict.get("verdict") == "fails" else text


def _scale(
    folds: Sequence[FoldMaps], method: str, as_shares: bool
) -> tuple[dict[str, Any], str, bool, float]:
    """Facts of the first fold that has the method, unit, whether it is signed, and a factor."""
    facts = next((fold.facts for fold in folds if method in fold.facts["methods"]), None)
    if facts is None:
        raise StoreError(f"No fold has maps by {method}.")
    if as_shares:
        return facts, "% of the map", False, 100.0
    about = facts["methods"][method]
    return facts, str(about["unit"]), bool(about["signed"]), 1.0


def _caption(folds: Sequence[FoldMaps], method: str, signed: bool, as_shares: bool) -> str:
    if as_shares:
        return "Share of each place in the map's magnitude."
    if method == "erds":
        known = [f.facts["methods"][method].get("facts", {}).get("before_cue", 1.0) for f in folds
                 if method in f.facts["methods"]]  # fmt: skip
        against = "before the cue" if all(known) else "in the mean over classes"
        return f"Power against that {against}: below 0 it falls (desynchronisation)."
    return "The sign means something: above and below 0." if signed else ""


def _flatness(values: Any) -> str:
    """How far the largest of a map is above its mean, where nothing stands out; else ""."""
    size = np.abs(np.asarray(values, dtype=float))
    axes = tuple(range(1, size.ndim))
    with np.errstate(invalid="ignore", divide="ignore"):
        most = float(np.nanmax(size.max(axis=axes) / size.mean(axis=axes), initial=0.0))
    return f" Nearly flat: the largest is {most:.2f} times the mean." if 0 < most < FLAT else ""


def _positions(facts: Mapping[str, Any]) -> Any:
    """(n_chans, 3); what JSON has as null is not a number."""
    places = facts.get("positions")
    if places is None:
        return None
    none = [np.nan] * 3
    rows = [none if row is None else row for row in places]
    return np.array([[np.nan if v is None else v for v in row] for row in rows], dtype=float)


def _y(column: str, unit: str, signed: bool) -> Any:
    title = "Power (dB)" if unit == "dB" else unit
    return alt.Y(f"{column}:Q", title=title, scale=alt.Scale(zero=not signed))


def _tips(axis: str) -> list[Any]:
    form = ".2f" if axis == "time" else ".0f"
    return ["class:N", alt.Tooltip(f"{axis}:Q", title=AXES[axis], format=form)] + [
        alt.Tooltip(f"{column}:Q", format=".3g") for column in ("mean", "low", "high")
    ]


def _ends(values: pd.Series) -> list[float]:
    return [float(values.min()), float(values.max())]
