"""How much of a decision rides on the parts of the signal that artifacts dominate.

A part, such as the channels near the eyes or the frequencies above 30 Hz, is taken from other test
windows, so that it keeps its usual form and says nothing of its own window. What the balanced
accuracy loses is what the decision took from that part alone; what other parts say as well is not
lost. It is no proof of artifacts: the brain reaches those channels too.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.seeding import generator
from neurodecode.explain.power import bin_power
from neurodecode.explain.swapped import Order, derangement, swap_band, swap_channels
from neurodecode.explain.windows import Array, Axes, Windows
from neurodecode.training.estimator import Decoder

BANDS = {
    "below 4 Hz": (0.0, 4.0),
    "4 to 8 Hz": (4.0, 8.0),
    "8 to 13 Hz": (8.0, 13.0),
    "13 to 30 Hz": (13.0, 30.0),
    "above 30 Hz": (30.0, np.inf),
}
"""Eyes are mostly below 4 Hz, muscles above 13 Hz and most of all above 30 Hz."""
LEAST = 1e-4
"""Share of the power of windows below which a band holds nothing but the skirts of a filter."""
OUTER = 0.85
"""Of the way from the top of the head to the lowest electrode, as an angle: lower ones are taken
for the outer ring where no name says so."""
EYES = re.compile(r"EOG.*|.*EOG|FP\d+|FPZ|AF(7|8|9|10|Z)|F(7|8|9|10)|NZ|N\d", re.IGNORECASE)
"""Electrodes where blinks and glances are largest."""
MUSCLES = re.compile(
    r"EMG.*|T\d+|FT\d+|TP(7|8|9|10)|P(9|10)|PO(9|10)|I\d|IZ|O(9|10)|A1|A2|M1|M2", re.IGNORECASE
)
"""Temporal electrodes, and the lowest ring, above the muscles of jaw and neck."""
TEN_TEN = re.compile(r"(FP|AF|F|FC|FT|C|CP|P|PO|O)(\d+|Z)", re.IGNORECASE)
CHANNEL_PARTS = ("eye channels", "muscle channels", "other channels")

Windowed = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some channels, or a band.

    Attributes
    ----------
    names
        Channels, in the order of the windows; none for a band.
    chans
        Their indices.
    band
        Edges, Hz, half-open; None for channels.
    """

    names: tuple[str, ...] = ()
    chans: tuple[int, ...] = ()
    band: tuple[float, float] | None = None


def parts(axes: Axes, positions: NDArray[np.floating] | None) -> dict[str, Part]:
    """Parts of windows by name: channels by what dominates them, and bands.

    Channels are told by name, of the 10-10 system. Where no name is of that system, those of the
    outermost electrodes are muscle channels, and those of them that look ahead eye channels.

    Parameters
    ----------
    axes
        Of the windows.
    positions
        Of the channels, (n_chans, 3), m, in head coordinates (x to the right, y ahead, z up); may
        be NaN or None.

    Returns
    -------
    parts
        Those that have a channel, and that the sampling rate holds.
    """
    kinds = channel_parts(axes.ch_names, positions)
    out = {}
    for name in CHANNEL_PARTS:
        chans = tuple(i for i, kind in enumerate(kinds) if kind == name)
        if chans:
            out[name] = Part(names=tuple(axes.ch_names[i] for i in chans), chans=chans)
    highest = axes.sfreq / 2
    for name, (low, high) in BANDS.items():
        if low < highest:
            out[name] = Part(band=(low, min(high, highest + 1)))
    return out


def channel_parts(ch_names: Sequence[str], positions: NDArray[np.floating] | None) -> list[str]:
    """Which of `CHANNEL_PARTS` each channel belongs to."""
    eye, muscle, other = CHANNEL_PARTS
    if any(TEN_TEN.fullmatch(name) for name in ch_names):
        return [
            eye if EYES.fullmatch(name) else muscle if MUSCLES.fullmatch(name) else other
            for name in ch_names
        ]
    if positions is None or not np.isfinite(positions).any():
        return [eye if EYES.fullmatch(name) else other for name in ch_names]
    places = np.asarray(positions, dtype=np.float64)
    angle = np.arctan2(np.hypot(places[:, 0], places[:, 1]), places[:, 2])  # from the vertex
    outer = angle >= OUTER * np.nanmax(angle)
    ahead = places[:, 1] > np.abs(places[:, 0])
    return [
        eye if out and front else muscle if out else other
        for out, front in zip(outer, ahead, strict=True)
    ]


