r"""LoRA: linear layers that are adapted by a product of two thin matrices.

A layer of frozen weights :math:`W` gives :math:`W x + \frac{\alpha}{r} B A x`, where :math:`A` has
`rank` rows and :math:`B` as many columns. :math:`B` starts at zero, so that the net is at first
what it was.

Reference: "LoRA: low-rank adaptation of large language models", ICLR 2022, arXiv:2106.09685,
section 4.1. :math:`B A x` is added to the output, and not :math:`B A` to the weights (as
``torch.nn.utils.parametrize`` would): then backpropagation never forms the gradient of a full
matrix, which costs as much as the layer itself.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError


class LoRALinear(nn.Linear):
    """A frozen linear layer and its adapter.

    It shares weight and bias with the layer that it is made from, under the same names, so weights
    saved before adapters were added still fit.

    Parameters
    ----------
    layer
        Layer to adapt; its parameters are frozen.
    rank
        Rows of `down` and columns of `up`.
    alpha
        The adapter's output is multiplied by ``alpha / rank``.
    dropout
        Probability of dropping an input of the adapter, in [0, 1).
    """

    def __init__(self, layer: nn.Linear, *, rank: int, alpha: float, dropout: float) -> None:
        nn.Module.__init__(self)  # nn.Linear's own would draw weights that nobody keeps
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias
        self.requires_grad_(False)
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.lora_down = nn.Parameter(self.weight.new_empty(rank, layer.in_features))
        self.lora_up = nn.Parameter(self.weight.new_zeros(layer.out_features, rank))
        nn.init.normal_(self.lora_down, std=layer.in_features**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Output of the adapted layer, (..., out_features)."""
        y = super().forward(x)
        x = functional.dropout(x, self.dropout, self.training)
        thin = functional.linear(x, self.lora_down)  #      (..., rank)
        scale = self.alpha / self.rank
        flat = y.reshape(-1, self.out_features)
        out = torch.addmm(flat, thin.reshape(-1, self.rank), self.lora_up.T, alpha=scale)
        return out.view(y.shape)

    def extra_repr(self) -> str:
        """What the layer's line in a printed net says."""
        return f"{super().extra_repr()}, rank={self.rank}, alpha={self.alpha:g}"

    @torch.no_grad()
    def folded(self) -> nn.Linear:
        """A plain layer of new weights that gives the same."""
        layer = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        weight = self.weight + self.alpha / self.rank * self.lora_up @ self.lora_down
        layer.weight = nn.Parameter(weight, requires_grad=False)
        if self.bias is not None:
            layer.bias = self.bias
        return layer


def add_lora(
    net: nn.Module,
    targets: Sequence[str],
    *,
    rank: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
) -> list[str]:
    """Freeze a net and give adapters to some of its linear layers, in place.

    Parameters
    ----------
    net
        Its parameters stop learning, all of them: only the adapters learn.
    targets
        Last parts of the names of the layers, such as "query".
    rank, alpha, dropout
        As for `LoRALinear`.

    Returns
    -------
    list of str
        Names of the layers that were adapted.

    Raises
    ------
    ConfigError
        If a target is no linear layer of the net, if there are adapters already, or if an option
        is out of its range.
    """
    if rank < 1 or not 0 <= dropout < 1:
        raise ConfigError(
            f"LoRA of rank={rank} with dropout={dropout:g} is impossible. Choose a rank of at "
            f"least 1 and a dropout in [0, 1)."
        )
    if adapters(net):
        raise ConfigError("This net has LoRA adapters already. Merge them first (merge_lora).")
    linear = {name: m for name, m in net.named_modules() if isinstance(m, nn.Linear) and name}
    last = {name: name.rpartition(".")[2] for name in linear}
    missing = sorted(set(targets) - set(last.values()))
    if missing or not targets:
        known = ", ".join(sorted(set(last.values()))) or "none"
        raise ConfigError(
            f"No linear layer of {type(net).__name__} is called {', '.join(missing) or 'nothing'}, "
            f"which LoRA was to adapt. There are: {known}."
        )
    net.requires_grad_(False)
    chosen = [name for name in linear if last[name] in targets]
    for name in chosen:
        _put(net, name, LoRALinear(linear[name], rank=rank, alpha=alpha, dropout=dropout))
    return chosen


def adapters(net: nn.Module) -> dict[str, LoRALinear]:
    """Adapted layers of a net, by name."""
    return {name: m for name, m in net.named_modules() if isinstance(m, LoRALinear)}


def merge_lora(net: nn.Module) -> dict[str, LoRALinear]:
    """Fold the adapters into plain layers, in place: the same outputs at the cost of none.

    The merged net has the names of one that was never adapted, so its weights can be saved and
    loaded as such. Weights are new tensors; those from before are kept in what is returned.

    Returns
    -------
    dict
        The adapted layers, for `unmerge_lora`.
    """
    taken = adapters(net)
    for name, layer in taken.items():
        _put(net, name, layer.folded())
    return taken


def unmerge_lora(net: nn.Module, taken: dict[str, LoRALinear]) -> None:
    """Put back what `merge_lora` took, in place; the net is exactly what it was before."""
    for name, layer in taken.items():
        _put(net, name, layer)


def _put(net: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    layer.train(net.training)
    setattr(net.get_submodule(parent), last, layer)
