"""Adapters of low rank: nothing at first, then all that learns, and folded away at the end."""

import pytest
import torch
from torch import nn

from neurodecode.core.errors import ConfigError
from neurodecode.nn.lora import adapters, add_lora, merge_lora, unmerge_lora


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(
            nn.ModuleDict({"query": nn.Linear(8, 8, bias=False), "value": nn.Linear(8, 4)})
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict)
            x = self.norm(x + layer["query"](x).tanh())
            x = x + layer["value"](x).repeat(1, 1, 2)
        return x


def inputs() -> torch.Tensor:
    return torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))


def learn(net: nn.Module, n_steps: int = 5) -> None:
    weights = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=0.05)
    for _ in range(n_steps):
        optimizer.zero_grad()
        (net(inputs()) - 1).square().mean().backward()
        optimizer.step()


def test_it_starts_as_the_identity() -> None:
    net = Net()
    before = net(inputs())
    names = add_lora(net, ("query", "value"))
    assert names == ["layers.0.query", "layers.0.value", "layers.1.query", "layers.1.value"]
    assert torch.equal(net(inputs()), before)


def test_only_adapters_learn() -> None:
    net = Net()
    frozen = {name: value.clone() for name, value in net.state_dict().items()}
    before = net(inputs())
    add_lora(net, ("query", "value"), rank=2)
    learning = {n for n, p in net.named_parameters() if p.requires_grad}
    assert learning == {
        f"layers.{i}.{name}.lora_{end}"
        for i in (0, 1)
        for name in ("query", "value")
        for end in ("down", "up")
    }
    learn(net)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in frozen.items())
    assert not torch.allclose(net(inputs()), before, atol=1e-3)


def test_output_is_the_equation() -> None:
    net = nn.Sequential(nn.Linear(6, 3))
    add_lora(net, ("0",), rank=2, alpha=5)
    layer = adapters(net)["0"]
    nn.init.normal_(layer.lora_up)
    x = torch.randn(4, 6)
    expected = x @ layer.weight.T + layer.bias + 5 / 2 * x @ layer.lora_down.T @ layer.lora_up.T
    torch.testing.assert_close(net(x), expected)
    torch.testing.assert_close(net(x[0]), expected[0])


def test_merging_changes_nothing_and_can_be_undone() -> None:
    net = Net().eval()
    add_lora(net, ("query", "value"), rank=3)
    learn(net)
    adapted, weights = net(inputs()), {n: w.clone() for n, w in net.state_dict().items()}
    taken = merge_lora(net)
    torch.testing.assert_close(net(inputs()), adapted, atol=1e-6, rtol=1e-5)
    assert not adapters(net)
    assert set(net.state_dict()) == set(Net().state_dict())
    unmerge_lora(net, taken)
    assert torch.equal(net(inputs()), adapted)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in weights.items())


def test_merged_weights_fit_a_net_that_was_never_adapted() -> None:
    net = Net()
    add_lora(net, ("query",))
    learn(net)
    merge_lora(net)
    plain = Net()
    plain.load_state_dict(net.state_dict())
    torch.testing.assert_close(plain(inputs()), net(inputs()))


def test_weights_of_before_and_after_fit() -> None:
    old = Net().state_dict()
    net = Net()
    add_lora(net, ("query",))
    missing, unexpected = net.load_state_dict(old, strict=False)
    assert unexpected == []
    assert all("lora" in name for name in missing)
    learn(net)
    again = Net()
    add_lora(again, ("query",))
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(again(inputs()), net(inputs()))


def test_size() -> None:
    net = Net()
    assert not adapters(net)
    add_lora(net, ("query", "value"), rank=2)
    learns = sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert learns == 2 * (2 * (8 + 8) + 2 * (8 + 4))


def test_dropout_is_for_training() -> None:
    net = Net()
    add_lora(net, ("query",), dropout=0.9)
    learn(net)
    assert not torch.equal(net(inputs()), net(inputs()))
    net.eval()
    assert torch.equal(net(inputs()), net(inputs()))


@pytest.mark.parametrize(
    ("targets", "options", "match"),
    [
        (("keys",), {}, r"called keys, .* There are: query, value\."),
        (("norm",), {}, "called norm"),
        ((), {}, "called nothing"),
        (("query",), {"rank": 0}, "rank=0"),
        (("query",), {"dropout": 1.0}, "dropout=1"),
    ],
)
def test_what_cannot_be_adapted(
    targets: tuple[str, ...], options: dict[str, float], match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        add_lora(Net(), targets, **options)  # type: ignore[arg-type]


def test_adapters_are_added_once() -> None:
    net = Net()
    add_lora(net, ("query",))
    with pytest.raises(ConfigError, match="adapters already"):
        add_lora(net, ("value",))
