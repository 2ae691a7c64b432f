"""Spherical splines: what one set of electrodes measures, seen from another.

Reference: Perrin, Pernier, Bertrand, Echallier, "Spherical splines for scalp potential and current
density mapping", Electroencephalography and Clinical Neurophysiology 72, 1989, equations 1 to 3.
"""

import numpy as np
from numpy.polynomial.legendre import legval
from numpy.typing import NDArray

from neurodecode.core.errors import SignalError

Array = NDArray[np.float64]

ORDER = 4  # m of the paper's equation 3: how smooth the map is
N_TERMS = 50  # of the series; terms beyond are below 1e-10


def on_sphere(positions: Array, centre: Array | None = None) -> Array:
    """Directions of electrodes from the middle of the head, (n_chans, 3), length 1.

    Parameters
    ----------
    positions
        (n_chans, 3), any unit.
    centre
        Middle of the head, (3,), same unit; by default the origin.

    Raises
    ------
    SignalError
        If a position is not finite or lies in the middle.
    """
    away = np.asarray(positions, dtype=float) - (0.0 if centre is None else centre)
    length = np.linalg.norm(away, axis=-1, keepdims=True)
    if not np.isfinite(away).all() or (length == 0).any():
        raise SignalError("Electrodes without a position cannot be placed on a sphere.")
    return np.asarray(away / length)


def spline_matrix(sources: Array, targets: Array, *, ridge: float = 1e-3) -> Array:
    """Matrix (n_targets, n_sources) that maps potentials at some electrodes to others.

    Parameters
    ----------
    sources, targets
        Directions of electrodes, (n, 3), length 1.
    ridge
        Added to the diagonal, relative to it: 0 passes through every value; more smooths.

    Notes
    -----
    A constant is mapped to the same constant.
    """
    n = len(sources)
    inner = _kernel(sources @ sources.T)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = inner + ridge * inner[0, 0] * np.eye(n)
    system[n, n] = 0.0
    across = np.ones((len(targets), n + 1))
    across[:, :n] = _kernel(targets @ sources.T)
    return np.asarray(across @ np.linalg.pinv(system, hermitian=True)[:, :n])


def _kernel(cosine: Array) -> Array:
    n = np.arange(1, N_TERMS)
    terms = (2 * n + 1) / (n**ORDER * (n + 1) ** ORDER) / (4 * np.pi)
    return np.asarray(legval(np.clip(cosine, -1, 1), np.concatenate([[0.0], terms])))
