"""Where an electrode lies, as numbers that a net can learn from."""

import math

import torch
from torch import Tensor


def spherical_harmonics(directions: Tensor) -> Tensor:
    """Real spherical harmonics up to degree 3, (..., 16), each with unit mean square.

    Parameters
    ----------
    directions
        Unit vectors (..., 3): right, front, up.
    """
    x, y, z = directions.unbind(dim=-1)
    xx, yy, zz = x * x, y * y, z * z
    degrees = [
        torch.ones_like(x),
        *(math.sqrt(3) * v for v in (y, z, x)),
        *(math.sqrt(15) * v for v in (x * y, y * z, x * z)),
        math.sqrt(5) / 2 * (3 * zz - 1),
        math.sqrt(15) / 2 * (xx - yy),
        math.sqrt(35 / 8) * y * (3 * xx - yy),
        math.sqrt(105) * x * y * z,
        math.sqrt(21 / 8) * y * (5 * zz - 1),
        math.sqrt(7) / 2 * z * (5 * zz - 3),
        math.sqrt(21 / 8) * x * (5 * zz - 1),
        math.sqrt(105) / 2 * z * (xx - yy),
        math.sqrt(35 / 8) * x * (xx - 3 * yy),
    ]
    return torch.stack(degrees, dim=-1)
