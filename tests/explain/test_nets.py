"""Is a net left as it was?"""

import numpy as np
import pytest
import torch
from torch import nn
from toy_decoders import Linear, axes, holding, noise

from neurodecode.explain.nets import ask, at_rest, batch_size


def test_each_part_is_in_its_own_mode_again_also_after_an_error() -> None:
    net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3))
    net.train()
    net[1].eval()
    with at_rest(net) as device:
        assert not any(part.training for part in net.modules())
        assert device == torch.device("cpu")
    assert [part.training for part in net.modules()] == [True, True, False]
    with pytest.raises(RuntimeError), at_rest(net):
        net(torch.zeros(1, 5))
    assert [part.training for part in net.modules()] == [True, True, False]


def test_a_batch_holds_fewer_of_larger_windows_and_never_none() -> None:
    small, large = np.zeros((1, 4, 100)), np.zeros((1, 64, 4000))
    assert batch_size(small) == 256
    assert 1 <= batch_size(large) < 16
    assert batch_size(large, 24) == 1


def test_many_windows_are_asked_in_order() -> None:
    windows = noise(600, of=axes(n_times=20))
    decoder = holding(Linear(np.ones((4, 20))))
    found = ask(decoder, windows.x, decoder.model_)
    np.testing.assert_allclose(found[:, 1], windows.x.sum(axis=(1, 2)) / 5, rtol=1e-3, atol=1e-3)
