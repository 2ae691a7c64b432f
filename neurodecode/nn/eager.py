"""Whether tensors are numbers in the memory of a CPU, so that code may take them as such.

Parts of nets that have a faster way for this case take the plain one, all of it operations of
torch, wherever somebody follows the operations: while a net is traced, compiled or exported, inside
`torch.func.vmap`, under a dispatch mode (counting, fake tensors), on a GPU, and inside `plain`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

_plain = False


@contextmanager
def plain() -> Iterator[None]:
    """Within the block, everything is done by operations of torch: for tests and comparisons."""
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before


def is_eager(*tensors: Tensor) -> bool:
    """Whether all of these are numbers in this machine's memory, now, and nobody follows."""
    if _plain or torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return False
    if any(t.device.type != "cpu" for t in tensors) or _get_current_dispatch_mode() is not None:
        return False
    try:
        for tensor in tensors:
            tensor.data_ptr()
    except RuntimeError:  # inside vmap and its like a tensor stands for others
        return False
    return True


def is_watched(*modules: nn.Module) -> bool:
    """Whether hooks wait for one of these to run, so that each has to run by itself."""
    return any(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        for module in modules
    )