def reliance(
    decoder: Decoder, windows: Windows, parts: Mapping[str, Part], n_draws: int = 5
) -> list[dict[str, Any]]:
    """Loss of balanced accuracy on the test windows without what each part says.

    Aligned windows are of whitened channels: each holds mostly, but not only, the channel of its
    name.

    Parameters
    ----------
    decoder
        A fitted one.
    windows
        Of its fold.
    parts
        See `parts`. Bands with less than a ten-thousandth of the power are passed over: the band of
        the pipeline has left nothing there.
    n_draws
        Of the other windows; the same for every part and decoder.

    Returns
    -------
    lines
        For each part: part, names (of channels), drop (mean loss, below 0 for a gain), sd (over
        draws) and score (with all parts).
    """
    held, score = _power_of_bands(windows, parts), _score(decoder, windows.x, windows.y)
    lines = []
    for name, part in parts.items():
        if part.band is not None and held[name] < LEAST:
            continue
        swap = partial(_swap_part, windows.x, part, windows.axes.sfreq)
        loss = _loss(decoder, windows, swap, n_draws, score)
        lines.append({"part": name, "names": list(part.names)} | loss)
    return lines


def components(
    decoder: Decoder,
    windows: Windows,
    artifacts: Windowed,
    whiteners: Array | None = None,
    n_draws: int = 5,
) -> dict[str, Any]:
    """Loss of balanced accuracy where the artifacts in a window are those of another.

    Parameters
    ----------
    decoder
        A fitted one.
    windows
        Of its fold.
    artifacts
        What a cleaner takes out of each test window, (n_epochs, n_chans, n_times), microvolts, not
        aligned.
    whiteners
        (n_epochs, n_chans, n_chans) that the test windows were aligned by; None
        where they were not. An artifact of another window goes through that of its new one, and
        the alignment stays as it was.
    n_draws
        Of the other windows.

    Returns
    -------
    line
        As of `reliance`, of the part "components", and share: of the artifacts in the power of
        the windows.
    """

    def swap(order: Order) -> Windowed:
        change = artifacts[order] - artifacts
        if whiteners is not None:
            change = np.matmul(whiteners, change)
        return np.asarray(windows.x + change, dtype=np.float32)

    own = artifacts if whiteners is None else np.matmul(whiteners, artifacts)
    share = np.square(own, dtype=np.float64).sum() / np.square(windows.x, dtype=np.float64).sum()
    score = _score(decoder, windows.x, windows.y)
    loss = _loss(decoder, windows, swap, n_draws, score)
    return {"part": "components", "names": [], "share": float(share)} | loss


def _swap_part(x: Windowed, part: Part, sfreq: float, order: Order) -> Windowed:
    if part.band is None:
        return swap_channels(x, list(part.chans), order)
    return swap_band(x, part.band, order, sfreq=sfreq)


def _power_of_bands(windows: Windows, parts: Mapping[str, Part]) -> dict[str, float]:
    """Share of each band in the power of the test windows, without their mean and slope."""
    axes = windows.axes
    power = np.nansum(bin_power(windows.x, axes), axis=(0, 1))
    total = max(power.sum(), np.finfo(float).tiny)
    return {
        name: power[(axes.freqs >= part.band[0]) & (axes.freqs < part.band[1])].sum() / total
        for name, part in parts.items()
        if part.band is not None
    }


def _loss(
    decoder: Decoder,
    windows: Windows,
    swap: Callable[[Order], Windowed],
    n_draws: int,
    score: float,
) -> dict[str, float]:
    """What balanced accuracy loses where something is swapped."""
    rng = generator(0, "reliance")
    orders = [derangement(len(windows.x), rng) for _ in range(n_draws)]
    drops = [score - _score(decoder, swap(order), windows.y) for order in orders]
    return {"drop": float(np.mean(drops)), "sd": float(np.std(drops)), "score": score}


def _score(decoder: Decoder, x: Windowed, y: NDArray[np.int64]) -> float:
    """Balanced accuracy over the classes that have a window."""
    right = np.asarray(decoder.predict(x)) == y
    return float(np.mean([right[y == c].mean() for c in np.unique(y)]))
