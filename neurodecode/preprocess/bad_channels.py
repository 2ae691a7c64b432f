"""Channels that carry no signal: found, and handled as the user said."""

from typing import Literal

import numpy as np
from mne.io import BaseRaw

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
