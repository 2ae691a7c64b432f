"""Spherical splines pass through what was measured and carry constants."""

import numpy as np
import pytest

from neurodecode.core.errors import SignalError
from neurodecode.recordings.montage import CENTRE, cap_1005
from neurodecode.signal.sphere import on_sphere, spline_matrix

PLACES = cap_1005().get_positions()["ch_pos"]


def directions(names: str) -> np.ndarray:
    return on_sphere(np.array([PLACES[name] for name in names.split()]), np.array(CENTRE))


FEW = directions("Fp1 Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2")
MORE = directions("FC1 FC2 CP1 CP2 FC5 FC6")


def test_passes_through_every_value_without_a_ridge() -> None:
    np.testing.assert_allclose(spline_matrix(FEW, FEW, ridge=0), np.eye(len(FEW)), atol=1e-6)


def test_a_constant_stays_the_constant() -> None:
    np.testing.assert_allclose(spline_matrix(FEW, MORE).sum(axis=1), 1)


def test_a_smooth_map_is_found_between_electrodes() -> None:
    def smooth(at: np.ndarray) -> np.ndarray:
        return at[:, 0] + 0.5 * at[:, 1] * at[:, 2]

    guessed = spline_matrix(FEW, MORE, ridge=1e-6) @ smooth(FEW)
    np.testing.assert_allclose(guessed, smooth(MORE), atol=0.06)


def test_an_electrode_without_a_position_is_an_error() -> None:
    with pytest.raises(SignalError, match="without a position"):
        on_sphere(np.array([[0.0, 0.0, np.nan]]))
