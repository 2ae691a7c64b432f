"""A net as one recorded graph, which leaves Python out: less time for a single window.

A recording of what a net does with one window is only as good as the net is the same for every
window. So it is compared with the net on others before it is used, and where it differs, or cannot
be made, the net itself is used.
"""

import logging
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)

CLOSE = 1e-4  # of logits, relative to their size: what the order of sums may change
N_CHECKS = 4  # the first calls of a graph are slow, so they are made here

Ask = Callable[[Tensor], Tensor]


def frozen(net: nn.Module, shape: tuple[int, ...]) -> Ask:
    """What answers as a net does, in evaluation.

    Parameters
    ----------
    net
        Fitted.
    shape
        Of its input, (1, n_chans, n_times).
    """
    net = net.eval()
    on = next((p.device for p in net.parameters()), torch.device("cpu"))
    draw = torch.Generator().manual_seed(0)
    windows = [torch.randn(shape, generator=draw).to(on) for _ in range(1 + N_CHECKS)]
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            # torch means to replace it by compilers, which take seconds to minutes for each net.
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(net, windows[0], check_trace=False)  # type: ignore[no-untyped-call]
            graph: Ask = torch.jit.freeze(traced)
            for window in windows[1:]:
                wanted = net(window)
                allowed = CLOSE * max(1.0, float(wanted.abs().max()))
                if not torch.allclose(graph(window), wanted, rtol=0, atol=allowed):
                    raise RuntimeError("it depends on more than its input")
    except Exception as error:  # tracing fails in as many ways as nets are written
        logger.debug("%s is asked as it is: %s", type(net).__name__, error)
        return net
    return graph
