import pytest
import torch
from torch.nn import functional

from neurodecode.nn.dropout import Dropout, mask


@pytest.mark.parametrize("p", [0.5, 0.25, 0.3, 0.001, 0.999])
def test_as_many_are_dropped_as_asked_for_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1_000_003)
    y = Dropout(p)(x)
    dropped = (y == 0).double().mean()
    sd = (p * (1 - p) / len(x)) ** 0.5
    assert abs(dropped - p) < 4 * sd + 1 / 65536
    assert abs(y.double().mean() - 1) < 5 * sd / (1 - p) + 1e-6  # what is kept makes up for it
    assert len(y.unique()) == 2


def test_every_byte_of_a_draw_is_even() -> None:
    """Each of the eight places that a draw of 64 bits is cut into drops alike, and alone."""
    torch.manual_seed(0)
    dropped = (mask(torch.empty(400_000, 8), 0.5) == 0).double()
    assert (dropped.mean(dim=0) - 0.5).abs().max() < 0.004
    assert (torch.corrcoef(dropped.T) - torch.eye(8)).abs().max() < 0.01


def test_gradients_go_where_values_went() -> None:
    x = torch.randn(7, 5, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert torch.equal(x.grad, torch.where(y == 0, 0.0, 2.0))


def test_a_seed_says_what_is_dropped_and_the_generator_moves_on() -> None:
    torch.manual_seed(3)
    drop, x = Dropout(0.3), torch.ones(1000)
    first, second = drop(x), drop(x)
    torch.manual_seed(3)
    assert torch.equal(drop(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_none_or_all(p: float) -> None:
    x = torch.randn(9)
    assert torch.equal(Dropout(p)(x), (1 - p) * x)
    assert torch.equal(Dropout(p).eval()(x), x)


def test_other_types_and_shapes() -> None:
    for shape in ((), (0,), (3, 1, 2)):
        for dtype in (torch.float64, torch.bfloat16):
            y = Dropout(0.3)(torch.ones(shape, dtype=dtype))
            assert y.shape == shape
            assert y.dtype == dtype


def test_each_net_of_many_drops_its_own() -> None:
    torch.manual_seed(0)
    x = torch.ones(3, 100)
    y = torch.func.vmap(Dropout(0.5), randomness="different")(x)
    assert not torch.equal(y[0], y[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_trace_holds_torchs_own() -> None:
    drop = Dropout(0.5)
    traced = torch.jit.trace(drop, torch.ones(5), check_trace=False)
    assert "aten::dropout" in str(traced.graph)
    torch.manual_seed(1)
    expected = functional.dropout(torch.ones(50), 0.5)
    torch.manual_seed(1)
    assert torch.equal(traced(torch.ones(50)), expected)
