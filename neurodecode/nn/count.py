"""Counts what a net does with windows: products, spikes and membranes, layer by layer.

Every product that torch carries out is seen where it happens, with its operands, whatever module or
function asked for it. A multiply-accumulate (MAC) is counted for each pair of numbers that are
multiplied, padding included. Where an operand is spikes (`neurodecode.nn.spiking.levels`), there is
nothing to multiply: an accumulate (AC) is counted for each spike and each number that it meets, not
beyond the edges of a convolution; a count of k is k spikes. Matrices that are neither learned nor
computed from the window, such as averages, count where they are not zero.

Not counted, because they fold into the weights beside them: biases, batch norms of a fitted net,
scales. Not counted, because products outweigh them: sums, pooling, other norms, softmax and other
functions of single numbers. Not counted, but named: `UNSEEN`. Attention is two products.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from neurodecode.core.counts import TOTALS, Counts, Kind, LayerCount
from neurodecode.nn.spiking.levels import heights_of, spike_counts, spikes_now
from neurodecode.nn.spiking.neurons import Neuron, neurons_of

BATCH = 16  # windows at a time

UNSEEN = ("_fft", "fft_", "linalg", "_linalg", "_cdist", "_trilinear", "cholesky", "_transformer")
"""Beginnings of the names of operations that hide products."""


def count(net: nn.Module, x: Tensor) -> Counts:
    """What the net does with a window, on average over windows.

    Parameters
    ----------
    net
        Maps windows to logits; it is run as at test, on the CPU, and left as it was.
    x
        Windows as the net sees them, (n_windows, n_chans, n_times).
    """
    n_steps, repeats = _steps(net, x[:1])
    counter = _Counter(net, n_steps)
    with _as_at_test(net), counter.watching():
        for start in range(0, len(x), BATCH):
            batch = x[start : start + BATCH]
            counter.begin(batch)
            with counter:
                net(batch)
    return Counts(
        layers=counter.means(),
        n_steps=n_steps,
        repeats=repeats,
        unseen=tuple(sorted(counter.unseen)),
    )


@contextmanager
def _as_at_test(net: nn.Module) -> Iterator[None]:
    """No dropout, no gradients, and no fused kernel that hides its products."""
    training = net.training
    fast = torch.backends.mha.get_fastpath_enabled()
    recurrent = any(isinstance(part, nn.RNNBase) for part in net.modules())
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        torch.backends.mha.set_fastpath_enabled(False)
        before = torch._C._get_mkldnn_enabled()
        torch._C._set_mkldnn_enabled(
            before and not recurrent
        )  # as its `flags` do, without a warning
        net.eval()
        try:
            yield
        finally:
            net.train(training)
            torch._C._set_mkldnn_enabled(before)
            torch.backends.mha.set_fastpath_enabled(fast)


def _steps(net: nn.Module, x: Tensor) -> tuple[int, bool]:
    """Steps of a net that spikes, and whether each sees the whole window again."""
    spiking = [neuron for _, neuron in neurons_of(net) if spikes_now(neuron)]
    if not spiking:
        return 1, True
    time = getattr(net, "time", None)
    if time is not None:
        return int(time.n_steps), time.mode == "repeat"
    seen: list[int] = []
    hooks = [
        n.register_forward_pre_hook(lambda _, args: seen.append(len(args[0]))) for n in spiking
    ]
    try:
        with _as_at_test(net):
            net(x)
    finally:
        for hook in hooks:
            hook.remove()
    return max(seen, default=1), True


class _Call(NamedTuple):
    """A module that is running."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]  # of what it was given
    spiked: list[bool]  # holds something once a population within has run


