"""How a class differs from the others."""

import numpy as np
from numpy.typing import NDArray


def against_mean(by_class: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps (n_classes, ...) minus their mean over classes; classes without a window stay NaN.

    With two classes, the maps mirror each other.
    """
    return np.asarray(by_class - np.nanmean(by_class, axis=0), dtype=np.float32)
