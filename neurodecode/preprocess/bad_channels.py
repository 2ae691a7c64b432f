"""Channels that carry no signal: found, and handled as the user said."""

from collections.abc import Sequence
from typing import Literal

import mne
import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError

FLAT = 1e-9
"""Peak-to-peak below which a channel is flat, volts: a thousandth of a microvolt."""


def find_bad_channels(raw: BaseRaw) -> dict[str, str]:
    """Why each unusable channel is unusable: "flat", "not finite" or "marked bad"."""
    data = raw.get_data()
    why = {name: "marked bad" for name in raw.info["bads"]}
    for name, x in zip(raw.ch_names, data, strict=True):
        if not np.isfinite(x).all():
            why[name] = "not finite"
        elif np.ptp(x) < FLAT:
            why[name] = "flat"
    return why


def handle_bad_channels(raw: BaseRaw, method: Literal["stop", "interpolate", "keep"]) -> None:
    """Stop at, interpolate or keep the bad channels of `raw`, in place.

    Raises
    ------
    SignalError
        With "stop", if there is one; with "interpolate", if positions are missing or too few
        channels are left; with "keep", if one is not finite.
    """
    why = find_bad_channels(raw)
    if method == "keep":
        why = {name: reason for name, reason in why.items() if reason == "not finite"}
    if not why:
        return
    listing = ", ".join(f"{name} ({reason})" for name, reason in why.items())
    if method != "interpolate":
        raise SignalError(
            f"{len(why)} of {len(raw.ch_names)} channels cannot be used: {listing}. Leave them "
            f'out with --set "preprocess.drop={list(why)}", or fill them in with --set '
            f"preprocess.bad_channels=interpolate."
        )
    located = [ch for ch in raw.info["chs"] if np.isfinite(ch["loc"][:3]).all()]
    good = [ch for ch in located if ch["ch_name"] not in why and ch["loc"][:3].any()]
    if len(good) < 4 or any(not _has_position(raw, name) for name in why):
        raise SignalError(
            f"Channels {listing} cannot be interpolated: it takes their positions and 4 located "
            f"good channels ({len(good)} here). Drop them with --set "
            f'"preprocess.drop={list(why)}".'
        )
    raw.info["bads"] = list(why)
    raw._data[[raw.ch_names.index(name) for name in why]] = 0.0  # not finite would spread
    raw.interpolate_bads(reset_bads=True, verbose="ERROR")


def _has_position(raw: BaseRaw, name: str) -> bool:
    loc = raw.info["chs"][raw.ch_names.index(name)]["loc"][:3]
    return bool(np.isfinite(loc).all() and loc.any())


def repair_matrix(
    ch_names: Sequence[str], positions: NDArray[np.float64], bad: Sequence[int]
) -> NDArray[np.float64]:
    """What makes all channels out of the good ones, as "interpolate" does: (n_chans, n_chans).

    Parameters
    ----------
    ch_names
        Names.
    positions
        Of the channels, (n_chans, 3), m, head coordinates.
    bad
        Indices of channels to fill in; their columns are zero.
    """
    places = dict(zip(ch_names, positions, strict=True))
    info = mne.create_info(list(ch_names), 1.0, "eeg")
    info.set_montage(mne.channels.make_dig_montage(places, coord_frame="head"), verbose="ERROR")
    each = np.eye(len(ch_names))  # what channel i alone becomes is column i
    each[:, list(bad)] = 0.0
    raw = mne.io.RawArray(each, info, verbose="ERROR")
    raw.info["bads"] = [ch_names[i] for i in bad]
    raw.interpolate_bads(reset_bads=True, verbose="ERROR")
    return np.asarray(raw.get_data())
