r"""Multi-variate parallel attention: tokens of every channel and segment, and where they are.

Tokens :math:`x_{tc}` of segment :math:`t` and channel :math:`c` attend to all channels of their
own and of earlier segments. Three scores add up, of the content, the time between two tokens and
the place of one channel as seen from the other:

.. math::
    s_{tc,t'c'} = h^{-1/2} \left( (q_{tc} + u) \cdot k_{t'c'} + (q_{tc} + \nu) \cdot W_t
    E_t[t - t'] + (q_{tc} + \omega) \cdot W_c E_c[c, c'] \right)

with two tables :math:`E_t, E_c` for a whole network, maps :math:`W_t, W_c` for each layer, and
three learned offsets of the queries. Nothing else says where a token is.

Reference: "A foundation model with multi-variate parallel attention to generate neuronal activity",
ICLR 2026, arXiv 2506.20354, section 3; written from its equations. Unlike there, tables are read
by distance and not from their end, so that a distance means the same in every window and montage,
and channels can be told by where their electrodes are. `segment_attention` does the sums.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.nn.segment_attention import NEVER, Span, augmented, flex, loop, naive, spans

Path = Literal["auto", "naive", "augmented", "loop", "flex"]
Way = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Sequence[Span]], Tensor]

PATHS: dict[str, Way] = {"naive": naive, "augmented": augmented, "loop": loop, "flex": flex}

KNOTS, N_KNOTS = (0.003, 0.25), 24
"""Distances between electrodes that have a row: 0, and from one to the other, m, evenly in log."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Rows of the tables for one shape of input; every layer of a network takes the same.

    Attributes
    ----------
    time
        Row of each distance in segments, 0 first: (n_segments, width).
    space
        Rows from which pairs of channels are told: (n_rows, width).
    weights
        How much a pair takes of each row: (n_chans, n_rows, n_chans), or (batch, n_chans, n_rows,
        n_chans), the channel that looks first. They sum to 1 over rows.
    """

    time: Tensor
    space: Tensor
    weights: Tensor


class RelativeTables(nn.Module):
    """Learned rows for distances in time and between channels, one pair for a whole network.

    Parameters
    ----------
    width
        Features of a token.
    max_segments
        Longest window, segments.
    max_chans
        Most channels; means nothing for ``geometry="position"``, where any number will do.
    indexing
        "distance" reads row d for a distance d. "tail" reads row n - 1 - d in a window of n
        segments (or channels), as published weights were trained; there a distance means something
        else in a window of another size.
    geometry
        "index" tells channels by the difference of their places in the array, as the paper does;
        another order of channels is then another montage, but for the reversed one. "position"
        tells them by the distance between electrodes, whatever their order: rows stand at `knots`,
        and between two a pair takes of both. Pairs with an unknown position share a row of their
        own; a channel with itself is always at distance 0.

    Raises
    ------
    ConfigError
        For "tail" together with "position".
    """

    def __init__(
        self,
        width: int,
        *,
        max_segments: int = 110,
        max_chans: int = 128,
        indexing: Literal["distance", "tail"] = "distance",
        geometry: Literal["index", "position"] = "index",
    ) -> None:
        super().__init__()
        if indexing == "tail" and geometry == "position":
            raise ConfigError(
                "indexing='tail' reads published weights, which tell channels by index, and "
                "geometry='position' asks for positions. Leave one of them at its default."
            )
        self.indexing = indexing
        self.geometry = geometry
        self.max_segments = max_segments
        self.max_chans = None if geometry == "position" else max_chans
        nearest, farthest = map(math.log10, KNOTS)
        knots = torch.cat([torch.zeros(1), torch.logspace(nearest, farthest, N_KNOTS - 1)])
        self.register_buffer("knots", knots, persistent=False)
        n_rows = max_chans if geometry == "index" else len(knots) + 1
        self.time = nn.Parameter(0.02 * torch.randn(max_segments, width))
        self.space = nn.Parameter(0.02 * torch.randn(n_rows, width))

    knots: Tensor  # (n_knots,), m

    def forward(self, n_segments: int, n_chans: int, positions: Tensor | None = None) -> Places:
        """Rows for a window of that shape.

        Parameters
        ----------
        n_segments, n_chans
            Shape of the window. For a stream: the segments that are remembered.
        positions
            Of electrodes, (n_chans, 3) or (batch, n_chans, 3), m, NaN where unknown. Read only by
            ``geometry="position"``.

        Raises
        ------
        SignalError
            For a window longer or wider than the tables, and where positions are missing.
        """
        self._check(n_segments, n_chans, positions)
        time = self.time[:n_segments]
        if self.geometry == "position":
            assert positions is not None
            return Places(time=time, space=self.space, weights=self._by_position(positions))
        space = self.space[:n_chans]
        if self.indexing == "tail":
            time, space = time.flip(0), space.flip(0)
        i = torch.arange(n_chans, device=space.device)
        weights = functional.one_hot((i[:, None] - i).abs(), n_chans).to(space.dtype)
        return Places(time=time, space=space, weights=weights.transpose(1, 2).contiguous())

    def _check(self, n_segments: int, n_chans: int, positions: Tensor | None) -> None:
        if n_segments > self.max_segments:
            raise SignalError(
                f"A window of {n_segments} segments is longer than the {self.max_segments} that "
                f"this network can tell apart. Cut shorter windows, or raise max_segments and "
                f"train anew."
            )
        if self.max_chans is not None and n_chans > self.max_chans:
            raise SignalError(
                f"{n_chans} channels are more than the {self.max_chans} that this network can tell "
                f"apart. Pick fewer, or raise max_chans and train anew."
            )
        if self.geometry == "position" and (
            positions is None or positions.shape[-2:] != (n_chans, 3) or positions.ndim > 3
        ):
            given = "none" if positions is None else f"an array {tuple(positions.shape)}"
            raise SignalError(
                f"geometry='position' needs the positions of {n_chans} electrodes, ({n_chans}, 3) "
                f"in metres, and was given {given}. Give a montage, or take geometry='index'."
            )

    def _by_position(self, positions: Tensor) -> Tensor:
        """Weights of rows (..., n_chans, n_rows, n_chans) from positions (..., n_chans, 3)."""
        p = positions.float()
        distance = torch.linalg.vector_norm(p.unsqueeze(-2) - p.unsqueeze(-3), dim=-1)
        itself = torch.eye(p.shape[-2], dtype=torch.bool, device=p.device)
        distance = distance.masked_fill(itself, 0.0).unsqueeze(-2)  # (..., n_chans, 1, n_chans)
        unknown = distance.isnan()
        knots = self.knots.float()[:, None]
        rise = (distance.nan_to_num(0.0) - knots[:-1]) / knots.diff(dim=0)
        rise = rise.clamp(0, 1)  # (..., n_chans, n_knots - 1, n_chans)
        # Each row has a hat, 1 at its own knot and 0 at its neighbours; the last stays at 1 beyond.
        hats = functional.pad(rise, (0, 0, 1, 0), value=1.0) - functional.pad(rise, (0, 0, 0, 1))
        return torch.cat([hats.masked_fill(unknown, 0.0), unknown.to(hats.dtype)], dim=-2)


class Cache(NamedTuple):
    """Keys and values of the segments that a layer remembers."""

    key: Tensor  # (batch, n_kv_heads, n_segments, n_chans, head_width)
    value: Tensor  # the same


class ParallelAttention(nn.Module):
    """One layer of multi-variate parallel attention. No biases.

    Parameters
    ----------
    width
        Features of a token; a multiple of `n_heads`.
    n_heads
        Heads that ask.
    n_kv_heads
        Heads that answer: each serves `n_heads` / `n_kv_heads` queries.
    content_window
        Content is scored for keys up to so many segments ago; older keys keep their scores of time
        and place, with 0 for content. None: everywhere.
    last_sees_all
        Whether the last segment scores content everywhere in spite of `content_window`, as
        published.
    dropout
        Probability of dropping a feature of the output, in [0, 1). Attention weights are never
        dropped: only so does training mean the same on every path.
    path
        How it is computed; all give the same, see `segment_attention`. "auto" takes "loop", or for
        training on CUDA "augmented" where content counts everywhere.

    Raises
    ------
    ConfigError
        For heads that do not divide the width or each other, and a negative `content_window`.
    """

    def __init__(
        self,
        width: int,
        *,
        n_heads: int,
        n_kv_heads: int,
        content_window: int | None = None,
        last_sees_all: bool = False,
        dropout: float = 0.0,
        path: Path = "auto",
    ) -> None:
        super().__init__()
        if min(n_heads, n_kv_heads) < 1 or width % n_heads or n_heads % n_kv_heads:
            raise ConfigError(
                f"width={width} must be a multiple of n_heads={n_heads}, and that a multiple of "
                f"n_kv_heads={n_kv_heads}. Change one of them."
            )
        if content_window is not None and content_window < 0:
            raise ConfigError(
                f"content_window={content_window} is a number of segments. Take 0 or more, or "
                f"leave it out to count content everywhere."
            )
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        self.head_width = width // n_heads
        self.content_window, self.last_sees_all = content_window, last_sees_all
        self.path = path
        kv_width = n_kv_heads * self.head_width
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, kv_width, bias=False)
        self.value = nn.Linear(width, kv_width, bias=False)
        self.time = nn.Linear(width, kv_width, bias=False)
        self.space = nn.Linear(width, kv_width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.offsets = nn.Parameter(0.02 * torch.randn(3, kv_width))  # u, nu, omega
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, places: Places, present: Tensor | None = None) -> Tensor:
        """Mixtures of values, (batch, n_segments, n_chans, width), from tokens of that shape.

        Parameters
        ----------
        x
            Tokens.
        places
            From `RelativeTables`, for at least as many segments and just as many channels.
        present
            Channels that are there, (batch, n_chans) bool; None: all. Others have outputs of 0 and
            change nothing for these.

        Raises
        ------
        SignalError
            Where `places` are of another shape.
        ConfigError
            Where `path` cannot do what is asked.
        """
        if x.shape[1] > len(places.time):
            raise SignalError(
                f"{x.shape[1]} segments have places for {len(places.time)}. Ask RelativeTables for "
                f"as many as there are."
            )
        y, _ = self._mix(x, places, None, present)
        return y

    def step(
        self, x: Tensor, places: Places, cache: Cache | None, present: Tensor | None = None
    ) -> tuple[Tensor, Cache]:
        """Go on with a stream: the output of new segments, and what to remember.

        Equals `forward` over the whole stream until it is longer than ``len(places.time)``, the
        segments that are remembered. From then on each segment sees that many, itself included:
        sliding-window attention. That is not the same as `forward` over the last segments, as
        layers above remember further.

        Parameters
        ----------
        x
            One or more new segments, (batch, n_new, n_chans, width).
        places
            From `RelativeTables`, for as many segments as are remembered.
        cache
            From the previous step; None to begin.
        present
            As in `forward`; it holds for the cached segments too.

        Raises
        ------
        SignalError
            As `forward`, and for a cache of another shape.
        ConfigError
            Where `last_sees_all` matters: each segment would be last when it comes and not later.
        """
        n_remembered = len(places.time)
        limited = self.content_window is not None and self.content_window + 1 < n_remembered
        if self.last_sees_all and limited:
            raise ConfigError(
                f"last_sees_all=true cannot be streamed over {n_remembered} segments with "
                f"content_window={self.content_window}: a segment is last only when it comes. "
                f"Remember {self.content_window} + 1 segments at most, or switch it off."
            )
        expected = (len(x), self.n_kv_heads, x.shape[2], self.head_width)
        if cache is not None and (*cache.key.shape[:2], *cache.key.shape[3:]) != expected:
            raise SignalError(
                f"The cache is of {len(cache.key)} windows of {cache.key.shape[3]} channels and is "
                f"given {len(x)} of {x.shape[2]}. Begin anew with cache None."
            )
        return self._mix(x, places, cache, present)

    def _mix(
        self, x: Tensor, places: Places, cache: Cache | None, present: Tensor | None
    ) -> tuple[Tensor, Cache]:
        batch, n_new, n_chans, _ = x.shape
        if n_chans != places.weights.shape[-1]:
            raise SignalError(
                f"{n_chans} channels have places for {places.weights.shape[-1]}. Ask "
                f"RelativeTables for as many as there are."
            )
        n_kv, h, n_remembered = self.n_kv_heads, self.head_width, len(places.time)
        # Rows of queries that share keys stand together: (batch, n_kv, n_new, groups, n_chans, h).
        q = self.query(x).view(batch, n_new, n_chans, n_kv, -1, h).permute(0, 3, 1, 4, 2, 5)
        q = q.flatten(2, 4)  # (batch, n_kv, n_new x groups x n_chans, h)
        k = h**-0.5 * self.key(x).view(batch, n_new, n_chans, n_kv, h).permute(0, 3, 1, 2, 4)
        v = self.value(x).view(batch, n_new, n_chans, n_kv, h).permute(0, 3, 1, 2, 4)
        if cache is not None:
            k, v = torch.cat([cache.key, k], dim=2), torch.cat([cache.value, v], dim=2)
        forgotten = max(0, k.shape[2] - n_remembered + 1)
        cache = Cache(k[:, :, forgotten:], v[:, :, forgotten:])

        u, nu, omega = self.offsets.to(q.dtype).view(3, n_kv, 1, h)
        by_time = _relative(q, nu, self.time(places.time))
        by_chan = _by_chan(_relative(q, omega, self.space(places.space)), places.weights)
        if present is not None:
            by_chan.masked_fill_(~present[:, None, None], NEVER)

        seen = spans(n_new, k.shape[2], n_remembered, self.content_window, self.last_sees_all)
        q, by_time, by_chan = (
            rows.reshape(batch * n_kv, n_new, -1, rows.shape[-1])
            for rows in (q + u, by_time, by_chan)
        )
        y = self._way(q, seen)(q, k.flatten(0, 1), v.flatten(0, 1), by_time, by_chan, seen)
        y = y.view(batch, n_kv, n_new, -1, n_chans, h).permute(0, 2, 4, 1, 3, 5).flatten(3)
        y = self.dropout(self.output(y))
        if present is not None:
            y = y.masked_fill(~present[:, None, :, None], 0.0)
        return y, cache

    def _way(self, q: Tensor, seen: Sequence[Span]) -> Way:
        trained = torch.is_grad_enabled() and q.requires_grad
        limited = any(span.near > span.first for span in seen)
        if self.path == "auto":
            return augmented if q.is_cuda and trained and not limited else loop
        if self.path == "augmented" and limited:
            raise ConfigError(
                f"path='augmented' cannot leave out content, and content_window="
                f"{self.content_window} asks for it. Take path='loop' or 'auto'."
            )
        if self.path == "flex" and trained and not q.is_cuda:
            raise ConfigError(
                "path='flex' has no gradients on a CPU. Take path='auto', or train on CUDA."
            )
        return PATHS[self.path]


def _relative(q: Tensor, offset: Tensor, rows: Tensor) -> Tensor:
    """Scores of queries (batch, n_kv_heads, n_rows, h) for rows of a table (n, n_kv_heads x h)."""
    n_kv, h = q.shape[1], q.shape[-1]
    keys = h**-0.5 * rows.view(-1, n_kv, h).permute(1, 2, 0)  # (n_kv_heads, h, n)
    scores: Tensor = q @ keys
    return scores.add_(offset @ keys)


def _by_chan(by_row: Tensor, weights: Tensor) -> Tensor:
    """Scores of queries for channels, (batch, n, n_chans, n_chans), from those for rows of a table.

    `by_row` is (batch, n_kv_heads, n_new x groups x n_chans, n_rows), and n what comes between.
    """
    batch, n_rows, n_chans = by_row.shape[0], by_row.shape[-1], weights.shape[-1]
    by_row = by_row.reshape(batch, -1, n_chans, n_rows).transpose(1, 2)
    return (by_row @ weights.to(by_row.dtype)).transpose(1, 2)
