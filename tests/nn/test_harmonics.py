"""Spherical harmonics are orthonormal over the sphere."""

import numpy as np
import torch

from neurodecode.nn.harmonics import spherical_harmonics


def test_orthonormal() -> None:
    """By Gauss-Legendre quadrature, exact to degree 7."""
    z, weight = np.polynomial.legendre.leggauss(4)
    angle = np.arange(8) * np.pi / 4
    r = np.sqrt(1 - z**2)[:, None]
    points = np.stack(
        [r * np.cos(angle), r * np.sin(angle), np.broadcast_to(z[:, None], (4, 8))], 2
    )
    h = spherical_harmonics(torch.from_numpy(points.reshape(-1, 3))).numpy()
    gram = (h * np.repeat(weight / 16, 8)[:, None]).T @ h
    np.testing.assert_allclose(gram, np.eye(16), atol=1e-9)
