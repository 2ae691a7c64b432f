"""Another sampling rate inside a net."""

import numpy as np
import torch
from torch import Tensor, nn

from neurodecode.signal.resampling import resampling_matrix, resampling_taps

LARGEST = 2**22
"""Entries of a matrix that is kept whole; one of two minutes at 512 Hz would take gigabytes."""


class Resample(nn.Module):
    """Windows at another rate, see `neurodecode.signal.resampling`.

    Parameters
    ----------
    n_in, n_out
        Samples.
    rate_in, rate_out
        Hz.
    """

    matrix: Tensor  # (n_in, n_out), or sparse (n_out, n_in)

    def __init__(self, n_in: int, rate_in: float, n_out: int, rate_out: float) -> None:
        super().__init__()
        if n_in * n_out <= LARGEST:
            whole = resampling_matrix(n_in, rate_in, n_out, rate_out)
            matrix = torch.as_tensor(whole.T, dtype=torch.float32).contiguous()
        else:
            taps, values = resampling_taps(n_in, rate_in, n_out, rate_out)
            rows = np.repeat(np.arange(n_out), taps.shape[1])
            with torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
                matrix = torch.sparse_coo_tensor(
                    torch.from_numpy(np.stack([rows, taps.ravel()])),
                    torch.as_tensor(values.ravel(), dtype=torch.float32),
                    (n_out, n_in),
                ).coalesce()
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., n_in) to (..., n_out), in single precision whatever surrounds it."""
        with torch.autocast(x.device.type, enabled=False):
            if not self.matrix.is_sparse:
                return x.float() @ self.matrix
            rows = x.float().reshape(-1, x.shape[-1])
            out: Tensor = torch.sparse.mm(self.matrix, rows.T)
            return out.T.reshape(*x.shape[:-1], -1)
