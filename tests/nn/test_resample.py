"""Resampling in a net: whole matrix and sparse one are the same."""

import pytest
import torch

from neurodecode.nn import resample
from neurodecode.nn.resample import Resample


@pytest.mark.parametrize("rates", [(160.0, 128.0), (173.61, 256.0)])
def test_sparse_is_dense(rates: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> None:
    n_in = 301
    n_out = round(n_in * rates[1] / rates[0])
    x = torch.randn(2, 3, n_in)
    whole = Resample(n_in, rates[0], n_out, rates[1])
    monkeypatch.setattr(resample, "LARGEST", 0)
    sparse = Resample(n_in, rates[0], n_out, rates[1])
    assert sparse.matrix.is_sparse
    torch.testing.assert_close(whole(x), sparse(x), atol=1e-5, rtol=1e-5)
    assert not whole.state_dict()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(whole(x), sparse(x), atol=1e-5, rtol=1e-5)


def test_two_minutes_at_512_hz_fit() -> None:
    net = Resample(32000, 256.0, 64000, 512.0)
    assert net(torch.ones(1, 32000)).sub(1).abs().max() < 1e-5
