r"""Leaky membranes over all steps at once: one autograd function instead of a graph per step.

Between spikes the membrane :math:`v` forgets and adds up currents; at the threshold it spikes:

.. math::
    h_t = d\, v_{t-1} + x_t, \quad s_t = [h_t \ge \theta], \quad
    v_t = h_t - \theta s_t \;\text{(soft)}, \;
    v_t = h_t (1 - s_t) + v_r s_t \;\text{(hard)}, \;
    v_t = h_t \;\text{(none)}

`membrane_loop` says just that, and is what the others are tested against. `membrane` is what
neurons call: compiled C on a CPU where there is a compiler, otherwise in-place torch. Both take a
block of neurons that fits into the cache through all steps, and keep one array for the backward
pass, which walks the steps backwards once: :math:`h` in torch, and in C the currents, from which
it finds :math:`h` again faster than it could have been written and read.

.. math::
    g^h_t = (1 - s_t)^{[\text{hard}]}\, g^v_t + (g^s_t + k_t\, g^v_t)\, \sigma'(h_t - \theta),
    \qquad g^v_{t-1} = d\, g^h_t

where :math:`k_t` is the part of the reset that goes through the spike (:math:`-\theta`, or
:math:`v_r - h_t`); it is left out with ``detach_reset``. Gradients of gradients are not defined.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neurodecode.core.errors import SignalError
from neurodecode.nn.compiled import MEMBRANE, address
from neurodecode.nn.spiking.surrogates import Surrogate, spike

Reset = Literal["soft", "hard", "none"]
Path = Literal["auto", "compiled", "torch", "loop"]

RESETS: tuple[Reset, ...] = ("soft", "hard", "none")
GIVEN = 4  # the code of membrane.c for slopes that are handed over

_path: Path = "auto"


class Membrane(NamedTuple):
    """What `membrane` returns."""

    spikes: Tensor  # (n_steps, batch, ..., n_features), 0 or 1
    last: Tensor  # (batch, ..., n_features), after the last reset
    before: Tensor | None  # h, like `spikes`, where it was asked for


@contextmanager
def using(path: Path) -> Iterator[None]:
    """Within the block, take that path: for tests and benchmarks.

    "loop" is the definition, "torch" and "compiled" the fused ones, "auto" the usual choice.
    """
    global _path
    before, _path = _path, path
    try:
        yield
    finally:
        _path = before


def membrane(
    x: Tensor,
    v0: Tensor | None = None,
    *,
    decay: Tensor,
    threshold: Tensor,
    reset: Reset = "soft",
    surrogate: Surrogate,
    detach_reset: bool = True,
    v_reset: float = 0.0,
    keep: bool = False,
) -> Membrane:
    """Spikes of leaky integrate-and-fire neurons, for all steps.

    Parameters
    ----------
    x
        Currents, (n_steps, batch, ..., n_features), in units of the threshold.
    v0
        Membrane before the first step, (batch, ..., n_features); by default at rest, 0.
    decay, threshold
        One for all, (1,), or one for each feature, (n_features,).
    reset
        What a spike does: subtract the threshold, set the membrane to `v_reset`, or nothing.
    surrogate
        Slope of a spike.
    detach_reset
        Whether gradients leave out the way through the reset.
    v_reset
        Of the hard reset.
    keep
        Whether to return the membrane before the reset, with its gradient.

    Raises
    ------
    SignalError
        For a membrane or a parameter of another shape.
    """
    if v0 is not None and (v0.shape != x.shape[1:] or v0.device != x.device):
        raise SignalError(
            f"Neurons remember {tuple(v0.shape)} on {v0.device} and are given currents "
            f"{tuple(x.shape)} on {x.device}. Begin anew with state None, or go on with the same "
            f"batch."
        )
    if not {decay.numel(), threshold.numel()} <= {1, x.shape[-1]}:
        raise SignalError(
            f"{decay.numel()} decays and {threshold.numel()} thresholds are not one for all or one "
            f"for each of {x.shape[-1]} features."
        )
    if x.dtype in (torch.bfloat16, torch.float16):  # too coarse to add up hundreds of steps
        x, v0 = x.float(), None if v0 is None else v0.float()
    how = (decay, threshold, reset, surrogate, detach_reset, v_reset)
    if _path == "loop" or torch.compiler.is_compiling() or len(x) == 0:
        start = x.new_zeros(x.shape[1:]) if v0 is None else v0
        spikes, last, before = membrane_loop(x, start, *how)
    else:
        spikes, last, before = _Fused.apply(x, v0, *how, keep)  # type: ignore[no-untyped-call]
    return Membrane(spikes, last, before if keep else None)


def membrane_loop(
    x: Tensor,
    v: Tensor,
    decay: Tensor,
    threshold: Tensor,
    reset: Reset,
    surrogate: Surrogate,
    detach_reset: bool = True,
    v_reset: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """The definition, step by step; autograd does the rest.

    Steps are taken by `unbind`: ``x[t]`` of a tensor that learns would fill a gradient as large as
    `x` at each step, which makes the backward pass quadratic in the number of steps.
    """
    spikes, before = [], []
    for current in x.unbind(0):
        h = decay * v + current
        s = spike(h - threshold, surrogate)
        fired = s.detach() if detach_reset else s
        if reset == "soft":
            v = h - threshold * fired
        elif reset == "hard":
            v = h * (1 - fired) + v_reset * fired
        else:
            v = h
        spikes.append(s)
        before.append(h)
    if not spikes:
        return x, v, x
    return torch.stack(spikes), v, torch.stack(before)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        v0: Tensor | None,
        decay: Tensor,
        threshold: Tensor,
        reset: Reset,
        surrogate: Surrogate,
        detach_reset: bool,
        v_reset: float,
        keep: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        learns = any(ctx.needs_input_grad)
        x = x.contiguous()
        compiled = is_compiled(x, decay, threshold) and (v0 is None or v0.dtype == x.dtype)
        run = _forward_compiled if compiled else _forward_torch
        writes = keep or (learns and not compiled)
        spikes, last, h = run(x, v0, decay, threshold, reset, v_reset, writes)
        if learns:
            ctx.save_for_backward(x if compiled else h, v0, decay, threshold)
            ctx.how = (reset, surrogate, detach_reset, v_reset)
            ctx.run = _backward_compiled if compiled else _backward_torch
        return spikes, last, h if keep else None

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        saved, v0, decay, threshold = ctx.saved_tensors
        needs = ctx.needs_input_grad
        gx, gv0, gdecay, gthreshold = ctx.run(
            saved, v0, decay, threshold, *ctx.how, gradients, needs[2], needs[3]
        )
        return (
            gx,
            gv0 if needs[1] else None,
            gdecay if needs[2] else None,
            gthreshold if needs[3] else None,
            *(None,) * 5,
        )


def is_compiled(*tensors: Tensor) -> bool:
    """Whether the compiled path takes these, and may."""
    plain = all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)
    return plain and _path in ("auto", "compiled") and MEMBRANE.library is not None


def _forward_torch(
    x: Tensor,
    v0: Tensor | None,
    decay: Tensor,
    threshold: Tensor,
    reset: Reset,
    v_reset: float,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    spikes = torch.empty_like(x)
    last = torch.zeros_like(x[0]) if v0 is None else v0.contiguous().clone()
    h = torch.empty_like(x) if keep else None
    for (xs, v, s, hs), d, th in _blocks((x, last, spikes, h), x, decay, threshold):
        scratch = torch.empty_like(v)
        for t in range(len(xs)):
            u = scratch if hs is None else hs[t]
            _advance(xs[t], v, u, s[t], d, th, reset, v_reset)
    return spikes, last, h


def _advance(
    x: Tensor,
    v: Tensor,
    h: Tensor,
    s: Tensor,
    d: Tensor | float,
    th: Tensor | float,
    reset: Reset,
    v_reset: float,
) -> None:
    """One step in place: `v` moves on, `h` and `s` are filled in."""
    torch.mul(v, d, out=h).add_(x)
    torch.sub(h, th, out=s).ge_(0)
    if reset == "soft":  # the product is exact, so it does not matter whether it is rounded
        if isinstance(th, float):
            torch.sub(h, s, alpha=th, out=v)
        else:
            torch.addcmul(h, s, th, value=-1, out=v)
    elif reset == "hard":
        torch.mul(h, 1 - s, out=v).add_(s, alpha=v_reset)
    else:
        v.copy_(h)


def _backward_torch(
    h: Tensor,
    v0: Tensor | None,
    decay: Tensor,
    threshold: Tensor,
    reset: Reset,
    surrogate: Surrogate,
    detach_reset: bool,
    v_reset: float,
    gradients: tuple[Tensor | None, ...],
    learn_decay: bool,
    learn_threshold: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    gs, gv, gh = (g.contiguous() if g is not None else None for g in gradients)
    # A surrogate that is not one formula may look at all neurons of a feature.
    given = surrogate.slope(h - threshold) if surrogate.code < 0 else None
    gx = torch.empty_like(h)
    g0 = None if v0 is None else torch.empty_like(h[0])
    gdecay = torch.empty_like(h[0]) if learn_decay else None
    gthreshold = torch.empty_like(h[0]) if learn_threshold else None
    v0 = v0 if v0 is None else v0.contiguous()
    arrays = (h, v0, gs, gv, gh, given, gx, g0, gdecay, gthreshold)
    for (hs, v, s_in, v_in, h_in, slope, out, g, gd, gt), d, th in _blocks(
        arrays, h, decay, threshold
    ):
        u = hs - th
        slope = surrogate.slope(u) if slope is None else slope
        passed = _passed(hs, u, slope, th, reset, v_reset, detach_reset)
        # The gradient of h is direct + passed * (that of v after the reset).
        if s_in is None:
            direct = torch.zeros_like(u)
        else:
            direct = slope * s_in if gt is not None else slope.mul_(s_in)
        if h_in is not None:
            direct += h_in
        after = torch.zeros_like(hs[0]) if v_in is None else v_in.clone()
        all_after = []
        for t in range(len(hs) - 1, -1, -1):
            if gt is not None:
                all_after.append(after.clone())
            through = after if passed is None else passed[t].mul_(after)
            torch.add(direct[t], through, out=out[t])
            torch.mul(out[t], d, out=after)
        if g is not None:
            g.copy_(after)
        if gd is not None:
            _decay_gradient(out, hs, u, v, th, gd, reset, v_reset)
        if gt is not None:
            _threshold_gradient(torch.stack(all_after[::-1]), hs, u, slope, s_in, th, gt,
                                reset, v_reset, detach_reset)  # fmt: skip
    return (
        gx,
        g0,
        None if gdecay is None else _by_feature(gdecay, decay),
        None if gthreshold is None else _by_feature(gthreshold, threshold),
    )


def _passed(
    h: Tensor,
    u: Tensor,
    slope: Tensor,
    th: Tensor | float,
    reset: Reset,
    v_reset: float,
    detach_reset: bool,
) -> Tensor | None:
    """What a change of h before the reset is of it after; None where it is 1."""
    if reset == "hard":
        passed = (u < 0).to(u.dtype)
        return passed if detach_reset else passed.add_((v_reset - h) * slope)
    return 1 - th * slope if reset == "soft" and not detach_reset else None


def _decay_gradient(
    gx: Tensor,
    h: Tensor,
    u: Tensor,
    v0: Tensor | None,
    th: Tensor | float,
    out: Tensor,
    reset: Reset,
    v_reset: float,
) -> None:
    """Sum over steps of the gradient of h and the membrane that each step began from."""
    began = h[:-1]
    if reset == "soft":
        began = began - th * (u[:-1] >= 0)
    elif reset == "hard":
        began = began.masked_fill(u[:-1] >= 0, v_reset)
    torch.sum(gx[1:] * began, dim=0, out=out)
    if v0 is not None:
        out.addcmul_(gx[0], v0)


def _threshold_gradient(
    after: Tensor,
    h: Tensor,
    u: Tensor,
    slope: Tensor,
    gs: Tensor | None,
    th: Tensor | float,
    out: Tensor,
    reset: Reset,
    v_reset: float,
    detach_reset: bool,
) -> None:
    through = torch.zeros_like(h) if gs is None else gs.clone()
    if reset == "soft" and not detach_reset:
        through -= th * after
    elif reset == "hard" and not detach_reset:
        through += (v_reset - h) * after
    total = through * slope
    if reset == "soft":
        total += after * (u >= 0)
    torch.sum(total, dim=0, out=out).neg_()


BLOCK = 2**17
"""Values of a block of neurons over all steps: it stays in the cache of a core."""


def _blocks(
    arrays: tuple[Tensor | None, ...], x: Tensor, decay: Tensor, threshold: Tensor
) -> Iterator[tuple[tuple[Any, ...], Tensor | float, Tensor | float]]:
    """Views of the same neurons in all arrays, which are contiguous, and their parameters.

    Each view is (n_steps, n) or (n,); a parameter is a number, or (n,).
    """
    n_steps, period = len(x), max(decay.numel(), threshold.numel())
    n = x[0].numel()
    flat = [None if a is None else a.view(*a.shape[: a.ndim - x.ndim + 1], n) for a in arrays]
    size = n if x.device.type != "cpu" else max(BLOCK // n_steps, 32768) // period * period
    size = max(size, period)
    tiled = [
        float(p) if p.numel() == 1 else p.repeat(min(size, n) // period)
        for p in (decay.detach(), threshold.detach())
    ]
    for start in range(0, n, size):
        m = min(size, n - start)
        d, th = (p if isinstance(p, float) else p[:m] for p in tiled)
        yield tuple(None if a is None else a[..., start : start + m] for a in flat), d, th


def _by_feature(per_neuron: Tensor, like: Tensor) -> Tensor:
    """Sum of a gradient over all neurons that share a parameter."""
    return per_neuron.reshape(-1, like.numel()).sum(0).view_as(like)


def _forward_compiled(
    x: Tensor,
    v0: Tensor | None,
    decay: Tensor,
    threshold: Tensor,
    reset: Reset,
    v_reset: float,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:
    v0 = None if v0 is None else v0.contiguous()
    period = max(decay.numel(), threshold.numel())
    d, th = (p.expand(period).contiguous() for p in (decay, threshold))
    spikes, last = torch.empty_like(x), torch.empty_like(x[0])
    h = torch.empty_like(x) if keep else None
    MEMBRANE.call(
        "membrane_forward",
        *_sizes(x, period, reset, v_reset),
        *map(address, (x, v0, d, th, h, spikes, last)),
        torch.get_num_threads(),
    )
    return spikes, last, h


def _backward_compiled(
    x: Tensor,
    v0: Tensor | None,
    decay: Tensor,
    threshold: Tensor,
    reset: Reset,
    surrogate: Surrogate,
    detach_reset: bool,
    v_reset: float,
    gradients: tuple[Tensor | None, ...],
    learn_decay: bool,
    learn_threshold: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    v0 = None if v0 is None else v0.contiguous()
    gs, gv, gh = (g.contiguous() if g is not None else None for g in gradients)
    period = max(decay.numel(), threshold.numel())
    d, th = (p.expand(period).contiguous() for p in (decay, threshold))
    slope = None
    if surrogate.code < 0:  # its formula is torch's own
        _, _, h = _forward_compiled(x, v0, decay, threshold, reset, v_reset, True)
        assert h is not None
        slope = surrogate.slope(h - threshold).contiguous()
    gx = torch.empty_like(x)
    gv0 = None if v0 is None else torch.empty_like(v0)
    gdecay = torch.empty_like(x[0]) if learn_decay else None
    gthreshold = torch.empty_like(x[0]) if learn_threshold else None
    MEMBRANE.call(
        "membrane_backward",
        *_sizes(x, period, reset, v_reset),
        int(detach_reset),
        surrogate.code if surrogate.code >= 0 else GIVEN,
        ctypes.c_float(surrogate.sharpness),
        *map(address, (slope, x, v0, d, th, gs, gh, gv, gx, gv0, gdecay, gthreshold)),
        torch.get_num_threads(),
    )
    return (
        gx,
        gv0,
        None if gdecay is None else _by_feature(gdecay, decay),
        None if gthreshold is None else _by_feature(gthreshold, threshold),
    )


def _sizes(x: Tensor, period: int, reset: Reset, v_reset: float) -> tuple[Any, ...]:
    n = (len(x), x[0].numel(), period)
    return (*map(ctypes.c_long, n), RESETS.index(reset), ctypes.c_float(v_reset))
