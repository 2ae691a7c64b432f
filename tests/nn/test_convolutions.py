import pytest
import torch
from torch.nn import functional

from neurodecode.nn import convolutions
from neurodecode.nn.convolutions import DepthwiseTemporalConv, elu_conv_mean


@pytest.mark.parametrize(
    ("n_maps", "n_taps", "n_times"), [(1, 1, 1), (3, 5, 4), (40, 63, 250), (2, 7, 33)]
)
def test_depthwise_convolution_is_that_of_torch(n_maps: int, n_taps: int, n_times: int) -> None:
    torch.manual_seed(0)
    conv = DepthwiseTemporalConv(n_maps, n_taps)
    x = torch.randn(2, n_times, n_maps, requires_grad=True)
    ours = conv(x)
    theirs = functional.conv1d(
        x.mT, conv.weight.unsqueeze(1), padding=n_taps // 2, groups=n_maps
    ).mT
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    direction = torch.randn_like(ours)
    mine = torch.autograd.grad((ours * direction).sum(), (x, conv.weight))
    reference = torch.autograd.grad((theirs * direction).sum(), (x, conv.weight))
    torch.testing.assert_close(mine, reference, atol=1e-4, rtol=1e-4)


def elu_conv_mean_in_torch(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, stride: int
) -> torch.Tensor:
    pad = weight.shape[1] // 2
    z = functional.conv1d(x.unsqueeze(1), weight.unsqueeze(1), bias, stride=stride, padding=pad)
    return functional.elu(z).mean(dim=2)


@pytest.mark.parametrize("chunk", [1, 300, 2**18])
@pytest.mark.parametrize(("n_taps", "stride", "n_times"), [(25, 5, 100), (3, 1, 7), (1, 4, 5)])
def test_mean_of_elu_and_its_gradients_are_those_of_torch(
    n_taps: int, stride: int, n_times: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolutions, "CHUNK", chunk)
    torch.manual_seed(0)
    x = torch.randn(9, n_times, dtype=torch.float64)
    weight = torch.randn(4, n_taps, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    ours = elu_conv_mean(x, weight, bias, stride=stride)
    theirs = elu_conv_mean_in_torch(x, weight, bias, stride)
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    torch.testing.assert_close(
        torch.autograd.grad((ours * direction).sum(), (weight, bias)),
        torch.autograd.grad((theirs * direction).sum(), (weight, bias)),
    )


def test_mean_of_elu_gives_gradients_to_the_signals_for_maps() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 20, dtype=torch.float64, requires_grad=True)
    weight, bias = torch.randn(2, 5, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: elu_conv_mean(s, weight, bias, stride=3), (x,))
    with torch.no_grad():
        quick = elu_conv_mean(x.detach(), weight, bias, stride=3)
    torch.testing.assert_close(elu_conv_mean(x, weight, bias, stride=3), quick)
