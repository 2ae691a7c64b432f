r"""Causal attention over segments of channels, with a score for time and one for the channel.

.. math::
    y_{tr} = \sum_{t' \le t, c'} \operatorname{softmax}_{t'c'} \left( [t' \in \text{near}(t)]\,
    q_{tr} \cdot k_{t'c'} + \text{time}_{tr}[t - t'] + \text{chan}_{tr}[c'] \right) v_{t'c'}

All channels of a segment see each other and earlier segments. Four ways to compute it, equal in
value and gradient:

- `naive`, the definition, holds every score at once.
- `loop` takes a segment of queries at a time against slices of the keys: half of the products, no
  mask, a scratch array that fits into the cache. It keeps the sum of each softmax instead of its
  weights, and the backward pass finds these again, as in FlashAttention (arXiv 2205.14135).
- `augmented` writes both scores into one longer product, for torch's fused kernels: keys carry the
  one-hot code of their segment and channel, queries their scores for each.
- `flex` hands the scores to `flex_attention`, which can take gradients on CUDA only.

Arrays, here and in each function: `q` (n, n_new, n_rows, h), where a row is a channel of one query
head, and all the rows that share keys stand together; `k` and `v` (n, n_keys, n_chans, h), the new
segments last; `by_time` (n, n_new, n_rows, n_distances); `by_chan` (n, n_new, n_rows, n_chans).
Scores are scaled already. The result is like `q`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.attention.flex_attention import flex_attention

NEVER = -3e4
"""Score of a key that is not there: its exp is 0, and even float16 can hold it twice over."""

TILE = {"cpu": 1 << 19, "cuda": 1 << 26}
"""Scores that `loop` holds at once: on a CPU they stay in the cache, on a GPU they fill it."""

BLOCKS = 4
"""Calls of `augmented`, each without the keys after its queries: less to do, in smaller pieces."""


class Span(NamedTuple):
    """Keys that a new segment sees, as numbers of segments; its own is the last of them."""

    first: int
    near: int  # where content begins to count
    end: int


def spans(
    n_new: int, n_keys: int, n_distances: int, window: int | None, last_sees_all: bool
) -> list[Span]:
    """What each of the last `n_new` of `n_keys` segments sees.

    Parameters
    ----------
    n_new, n_keys
        Segments of the queries and of the keys.
    n_distances
        Segments that one can see, itself included.
    window
        Content counts up to so many segments ago; None: everywhere.
    last_sees_all
        Whether that does not hold for the last segment.
    """
    found = []
    for end in range(n_keys - n_new + 1, n_keys + 1):
        first = max(0, end - n_distances)
        limited = window is not None and not (last_sees_all and end == n_keys)
        near = max(first, end - 1 - window) if limited and window is not None else first
        found.append(Span(first, near, end))
    return found


def _by_segment(by_time: Tensor, seen: Sequence[Span], n_keys: int) -> tuple[Tensor, Tensor]:
    """Scores of time for each key segment, (n, n_new, n_rows, n_keys), and who sees which."""
    first, _, end = torch.tensor(seen, device=by_time.device).T[..., None]
    t = torch.arange(n_keys, device=by_time.device)
    ago = (end - 1 - t).clamp(0, by_time.shape[-1] - 1)
    index = ago[:, None].expand(*by_time.shape[:-1], -1)
    return by_time.gather(-1, index), (first <= t) & (t < end)


def naive(
    q: Tensor, k: Tensor, v: Tensor, by_time: Tensor, by_chan: Tensor, seen: Sequence[Span]
) -> Tensor:
    """The definition, with every score written out."""
    n_keys = k.shape[1]
    by_segment, visible = _by_segment(by_time, seen, n_keys)
    near = torch.tensor([span.near for span in seen], device=q.device)[:, None]
    far = torch.arange(n_keys, device=q.device) < near
    scores = torch.einsum("ntrh,nsch->ntrsc", q, k).masked_fill(far[:, None, :, None], 0.0)
    scores = scores + by_segment.unsqueeze(-1) + by_chan.unsqueeze(-2)
    scores = scores.masked_fill(~visible[:, None, :, None], -torch.inf)
    weights = scores.flatten(-2).softmax(-1).view_as(scores)
    return torch.einsum("ntrsc,nsch->ntrh", weights, v)


def augmented(
    q: Tensor, k: Tensor, v: Tensor, by_time: Tensor, by_chan: Tensor, seen: Sequence[Span]
) -> Tensor:
    """One product for all three scores, in a few calls of torch's fused kernel.

    Content must count everywhere: a far key has no way of saying that it does not.
    """
    n, n_new, n_rows, h = q.shape
    n_keys, n_chans = k.shape[1:3]
    by_segment, visible = _by_segment(by_time, seen, n_keys)
    by_segment = by_segment.masked_fill(~visible[:, None], NEVER)
    spare = -(h + n_keys + n_chans) % 8  # fused kernels want a multiple of 8
    q = torch.cat([q, by_segment, by_chan, q.new_zeros(n, n_new, n_rows, spare)], dim=-1)
    t = torch.eye(n_keys, n_keys + n_chans + spare, dtype=k.dtype, device=k.device)
    c = torch.eye(n_chans, n_chans + spare, dtype=k.dtype, device=k.device)
    codes = t[:, None] + functional.pad(c, (n_keys, 0))  # (n_keys, n_chans, ...)
    k = torch.cat([k, codes.expand(n, -1, -1, -1)], dim=-1)
    v = functional.pad(v, (0, k.shape[-1] - h))  # torch has no fused kernel for narrower values
    q, k, v = (x.flatten(1, 2).unsqueeze(1) for x in (q, k, v))
    parts = []
    for block in torch.arange(n_new).tensor_split(min(BLOCKS, n_new)):
        start, stop = int(block[0]), int(block[-1]) + 1
        queries, keys = q[:, :, start * n_rows : stop * n_rows], slice(seen[stop - 1].end * n_chans)
        parts.append(
            functional.scaled_dot_product_attention(
                queries, k[:, :, keys], v[:, :, keys], scale=1.0
            )[..., :h]
        )
    return torch.cat(parts, dim=2).view(n, n_new, n_rows, h)


def loop(
    q: Tensor, k: Tensor, v: Tensor, by_time: Tensor, by_chan: Tensor, seen: Sequence[Span]
) -> Tensor:
    """Segment by segment; in float32 at least. Its gradients have no gradients."""
    arrays = [q, k, v, by_time, by_chan]
    if q.dtype in (torch.bfloat16, torch.float16):
        arrays = [x.float() for x in arrays]
    y: Tensor = _Loop.apply(*arrays, seen)  # type: ignore[no-untyped-call]
    return y.to(q.dtype)


class _Loop(torch.autograd.Function):
    """`loop`. In-place products throughout, which autocast leaves alone."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        by_time: Tensor,
        by_chan: Tensor,
        seen: Sequence[Span],
    ) -> Tensor:
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        y, log_sum = torch.empty_like(q), q.new_empty(q.shape[:3])
        scratch = _scratch(q, k)
        for t, span in enumerate(seen):
            for i, r in _tiles(q, k, span):
                scores = _scores(scratch, q, k, by_time, by_chan, span, (i, t, r))
                top = scores.amax(-1, keepdim=True)
                weights = scores.sub_(top).exp_()
                total = weights.sum(-1, keepdim=True)
                values = v[i, span.first : span.end].flatten(1, 2)
                y[i, t, r].baddbmm_(weights, values, beta=0).div_(total)
                log_sum[i, t, r] = (top + total.log()).squeeze(-1)
        ctx.seen = seen
        ctx.save_for_backward(q, k, v, by_time, by_chan, y, log_sum)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, by_time, by_chan, y, log_sum = ctx.saved_tensors
        dy = dy.contiguous()
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        d_time, d_chan = torch.zeros_like(by_time), torch.empty_like(by_chan)
        mean = (dy * y).sum(-1, keepdim=True)  # of the gradients of the weights
        scratch, spare = _scratch(q, k), _scratch(q, k)
        n_chans = k.shape[2]
        for t, span in enumerate(ctx.seen):
            keys, near = slice(span.first, span.end), slice(span.near, span.end)
            far = (span.near - span.first) * n_chans
            for i, r in _tiles(q, k, span):
                scores = _scores(scratch, q, k, by_time, by_chan, span, (i, t, r))
                weights = scores.sub_(log_sum[i, t, r].unsqueeze(-1)).exp_()
                dv[i, keys].flatten(1, 2).baddbmm_(weights.mT, dy[i, t, r])
                d = spare[: weights.numel()].view_as(weights)
                d.baddbmm_(dy[i, t, r], v[i, keys].flatten(1, 2).mT, beta=0)
                d.sub_(mean[i, t, r]).mul_(weights)
                pairs = d.view(*d.shape[:2], -1, n_chans)
                d_time[i, t, r, : pairs.shape[2]] = pairs.sum(-1).flip(-1)
                d_chan[i, t, r] = pairs.sum(-2)
                d = d[..., far:]
                dq[i, t, r].baddbmm_(d, k[i, near].flatten(1, 2), beta=0)
                dk[i, near].flatten(1, 2).baddbmm_(d.mT, q[i, t, r])
        return dq, dk, dv, d_time, d_chan, None


