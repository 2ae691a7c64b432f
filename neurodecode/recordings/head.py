"""A head of concentric spheres: what a dipole in the brain adds to each electrode.

The conductor is MNE's four-layer sphere (brain, fluid, skull, skin), fitted to the electrodes
of a standard cap. Potentials are against a point far away: no electrode is silent because it is
the reference. Positions and directions are in MNE's head coordinates, metres.
"""

import difflib
from collections.abc import Sequence
from functools import cache
from typing import Any

import mne
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from neurodecode.core.errors import SignalError

Array = NDArray[np.float64]


@cache
def cap() -> Any:
    """Montage of the standard cap, 10-10 names."""
    # MNE renamed it in 1.13, and warns at the old name; drop the second when 1.12 goes.
    names = ("colin27_1020", "standard_1020")
    known = mne.channels.get_builtin_montages()
    return mne.channels.make_standard_montage(next(name for name in names if name in known))


def cap_info(ch_names: Sequence[str], sfreq: float) -> Any:
    """MNE's description of a recording with these channels of the cap, positions included.

    Raises
    ------
    SignalError
        If a name is not on the cap or stands twice.
    """
    known = cap().ch_names
    unknown = [name for name in ch_names if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0].lower(), [n.lower() for n in known], n=1)
        hint = next((n for n in known if near and n.lower() == near[0]), "Cz")
        raise SignalError(
            f"Channel '{unknown[0]}' is not on the 10-10 cap of the simulated head. "
            f"Use 10-10 names, such as '{hint}'."
        )
    if not ch_names or len(set(ch_names)) != len(ch_names):
        raise SignalError(
            f"A simulated cap needs channels, each once; got {', '.join(ch_names) or 'none'}."
        )
    info = mne.create_info(list(ch_names), sfreq, "eeg", verbose="error")
    info.set_montage(cap())
    info["description"] = "simulated by neurodecode"
    return info


@cache
def _sphere() -> tuple[Any, Any]:
    """The whole cap, and the sphere fitted to it."""
    info = cap_info(cap().ch_names, 1.0)
    return info, mne.make_sphere_model("auto", "auto", info, verbose="error")


def centre() -> Array:
    """Middle of the head, (3,), m."""
    return np.asarray(_sphere()[1]["r0"])


def below(ch_name: str, *, depth: float) -> Array:
    """Point straight below an electrode of the cap, (3,), m.

    Parameters
    ----------
    ch_name
        Electrode on the cap.
    depth
        Distance from the scalp, as a fraction of the head's radius; the brain begins at 0.1.
    """
    info, sphere = _sphere()
    outward = info["chs"][cap().ch_names.index(ch_name)]["loc"][:3] - centre()
    radius = sphere["layers"][-1]["rad"] * (1 - depth)
    return np.asarray(centre() + radius * outward / np.linalg.norm(outward))


def turned(points: Array, angles: Array) -> Array:
    """Points turned about the middle of the head, same shape.

    Parameters
    ----------
    points
        (n_points, 3), m.
    angles
        Rotation vectors, (3,) or (n_points, 3), rad.
    """
    return np.asarray(centre() + Rotation.from_rotvec(angles).apply(points - centre()))


def nearest(points: Array, ch_names: Sequence[str]) -> tuple[str, ...]:
    """The electrode closest to each of `points`, (n_points, 3) m, seen from the middle."""
    info, _ = _sphere()
    places = {ch["ch_name"]: ch["loc"][:3] - centre() for ch in info["chs"]}
    outward = np.array([places[name] / np.linalg.norm(places[name]) for name in ch_names])
    return tuple(ch_names[i] for i in np.argmax((points - centre()) @ outward.T, axis=1))


def spread(points: Array, directions: Array, ch_names: Sequence[str]) -> Array:
    """Scalp pattern of dipoles, (n_chans, n_points), 1 where the whole cap sees each best.

    A source is then scaled by the volts it makes under its best electrode, whether or not that
    electrode was recorded.

    Parameters
    ----------
    points
        Where the dipoles are, (n_points, 3), m, inside the brain.
    directions
        Where they point, (n_points, 3), any length.
    ch_names
        Recorded channels.
    """
    info, sphere = _sphere()
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    space = mne.setup_volume_source_space(
        pos={"rr": points, "nn": unit}, sphere=sphere, sphere_units="m", verbose="error"
    )
    forward = mne.make_forward_solution(
        info, trans=None, src=space, bem=sphere, meg=False, mindist=0.0, verbose="error"
    )
    gain = forward["sol"]["data"].reshape(len(info["chs"]), -1, 3)  # x, y, z of each dipole
    assert gain.shape[1] == len(points), "MNE left out a dipole that is not inside the brain"
    pattern = np.einsum("cpx,px->cp", gain, unit)
    pattern /= np.abs(pattern).max(axis=0)
    return np.asarray(pattern[[cap().ch_names.index(name) for name in ch_names]])