class _Operand(NamedTuple):
    """One side of a product."""

    tensor: Tensor  # matrices (n, rows, columns), or what is convolved
    weight: bool  # learned, or at least not computed from the window
    learned: bool
    counts: Tensor | None  # spikes, where it is spikes

    def sums(self, dim: int, *, spikes: bool) -> Tensor:
        """How many numbers, or spikes where it has any, there are along a dimension.

        Of matrices that nobody learned, zeros are left out.
        """
        if spikes and self.counts is not None:
            return self.counts.sum(dim=dim, dtype=torch.float64)
        if self.weight and not self.learned:
            return (self.tensor != 0).sum(dim=dim, dtype=torch.float64)
        shape = list(self.tensor.shape)
        n = shape.pop(dim)
        return torch.full(shape, n, dtype=torch.float64)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation of a net that runs."""

    def __init__(self, net: nn.Module, n_steps: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.net, self.n_steps = net, n_steps
        populations = [neuron for _, neuron in neurons_of(net)]
        self.heights = heights_of(populations)
        self.looks = not populations or any(spikes_now(neuron) for neuron in populations)
        self.owner = {
            _place(p): name or "(net)"
            for name, part in reversed(list(net.named_modules()))
            for p in part.parameters(recurse=False)
        }
        self.names = {part: name or "(net)" for name, part in net.named_modules()}
        self.layers: dict[tuple[str, Kind], LayerCount] = {}
        self.unseen: set[str] = set()
        self.n_windows = self.n_batches = self.batch = 0
        self.running: list[_Call] = []

    def begin(self, batch: Tensor) -> None:
        """Windows are about to run."""
        self.batch = len(batch)
        self.n_windows += self.batch
        self.n_batches += 1
        self.computed = {_place(batch)}  # where in memory there is what depends on the windows
        self.made: dict[int, str] = {}  # and what was made of weights alone, with their owner
        self.used: dict[tuple[str, Kind], dict[tuple[int, int], Tensor]] = defaultdict(dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within the block, modules say when they run, and neurons what they did.

        Hooks of all modules there are, not of the net's: a net whose parts are watched may run
        one after the other what it otherwise does at once.
        """
        hooks: list[Any] = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        ]
        for name, part in self.net.named_modules():
            if isinstance(part, Neuron) and spikes_now(part):
                hooks.append(part.register_forward_hook(self._neurons(name or "(net)")))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, module: nn.Module, args: Any) -> None:
        shape = tuple(args[0].shape) if args and isinstance(args[0], Tensor) else ()
        self.running.append(_Call(self.names.get(module, "(net)"), module, shape, []))

    def _leave(self, module: nn.Module, args: Any, made: Any) -> None:
        while self.running and self.running[-1].module is not module:
            self.running.pop()  # it was left by an error that somebody caught
        if self.running:
            self.running.pop()

    def _neurons(self, name: str) -> Any:
        def ran(neuron: Neuron, args: Any, made: Any) -> None:
            for call in self.running:
                call.spiked.append(True)
            x, out = args[0], made[0]
            layer = self._layer(name, "neurons")
            layer.steps = max(layer.steps, len(x))
            layer.membranes += x.numel()
            layer.inputs += x.numel()
            decay = getattr(neuron, "decay", None)
            forgets = decay is None or bool((decay() != 1).any())
            if forgets:
                layer.macs += x.numel()
            else:
                layer.acs += x.numel()
            counts = spike_counts(out, self.heights)
            if counts is None:
                layer.outputs += out.numel()
                layer.spikes += float((out != 0).sum())
            else:
                layer.spike_outputs += out.numel()
                layer.spikes += float(counts.sum(dtype=torch.float64))

        return ran

    def _layer(self, name: str, kind: Kind) -> LayerCount:
        return self.layers.setdefault((name, kind), LayerCount(layer=name, kind=kind))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, and count it if it is a product."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if name.startswith(UNSEEN):
            self.unseen.add(name)
        if name in MATRICES:
            first, second = MATRICES[name]
            self._matrices(args[first], args[second], out)
        elif name == "convolution":
            self._convolution(args, out)
        self._remember([*args, *kwargs.values()], out)
        return out

    def _remember(self, given: list[Any], made: Any) -> None:
        """What is made of something that depends on the windows depends on them."""
        places = [_place(t) for t in _tensors(given)]
        depends = any(place in self.computed for place in places)
        owner = next(filter(None, map(self._owner, places)), None)
        for place in map(_place, _tensors(made)):
            self.made.pop(place, None)
            if depends:
                self.computed.add(place)
                continue
            self.computed.discard(place)
            if owner is not None:
                self.made[place] = owner

    def _owner(self, place: int) -> str | None:
        """The layer whose weights lie there, or the first of those that they were made of."""
        return self.owner.get(place) or self.made.get(place)

    def _operand(self, tensor: Tensor) -> _Operand:
        weight, learned = _place(tensor) not in self.computed, _place(tensor) in self.owner
        counts = spike_counts(tensor, self.heights) if self.looks and not weight else None
        return _Operand(tensor, weight, learned, counts)

    def _matrices(self, a: Tensor, b: Tensor, out: Tensor) -> None:
        """Products of matrices (..., rows, inner) and (..., inner, columns), or of vectors."""
        a = a.unsqueeze(0) if a.ndim == 1 else a
        b = b.unsqueeze(-1) if b.ndim == 1 else b
        left, right = self._operand(a), self._operand(b)
        if left.weight and right.weight:
            return  # of constants, once and for all
        dense, met = (
            float((left.sums(-2, spikes=spikes) * right.sums(-1, spikes=spikes)).sum())
            for spikes in (False, True)
        )
        self._add("matrix", (left, right), out, dense=dense, met=met)

    def _convolution(self, args: tuple[Any, ...], out: Tensor) -> None:
        x, weight, _, stride, padding, dilation, transposed, output_padding, groups = args
        given = self._operand(x)
        sides = (given, self._operand(weight)._replace(counts=None))
        n_out = weight.shape[1] if transposed else weight.shape[0] // groups  # each input's maps
        taps = weight[0, 0].numel()
        dense = x.numel() * n_out * taps if transposed else out.numel() * weight[0].numel()
        met = 0.0
        if given.counts is not None:
            met = n_out * float(
                torch.ops.aten.convolution(
                    given.counts.sum(dim=1, keepdim=True),
                    torch.ones_like(weight[:1, :1]),
                    None,
                    stride,
                    padding,
                    dilation,
                    transposed,
                    output_padding,
                    1,
                ).sum(dtype=torch.float64)
            )
        self._add("convolution", sides, out, dense=dense, met=met)

    def _add(
        self,
        kind: Kind,
        sides: tuple[_Operand, _Operand],
        out: Tensor,
        *,
        dense: float,
        met: float,
    ) -> None:
        weights = [side for side in sides if side.weight]
        within = self.running[-1] if self.running else _Call("(net)", self.net, (), [])
        if isinstance(within.module, Neuron) and not any(side.learned for side in weights):
            return  # how a neuron is computed; its membranes are counted as such
        owners = (self._owner(_place(side.tensor)) for side in weights)
        name = next(filter(None, owners), within.name)
        kind = kind if weights else "product"
        layer = self._layer(name, kind)
        if self._at_every_step(within):
            layer.steps = max(layer.steps, self.n_steps)
        n_spiking = sum(side.counts is not None for side in sides)
        if n_spiking == 0:
            layer.macs += dense
        else:
            layer.acs += met
            layer.acs_both += met if n_spiking == 2 else 0
            if n_spiking == 1:
                layer.spared += dense
            else:
                layer.spared_both += dense
        layer.outputs += out.numel()
        for side in sides:
            if side.weight:
                self._use(name, kind, side)
            elif side.counts is None:
                layer.inputs += side.tensor.numel()
            else:
                layer.spike_inputs += side.tensor.numel()
                layer.spikes += float(side.counts.sum(dtype=torch.float64))

    def _use(self, name: str, kind: Kind, side: _Operand) -> None:
        """Weights count once, however often a batch of windows meets them."""
        distinct = side.tensor[
            tuple(slice(None) if stride else slice(1) for stride in side.tensor.stride())
        ]
        used = self.used[name, kind]
        key = (distinct.data_ptr(), distinct.numel())
        if key not in used:
            used[key] = distinct  # kept, so that nothing else comes to lie there
            n = distinct.numel() if side.learned else int((distinct != 0).sum())
            self.layers[name, kind].weights += n

    def _at_every_step(self, call: _Call) -> bool:
        """Whether a module that is running was given what differs from step to step.

        A layer was if steps come first, alone or times the batch. A module with parts of its own
        was if steps come first, or once a population has run within it.
        """
        leading = call.shape[:2] == (self.n_steps, self.batch)
        if any(True for _ in call.module.children()):
            return self.n_steps > 1 and (leading or bool(call.spiked))
        return self.n_steps > 1 and (leading or call.shape[:1] == (self.n_steps * self.batch,))

    def means(self) -> list[LayerCount]:
        """Layers, per window; weights per window too, which one after the other needs them all."""
        return [
            replace(
                layer,
                **{
                    name: getattr(layer, name)
                    / (self.n_batches if name == "weights" else self.n_windows)
                    for name in TOTALS
                },
            )
            for layer in self.layers.values()
        ]


MATRICES = {
    "mm": (0, 1), "bmm": (0, 1), "mv": (0, 1), "dot": (0, 1),
    "addmm": (1, 2), "baddbmm": (1, 2), "addbmm": (1, 2), "addmv": (1, 2),
}  # fmt: skip
"""Products of matrices, and which of their arguments are multiplied."""


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _place(tensor: Tensor) -> int:
    """Where a tensor lies in memory, with all views of it."""
    return tensor.untyped_storage().data_ptr()