def _room(q: Tensor) -> int:
    return TILE["cpu" if q.device.type == "cpu" else "cuda"]


def _scratch(q: Tensor, k: Tensor) -> Tensor:
    """Memory for the scores of any tile."""
    longest = k.shape[1] * k.shape[2]
    return q.new_empty(max(longest, min(_room(q), q.shape[0] * q.shape[2] * longest)))


def _tiles(q: Tensor, k: Tensor, span: Span) -> Iterator[tuple[slice, slice]]:
    """Parts of (n, n_rows) whose scores fit into the scratch array together."""
    n, n_rows = q.shape[0], q.shape[2]
    room = max(1, _room(q) // ((span.end - span.first) * k.shape[2]))
    some, rows = max(1, room // n_rows), min(room, n_rows)
    for i in range(0, n, some):
        for r in range(0, n_rows, rows):
            yield slice(i, i + some), slice(r, r + rows)


def _scores(
    scratch: Tensor,
    q: Tensor,
    k: Tensor,
    by_time: Tensor,
    by_chan: Tensor,
    span: Span,
    tile: tuple[slice, int, slice],
) -> Tensor:
    """Scores of a tile, (n, n_rows, n_keys x n_chans), written into the scratch array."""
    i, t, r = tile
    time = by_time[i, t, r, : span.end - span.first].flip(-1).unsqueeze(-1)
    chan = by_chan[i, t, r].unsqueeze(-2)
    scores = scratch[: time.numel() * chan.shape[-1]].view(*time.shape[:-1], chan.shape[-1])
    scores = torch.add(time, chan, out=scores).flatten(2)
    near = k[i, span.near : span.end].flatten(1, 2).mT
    scores[..., -near.shape[-1] :].baddbmm_(q[i, t, r], near)
    return scores


def flex(
    q: Tensor, k: Tensor, v: Tensor, by_time: Tensor, by_chan: Tensor, seen: Sequence[Span]
) -> Tensor:
    """`flex_attention` with a score that reads both others; compiled on CUDA.

    Only the kernel is compiled, so that the scores come to it from outside: made in one graph with
    it, they were left without gradients in silence (pytorch issue 162228). It gets no block mask,
    with which odd lengths gave NaN in the backward pass (issue 153799).
    """
    n_rows, n_chans = q.shape[2], k.shape[2]
    first, near, end = torch.tensor(seen, device=q.device).T.contiguous()

    def score(content: Tensor, i: Tensor, _: Tensor, query: Tensor, key: Tensor) -> Tensor:
        t, r, s, c = query // n_rows, query % n_rows, key // n_chans, key % n_chans
        ago = (end[t] - 1 - s).clamp(0, by_time.shape[-1] - 1)
        total = torch.where(s < near[t], 0.0, content) + by_time[i, t, r, ago] + by_chan[i, t, r, c]
        return torch.where((first[t] <= s) & (s < end[t]), total, -torch.inf)

    attend = _flex_attention(q.is_cuda)
    y = attend(*(x.flatten(1, 2).unsqueeze(1) for x in (q, k, v)), score_mod=score, scale=1.0)
    return y.view_as(q)


@cache
def _flex_attention(is_compiled: bool) -> Callable[..., Tensor]:
    attend: Callable[..., Any] = flex_attention
    return torch.compile(attend) if is_compiled else attend
